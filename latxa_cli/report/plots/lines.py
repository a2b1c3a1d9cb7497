"""Small multiples of lines (training curves), with their names beside them instead of in a legend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latxa_cli.report.plots.style import COLOURS, FAINT, FONT, LINE, MARKERS, WIDTH, house_style, saved, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Transform

HEIGHT = 2.2  # inches of a row of panels, at the least
SMOOTHED = 40  # a smoothed line is the mean over one part in 40 of its points
MOST_POINTS = 2000  # points of a line: more than print resolves

# Seven colours, five dashes and six markers: no two counts share a factor, so that a look comes again only after 210
# lines, and in black and white after 30.
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1, 1, 1, 1, 1)))


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: the text above it.
        lines: (x, y) of equal lengths, by the name of the line.
        noisy: whether each line is drawn thin, under a thick smoothed one.
    """

    title: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    noisy: bool = False


def draw_lines(panels: Sequence[Panel], layout: str, *, x: str, y: str) -> bytes:
    """Return a figure in the format `layout`: the first panel above, the others below it in two columns.

    Lines of one name look the same in all panels. `x` and `y` label the axes.
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
    """Return the moving average over one `SMOOTHED`th of all values; the window is cut off at both ends."""
    numbers = np.asarray(values, dtype=np.float64)
    half = len(numbers) // SMOOTHED // 2
    sums = np.concatenate([[0.0], np.cumsum(numbers)])
    begins = np.maximum(np.arange(len(numbers)) - half, 0)
    ends = np.minimum(np.arange(len(numbers)) + half + 1, len(numbers))
    return (sums[ends] - sums[begins]) / (ends - begins)


def thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a line of some `MOST_POINTS` points that looks the same: the lowest and highest of each stretch."""
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


def _grid(figure: Figure, panels: int, rows: int) -> list[Axes]:
    grid = figure.add_gridspec(rows, 2)
    places = [grid[0, :], *(grid[1 + number // 2, number % 2] for number in range(panels - 1))]
    if panels % 2 == 0:  # the last panel is alone in its row, and takes all of it
        places[-1] = grid[rows - 1, :]
    return [figure.add_subplot(place) for place in places]


def _draw(axis: Axes, panel: Panel, styles: Mapping[str, dict[str, Any]]) -> None:
    axis.set_title(written(panel.title), parse_math=False)
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
    """Return the places of a line's markers: the last point and about `most` others, shifted from line to line."""
    apart = max(1, points // most)
    return [*range(apart * (1 + number % 4) // 5, points - apart // 2, apart), points - 1]


def _name_lines(
    figure: Figure, axes: Sequence[Axes], panels: Sequence[Panel], styles: Mapping[str, dict[str, Any]]
) -> None:
    """Write the names to the right of the panels, each as near to the end of its line as the other names allow."""
    figure.draw_without_rendering()  # now the panels have their sizes and limits
    for axis, panel in zip(axes, panels, strict=True):
        lines = zip(panel.lines, axis.lines[panel.noisy :: 1 + panel.noisy], strict=True)
        ends = {name: _end(line) for name, line in lines}
        heights = {name: axis.transLimits.transform(end)[1] for name, end in ends.items()}
        order = sorted(ends, key=lambda name: heights[name])
        gap = LINE / 72 / (axis.get_position().height * figure.get_figheight())
        for name, place in zip(order, spread([heights[name] for name in order], gap), strict=True):
            _name_line(figure, axis, name, styles[name], ends[name], place)


def _end(line: Line2D) -> tuple[float, float]:
    x, y = np.asarray(line.get_xydata(), dtype=np.float64)[-1]
    return float(x), float(y)


def _name_line(
    figure: Figure, axis: Axes, name: str, style: Mapping[str, Any], end: tuple[float, float], place: float
) -> None:
    """Write a marker and a name at `place` (0 to 1 of the panel's height), with a hairline to `end`."""
    from matplotlib.transforms import ScaledTranslation

    def beside_panel(points: float) -> Transform:
        return axis.transAxes + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)

    colour, marker = style["color"], style["marker"]
    hairline = {"arrowstyle": "-", "color": colour, "linewidth": 0.4, "alpha": 0.6, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, (1, place), textcoords=beside_panel(10), arrowprops=hairline, annotation_clip=False)
    axis.plot([1], [place], color=colour, marker=marker, transform=beside_panel(10), clip_on=False)
    label: dict[str, Any] = {"va": "center_baseline", "color": "#222222", "parse_math": False}
    axis.text(1, place, written(name), transform=beside_panel(15), **label)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Return rising `places` moved apart to a distance of at least `gap`, between 0 and 1 if there is room.

    The sum of the squared moves is least: isotonic regression, by pooling adjacent violators, of the places less the
    gaps below them.
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
