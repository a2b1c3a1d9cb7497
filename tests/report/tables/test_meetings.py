"""Battles as matrices: wins, meetings and shares, as the arena counts them."""

import json

import numpy as np
import pytest

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.votes import count
from latxa_cli.report.tables.meetings import Meetings


def battle(a, b, winner):
    return {"model_a": a, "model_b": b, "winner": winner}


def meetings_of(*battles):
    tally = Tally()
    assert list(tally.count(battles)) == []
    counts = count(tally.votes()[0])[0]
    return Meetings(counts.models, *counts.matrices())


BATTLES = [
    battle("x", "y", "model_a"), battle("y", "x", "model_b"), battle("x", "y", "tie"), battle("z", "y", "model_b"),
    battle("y", "x", "tie (bothbad)"),
]  # fmt: skip


def test_wins_and_meetings_whoever_was_shown_first():
    meetings = meetings_of(*BATTLES)
    assert meetings.models == ["x", "y", "z"]
    assert meetings.won.tolist() == [[0, 2, 0], [0, 0, 1], [0, 0, 0]]
    assert meetings.met.tolist() == [[0, 4, 0], [4, 0, 1], [0, 1, 0]]


def test_shares_are_of_all_battles_and_ties_are_half_wins():
    results = list(meetings_of(*BATTLES).win_rates())
    assert {result["model"]: (result["value"], result["n"]) for result in results} == {
        "x": (0.75, 4), "y": (0.4, 5), "z": (0.0, 1),
    }  # fmt: skip
    assert all((result["task"], result["metric"]) == ("win rate", "win_rate") for result in results)
    assert [result["model"] for result in results] == ["x", "y", "z"], "best first"


def test_equal_shares_stand_by_name_and_models_without_a_battle_have_none():
    draws = Meetings(["c", "idle", "b", "a"], np.zeros((4, 4)), np.ones((4, 4)) - np.eye(4)[1] - np.eye(4)[:, [1]])
    draws.met[1, :] = draws.met[:, 1] = 0
    assert [result["model"] for result in draws.win_rates()] == ["a", "b", "c"]
    assert draws.in_order().models == ["a", "b", "c"]


def test_given_models_come_first_and_the_rest_by_their_shares():
    meetings = meetings_of(*BATTLES)
    assert meetings.in_order().models == ["x", "y", "z"]
    ordered = meetings.in_order(["z", "not there", "y"])
    assert ordered.models == ["z", "y", "x"]
    assert ordered.won.tolist() == [[0, 0, 0], [1, 0, 0], [0, 2, 0]]
    assert ordered.met.tolist() == [[0, 1, 0], [1, 0, 4], [0, 4, 0]]
    assert meetings_of().in_order(["z"]).models == [] and list(meetings_of().win_rates()) == []


def test_the_published_counts(shared_reference):
    lines = (shared_reference / "arena" / "ebaluatoia_battles.jsonl").read_bytes().splitlines()
    pairs = (shared_reference / "arena" / "ebaluatoia_pairs.jsonl").read_bytes().splitlines()
    meetings = meetings_of(*map(json.loads, lines)).in_order()
    models, won, met = meetings.models, meetings.won, meetings.met
    assert len(models) == 21 and met.sum() == 2 * 12_890
    for pair in map(json.loads, pairs):
        a, b = models.index(pair["model_a"]), models.index(pair["model_b"])
        assert (won[a, b], won[b, a], met[a, b]) == (pair["wins_a"], pair["wins_b"], pair["n"])


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_battles_changes_nothing(seed):
    import random

    shuffled = random.Random(seed).sample(BATTLES, len(BATTLES))
    assert list(meetings_of(*shuffled).win_rates()) == list(meetings_of(*BATTLES).win_rates())
