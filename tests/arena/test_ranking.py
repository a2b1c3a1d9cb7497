"""Rankings: what must not change them, differences redone by hand, islands, infinite models, anchors, subgroups."""

import numpy as np
import pytest
from ballots import column_of, votes_of
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.arena.clusters import Dependence
from latxa_cli.arena.fits.bradley_terry import SCALE, Wins, covariance, fit, to_ratings, vote_spread
from latxa_cli.arena.rankings.differences import differences
from latxa_cli.arena.rankings.intervals import RatingMethod, bounds
from latxa_cli.arena.rankings.ranking import rank
from latxa_cli.arena.rankings.ranks import ranks
from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, TIE, PairCounts, Votes

MODELS = "abcde"
INF = np.inf


def ranked(votes, criterion="winner", **method):
    return rank(votes, [criterion], RatingMethod(**{"rounds": 60, **method}))[0]


def rating_of(votes, **method):
    ranking = ranked(votes, **method)
    return dict(zip(ranking.counts.models, ranking.ratings.tolist(), strict=True))


def table(ranking):
    return {record["model"]: record for record in ranking.records()}


# A round of ties among all models keeps every rating finite; by Davidson's model, one of wins does.
RING = [(a, b, TIE) for a, b in zip(MODELS, MODELS[1:] + MODELS[:1], strict=True)]
WINS = [(a, b, A_WON) for a, b, _ in RING]
pairs = st.tuples(st.sampled_from(MODELS), st.sampled_from(MODELS)).filter(lambda pair: pair[0] != pair[1])
rows = st.lists(st.builds(lambda pair, verdict: (*pair, verdict), pairs, st.sampled_from([0, 1, 2, 3])), max_size=30)
TURNED = {A_WON: B_WON, B_WON: A_WON, TIE: TIE, BOTH_BAD: BOTH_BAD}
TIES = st.sampled_from(["half", "davidson"])


def turned(votes):
    return [(b, a, TURNED[verdict]) for a, b, verdict in votes]


def simulated(votes=3000, seed=1, users=50):
    random = np.random.default_rng(seed)
    theta = {model: 0.8 - 0.4 * place for place, model in enumerate(MODELS)}
    made = []
    for _ in range(votes):
        a, b = random.choice(list(MODELS), 2, replace=False).tolist()
        gap = theta[a] - theta[b]
        verdicts = [int(random.random() > 1 / (1 + np.exp(-sharper * gap))) for sharper in (1, 1.3)]
        made.append((a, b, *(TIE if random.random() < 0.2 else verdict for verdict in verdicts)))
    return votes_of(made, user=[f"u{user}" for user in random.integers(0, users, votes)])


# --- what changes nothing --------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(rows, st.randoms(), TIES)
def test_order_changes_nothing_and_sides_no_rating(drawn, random, ties):
    votes = drawn + RING
    expected = ranked(votes_of(votes), ties=ties, rounds=20)
    shuffled = list(votes)
    random.shuffle(shuffled)
    assert list(ranked(votes_of(shuffled), ties=ties, rounds=20).records()) == list(expected.records())
    other = ranked(votes_of(turned(votes)), ties=ties, rounds=20)
    assert list(other.records()) == list(expected.records())  # cells are of the pair, whoever stood first


@settings(max_examples=25)
@given(rows, TIES, st.integers(2, 5))
def test_names_change_no_rating_and_copies_of_all_votes_none(drawn, ties, copies):
    votes = drawn + WINS
    expected = rating_of(votes_of(votes), ties=ties)
    names = dict(zip(MODELS, reversed(MODELS), strict=True))
    renamed = rating_of(votes_of([(names[a], names[b], verdict) for a, b, verdict in votes]), ties=ties)
    assert renamed == pytest.approx({names[model]: rating for model, rating in expected.items()}, abs=1e-4)
    assert rating_of(votes_of(votes * copies), ties=ties) == pytest.approx(expected, abs=1e-4)
    mirrored = rating_of(votes_of([(b, a, verdict) for a, b, verdict in votes]), ties=ties)  # each win a loss
    assert mirrored == pytest.approx({model: 2000 - rating for model, rating in expected.items()}, abs=1e-4)


