"""Redrawn tables: the same for any batch, those of naive resampling, and of one draw for all boards."""

import numpy as np
import pytest

from latxa_cli.arena import clusters as module
from latxa_cli.arena.clusters import Clusters, Dependence
from latxa_cli.arena.rankings.resampling import Resampling
from latxa_cli.arena.votes import NONE, Column

CELLS = 12


def places(seed=0, votes=300):
    """Where votes are counted on two boards: the second lacks a third of them."""
    random = np.random.default_rng(seed)
    first = random.integers(0, CELLS, votes)
    return first, np.where(random.random(votes) < 1 / 3, NONE, random.integers(0, 8, votes))


def users(votes=300, number=20, unnamed=0.1):
    """Users of uneven numbers of votes, one name without any, and votes that name none."""
    random = np.random.default_rng(5)
    codes = random.geometric(0.15, votes) % number
    codes[codes == 3] = 4
    codes[random.random(votes) < unnamed] = NONE
    return Column(codes, [f"u{code}" for code in range(number)])


def redraw(clustered, seed=7):
    boards = places()
    cells = (CELLS, 8)
    return Resampling(boards, cells, Dependence.of(users()) if clustered else None, seed)


def whole(draws):
    return [np.concatenate(boards) for boards in zip(*draws, strict=True)]


@pytest.mark.parametrize("clustered", [False, True])
def test_batches_change_nothing_and_the_seed_does(clustered):
    at_once = whole(redraw(clustered).tables(50, 50))
    for batch in (1, 7, 1000):
        for table, other in zip(at_once, whole(redraw(clustered).tables(50, batch)), strict=True):
            assert (table == other).all()
    assert (at_once[0] != whole(redraw(clustered, seed=8).tables(50, 50))[0]).any()
    assert [table.shape for table in at_once] == [(50, CELLS), (50, 8)]


@pytest.mark.parametrize("part", [1, 100, 1 << 16])
def test_clusters_are_drawn_as_naively(monkeypatch, part):
    """As many users as there are are drawn with replacement, and their votes counted one by one."""
    monkeypatch.setattr(module, "PART", part)
    column = users()
    names = [int(code) for code in np.unique(column.codes) if code != NONE]
    members = [np.flatnonzero(column.codes == code) for code in names]
    members += [np.array([vote]) for vote in np.flatnonzero(column.codes == NONE)]
    random = np.random.default_rng(7)
    for tables in redraw(True).tables(30, 4):
        for number in range(len(tables[0])):
            chosen = np.concatenate([members[who] for who in random.integers(0, len(members), len(members))])
            for place, table in zip(places(), tables, strict=True):
                counted = place[chosen][place[chosen] != NONE]
                assert np.bincount(counted, minlength=table.shape[1]).tolist() == table[number].tolist()


def test_votes_are_drawn_with_the_moments_of_naive_resampling():
    first, second = places()
    tables = whole(redraw(False).tables(4000, 4000))
    random = np.random.default_rng(0)
    rows = random.integers(0, len(first), (4000, len(first)))
    for place, table, size in zip((first, second), tables, (CELLS, 8), strict=True):
        naive = np.array([np.bincount(place[row][place[row] != NONE], minlength=size) for row in rows])
        assert table.mean(axis=0) == pytest.approx(naive.mean(axis=0), abs=0.5)
        assert np.cov(table.T) == pytest.approx(np.cov(naive.T), abs=2.5)
    joint = [np.cov(tables[0][:, 0], tables[1][:, cell])[0, 1] for cell in range(8)]
    together = [int(((first == 0) & (second == cell)).sum()) for cell in range(8)]
    number = np.bincount(second[second != NONE], minlength=8)
    expected = together - (first == 0).sum() * number / len(first)
    assert joint == pytest.approx(expected, abs=1.5)  # both boards are of the same draw
    assert (tables[0].sum(axis=1) == len(first)).all()


def test_boards_that_count_alike_are_redrawn_alike():
    first, _ = places()
    inside = np.where(first < 4, first, NONE)
    [[one, again, part]] = Resampling([first, first, inside], [CELLS] * 3, None, 0).tables(20, 20)
    assert (one == again).all()
    assert (part[:, :4] == one[:, :4]).all()
    assert not part[:, 4:].any()


@pytest.mark.parametrize("clusters", [None, Column(np.zeros(0, np.int64), [])])
def test_no_votes_are_redrawn_as_none(clusters):
    nothing = np.zeros(0, np.int64)
    dependence = None if clusters is None else Dependence.of(clusters)
    [[table]] = Resampling([nothing], [4], dependence, 0).tables(3, 10)
    assert table.tolist() == [[0] * 4] * 3


def test_in_two_ways_the_weight_of_a_vote_is_the_product_of_its_clusters():
    column, prompts = users(), Column(np.arange(300) % 7, [f"p{n}" for n in range(7)])
    first, _ = places()
    rounds = whole(Resampling([first], [CELLS], Dependence.of(column, prompts), 3).tables(40, 9))[0]
    random, codes = np.random.default_rng(3), Clusters.of(column)
    for table in rounds:
        of_user = np.bincount(random.integers(0, codes.number, codes.number), minlength=codes.number)
        of_prompt = np.bincount(random.integers(0, 7, 7), minlength=7)
        weights = of_user[codes.codes] * of_prompt[prompts.codes]
        assert np.bincount(first, weights, CELLS) == pytest.approx(table)


@pytest.mark.parametrize("clustered", [False, True])
def test_smooth_rounds_have_the_mean_of_the_votes_and_the_variance_of_draws(clustered):
    first, _ = places()
    column = users(unnamed=0)
    dependence = Dependence.of(column) if clustered else None
    rounds = whole(Resampling([first], [CELLS], dependence, 0, smooth=True).tables(6000, 1000))[0]
    counts = np.bincount(first, minlength=CELLS)
    assert rounds.mean(axis=0) == pytest.approx(counts, rel=0.03)
    each = np.array([np.bincount(first[column.codes == code], minlength=CELLS) for code in range(20)])
    variance = (each**2).sum(axis=0) if clustered else counts
    assert rounds.var(axis=0) == pytest.approx(variance, rel=0.1)
