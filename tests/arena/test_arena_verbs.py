"""`latxa arena-next` and `latxa preferences`, the installed commands: what they share with `arena-score`, and more."""

import json
import random

import pytest

MODELS = ("m1", "m2", "m3")
DAYS = ("2026-03-18T12:00:00", "2026-03-19T00:00:00", "2026-03-20T12:00:00")


def votes_of(number=240, seed=0):
    """Votes of twenty users on three days, with conversations; the later model is better in language, not in all."""
    draw = random.Random(seed)
    for vote in range(number):
        a, b = draw.sample(MODELS, 2)
        better, worse = ("model_a", "model_b") if a > b else ("model_b", "model_a")
        turn = {"role": "user", "content": f"q{vote % 30}"}
        yield {
            "id": f"v{vote}", "model_a": a, "model_b": b, "user": f"u{vote % 20}", "timestamp": DAYS[vote % 3],
            "winner": draw.choice(["model_a", "model_b", "tie", "tie (bothbad)"]),
            "winner_language": draw.choice([better, better, better, worse]),
            "conversation_a": [turn, {"role": "assistant", "content": f"answer of {a}"}],
            "conversation_b": [turn, {"role": "assistant", "content": f"answer of {b}"}],
        }  # fmt: skip


VOTES = {vote["id"]: vote for vote in votes_of()}


@pytest.fixture(scope="module")
def votes(tmp_path_factory):
    path = tmp_path_factory.mktemp("verbs") / "battles.jsonl"
    path.write_text("".join(json.dumps(vote) + "\n" for vote in VOTES.values()))
    return path


@pytest.fixture
def done(latxa, votes):
    """`done(verb, *flags)`: the records that the verb makes of the votes, and what it said."""

    def run(*words, code=0):
        finished = latxa(words[0], votes, *words[1:])
        assert finished.returncode == code, finished.stderr.decode()
        return [json.loads(line) for line in finished.stdout.splitlines()], finished.stderr.decode()

    return run


def pairs_of(sheet):
    return {frozenset((record["model_a"], record["model_b"])) for record in sheet}


# --- arena-next -------------------------------------------------------------------------------------------------------


def test_battles_are_proposed_with_newcomers_first(done):
    sheet, _ = done("arena-next", "-n", "12", "--model", "new", "--model", "newer")
    assert len(sheet) == 12
    assert all(set(record) == {"model_a", "model_b", "gain", "reason"} for record in sheet)
    assert [record["reason"] for record in sheet] == ["bridge"] * 8 + ["contested"] * 4
    assert {"new", "newer"} <= {name for pair in pairs_of(sheet) for name in pair}


def test_what_is_counted_decides_what_is_proposed(done):
    plain, _ = done("arena-next", "-n", "6")
    assert plain == done("arena-next", "-n", "6", "--criterion", "winner")[0]
    seen = [
        done("arena-next", "-n", "6", *flags)
        for flags in (("--criterion", "winner_language"), ("--exclude", "model=m1"), ("--most-per-user", "3"),
                      ("--since", "2026-03-19"), ("--until", "2026-03-19"))
    ]  # fmt: skip
    assert [sheet != plain for sheet, _ in seen] == [True] * 5
    assert done("arena-next", "-n", "6", "--collapse")[0] == plain  # all votes say who won on the whole
    assert pairs_of(seen[1][0]) == {frozenset(("m2", "m3"))}
    assert "180 beyond 3 of the user" in seen[2][1]
    assert "80 too early" in seen[3][1] and "160 too late" in seen[4][1]
    seats = [done("arena-next", "-n", "6", "--seed", str(seed))[0] for seed in range(4)]
    assert any(sheet != plain for sheet in seats)


def test_proposals_come_in_every_format(latxa, votes):
    for form, head in (("csv", "model_a,model_b,gain,reason"), ("markdown", "| model_a | model_b | gain | reason |")):
        lines = latxa("arena-next", votes, "-n", "2", "--format", form).stdout.decode().splitlines()
        assert lines[0].split() == head.split()
        assert len(lines) == (3 if form == "csv" else 4)


