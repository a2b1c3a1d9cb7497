"""Ratings with their intervals: a row a model, best first, and a panel a board (a criterion, a group of votes).

Panels stand side by side and share the rows and the scale, so that the eye can follow a model across them. A tier holds
models that the votes do not tell apart from the best of them. One board has bands of grey for its tiers, several have
numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, isinf, isnan
from typing import TYPE_CHECKING, Any

from latxa_cli.report.plots.rows import GAP, NARROWEST, ROW, figures_beside
from latxa_cli.report.plots.style import COLOURS, FAINT, FONT, WIDTH, house_style, inches, rows_of, saved, written
from latxa_cli.report.tables.ratings import bounds_of, place_of, rating_of
from latxa_cli.stream.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND = "#EFEFEF"
MOST = 1e6  # a rating beyond it is a mistake, and on its scale all others would fall together

Boards = Mapping[str, Sequence[Record]]


def draw_intervals(boards: Boards, layout: str) -> bytes:
    """Return a figure, in the format `layout`, of the rating records of `boards` (by title).

    Models stand in the order of the first board that rates them. An arrow marks an interval without a bound. A triangle
    at the edge marks an infinite rating, of a model that won or lost every battle.

    Raises:
        UsageError: there are too many models.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    models = ordered(boards)
    with house_style():
        names, titles = rows_of(models), [written(title) for title in boards]
        panel = max(NARROWEST, inches(titles, FONT + 1) + GAP)
        across = max(1, min(len(boards), int((WIDTH - inches(names)) / panel)))
        down = -(-len(boards) // across)
        height = down * (len(models) * ROW + 5.5 * FONT / 72) + 2.5 * FONT / 72  # with titles, ticks and notes
        figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))
        axes = list(figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat)
        axes[0].set_yticks(range(len(models)), names, parse_math=False)
        axes[0].set_ylim(len(models) - 0.4, -0.6)
        axes[0].set_xlim(*_limits(boards))
        for axis, title, records in zip(axes, titles, boards.values(), strict=False):
            _panel(axis, title, {record["model"]: record for record in records}, models, alone=len(boards) == 1)
        for number, axis in enumerate(axes):
            axis.set_visible(number < len(boards))
            if number + across >= len(boards):  # the lowest panel of its column
                axis.set_xlabel("rating")
                axis.tick_params(labelbottom=True)
        figure.supxlabel(_notes(boards), fontsize=FONT - 1, color=FAINT, x=0.99, ha="right")
        return saved(figure, layout)


def ordered(boards: Boards) -> list[str]:
    """Return all models, best first by the first board that rates them."""
    ranked = [sorted(records, key=place_of) for records in boards.values()]
    return list(dict.fromkeys(record["model"] for records in ranked for record in records))


def _limits(boards: Boards) -> tuple[float, float]:
    """Return the ends of the scale: all finite numbers, with room at both sides for the marks of infinite ones."""
    records = [record for board in boards.values() for record in board]
    numbers = [number for record in records for number in (rating_of(record), *bounds_of(record)) if abs(number) < MOST]
    low, high = min(numbers, default=1000), max(numbers, default=1000)
    room = 0.08 * (high - low) or 10
    return low - room, high + room


def _panel(axis: Axes, title: str, records: Mapping[str, Record], models: Sequence[str], *, alone: bool) -> None:
    axis.set_title(title, parse_math=False)
    axis.grid(True, axis="x")
    axis.grid(False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.xaxis.set_major_formatter("{x:.0f}")
    for row, model in enumerate(models):
        if model in records:
            _row(axis, row, records[model])
    tiers = [records.get(model, {}).get("tier") for model in models]
    if alone:
        _bands(axis, tiers)
        figures_beside(axis, [_numbers(records[model]) for model in models])
    elif any(tiers):
        figures_beside(axis, [["" if tier is None else str(tier)] for tier in tiers])


def _row(axis: Axes, row: int, record: Record) -> None:
    low, high = axis.get_xlim()
    left, right = low + 0.02 * (high - low), high - 0.02 * (high - low)  # the places of marks for infinite values
    point, (lower, upper) = rating_of(record), bounds_of(record)
    style: dict[str, Any] = {"color": COLOURS[0], "zorder": 3}
    axis.plot([max(lower, left), min(upper, right)], [row, row], linewidth=1.6, **style)
    if isfinite(point):
        axis.plot([point], [row], marker="o", markersize=4, **style)
    elif isinf(point):
        axis.plot([left if point < 0 else right], [row], marker="<" if point < 0 else ">", markersize=6, **style)
    arrow = {"arrowstyle": "->", "mutation_scale": 8, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0} | style
    for bound, edge, end in ((lower, left, low), (upper, right, high)):
        if not isfinite(bound) and bound != point:
            axis.annotate("", (end, row), (edge, row), arrowprops=arrow)


def _bands(axis: Axes, tiers: Sequence[int | None]) -> None:
    """Lay grey under every second tier, if the rows are in the order of the tiers."""
    known = [tier for tier in tiers if tier is not None]
    if known != tiers or known != sorted(known) or len(set(known)) == 1:
        return
    for tier in sorted(set(known))[::2]:
        first = tiers.index(tier)
        axis.axhspan(first - 0.5, first + tiers.count(tier) - 0.5, color=BAND, linewidth=0, zorder=0)


def _numbers(record: Record) -> list[str]:
    """Return the rating and its bounds as texts."""
    point, lower, upper = (_number(number) for number in (rating_of(record), *bounds_of(record)))
    return [point, "[" + lower + ",", upper + "]"]


def _number(number: float) -> str:
    if isfinite(number):
        return f"{number:.0f}" if abs(number) < MOST else f"{number:.1g}"
    if isnan(number):
        return "?"
    return "−∞" if number < 0 else "∞"


def _notes(boards: Boards) -> str:
    """Return the legend of the marks that the figure holds."""
    records = [record for board in boards.values() for record in board]
    bounds = [bound for record in records for bound in bounds_of(record) if bound != rating_of(record)]
    notes = {
        "bands: tiers" if len(boards) == 1 else "figures at the right: tiers": any(r.get("tier") for r in records),
        "arrow: no finite bound": not all(map(isfinite, bounds)),
        "triangle: no finite rating": any(isinf(rating_of(record)) for record in records),
    }
    return "; ".join(note for note, is_there in notes.items() if is_there)
