"""Rows of dots, bars and ways: what is drawn where, looks that differ without colour, and a layout without overlaps."""

import pytest
from figure_layout import HOSTILE, check_layout

from latxa_cli.report.plots import rows
from latxa_cli.report.plots.rows import Point, RowPanel, draw_rows
from latxa_cli.stream.errors import UsageError

pytestmark = pytest.mark.filterwarnings("error:constrained_layout not applied")  # no room is left


@pytest.fixture
def figure_of(drawing, monkeypatch):
    """`figure_of(panels, mark=…)` returns the figure, laid out."""
    figures = []
    monkeypatch.setattr(rows, "saved", lambda figure, layout: figures.append(figure) or b"")

    def drawn(panels, **how):
        draw_rows(panels, "svg", **how)
        figures[-1].draw_without_rendering()
        return figures[-1]

    return drawn


def panels(names, count=2, **point):
    points = {name: Point(10.0 + place, **point) for place, name in enumerate(names)}
    return [RowPanel(f"task {number}", points, "%", ".1f") for number in range(count)]


@pytest.mark.parametrize("mark", ["dots", "bars", "ways"])
@pytest.mark.parametrize("names", [["a"], HOSTILE, [f"organisation/model-{n}-" + "x" * n * 3 for n in range(30)]])
@pytest.mark.parametrize("count", [1, 3, 29])
def test_no_text_is_cut_or_laid_over_another(figure_of, mark, names, count):
    check_layout(figure_of(panels(names, count, low=8, high=40, baseline=12), mark=mark, note="{}", noted="x" * 300))


def test_panels_with_other_rows_have_names_of_their_own(figure_of):
    some = [RowPanel("one", {"a": Point(1)}, "%"), RowPanel("two", {"b": Point(1), "c": None}, "%")]
    figure = figure_of(some, mark="bars")
    names = [[label.get_text() for label in axis.get_yticklabels()] for axis in figure.axes]
    assert names == [["a"], ["b", "c"]]
    check_layout(figure)


def test_what_differs_in_colour_differs_in_shape_too(figure_of):
    axis = figure_of([RowPanel("t", {"a": Point(-1.0), "b": Point(1.0)}, "%")], mark="bars").axes[0]
    assert [bar.get_hatch() for bar in axis.patches] == ["////", None]
    axis = figure_of([RowPanel("t", {"a": Point(2.0, baseline=1.0)}, "%", "+.1f")], mark="ways").axes[0]
    assert [line.get_marker() for line in axis.lines if len(line.get_xdata())] == ["D", "o"]
    assert [text.get_text() for text in axis.texts] == ["+1.0"], "the difference from the baseline"
    axis = figure_of([RowPanel("t", {"a": Point(2.0, 1, 3, stands=False)}, "%")], mark="dots").axes[0]
    assert axis.lines[-1].get_markerfacecolor() == "white"


def test_scales_of_differences_are_one_and_an_end_without_bound_is_an_arrow(figure_of):
    some = [RowPanel("s", {"a": Point(1.0, -9.0, 3.0)}, "x", zero=True)]
    some.append(RowPanel("t", {"a": Point(1.0, 0.5, float("inf"))}, "x", zero=True))
    first, second = figure_of(some, mark="dots").axes
    assert first.get_xlim() == second.get_xlim()
    assert ">" in [line.get_marker() for line in second.lines]
    figure_of([RowPanel("t", {"a": Point(float("nan")), "b": None}, "x")], mark="dots")


def test_the_same_rows_give_the_same_bytes_and_too_many_are_refused(drawing):
    for layout in ("png", "svg", "pdf"):
        first = draw_rows(panels(["a", "$b$"]), layout, mark="dots")
        assert first == draw_rows(panels(["a", "$b$"]), layout, mark="dots")
    with pytest.raises(UsageError, match="101 rows do not fit"):
        draw_rows(panels([str(n) for n in range(101)]), "svg", mark="dots")
    with pytest.raises(UsageError, match="so many models and tasks"):
        draw_rows(panels([str(n) for n in range(100)], 41), "svg", mark="dots")


def test_names_that_are_cut_alike_are_told_apart_and_unknown_letters_have_numbers(figure_of):
    long = ["organisation/" + "x" * 60 + f"{n}" + "y" * 60 for n in range(3)]
    axis = figure_of(panels([*long, "\U0001f9ff\u6f22", "\u6f23"], 1), mark="dots").axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert len(set(names)) == 5
    assert all(number in name for number, name in zip("012", names, strict=False))
