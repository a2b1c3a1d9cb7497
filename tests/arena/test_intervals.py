"""Intervals: bootstrap and sandwich agree with each other and with what is known, and cover the truth."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from latxa_cli.arena.clusters import ClusterCounts, Clusters, Dependence
from latxa_cli.arena.fits import sandwich as module
from latxa_cli.arena.fits.arithmetic import reachable
from latxa_cli.arena.fits.bradley_terry import SCALE
from latxa_cli.arena.fits.connectivity import core, islands, strongly_connected
from latxa_cli.arena.fits.sandwich import cluster_covariance, quantile, two_way, vote_covariance
from latxa_cli.arena.rankings.intervals import RatingMethod, bounds, rate, to_scale
from latxa_cli.arena.rankings.ranking import rank
from latxa_cli.arena.votes import A_WON, B_WON, TIE, Column, PairCounts, Votes, count
from latxa_cli.stream.errors import UsageError

INF = np.inf


def votes_of(*results, users=None):
    """Votes of (winner, loser, how often)."""
    models = sorted({model for result in results for model in result[:2]})
    times = [result[2] for result in results]
    a, b = (np.repeat([models.index(result[side]) for result in results], times) for side in (0, 1))
    columns = {} if users is None else {"user": Column(np.asarray(users), [f"u{n}" for n in range(max(users) + 1)])}
    return Votes(models, a, b, {"winner": np.zeros(len(a), np.int8)}, columns)


def simulated(random, theta, votes, tied=0.0, tastes=None, users=None):
    """Votes with a share of ties; `tastes`: (users, models) what each user adds to the strengths."""
    size = len(theta)
    a = random.integers(0, size, votes)
    b = (a + random.integers(1, size, votes)) % size
    gap = theta[a] - theta[b] + (0 if tastes is None else tastes[users, a] - tastes[users, b])
    won = random.random(votes) < 1 / (1 + np.exp(-gap))
    verdict = np.where(random.random(votes) < tied, TIE, np.where(won, A_WON, B_WON)).astype(np.int8)
    columns = {} if users is None else {"user": Column(users, [f"u{n}" for n in range(int(users.max()) + 1)])}
    return Votes([f"m{n}" for n in range(size)], a, b, {"winner": verdict}, columns)


def ranked(votes, **method):
    dependence = method.pop("dependence", None)
    interval = method.pop("interval", "bootstrap")
    return rank(votes, ["winner"], RatingMethod(**method), dependence=dependence, interval=interval)[0]


def bounds_of(ranking):
    return {record["model"]: (record["lower"], record["upper"]) for record in ranking.records()}


TRIANGLE = (("a", "b", 60), ("b", "a", 40), ("b", "c", 55), ("c", "b", 45), ("a", "c", 70), ("c", "a", 30))


# --- percentiles -----------------------------------------------------------------------------------------------------


def test_bounds_are_order_statistics():
    drawn = np.random.default_rng(0).permutation(np.arange(1.0, 100))[:, None]  # 1 … 99
    assert [float(bound[0]) for bound in bounds(drawn, 0.9)] == [5, 95]
    assert [float(bound[0]) for bound in bounds(drawn, 0.5)] == [25, 75]
    assert [float(bound[0]) for bound in bounds(drawn[:3], 0.9)] == [drawn[:3].min(), drawn[:3].max()]


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ([-INF] * 4, (5, 95)),
        ([-INF] * 5, (-INF, 95)),
        ([INF] * 5, (10, INF)),
        ([np.nan] * 5, (-INF, INF)),
        ([-INF] * 3 + [np.nan] * 2, (-INF, 97)),
    ],
)
def test_a_bound_beyond_which_too_many_rounds_lie_is_infinite(odd, expected):
    drawn = np.arange(1.0, 100)
    drawn[: len(odd)] = odd
    low, high = bounds(drawn[:, None], 0.9)
    assert (low[0], high[0]) == expected


def test_an_anchor_shifts_ratings_and_leaves_rounds_without_it_unknown():
    theta = np.array([0.0, 0.5, -0.5])
    assert to_scale(theta, "abc", None) == pytest.approx(1000 + SCALE * theta)
    assert to_scale(theta, "abc", ("b", 1200.0)) == pytest.approx(1200 + SCALE * (theta - 0.5))
    assert to_scale(theta, "abc", ("z", 1200.0)) == pytest.approx(1000 + SCALE * theta)
    rounds = to_scale(np.array([theta, [0.0, INF, 0.0]]), "abc", ("b", 1200.0))
    assert rounds[0, 1] == 1200
    assert np.isnan(rounds[1]).all()


# --- rounds ----------------------------------------------------------------------------------------------------------


def test_a_round_without_a_finite_fit_keeps_its_core_where_the_point_estimate_has_it():
    pairs = list(itertools.combinations(range(4), 2))
    counts = PairCounts(list("abcd"), *np.array(pairs).T, np.zeros((6, 4), np.int64))
    cells = np.zeros((2, 6, 4), np.int64)
    cells[:, :, :2] = 10
    cells[:, 0] = [15, 5, 0, 0]
    cells[1, [2, 4, 5], 0] = 0  # in the second round d has lost to nobody
    point = rate(counts, cells[:1], RatingMethod())[0]
    full, broken = rate(counts, cells, RatingMethod(), point)
    assert full == pytest.approx(point, abs=1e-9)
    assert broken[3] == INF
    assert broken[:3].mean() == pytest.approx(point[:3].mean())
    alone = rate(PairCounts(list("abc"), *np.array(pairs)[[0, 1, 3]].T, None), cells[1:, [0, 1, 3]], RatingMethod())[0]
    assert np.diff(broken[:3]) == pytest.approx(np.diff(alone), abs=1e-9)


def test_a_model_with_one_win_has_no_lower_bound_and_the_rest_keep_theirs():
    ranking = ranked(votes_of(*TRIANGLE, ("a", "new", 5), ("new", "a", 1)))
    found = bounds_of(ranking)
    assert found["new"][0] is None
    assert found["new"][1] is not None
    assert all(bound is not None for model in "abc" for bound in found[model])
    assert ranking.non_finite == pytest.approx(np.exp(-1), abs=0.05)  # the one win in n votes is not drawn: (1 - 1/n)^n
    mirrored = bounds_of(ranked(votes_of(*TRIANGLE, ("new", "a", 5), ("a", "new", 1))))
    assert [bound is None for bound in mirrored["new"]] == [False, True]


def test_two_models_without_a_majority_are_unbounded_both_ways():
    ranking = ranked(votes_of(("a", "b", 2), ("b", "a", 1)), rounds=300)
    assert set(bounds_of(ranking).values()) == {(None, None)}
    assert ranking.non_finite == pytest.approx(1 / 3, abs=0.09)
    bounded = ranked(votes_of(("a", "b", 2), ("b", "a", 1)), rounds=300, prior=1.0)
    assert bounded.non_finite == 0
    assert all(
        low < rating < high for (low, high), rating in zip(bounds_of(bounded).values(), bounded.ratings, strict=True)
    )


def test_the_mean_of_a_core_is_that_of_the_point_also_where_it_is_not_zero():
    """The one who is cut off in a round is the weakest: the others' mean is above that of all."""
    pairs = list(itertools.combinations(range(4), 2))
    counts = PairCounts(list("abcd"), *np.array(pairs).T, np.zeros((6, 4), np.int64))
    cells = np.zeros((1, 6, 4), np.int64)
    cells[0, :, :2] = [[15, 5], [11, 9], [18, 2], [7, 13], [16, 4], [17, 3]]
    point = rate(counts, cells, RatingMethod())[0]
    assert point[3] < -1
    lost = cells.copy()
    lost[0, [2, 4, 5], 1] = 0
    [drawn] = rate(counts, lost, RatingMethod(), point)
    assert drawn[3] == -INF
    assert drawn[:3].mean() == pytest.approx(point[:3].mean())
    assert drawn[:3].mean() == pytest.approx(-point[3] / 3)


