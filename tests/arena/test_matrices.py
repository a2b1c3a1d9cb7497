"""Battles as matrices: wins, meetings, shares, and what cannot be counted."""

import json

import pytest

from latxa_cli.arena.matrices import Meetings


def battle(a, b, winner):
    return {"model_a": a, "model_b": b, "winner": winner}


def meetings_of(*battles):
    meetings = Meetings()
    assert list(meetings.add(battles)) == []
    return meetings


BATTLES = [
    battle("x", "y", "model_a"), battle("y", "x", "model_b"), battle("x", "y", "tie"), battle("z", "y", "model_b"),
    battle("y", "x", "tie (bothbad)"),
]  # fmt: skip


def test_wins_and_meetings_whoever_was_shown_first():
    won, met = meetings_of(*BATTLES).matrices(["x", "y", "z"])
    assert won.tolist() == [[0, 2, 0], [0, 0, 1], [0, 0, 0]]
    assert met.tolist() == [[0, 4, 0], [4, 0, 1], [0, 1, 0]]


def test_shares_are_of_all_battles_and_ties_are_won_by_neither():
    results = {result["model"]: (result["value"], result["n"]) for result in meetings_of(*BATTLES).results()}
    assert results == {"x": (0.5, 4), "y": (0.2, 5), "z": (0.0, 1)}


def test_given_models_come_first_and_the_rest_by_their_shares():
    meetings = meetings_of(*BATTLES)
    assert meetings.ordered() == ["x", "y", "z"]
    assert meetings.ordered(["z", "not there", "y"]) == ["z", "y", "x"]
    assert Meetings().ordered(["z"]) == []


def test_what_cannot_be_counted_is_rejected():
    meetings = Meetings()
    battles = [battle("x", "x", "tie"), battle("x", "y", None), battle("x", "y", ["a"]), battle("x", "y", "x")]
    reasons = [reject.reason for reject in meetings.add(battles)]
    assert reasons == ["self battle", "no verdict", "unknown verdict", "unknown verdict"]
    assert not meetings.met


def test_the_published_counts(shared_reference):
    lines = (shared_reference / "arena" / "ebaluatoia_battles.jsonl").read_bytes().splitlines()
    pairs = (shared_reference / "arena" / "ebaluatoia_pairs.jsonl").read_bytes().splitlines()
    meetings = meetings_of(*map(json.loads, lines))
    models = meetings.ordered()
    won, met = meetings.matrices(models)
    assert len(models) == 21 and met.sum() == 2 * 12_890
    for pair in map(json.loads, pairs):
        a, b = models.index(pair["model_a"]), models.index(pair["model_b"])
        assert (won[a, b], won[b, a], met[a, b]) == (pair["wins_a"], pair["wins_b"], pair["n"])


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_battles_changes_nothing(seed):
    import random

    shuffled = random.Random(seed).sample(BATTLES, len(BATTLES))
    assert list(meetings_of(*shuffled).results()) == list(meetings_of(*BATTLES).results())