@settings(max_examples=15)
@given(rows, st.sampled_from(MODELS), st.floats(-3000, 3000))
def test_an_anchor_shifts_a_ranking_and_changes_no_rank(drawn, model, rating):
    votes = votes_of(drawn + RING)
    plain, held = table(ranked(votes)), table(ranked(votes, anchor=(model, rating)))
    shift = rating - plain[model]["rating"]
    for name, record in held.items():
        assert record["rating"] == pytest.approx(plain[name]["rating"] + shift, abs=1e-4)
        assert record["rank"] == plain[name]["rank"]
    assert held[model]["rating"] == pytest.approx(rating, abs=1e-6)


def test_an_anchor_takes_its_noise_along():
    """Relative to the anchor, its own interval has no width, and a neighbour's is that of the difference."""
    votes = simulated()
    plain, held = ranked(votes, rounds=400), ranked(votes, rounds=400, anchor=("b", 1100.0))
    drawn = plain.replicate_ratings
    low, high = bounds(drawn[:, 0] - drawn[:, 1], 0.9)
    record = table(held)["a"]
    assert (record["lower"], record["upper"]) == pytest.approx((1100 + low, 1100 + high), abs=1e-5)
    assert {table(held)["b"][name] for name in ("lower", "rating", "upper")} == {1100.0}
    same_ranks = ("rank", "rank_lower", "rank_upper", "tier")
    assert [[r[name] for name in same_ranks] for r in held.records()] == [
        [r[name] for name in same_ranks] for r in plain.records()
    ]


# --- several rankings of one draw ------------------------------------------------------------------------------------


def by_hand(votes, criterion, weight):
    """Ratings of votes that count `weight` times each, by a fit of their table."""
    wins, played = np.zeros((5, 5)), np.zeros((5, 5))
    score = np.array([1.0, 0.0, 0.5, 0.5])[votes.verdicts[criterion]]
    np.add.at(wins, (votes.a, votes.b), weight * score)
    np.add.at(wins, (votes.b, votes.a), weight * (1 - score))
    np.add.at(played, (votes.a, votes.b), weight)
    first, second = np.triu_indices(5, 1)
    counts = PairCounts(list(MODELS), first, second, np.zeros((10, 4), np.int64))
    met = played + played.T
    return to_ratings(fit(counts, Wins(wins[first, second][None], met[first, second][None])))[0]


@pytest.mark.parametrize("clustered", [False, True])
def test_differences_of_criteria_are_of_the_same_redrawn_votes(clustered):
    votes = simulated(800)
    users = votes.columns["user"]
    method = RatingMethod(rounds=200, seed=4)
    boards = rank(votes, ["winner", "winner_language"], method, dependence=Dependence.of(users) if clustered else None)
    found = {record["model"]: record for record in differences(boards)}
    random = np.random.default_rng(4)
    redone = []
    for _ in range(200):
        if clustered:
            weight = np.bincount(random.integers(0, 50, 50), minlength=50)[users.codes]
        else:
            weight = np.bincount(random.integers(0, len(votes), len(votes)), minlength=len(votes))
        redone.append(by_hand(votes, "winner_language", weight) - by_hand(votes, "winner", weight))
    each = np.ones(len(votes))
    point = by_hand(votes, "winner_language", each) - by_hand(votes, "winner", each)
    low, high = bounds(point + boards[0].reach.widening(0.9) * (np.array(redone) - point), 0.9)
    for place, model in enumerate(MODELS):
        record = found[model]
        assert record["difference"] == pytest.approx(point[place], abs=1e-5)
        if clustered:  # the very same draws
            assert (record["lower"], record["upper"]) == pytest.approx((low[place], high[place]), abs=1e-4)
        else:
            assert record["upper"] - record["lower"] == pytest.approx(high[place] - low[place], rel=0.25)
    assert {(record["criterion"], record["against"]["criterion"]) for record in found.values()} == {
        ("winner_language", "winner")
    }


