"""Battles as matrices: wins, meetings and shares."""

import json

import pytest

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.matrices import in_order, matrices, win_rates
from latxa_cli.arena.votes import count


def battle(a, b, winner):
    return {"model_a": a, "model_b": b, "winner": winner}


def counts_of(*battles):
    tally = Tally()
    assert list(tally.count(battles)) == []
    return count(tally.votes()[0])[0]


BATTLES = [
    battle("x", "y", "model_a"), battle("y", "x", "model_b"), battle("x", "y", "tie"), battle("z", "y", "model_b"),
    battle("y", "x", "tie (bothbad)"),
]  # fmt: skip


def test_wins_and_meetings_whoever_was_shown_first():
    won, met = matrices(counts_of(*BATTLES), ["x", "y", "z"])
    assert won.tolist() == [[0, 2, 0], [0, 0, 1], [0, 0, 0]]
    assert met.tolist() == [[0, 4, 0], [4, 0, 1], [0, 1, 0]]


def test_shares_are_of_all_battles_and_ties_are_won_by_neither():
    results = {result["model"]: (result["value"], result["n"]) for result in win_rates(counts_of(*BATTLES))}
    assert results == {"x": (0.5, 4), "y": (0.2, 5), "z": (0.0, 1)}


def test_given_models_come_first_and_the_rest_by_their_shares():
    counts = counts_of(*BATTLES)
    assert in_order(counts) == ["x", "y", "z"]
    assert in_order(counts, ["z", "not there", "y"]) == ["z", "y", "x"]
    won, _ = matrices(counts, ["z", "y", "x"])
    assert won.tolist() == [[0, 0, 0], [1, 0, 0], [0, 2, 0]]
    assert in_order(counts_of(), ["z"]) == [] and list(win_rates(counts_of())) == []


def test_the_published_counts(shared_reference):
    lines = (shared_reference / "arena" / "ebaluatoia_battles.jsonl").read_bytes().splitlines()
    pairs = (shared_reference / "arena" / "ebaluatoia_pairs.jsonl").read_bytes().splitlines()
    counts = counts_of(*map(json.loads, lines))
    models = in_order(counts)
    won, met = matrices(counts, models)
    assert len(models) == 21 and met.sum() == 2 * 12_890
    for pair in map(json.loads, pairs):
        a, b = models.index(pair["model_a"]), models.index(pair["model_b"])
        assert (won[a, b], won[b, a], met[a, b]) == (pair["wins_a"], pair["wins_b"], pair["n"])


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_battles_changes_nothing(seed):
    import random

    shuffled = random.Random(seed).sample(BATTLES, len(BATTLES))
    assert list(win_rates(counts_of(*shuffled))) == list(win_rates(counts_of(*BATTLES)))
