"""Interval charts of ratings: where each mark stands, and that nothing is cut, hidden or laid over another."""

import pytest
from figure_layout import HOSTILE, check_layout

from latxa_cli.report.plots import intervals
from latxa_cli.report.plots.intervals import draw_intervals, ordered
from latxa_cli.stream.errors import UsageError


def rating(model, value, half=10.0, **more):
    return {"model": model, "rating": value, "lower": value - half, "upper": value + half, **more}


ABOVE = {"model": "unbeaten", "rating": None, "infinite": "above", "lower": 1080, "upper": None}
BELOW = {"model": "winless", "rating": None, "infinite": "below", "lower": None, "upper": 900}
OPEN = {"model": "open", "rating": 1000, "lower": None, "upper": None}
BOARD = [rating("b", 990.0, tier=2), rating("a", 1010.0, tier=1), rating("c", 985.0, tier=2)]
pytestmark = [
    pytest.mark.filterwarnings("error:constrained_layout not applied"),  # no room is left
    pytest.mark.filterwarnings("ignore:Glyph .* missing"),  # these tests draw once more outside the product's look
]


@pytest.fixture
def figure_of(monkeypatch):
    """`figure_of(boards)` returns the figure of the boards, laid out."""
    figures = []
    monkeypatch.setattr(intervals, "saved", lambda figure, layout: figures.append(figure) or b"")

    def drawn(boards):
        draw_intervals(boards, "svg")
        figures[-1].draw_without_rendering()
        return figures[-1]

    return drawn


def labels(axis):
    return [label.get_text() for label in axis.get_yticklabels()]


def test_best_come_first_and_infinite_ratings_at_the_ends():
    boards = {"winner": [BELOW, *BOARD, ABOVE], "winner_language": [rating("z", 2000.0), rating("c", 1.0)]}
    assert ordered(boards) == ["unbeaten", "a", "b", "c", "winless", "z"]


def test_a_point_and_its_interval_stand_in_the_row_of_their_model(figure_of):
    [axis] = figure_of({"winner": BOARD}).axes
    assert labels(axis) == ["a", "b", "c"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1], "the first one is above"
    bars, points = axis.lines[::2], axis.lines[1::2]
    assert [tuple(bar.get_xdata()) for bar in bars] == [(1000, 1020), (980, 1000), (975, 995)]
    assert [point.get_xdata()[0] for point in points] == [1010, 990, 985]
    assert [bar.get_ydata()[0] for bar in bars] == [point.get_ydata()[0] for point in points] == [0, 1, 2]


def test_the_numbers_stand_beside_a_board_that_is_alone(figure_of):
    [axis] = figure_of({"winner": [*BOARD, OPEN, ABOVE, BELOW]}).axes
    shown = [text.get_text().replace("\u2007", " ").split() for text in axis.texts if text.get_text()]
    assert shown == [
        ["∞", "[1080,", "∞]"], ["1010", "[1000,", "1020]"], ["1000", "[−∞,", "∞]"], ["990", "[980,", "1000]"],
        ["985", "[975,", "995]"], ["−∞", "[−∞,", "900]"],
    ]  # fmt: skip


def test_what_is_infinite_has_marks_inside_the_panel_and_is_explained(figure_of):
    figure = figure_of({"winner": [*BOARD, OPEN, ABOVE, BELOW]})
    [axis] = figure.axes
    low, high = axis.get_xlim()
    marks = {line.get_marker(): line.get_xdata()[0] for line in axis.lines if line.get_marker() in ("<", ">")}
    assert low < marks["<"] < 900 and 1080 < marks[">"] < high
    arrows = [text.arrow_patch for text in axis.texts if text.arrow_patch is not None]
    assert len(arrows) == 2, "one at each end of `open`"
    [axis] = figure_of({"winner": [ABOVE | {"lower": None}]}).axes
    assert len([text for text in axis.texts if text.arrow_patch is not None]) == 1, "and a triangle at the other end"
    note = "arrow: no finite bound; triangle: no finite rating"
    assert note in figure._supxlabel.get_text()
    assert figure_of({"winner": BOARD})._supxlabel.get_text() == "bands: tiers"
    assert figure_of({"winner": [rating("a", 1.0)]})._supxlabel.get_text() == ""


