"""Who voted, and what is silent: other names of fields, exclusions that match nothing, files given twice, odd names."""

import json
import random
from pathlib import Path

import pytest

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.filters import battle_filters, complaints, exclusion, user_limit

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"


def lines(battles):
    return "".join(json.dumps(one) + "\n" for one in battles)


def battle(number=0, **more):
    return {
        "model_a": "ab"[number % 2],
        "model_b": "ba"[number % 2],
        "winner": ("model_a", "model_b")[number % 3 % 2],
    } | more


def ratings(latxa, *arguments, stdin=None):
    done = latxa("arena-score", *arguments, stdin=stdin)
    records = [json.loads(line) for line in done.stdout.decode().splitlines()]
    findings = {record["finding"]: record for record in records if "finding" in record}
    return [record for record in records if "rating" in record], findings, done


@pytest.mark.parametrize("field", ["username", "worker", "annotator", "judge", "voter"])
def test_voters_under_other_names_are_users(latxa, tmp_path, field):
    """Users of one taste each: by vote, intervals would be too narrow."""
    random.seed(0)
    taste = [random.random() < 0.5 for _ in range(12)]
    battles = [battle(0, winner="model_a" if taste[n % 12] else "model_b", **{field: f"w{n % 12}"}) for n in range(240)]
    (tmp_path / "votes.jsonl").write_text(lines(battles))
    [first, _], findings, _ = ratings(latxa, tmp_path / "votes.jsonl")
    plain = [{name: value for name, value in one.items() if name != field} for one in battles]
    [narrow, _], *_ = ratings(latxa, stdin=lines(plain).encode())
    assert findings["design effect"]["clusters"] == 12
    assert findings["votes by one user"]["users"] == 12
    assert first["upper"] - first["lower"] > 2 * (narrow["upper"] - narrow["lower"])


def test_a_single_judge_is_no_voter_and_several_are():
    one = Tally(fields=("user",))
    list(one.count(battle(n, judge="chrF") for n in range(4)))
    assert "user" not in one.votes()[0].columns
    two = Tally(fields=("user",))
    list(two.count([battle(0, judge="j1"), battle(1, judge="j2"), battle(0, user="u", judge="j1")]))
    column = two.votes()[0].columns["user"]
    assert [column.names[code] for code in column.codes] == ["j1", "j2", "u"]


def test_other_names_are_seen_in_the_middle_of_a_file(latxa):
    battles = [battle(n, user=f"u{n % 5}") for n in range(50)] + [battle(n, worker=f"w{n % 5}") for n in range(50)]
    assert ratings(latxa, stdin=lines(battles).encode())[1]["votes by one user"]["users"] == 10


def test_where_nobody_is_named_that_is_said(latxa):
    done = latxa("arena-score", "--format", "table", stdin=lines(battle(n) for n in range(20)).encode())
    assert "intervals by vote" in done.stdout.decode()


def test_both_orders_of_a_pair_are_one_vote(latxa):
    once = [battle(0, winner=("model_a", "model_b", "model_b")[n % 3], prompt_id=f"p{n}") for n in range(60)]
    turned = [
        one | {"model_a": "b", "model_b": "a", "winner": {"model_a": "model_b", "model_b": "model_a"}[one["winner"]]}
        for one in once
    ]
    for flags in ((), ("--resample", "vote")):
        [first, _], *_ = ratings(latxa, "--interval", "sandwich", *flags, stdin=lines(once).encode())
        [twice, _], *_ = ratings(latxa, "--interval", "sandwich", *flags, stdin=lines(once + turned).encode())
        assert twice["rating"] == first["rating"]
        assert twice["upper"] == pytest.approx(first["upper"], rel=2e-3)


# --- what must not be silent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "text", "left_out"),
    [
        ("anony", False, "false", True), ("anony", False, "False", True), ("anony", True, "false", False),
        ("round", 7, "7", True), ("round", 7.0, "7", True), ("round", "7", "7", True), ("round", 70, "7", False),
        ("name", "False", "false", False),
    ],
)  # fmt: skip
def test_exclusions_are_spelled_as_json_or_as_python(field, value, text, left_out):
    assert bool(exclusion(field, text)(battle(0, **{field: value}))) == left_out


def test_an_exclusion_that_matches_nothing_is_told():
    filters = battle_filters(["anony=no", "nosuch=1", "model=a"])
    for one in (battle(0, anony=True), battle(1, anony=False)):
        for check in filters:
            check(one)
    told = complaints(filters)
    assert len(told) == 2
    assert "`anony` is `true`, `false`" in told[0]
    assert "no battle has a `nosuch`" in told[1]


@pytest.mark.parametrize("verb", [("arena-score",), ("arena-next", "-n", "2"), ("preferences",)])
def test_every_verb_tells_of_it(latxa, verb):
    done = latxa(*verb, "--exclude", "nosuch=1", stdin=lines([battle(0), battle(1)] * 3).encode())
    assert "`--exclude nosuch=1` leaves out nothing" in done.stderr.decode()


def test_the_limit_of_a_user_holds_for_other_names():
    check = user_limit(1)
    assert [bool(check(battle(0, worker="w"))) for _ in range(2)] == [False, True]


@pytest.mark.parametrize("verb", [("arena-score",), ("arena-next", "-n", "2"), ("preferences",)])
def test_a_file_given_twice_is_an_error_and_a_copy_is_told(latxa, tmp_path, verb):
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    for path in (one, other):
        path.write_text(lines(battle(n) for n in range(6)))
    (tmp_path / "link.jsonl").symlink_to(one)
    for again in (one, tmp_path / "link.jsonl"):
        done = latxa(*verb, one, again)
        assert done.returncode == 2 and "given twice" in done.stderr.decode()
    if verb[0] != "preferences":
        assert "its votes count twice" in latxa(*verb, one, other).stderr.decode()


