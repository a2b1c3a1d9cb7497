"""Filters of battles: exclusions, limits, days, each on both sides of its bound."""

from datetime import UTC, datetime

import pytest

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.filters import battle_filters, exclusion, moment, period, user_limit
from latxa_cli.arena.pseudonyms import pseudonym
from latxa_cli.stream.errors import UsageError


def battle(model_a="m1", model_b="m2", **more):
    return {"model_a": model_a, "model_b": model_b, "winner": "model_a", **more}


def reasons(check, *battles):
    return [reject.reason if (reject := check(one)) else None for one in battles]


def test_a_model_is_excluded_on_either_side_and_a_field_by_its_text():
    assert reasons(exclusion("model", "m1"), battle(), battle("m2", "m1"), battle("m2", "m11")) == [
        "excluded by model", "excluded by model", None
    ]  # fmt: skip
    assert reasons(exclusion("model_a", "m1"), battle(), battle("m2", "m1")) == ["excluded by model_a", None]
    check = exclusion("round", "7")
    assert reasons(check, battle(round=7), battle(round="7"), battle(round=77), battle(round=None), battle()) == [
        "excluded by round", "excluded by round", None, None, None
    ]  # fmt: skip
    assert reasons(exclusion("round", "None"), battle(round=None), battle()) == [None, None]


def test_a_user_is_excluded_by_the_pseudonym_that_findings_name():
    check = exclusion("user", pseudonym("ane"))
    battles = [battle(user="ane"), battle(voter="ane"), battle(user="jon"), battle(), battle(user=pseudonym("ane"))]
    assert reasons(check, *battles) == ["excluded by user", "excluded by user", None, None, "excluded by user"]
    assert reasons(exclusion("user", pseudonym("7")), battle(user=7), battle(user="7")) == ["excluded by user"] * 2
    assert reasons(exclusion("judge", pseudonym("ane")), battle(judge="ane")) == ["excluded by judge"]
    assert reasons(exclusion("prompt_id", pseudonym("q")), battle(prompt_id="q")) == [None]


def test_a_cap_counts_each_user_for_themselves_and_none_who_is_not_named():
    battles = [battle(user=user) for user in ("u", "v", "u", None, "u", "v", None, None, 7, "7", 7)]
    beyond = "beyond 2 of the user"
    assert reasons(user_limit(2), *battles) == [None] * 4 + [beyond] + [None] * 5 + [beyond]


DAY = datetime(2026, 3, 19, tzinfo=UTC)
NEXT = datetime(2026, 3, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [
        ("2026-03-19T00:00:00", None),  # the first moment belongs to the day
        ("2026-03-18T23:59:59.999", "too early"),
        ("2026-03-19T23:59:59+00:00", None),
        ("2026-03-20T00:00:00", "too late"),  # the first of the next does not
        ("2026-03-19T01:00:00+02:00", "too early"),
        ("2026-03-19T23:00:00-02:00", "too late"),
        (DAY.timestamp(), None),
        (DAY.timestamp() - 1, "too early"),
        (1000 * DAY.timestamp(), None),
        (int(1000 * NEXT.timestamp()), "too late"),
        (None, "no timestamp"),
        ("yesterday", "no timestamp"),
        (True, "no timestamp"),
        (1e40, "no timestamp"),
    ],
)
def test_days_begin_with_their_first_moment(timestamp, reason):
    assert reasons(period(DAY.date(), NEXT.date()), battle(timestamp=timestamp)) == [reason]
    for alone, told in ((period(DAY.date(), None), "too early"), (period(None, NEXT.date()), "too late")):
        assert reasons(alone, battle(timestamp=timestamp)) == [reason if reason in (told, "no timestamp") else None]


@pytest.mark.parametrize("year", [1973, 2005, 2026, 2255])
def test_seconds_and_milliseconds_are_told_apart(year):
    """From 1973 in milliseconds, up to the year 5138 in seconds."""
    when = datetime(year, 3, 19, 12, 30, tzinfo=UTC)
    assert moment(when.timestamp()) == when
    assert moment(int(when.timestamp() * 1000) + 0.25) == when.replace(microsecond=250)
    assert moment(when.replace(tzinfo=None).isoformat()) == when


def test_filters_are_asked_in_turn_and_the_first_to_object_is_told():
    tally = Tally(filters=battle_filters(["user=u", "model=m3"], None, NEXT.date(), most_per_user=1))
    battles = [battle(user=user, timestamp=DAY.timestamp()) for user in ("u", "u", "v", "v")]
    battles += [battle("m3", user="w", timestamp=DAY.timestamp()), battle(user="v", timestamp=NEXT.timestamp())]
    told = [reject.reason for reject in tally.count(battles)]
    assert told == ["excluded by user", "excluded by user", "beyond 1 of the user", "excluded by model", "too late"]
    assert len(tally.votes()[0]) == 1
    assert battle_filters() == [] == battle_filters(None, None, None, None)


def test_who_is_left_out_otherwise_has_not_used_up_the_limit():
    tally = Tally(filters=battle_filters(["model=m3"], most_per_user=1))
    assert [reject.reason for reject in tally.count([battle("m3", user="u"), battle(user="u")])] == [
        "excluded by model"
    ]
    assert len(tally.votes()[0]) == 1


@pytest.mark.parametrize("text", ["user", "=u", "user=", ""])
def test_an_exclusion_names_a_field_and_its_value(text):
    with pytest.raises(UsageError, match="FIELD=VALUE"):
        battle_filters([text])
    assert reasons(battle_filters(["a=b=c"])[0], battle(a="b=c")) == ["excluded by a"]
