"""What looks at whole battles: exclusions, caps, days, and what is measured, each on both sides of its bound."""

from datetime import UTC, datetime

import pytest

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.control import LENGTH, STYLE
from latxa_cli.arena.looks import between, cap, excluded, measured, moment


def battle(model_a="m1", model_b="m2", **more):
    return {"model_a": model_a, "model_b": model_b, "winner": "model_a", **more}


def reasons(look, *battles):
    return [reject.reason if (reject := look(one)) else None for one in battles]


def test_a_model_is_excluded_on_either_side_and_a_field_by_its_text():
    assert reasons(excluded("model", "m1"), battle(), battle("m2", "m1"), battle("m2", "m11")) == [
        "excluded by model", "excluded by model", None
    ]  # fmt: skip
    assert reasons(excluded("model_a", "m1"), battle(), battle("m2", "m1")) == ["excluded by model_a", None]
    look = excluded("round", "7")
    assert reasons(look, battle(round=7), battle(round="7"), battle(round=77), battle(round=None), battle()) == [
        "excluded by round", "excluded by round", None, None, None
    ]  # fmt: skip
    assert reasons(excluded("round", "None"), battle(round=None), battle()) == [None, None]


def test_a_cap_counts_each_user_for_themselves_and_none_who_is_not_named():
    battles = [battle(user=user) for user in ("u", "v", "u", None, "u", "v", None, None, 7, "7", 7)]
    beyond = "beyond 2 of the user"
    assert reasons(cap(2), *battles) == [None] * 4 + [beyond] + [None] * 5 + [beyond]


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
    assert reasons(between(DAY, NEXT), battle(timestamp=timestamp)) == [reason]
    for alone, told in ((between(DAY, None), "too early"), (between(None, NEXT), "too late")):
        assert reasons(alone, battle(timestamp=timestamp)) == [reason if reason in (told, "no timestamp") else None]


@pytest.mark.parametrize("year", [1973, 2005, 2026, 2255])
def test_seconds_and_milliseconds_are_told_apart(year):
    """From 1973 in milliseconds, up to the year 5138 in seconds."""
    when = datetime(year, 3, 19, 12, 30, tzinfo=UTC)
    assert moment(when.timestamp()) == when
    assert moment(int(when.timestamp() * 1000) + 0.25) == when.replace(microsecond=250)
    assert moment(when.replace(tzinfo=None).isoformat()) == when


def test_what_is_measured_stands_under_its_name_and_on_its_side():
    def says(text):
        return [{"role": "user", "content": "?"}, {"role": "assistant", "content": text}]

    one = battle(conversation_a=says("# a\n- b\n- c"), conversation_b=says("**hitz** **bi**"))
    assert measured(STYLE)(one) == [[11, 15], [1, 0], [2, 0], [0, 2]]
    assert measured(("bold", "characters"))(one) == [[0, 2], [11, 15]]
    tally = Tally(features=("bold", "characters"), measure=measured(("bold", "characters")))
    assert list(tally.count([one, one | {"model_a": "m0", "conversation_a": says("")}])) == []
    votes, _ = tally.votes()
    assert {name: values.tolist() for name, values in votes.features.items()} == {
        "bold": [[0, 2], [0, 2]], "characters": [[11, 15], [0, 15]]
    }  # fmt: skip
    assert measured(LENGTH)(one) == [[11, 15]]


def test_looks_are_asked_in_turn_and_the_first_to_object_is_told():
    tally = Tally(looks=[excluded("user", "u"), cap(1)])
    told = list(tally.count([battle(user=user) for user in ("u", "u", "v", "v")]))
    assert [reject.reason for reject in told] == ["excluded by user", "excluded by user", "beyond 1 of the user"]
    assert len(tally.votes()[0]) == 1
