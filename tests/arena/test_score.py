"""What is said of rankings: each finding on both sides of its bound, by closed forms; what a request passes on."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from ballots import tallied, votes_of
from scipy.stats import binom

from latxa_cli.arena.clusters import Dependence
from latxa_cli.arena.control import LENGTH, STYLE, fit_controlled
from latxa_cli.arena.findings.soundness import findings
from latxa_cli.arena.fits.bradley_terry import Wins, fit
from latxa_cli.arena.fits.davidson import fit_davidson, likelihood
from latxa_cli.arena.rankings.intervals import RatingMethod
from latxa_cli.arena.score import ScoreRequest, correlations, features_of, score
from latxa_cli.arena.votes import A_WON, B_WON, NONE, TIE, Votes, count
from latxa_cli.stream.errors import UsageError


def found(votes, name, rounds=20, *, method=None, **request):
    """The finding of that name about a score; the only one."""
    [finding] = [one for one in scored(votes, rounds, method=method, **request).findings if one["finding"] == name]
    return finding


def scored(votes, rounds=20, *, method=None, **request):
    return score(votes, ScoreRequest(**request, method=replace(method or RatingMethod(), rounds=rounds)))


# --- what hangs together ---------------------------------------------------------------------------------------------


def doubled(single, double):
    """Even votes on two models: users who voted once, and some who said the same twice. With the design effect."""
    rows = [("a", "b", user % 2) for user in range(single)] + [("a", "b", n // 2 % 2) for n in range(2 * double)]
    users = [*range(single), *(single + n // 2 for n in range(2 * double))]
    clusters = single + double
    effect = (single + 4 * double) / (single + 2 * double) * clusters / (clusters - 1)
    return votes_of(rows, user=[f"u{user:04}" for user in users]), effect


@pytest.mark.parametrize(("double", "matters"), [(16, False), (24, True)])
def test_votes_that_hang_together_matter_from_a_fifth_more_variance_on(double, matters):
    votes, effect = doubled(160, double)
    finding = found(votes, "design effect", unit="vote")
    assert finding["value"] == pytest.approx(effect, rel=0.005)  # users of two votes pull more
    assert (effect > 1.2) == matters == finding["matters"]
    assert finding["clusters"] == 160 + double
    assert "`--resample user`" in finding["text"]
    by_user = found(votes, "design effect", unit="user")  # the same ratio; users are many
    assert (by_user["value"], by_user["matters"]) == (finding["value"], False)


@pytest.mark.parametrize(("clusters", "matters"), [(19, True), (20, False)])
def test_intervals_by_few_users_or_prompts_are_said_to_rest_on_few(clusters, matters):
    names = [f"x{n % clusters}" for n in range(200)]
    votes = votes_of([("a", "b", n // 7 % 2) for n in range(200)], user=names, prompt_id=names[::-1])
    for unit in ("user", "prompt"):
        finding = found(votes, "design effect", unit=unit)
        assert (finding["clusters"], finding["matters"]) == (clusters, matters)
        assert f"{clusters} {unit}s alone" in finding["text"]


def test_users_are_redrawn_together_where_votes_name_them_unless_asked_otherwise():
    votes, _ = doubled(20, 5)
    assert [scored(votes, unit=unit).unit for unit in (None, "user", "vote")] == ["user", "user", "vote"]
    assert scored(votes_of([("a", "b", TIE)])).unit == "vote"
    for unit in ("prompt", "user"):
        with pytest.raises(UsageError, match=f"--resample {unit}"):
            scored(votes_of([("a", "b", TIE)]), unit=unit)
    wide, narrow = (next(scored(votes, 400, unit=unit).records()) for unit in ("user", "vote"))
    assert wide["upper"] - wide["lower"] > 1.05 * (narrow["upper"] - narrow["lower"])


# --- what votes cannot carry -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("wins", "matters"), [(3, True), (6, False)])
def test_rounds_without_finite_ratings_matter_above_one_in_a_hundred(wins, matters):
    """Of two models, with k wins in n votes, a round draws none of these with the probability (1 - k/n)^n."""
    votes = votes_of(tallied({("a", "b"): (200 - wins, wins, 0, 0)}))
    finding = found(votes, "rounds without finite ratings", 2000)
    assert finding["value"] == pytest.approx(binom.pmf(0, 200, wins / 200), abs=0.015 if matters else 0.003)
    assert finding["matters"] == matters == (finding["value"] > 0.01)
    assert finding["value"] > 0.001


def island(*models):
    return tallied(dict.fromkeys(pairwise(models), (2, 2, 0, 0)))


def test_a_line_names_five_models_and_counts_the_others():
    main = island(*"abcdefgh") * 2
    assert found(votes_of(main + island("v", "w", "x", "y", "z")), "islands")["text"].endswith("v, w, x, y, z")
    said = found(votes_of(main + island(*(f"x{n}" for n in range(7)))), "islands")
    assert said["text"].endswith("x0, x1, x2, x3, x4 and 2 more")
    assert (said["value"], said["matters"]) == (2, True)
    assert found(votes_of(main), "islands")["matters"] is False


def test_only_all_votes_decide_whether_a_ranking_is_sound():
    rows = [*island(*"abc"), *island(*"abc"), ("a", "b", A_WON), ("c", "b", A_WON)]
    level = ["whole"] * (len(rows) - 2) + ["part"] * 2
    parted = scored(votes_of(rows, level=level), by=("level",))
    assert [bool(one.group) for one in parted.rankings] == [False, True, True]
    assert not np.isfinite(parted.rankings[1].theta).all()  # the subgroup's ratings are infinite
    assert parted.is_sound
    assert not scored(votes_of([*rows, *island("x", "y")])).is_sound
    assert not scored(votes_of([*rows, ("a", "loser", A_WON)])).is_sound
    assert scored(votes_of(rows, [*"abc", "nobody"])).is_sound  # a model without votes is none


def test_values_of_a_field_with_too_few_votes_are_said_and_those_with_enough_ranked():
    rows = island("a", "b") * 10
    level = ["exactly"] * 10 + ["fewer"] * 9 + ["more"] * 11 + [None] * 10
    votes = votes_of(rows, level=level)
    finding = found(votes, "groups of few votes", by=("level",), least=10)
    assert (finding["value"], finding["matters"]) == (1, True)
    assert finding["text"].endswith("(fewer)")
    assert [one.group.get("level") for one in scored(votes, by=("level",), least=10).rankings] == [
        None, "exactly", "more"
    ]  # fmt: skip
    assert found(votes, "groups of few votes", by=("level",), least=9)["matters"] is False


# --- ties ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("times", "matters"), [(4, False), (10, True)])
def test_even_ties_matter_where_they_fit_clearly_better(times, matters):
    """Ties that come as often in all pairs, however unequal: by an AIC smaller by more than 2."""
    cells = {("a", "b"): (8, 2, 5, 0), ("a", "c"): (9, 1, 5, 0), ("b", "c"): (7, 3, 5, 0)}
    votes = votes_of(tallied({pair: [times * number for number in row] for pair, row in cells.items()}))
    finding = found(votes, "model of ties", method=RatingMethod(ties="davidson"))
    counts = count(votes)[0]
    theta, nu = fit_davidson(counts, counts.cells[None])
    assert finding["value"] == pytest.approx(nu[0])
    assert (finding["log_likelihood"], finding["aic"]) == pytest.approx(likelihood(counts, theta[0], nu[0]))
    decided = counts.cells * [1, 1, 0, 0]
    assert finding["aic_even"] == pytest.approx(likelihood(counts, fit(counts, Wins.of(decided[None]))[0])[1])
    assert 0.5 < finding["aic"] - finding["aic_even"] < 20
    assert (finding["aic"] - finding["aic_even"] > 2) == matters == finding["matters"]


def test_the_model_of_ties_has_the_prior_of_the_ranking():
    votes = votes_of(tallied({("a", "b"): (8, 2, 5, 0), ("a", "c"): (9, 1, 5, 0), ("b", "c"): (7, 3, 5, 0)}))
    counts = count(votes)[0]
    finding = found(votes, "model of ties", method=RatingMethod(ties="davidson", prior=3.0))
    assert finding["value"] == pytest.approx(fit_davidson(counts, counts.cells[None], 3.0)[1][0])


# --- neighbours ------------------------------------------------------------------------------------------------------


def test_of_neighbours_that_are_not_apart_the_next_to_be_is_named():
    """Equal ones never will be; of the others the one that takes the fewest votes."""
    rows = tallied({("a", "b"): (60, 40, 0, 0), ("b", "c"): (50, 50, 0, 0), ("a", "c"): (60, 40, 0, 0),
                    ("c", "d"): (52, 48, 0, 0), ("b", "d"): (52, 48, 0, 0)})  # fmt: skip
    finding = found(votes_of(rows), "neighbours", 100)
    spread = {one["model"]: one["votes_spread"] for one in finding["neighbours"] if not one["separated"]}
    assert list(spread.values()).count(None) == 1
    least = min((votes, model) for model, votes in spread.items() if votes is not None)
    assert f"the next, {least[1]} over" in finding["text"]
    assert f"or {least[0]:,} spread as now" in finding["text"]
    assert finding["text"].startswith(f"neighbours not separated at 90%: {len(spread)} of 3")
    assert finding["value"] == 3 - len(spread)


# --- what is passed on -----------------------------------------------------------------------------------------------


def test_findings_are_those_of_the_votes_with_the_prior_of_the_ranking():
    votes = votes_of(tallied({("a", "b"): (30, 9, 0, 0), ("b", "a"): (9, 5, 0, 0), ("b", "c"): (20, 9, 0, 0)}))
    for prior in (0.0, 2.0):
        all_of_them = scored(votes, method=RatingMethod(prior=prior)).findings
        of_votes = findings(votes, "winner", *count(votes), prior)
        assert [json.dumps(one) for one in of_votes if one not in all_of_them] == []
    assert findings(votes, "winner", *count(votes), 2.0) != findings(votes, "winner", *count(votes))


def test_ratings_of_all_votes_are_correlated_and_none_of_subgroups():
    rows = tallied({("a", "b"): (3, 1, 0, 0), ("b", "c"): (3, 1, 0, 0), ("a", "c"): (4, 1, 0, 0)})
    votes = votes_of([(*row, row[2]) for row in rows], level=["x"] * len(rows))
    results = [{"model": "cba"[n], "task": "t", "metric": "acc", "value": n / 3} for n in range(3)]
    boards = scored(votes, 100, by=("level",), criteria=("winner", "winner_language"))
    found = list(correlations(boards, iter(results)))
    assert [(one["criterion"], one["correlation"]) for one in found] == [("winner", 1.0), ("winner_language", 1.0)]
    assert all(-1 <= one["lower"] <= one["upper"] == 1 for one in found)


def with_lengths(votes, seed=0, known=None):
    random = np.random.default_rng(seed)
    features = {name: random.integers(1, 90, (len(votes), 2)).astype(float) for name in STYLE}
    if known is not None:
        features["characters"][~known, 1] = np.nan
    return Votes(votes.models, votes.a, votes.b, votes.verdicts, votes.columns, features)


def test_what_is_controlled_is_what_was_asked_with_prior_and_clusters():
    rows = tallied({("a", "b"): (30, 20, 5, 0), ("b", "a"): (15, 20, 5, 0), ("b", "c"): (30, 20, 5, 0),
                    ("c", "a"): (15, 20, 5, 0)})  # fmt: skip
    users = [f"u{n % 23}" for n in range(len(rows))]
    known = np.arange(len(rows)) % 10 != 0
    votes = with_lengths(votes_of(rows, user=users), known=known)
    measured = votes.where(known)
    for control, names, position in (
        (("length",), LENGTH, False), (("style",), STYLE, False), (("length", "style"), STYLE, False),
        (("position",), (), True), (("position", "length"), LENGTH, True),
    ):  # fmt: skip
        assert features_of(control) == names
        for unit, column in (("user", measured.columns["user"]), ("vote", None)):
            [ranking] = scored(votes, control=control, unit=unit, method=RatingMethod(prior=2.0)).rankings
            some = measured if names else votes
            if not names and column is not None:
                column = votes.columns["user"]
            dependence = Dependence.of(column) if column else None
            expected = fit_controlled(some, "winner", names, position=position, dependence=dependence, prior=2.0)
            assert ranking.theta == pytest.approx(expected.theta)
            assert ranking.covariance == pytest.approx(expected.covariance)
    finding = found(votes, "votes without conversations", control=("length",))
    assert (finding["value"], finding["matters"]) == (int((~known).sum()), True)
    assert found(votes, "votes without conversations", control=("position",))["matters"] is False


@pytest.mark.parametrize("unit", [None, "vote", "user", "prompt", "both"])
def test_votes_without_conversations_change_nothing_of_controlled_scores_but_that_they_are_told(unit):
    rows = tallied({("a", "b"): (30, 20, 5, 0), ("b", "a"): (15, 20, 5, 0), ("b", "c"): (30, 20, 5, 0),
                    ("c", "a"): (15, 20, 5, 0)})  # fmt: skip
    users, prompts = [f"u{n % 23}" for n in range(len(rows))], [f"p{n // 4 % 19}" for n in range(len(rows))]
    known = np.arange(len(rows)) % 10 != 0
    votes = with_lengths(votes_of(rows, user=users, prompt_id=prompts), known=known)
    whole, part = (scored(some, control=("length",), unit=unit) for some in (votes, votes.where(known)))
    assert whole.unit == part.unit and list(whole.rankings[0].records()) == list(part.rankings[0].records())
    told = {one["finding"]: one for one in whole.findings}
    assert told.pop("votes without conversations")["value"] == int((~known).sum())
    assert list(told.values()) == [one for one in part.findings if one["finding"] in told]


@pytest.mark.parametrize("unit", [None, "vote", "user"])
def test_control_without_any_two_conversations_is_an_error_of_that(unit):
    votes = votes_of([("a", "b", A_WON), ("a", "b", B_WON)], user=["u", "v"])
    with pytest.raises(UsageError, match="no battle with a `winner` holds two conversations"):
        scored(with_lengths(votes, known=np.zeros(2, dtype=bool)), control=("length",), unit=unit)


def test_votes_without_a_verdict_are_not_said_to_lack_conversations():
    rows = tallied({("a", "b"): (30, 20, 5, 0), ("b", "a"): (15, 20, 5, 0)})
    known = np.arange(len(rows)) >= 12
    votes = with_lengths(votes_of(rows), known=known)
    votes.verdicts["winner"][:5] = NONE
    assert found(votes, "votes without conversations", control=("length",))["value"] == 7
    assert found(votes, "votes without a verdict", control=("length",))["value"] == 0


def test_criteria_that_nobody_judged_have_no_findings_but_that():
    votes = votes_of([("a", "b", A_WON), ("a", "b", B_WON)])
    told = scored(votes, criteria=("winner", "winner_language")).findings
    of_language = [one for one in told if one["criterion"] == "winner_language"]
    assert [(one["finding"], one["value"], one["matters"]) for one in of_language] == [
        ("votes without a verdict", 2, True)
    ]


def test_subgroups_and_criteria_are_controlled_too_and_have_no_differences():
    rows = tallied({("a", "b"): (30, 20, 5, 0), ("b", "a"): (15, 20, 5, 0), ("b", "c"): (30, 20, 5, 0),
                    ("c", "a"): (15, 20, 5, 0)})  # fmt: skip
    rows = [(*row, B_WON if n % 3 else A_WON) for n, row in enumerate(rows)]
    level = ["x" if n % 2 else "y" for n in range(len(rows))]
    votes = with_lengths(votes_of(rows, level=level), known=np.arange(len(rows)) % 7 != 0)
    known = np.isfinite(votes.features["characters"]).all(axis=1)
    scores = scored(votes, criteria=("winner", "winner_language"), by=("level",), control=("length",), unit="vote")
    boards = {(one.criterion, one.group.get("level")): one for one in scores.rankings}
    assert len(boards) == 6
    for (criterion, name), ranking in boards.items():
        inside = known & (np.array(level) == name if name else True)
        expected = fit_controlled(votes.where(inside), criterion, LENGTH)
        assert ranking.theta == pytest.approx(expected.theta) and ranking.covariance == pytest.approx(
            expected.covariance
        )
    effects = [one["criterion"] for one in scores.findings if one["finding"] == "effect of characters"]
    assert effects == ["winner", "winner_language"]
    assert not any("difference" in one for one in scores.records())


def test_differences_are_of_the_same_resampled_votes_or_there_are_none():
    rows = [(*row, row[2]) for row in tallied({("a", "b"): (30, 20, 5, 0), ("b", "c"): (30, 20, 5, 0)})]
    votes = votes_of(rows, level=["x" if n % 2 else "y" for n in range(len(rows))])
    found = {kind: sum("difference" in one for one in scored(votes, by=("level",), interval=kind).records())
             for kind in ("bootstrap", "sandwich")}  # fmt: skip
    assert found == {"bootstrap": 6, "sandwich": 0}
    assert len(scored(votes, by=("level",), interval="sandwich").rankings) == 3
