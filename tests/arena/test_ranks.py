"""Ranks: intervals that hold for all models at once as often as they say, and say nothing where nothing is known."""

import itertools
import json

import numpy as np
import pytest

from latxa_cli.arena.fits.bradley_terry import Wins, fit, to_ratings
from latxa_cli.arena.rankings import ranks as module
from latxa_cli.arena.rankings.ranks import ranks
from latxa_cli.arena.votes import PairCounts

INFINITE = np.inf


def drawn_round(point, error=10.0, rounds=1000, seed=0):
    return point + error * np.random.default_rng(seed).normal(size=(rounds, len(point)))


def arena(theta, votes, random, rounds):
    """Hold `votes` battles of each pair, a fifth of them ties; return ratings and those of bootstrap rounds."""
    first, second = np.array(list(itertools.combinations(range(len(theta)), 2))).T
    chance = 1 / (1 + np.exp(theta[second] - theta[first]))
    tie = np.full(len(chance), 0.2)
    cells = random.multinomial(votes, np.stack([0.8 * chance, 0.8 * (1 - chance), tie, 0 * tie], axis=1))
    return rated(PairCounts([str(model) for model in range(len(theta))], first, second, cells), random, rounds)


def rated(counts, random, rounds):
    cells = counts.cells.reshape(-1)
    drawn = random.multinomial(cells.sum(), cells / cells.sum(), size=rounds).reshape(rounds, -1, 4)
    at = fit(counts, Wins.of(counts.cells[None]))[0]
    return to_ratings(at), to_ratings(fit(counts, Wins.of(drawn), start=at))


def covered(found, theta):
    """Whether each true rank lies in its interval, be equal strengths ranked by the best or by the worst of them."""
    above, below = (theta[:, None] > theta).sum(axis=0), (theta[:, None] < theta).sum(axis=0)
    return bool((found.best <= 1 + above).all() and (found.worst >= len(theta) - below).all())


def plainly(point, drawn, confidence):
    """The stepdown test written down as it is defined, pair by pair."""
    pairs = list(itertools.permutations(range(len(point)), 2))
    errors = {(i, j): (point[i] - point[j]) - (drawn[:, i] - drawn[:, j]) for i, j in pairs}
    deviation = {pair: error.std() for pair, error in errors.items()}
    better = np.zeros((len(point), len(point)), dtype=bool)
    while pairs:
        largest = np.max([errors[pair] / deviation[pair] for pair in pairs], axis=0)
        critical = np.sort(largest)[int(np.ceil(confidence * (len(drawn) + 1))) - 1]
        fallen = [(i, j) for i, j in pairs if (point[i] - point[j]) / deviation[i, j] > critical]
        if not fallen:
            break
        for pair in fallen:
            better[pair] = True
            pairs.remove(pair)
    return better, critical


@pytest.mark.parametrize(
    ("theta", "arenas", "lowest", "highest"),  # two standard errors of 300 arenas are 0.035
    [
        (np.zeros(6), 300, 0.865, 0.935),  # nothing but false alarms to raise: the confidence itself
        (np.array([0.8, 0.8, 0, 0, 0, -0.8, -0.8]), 150, 0.87, 1),
        (np.linspace(-0.6, 0.6, 6), 100, 0.87, 1),
    ],
)
def test_all_true_ranks_lie_in_their_intervals_as_often_as_said(theta, arenas, lowest, highest):
    random = np.random.default_rng(0)
    hits = [covered(ranks(*arena(theta, 60, random, 200), confidence=0.9), theta) for _ in range(arenas)]
    assert lowest <= np.mean(hits) <= highest


def test_also_with_votes_so_few_that_rounds_are_not_finite():
    """A newcomer of the others' strength with a dozen votes does not make false alarms, nor keep the others apart."""
    random = np.random.default_rng(0)
    theta = np.array([1.0, 1.0, -1.0, -1.0, -1.0])
    hits, apart = [], []
    for _ in range(300):
        point, drawn = arena(theta[:4], 60, random, 200)
        won = random.binomial(12, 0.12)
        draws = random.binomial(12, won / 12, size=200)
        with np.errstate(divide="ignore"):
            new, rounds = (174 * np.log(wins / (12 - wins)) for wins in (np.array([won]), draws))
        found = ranks(np.append(point, point[0] + new), np.column_stack([drawn, drawn[:, 0] + rounds]))
        hits.append(covered(found, theta))
        apart.append(found.better[:2, 2:4].all())
    assert np.mean(hits) > 0.87
    assert np.mean(apart) > 0.95


def test_agrees_with_the_definition_pair_by_pair(monkeypatch):
    random = np.random.default_rng(3)
    steps = 0
    for number in range(20):
        point = random.normal(size=7) * 30
        drawn = point + random.normal(size=(99, 7)) @ random.normal(size=(7, 7)) * 5
        monkeypatch.setattr(module, "BLOCK", [1 << 16, 50][number % 2])
        better, critical = plainly(point.round(6), drawn, 0.9)
        found = ranks(point, drawn, 0.9)
        assert (found.better == better).all()
        assert found.critical == pytest.approx(critical)
        steps += not better.any()
    assert steps < 10


