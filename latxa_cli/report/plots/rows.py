"""Small multiples of rows: a name, a value, its interval; as dots, as bars, or as the way from a baseline to a model.

No look depends on colour: a baseline is hollow, a bar below zero is hatched, and numbers stand beside the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from latxa_cli.report.plots.style import (
    COLOURS,
    FAINT,
    FONT,
    LINE,
    WIDTH,
    house_style,
    inches,
    rows_of,
    saved,
    written,
)  # fmt: skip
from latxa_cli.stream.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = LINE * 1.15 / 72  # inches
NARROWEST = 1.25  # inches of a panel
GAP = 0.35  # inches between panels: a title must not run into the next
HEAD = 5.5 * FONT / 72  # inches of a title, the numbers of a scale and its label
MOST_POINTS = 4000  # of a figure, which would be too long to look at
BAR = "#9DC3E0"
FIGURE_SPACE = "\u2007"  # as wide as a digit

Mark = Literal["dots", "bars", "ways"]


@dataclass(frozen=True, slots=True)
class Point:
    """A value with the ends of its interval, and the value of the baseline where it is compared with one.

    A dot is hollow unless the value `stands`, which a test may not have shown.
    """

    value: float
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    stands: bool = True

    def numbers(self) -> list[float]:
        """Return all its finite numbers."""
        given = (self.value, self.low, self.high, self.baseline)
        return [number for number in given if number is not None and isfinite(number)]


@dataclass(frozen=True, slots=True)
class RowPanel:
    """One panel.

    Attributes:
        title: the text above it.
        points: by the name of the row; None leaves the row empty.
        unit: the label of its scale.
        form: the format of numbers beside the rows; without one there are none.
        zero: whether its scale has zero on it, with a line there.
    """

    title: str
    points: Mapping[str, Point | None]
    unit: str
    form: str = ""
    zero: bool = False


def draw_rows(panels: Sequence[RowPanel], layout: str, *, mark: Mark, note: str = "", noted: str = "") -> bytes:
    """Return a figure in the format `layout`; `note` stands below, with the name `noted` in the place of `{}`.

    Panels with the same rows stand side by side, with the names at the left; others stand below each other.

    Raises:
        UsageError: there are too many rows.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    if sum(len(panel.points) for panel in panels) > MOST_POINTS:
        raise UsageError("so many models and tasks do not fit in a figure", hint="give `--plot` fewer records")
    shared = len({tuple(panel.points) for panel in panels}) == 1
    with house_style():
        names = [rows_of(list(panel.points)) for panel in panels]
        titles = [written(panel.title) for panel in panels]
        widest = max(inches(rows) for rows in names)
        beside = [inches(_numbers(panel), FONT - 1) for panel in panels]
        width = max(NARROWEST, inches(titles, FONT + 1) + GAP) + max(beside)
        across = max(1, min(len(panels), int((WIDTH - widest) / width))) if shared else 1
        heights = [max(len(names[place]), 1) * ROW + HEAD for place in range(0, len(panels), across)]
        figure = Figure(
            figsize=(WIDTH, sum(heights) + 2.5 * FONT / 72),
            layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, hspace=0.02),
        )
        axes = list(figure.subplots(len(heights), across, squeeze=False, height_ratios=heights).flat)
        for number, axis in enumerate(axes):
            axis.set_visible(number < len(panels))
        for number, (axis, panel) in enumerate(zip(axes, panels, strict=False)):
            if number % across:
                axis.set_yticks([])
            else:
                axis.set_yticks(range(len(names[number])), names[number], parse_math=False)
            axis.tick_params(axis="y", length=0)
            _panel(axis, panel, titles[number], mark)
        _same_scales(axes[: len(panels)], panels)
        if note:
            figure.supxlabel(
                note.replace("{}", written(noted)), fontsize=FONT - 1, color=FAINT, x=0.99, ha="right", parse_math=False
            )
        return saved(figure, layout)


def _panel(axis: Axes, panel: RowPanel, title: str, mark: Mark) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_title(title, parse_math=False)
    axis.set_xlabel(panel.unit, parse_math=False)
    axis.set_ylim(max(len(panel.points), 1) - 0.4, -0.6)
    axis.grid(True, axis="x")
    axis.grid(False, axis="y")
    axis.spines["left"].set_visible(False)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=3, min_n_ticks=2, integer=panel.form.endswith(".0f")))
    axis.xaxis.set_major_formatter("{x:,.6g}")
    axis.set_xlim(*_limits([panel], bars=mark == "bars"))
    if panel.zero or mark == "bars":
        axis.axvline(0, color="#444444", linewidth=0.8, zorder=2)
    rows = [(row, point) for row, point in enumerate(panel.points.values()) if point and isfinite(point.value)]
    _MARKS[mark](axis, rows)
    if panel.form:
        figures_beside(axis, [[text] for text in _numbers(panel)])