def test_a_core_of_no_more_than_half_of_the_models_is_none():
    """Of four models two that beat each other are half: nobody is rated in such a round, three are."""
    pairs = list(itertools.combinations(range(4), 2))
    counts = PairCounts(list("abcd"), *np.array(pairs).T, np.zeros((6, 4), np.int64))
    half = np.array([[5, 5, 0, 0], *[[9, 0, 0, 0]] * 5])
    more = np.array([[5, 5, 0, 0], [5, 5, 0, 0], [9, 0, 0, 0], [5, 5, 0, 0], [9, 0, 0, 0], [9, 0, 0, 0]])
    first, second = rate(counts, np.stack([half, more]), RatingMethod(), np.zeros(4))
    assert not np.isfinite(first).any() and first[3] == -INF
    assert np.isfinite(second[:3]).all() and second[3] == -INF
    assert np.isfinite(rate(counts, half[None], RatingMethod())[0][:2]).all()  # of a point estimate two are enough


def test_the_seed_decides_what_a_prior_and_a_normal_distribution_draw():
    votes = votes_of(("a", "b", 9), ("b", "a", 4))
    for how in ({"prior": 1.0}, {"interval": "sandwich"}):
        one, same, other = (ranked(votes, rounds=30, seed=seed, **how).replicates for seed in (1, 1, 2))
        assert (one == same).all() and (one != other).any()
    assert (ranked(votes, rounds=30, seed=1, prior=1.0).replicates[:, 0] != one[:, 0]).any()
    sure = ranked(votes_of(("a", "b", 40)), rounds=30, seed=1, prior=1.0).replicates  # every round draws the same votes
    assert (sure != ranked(votes_of(("a", "b", 40)), rounds=30, seed=2, prior=1.0).replicates).all()


