"""Heat maps of battles: the numbers in their cells, colours that work in grey, and a layout without overlaps."""

from itertools import pairwise

import numpy as np
import pytest
from figure_layout import HOSTILE, check_layout

from latxa_cli.report.plots import heat
from latxa_cli.report.plots.heat import COUNT_COLOURS, SHARE_COLOURS, draw_heat_maps, lightness
from latxa_cli.stream.errors import UsageError

pytestmark = [
    pytest.mark.filterwarnings("error:constrained_layout not applied"),  # no room is left
    pytest.mark.filterwarnings("ignore:Glyph .* missing"),  # these tests draw once more outside the product's look
]

MET = np.array([[0, 10, 0], [10, 0, 4], [0, 4, 0]])
WON = np.array([[0, 6, 0], [2, 0, 4], [0, 0, 0]])


def arena(size, battles=50):
    """Return names and the matrices of as many models, each better than the next."""
    random = np.random.default_rng(0)
    met = np.triu(random.poisson(battles, (size, size)), 1)
    won = random.binomial(met, 0.7)
    lost = random.binomial(met - won, 0.8)
    return [f"model-{number}" for number in range(size)], won + lost.T, met + met.T


@pytest.fixture
def figure_of(monkeypatch):
    """`figure_of(models, won, met)` returns the figure, laid out."""
    figures = []
    monkeypatch.setattr(heat, "saved", lambda figure, layout: figures.append(figure) or b"")

    def drawn(*matrices):
        draw_heat_maps(*matrices, "svg")
        figures[-1].draw_without_rendering()
        return figures[-1]

    return drawn


def cells(axis):
    """Return {(row, column): text} of a map."""
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): text.get_text()
        for text in axis.texts
        if text.get_text()
    }


def test_the_cells_hold_the_share_that_the_row_won_and_the_battles(figure_of):
    figure = figure_of(["a", "b", "c"], WON, MET)
    rates, battles = figure.axes[:2]
    assert cells(rates) == {(0, 1): "60", (1, 0): "20", (1, 2): "100", (2, 1): "0"}, "ties are won by neither"
    assert cells(battles) == {(0, 1): "10", (1, 0): "10", (1, 2): "4", (2, 1): "4"}
    assert [label.get_text() for label in rates.get_yticklabels()] == ["a", "b", "c"]
    assert rates.get_ylim() == (3, 0), "the first model is above"
    assert "hatched: never met" in figure._supxlabel.get_text() and rates.patch.get_hatch()
    assert rates.collections[0].get_array().mask[0, 2], "`a` and `c` never met"
    assert "hatched" not in figure_of(*arena(3))._supxlabel.get_text()


@pytest.mark.parametrize("colours", [SHARE_COLOURS, COUNT_COLOURS])
def test_more_is_darker_in_grey_too(colours):
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("x", colours)
    greys = [lightness(shades(place)) for place in np.linspace(0, 1, 11)]
    assert all(lighter - darker > 0.02 for lighter, darker in pairwise(greys)), greys


def test_below_and_above_one_half_have_different_hues():
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("x", SHARE_COLOURS)
    for place in (0.1, 0.25, 0.4):
        (red, _, blue, _), (dark_red, _, dark_blue, _) = shades(place), shades(1 - place)
        assert red > blue and dark_blue > dark_red


@pytest.mark.parametrize("size", [2, 6, 10, 11, 21, 60])
def test_nothing_overlaps_or_is_cut(figure_of, size):
    figure = figure_of(*arena(size))
    check_layout(figure)
    assert bool(cells(figure.axes[0])) == (size < 60), "numbers only where they can be read"


def test_large_counts_fit_their_cells_or_are_left_out(figure_of):
    names, won, met = arena(21)
    figure = figure_of(names, won * 10_000, met * 10_000)
    check_layout(figure)
    assert cells(figure.axes[0]) and not cells(figure.axes[1])
    names, won, met = arena(6)
    figure = figure_of(names, won * 1000, met * 1000)
    check_layout(figure)
    assert cells(figure.axes[1])[0, 1] == str(1000 * met[0, 1])


def test_hostile_names_are_written_as_they_are_and_fit(figure_of):
    _, won, met = arena(len(HOSTILE))
    figure = figure_of(HOSTILE, won, met)
    check_layout(figure)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()][:2] == ["evil\ufffd[31m", "$\\frac{1}{0}$"]


def test_the_same_battles_give_the_same_bytes_and_too_many_models_are_refused():
    for layout in ("png", "svg", "pdf"):
        assert draw_heat_maps(*arena(4), layout) == draw_heat_maps(*arena(4), layout)
    with pytest.raises(UsageError, match="101 rows do not fit"):
        draw_heat_maps(*arena(101), "svg")