def test_a_model_without_a_name_is_none(latxa):
    battles = [battle(0), battle(1), battle(0, model_a=""), battle(0, model_b="  ")]
    found, _, done = ratings(latxa, stdin=lines(battles).encode())
    assert [record["model"] for record in found] == ["a", "b"]
    assert "2 no name of a model" in done.stderr.decode()


def test_names_that_differ_in_case_spaces_or_form_are_told(latxa):
    battles = [battle(0, model_a=name) for name in ("GPT 4", "gpt 4 ", "é", "e\u0301", "gpt 5")]
    finding = ratings(latxa, stdin=lines(battles).encode())[1]["names alike"]
    assert finding["matters"] and finding["names"] == [["GPT 4", "gpt 4 "], ["e\u0301", "é"]]
    assert not ratings(latxa, stdin=lines([battle(0)]).encode())[1]["names alike"]["matters"]


def test_empty_input_is_not_sound(latxa):
    assert latxa("arena-score", "--strict", stdin=b"").returncode == 1
    assert latxa("arena-score", stdin=b"").returncode == 0


def test_models_that_beat_each_other_are_not_said_never_to_have_won(latxa):
    rows = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c"), ("a", "c"), ("b", "d")] * 5
    text = ratings(latxa, stdin=lines({"model_a": x, "model_b": y, "winner": "model_a"} for x, y in rows).encode())[1]
    assert "never won against the others" in text["infinite ratings"]["text"]


def test_of_one_user_nothing_is_separated(latxa):
    battles = [battle(0, winner="model_a" if n % 10 else "model_b", user="u") for n in range(200)]
    for interval in ("bootstrap", "sandwich"):
        [first, second], findings, _ = ratings(latxa, "--interval", interval, stdin=lines(battles).encode())
        assert first["lower"] is first["upper"] is None
        assert (first["rank_upper"], second["rank_lower"]) == (2, 1)
        assert findings["neighbours"]["neighbours"][0]["separated"] is False


# --- the shared cases ------------------------------------------------------------------------------------------------


def case(name):
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def test_judged_battles_are_taken_by_prompt(latxa, tmp_path):
    folder = case("arena-judged")
    battles = tmp_path / "battles.jsonl"
    assert latxa("judge", *sorted(folder.glob("r*.jsonl")), "-o", battles).returncode == 0
    found, findings, _ = ratings(latxa, battles)
    by_vote, *_ = ratings(latxa, battles, "--resample", "vote")
    assert findings["design effect"]["clusters"] == 80
    widths = [sum(one["upper"] - one["lower"] for one in records) for records in (found, by_vote)]
    assert widths[0] > 1.5 * widths[1]
    assert ratings(latxa, battles, "--resample", "vote")[1]["wider intervals"]["matters"]


def test_fifty_models_have_narrow_intervals(latxa):
    found, *_ = ratings(latxa, case("arena-covariance") / "battles.jsonl.zst", "--interval", "sandwich")
    assert len(found) == 50
    assert all(5 < one["upper"] - one["lower"] < 80 for one in found)


def test_headings_tell_blank_and_shared_values_apart(latxa):
    path = case("arena-by") / "votes.jsonl"
    done = latxa("arena-score", path, "--by", "user_language", "--by", "prompt_language", "--format", "csv")
    table = latxa("arena-score", path, "--by", "user_language", "--by", "prompt_language", "--format", "table")
    header = table.stdout.decode().splitlines()[0]
    assert 'rating user_language=""' in header and "rating prompt_language=eu" in header
    assert header.count("rating") == 1 + 3 + 2
    assert done.returncode == 0


def test_a_newcomer_of_four_votes_draws_nobody_into_tier_one(latxa, tmp_path):
    votes = CASES.parent / "reference" / "arena" / "ebaluatoia_battles.jsonl"
    if not votes.exists():
        pytest.skip(f"{votes} is not there")
    both = tmp_path / "votes.jsonl"
    both.write_bytes(votes.read_bytes() + (case("arena-newcomer") / "four_votes.jsonl").read_bytes())
    found, *_ = ratings(latxa, both)
    first = {one["model"] for one in found if one["tier"] == 1}
    assert first == {one["model"] for one in found if one["rank_lower"] == 1}
    assert "newcomer" in first and len(first) <= 5
    assert max(one["tier"] for one in found) >= 5


def test_a_prior_limits_what_the_sandwich_says(latxa):
    [first, _], *_ = ratings(latxa, case("arena-prior") / "a20.jsonl", "--prior", "1", "--interval", "sandwich")
    assert first["lower"] < 1150 and first["upper"] > 1500
    [first, _], *_ = ratings(latxa, case("arena-prior") / "a20.jsonl", "--prior", "1", "--rounds", "4000")
    assert first["lower"] == pytest.approx(1211, abs=10) and first["upper"] == pytest.approx(1783, abs=40)


def test_annotators_who_do_not_read_are_named(latxa):
    _, findings, _ = ratings(latxa, case("arena-annotators") / "battles.jsonl")
    kinds = [one.get("always") for one in findings["outlying annotators"]["users"]]
    assert [kinds.count(kind) for kind in ("model_a", "model_b", "tie")] == [4, 4, 4]
    assert 20 <= findings["outlying annotators"]["value"] <= 21  # and those at random and in reverse


def test_another_arenas_fields_are_read(latxa):
    path = case("arena-fields") / "arena.jsonl"
    _, findings, done = ratings(latxa, path, "--exclude", "anony=false", "--since", "2024-04-01")
    assert "excluded by anony" in done.stderr.decode() and "no timestamp" not in done.stderr.decode()
    assert findings["design effect"]["clusters"] > 10