def test_equal_criteria_differ_by_nothing_at_all():
    votes = simulated(500)
    votes.verdicts["winner_language"] = votes.verdicts["winner"]
    found = list(differences(rank(votes, ["winner", "winner_language"], RatingMethod(rounds=50))))
    assert sorted(record["model"] for record in found) == list(MODELS)
    for record in found:
        assert (record["difference"], record["lower"], record["upper"]) == (0, 0, 0)


def test_a_subgroup_has_the_ranking_of_its_own_votes():
    votes = simulated(1000)
    levels = [None if place % 10 == 0 else "C1-C2" if place % 3 else "A1-A2" for place in range(1000)]
    votes = Votes(votes.models, votes.a, votes.b, votes.verdicts, {"level": column_of(levels)})
    boards = rank(votes, ["winner"], RatingMethod(rounds=50), by=["level"], least=1)
    assert [board.group for board in boards] == [{}, {"level": "A1-A2"}, {"level": "C1-C2"}]
    for board in boards[1:]:
        inside = votes.where(np.array([level == board.group["level"] for level in levels]))
        assert board.ratings == pytest.approx(ranked(inside).ratings, abs=1e-6)
        assert board.counts.cells.sum() == len(inside)
    few = rank(votes, ["winner"], RatingMethod(rounds=50), by=["level"], least=400)
    assert [board.group for board in few] == [{}, {"level": "C1-C2"}]


# --- what the votes do not limit -------------------------------------------------------------------------------------


def test_islands_are_rated_apart_and_an_anchor_holds_its_own():
    island = [("x", "y", A_WON), ("x", "y", A_WON), ("x", "y", B_WON)]
    votes = votes_of(RING * 3 + island)
    ranking = ranked(votes)
    assert [[votes.models[model] for model in one] for one in ranking.islands] == [list(MODELS), ["x", "y"]]
    records = table(ranking)
    assert (records["x"]["island"], records["x"]["rank"], records["a"]["island"]) == (2, 1, 1)
    assert records["x"]["rating"] + records["y"]["rating"] == pytest.approx(2000)
    held = table(ranked(votes, anchor=("y", 500.0)))
    assert held["y"]["rating"] == 500
    assert held["x"]["rating"] - 500 == pytest.approx(records["x"]["rating"] - records["y"]["rating"], abs=1e-5)


def test_an_anchor_leaves_other_islands_where_they_are_and_nothing_hangs_on_an_infinite_one():
    votes = votes_of(RING * 3 + [("x", "y", A_WON), ("x", "y", B_WON), ("w", "x", A_WON)])
    plain, held = table(ranked(votes)), table(ranked(votes, anchor=("y", 500.0)))
    assert [held[model] for model in MODELS] == [plain[model] for model in MODELS]
    assert table(ranked(votes, anchor=("w", 500.0))) == plain


def test_a_model_of_which_all_rounds_say_the_same_has_no_interval():
    for votes in (RING * 9, [("a", "b", TIE), ("b", "c", TIE), ("c", "a", TIE)], [("a", "b", BOTH_BAD)]):
        ranking = ranked(votes_of(votes))
        found = list(ranking.records())
        assert sorted(record["model"] for record in found) == ranking.counts.models
        for record in found:
            assert (record["rating"], record["lower"], record["upper"]) == (1000.0, None, None)


@pytest.mark.parametrize("ties", ["half", "davidson", "drop"])
def test_models_above_below_and_beside_the_others(ties):
    rows = [*WINS, ("w", "a", A_WON), ("b", "l", A_WON), ("v", "w", A_WON), ("o", "l", A_WON), ("w", "o", A_WON)]
    ranking = ranked(votes_of(rows), ties=ties)
    theta = dict(zip(ranking.counts.models, ranking.theta.tolist(), strict=True))
    assert (theta["v"], theta["w"], theta["l"]) == (INF, INF, -INF)
    assert np.isnan(theta["o"])  # lost to one above, won against one below
    assert [theta[model] for model in MODELS] == pytest.approx([0] * 5, abs=1e-6)
    records = table(ranking)
    assert (records["w"]["infinite"], records["l"]["infinite"]) == ("above", "below")
    assert records["o"]["infinite"] == "unknown"
    assert all(records[model]["rating"] is None for model in "vwlo")


