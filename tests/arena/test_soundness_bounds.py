"""Findings on both sides of the bounds from which they matter, by closed forms."""

import numpy as np
import pytest
from ballots import evidence, tallied, votes_of

from latxa_cli.arena.findings.evidence import QUANTILE, percent, several
from latxa_cli.arena.findings.soundness import both_bad, position_bias, ties
from latxa_cli.arena.votes import A_WON, B_WON, NONE, TIE


def two(*cells):
    """Votes on two models: (a won, b won, tied, both bad)."""
    return votes_of(tallied({("a", "b"): cells}))


def both_ways(first, second, ties=0):
    """Of two equal models, each way round: the one shown first wins `first` times, loses `second`, ties."""
    return votes_of(tallied({("a", "b"): (first, second, ties, 0), ("b", "a"): (first, second, ties, 0)}))


# --- strengths that are always finite --------------------------------------------------------------------------------


def test_a_hundredth_of_a_tie_keeps_strengths_finite_and_a_larger_prior_stays():
    for prior, used in ((0.0, 0.01), (0.001, 0.01), (2.0, 2.0)):
        one = evidence(two(3, 0, 0, 0), prior)
        assert one.prior == used
        assert one.theta[0] - one.theta[1] == pytest.approx(np.log((3 + used / 2) / (used / 2)))


