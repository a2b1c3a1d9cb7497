"""Estimates, tests, the bootstrap and power, against other implementations and against what is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from latxa_cli.comparison import estimates, resampling
from latxa_cli.comparison.estimates import Table, estimate, score_interval
from latxa_cli.comparison.pairing import Paired
from latxa_cli.comparison.power import detectable, items_for
from latxa_cli.comparison.resampling import resampled
from latxa_cli.comparison.significance import holm, mcnemar, sign_flips

COUNTS = st.integers(0, 400)


def paired(mine: object, theirs: object, clusters: object = None, seeds: int = 1) -> Paired:
    scores = [np.asarray(side, float).reshape(len(side), -1) for side in (mine, theirs)]  # type: ignore[arg-type]
    count = len(scores[0])
    codes = None if clusters is None else np.asarray(clusters)
    draws = tuple(range(seeds)) if seeds > 1 else ()
    return Paired(*scores, np.ones(count), codes, np.zeros((count, 3), np.int64), draws, 0, 0, 0, ())


@given(COUNTS, COUNTS)
def test_mcnemar_is_the_exact_binomial_test(won: int, lost: int) -> None:
    expected = stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar(won, lost) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_rejects_step_by_step(ps: list[float]) -> None:
    adjusted = holm(ps)
    for level in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
            if ps[place] * (len(ps) - rank) > level:
                break
            rejected.add(place)
        assert {place for place, p in enumerate(adjusted) if p <= level} == rejected


def test_sign_flips_agree_with_scipy() -> None:
    random = np.random.default_rng(0)
    for count in (8, 40):
        values = random.normal(0.3, 1, count)
        other = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=20_000, rng=random)
        assert sign_flips(values, 0) == pytest.approx(other.pvalue, abs=0.02)
    many = random.normal(0.02, 1, 5000)
    assert sign_flips(many, 0) == pytest.approx(stats.ttest_1samp(many, 0).pvalue, abs=0.005)
    assert sign_flips(np.zeros(5), 0) == 1


def test_of_right_and_wrong_sign_flips_are_mcnemar() -> None:
    differences = np.array([1.0] * 20 + [-1.0] * 8 + [0.0] * 50)
    assert sign_flips(differences, 1) == pytest.approx(mcnemar(20, 8), abs=0.006)


@pytest.mark.parametrize("table", [Table(44, 0, 1), Table(100, 12, 3), Table(60, 30, 30), Table(300, 0, 0)])
def test_the_score_interval_is_that_of_the_score_test(table: Table) -> None:
    """At its ends, the likeliest tables with this difference lie as many errors off as the confidence says."""
    items, won, lost = table
    for end, sign in zip(score_interval(table, 0.95), (1, -1), strict=True):

        def unlikely(loss: float, end: float = end) -> float:
            shares = np.array([loss + end, loss, 1 - 2 * loss - end])
            return -float(np.array([won, lost, items - won - lost]) @ np.log(np.maximum(shares, 1e-300)))

        bounds = (max(0.0, -end), (1 - end) / 2)
        loss = optimize.minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        error = np.sqrt(items * (2 * loss + end - end**2))
        assert (won - lost - items * end) / error == pytest.approx(sign * stats.norm.ppf(0.975), rel=1e-3)


@given(st.integers(1, 300), COUNTS, COUNTS)
def test_the_score_interval_holds_the_difference(same: int, won: int, lost: int) -> None:
    items = same + won + lost
    low, high = score_interval(Table(items, won, lost), 0.9)
    assert -1 <= low < (won - lost) / items < high <= 1
    back = score_interval(Table(items, lost, won), 0.9)
    assert back == pytest.approx((-high, -low), abs=1e-9)


def test_without_clusters_the_sandwich_is_the_t_test() -> None:
    random = np.random.default_rng(1)
    mine, theirs = random.normal(0.3, 1, 50), random.normal(0, 1, 50)
    found, other = estimate(paired(mine, theirs)), stats.ttest_rel(mine, theirs)
    assert found.p == pytest.approx(other.pvalue, rel=1e-9)
    assert found.interval(0.9) == pytest.approx(tuple(other.confidence_interval(0.9)), rel=1e-9)


def test_with_even_clusters_it_is_the_t_test_of_their_means() -> None:
    random = np.random.default_rng(2)
    mine, theirs = random.integers(0, 2, (12, 20)), random.integers(0, 2, (12, 20))
    found = estimate(paired(mine.ravel(), theirs.ravel(), np.repeat(np.arange(12), 20)))
    other = stats.ttest_rel(mine.mean(axis=1), theirs.mean(axis=1))
    assert found.freedom == pytest.approx(11) and found.p == pytest.approx(other.pvalue, rel=1e-9)


def test_models_that_differ_in_nothing_are_not_equal_for_sure() -> None:
    same = np.array([1, 0] * 30)
    for clusters in (None, np.repeat(np.arange(6), 10)):
        low, high = estimate(paired(same, same, clusters)).interval(0.95)
        assert low < -0.01 and high > 0.01


def test_draws_of_shots_widen_the_interval() -> None:
    random = np.random.default_rng(3)
    chance = 0.5 + np.array([0.2, -0.2, 0.0])
    mine, theirs = (random.random((400, 3)) < chance).astype(float), (random.random((400, 3)) < 0.5).astype(float)
    found = estimate(paired(mine, theirs, seeds=3))
    by_seed = (mine - theirs).mean(axis=0)
    assert found.spread == pytest.approx(by_seed.std(ddof=1))
    assert found.of_seeds == pytest.approx(by_seed.var(ddof=1) / 3, rel=0.1)
    assert found.freedom < 4


def test_a_mean_over_tasks_adds_variances() -> None:
    random = np.random.default_rng(4)
    parts = [estimate(paired(random.integers(0, 2, n), random.integers(0, 2, n))) for n in (50, 500)]
    mean = estimates.mean_of(parts)
    assert mean.difference == pytest.approx(np.mean([part.difference for part in parts]))
    assert mean.variance == pytest.approx(sum(part.variance for part in parts) / 4)


def test_the_bootstrap_agrees_with_scipy() -> None:
    random = np.random.default_rng(5)
    mine, theirs = random.integers(0, 2, 300), random.integers(0, 2, 300)
    found = paired(mine, theirs)
    rounds = resampled(found, estimate(found), 20_000, 0)
    other = stats.bootstrap(
        (mine - theirs,), np.mean, n_resamples=20_000, method="percentile", confidence_level=0.9, rng=1
    )
    assert rounds.differences.std() == pytest.approx(other.standard_error, rel=0.03)
    assert rounds.interval(0.9) == pytest.approx(tuple(other.confidence_interval), abs=0.005)


def test_a_studentised_bootstrap_is_that_of_each_round() -> None:
    """Against rounds drawn one by one, each with its own t."""
    random = np.random.default_rng(6)
    values = random.gamma(1.0, 2.0, 60)
    found = paired(values, np.zeros(60))
    low, high = resampled(found, estimate(found), 20_000, 0).interval(0.9)
    drawn = values[random.integers(0, 60, (20_000, 60))]
    t = (drawn.mean(axis=1) - values.mean()) / (drawn.std(axis=1, ddof=1) / np.sqrt(60))
    error = values.std(ddof=1) / np.sqrt(60)
    expected = values.mean() - np.quantile(t, [0.95, 0.05]) * error
    assert (low, high) == pytest.approx(tuple(expected), abs=0.03 * (high - low))


def test_clusters_are_drawn_whole() -> None:
    random = np.random.default_rng(7)
    effects = np.repeat(random.normal(0, 1, 20), 30)
    found = paired(effects + random.normal(0, 0.1, 600), np.zeros(600), np.repeat(np.arange(20), 30))
    rounds = resampled(found, estimate(found), 5000, 0)
    assert rounds.differences.std() == pytest.approx(effects.std() / np.sqrt(20), rel=0.05)
    mean = resampling.mean_of([rounds, rounds])
    assert mean.difference == pytest.approx(rounds.difference)


def test_the_power_is_what_is_said() -> None:
    """Simulated McNemar tests with as many items as are said to be needed, and the discordance that was measured."""
    needed = items_for(0.2, 0.05, 0.05)
    random = np.random.default_rng(8)
    tables = random.multinomial(needed, [0.125, 0.075, 0.8], size=2000)
    shown = np.mean([mcnemar(won, lost) <= 0.05 for won, lost, _ in tables])
    assert shown == pytest.approx(0.8, abs=0.03)
    assert detectable(np.sqrt(0.2 / needed), 1e9, 0.05) == pytest.approx(0.05, rel=1e-3)


@given(st.lists(st.integers(1, 500), min_size=3, max_size=40))
def test_degrees_of_freedom_are_those_of_the_whole_matrix(sizes: list[int]) -> None:
    shares = np.array(sizes) / sum(sizes)
    centred = (np.eye(len(sizes)) - np.outer(shares, np.ones(len(sizes)))) / np.sqrt(1 - shares)[:, None]
    matrix = centred @ np.diag(shares**2) @ centred.T
    expected = np.trace(matrix) ** 2 / np.trace(matrix @ matrix)
    # One cluster of nearly all items leaves a difference of large numbers.
    assert estimates._freedom(shares) == pytest.approx(expected, rel=1e-4)