# All rows of a panel become one artist, since the time of a figure goes by their number.
Rows = Sequence[tuple[int, Point]]


def _dots(axis: Axes, rows: Rows) -> None:
    _intervals(axis, rows, COLOURS[0], 1.6)
    for stands, face in ((True, COLOURS[0]), (False, "white")):
        some = [(point.value, row) for row, point in rows if point.stands == stands]
        look: dict[str, Any] = {"color": COLOURS[0], "markerfacecolor": face, "marker": "o", "markersize": 4}
        axis.plot(*_columns(2, some), linestyle="", zorder=4, **look)


def _bars(axis: Axes, rows: Rows) -> None:
    hatches = ["////" if point.value < 0 else None for _, point in rows]
    look: dict[str, Any] = {"height": 0.66, "color": BAR, "edgecolor": "#222222", "linewidth": 0.6, "zorder": 1.5}
    for bar, hatch in zip(
        axis.barh(*_columns(2, ((row, point.value) for row, point in rows)), **look), hatches, strict=True
    ):
        bar.set_hatch(hatch)
    _intervals(axis, rows, "#222222", 1.0)


def _ways(axis: Axes, rows: Rows) -> None:
    begun = [(row, point.value, point.baseline) for row, point in rows if point.baseline is not None]
    for colour, up in ((COLOURS[0], True), (COLOURS[1], False)):
        axis.hlines(
            *_columns(3, (way for way in begun if (way[1] >= way[2]) == up)), color=colour, linewidth=1.8, zorder=3
        )
        ends = [(p.value, row) for row, p in rows if (p.baseline is None or p.value >= p.baseline) == up]
        axis.plot(*_columns(2, ends), color=colour, linestyle="", marker="D", markersize=3.8, zorder=5)
    hollow: dict[str, Any] = {"marker": "o", "markersize": 4.6, "markerfacecolor": "white", "color": "#222222"}
    axis.plot(*_columns(2, ((start, row) for row, _, start in begun)), linestyle="", zorder=4, **hollow)


def _intervals(axis: Axes, rows: Rows, colour: str, width: float) -> None:
    """Draw intervals; an end that is not finite is an arrow at the edge."""
    left, right = axis.get_xlim()
    ends = [(row, point.low, point.high) for row, point in rows if point.low is not None and point.high is not None]
    lines = [(row, min(max(low, left), right), min(max(high, left), right)) for row, low, high in ends]
    axis.hlines(*_columns(3, lines), color=colour, linewidth=width, zorder=3)
    for place, edge, marker in ((1, left, "<"), (2, right, ">")):
        open_rows = [end[0] for end in ends if not isfinite(end[place])]
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4, "clip_on": False}
        if open_rows:  # an unclipped artist without points would take room in the layout
            axis.plot([edge] * len(open_rows), open_rows, linestyle="", zorder=3, **look)


def _columns(count: int, rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the `count` columns of rows; they are empty where there is no row."""
    return list(zip(*rows, strict=True)) or [()] * count


_MARKS = {"dots": _dots, "bars": _bars, "ways": _ways}


def _limits(panels: Sequence[RowPanel], *, bars: bool = False) -> tuple[float, float]:
    """Return the ends of a scale: all numbers, with room at both sides."""
    numbers = [number for panel in panels for point in panel.points.values() if point for number in point.numbers()]
    if bars or any(panel.zero for panel in panels):
        numbers.append(0.0)
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    room = 0.06 * (high - low) or max(abs(high), 1.0) / 20
    return low - room * (low < 0 or not bars), high + room * (high > 0 or low == 0 or not bars)


def _same_scales(axes: Sequence[Axes], panels: Sequence[RowPanel]) -> None:
    """Give panels that compare differences of one unit one scale, so that lengths mean the same in all of them."""
    if not all(panel.zero for panel in panels) or any(a.unit != b.unit for a, b in pairwise(panels)):
        return
    limits = _limits(panels)
    for axis in axes:
        axis.set_xlim(*limits)


def _numbers(panel: RowPanel) -> list[str]:
    """Return the number beside each row: the difference from a baseline, else the value."""
    if not panel.form:
        return ["" for _ in panel.points]
    return ["" if point is None else _number(point, panel.form) for point in panel.points.values()]


def _number(point: Point, form: str) -> str:
    number = point.value - point.baseline if point.baseline is not None else point.value
    return f"{number:{form}}".replace("-", "−") if isfinite(number) else "?"


def figures_beside(axis: Axes, rows: Sequence[Sequence[str]]) -> None:
    """Write rows of numbers to the right of a panel, with every column flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, texts in enumerate(rows):
        padded = [text.rjust(width, FIGURE_SPACE) for text, width in zip(texts, widths, strict=True)]
        axis.annotate(
            " ".join(padded), (1, row), (4, 0), xycoords=axis.get_yaxis_transform(), textcoords="offset points",
            va="center_baseline", fontsize=FONT - 1, color="#444444", annotation_clip=False,
        )  # fmt: skip