@pytest.mark.parametrize(("prior", "won", "lost"), [(1.0, 20, 0), (1.0, 4, 9), (4.0, 12, 0)])
def test_rounds_with_a_prior_are_those_of_a_beta_distribution(prior, won, lost):
    """Two models: the share of wins has about the distribution Beta(w + L/2, l + L/2); for L = 1 it is Jeffreys'."""
    ranking = ranked(votes_of(("a", "b", won), ("b", "a", lost)), rounds=6000, prior=prior)
    gap = ranking.replicates[:, 0] - ranking.replicates[:, 1]
    share = np.quantile(1 / (1 + np.exp(-gap)), [0.05, 0.25, 0.5, 0.75, 0.95])
    expected = beta.ppf([0.05, 0.25, 0.5, 0.75, 0.95], won + prior / 2, lost + prior / 2)
    assert np.log(share / (1 - share)) == pytest.approx(np.log(expected / (1 - expected)), abs=0.3)


@pytest.mark.parametrize("method", [{"confidence": 1.0}, {"confidence": float("nan")}, {"prior": -1}, {"prior": INF}])
def test_settings_that_cannot_be(method):
    with pytest.raises(UsageError):
        RatingMethod(**method)


def test_connectivity_agrees_with_walking_the_graph():
    graphs = np.random.default_rng(1).random((300, 6, 6)) < 0.25
    reach = reachable(graphs)
    for graph, found in zip(graphs, reach, strict=True):
        walked = np.eye(6, dtype=bool)
        for _ in range(6):
            walked = walked | (walked.astype(int) @ graph.astype(int) > 0)
        assert (walked == found).all()
    assert (strongly_connected(graphs) == reach.all(axis=(1, 2))).all()
    assert 0 < strongly_connected(graphs).sum() < 300
    members, outside = core(graphs)
    for which, counted, found in zip(members, outside, reach, strict=True):
        mutual = found & found.T
        assert which.sum() == (mutual.sum(axis=1).max() if mutual.sum() > 6 else 0)
        for model in np.flatnonzero(~which):
            if which.any():
                head = which.argmax()
                expected = INF if found[model, head] else -INF if found[head, model] else np.nan
            else:
                expected = INF if found[model].all() else -INF if found[:, model].all() else np.nan
            assert counted[model] == expected or (np.isnan(counted[model]) and np.isnan(expected))


def test_islands_come_by_their_battles_then_by_name():
    votes = votes_of(("x", "y", 3), ("p", "q", 2), ("a", "b", 2), ("k", "l", 7))
    counts = count(votes)[0]
    assert [[counts.models[model] for model in one] for one in islands(counts)] == [
        ["k", "l"], ["x", "y"], ["a", "b"], ["p", "q"]
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9, 17, 40])
def test_the_longest_chain_is_followed_to_its_end(size):
    chain = np.eye(size, k=1, dtype=bool)
    assert (reachable(chain[None])[0] == np.triu(np.ones((size, size), dtype=bool))).all()
    circle = chain | np.eye(size, k=1 - size, dtype=bool)
    assert strongly_connected(np.stack([chain, circle])).tolist() == [size == 1, True]
    assert strongly_connected(np.stack([chain.T, circle.T])).tolist() == [size == 1, True]


# --- widths ----------------------------------------------------------------------------------------------------------


def test_bounds_enclose_the_rating_and_widen_with_confidence():
    narrow, wide = (bounds_of(ranked(votes_of(*TRIANGLE), confidence=level)) for level in (0.5, 0.99))
    for model in "abc":
        assert wide[model][0] < narrow[model][0] < narrow[model][1] < wide[model][1]


