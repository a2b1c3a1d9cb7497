"""Which battles are proposed: what a vote tells, computed the long way; islands and newcomers; and what it is worth."""

import time
from collections import Counter
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from latxa_cli.arena import pairing
from latxa_cli.arena.fits.bradley_terry import SCALE, Wins, fit
from latxa_cli.arena.pairing import next_battles
from latxa_cli.arena.votes import A_WON, B_WON, NONE, TIE, Votes, count


def counts_of(models, battles):
    """Count battles (model, model, verdict)."""
    place = {name: number for number, name in enumerate(models)}
    a, b, verdict = (np.array(column, dtype=np.int64) for column in zip(*battles, strict=True)) if battles else [[]] * 3
    a, b = (np.array([place[models[i]] for i in side], dtype=np.int64) for side in (a, b))
    return count(Votes(list(models), a, b, {"winner": np.array(verdict, dtype=np.int64)}))[0]


def simulated(theta, a, b, random):
    """Draw verdicts of the battles a, b (n,) of models with strengths theta."""
    chance = 1 / (1 + np.exp(theta[b] - theta[a]))
    drawn = random.random(len(a))
    tie = 0.8 * chance * (1 - chance)
    return np.where(drawn < chance - tie / 2, A_WON, np.where(drawn < chance + tie / 2, TIE, B_WON))


def arena(theta, votes, random):
    a = random.integers(0, len(theta), votes)
    b = (a + random.integers(1, len(theta), votes)) % len(theta)
    names = [f"m{number:03}" for number in range(len(theta))]
    return Votes(names, a, b, {"winner": simulated(theta, a, b, random)})


def pairs_of(records):
    return [tuple(sorted((record["model_a"], record["model_b"]))) for record in records]


# --- the gain ---------------------------------------------------------------------------------------------------------


def expected_cost(theta, covariance):
    """The sum over pairs of sqrt(v) (phi(z) - z Phi(-z)), one pair at a time."""
    normal, total = NormalDist(), 0.0
    for i in range(len(theta)):
        for j in range(i):
            deviation = np.sqrt(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j])
            z = abs(theta[i] - theta[j]) / deviation
            total += deviation * (normal.pdf(z) - z * normal.cdf(-z))
    return total


def test_the_gain_is_what_a_vote_takes_off_the_expected_cost():
    random = np.random.default_rng(1)
    counts = count(arena(random.normal(0, 0.5, 6), 3000, random))[0]
    design = pairing._Design.of(counts, 1.0, random)
    design.weigh()
    before, gains = expected_cost(design.theta, design.covariance), design.gains()
    for i, j in ((0, 1), (2, 5), (4, 3)):
        pair = np.eye(6)[i] - np.eye(6)[j]
        chance = 1 / (1 + np.exp(design.theta[j] - design.theta[i]))
        known = np.linalg.inv(design.covariance) + chance * (1 - chance) * np.outer(pair, pair)
        assert gains[i, j] == pytest.approx(before - expected_cost(design.theta, np.linalg.inv(known)), rel=0.01)


@pytest.mark.parametrize("dispersion", [0.5, 2.0, None])
def test_dispersion_scales_the_information_of_votes_past_and_to_come(dispersion):
    """None: the squares of the votes' errors over the variance of coins, each with 2.5 of them as if even before."""
    random = np.random.default_rng(7)
    votes = arena(random.normal(0, 0.5, 4), 400, random)
    counts = count(votes)[0]
    design = pairing._Design.of(counts, dispersion, random)
    curvature, squares, coins = np.zeros((4, 4)), 2.5, 2.5
    for a, b, verdict in zip(votes.a, votes.b, votes.verdicts["winner"], strict=True):
        pair = np.eye(4)[a] - np.eye(4)[b]
        chance = 1 / (1 + np.exp(-pair @ design.theta))
        curvature += chance * (1 - chance) * np.outer(pair, pair)
        squares += ([1, 0, 0.5][verdict] - chance) ** 2
        coins += chance * (1 - chance)
    used = dispersion or squares / coins
    assert used != pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(design.covariance, np.linalg.inv(curvature / used + np.eye(4)), atol=1e-12)
    chance = 1 / (1 + np.exp(design.theta[None, :] - design.theta[:, None]))
    np.testing.assert_allclose(design.information, chance * (1 - chance) / used, atol=1e-12)


@pytest.mark.parametrize(("won", "lost"), [(3, 1), (40, 0), (500, 100)])
def test_strengths_are_the_most_probable_under_a_normal_prior_of_variance_one(won, lost):
    theta = pairing._most_probable(counts_of("ab", [(0, 1, A_WON)] * won + [(0, 1, B_WON)] * lost))
    root = brentq(lambda gap: won - (won + lost) / (1 + np.exp(-gap)) - gap / 2, 0, 20)
    assert theta == pytest.approx([root / 2, -root / 2])