def test_dropped_ties_may_part_what_they_joined():
    ranking = ranked(votes_of([("a", "b", TIE), ("c", "d", A_WON), ("c", "d", B_WON)]), ties="drop")
    assert [[ranking.counts.models[model] for model in one] for one in ranking.islands] == [["c", "d"]]


def test_records_come_best_first_with_what_was_counted():
    votes = votes_of([("a", "b", A_WON), ("b", "a", A_WON), ("a", "b", TIE), ("b", "a", BOTH_BAD), ("a", "b", A_WON)])
    first, second = ranked(votes).records()
    names = ("model", "rank", "battles", "wins", "losses", "ties", "both_bad")
    assert [first[name] for name in names] == ["a", 1, 5, 2, 1, 1, 1]
    assert [second[name] for name in names] == ["b", 2, 5, 1, 2, 1, 1]


def test_the_papers_records_are_means_and_offsets_without_decimals():
    ranking = rank(simulated(), ["winner"], RatingMethod(100, 0.9, seed=42))[0]
    drawn = ranking.replicate_ratings
    low, middle, high = np.quantile(drawn, [0.05, 0.5, 0.95], axis=0)
    found = list(ranking.paper_records())
    assert sorted(record["model"] for record in found) == list(MODELS)
    assert [record["rating"] for record in found] == sorted((record["rating"] for record in found), reverse=True)
    for record in found:
        place = MODELS.index(record["model"])
        assert record["rating"] == int(drawn[:, place].mean())
        assert record["interval"] == f"+{int(high[place] - middle[place])}/-{int(middle[place] - low[place])}"
        assert record["rank"] == sum(int(other.mean()) >= record["rating"] for other in drawn.T)


def test_equal_whole_ratings_of_the_paper_share_the_last_of_their_ranks():
    votes = votes_of([*RING * 20, *[("a", "b", A_WON)] * 40, *[("b", "a", A_WON)] * 8])
    found = list(rank(votes, ["winner"], RatingMethod(400, seed=42))[0].paper_records())
    ratings = [record["rating"] for record in found]
    for record in found:
        assert record["rank"] == sum(other >= record["rating"] for other in ratings)
    ties = votes_of(RING * 4)
    assert [record["rank"] for record in ranked(ties).paper_records()] == [5] * 5


# --- what a board is made with ----------------------------------------------------------------------------------------


def test_confidence_is_that_of_the_ranks_too():
    votes = simulated(400)
    for confidence in (0.5, 0.99):
        ranking = ranked(votes, rounds=400, confidence=confidence)
        expected = ranks(SCALE * ranking.theta, SCALE * ranking.replicates, confidence)
        found = table(ranking)
        assert [found[model]["rank_upper"] for model in MODELS] == expected.worst.tolist()
        assert [found[model]["rank_lower"] for model in MODELS] == expected.best.tolist()
    assert ranks(ranking.theta, ranking.replicates, 0.5).worst.tolist() != expected.worst.tolist()


def test_rounds_in_which_the_anchor_is_infinite_part_the_others_all_the_same():
    """Ranks are of differences: an anchor that lost all battles of a third of the rounds takes no part in them."""
    votes = votes_of(
        [*[("a", "b", A_WON)] * 90, *[("b", "a", A_WON)] * 10, *[("a", "z", A_WON)] * 20, ("z", "a", A_WON)]
    )
    plain, held = table(ranked(votes, rounds=300)), table(ranked(votes, rounds=300, anchor=("z", 800.0)))
    assert ranked(votes, rounds=300).non_finite > 0.2
    for model in "abz":
        assert [held[model][name] for name in ("rank_lower", "rank_upper", "tier")] == [
            plain[model][name] for name in ("rank_lower", "rank_upper", "tier")
        ]
    assert (plain["a"]["rank_upper"], plain["b"]["rank_lower"]) == (1, 2)


