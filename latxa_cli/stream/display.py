"""Tables as text: aligned for people, CSV, Markdown, LaTeX, HTML, or JSONL.

Records are untrusted: a name may hold an escape sequence of terminals, a line break or a character that reverses the
direction of writing. These are replaced, and the markup of Markdown, LaTeX and HTML is escaped.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Literal

from latxa_cli.stream.records import Record
from latxa_cli.stream.terminal import printable

Format = Literal["table", "jsonl", "csv", "markdown", "latex", "html"]

_MARK = r" \[[a-z,]+\]"  # of a note below the table
_FIGURE = re.compile(rf"[-+±–.,%∞\s\d]+({_MARK})?")
# `_` opens emphasis only at the edge of a word.
_MARKDOWN = re.compile(r"[\\|*`<>\[\]~&]|(?<![^\W_])_|_(?![^\W_])")
# Characters that TeX would not print as they are: its markup, those that old fonts lack or babel redefines, brackets
# and stars, which `\\` at the end of a row would take as its argument, and pairs that become one sign.
_LATEX = re.compile(r"[\\{}#$%&_~^<>|\[\]*`±∞↑↓\"]|-(?=-)|'(?=')|,(?=,)")
_LATEX_NAMES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "`": r"\textasciigrave{}", '"': r"{\char34}", "±": r"$\pm$",
    "∞": r"$\infty$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "[": "{[}", "]": "{]}",
    "*": "{*}", "-": "-{}", "'": "'{}", ",": ",{}",
}  # fmt: skip
_WIDEST = 1 << 16  # a table is never folded or cut to a terminal's width


class InLatex(str):
    """A text for people, and `latex`, how a paper has it; that must not hold anything that came from a record."""

    latex: str

    def __new__(cls, text: str, latex: str) -> InLatex:
        made = super().__new__(cls, text)
        made.latex = latex
        return made


def render(
    rows: Sequence[Record], columns: Sequence[str], layout: Format, *, title: str = "", notes: Sequence[str] = ()
) -> str:
    """Return `rows` as text that ends in a line break; `columns` names the fields to show, in order.

    - Tables for reading show numbers with one decimal, and `-` for a missing value; a title stands above, notes below.
      Where values of a column have marks of notes behind them, such as `61.2 [a]`, its digits still stand in line.
    - CSV has numbers in full and leaves missing values empty; JSONL has the rows as they are. Both are rows alone.
    - LaTeX needs the package booktabs; HTML is one table, to be put into a page.
    """
    if layout == "jsonl":
        import orjson

        return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows).decode()
    if layout == "csv":
        return _csv(rows, columns)
    head = [column if isinstance(column, InLatex) else printable(column) for column in columns]
    body = [[_shown(row.get(column)) for column in columns] for row in rows]
    figures = [all(_FIGURE.fullmatch(line[number]) for line in body) for number in range(len(columns))]
    said = [printable(note) for note in notes]
    layouts = {"table": _table, "markdown": _markdown, "latex": _latex, "html": _html}
    return layouts[layout](head, body, figures, printable(title), said)


def _shown(value: object) -> str:
    if value is None or value != value:  # NaN
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}".replace("inf", "∞")
    return value if isinstance(value, InLatex) else printable(str(value))


def _csv(rows: Sequence[Record], columns: Sequence[str]) -> str:
    import csv

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([printable(column) for column in columns])
    for row in rows:
        values = [row.get(column) for column in columns]
        writer.writerow([printable(value) if isinstance(value, str) else value for value in values])
    return text.getvalue()


def _markdown(head: list[str], body: list[list[str]], figures: list[bool], title: str, notes: list[str]) -> str:
    lines = [head, ["---:" if is_figure else "---" for is_figure in figures], *body]
    lines = [line if number == 1 else [escaped(cell) for cell in line] for number, line in enumerate(lines)]
    table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    above = f"**{escaped(title)}**\n\n" if title else ""
    return above + table + "\n" * bool(notes) + "".join(f"- {escaped(note)}\n" for note in notes)


def escaped(text: str) -> str:
    """Return `text` on one line, escaped so that Markdown shows every character of it."""
    return _MARKDOWN.sub(lambda found: "\\" + found[0], printable(text))


def escaped_latex(text: str) -> str:
    """Return `text` on one line, escaped so that LaTeX prints every character of it."""
    return _LATEX.sub(_in_latex, printable(text))


def _latex(head: list[str], body: list[list[str]], figures: list[bool], title: str, notes: list[str]) -> str:
    top, *rows = [" & ".join(map(_latex_text, line)) + r" \\" for line in [head, *body]]
    places = "".join("r" if is_figure else "l" for is_figure in figures)
    begin, end = rf"\begin{{tabular}}{{{places}}}", r"\end{tabular}"
    above = [rf"\noindent\textbf{{{_latex_text(title)}}}\par\smallskip"] if title else []
    below = [r"\par\smallskip", *(rf"{{\footnotesize {_latex_text(note)}\par}}" for note in notes)] if notes else []
    return "\n".join([*above, begin, r"\toprule", top, r"\midrule", *rows, r"\bottomrule", end, *below, ""])


def _latex_text(text: str) -> str:
    return text.latex if isinstance(text, InLatex) else _LATEX.sub(_in_latex, text)


def _in_latex(found: re.Match[str]) -> str:
    return _LATEX_NAMES.get(found[0], "\\" + found[0])


def _html(head: list[str], body: list[list[str]], figures: list[bool], title: str, notes: list[str]) -> str:
    from html import escape

    # The first column without figures heads its row, so that a screen reader repeats it with each cell.
    heading = figures.index(False) if False in figures else -1
    right = [' style="text-align: right"' if is_figure else "" for is_figure in figures]
    rows = [[f'<th scope="col"{style}>{escape(name)}</th>' for name, style in zip(head, right, strict=True)]]
    for line in body:
        row = [f"<td{style}>{escape(cell)}</td>" for cell, style in zip(line, right, strict=True)]
        if heading >= 0:
            row[heading] = f'<th scope="row">{escape(line[heading])}</th>'
        rows.append(row)
    top, *rest = ["<tr>" + "".join(row) + "</tr>" for row in rows]
    caption = [f"<caption>{escape(title)}</caption>"] if title else []
    below = ["<ul>", *(f"<li>{escape(note)}</li>" for note in notes), "</ul>"] if notes else []
    table = ["<table>", *caption, "<thead>", top, "</thead>", "<tbody>", *rest, "</tbody>", "</table>"]
    return "\n".join([*table, *below, ""])


def _table(head: list[str], body: list[list[str]], figures: list[bool], title: str, notes: list[str]) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, is_figure in zip(head, figures, strict=True):
        table.add_column(Text(name), justify="right" if is_figure else "left", no_wrap=True)
    columns = [[line[number] for line in body] for number in range(len(head))]
    padded = [_padded(column) if is_figure else column for column, is_figure in zip(columns, figures, strict=True)]
    for line in zip(*padded, strict=True):
        table.add_row(*[Text(cell) for cell in line])
    text = io.StringIO()
    Console(file=text, width=_WIDEST, color_system=None, force_terminal=False).print(table)
    lines = [line.rstrip() for line in text.getvalue().split("\n") if line.strip()]
    return "".join(f"{line}\n" for line in [*([title, ""] if title else []), *lines, *([""] if notes else []), *notes])


def _padded(column: Sequence[str]) -> list[str]:
    """Return cells with room for marks behind all of them, so that the digits before stand in line."""
    marks = [len(found[0]) if (found := re.search(f"{_MARK}$", cell)) else 0 for cell in column]
    return [cell + " " * (max(marks) - mark) for cell, mark in zip(column, marks, strict=True)]