def test_taking_votes_in_one_by_one_is_inverting_the_sum():
    random = np.random.default_rng(2)
    design = pairing._Design.of(count(arena(random.normal(0, 0.5, 5), 100, random))[0], 0.8, random)
    design.weigh()
    precision = np.linalg.inv(design.covariance)
    for i, j in ((0, 1), (0, 1), (3, 2), (4, 0)):
        pair = np.eye(5)[i] - np.eye(5)[j]
        precision += design.information[i, j] * np.outer(pair, pair)
        design.hold(i, j)
    covariance = np.linalg.inv(precision)
    np.testing.assert_allclose(design.covariance, covariance, atol=1e-12)
    np.testing.assert_allclose(design.felt, covariance @ design.costs @ covariance, atol=1e-12)


def test_the_strengths_are_those_of_the_fit_where_votes_are_many_and_finite_where_it_has_none():
    random = np.random.default_rng(3)
    counts = count(arena(random.normal(0, 0.5, 5), 200_000, random))[0]
    np.testing.assert_allclose(pairing._most_probable(counts), fit(counts, Wins.of(counts.cells[None]))[0], atol=1e-3)
    unbeaten = pairing._most_probable(counts_of("ab", [(0, 1, A_WON)] * 10**5))
    assert np.isfinite(unbeaten).all()
    assert unbeaten[0] > unbeaten[1] + 5


def test_contested_pairs_come_before_decided_ones():
    battles = [(0, 1, A_WON)] * 90 + [(0, 1, B_WON)] * 10 + [(1, 2, A_WON)] * 51 + [(1, 2, B_WON)] * 49
    battles += [(2, 3, A_WON)] * 90 + [(2, 3, B_WON)] * 10
    records = next_battles(counts_of("abcd", battles), 5)
    assert set(pairs_of(records)) == {("b", "c")}
    assert all(record["reason"] == "contested" for record in records)


# --- shape ------------------------------------------------------------------------------------------------------------

verdicts = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)).filter(lambda vote: vote[0] != vote[1])


@settings(max_examples=40)
@given(st.lists(verdicts), st.integers(0, 30), st.integers(0, 3), st.integers(0, 2))
def test_any_arena_gets_battles_of_two_models_fairly_seated(battles, amount, seed, newcomers):
    counts, new = counts_of("abcdef", battles), [f"new{number}" for number in range(newcomers)]
    records = next_battles(counts, amount, newcomers=new, seed=seed)
    assert records == next_battles(counts, amount, newcomers=new, seed=seed)
    assert len(records) == amount
    assert {record["model_a"] for record in records} | {record["model_b"] for record in records} <= {*"abcdef", *new}
    first = Counter((record["model_a"], record["model_b"]) for record in records)
    for (a, b), times in first.items():
        assert a != b
        assert abs(times - first[b, a]) <= 1
    for record in records:
        assert type(record["gain"]) is float
        assert 0 <= record["gain"] < np.inf


@settings(max_examples=20)
@given(st.lists(verdicts, min_size=1), st.randoms())
def test_the_order_of_the_battles_and_a_swap_of_sides_change_nothing(battles, random):
    turned = [(b, a, 1 - verdict if verdict < 2 else verdict) for a, b, verdict in battles]
    random.shuffle(turned)
    assert next_battles(counts_of("abcdef", battles), 12) == next_battles(counts_of("abcdef", turned), 12)


def test_fewer_than_two_models_have_no_battles():
    assert next_battles(counts_of("", []), 5) == []
    assert next_battles(counts_of("a", []), 5) == []
    assert next_battles(counts_of("", []), 5, newcomers=["new"]) == []
    assert next_battles(counts_of("a", []), 5, newcomers=["a"]) == []


def test_two_models_meet_each_other():
    for battles in ([], [(0, 1, TIE)] * 9, [(0, 1, A_WON)] * 100_000):
        records = next_battles(counts_of("ab", battles), 10)
        assert pairs_of(records) == [("a", "b")] * 10
        assert sum(record["model_a"] == "a" for record in records) == 5


def test_models_without_votes_are_paired_evenly_and_by_the_seed():
    counts = counts_of([f"m{number:02}" for number in range(12)], [])
    records = next_battles(counts, 132)
    met = Counter(name for pair in pairs_of(records) for name in pair)
    assert len(met) == 12
    assert max(met.values()) - min(met.values()) <= 8  # of 22
    assert max(Counter(pairs_of(records)).values()) <= 5  # of 2
    assert next_battles(counts, 132, seed=1) != records


