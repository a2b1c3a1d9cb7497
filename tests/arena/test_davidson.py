"""Davidson's model against general-purpose optimisers, the published arena, and where its likelihood has no maximum."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ballots import MODELS, arenas, counts_of, pairs, published, redrawn, ring_of, verdicts
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from latxa_cli.arena.fits.bradley_terry import Wins, fit, to_ratings
from latxa_cli.arena.fits.connectivity import strongly_connected
from latxa_cli.arena.fits.davidson import fit_davidson, likelihood
from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, TIE

# Both ways round, and tied: then every maximum is finite.
circle = [(a, b, verdict) for a, b, _ in ring_of(MODELS) for verdict in (A_WON, B_WON, TIE)]


def fitted(battles, models=MODELS, **method):
    counts = counts_of(battles, models)
    theta, nu = fit_davidson(counts, counts.cells[None], **method)
    return theta[0], nu[0]


def log_likelihood(battles, theta, nu):
    """Davidson, 1970, battle by battle, in worths rather than their logarithms."""
    total = 0.0
    for a, b, verdict in battles:
        worth_a, worth_b = np.exp(theta[MODELS.index(a)]), np.exp(theta[MODELS.index(b)])
        tie = nu * np.sqrt(worth_a * worth_b)
        total += np.log({A_WON: worth_a, B_WON: worth_b}.get(verdict, tie) / (worth_a + worth_b + tie))
    return total


@settings(max_examples=25)
@given(arenas)
def test_a_general_purpose_optimiser_finds_the_same(battles):
    battles = battles + circle
    theta, nu = fitted(battles)

    def loss(free):
        return -log_likelihood(battles, [0.0, *free[:-1]], np.exp(free[-1]))

    best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-6})
    assert log_likelihood(battles, theta, nu) >= -best.fun - 1e-9
    assert theta - theta[0] == pytest.approx([0.0, *best.x[:-1]], abs=1e-4)
    assert nu == pytest.approx(np.exp(best.x[-1]), abs=1e-4)
    assert likelihood(counts_of(battles), theta, nu)[0] == pytest.approx(log_likelihood(battles, theta, nu))


@settings(max_examples=40)
@given(arenas, st.randoms(), st.lists(st.floats(-3, 3), min_size=5, max_size=5))
def test_order_position_copies_and_start_change_nothing(battles, random, start):
    battles = battles + circle
    theta, nu = fitted(battles)
    turned = {A_WON: B_WON, B_WON: A_WON}
    swapped = [(b, a, turned.get(verdict, verdict)) for a, b, verdict in battles]
    random.shuffle(swapped)
    again, nu_again = fitted(swapped + battles, start=np.array(start))
    assert again == pytest.approx(theta, abs=1e-10)
    assert nu_again == pytest.approx(nu, abs=1e-10)
    assert theta.mean() == pytest.approx(0, abs=1e-12)


@settings(max_examples=200, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.lists(st.builds(lambda pair, verdict: (*pair, verdict), pairs, verdicts), min_size=2, max_size=9))
def test_it_is_known_where_the_likelihood_grows_for_ever(battles):
    """It does where strengths exist that a linear programme finds: wins lead by 2 or more, ties by no more."""
    models = sorted({name for battle in battles for name in battle[:2]})
    counts = counts_of(battles, models)
    kinds = {verdict in (A_WON, B_WON) for *_, verdict in battles}
    assume(len(kinds) == 2 and strongly_connected(Wins.of(counts.cells[None]).beats(counts))[0])
    rows, bounds = [], []
    for a, b, verdict in battles:
        lead = np.zeros(len(models))
        lead[models.index(a)], lead[models.index(b)] = 1, -1
        tied = verdict in (TIE, BOTH_BAD)
        rows += [lead, -lead] if tied else [lead if verdict == B_WON else -lead]
        bounds += [2, 2] if tied else [-2]
    endless = linprog(np.zeros(len(models)), np.array(rows), bounds, bounds=(None, None)).status == 0
    theta, nu = fitted(battles, models)
    assert np.isnan(theta).tolist() == [endless] * len(models)
    assert np.isinf(nu) == endless


def test_two_models_by_hand():
    # All three shares are free: they are met exactly.
    theta, nu = fitted(
        [("a", "b", A_WON)] * 9 + [("b", "a", A_WON)] + [("a", "b", TIE), ("b", "a", BOTH_BAD)] * 3, "ab"
    )
    assert theta == pytest.approx([np.log(9) / 2, -np.log(9) / 2])
    assert nu == pytest.approx(6 / np.sqrt(9 * 1))


def test_the_prior_is_half_a_win_both_ways():
    theta, nu = fitted([("a", "b", A_WON), ("a", "b", TIE)], "ab", prior=1)
    assert theta == pytest.approx([np.log(3) / 2, -np.log(3) / 2])
    assert nu == pytest.approx(1 / np.sqrt(1.5 * 0.5))


def test_without_ties_it_is_the_plain_fit():
    decided = [battle for battle in circle + [("a", "c", A_WON)] * 3 if battle[2] != TIE]
    counts = counts_of(decided)
    theta, nu = fitted(decided)
    assert nu == 0
    assert theta == pytest.approx(fit(counts, Wins.of(counts.cells[None]))[0], abs=1e-12)
    assert likelihood(counts, theta, nu)[0] == pytest.approx(log_likelihood(decided, theta, 0))


def test_without_a_decided_vote_all_are_equal():
    theta, nu = fitted(ring_of(MODELS))
    assert theta.tolist() == [0] * 5
    assert nu == np.inf
    assert likelihood(counts_of(ring_of(MODELS)), theta, nu)[0] == 0
    assert likelihood(counts_of(circle), theta, nu)[0] == -np.inf


def test_without_votes_nothing_is_known_of_ties():
    theta, nu = fitted([])
    assert theta.tolist() == [0] * 5
    assert np.isnan(nu)


def test_rounds_of_all_kinds_side_by_side():
    counts = counts_of([*circle, ("a", "c", A_WON)])
    no_ties, no_wins, nothing = counts.cells.copy(), counts.cells.copy(), 0 * counts.cells
    no_ties[:, TIE] = 0
    no_wins[:, :TIE] = 0
    cells = np.stack([no_ties, counts.cells, no_wins, nothing, 2 * counts.cells])
    members = np.array([[True] * 5, [True] * 5, [True] * 5, [True] * 5, [True, True, True, False, False]])
    theta, nu = fit_davidson(counts, cells, members=members)
    for number in range(4):
        alone, nu_alone = fit_davidson(counts, cells[number, None])
        assert theta[number] == pytest.approx(alone[0], abs=1e-11)
        assert nu[number] == pytest.approx(nu_alone[0], nan_ok=True)
    inside, _ = counts.among(np.arange(3))
    alone, nu_alone = fit_davidson(inside, inside.cells[None])
    assert theta[4] == pytest.approx([*alone[0], 0, 0], abs=1e-11)
    assert nu[4] == pytest.approx(nu_alone[0])


def test_rounds_are_fitted_each_on_its_own_votes(shared_reference):
    counts = published(shared_reference)
    cells = redrawn(counts, 80)
    point, _ = fit_davidson(counts, counts.cells[None])
    theta, nu = fit_davidson(counts, cells, start=point[0])
    for number in (0, 33, 34, 79):
        alone, nu_alone = fit_davidson(replace(counts, cells=cells[number]), cells[number, None])
        assert theta[number] == pytest.approx(alone[0], abs=1e-11)
        assert nu[number] == pytest.approx(nu_alone[0])


def test_the_rival_model_by_hand():
    """Ties come as often in every pair, and decided votes are Bradley and Terry's; models without battles count not."""
    rows = [("a", "b", A_WON)] * 6 + [("a", "b", B_WON)] * 2 + [("b", "c", A_WON)] * 3 + [("b", "c", B_WON)] * 3
    rows += [("a", "b", TIE)] * 4 + [("b", "c", BOTH_BAD)] * 2
    counts = counts_of(rows, "abcde")
    theta = np.array([np.log(3), 0, 0, 0, 0])
    total, aic = likelihood(counts, theta)
    tied = 6 / 20
    expected = 6 * np.log(0.75) + 2 * np.log(0.25) + 6 * np.log(0.5) + 14 * np.log(1 - tied) + 6 * np.log(tied)
    assert (total, aic) == pytest.approx((expected, 2 * 3 - 2 * expected))
    fitted_total, fitted_aic = likelihood(counts, theta, 0.8)
    assert fitted_aic == pytest.approx(2 * 3 - 2 * fitted_total)


