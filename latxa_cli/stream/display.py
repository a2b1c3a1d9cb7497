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

_FIGURE = re.compile(r"[-+±–.,%∞\s\d]+")
# `_` opens emphasis only at the edge of a word.
_MARKDOWN = re.compile(r"[\\|*`<>\[\]~&]|(?<![^\W_])_|_(?![^\W_])")
# Characters that TeX would not print as they are: its markup, those that old fonts lack or babel redefines, brackets
# and stars, which `\\` at the end of a row would take as its argument, and pairs that become one sign.
_LATEX = re.compile(r"[\\{}#$%&_~^<>|\[\]*`±∞\"]|-(?=-)|'(?=')|,(?=,)")
_LATEX_NAMES = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "`": r"\textasciigrave{}", '"': r"{\char34}", "±": r"$\pm$",
    "∞": r"$\infty$", "[": "{[}", "]": "{]}", "*": "{*}", "-": "-{}", "'": "'{}", ",": ",{}",
}  # fmt: skip
_WIDEST = 1 << 16  # a table is never folded or cut to a terminal's width


def render(rows: Sequence[Record], columns: Sequence[str], layout: Format) -> str:
    """Return `rows` as text that ends in a line break; `columns` names the fields to show, in order.

    - Tables for reading show numbers with one decimal, and `-` for a missing value.
    - CSV has numbers in full and leaves missing values empty; JSONL has the rows as they are.
    - LaTeX needs the package booktabs; HTML is one table, to be put into a page.
    """
    if layout == "jsonl":
        import orjson

        return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows).decode()
    if layout == "csv":
        return _csv(rows, columns)
    head = [printable(column) for column in columns]
    body = [[_shown(row.get(column)) for column in columns] for row in rows]
    figures = [all(_FIGURE.fullmatch(line[number]) for line in body) for number in range(len(columns))]
    return {"table": _table, "markdown": _markdown, "latex": _latex, "html": _html}[layout](head, body, figures)


def _shown(value: object) -> str:
    if value is None or value != value:  # NaN
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}".replace("inf", "∞")
    return printable(str(value))


def _csv(rows: Sequence[Record], columns: Sequence[str]) -> str:
    import csv

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([printable(column) for column in columns])
    for row in rows:
        values = [row.get(column) for column in columns]
        writer.writerow([printable(value) if isinstance(value, str) else value for value in values])
    return text.getvalue()


def _markdown(head: list[str], body: list[list[str]], figures: list[bool]) -> str:
    lines = [head, ["---:" if is_figure else "---" for is_figure in figures], *body]
    lines = [line if number == 1 else [escaped(cell) for cell in line] for number, line in enumerate(lines)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def escaped(text: str) -> str:
    """Return `text` on one line, escaped so that Markdown shows every character of it."""
    return _MARKDOWN.sub(lambda found: "\\" + found[0], printable(text))


def _latex(head: list[str], body: list[list[str]], figures: list[bool]) -> str:
    lines = [[_LATEX.sub(_in_latex, cell) for cell in line] for line in [head, *body]]
    top, *rows = [" & ".join(line) + r" \\" for line in lines]
    places = "".join("r" if is_figure else "l" for is_figure in figures)
    begin, end = rf"\begin{{tabular}}{{{places}}}", r"\end{tabular}"
    return "\n".join([begin, r"\toprule", top, r"\midrule", *rows, r"\bottomrule", end, ""])


def _in_latex(found: re.Match[str]) -> str:
    return _LATEX_NAMES.get(found[0], "\\" + found[0])


def _html(head: list[str], body: list[list[str]], figures: list[bool]) -> str:
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
    return "\n".join(["<table>", "<thead>", top, "</thead>", "<tbody>", *rest, "</tbody>", "</table>", ""])


def _table(head: list[str], body: list[list[str]], figures: list[bool]) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, is_figure in zip(head, figures, strict=True):
        table.add_column(Text(name), justify="right" if is_figure else "left", no_wrap=True)
    for line in body:
        table.add_row(*[Text(cell) for cell in line])
    text = io.StringIO()
    Console(file=text, width=_WIDEST, color_system=None, force_terminal=False).print(table)
    return "".join(line.rstrip() + "\n" for line in text.getvalue().split("\n") if line.strip())