def test_200_proposals_are_not_one_pair_200_times():
    random = np.random.default_rng(4)
    records = next_battles(count(arena(random.normal(0, 0.5, 20), 2000, random))[0], 200)
    assert max(Counter(pairs_of(records)).values()) < 30
    assert len(set(pairs_of(records))) > 15
    firsts = Counter(record["model_a"] for record in records)
    seconds = Counter(record["model_b"] for record in records)
    assert all(abs(firsts[name] - seconds[name]) < 10 for name in firsts | seconds)


# --- joining what never met -------------------------------------------------------------------------------------------


def groups(models, pairs):
    label = {name: name for name in models}
    for a, b in pairs:
        label = {name: label[a] if of == label[b] else of for name, of in label.items()}
    return set(label.values())


def test_newcomers_and_islands_are_joined_first():
    battles = [(a, b, verdict) for a in range(5) for b in range(a) for verdict in (A_WON, B_WON) for _ in range(20)]
    battles += [(5, 6, A_WON), (5, 6, B_WON)]
    records = next_battles(counts_of("abcdefg", battles), 40, newcomers=["new", "newer"])
    old = [("abcdefg"[a], "abcdefg"[b]) for a, b, _ in battles]
    assert len(groups([*"abcdefg", "new", "newer"], old)) == 4
    assert len(groups([*"abcdefg", "new", "newer"], old + pairs_of(records[:3]))) == 1
    assert [record["reason"] for record in records] == ["bridge"] * 12 + ["contested"] * 28
    assert records[0]["gain"] > records[-1]["gain"]


