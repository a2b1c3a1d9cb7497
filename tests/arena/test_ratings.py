"""The Bradley-Terry fit against a second, slower algorithm, published ratings, and under what must not matter."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from ballots import MODELS, arenas, counts_of, published, redrawn, ring_of
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.arena.fits.bradley_terry import SCALE, Wins, covariance, fit, hessian, to_ratings, vote_spread
from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, TIE
from latxa_cli.stream.errors import LatxaError

ring = ring_of(MODELS)


def strengths(counts, prior=0.0):
    return fit(counts, Wins.of(counts.cells[None], prior))[0]


def minorise_maximise(counts, prior=0.0, rounds=200_000):
    """Hunter, 2004, "MM algorithms for generalized Bradley-Terry models", Annals of Statistics 32: equation 3."""
    size = len(counts.models)
    wins, met = np.zeros((size, size)), np.zeros((size, size))
    for i, j, (first, second, ties, bad) in zip(counts.first, counts.second, counts.cells, strict=True):
        wins[i, j] += first + (ties + bad + prior) / 2
        wins[j, i] += second + (ties + bad + prior) / 2
        met[i, j] = met[j, i] = first + second + ties + bad + prior
    strength = np.ones(size)
    for _ in range(rounds):
        new = wins.sum(axis=1) / (met / (strength[:, None] + strength[None, :])).sum(axis=1)
        new /= np.exp(np.log(new).mean())
        if np.abs(np.log(new / strength)).max() < 1e-15:
            break
        strength = new
    return np.log(strength)


@settings(max_examples=60)
@given(arenas, st.sampled_from([0.0, 0.5, 3.0]))
def test_newton_and_minorise_maximise_agree(battles, prior):
    counts = counts_of(battles + ring)
    assert strengths(counts, prior) == pytest.approx(minorise_maximise(counts, prior), abs=1e-8)


@settings(max_examples=40)
@given(arenas, st.randoms())
def test_order_position_and_copies_of_votes_change_nothing(battles, random):
    battles = battles + ring
    expected = strengths(counts_of(battles))
    turned = {A_WON: B_WON, B_WON: A_WON}
    swapped = [(b, a, turned.get(verdict, verdict)) for a, b, verdict in battles]
    random.shuffle(swapped)
    assert strengths(counts_of(swapped + battles)) == pytest.approx(expected, abs=1e-12)
    assert expected.mean() == pytest.approx(0, abs=1e-12)


@settings(max_examples=40)
@given(arenas, st.permutations(MODELS))
def test_renaming_the_models_renames_the_ratings(battles, names):
    new = dict(zip(MODELS, names, strict=True))
    renamed = strengths(counts_of([(new[a], new[b], verdict) for a, b, verdict in battles + ring]))
    expected = strengths(counts_of(battles + ring))
    assert [renamed[MODELS.index(name)] for name in names] == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40)
@given(arenas, st.lists(st.floats(-3, 3), min_size=5, max_size=5))
def test_where_the_search_starts_changes_nothing(battles, start):
    counts = counts_of(battles + ring)
    wins = Wins.of(counts.cells[None])
    assert fit(counts, wins, start=np.array(start))[0] == pytest.approx(fit(counts, wins)[0], abs=1e-10)


def test_two_models_by_hand():
    three_to_one = strengths(counts_of([("a", "b", A_WON)] * 3 + [("b", "a", A_WON)], "ab"))
    assert three_to_one == pytest.approx([np.log(3) / 2, -np.log(3) / 2])


def test_ten_to_one_is_four_hundred_points():
    ratings = to_ratings(strengths(counts_of([("a", "b", A_WON)] * 10 + [("b", "a", A_WON)], "ab")))
    assert ratings == pytest.approx([1200, 800], abs=1e-9)


@pytest.mark.parametrize("tie", [TIE, BOTH_BAD])
def test_both_kinds_of_tie_are_half_wins(tie):
    apart = strengths(counts_of([("a", "b", A_WON), ("a", "b", tie)], "ab"))
    assert apart == pytest.approx([np.log(3) / 2, -np.log(3) / 2])


def test_all_ties_rate_all_models_alike():
    assert strengths(counts_of(ring * 20)) == pytest.approx(np.zeros(5), abs=1e-15)


def test_a_prior_makes_an_unbeaten_model_finite():
    one = counts_of([("a", "b", A_WON)], "ab")
    assert strengths(one, prior=1) == pytest.approx([np.log(3) / 2, -np.log(3) / 2])


def test_an_unbeaten_model_is_not_given_a_rating():
    with pytest.raises(LatxaError, match="do not settle"):
        strengths(counts_of([*ring_of("abc"), ("a", "d", A_WON)], "abcd"))


def test_one_model_and_none():
    for size in (0, 1):
        counts = counts_of([], "a"[:size])
        assert fit(counts, Wins.of(np.zeros((2, 0, 4), dtype=np.int64))).tolist() == [[0.0] * size] * 2


def test_a_chain_of_uneven_pairs_converges():
    models = [f"m{number:03}" for number in range(60)]
    battles = []
    for better, worse in itertools.pairwise(models):
        battles += [(better, worse, A_WON)] * 999 + [(better, worse, B_WON)]
    assert -np.diff(strengths(counts_of(battles, models))) == pytest.approx(np.log(999), abs=1e-9)


def test_models_left_out_are_as_if_they_had_not_been_there():
    counts = counts_of([("a", "b", A_WON), ("c", "d", A_WON), ("d", "e", A_WON), *ring, *ring_of("abc")])
    members = np.array([[True, True, True, False, False], [True] * 5])
    wins = Wins.of(np.stack([counts.cells, counts.cells]))
    some, all_of_them = fit(counts, wins, members, start=np.arange(5.0))
    inside, _ = counts.among(np.arange(3))
    assert some == pytest.approx([*strengths(inside), 0, 0], abs=1e-12)
    assert all_of_them == pytest.approx(strengths(counts), abs=1e-12)


def test_rounds_are_fitted_each_on_its_own_votes(shared_reference):
    counts = published(shared_reference)
    cells = redrawn(counts, 100)
    together = fit(counts, Wins.of(cells), start=strengths(counts))
    for number in (0, 36, 37, 99):
        assert together[number] == pytest.approx(strengths(replace(counts, cells=cells[number])), abs=1e-11)


def test_the_published_arena(shared_reference):
    """Ratings of Ebaluatoia: the maximum-likelihood values behind the paper's table, and the table's own integers."""
    counts = published(shared_reference)
    text = (shared_reference / "arena" / "ebaluatoia_reference.json").read_text()
    known = [json.loads(text)["models"][model] for model in counts.models]
    assert len(known) == 21
    theta = strengths(counts)
    ratings = to_ratings(theta)
    errors = SCALE * np.sqrt(np.diag(covariance(counts, theta, vote_spread(counts, theta))))
    assert ratings == pytest.approx([model["elo_point_bt_halfwin"] for model in known], abs=5.1e-5)  # four decimals
    assert ratings == pytest.approx([model["published"]["elo"] for model in known], abs=2)
    assert errors == pytest.approx([model["se_sandwich"] for model in known], abs=5.1e-5)
    assert counts.battles.tolist() == [model["n_battles"] for model in known]


@pytest.mark.parametrize("models", [3, 60])
def test_the_sandwich_vote_by_vote(models):
    """H and B as sums over votes; of many models the inverse must leave out the sum of all strengths alone."""
    random = np.random.default_rng(0)
    names = [f"m{number:02}" for number in range(models)]
    drawn = random.integers(0, 4, 5 * models**2)
    battles = [(*random.choice(names, 2, replace=False).tolist(), int(verdict)) for verdict in drawn]
    counts = counts_of(battles, names)
    theta = strengths(counts)
    curve, middle = np.zeros((models, models)), np.zeros((models, models))
    for a, b, verdict in battles:
        step = np.zeros(models)
        step[names.index(a)], step[names.index(b)] = 1, -1
        chance = 1 / (1 + np.exp(-step @ theta))
        curve += chance * (1 - chance) * np.outer(step, step)
        middle += ([1, 0, 0.5, 0.5][verdict] - chance) ** 2 * np.outer(step, step)
    assert hessian(counts, theta) == pytest.approx(curve, abs=1e-9)
    assert vote_spread(counts, theta) == pytest.approx(middle, abs=1e-9)
    ones = np.ones((models, models)) / models
    inverse = np.linalg.inv(curve + ones) - ones  # the pseudo-inverse, since the rows of the Laplacian have the sum 0
    assert covariance(counts, theta, middle) == pytest.approx(inverse @ middle @ inverse, rel=1e-6, abs=1e-12)


def test_who_has_beaten_whom():
    """A win, or a share of one: a tie is won by both."""
    cells = [("a", "b", A_WON), ("b", "c", B_WON), ("c", "d", TIE), ("d", "e", BOTH_BAD)]
    graph = Wins.of(counts_of(cells).cells[None]).beats(counts_of(cells))[0]
    assert [(MODELS[i], MODELS[j]) for i, j in np.argwhere(graph)] == [
        ("a", "b"), ("c", "b"), ("c", "d"), ("d", "c"), ("d", "e"), ("e", "d")
    ]  # fmt: skip