# --- position --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [3, 9, 400])
def test_the_first_shown_is_held_finite_by_one_tie(first):
    finding = position_bias(evidence(both_ways(first, first // 3)))
    votes = 2 * (first + first // 3)
    if votes < 20:
        assert finding["value"] is None
        return
    share = (2 * first + 0.5) / (votes + 1)  # that of the votes and of one tie more
    error = np.sqrt(2 * first * (1 - share) ** 2 + 2 * (first // 3) * share**2 + (0.5 - share) ** 2)
    error /= (votes + 1) * share * (1 - share)
    lower, upper = (1 / (1 + (1 - share) / share * np.exp(sign * QUANTILE * error)) for sign in (1, -1))
    assert finding["value"] == pytest.approx(share)
    assert (finding["lower"], finding["upper"]) == pytest.approx((lower, upper))
    assert finding["first"] == pytest.approx(2 * first / votes)
    assert finding["matters"] == (first == 400)  # 24 votes are too few to exclude one half


@pytest.mark.parametrize(("first", "second", "matters"), [(515, 485, False), (525, 475, True), (475, 525, True)])
def test_a_position_matters_from_two_points_of_a_percent_on(first, second, matters):
    finding = position_bias(evidence(both_ways(50 * first, 50 * second)))
    assert finding["upper"] < 0.5 or finding["lower"] > 0.5  # of 100,000 votes, all of them are sure
    assert finding["matters"] is matters


@pytest.mark.parametrize(("times", "known"), [(9, False), (10, True)])
def test_twenty_votes_both_ways_as_often_are_enough_to_know_a_position(times, known):
    assert (position_bias(evidence(both_ways(times // 2, times - times // 2)))["value"] is not None) is known


@pytest.mark.parametrize(("turned", "known"), [(4, False), (6, True)])
def test_many_votes_one_way_do_not_tell_a_position(turned, known):
    """Of n votes, m the other way round: (n / 4) (1 - (1 - 2 m / n)^2) is 4.0 and 5.9; the one tie adds 1/4."""
    votes = votes_of([("a", "b", n % 2) for n in range(500)] + [("b", "a", n % 2) for n in range(turned)])
    assert (position_bias(evidence(votes))["value"] is not None) is known


def test_ties_are_no_part_of_the_share_of_the_first_shown():
    assert position_bias(evidence(both_ways(15, 5, ties=20)))["first"] == pytest.approx(0.75)


def test_the_interval_is_by_user_where_users_go_together():
    """Users who say the same four times: twice the error of votes that are independent."""
    rows = [(*(("a", "b") if n % 2 else ("b", "a")), A_WON if n // 8 % 3 else B_WON) for n in range(480)]
    alone = position_bias(evidence(votes_of(rows)))
    users = position_bias(evidence(votes_of(rows, user=[f"u{n // 4}" for n in range(480)])))
    each = position_bias(evidence(votes_of(rows, user=[f"u{n}" for n in range(480)])))
    unnamed = position_bias(evidence(votes_of(rows, user=[f"u{n // 4}" if n < 8 else None for n in range(480)])))

    def width(finding):
        return np.diff([np.log(finding[side] / (1 - finding[side])) for side in ("lower", "upper")])[0]

    assert width(users) == pytest.approx(2 * width(alone), rel=0.01)
    assert width(each) == pytest.approx(width(alone), rel=0.01)
    assert width(unnamed) == pytest.approx(width(alone), rel=0.01)
    assert users["value"] == alone["value"]


# --- both bad, ties --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bad", "matters"), [(25, False), (26, True)])
def test_both_bad_matters_above_a_quarter(bad, matters):
    finding = both_bad(evidence(two(40, 60 - bad, 0, bad)))
    assert (finding["value"], finding["matters"], finding["models"]) == (bad / 100, matters, [])


@pytest.mark.parametrize(("tied", "matters"), [(50, False), (51, True)])
def test_ties_matter_above_one_half(tied, matters):
    finding = ties(evidence(two(20, 75 - tied, tied, 5)))
    assert (finding["value"], finding["matters"]) == (tied / 100, matters)


def bad_with(others, with_c, votes):
    """Both bad `others` times in the pair a, b, and `with_c` times in each of the pairs of c, of as many votes."""
    rows = {("a", "b"): others, ("a", "c"): with_c, ("b", "c"): with_c}
    halves = {pair: ((votes - bad) // 2, votes - bad - (votes - bad) // 2, 0, bad) for pair, bad in rows.items()}
    return both_bad(evidence(votes_of(tallied(halves))))["models"]


def test_a_model_stands_out_by_more_than_ten_points():
    """Of 10,000 votes a pair all differences are sure."""
    assert bad_with(500, 1400, 10_000) == []
    assert bad_with(500, 1600, 10_000) == [{"model": "c", "value": 0.16}]
    assert bad_with(1600, 500, 10_000) == []  # fewer is nothing to say


def test_a_model_stands_out_where_it_is_sure_for_all_models_together():
    """z of two shares with a pooled variance: 2.55 is 1 % for one model, and 2.71 is 1 % for three."""
    for others, with_c, z, models in ((10, 22, 2.55, []), (10, 25, 3.06, ["c"])):
        pooled = (others + 2 * with_c) / 300
        error = np.sqrt(pooled * (1 - pooled) * (1 / 200 + 1 / 100))
        assert (with_c - others) / 100 / error == pytest.approx(z, abs=0.01)
        assert [one["model"] for one in bad_with(others, with_c, 100)] == models


def test_models_that_stand_out_come_worst_first():
    cells = {("a", "b"): (500, 500, 0, 10), ("a", "c"): (300, 300, 0, 400), ("b", "d"): (200, 200, 0, 600),
             ("c", "d"): (100, 100, 0, 800), ("a", "e"): (500, 500, 0, 0), ("b", "e"): (500, 500, 0, 0)}  # fmt: skip
    assert [one["model"] for one in both_bad(evidence(votes_of(tallied(cells))))["models"]] == ["d", "c"]


# --- words -----------------------------------------------------------------------------------------------------------


def test_shares_and_numbers_in_words():
    shares = [percent(share) for share in (0, 0.00012, 0.0099, 0.01, 0.5, 1)]
    assert shares == ["0.0 %", "0.012 %", "0.99 %", "1.0 %", "50.0 %", "100.0 %"]
    assert [several(number, "vote") for number in (0, 1, 2, 1234)] == ["0 votes", "1 vote", "2 votes", "1,234 votes"]


def test_a_field_that_only_votes_without_a_verdict_have_is_not_known():
    votes = votes_of([("a", "b", TIE), ("a", "b", NONE)], user=[None, "u"])
    assert evidence(votes).column("user") is None
    assert evidence(votes).column("nothing") is None
    assert evidence(votes_of([("a", "b", TIE), ("a", "b", NONE)], user=["u", None])).column("user").names == ["u"]
