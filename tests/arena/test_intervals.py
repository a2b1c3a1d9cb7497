"""Bootstrap intervals: repeatable, of the right width, and honest about rounds without finite ratings."""

import numpy as np
import pytest

from latxa_cli.arena import intervals as module
from latxa_cli.arena.battles import Tally
from latxa_cli.arena.connectivity import reachable, strongly_connected
from latxa_cli.arena.intervals import Bootstrap
from latxa_cli.arena.score import rate
from latxa_cli.stream.errors import UsageError


def votes_of(*results):
    """Votes of (winner, loser, how often)."""
    tally = Tally()
    for winner, loser, times in results:
        assert not list(tally.count([{"model_a": winner, "model_b": loser, "winner": "model_a"}] * times))
    return tally.votes()


TRIANGLE = (("a", "b", 60), ("b", "a", 40), ("b", "c", 55), ("c", "b", 45), ("a", "c", 70), ("c", "a", 30))


def test_the_seed_decides_and_batches_do_not(monkeypatch):
    votes = votes_of(*TRIANGLE)
    first = rate(votes, Bootstrap(rounds=200, seed=7))
    assert rate(votes, Bootstrap(rounds=200, seed=7)) == first
    assert rate(votes, Bootstrap(rounds=200, seed=8)) != first
    monkeypatch.setattr(module, "BATCH_BYTES", 1000)
    assert rate(votes, Bootstrap(rounds=200, seed=7)) == first


def test_bounds_enclose_the_rating_and_widen_with_confidence():
    votes = votes_of(*TRIANGLE)
    narrow, wide = (rate(votes, Bootstrap(rounds=500, confidence=level)).ratings for level in (0.5, 0.99))
    for inner, outer in zip(narrow, wide, strict=True):
        assert outer["lower"] < inner["lower"] < inner["rating"] < inner["upper"] < outer["upper"]


def test_width_agrees_with_the_delta_method():
    """Two models, n votes, share p: the log odds have the standard error 1 / sqrt(n p (1 - p))."""
    board = rate(votes_of(("a", "b", 600), ("b", "a", 400)), Bootstrap(rounds=4000)).ratings
    half_width = (board[0]["upper"] - board[0]["lower"]) / 2
    error = 400 / np.log(10) / 2 / np.sqrt(1000 * 0.6 * 0.4)  # half of the difference belongs to each
    assert half_width == pytest.approx(1.645 * error, rel=0.06)


def test_intervals_cover_the_truth_as_often_as_they_say():
    random = np.random.default_rng(0)
    theta = np.array([0.6, 0.2, -0.1, -0.7])
    covered = []
    for number in range(150):
        results = []
        for i in range(4):
            for j in range(i + 1, 4):
                won = int(random.binomial(80, 1 / (1 + np.exp(theta[j] - theta[i]))))
                results += [("abcd"[i], "abcd"[j], won), ("abcd"[j], "abcd"[i], 80 - won)]
        board = rate(votes_of(*results), Bootstrap(rounds=200, seed=number)).ratings
        for record in board:
            truth = 1000 + 400 / np.log(10) * theta["abcd".index(record["model"])]
            covered.append(record["lower"] <= truth <= record["upper"])
    assert 0.86 < np.mean(covered) < 0.93


def test_a_model_with_one_win_has_no_lower_bound_and_the_rest_keep_theirs():
    board = rate(votes_of(*TRIANGLE, ("a", "new", 5), ("new", "a", 1)), Bootstrap(rounds=1000))
    bounds = {record["model"]: (record["lower"], record["upper"]) for record in board.ratings}
    assert bounds["new"][0] is None
    assert bounds["new"][1] is not None
    assert all(bound is not None for model in "abc" for bound in bounds[model])
    assert board.non_finite == pytest.approx(np.exp(-1), abs=0.05)  # the one win in n votes is not drawn: (1 - 1/n)^n


def test_the_mirror_image_has_no_upper_bound():
    board = rate(votes_of(*TRIANGLE, ("new", "a", 5), ("a", "new", 1)), Bootstrap(rounds=1000))
    bounds = {record["model"]: (record["lower"], record["upper"]) for record in board.ratings}
    assert bounds["new"][1] is None
    assert bounds["new"][0] is not None


def test_two_models_without_a_majority_are_unbounded_both_ways():
    board = rate(votes_of(("a", "b", 2), ("b", "a", 1)), Bootstrap(rounds=300))
    assert {(record["lower"], record["upper"]) for record in board.ratings} == {(None, None)}
    assert board.non_finite == pytest.approx(1 / 3, abs=0.09)


def test_with_a_prior_every_round_is_finite():
    board = rate(votes_of(("a", "b", 2), ("b", "a", 1)), Bootstrap(rounds=300, prior=1))
    assert board.non_finite == 0
    assert all(record["lower"] < record["rating"] < record["upper"] for record in board.ratings)


def test_connectivity_agrees_with_walking_the_graph():
    random = np.random.default_rng(1)
    graphs = random.random((300, 6, 6)) < 0.25
    reach = reachable(graphs)
    for graph, found in zip(graphs, reach, strict=True):
        walked = np.eye(6, dtype=bool)
        for _ in range(6):
            walked = walked | (walked.astype(int) @ graph.astype(int) > 0)
        assert (walked == found).all()
    assert (strongly_connected(graphs) == reach.all(axis=(1, 2))).all()
    assert 0 < strongly_connected(graphs).sum() < 300


@pytest.mark.parametrize("how", [{"confidence": 1.0}, {"confidence": float("nan")}, {"prior": -1}, {"prior": np.inf}])
def test_settings_that_cannot_be(how):
    with pytest.raises(UsageError):
        Bootstrap(**how)
