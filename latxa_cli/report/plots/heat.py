"""Heat maps of battles: the share that each model won against each other one, and how often the two met.

Colours run from light to dark, so that they say the same in grey; above and below one half they have different hues.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latxa_cli.report.plots.style import FAINT, FONT, WIDTH, house_style, inches, rows_of, saved

Matrix = NDArray[np.float64]

# From light to dark; the middle, which is neither below nor above, is grey.
SHARE_COLOURS = ("#FFF4D9", "#F3C98F", "#ADA69E", "#5587B5", "#123A63")
COUNT_COLOURS = ("#F0F4F8", "#9DB4CB", "#123A63")
BESIDE = 10  # up to so many models the two maps stand side by side
BAR = 0.9  # inches of a colour bar with its label
HIGHEST = {True: 0.3, False: 0.165}  # inches of a row where they do, and where they do not
SMALLEST = 5  # points of a number in a cell; smaller ones are left out


def draw_heat_maps(models: Sequence[str], won: Matrix, met: Matrix, layout: str) -> bytes:
    """Return a figure in the format `layout`: the share of all battles that was won, and their number.

    models: p names, in the order of rows and columns. won: (p, p) how often the row won against the column. met: (p, p)
    how often they met; where they never did, the cell is hatched. Raises UsageError for too many models.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with house_style():
        names, size = rows_of(models), len(models)
        beside = size <= BESIDE
        room = (WIDTH - (1 + beside) * BAR - inches(names)) / (1 + beside)
        width = max(room, 0.5) / max(size, 1)
        height = min(width, HIGHEST[beside])
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
            _write(axis, min(0.82 * width / (0.62 * len(f"{most:.0f}")), 0.75 * height) * 72)
        never = "; hatched: never met" if (met + np.eye(size) == 0).any() else ""
        figure.supxlabel(f"ties are won by neither{never}", fontsize=FONT - 1, color=FAINT, x=0.99, ha="right")
        return saved(figure, layout)


def _map(axis: Any, names: Sequence[str], values: Matrix, colours: Sequence[str], most: float, label: str) -> None:
    """Draw one matrix (p, p), nan where there is nothing, on a scale from 0 to `most`."""
    from matplotlib.colors import LinearSegmentedColormap

    size = len(names)
    shades = LinearSegmentedColormap.from_list(label, colours)
    axis.patch.set(hatch="/////", edgecolor="#CCCCCC", linewidth=0)
    style = {"cmap": shades, "vmin": 0, "vmax": most, "edgecolors": "white", "linewidth": 0.5}
    mesh = axis.pcolormesh(np.ma.masked_invalid(values), **style)
    for place in range(size):  # no model meets itself
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


def _write(axis: Any, points: float) -> None:
    """Write the numbers into the cells in letters of so many `points` or less, if they can be read."""
    mesh = axis.collections[0]
    values = mesh.get_array()
    if points < SMALLEST:
        return
    for (row, column), value in np.ma.ndenumerate(values):
        colour = "white" if lightness(mesh.cmap(mesh.norm(value))) < 0.45 else "black"
        text = {"fontsize": min(points, FONT - 1), "color": colour, "ha": "center", "va": "center_baseline"}
        axis.text(column + 0.5, row + 0.5, f"{value:.0f}", **text)


def lightness(colour: Sequence[float]) -> float:
    """Return how light a colour (red, green, blue from 0 to 1) is in grey, from 0 to 1 (the weights of Rec. 601)."""
    return float(np.dot(colour[:3], (0.299, 0.587, 0.114)))
