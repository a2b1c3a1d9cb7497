"""The style of all figures, their formats and row names, and their way into files.

Figures are made for print: they are 18 cm wide, and no difference is shown by colour alone. The same data give the same
bytes. This package alone loads matplotlib, and only when it draws a figure.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.terminal import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
WIDTH = 7.1  # inches: two columns of a journal
FONT = 8  # points
LINE = FONT * 1.25  # points between the base lines of two names
MOST_ROWS = 100  # models in a figure with a row for each
LONGEST = 2.6  # inches of a name
MOST_LETTERS = 500  # of a name; the rest is dropped before its width is measured

# Okabe and Ito's colours, which people with any colour vision tell apart. Yellow is left out: paper hides it.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P")
FAINT = "#666666"  # of notes

STYLE = {
    "font.family": "DejaVu Sans", "font.size": FONT, "axes.titlesize": FONT + 1, "axes.titlelocation": "left",
    "axes.labelsize": FONT, "xtick.labelsize": FONT - 1, "ytick.labelsize": FONT - 1,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#444444", "axes.linewidth": 0.6,
    "xtick.color": "#444444", "ytick.color": "#444444", "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "axes.grid": True, "axes.grid.axis": "y", "grid.color": "#DDDDDD", "grid.linewidth": 0.5, "axes.axisbelow": True,
    "lines.linewidth": 1.4, "lines.markersize": 3.6, "lines.solid_capstyle": "round",
    "savefig.dpi": 300, "pdf.fonttype": 42, "svg.hashsalt": "latxa",
}  # fmt: skip


def check(path: Path) -> str:
    """Return the format of the figure at `path`; raises UsageError for an unknown ending or without matplotlib."""
    layout = path.suffix.removeprefix(".")
    if layout not in FORMATS:
        raise UsageError(f"`{path}` is not the name of a figure", hint="it ends in `.png`, `.svg` or `.pdf`")
    if find_spec("matplotlib") is None:
        raise UsageError("a figure needs matplotlib, which is not installed", hint="pip install 'latxa-cli[plots]'")
    return layout


@contextmanager
def house_style() -> Iterator[None]:
    """Give figures of this context the style of `latxa`, whatever the user's own settings of matplotlib are."""
    from matplotlib import style

    with style.context(["default", STYLE]):
        yield


def rows_of(names: Sequence[str]) -> list[str]:
    """Return the names of rows as the figure shows them (see `written`); raises UsageError for too many."""
    if len(names) > MOST_ROWS:
        raise UsageError(
            f"{len(names):,} rows do not fit in a figure",
            hint=f"give records of {MOST_ROWS} models or tasks at the most",
        )
    of_text: dict[str, list[str]] = {}
    for name in names:
        of_text.setdefault(written(name), []).append(name)
    shown = {}
    for text, alike in of_text.items():
        # What was cut from equal texts is what tells their names apart: what these begin with goes instead.
        same = next((place for place, letters in enumerate(zip(*alike, strict=False)) if len({*letters}) > 1), 0)
        for number, name in enumerate(alike, 1):
            shown[name] = text if len(alike) == 1 else written(f"#{number} … {name[max(same - 8, 0) :]}")
    return [shown[name] for name in names]


def written(name: str) -> str:
    """Return a name as a figure shows it, made safe and cut in its middle if it is very long (in `house_style`).

    Letters that the style's own font lacks are taken from any other font of this machine. A letter that none has is
    written as its number in Unicode, `⟨6F22⟩`, since boxes would make all such names one.
    """
    shown = name = _in_known_letters(printable(name[:MOST_LETTERS]))
    kept = len(name)
    while inches([shown]) > LONGEST:
        kept = int(0.9 * kept)
        shown = f"{name[: kept // 2]} … {name[len(name) - kept // 2 :]}"
    return shown


def _in_known_letters(text: str) -> str:
    from matplotlib import font_manager, rcParams

    # The last resort of matplotlib has a box for every letter.
    fonts = [font for font in font_manager.fontManager.ttflist if "Last Resort" not in font.name]
    families = list(rcParams["font.family"])
    missing = {letter for letter in text if ord(letter) > 0x7E}
    for font in (one for family in families for one in fonts if one.name == family):
        missing -= _letters(font.fname)
    for font in sorted(fonts, key=lambda font: (font.style != "normal", font.weight != 400, font.name, font.fname)):
        if not missing:
            break
        if found := missing & _letters(font.fname):
            missing -= found
            families.append(font.name)
    rcParams["font.family"] = families
    return "".join(f"⟨{ord(letter):X}⟩" if letter in missing else letter for letter in text)


@cache
def _letters(path: str) -> frozenset[str]:
    """Return the letters that a font file has; none for one that cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


def inches(names: Iterable[str], size: float = FONT) -> float:
    """Return the width in inches of the widest of `names` in letters of `size` points (in `house_style`)."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)
    widths = (text_to_path.get_text_width_height_descent(name, font, ismath=False)[0] for name in names)
    return max(widths, default=0) / 72


def saved(figure: Figure, layout: str) -> bytes:
    """Return the figure as the bytes of a file in the format `layout`."""
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    data = io.BytesIO()
    figure.savefig(data, format=layout, metadata=undated[layout])
    return data.getvalue()