@pytest.mark.parametrize("ties", [1, 10**5])
def test_ties_that_are_all_but_all_or_none_are_fitted(ties):
    rows = {("a", "b"): (10**4, 1, ties), ("b", "c"): (1, 10**4, ties), ("a", "c"): (10**3, 1, ties)}
    counts = counts_of([], "abc")
    first, second = (np.array([MODELS.index(pair[side]) for pair in rows]) for side in (0, 1))
    cells = np.array([[*row, 0] for row in rows.values()])
    counts = replace(counts, first=first, second=second, cells=cells)
    theta, nu = fit_davidson(counts, cells[None])
    gap, share = theta[0][first] - theta[0][second], cells.sum(axis=1)
    weight = np.exp(gap / 2) + np.exp(-gap / 2) + nu[0]
    assert (share * nu[0] / weight).sum() == pytest.approx(3 * ties)  # the equation of ties
    score = cells[:, 0] + ties / 2 - share * (np.exp(gap / 2) + nu[0] / 2) / weight
    assert score[0] + score[2] == pytest.approx(0, abs=1e-6) and score[1] == pytest.approx(score[0], abs=1e-6)


def test_the_published_arena(shared_reference):
    counts = published(shared_reference)
    known = json.loads((shared_reference / "arena" / "ebaluatoia_reference.json").read_text())
    theta, nu = fit_davidson(counts, counts.cells[None])
    found, aic = likelihood(counts, theta[0], nu[0])
    assert nu[0] == pytest.approx(known["davidson"]["nu"], abs=1e-7)
    assert found == pytest.approx(known["davidson"]["loglik"], abs=1e-6)
    assert aic == 2 * 21 - 2 * found
    assert to_ratings(theta[0]) == pytest.approx([known["models"][m]["davidson_elo"] for m in counts.models], abs=1e-3)


def test_ties_speak_for_equal_strength_in_the_published_arena(shared_reference):
    counts = published(shared_reference)
    theta, nu = fit_davidson(counts, counts.cells[None])
    decided = counts.cells.copy()
    decided[:, [TIE, BOTH_BAD]] = 0
    without_ties = fit(counts, Wins.of(decided[None]))[0]
    _, davidson = likelihood(counts, theta[0], nu[0])
    _, evenly = likelihood(counts, without_ties)
    assert davidson < evenly - 100
    chance = 1 / (1 + np.exp(without_ties[counts.second] - without_ties[counts.first]))
    tied = 1 - decided.sum() / counts.cells.sum()
    by_hand = (decided[:, 0] * np.log((1 - tied) * chance) + decided[:, 1] * np.log((1 - tied) * (1 - chance))).sum()
    by_hand += tied * counts.cells.sum() * np.log(tied)
    assert evenly == pytest.approx(2 * 21 - 2 * by_hand)
