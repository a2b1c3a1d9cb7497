"""The Bradley-Terry fit against a second, slower algorithm, against published ratings, and where no fit is finite."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.intervals import Bootstrap
from latxa_cli.arena.ratings import SCALE, Wins, fit
from latxa_cli.arena.score import rate
from latxa_cli.stream.errors import LatxaError

MODELS = "abcde"
VERDICTS = ("model_a", "model_b", "tie", "tie (bothbad)")


def battle(model_a, model_b, winner):
    return {"model_a": model_a, "model_b": model_b, "winner": winner}


def votes_of(battles, criterion="winner"):
    tally = Tally(criterion)
    assert list(tally.count(battles)) == []
    return tally.votes()


def board_of(battles, **how):
    return rate(votes_of(battles), Bootstrap(**{"rounds": 50, **how})).ratings


def rating_of(board):
    return {record["model"]: record["rating"] for record in board}


def minorise_maximise(votes, prior=0.0, rounds=200_000):
    """Hunter, 2004, "MM algorithms for generalized Bradley-Terry models", Annals of Statistics 32: equation 3."""
    size = len(votes.models)
    wins, met = np.zeros((size, size)), np.zeros((size, size))
    for i, j, (first, second, ties) in zip(votes.first, votes.second, votes.counts, strict=True):
        wins[i, j] += first + ties / 2 + prior / 2
        wins[j, i] += second + ties / 2 + prior / 2
        met[i, j] = met[j, i] = first + second + ties + prior
    strength = np.ones(size)
    for _ in range(rounds):
        new = wins.sum(axis=1) / (met / (strength[:, None] + strength[None, :])).sum(axis=1)
        new /= np.exp(np.log(new).mean())
        if np.abs(np.log(new / strength)).max() < 1e-15:
            break
        strength = new
    return np.log(strength)


pairs = st.tuples(st.sampled_from(MODELS), st.sampled_from(MODELS)).filter(lambda pair: pair[0] != pair[1])
arenas = st.lists(st.builds(lambda pair, winner: battle(*pair, winner), pairs, st.sampled_from(VERDICTS)), min_size=1)
# A round of ties among all models keeps every rating finite.
ring = [battle(a, b, "tie") for a, b in zip(MODELS, MODELS[1:] + MODELS[:1], strict=True)]


@settings(max_examples=60, deadline=None)
@given(arenas, st.sampled_from([0.0, 0.5, 3.0]))
def test_newton_and_minorise_maximise_agree(battles, prior):
    votes = votes_of(battles + ring)
    newton = fit(votes, Wins.of(votes.counts[None], prior))[0]
    assert newton == pytest.approx(minorise_maximise(votes, prior), abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(arenas, st.randoms())
def test_order_position_and_copies_of_votes_change_nothing(battles, random):
    battles = battles + ring
    expected = rating_of(board_of(battles))
    turned = {"model_a": "model_b", "model_b": "model_a"}
    swapped = [battle(b["model_b"], b["model_a"], turned.get(b["winner"], b["winner"])) for b in battles]
    random.shuffle(swapped)
    assert rating_of(board_of(swapped + battles)) == pytest.approx(expected, abs=2e-6)
    assert np.mean(list(expected.values())) == pytest.approx(1000, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(arenas)
def test_renaming_the_models_renames_the_ratings(battles):
    names = dict(zip(MODELS, reversed(MODELS), strict=True))
    renamed = [battle(names[b["model_a"]], names[b["model_b"]], b["winner"]) for b in battles + ring]
    expected = {names[model]: rating for model, rating in rating_of(board_of(battles + ring)).items()}
    assert rating_of(board_of(renamed)) == pytest.approx(expected, abs=2e-6)


def test_two_models_by_hand():
    board = board_of([battle("a", "b", "model_a")] * 3 + [battle("b", "a", "model_a")])
    assert [record["model"] for record in board] == ["a", "b"]
    assert board[0]["rating"] - board[1]["rating"] == pytest.approx(SCALE * np.log(3), abs=1e-5)
    assert [record["battles"] for record in board] == [4, 4]


def test_ten_to_one_is_four_hundred_points():
    board = board_of([battle("a", "b", "model_a")] * 10 + [battle("a", "b", "model_b")])
    assert board[0]["rating"] - board[1]["rating"] == pytest.approx(400, abs=1e-5)


def test_both_kinds_of_tie_are_half_wins():
    plain = board_of([battle("a", "b", "model_a"), battle("a", "b", "tie")])
    bad = board_of([battle("a", "b", "model_a"), battle("a", "b", "tie (bothbad)")])
    assert plain == bad
    assert plain[0]["rating"] - plain[1]["rating"] == pytest.approx(SCALE * np.log(3), abs=1e-5)


def test_equal_ratings_share_a_rank():
    board = board_of(
        [battle("a", "b", "tie"), battle("a", "c", "model_a"), battle("b", "c", "model_a"), *ring_of("abc")]
    )
    assert [(record["model"], record["rank"]) for record in board] == [("a", 1), ("b", 1), ("c", 3)]


def ring_of(models):
    return [battle(a, b, "tie") for a, b in zip(models, models[1:] + models[:1], strict=True)]


def test_a_chain_of_uneven_pairs_converges():
    models = [f"m{number:03}" for number in range(60)]
    battles = []
    for better, worse in itertools.pairwise(models):
        battles += [battle(better, worse, "model_a")] * 999 + [battle(better, worse, "model_b")]
    board = board_of(battles, rounds=2)
    gaps = -np.diff([record["rating"] for record in board])
    assert gaps == pytest.approx(SCALE * np.log(999), abs=1e-4)


@pytest.mark.parametrize(
    ("battles", "message"),
    [
        ([battle("a", "b", "model_a")], "`a` never lost to the others"),
        ([*ring_of("abc"), battle("a", "d", "model_a")], "`d` never won against the others"),
        ([*ring_of("abc"), battle("d", "a", "model_a"), battle("e", "a", "model_a")], "`d`, `e` never lost"),
        ([*ring_of("abc"), battle("x", "y", "tie")], "2 groups that never met: `x`, `y` fought none"),
    ],
)
def test_where_no_fit_is_finite_the_models_are_named(battles, message):
    with pytest.raises(LatxaError, match=message):
        board_of(battles)


def test_a_prior_makes_an_unbeaten_model_finite_but_joins_no_islands():
    board = board_of([battle("a", "b", "model_a")], prior=1)
    assert board[0]["rating"] - board[1]["rating"] == pytest.approx(SCALE * np.log(3), abs=1e-5)
    with pytest.raises(LatxaError, match="never met"):
        board_of([battle("a", "b", "tie"), battle("c", "d", "tie")], prior=1)


def test_all_ties_rate_all_models_alike():
    board = board_of(ring * 20)
    assert {(record["rating"], record["lower"], record["upper"], record["rank"]) for record in board} == {
        (1000.0, 1000.0, 1000.0, 1)
    }


def test_no_votes_give_an_empty_board():
    assert board_of([]) == []


def test_the_published_arena(shared_reference):
    """Ratings of Ebaluatoia: the maximum-likelihood values behind the paper's table, and the table's own integers."""
    folder = shared_reference / "arena"
    lines = (folder / "ebaluatoia_battles.jsonl").read_text().splitlines()
    expected = json.loads((folder / "ebaluatoia_reference.json").read_text())["models"]
    board = board_of([json.loads(line) for line in lines], rounds=1000)
    assert len(board) == len(expected) == 21
    for record in board:
        known = expected[record["model"]]
        assert record["rating"] == pytest.approx(known["elo_point_bt_halfwin"], abs=5.1e-5)  # it has four decimals
        assert abs(record["rating"] - known["published"]["elo"]) < 2
        assert record["battles"] == known["n_battles"]
        assert [record["lower"], record["upper"]] == pytest.approx(known["ci90_sandwich"], abs=2)
    assert [record["rank"] for record in board] == list(range(1, 22))