def test_an_arena_without_votes_is_of_its_newcomers(latxa):
    assert latxa("arena-next", "-n", "3", stdin=b"").stdout == b""
    sheet = latxa("arena-next", "-n", "3", "--model", "a", "--model", "b", stdin=b"").stdout.splitlines()
    assert [json.loads(line)["reason"] for line in sheet] == ["bridge"] * 3


# --- preferences ------------------------------------------------------------------------------------------------------


def test_each_decided_battle_is_a_pair_and_the_others_are_set_aside_by_reason(done, tmp_path):
    pairs, said = done("preferences", "--rejects", tmp_path / "none.jsonl")
    decided = [name for name, vote in VOTES.items() if vote["winner"] in ("model_a", "model_b")]
    assert [pair["id"] for pair in pairs] == decided
    for pair in pairs:
        vote = VOTES[pair["id"]]
        chosen = vote["winner"].removeprefix("model_")
        rejected = "ab".replace(chosen, "")
        assert pair["prompt"] + pair["chosen"] == vote[f"conversation_{chosen}"]
        assert pair["prompt"] + pair["rejected"] == vote[f"conversation_{rejected}"]
        assert (pair["metadata"]["model_chosen"], pair["metadata"]["model_rejected"]) == (
            vote[f"model_{chosen}"], vote[f"model_{rejected}"]
        )  # fmt: skip
    rejects = [json.loads(line) for line in (tmp_path / "none.jsonl").read_text().splitlines()]
    for reason, verdict in (("tie", "tie"), ("both bad", "tie (bothbad)")):
        expected = [name for name, vote in VOTES.items() if vote["winner"] == verdict]
        assert [entry["record"]["id"] for entry in rejects if entry["reason"] == reason] == expected
        assert f"{len(expected)} {reason}" in said
    assert len(rejects) + len(pairs) == len(VOTES)


def test_pairs_are_of_the_criterion_and_of_what_is_not_left_out(done):
    pairs, _ = done("preferences", "--criterion", "winner_language")
    assert len(pairs) == len(VOTES)
    assert {pair["metadata"]["criterion"] for pair in pairs} == {"winner_language"}
    some, said = done("preferences", "--criterion", "winner_language", "--exclude", "user=u3", "--since", "2026-03-19")
    expected = [name for name, vote in VOTES.items() if vote["user"] != "u3" and vote["timestamp"] >= "2026-03-19"]
    assert [pair["id"] for pair in some] == expected
    assert "12 excluded by user" in said
    before, _ = done("preferences", "--criterion", "winner_language", "--until", "2026-03-19")
    assert [pair["id"] for pair in before] == [name for name, vote in VOTES.items() if vote["timestamp"] < "2026-03-19"]


def test_pairs_of_battles_without_an_id_are_named_by_what_they_hold(latxa):
    vote = {name: value for name, value in VOTES["v0"].items() if name not in ("id", "winner")} | {"winner": "model_a"}
    done = latxa("preferences", stdin=(json.dumps(vote) + "\n").encode() * 2)
    first, second = (json.loads(line)["id"] for line in done.stdout.splitlines())
    assert len(first) == 16 and second == f"{first}-2"


def test_battles_that_give_no_pair_at_all_are_a_failure(latxa):
    done = latxa("preferences", stdin=b'{"model_a": "a", "model_b": "b", "winner": "tie"}\n' * 3)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"3 tie" in done.stderr and b"nothing was kept" in done.stderr


# --- wrong usage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("arena-next",), ("arena-next", "-n", "0"), ("arena-next", "-n", "3", "--criterion", "other"),
        ("arena-next", "-n", "3", "--collapse", "--criterion", "winner_language"),
        ("arena-next", "-n", "3", "--exclude", "user"), ("arena-next", "-n", "3", "--since", "yesterday"),
        ("arena-next", "-n", "3", "--strict"), ("arena-score", "--next", "3"), ("arena-score", "--model", "new"),
        ("arena-score", "--preferences", "x.jsonl"), ("preferences", "--collapse"), ("preferences", "--exclude", "=u"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_one_line(latxa, votes, words):
    done = latxa(words[0], votes, *words[1:])
    assert (done.returncode, done.stdout) == (2, b"")
    errors = [line for line in done.stderr.decode().splitlines() if not line.startswith("hint: ")]
    assert len(errors) == 1 and errors[0].startswith("latxa: ")