def test_stepping_down_separates_what_one_step_does_not():
    point = np.array([0.0, 300.0, 600.0, 900.0, 1200.0, 1200.0])
    drawn = drawn_round(point)
    errors = (drawn[:, :, None] - drawn[:, None]) - np.subtract.outer(point, point)
    deviation = errors.std(axis=0) + np.eye(6)
    one_step = np.sort((errors / deviation).max(axis=(1, 2)))[900]
    gap = 0.98 * one_step * deviation[5, 4]
    raised = np.array([0, 0, 0, 0, 0, gap])
    found = ranks(point + raised, drawn + raised)
    assert found.better[5, 4]
    assert found.critical < 0.98 * one_step


def test_far_apart_each_has_its_rank_and_tier():
    point = np.array([500.0, 1500.0, 1000.0])
    found = ranks(point, drawn_round(point))
    for figures in (found.rank, found.best, found.worst, found.tier):
        assert figures.tolist() == [3, 1, 2]


def test_equal_ratings_share_a_rank_and_rounding_does_not_part_them():
    point = np.array([1000.0, 1100.0, 1000.0 + 1e-8, 900.0])
    found = ranks(point, drawn_round(point))
    assert found.rank.tolist() == [2, 1, 2, 4]
    assert not found.better[0, 2] and not found.better[2, 0]


def test_tiers_begin_with_the_best_of_the_rest():
    point = np.array([100.0, 80.0, 60.0, 40.0, 20.0])
    found = ranks(point, drawn_round(point, error=7.0))
    assert found.better.tolist() == (np.subtract.outer(point, point) > 21).tolist()
    assert found.tier.tolist() == [1, 1, 2, 2, 3]
    assert found.best.tolist() == [1, 1, 2, 3, 4]
    assert found.worst.tolist() == [2, 3, 4, 5, 5]


def test_equal_leaders_share_their_tier_with_those_surely_worse_than_neither():
    random = np.random.default_rng(0)
    point = np.array([1100.0, 1000.0, 1100.0])
    drawn = point + random.normal(size=(1000, 3)) * [100, 1, 1]  # the third is surely above the second, the first not
    assert ranks(point, drawn).tier.tolist() == [1, 2, 1]
    assert ranks(point[::-1], drawn[:, ::-1]).tier.tolist() == [1, 2, 1]


def test_the_order_of_models_changes_nothing():
    random = np.random.default_rng(5)
    point = random.normal(size=12).round(1) * 50
    drawn = drawn_round(point)
    order = random.permutation(12)
    one, other = ranks(point, drawn), ranks(point[order], drawn[:, order])
    for field in ("rank", "best", "worst", "tier"):
        assert (getattr(one, field)[order] == getattr(other, field)).all()


def test_the_scale_and_its_centre_change_nothing():
    point = np.random.default_rng(1).normal(size=9) * 20
    one, other = ranks(point, drawn_round(point)), ranks(1000 + 3 * point, 1000 + 3 * drawn_round(point))
    assert (one.better == other.better).all()
    assert one.critical == pytest.approx(other.critical)


def test_a_model_without_a_finite_rating_is_surely_nothing_and_does_not_keep_others_together():
    point = np.array([INFINITE, 1500.0, 1000.0, 500.0, -INFINITE])
    drawn = drawn_round(np.nan_to_num(point, posinf=0, neginf=0))
    drawn[:, 0], drawn[:, 4] = INFINITE, -INFINITE
    found = ranks(point, drawn)
    assert found.rank.tolist() == [1, 2, 3, 4, 5]
    assert found.best.tolist() == [1, 1, 2, 3, 1]
    assert found.worst.tolist() == [5, 3, 4, 5, 5]
    assert found.tier.tolist() == [1, 1, 2, 3, 1]


def test_a_model_of_which_nothing_is_known_ranks_last():
    point = np.array([np.nan, 1500.0, 1000.0, np.nan])
    found = ranks(point, drawn_round(point))
    assert found.rank.tolist() == [3, 1, 2, 3]
    assert found.best.tolist() == [1, 1, 2, 1] and found.worst.tolist() == [4, 3, 4, 4]
    assert found.tier.tolist() == [1, 1, 2, 1]
    unknown = ranks(np.full(3, np.nan), np.full((1000, 3), np.nan))
    assert unknown.rank.tolist() == unknown.tier.tolist() == [1, 1, 1]