@pytest.mark.parametrize("interval", ["bootstrap", "sandwich"])
def test_width_agrees_with_the_delta_method(interval):
    """Two models, n votes, share p: the log odds have the standard error 1 / sqrt(n p (1 - p))."""
    ranking = ranked(votes_of(("a", "b", 600), ("b", "a", 400)), rounds=4000, interval=interval)
    low, high = bounds_of(ranking)["a"]
    error = SCALE / 2 / np.sqrt(1000 * 0.6 * 0.4)  # half of the difference belongs to each
    assert (high - low) / 2 == pytest.approx(1.645 * error, rel=0.06)


def clustered(seed=3):
    random = np.random.default_rng(seed)
    users = random.integers(0, 60, 4000)
    theta = np.array([0.6, 0.2, 0.0, -0.8])
    return simulated(random, theta, 4000, 0.2, random.normal(0, 0.5, (60, 4)), users)


def test_sandwich_and_bootstrap_agree_by_vote_and_by_user():
    votes = clustered()
    errors = {}
    for unit in (None, Dependence.of(votes.columns["user"])):
        drawn = ranked(votes, rounds=3000, dependence=unit)
        sandwich = np.sqrt(np.diag(drawn.covariance))
        assert drawn.replicates.std(axis=0) == pytest.approx(sandwich, rel=0.08)
        smooth = ranked(votes, rounds=3000, dependence=unit, interval="sandwich")
        assert smooth.replicates.std(axis=0) == pytest.approx(sandwich, rel=0.05)
        errors[unit is None] = sandwich
    assert (errors[False] > 1.3 * errors[True]).all()  # users of a taste of their own


@pytest.mark.parametrize(("block", "heavy"), [(10, 0.0), (1 << 20, 0.0), (1 << 20, 9.0)])
def test_the_sandwich_by_user_is_the_sum_over_users_of_what_each_moves(monkeypatch, block, heavy):
    """Each user's gradient is that of the fit without the user, in one step; or as much larger as its share is."""
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(module, "PART", block)
    monkeypatch.setattr(module, "HEAVY", heavy)
    votes = clustered()
    counts, place = count(votes)
    theta = rate(counts, counts.cells[None], RatingMethod())[0]
    users = votes.columns["user"]
    chance = 1 / (1 + np.exp(theta[votes.b] - theta[votes.a]))
    score = np.array([1, 0, 0.5])[votes.verdicts["winner"]]
    gradients, curves = np.zeros((60, 4)), np.zeros((60, 4, 4))
    for user in range(60):
        for vote in np.flatnonzero(users.codes == user):
            step = np.zeros(4)
            step[votes.a[vote]], step[votes.b[vote]] = 1, -1
            gradients[user] += (score[vote] - chance[vote]) * step
            curves[user] += chance[vote] * (1 - chance[vote]) * np.outer(step, step)
    curve, plain, exact = curves.sum(axis=0), np.zeros((4, 4)), np.zeros((4, 4))
    for user in range(60):
        share = (users.codes == user).mean()
        without = np.linalg.pinv(curve - curves[user], hermitian=True, rcond=1e-9)
        moved = np.linalg.pinv(curve, hermitian=True, rcond=1e-9) @ gradients[user] / (1 - share)
        moved = without @ gradients[user] if not heavy else moved
        exact += np.outer(moved, moved) * 59 / 60
        moved = np.linalg.pinv(curve, hermitian=True, rcond=1e-9) @ gradients[user]
        plain += np.outer(moved, moved)
    clusters, pairs = ClusterCounts.of(Clusters.of(users), place, counts.cells.size), np.arange(len(counts.first))
    assert cluster_covariance(counts, theta, clusters, pairs) == pytest.approx(exact, rel=1e-5)
    assert cluster_covariance(counts, theta, clusters, pairs, exact=False) == pytest.approx(plain, rel=1e-6)
    assert np.trace(exact) > 1.01 * np.trace(plain)


def test_clusters_of_one_vote_are_votes():
    votes = clustered()
    counts, place = count(votes)
    theta = rate(counts, counts.cells[None], RatingMethod())[0]
    each = ClusterCounts.of(Clusters(np.arange(len(votes)), len(votes)), place, counts.cells.size)
    by_one = cluster_covariance(counts, theta, each, np.arange(len(counts.first)))
    assert by_one == pytest.approx(vote_covariance(counts, theta), rel=1e-3)


def test_two_ways_are_one_plus_the_other_less_both():
    one, other, both = np.diag([4.0, 2.0]), np.diag([1.0, 3.0]), np.diag([0.5, 0.5])
    assert two_way([one, other], both) == pytest.approx(np.diag([4.5, 4.5]))
    assert two_way([one, other], np.diag([3.0, 3.0])) == pytest.approx(one)  # no less than one way alone