def test_of_equals_the_first_by_name_comes_first_and_below_them_who_is_worse():
    votes = votes_of([*RING * 3, *[(model, "z", A_WON) for model in MODELS for _ in range(9)], ("z", "a", A_WON)])
    records = list(ranked(votes).records())
    assert [record["model"] for record in records][-1] == "z"
    equal = list(ranked(votes_of(RING * 3)).records())
    assert [(record["model"], record["rank"]) for record in equal] == [(model, 1) for model in MODELS]
    assert [record["rank"] for record in records] == sorted(record["rank"] for record in records)


def test_models_without_a_rating_have_none_in_any_round():
    ranking = ranked(votes_of([*WINS, ("w", "a", A_WON), ("b", "l", A_WON)]), rounds=9)
    place = {model: number for number, model in enumerate(ranking.counts.models)}
    assert (ranking.replicates[:, place["w"]] == INF).all() and (ranking.replicates[:, place["l"]] == -INF).all()
    unknown = ranked(votes_of([("a", "b", A_WON), ("b", "c", A_WON), ("d", "c", A_WON)]), rounds=9)
    assert np.isnan(unknown.replicates[:, [1, 3]]).all()


def test_a_prior_connects_what_dropped_ties_do_not():
    ranking = ranked(votes_of([("a", "b", TIE), ("b", "c", A_WON)]), ties="drop", prior=1.0)
    assert [one.tolist() for one in ranking.islands] == [[0, 1, 2]]
    assert ranking.theta[0] == pytest.approx(ranking.theta[1])
    assert ranking.theta[1] - ranking.theta[2] == pytest.approx(np.log(3))


def test_the_covariance_is_the_sandwichs_or_that_of_the_rounds():
    votes = simulated(900)
    half = ranked(votes, rounds=200)
    assert half.covariance == pytest.approx(covariance(half.counts, half.theta, vote_spread(half.counts, half.theta)))
    for ties in ("davidson", "drop"):
        ranking = ranked(votes, rounds=200, ties=ties)
        assert ranking.covariance == pytest.approx(np.cov(ranking.replicates, rowvar=False))
    rows = [*WINS * 2, ("x", "a", B_WON), ("x", "a", A_WON)]  # of x some rounds have no finite rating
    ranking = ranked(votes_of(rows), rounds=200, ties="drop")
    finite = np.isfinite(ranking.replicates).all(axis=1)
    assert 10 < finite.sum() < 190
    assert ranking.covariance == pytest.approx(np.cov(ranking.replicates[finite], rowvar=False))


def test_another_model_of_ties_is_said_with_each_rating():
    for ties, said in (("half", {None}), ("davidson", {"davidson"}), ("drop", {"drop"})):
        found = list(ranked(votes_of(WINS * 2 + RING), ties=ties).records())
        assert {record.get("ties_as") for record in found} == said and len(found) == 5


def test_rounding_is_no_error_of_its_own():
    """Strengths that are equal but for the last digits in all rounds have no interval."""
    ranking = ranked(votes_of(RING * 9))
    ranking.replicates = ranking.replicates + 1e-12 * np.random.default_rng(0).normal(size=ranking.replicates.shape)
    assert all(record["lower"] is record["upper"] is None for record in ranking.records())
    ranking.replicates[0] += 1e-6
    assert all(record["lower"] is not None for record in ranking.records())


def test_subgroups_are_redrawn_by_cluster_too():
    votes = simulated(600, users=12)
    level = ["x" if place % 2 else "y" for place in range(600)]
    both = Votes(votes.models, votes.a, votes.b, votes.verdicts, votes.columns | {"level": column_of(level)})
    dependence = Dependence.of(votes.columns["user"])
    boards = rank(both, ["winner"], RatingMethod(rounds=20), by=["level"], dependence=dependence)
    assert [one.dependence is dependence for one in boards] == [True] * 3
    assert [counts.clusters for counts in boards[1].clusters_by(dependence)] == [12]