def test_a_newcomer_meets_opponents_of_all_strengths():
    random = np.random.default_rng(5)
    theta = np.linspace(1, -1, 20)
    records = next_battles(count(arena(theta, 20_000, random))[0], 100, newcomers=["new"])
    bridges = [record for record in records if record["reason"] == "bridge"]
    assert len(bridges) == pairing.MEETINGS
    opponents = {int(name[1:]) // 5 for pair in pairs_of(bridges) for name in pair if name != "new"}
    assert opponents == {0, 1, 2, 3}
    assert sum("new" in pair for pair in pairs_of(records)) > 50


def full(models, times=20):
    """Even votes on all pairs of models."""
    return [(a, b, verdict) for a in range(models) for b in range(a) for verdict in (A_WON, B_WON)] * times


@pytest.mark.parametrize("seed", range(8))
def test_all_are_joined_to_the_largest_group(seed):
    """Of ten models that met, two newcomers and an island of three: each first meets one of the ten, or who did."""
    island = [(10, 11, A_WON), (11, 12, A_WON), (12, 10, A_WON)] * 5
    names = [f"m{number:02}" for number in range(13)]
    records = next_battles(counts_of(names, full(10) + island), 3, newcomers=["new1", "new2"], seed=seed)
    joined = set(names[:10])
    for pair in pairs_of(records):
        assert len(joined.intersection(pair)) == 1
        joined.update(names[10:] if joined.isdisjoint(pair) or pair[0] in names[10:] or pair[1] in names[10:] else pair)
    assert joined == {*names, "new1", "new2"}


def test_newcomers_first_meet_different_opponents():
    names = [f"m{number:02}" for number in range(20)]
    battles = [(a, b, A_WON if n < 12 else B_WON) for a in range(20) for b in range(a + 1, 20) for n in range(20)]
    newcomers = [f"new{number}" for number in range(5)]
    records = next_battles(counts_of(names, battles), 5, newcomers=newcomers)
    met = [{*pair}.difference(newcomers).pop() for pair in pairs_of(records) if set(pair) - set(newcomers)]
    assert len(met) == len(set(met)) >= 4


def test_opponents_are_spread_over_strengths_also_when_newcomers_are_as_many():
    """Newcomers stand in the middle: the first of them also meets the weak and the strong of the old ones."""
    names = [f"m{number}" for number in range(8)]
    battles = [(a, b, A_WON if n < 14 else B_WON) for a in range(8) for b in range(a + 1, 8) for n in range(20)]
    newcomers = [f"new{number}" for number in range(8)]
    records = next_battles(counts_of(names, battles), 32, newcomers=newcomers)
    assert {record["reason"] for record in records} == {"bridge"}
    [one] = {*pairs_of(records)[0]}.intersection(newcomers)
    met = {*(name for pair in pairs_of(records)[::8] for name in pair)} - {one}
    assert met & set(names[:4]) and met & set(names[4:])


def test_a_pair_whose_votes_have_no_verdict_has_not_met():
    votes = Votes(list("abc"), np.array([0, 0, 1]), np.array([1, 1, 2]), {"winner": np.array([A_WON, B_WON, NONE])})
    records = next_battles(count(votes)[0], 1)
    assert [record["reason"] for record in records] == ["bridge"]
    assert "c" in pairs_of(records)[0]


# --- seats, equal gains, and when gaps are looked at ------------------------------------------------------------------


def test_who_was_first_less_often_is_first_of_a_new_pair():
    for seed in range(5):
        seats = pairing._Seats(4, np.random.default_rng(seed))
        first, second = seats.place(0, 1)
        assert seats.place(first, 2) == (2, first)
        assert seats.place(second, 3) == (second, 3)
        assert seats.place(0, 1) == (second, first)  # within a pair by turns, whoever is ahead elsewhere


def test_the_seed_decides_between_equal_gains():
    counts = counts_of("abcdef", full(6, 1))
    first = {pairs_of(next_battles(counts, 1, seed=seed))[0] for seed in range(20)}
    assert len(first) > 5  # of 15


def test_rounding_does_not_decide_who_is_shown_first(monkeypatch):
    """Processors round differently, so that either half of the symmetric gains may be the larger one."""
    counts = count(arena(np.linspace(0, 2, 6), 300, np.random.default_rng(0)))[0]
    gains, sheets = pairing._Design.gains, []
    for half in (np.tril, np.triu):
        monkeypatch.setattr(
            pairing._Design, "gains", lambda design, half=half: gains(design) * (1 + half(np.full((6, 6), 1e-15)))
        )
        sheets.append(next_battles(counts, 50))
    assert sheets[0] == sheets[1]


@pytest.mark.parametrize(("amount", "looks"), [(7, 1), (8, 1), (9, 2), (100, 13), (1000, 50)])
def test_contested_gaps_are_looked_at_again_in_time(monkeypatch, amount, looks):
    """Every 8 battles; of 400 and more, 50 times."""
    seen = []
    weigh = pairing._Design.weigh
    monkeypatch.setattr(pairing._Design, "weigh", lambda design: (seen.append(1), weigh(design))[1])
    assert len(next_battles(counts_of("abc", full(3)), amount)) == amount
    assert len(seen) == looks


def test_newcomers_alone_are_joined():
    records = next_battles(counts_of("", []), 3, newcomers=["a", "b", "c", "d"])
    assert len(groups("abcd", pairs_of(records))) == 1


# --- what it is worth -------------------------------------------------------------------------------------------------


def wrong_pairs(votes, theta):
    counts = count(votes)[0]
    order = np.argsort(-theta)
    found = fit(counts, Wins.of(counts.cells[None], prior=0.1))[0][order]
    return np.triu(found[:, None] < found[None, :]).sum()


def with_more(votes, theta, a, b, random):
    verdict = np.concatenate((votes.verdicts["winner"], simulated(theta, a, b, random)))
    return Votes(votes.models, np.concatenate((votes.a, a)), np.concatenate((votes.b, b)), {"winner": verdict})


def test_votes_on_proposed_pairs_leave_fewer_wrong_pairs_than_as_many_on_random_ones():
    """40 arenas of 15 models, 500 votes and 5 times 100 more; `tests/bench/pairing.py` measures more."""
    wrong = {"proposed": 0, "random": 0, "before": 0}
    for seed in range(40):
        random = np.random.default_rng(seed)
        theta = random.normal(0, 1, 15)
        before = proposed = drawn = arena(theta, 500, random)
        for _ in range(5):
            records = next_battles(count(proposed)[0], 100, seed=seed)
            a, b = (np.array([int(record[side][1:]) for record in records]) for side in ("model_a", "model_b"))
            proposed = with_more(proposed, theta, a, b, random)
            others = arena(theta, 100, random)
            drawn = with_more(drawn, theta, others.a, others.b, random)
        for name, votes in (("proposed", proposed), ("random", drawn), ("before", before)):
            wrong[name] += wrong_pairs(votes, theta)
    assert wrong["random"] < 0.85 * wrong["before"]
    assert wrong["proposed"] < 0.95 * wrong["random"], wrong


def test_many_models_take_little_time():
    random = np.random.default_rng(6)
    counts = count(arena(random.normal(0, 0.5, 200), 50_000, random))[0]
    started = time.process_time()
    assert len(next_battles(counts, 200)) == 200
    assert time.process_time() - started < 3  # 0.15 s alone on a core


def test_gains_are_in_points():
    records = next_battles(counts_of("ab", []), 1)
    # Two models of variance 1 each: v = 2, h = 1/4, dispersion 1; a unit of v costs phi(0) / (2 sqrt(v)).
    assert records[0]["gain"] == pytest.approx(SCALE * 0.25 * 4 / (1 + 0.25 * 2) / np.sqrt(2 * np.pi) / 2 / np.sqrt(2))
