"""How many votes separate neighbours: held against arenas that get as many."""

import json

import numpy as np
import pytest

from latxa_cli.arena.findings.separation import dispersion_of, separating
from latxa_cli.arena.fits.bradley_terry import SCALE, Wins, covariance, fit, vote_spread
from latxa_cli.arena.votes import PairCounts


def counts_of(cells, models="abc"):
    """Count by pairs: {(i, j): (i won, j won, ties, both bad)}."""
    first, second = (np.array([pair[side] for pair in cells], dtype=np.int64) for side in (0, 1))
    return PairCounts(list(models), first, second, np.array(list(cells.values()), dtype=np.int64).reshape(-1, 4))


def known_of(counts):
    theta = fit(counts, Wins.of(counts.cells[None]))[0]
    return theta, covariance(counts, theta, vote_spread(counts, theta))


uneven = {(0, 1): (55, 45, 20, 5), (0, 2): (70, 30, 10, 0), (1, 2): (60, 40, 3, 3)}


def multiplied(cells, factor):
    return {pair: tuple(number * factor for number in votes) for pair, votes in cells.items()}


def test_neighbours_best_first_with_gap_and_error_in_points():
    counts = counts_of(uneven)
    theta, known = known_of(counts)
    records = separating(counts, theta, known)
    assert [(record["model"], record["against"]) for record in records] == [("a", "b"), ("b", "c")]
    assert records[0]["gap"] == pytest.approx(SCALE * (theta[0] - theta[1]), abs=1e-6)
    error = SCALE * np.sqrt(known[0, 0] + known[1, 1] - 2 * known[0, 1])
    assert records[0]["stderr"] == pytest.approx(error, abs=1e-6)
    assert not records[0]["separated"]
    assert records[1]["separated"]
    assert records[1]["votes_spread"] == records[1]["votes_between"] == 0


def test_as_many_votes_spread_as_now_do_separate_and_fewer_do_not():
    counts = counts_of(uneven)
    more = separating(counts, *known_of(counts))[0]["votes_spread"]
    needed = (more + counts.cells.sum()) / counts.cells.sum()
    for factor, separated in ((int(np.ceil(needed)), True), (int(np.floor(needed * 0.99)), False)):
        larger = counts_of(multiplied(uneven, factor))
        assert separating(larger, *known_of(larger))[0]["separated"] is separated


def test_as_many_votes_between_the_two_do_separate_and_fewer_do_not():
    counts = counts_of(multiplied(uneven, 10))
    theta, known = known_of(counts)
    confidence = 0.9999999
    record = separating(counts, theta, known, confidence)[0]
    gap = record["gap"] / SCALE
    chance = 1 / (1 + np.exp(-gap))
    pair = np.array([1.0, -1.0, 0.0])
    between = record["votes_between"]
    assert 0 < between < record["votes_spread"]
    for votes, separated in ((between, True), (int(between * 0.99), False)):
        told = votes * chance * (1 - chance) / dispersion_of(counts, theta, known)
        along = known @ pair
        after = known - told / (1 + told * (pair @ along)) * np.outer(along, along)
        assert separating(counts, theta, after, confidence)[0]["separated"] is separated


def test_dispersion_is_one_for_coin_tosses_below_with_ties_and_goes_with_the_covariance():
    plain = counts_of({(0, 1): (50, 50, 0, 0), (1, 2): (50, 50, 0, 0)})
    assert dispersion_of(plain, *known_of(plain)) == pytest.approx(1)
    tied = counts_of({(0, 1): (40, 40, 10, 10), (1, 2): (40, 40, 20, 0)})
    assert dispersion_of(tied, *known_of(tied)) == pytest.approx(0.8)
    theta, known = known_of(tied)
    assert dispersion_of(tied, theta, 2 * known) == pytest.approx(1.6)


def test_equal_models_are_separated_by_no_number_of_votes():
    counts = counts_of({(0, 1): (5, 5, 0, 0)}, "ab")
    (record,) = separating(counts, *known_of(counts))
    assert (record["gap"], record["separated"], record["votes_spread"], record["votes_between"]) == (
        0,
        False,
        None,
        None,
    )
    ties = counts_of({(0, 1): (0, 0, 9, 0)}, "ab")
    (record,) = separating(ties, *known_of(ties))
    assert (record["stderr"], record["separated"], record["votes_spread"]) == (0, False, None)
    close = counts_of({(0, 1): (10**6 + 1, 10**6, 0, 0)}, "ab")
    (record,) = separating(close, *known_of(close))
    assert record["votes_spread"] is None  # two million million
    near = counts_of({(0, 1): (1_001_000, 10**6, 0, 0)}, "ab")
    (record,) = separating(near, *known_of(near))
    # n (z SE / gap)^2 with SE^2 = 4 / n, for a gap of 0.001: 10.8 million votes in all
    assert record["votes_spread"] == pytest.approx(4 * 1.645**2 / np.log(1.001) ** 2 - 2_001_000, rel=0.01)


def test_models_whose_rating_is_infinite_are_left_out():
    counts = counts_of(uneven | {(0, 3): (9, 0, 0, 0)}, "abcd")
    three = counts_of(uneven)
    theta, known = known_of(three)
    wider = np.full((4, 4), np.nan)
    wider[:3, :3] = known
    records = separating(counts, np.append(theta, -np.inf), wider)
    assert [record["model"] for record in records] == ["a", "b"]
    assert records[0]["votes_between"] == separating(three, theta, known)[0]["votes_between"]


def test_no_models_and_one_have_no_neighbours():
    for models in ("", "a"):
        size = len(models)
        assert separating(counts_of({}, models), np.zeros(size), np.zeros((size, size))) == []


def test_the_published_arena(shared_reference):
    """Ebaluatoia: at 90 % only 4 of 20 neighbours are apart."""
    rows = [json.loads(line) for line in (shared_reference / "arena" / "ebaluatoia_pairs.jsonl").open()]
    models = sorted({row["model_a"] for row in rows} | {row["model_b"] for row in rows})
    place = {name: number for number, name in enumerate(models)}
    cells = {}
    for row in rows:
        votes = (row["wins_a"], row["wins_b"], row["ties"], 0)
        a, b = place[row["model_a"]], place[row["model_b"]]
        cells[min(a, b), max(a, b)] = votes if a < b else (votes[1], votes[0], *votes[2:])
    counts = counts_of(cells, models)
    records = separating(counts, *known_of(counts))
    assert len(records) == 20
    assert sum(record["separated"] for record in records) == 4