def test_a_model_that_lost_all_in_some_rounds_can_be_worse_but_not_better():
    point = np.array([1500.0, 1000.0, 500.0])
    drawn = drawn_round(point)
    drawn[:300, 1] = -INFINITE
    found = ranks(point, drawn)
    assert found.better.tolist() == [[False, True, True], [False] * 3, [False] * 3]
    drawn[:300, 1] = INFINITE
    found = ranks(point, drawn)
    assert found.better.tolist() == [[False, False, True], [False, False, True], [False] * 3]
    drawn[:300, 1] = np.nan
    found = ranks(point, drawn)
    assert found.better.tolist() == [[False, False, True], [False] * 3, [False] * 3]


def test_one_round_in_a_thousand_without_a_bound_does_no_harm():
    point = np.array([1500.0, 1000.0, 500.0])
    drawn = drawn_round(point)
    drawn[0, 1], drawn[1, 0], drawn[2, 2] = np.nan, INFINITE, -INFINITE
    found = ranks(point, drawn)
    assert np.isfinite(found.critical)
    assert found.worst.tolist() == found.best.tolist() == [1, 2, 3]


def test_many_models_without_a_bound_in_few_rounds_each_do_not_keep_others_together():
    point = np.append([1500.0, 1000.0], np.full(10, 500.0))
    drawn = drawn_round(point)
    for model in range(2, 12):
        drawn[15 * model : 15 * model + 15, model] = -INFINITE
    found = ranks(point, drawn)
    assert found.worst[:2].tolist() == [1, 2]


def test_of_two_infinities_in_one_round_nothing_is_known():
    point = np.array([1500.0, 1000.0, 500.0])
    drawn = drawn_round(point)
    drawn[:300, :2] = -INFINITE  # below the third, and perhaps below one another
    assert not ranks(point, drawn).better.any()


@pytest.mark.parametrize("rounds", [0, 1, 8])
def test_too_few_rounds_separate_nothing(rounds):
    point = np.array([1500.0, 500.0])
    found = ranks(point, drawn_round(point, rounds=rounds))
    assert found.critical == INFINITE
    assert found.best.tolist() == [1, 1] and found.worst.tolist() == [2, 2] and found.tier.tolist() == [1, 1]
    assert ranks(point, drawn_round(point, rounds=19)).better.any()


def test_rounds_that_are_all_the_same_tell_nothing_apart():
    """One pair, all votes alike, and a prior: every round redraws the same votes."""
    point = np.array([1100.0, 900.0])
    found = ranks(point, drawn_round(point, error=1e-9))
    assert found.rank.tolist() == [1, 2]
    assert found.worst.tolist() == [2, 2] and found.tier.tolist() == [1, 1]


def test_none_and_one_model():
    none = ranks(np.zeros(0), np.zeros((1000, 0)))
    assert len(none.rank) == len(none.tier) == 0
    one = ranks(np.array([1000.0]), np.full((1000, 1), 1000.0))
    assert [one.rank[0], one.best[0], one.worst[0], one.tier[0]] == [1, 1, 1, 1]
    unbeaten = ranks(np.array([INFINITE]), np.full((1000, 1), INFINITE))
    assert unbeaten.tier.tolist() == [1]


def test_more_confidence_separates_no_more():
    point = np.random.default_rng(2).normal(size=15) * 30
    found = [ranks(point, drawn_round(point), confidence) for confidence in (0.5, 0.9, 0.99)]
    for wide, narrow in itertools.pairwise(reversed(found)):
        assert not (wide.better & ~narrow.better).any()
        assert (wide.best <= narrow.best).all() and (wide.worst >= narrow.worst).all()


def test_the_published_arena(shared_reference):
    """Ebaluatoia: the large models hold the first three ranks, the backbone as it is the last; most are not apart."""
    rows = [json.loads(line) for line in (shared_reference / "arena" / "ebaluatoia_pairs.jsonl").open()]
    models = sorted({row[side] for row in rows for side in ("model_a", "model_b")})
    place = {model: number for number, model in enumerate(models)}
    first, second = (np.array([place[row[side]] for row in rows]) for side in ("model_a", "model_b"))
    cells = np.array([[row["wins_a"], row["wins_b"], row["ties"], 0] for row in rows])
    found = ranks(*rated(PairCounts(models, first, second, cells), np.random.default_rng(0), 1000))
    rank = dict(zip(models, found.rank.tolist(), strict=True))
    interval = dict(zip(models, zip(found.best.tolist(), found.worst.tolist(), strict=True), strict=True))
    assert rank["gpt-4o"] == 1 and rank["exp_2_000"] == 21
    assert interval["exp_2_000"] == (21, 21)
    large = {"gpt-4o", "claude-3.5-sonnet", "latxa-70b-instruct"}
    assert {model for model in models if interval[model][1] <= 3} == large
    assert min(interval[model][0] for model in set(models) - large) == 4
    assert found.tier[place["exp_2_000"]] == found.tier.max() and (found.tier == found.tier.max()).sum() == 1
    assert np.median(found.worst - found.best) >= 5
    assert (found.best <= found.rank).all() and (found.rank <= found.worst).all()