def test_errors_have_students_distribution_by_few_clusters():
    assert quantile(0.9, np.inf) == pytest.approx(1.6449, abs=1e-4)
    assert quantile(0.9, 15) == pytest.approx(1.7613, abs=1e-4)
    assert quantile(0.9, 1) == np.inf
    users = Clusters(np.repeat([0, 1, 2], [2, 1, 1]), 3)
    assert users.effective(np.ones(4, bool)) == pytest.approx(16 / 6)
    assert users.effective(np.array([True, False, True, False])) == 2


def test_intervals_by_few_users_reach_further_than_their_rounds():
    votes = clustered()
    few = votes.where(votes.columns["user"].codes < 6)
    ranking = ranked(few, rounds=3000, dependence=Dependence.of(few.columns["user"]))
    low, high = bounds(ranking.replicate_ratings, 0.9)
    lower, upper = ranking.bounds()
    effective = ranking.reach.clusters
    factor = quantile(0.9, effective) / quantile(0.9, np.inf) * np.sqrt(effective / (effective - 1))
    assert 5 < effective < 6
    assert upper - ranking.ratings == pytest.approx((high - ranking.ratings) * factor)
    assert ranking.ratings - lower == pytest.approx((ranking.ratings - low) * factor)


def test_the_sandwichs_bounds_are_exact_and_relative_to_the_anchor():
    votes = clustered()
    ranking = ranked(votes, rounds=10, interval="sandwich", anchor=("m1", 1000.0))
    error = SCALE * quantile(0.9, np.inf)
    low, high = ranking.bounds()
    variance = ranking.covariance
    for model in (0, 2, 3):
        gap = variance[model, model] + variance[1, 1] - 2 * variance[model, 1]
        assert high[model] - low[model] == pytest.approx(2 * error * np.sqrt(gap))
    assert (low[1], high[1]) == (1000, 1000)


def test_a_model_of_one_user_alone_has_no_bounds():
    """All its battles are of one user, whose votes make its gradient zero, and so its error."""
    votes = clustered()
    own = (votes.a == 3) | (votes.b == 3)
    users = np.where(own, 60, votes.columns["user"].codes)
    names = [f"u{n}" for n in range(61)]
    votes = replace(votes, columns={"user": Column(users, names)})
    for interval in ("bootstrap", "sandwich"):
        of_model = bounds_of(ranked(votes, interval=interval, dependence=Dependence.of(votes.columns["user"])))
        assert of_model["m3"] == (None, None)
        assert None not in of_model["m0"]


def test_a_prior_counts_in_the_sandwich():
    """20 wins of 20, and half a win each way: B and H are those of 20.5 wins and half a loss."""
    [low, high] = bounds_of(ranked(votes_of(("a", "b", 20)), prior=1.0, interval="sandwich"))["a"]
    chance = 20.5 / 21
    spread = 20.5 * (1 - chance) ** 2 + 0.5 * chance**2
    error = np.sqrt(spread) / (21 * chance * (1 - chance)) / 2  # half of the difference is each one's
    assert (high - low) / 2 == pytest.approx(1.6449 * SCALE * error, rel=1e-3)


@pytest.mark.parametrize(("won", "lost"), [(20, 0), (1, 9), (3, 17)])
def test_with_a_prior_of_one_battle_rounds_are_jeffreys(won, lost):
    posterior = beta(won + 0.5, lost + 0.5)
    votes = votes_of(("a", "b", won), ("b", "a", lost)) if lost else votes_of(("a", "b", won))
    bounds = bounds_of(ranked(votes, prior=1.0, rounds=20_000))["a"]
    for bound, level in zip(bounds, (0.05, 0.95), strict=True):
        share = 1 / (1 + 10 ** (-(bound - 1000) / 200))
        assert posterior.cdf(share) == pytest.approx(level, abs=0.01)


@pytest.mark.parametrize("interval", ["bootstrap", "sandwich"])
def test_intervals_cover_the_truth_as_often_as_they_say(interval):
    """600 intervals at 0.9: the share of those that hold the truth has a standard error of about 0.012."""
    random = np.random.default_rng(0)
    theta = np.array([0.6, 0.2, -0.1, -0.7])
    covered = []
    for number in range(150):
        ranking = ranked(simulated(random, theta, 500), rounds=200, seed=number, interval=interval)
        low, high = ranking.bounds()
        truth = 1000 + SCALE * theta
        covered += ((low <= truth) & (truth <= high)).tolist()
    assert 0.86 < np.mean(covered) < 0.935
