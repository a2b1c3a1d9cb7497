"""How few votes decide who is first: closed forms of influence, and bounds from both sides."""

import itertools

import numpy as np
import pytest
from ballots import evidence, tallied, votes_of

from latxa_cli.arena.findings.leverage import MOST_USERS, _influence, leverage
from latxa_cli.arena.fits.bradley_terry import Wins, fit
from latxa_cli.arena.votes import A_WON, B_WON, TIE, count


def two(won, lost, tied=0, **more):
    return evidence(votes_of(tallied({("a", "b"): (won, lost, tied, 0)})), **more)


@pytest.mark.parametrize(("won", "lost"), [(2, 1), (3, 2), (30, 10)])
def test_influence_takes_into_account_that_a_vote_has_held_the_fit(won, lost):
    """Of two models with n votes and share p: -1 / (n p) without the leverage 1 / n, hence -1 / ((n - 1) p)."""
    influence = _influence(two(won, lost), 0, 1)
    votes, share = won + lost, won / (won + lost)
    assert influence[0, A_WON] == pytest.approx(-1 / ((votes - 1) * share), rel=0.02)  # 0.01 tie keeps it finite
    assert influence[0, B_WON] == pytest.approx(1 / ((votes - 1) * (1 - share)), rel=0.02)
    assert influence[0, TIE] == pytest.approx((share - 0.5) / ((votes - 1) * share * (1 - share)), rel=0.02)
    assert _influence(two(won, lost), 1, 0) == pytest.approx(-influence)


def test_the_only_vote_of_a_pair_has_an_influence_that_is_finite():
    one = two(1, 0)
    share = 1.005 / 1.01
    leverage_of_it = 1 / 1.01
    assert 1 - leverage_of_it < 0.05
    assert _influence(one, 0, 1)[0, A_WON] == pytest.approx(-1 / (1.01 * share) / 0.05)


def test_influence_of_a_third_models_votes():
    """In a triangle the lead also moves with votes that neither of the two took part in alone."""
    cells = {("a", "b"): (12, 8, 0, 0), ("a", "c"): (30, 10, 0, 0), ("b", "c"): (22, 18, 0, 0)}
    one = evidence(votes_of(tallied(cells)))
    influence = _influence(one, 0, 1)
    for number, pair in enumerate(cells):
        for verdict in (A_WON, B_WON):
            left = {key: list(row) for key, row in cells.items()}
            left[pair][verdict] -= 1
            theta = evidence(votes_of(tallied(left))).theta
            moved = theta[0] - theta[1] - (one.theta[0] - one.theta[1])
            assert influence[number, verdict] == pytest.approx(moved, rel=0.05)


@pytest.mark.parametrize(("lead", "matters"), [(9, True), (10, False)])
def test_fewer_than_ten_votes_matter(lead, matters):
    finding = leverage(two(60, 60 - lead))
    assert (finding["value"], finding["matters"]) == (lead, matters)


@pytest.mark.parametrize(("won", "lost", "matters"), [(765, 736, True), (766, 735, False)])
def test_less_than_a_hundredth_of_the_battles_of_the_two_matters(won, lost, matters):
    """Each of 1,501 votes is a battle of both: 30 is the bound, however many votes others had."""
    assert leverage(two(won, lost))["matters"] is matters
    others = {("c", "d"): (3000, 3000, 0, 0), ("a", "c"): (6, 1, 0, 0)}
    finding = leverage(evidence(votes_of(tallied({("a", "b"): (won, lost, 0, 0), **others}))))
    assert (finding["value"], finding["rival"]) == (won - lost, "b")
    assert finding["matters"] is matters


@pytest.mark.parametrize(
    ("cells", "without", "with_prior"), [([(8, 4), (5, 1), (1, 5)], 3, 4), ([(4, 3), (9, 1), (1, 4)], 5, 7)]
)
def test_votes_are_removed_under_the_prior_of_the_ranking(cells, without, with_prior):
    """Tied battles of the prior stay: with six a pair it takes more votes. No smaller set does it."""
    pairs = (("a", "b"), ("a", "c"), ("b", "c"))
    votes = votes_of(tallied({pair: (*row, 0, 0) for pair, row in zip(pairs, cells, strict=True)}))
    counts, _ = count(votes)

    def least(prior):
        for size in itertools.count(1):
            for removed in itertools.combinations_with_replacement((0, 1, 4, 5, 8, 9), size):
                left = counts.cells.reshape(-1) - np.bincount(removed, minlength=12)
                if left.min() >= 0:
                    theta = fit(counts, Wins.of(left.reshape(1, 3, 4), prior))[0]
                    if theta[0] <= theta[1:].max() + 1e-9:
                        return size
        return None

    for prior, value in ((0.0, without), (6.0, with_prior)):
        assert leverage(evidence(votes, prior))["value"] == value == least(max(prior, 0.01))


def test_all_users_are_named_whose_votes_alone_decide():
    """The lead is three votes: each of two users gave it more, one voted against it, one gave less."""
    rows, users = [], []
    for user, won, lost in (("u", 5, 1), ("v", 6, 0), ("w", 3, 1), ("x", 0, 9), ("y", 10, 10)):
        rows += [("a", "b", A_WON)] * won + [("a", "b", B_WON)] * lost
        users += [user] * (won + lost)
    finding = leverage(evidence(votes_of(rows, user=users)))
    assert finding["value"] == 3
    assert finding["users"] == ["v", "u"]
    assert "the votes of one user alone, v or u, decide it" in finding["text"]
    assert MOST_USERS == 5


def test_who_lowers_the_lead_does_not_decide_it():
    """Without the votes of `x`, who was always against it, the lead grows; a is first with or without them."""
    rows = [("a", "b", A_WON)] * 30 + [("a", "b", B_WON)] * 9
    finding = leverage(evidence(votes_of(rows, user=[f"u{n}" for n in range(30)] + ["x"] * 9)))
    assert (finding["users"], finding["value"]) == ([], 21)
