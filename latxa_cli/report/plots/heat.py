"""Heat maps: of battles, each model's win rate against each other one and their number; of results, how tasks agree.

Colours run from light to dark, so that a print in grey shows the same; win rates above and below one half differ in
hue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from latxa_cli.report.plots.style import FAINT, FONT, WIDTH, house_style, inches, rows_of, saved

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Matrix = NDArray[np.float64]

# From light to dark; one half is grey.
SHARE_COLOURS = ("#FFF4D9", "#F3C98F", "#ADA69E", "#5587B5", "#123A63")
COUNT_COLOURS = ("#F0F4F8", "#9DB4CB", "#123A63")
SIDE_BY_SIDE = 10  # models up to which the two maps stand side by side
BAR = 0.9  # inches of a colour bar with its label
HIGHEST_ROW = {True: 0.3, False: 0.165}  # inches; the keys say whether the maps stand side by side
SMALLEST = 5  # points of a number in a cell; smaller ones cannot be read and are left out


def draw_heat_maps(models: Sequence[str], won: Matrix, met: Matrix, layout: str) -> bytes:
    """Return the figure: a map of win rates and a map of the numbers of battles.

    Args:
        models: p names, in the order of rows and columns.
        won: (p, p), the battles that the row won against the column.
        met: (p, p), the battles between the two; the cell of two that never met is hatched.
        layout: the format, one of `style.FORMATS`.

    Raises:
        UsageError: there are too many models.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with house_style():
        names, size = rows_of(models), len(models)
        beside = size <= SIDE_BY_SIDE
        room = (WIDTH - (1 + beside) * BAR - inches(names)) / (1 + beside)
        width = max(room, 0.5) / max(size, 1)
        height = min(width, HIGHEST_ROW[beside])
        share = 100 * np.divide(won, met, out=np.full(met.shape, np.nan), where=met > 0)
        each = size * height + inches(names) + 5 * FONT / 72
        figure = Figure(
            figsize=(WIDTH, each * (2 - beside)), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06, hspace=0.04)
        )
        axes = figure.subplots(2 - beside, 1 + beside, sharey=True)
        axes[0].set_title("Win rate" + ("" if beside else ": battles that the row won, of all against the column"))
        _map(axes[0], names, share, SHARE_COLOURS, 100, "% of battles won")
        axes[1].set_title("Battles")
        _map(axes[1], names, np.where(met > 0, met, np.nan), COUNT_COLOURS, max(met.max(initial=0), 1), "battles")
        for axis, most in zip(axes, (99, met.max(initial=0)), strict=True):
            axis.tick_params(labelsize=min(FONT - 1, 66 * width, 66 * height))
            # A digit is some 0.62 of its size wide.
            _write_numbers(axis, min(0.82 * width / (0.62 * len(f"{most:.0f}")), 0.75 * height) * 72)
        never = "; hatched: never met" if (met + np.eye(size) == 0).any() else ""
        figure.supxlabel(f"ties are won by neither{never}", fontsize=FONT - 1, color=FAINT, x=0.99, ha="right")
        return saved(figure, layout)


def draw_correlations(names: Sequence[str], values: Matrix, layout: str, *, note: str) -> bytes:
    """Return the figure of correlations (p, p) between p names; nan leaves a cell hatched."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with house_style():
        rows = rows_of(names)
        width = max(WIDTH - BAR - inches(rows), 0.5) / max(len(rows), 1)
        height = min(width, HIGHEST_ROW[True])
        size = (WIDTH, len(rows) * height + inches(rows) + 5 * FONT / 72)
        figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))
        axis = figure.subplots()
        axis.set_title("Rank correlation of tasks over models")
        _map(axis, rows, 100 * values, SHARE_COLOURS, 100, "Spearman's ρ × 100", least=-100)
        axis.tick_params(labelsize=min(FONT - 1, 66 * width, 66 * height))
        _write_numbers(axis, min(0.82 * width / (0.62 * 3), 0.75 * height) * 72)
        figure.supxlabel(note, fontsize=FONT - 1, color=FAINT, x=0.99, ha="right")
        return saved(figure, layout)


def _map(
    axis: Axes,
    names: Sequence[str],
    values: Matrix,
    colours: Sequence[str],
    most: float,
    label: str,
    least: float = 0,
) -> None:
    """Draw one matrix (p, p) on a scale from `least` to `most`; nan leaves a cell empty."""
    from matplotlib.colors import LinearSegmentedColormap

    size = len(names)
    shades = LinearSegmentedColormap.from_list(label, colours)
    axis.patch.set(hatch="/////", edgecolor="#CCCCCC", linewidth=0)
    style: dict[str, Any] = {"cmap": shades, "vmin": least, "vmax": most, "edgecolors": "white", "linewidth": 0.5}
    mesh = axis.pcolormesh(np.ma.masked_invalid(values), **style)
    for place in range(size):  # nothing meets itself
        axis.fill_between([place, place + 1], place, place + 1, color="white", linewidth=0)
    axis.set(xlim=(0, size), ylim=(size, 0))
    axis.set_xticks(np.arange(size) + 0.5, names, rotation=90, parse_math=False)
    axis.set_yticks(np.arange(size) + 0.5, names, parse_math=False)
    axis.tick_params(length=0)
    axis.grid(False)
    axis.spines[:].set_visible(False)
    bar = axis.figure.colorbar(mesh, ax=axis, fraction=0.05, pad=0.02, aspect=25)
    bar.set_label(label)
    bar.outline.set_visible(False)


def _write_numbers(axis: Axes, points: float) -> None:
    """Write the numbers into the cells in letters of at most `points`, unless that is too small to read."""
    mesh = axis.collections[0]
    values = mesh.get_array()
    if points < SMALLEST:
        return
    for (row, column), value in np.ma.ndenumerate(values):
        colour = "white" if lightness(mesh.cmap(mesh.norm(value))) < 0.45 else "black"
        text: dict[str, Any] = {
            "fontsize": min(points, FONT - 1),
            "color": colour,
            "ha": "center",
            "va": "center_baseline",
        }
        axis.text(column + 0.5, row + 0.5, f"{value:z.0f}".replace("-", "−"), **text)


def lightness(colour: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the grey of a colour (red, green, blue), all from 0 to 1, by the weights of Rec. 601."""
    return float(np.dot(colour[:3], (0.299, 0.587, 0.114)))
