"""Differences between rankings of unlike models: by hand from strengths and replicates, with and without an anchor."""

import numpy as np
import pytest
from ballots import tallied, votes_of

from latxa_cli.arena.fits.bradley_terry import SCALE
from latxa_cli.arena.rankings.differences import differences
from latxa_cli.arena.rankings.intervals import RatingMethod, bounds
from latxa_cli.arena.rankings.ranking import rank

INSIDE = {("a", "b"): (9, 5, 0, 0), ("b", "c"): (8, 5, 0, 0), ("a", "c"): (9, 4, 0, 0)}
OUTSIDE = {("a", "b"): (4, 9, 0, 0), ("b", "c"): (9, 3, 0, 0), ("c", "d"): (9, 2, 0, 0), ("a", "d"): (9, 3, 0, 0)}


def boards(inside=INSIDE, **method):
    """The board of all votes, and those of a level whose votes name some of the models alone; by two criteria."""
    rows = [*tallied(inside), *tallied(OUTSIDE)]
    level = ["x"] * len(tallied(inside)) + [None] * len(tallied(OUTSIDE))
    rows = [(*row, row[2] if n % 3 else 1 - row[2]) for n, row in enumerate(rows)]
    votes = votes_of(rows, level=level)
    return rank(votes, ["winner", "winner_language"], RatingMethod(rounds=60, **method), by=["level"])


def by_hand(one, other, models, anchor=None):
    point = SCALE * (one.theta[models] - other.theta[models])
    rounds = SCALE * (one.replicates[:, models] - other.replicates[:, models])
    if anchor is None:
        centred = [row - (row - point + point.mean())[np.isfinite(row)].mean() for row in rounds]
        return point - point.mean(), np.array(centred)
    return point - point[anchor], rounds - rounds[:, [anchor]]


@pytest.mark.parametrize("anchor", [None, ("b", 1200.0), ("d", 900.0)])
def test_a_subgroup_of_some_models_differs_from_all_by_the_same_criterion(anchor):
    whole, by_language, some, some_by_language = boards(anchor=anchor)
    found = list(differences([whole, by_language, some, some_by_language]))
    assert [(one["criterion"], "group" in one, one["against"]["criterion"]) for one in found[::3]][-2:] == [
        ("winner", True, "winner"), ("winner_language", True, "winner_language")
    ]  # fmt: skip
    held = 1 if anchor and anchor[0] == "b" else None
    for board, against in ((some, whole), (some_by_language, by_language)):
        point, rounds = by_hand(board, against, np.arange(3), held)
        low, high = bounds(np.where(np.isfinite(rounds), rounds, np.nan), 0.9)
        given = [one for one in found if "group" in one and one["criterion"] == board.criterion]
        assert [one["model"] for one in given] == ["a", "b", "c"]
        assert [one["difference"] for one in given] == pytest.approx(point, abs=1e-6)
        if np.isfinite(rounds).all():
            assert [one["lower"] for one in given] == pytest.approx(low, abs=1e-6)
            assert [one["upper"] for one in given] == pytest.approx(high, abs=1e-6)
    assert np.isfinite(whole.replicates[:, :3]).all() and len(found) == 4 + 3 + 3


def test_two_models_in_common_are_enough_and_one_is_not():
    two = list(differences(boards({("a", "b"): (9, 5, 0, 0)})))
    assert [one["model"] for one in two if "group" in one] == ["a", "b"] * 2
    apart = list(differences(boards({("a", "x"): (9, 5, 0, 0)})))
    assert [one["model"] for one in apart if "group" in one] == ["a", "x"] * 2  # all votes hold these two as well


def test_where_the_anchor_is_infinite_in_a_round_nothing_is_known_of_that_round():
    whole, _, some, _ = boards(anchor=("b", 1200.0))
    some.replicates[:30, 1] = np.inf
    found = [one for one in differences([whole, some]) if "group" in one]
    assert all(one["lower"] is None and one["upper"] is None for one in found)
    some.replicates[:30, 1] = some.theta[1]
    assert all(one["lower"] is not None for one in differences([whole, some]))


def test_who_has_no_finite_rating_in_a_round_does_not_move_the_others():
    """In such a round the others keep the mean of their own differences."""
    whole, _, some, _ = boards()
    some.replicates[:50, 2] = -np.inf
    found = {one["model"]: one for one in differences([whole, some]) if "group" in one}
    point, _ = by_hand(some, whole, np.arange(3))
    rounds = SCALE * (some.replicates[:, :3] - whole.replicates[:, :3])
    moved = np.array([np.mean([row[m] - point[m] for m in range(3) if np.isfinite(row[m])]) for row in rounds])
    low, high = bounds(rounds - moved[:, None], 0.9)
    for place, model in enumerate("ab"):
        assert (found[model]["lower"], found[model]["upper"]) == pytest.approx((low[place], high[place]), abs=1e-6)
    assert found["c"]["lower"] is None
    assert abs(point[2]) > 0.5  # else leaving it out would change nothing