def test_tiers_are_bands_under_their_rows(figure_of):
    def bands(board):
        [axis] = figure_of({"winner": board}).axes
        return [(patch.get_y(), patch.get_y() + patch.get_height()) for patch in axis.patches]

    assert bands(BOARD) == [(-0.5, 0.5)]
    assert bands([rating("a", 3.0, tier=1), rating("b", 2.0, tier=2), rating("c", 1.0, tier=3)]) == [
        (-0.5, 0.5),
        (1.5, 2.5),
    ]
    assert bands([rating("a", 3.0, tier=1), rating("b", 2.0, tier=1)]) == [], "one tier needs none"
    assert bands([rating("a", 3.0), rating("b", 2.0)]) == []


def test_boards_share_rows_and_scale(figure_of):
    language = [rating("c", 1100.0, tier=1), rating("a", 950.0, tier=2), rating("d", 900.0, tier=3)]
    first, second = figure_of({"winner": BOARD, "winner_language": language}).axes
    assert labels(first) == ["a", "b", "c", "d"]
    assert first.get_xlim() == second.get_xlim() and first.get_ylim() == second.get_ylim()
    assert [point.get_ydata()[0] for point in second.lines[1::2]] == [0, 2, 3], "`b` has no row there"
    assert [text.get_text().strip("\u2007") for text in second.texts] == ["2", "", "1", "3"], "tiers, as figures"


@pytest.mark.parametrize(("boards", "models"), [(1, 1), (1, 21), (1, 60), (3, 1), (3, 60), (7, 21)])
def test_nothing_overlaps_or_is_cut(figure_of, boards, models):
    board = [rating(f"model-{n}-instruct", 1200.0 - 10 * n, tier=1 + n // 4) for n in range(models)]
    check_layout(figure_of({f"user_language {n}": board for n in range(boards)}))


def test_hostile_names_are_written_as_they_are_and_fit(figure_of):
    board = [rating(name, 1000.0 - n) for n, name in enumerate(HOSTILE)]
    check_layout(figure_of({"winner": board}))
    check_layout(figure_of({"x" * 300: board, "W" * 48: board}))
    figure = figure_of(dict.fromkeys(HOSTILE[:2], board))
    check_layout(figure)
    shown = labels(figure.axes[0])
    assert shown[:2] == ["evil\ufffd[31m", "$\\frac{1}{0}$"] and shown[3:6] == ["\ufffdabc", "<script>", "a b"]
    assert len(shown[2]) < 60 and " … " in shown[2] and shown[6].endswith("W")


@pytest.mark.filterwarnings("error")
def test_letters_that_the_font_lacks_are_not_talked_about():
    assert draw_intervals({"漢字": [rating("漢字", 1000.0)]}, "svg")


def test_strange_numbers_do_not_hide_the_others(figure_of):
    [axis] = figure_of({"winner": [*BOARD, rating("huge", 1e308), {"model": "no bounds", "rating": 1000}]}).axes
    low, high = axis.get_xlim()
    assert 900 < low < 975 and 1020 < high < 1100
    for board in ([ABOVE], [BELOW | {"upper": None}], [rating("a", 1000.0, 0.0)]):
        low, high = figure_of({"winner": board}).axes[0].get_xlim()
        assert low < high


def test_the_same_ratings_give_the_same_bytes_and_too_many_are_refused():
    for layout in ("png", "svg", "pdf"):
        assert draw_intervals({"winner": BOARD}, layout) == draw_intervals({"winner": BOARD[::-1]}, layout)
    with pytest.raises(UsageError, match="101 rows do not fit in a figure"):
        draw_intervals({"winner": [rating(f"m{n}", float(n)) for n in range(101)]}, "svg")
