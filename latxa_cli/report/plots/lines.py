"""Small multiples of lines (training curves), their names written beside them instead of in a legend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latxa_cli.report.plots.style import COLOURS, FAINT, FONT, LINE, MARKERS, WIDTH, house_style, saved
from latxa_cli.stream.terminal import printable

HEIGHT = 2.2  # inches of a row of panels, at the least
SMOOTHED = 40  # a smoothed line shows the mean over so small a part of its points
MOST_POINTS = 2000  # of a line: more than print resolves

# With seven colours, five dashes and six markers no two of the first 35 lines look alike, and none of 30 in black and
# white.
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1, 1, 1, 1, 1)))


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: named lines, each (x, y) of equal lengths. `noisy`: drawn thin, with a smoothed line over it."""

    title: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    noisy: bool = False


def draw_lines(panels: Sequence[Panel], layout: str, *, x: str, y: str) -> bytes:
    """Return a figure in the format `layout`: the first panel above, the others below it in two columns.

    A name that lies in several panels looks the same in all of them. `x`, `y`: what the axes show.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    styles = dict(zip(names, islice(_styles(), len(names)), strict=True))
    with house_style():
        rows = 1 + len(panels) // 2
        height = max(HEIGHT, (len(names) * LINE + 5 * FONT) / 72)
        figure = Figure(figsize=(WIDTH, rows * height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
        axes = _grid(figure, len(panels), rows)
        end = max((line[0][-1] for panel in panels for line in panel.lines.values() if len(line[0])), default=1)
        for number, (axis, panel) in enumerate(zip(axes, panels, strict=True)):
            _draw(axis, panel, styles)
            axis.set_xlim(0, 1.01 * end)
            axis.xaxis.set_major_formatter("{x:,.0f}")
            if number == 0 or number % 2:
                axis.set_ylabel(y)
            if (number + 1) // 2 == rows - 1:
                axis.set_xlabel(x)
        _name_lines(figure, axes, panels, styles)
        return saved(figure, layout)


def smoothed(values: ArrayLike) -> NDArray[np.float64]:
    """Return the mean around each value, over the `SMOOTHED`th part of all, or what of that there is at the ends."""
    numbers = np.asarray(values, dtype=np.float64)
    half = len(numbers) // SMOOTHED // 2
    sums = np.concatenate([[0.0], np.cumsum(numbers)])
    begins = np.maximum(np.arange(len(numbers)) - half, 0)
    ends = np.minimum(np.arange(len(numbers)) + half + 1, len(numbers))
    return (sums[ends] - sums[begins]) / (ends - begins)


def thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a line of `MOST_POINTS` points or so that looks the same: of each stretch the lowest and the highest."""
    if len(x) <= MOST_POINTS:
        return x, y
    edges = np.linspace(0, len(x), MOST_POINTS // 2 + 1).astype(int)
    stretches = [(a, y[a:b]) for a, b in pairwise(edges)]
    extremes = [start + pick(part) for start, part in stretches for pick in (np.argmin, np.argmax)]
    kept = np.union1d(extremes, [0, len(x) - 1])
    return x[kept], y[kept]


def _styles() -> Iterator[dict[str, Any]]:
    looks = zip(cycle(COLOURS), cycle(DASHES), cycle(MARKERS), strict=False)
    return ({"color": colour, "linestyle": dashes, "marker": marker} for colour, dashes, marker in looks)


def _grid(figure: Any, panels: int, rows: int) -> list[Any]:
    grid = figure.add_gridspec(rows, 2)
    places = [grid[0, :], *(grid[1 + number // 2, number % 2] for number in range(panels - 1))]
    if panels % 2 == 0:  # the last one has its row for itself
        places[-1] = grid[rows - 1, :]
    return [figure.add_subplot(place) for place in places]


def _draw(axis: Any, panel: Panel, styles: Mapping[str, dict[str, Any]]) -> None:
    axis.set_title(printable(panel.title), parse_math=False)
    smooths = panel.noisy and any(len(line[0]) >= 2 * SMOOTHED for line in panel.lines.values())
    if smooths:
        note = f"thin: each step; thick: mean over a {SMOOTHED}th of the run"
        axis.set_title(note, loc="right", fontsize=FONT - 1, color=FAINT)
    most = 6 if panel.noisy else max(6, 48 // len(panel.lines))
    for number, (name, line) in enumerate(panel.lines.items()):
        x, y = (np.asarray(values, dtype=np.float64) for values in line)
        if panel.noisy:
            axis.plot(*thinned(x, y), color=styles[name]["color"], linewidth=0.5, alpha=0.35, zorder=1)
            y = smoothed(y)
        x, y = thinned(x, y)
        axis.plot(x, y, **styles[name], markevery=_marked(len(x), number, most), clip_on=False)


def _marked(points: int, number: int, most: int) -> list[int]:
    """Return which of a line's points get a marker: the last, and about `most`, other ones for lines side by side."""
    apart = max(1, points // most)
    return [*range(apart * (1 + number % 4) // 5, points - apart // 2, apart), points - 1]


def _name_lines(figure: Any, axes: Sequence[Any], panels: Sequence[Panel], styles: Mapping[str, Any]) -> None:
    """Write the names at the right of the panels, each beside the end of its line or as near as names have room."""
    figure.draw_without_rendering()  # now the panels have their sizes and limits
    for axis, panel in zip(axes, panels, strict=True):
        lines = zip(panel.lines, axis.lines[panel.noisy :: 1 + panel.noisy], strict=True)
        ends = {name: (line.get_xdata()[-1], line.get_ydata()[-1]) for name, line in lines}
        heights = {name: axis.transLimits.transform(end)[1] for name, end in ends.items()}
        order = sorted(ends, key=lambda name: heights[name])
        gap = LINE / 72 / (axis.get_position().height * figure.get_figheight())
        for name, place in zip(order, spread([heights[name] for name in order], gap), strict=True):
            _name_line(figure, axis, name, styles[name], ends[name], place)


def _name_line(
    figure: Any, axis: Any, name: str, style: Mapping[str, Any], end: tuple[float, float], place: float
) -> None:
    """Write a name at the height `place` (of the panel's, from 0 to 1), after its marker, and a hairline to `end`."""
    from matplotlib.transforms import ScaledTranslation

    def right(points: float) -> Any:  # of the panel
        return axis.transAxes + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)

    colour, marker = style["color"], style["marker"]
    hairline = {"arrowstyle": "-", "color": colour, "linewidth": 0.4, "alpha": 0.6, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, (1, place), textcoords=right(10), arrowprops=hairline, annotation_clip=False)
    axis.plot([1], [place], color=colour, marker=marker, transform=right(10), clip_on=False)
    axis.text(1, place, printable(name), transform=right(15), va="center_baseline", color="#222222", parse_math=False)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Return rising `places` moved as little as makes them `gap` apart, all between 0 and 1 if there is room.

    The squares of the moves are least: isotonic regression of the places less the gaps below them, by pooling those
    that are out of order.
    """
    pools: list[list[float]] = []
    for number, place in enumerate(places):
        pools.append([place - number * gap])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    highest = max(0.0, 1 - (len(places) - 1) * gap)
    levels = (min(max(fmean(pool), 0.0), highest) for pool in pools for _ in pool)
    return [level + number * gap for number, level in enumerate(levels)]
