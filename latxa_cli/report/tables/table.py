"""A table that is ready to be written: the same rows for programs, for spreadsheets and for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from latxa_cli.stream.display import Format, render
from latxa_cli.stream.records import Record

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run

Rows = tuple[list[Record], list[str]]  # rows, and the columns to show of them


@dataclass(frozen=True)
class Table:
    """One table in all its forms.

    - records: rows for programs, with all that is known.
    - figures: rows for spreadsheets, with numbers as they were measured.
    - texts: rows for people, with marks of `notes` behind values.
    - title: what it is, to be shown where there are several.
    """

    records: Sequence[Record]
    figures: Rows
    texts: Rows
    notes: Sequence[str] = ()
    title: str = ""

    def text(self, layout: Format, *, titled: bool = False) -> str:
        """Return the table in a format, ending in a line break."""
        if layout == "jsonl":
            return render(self.records, (), layout)
        if layout == "csv":
            return render(*self.figures, layout)
        return render(*self.texts, layout, title=self.title if titled else "", notes=self.notes)


@dataclass
class Notes:
    """Notes below a table, each with a letter that marks what it is about."""

    letters: dict[str, str] = field(default_factory=dict)

    def marked(self, text: str, notes: Sequence[str]) -> str:
        """Return `text` with the letters of `notes` behind it."""
        letters = [self.letters.setdefault(note, _letter(len(self.letters))) for note in dict.fromkeys(notes)]
        return f"{text} [{','.join(sorted(letters, key=lambda letter: (len(letter), letter)))}]" if letters else text

    def lines(self) -> list[str]:
        """Return the notes, each behind its letter."""
        return [f"[{letter}] {note}" for note, letter in self.letters.items()]


def _letter(number: int) -> str:
    """Return a, b … z, aa, ab …"""
    head, last = divmod(number, 26)
    return (_letter(head - 1) if head else "") + chr(ord("a") + last)


def lifted(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return the notes that all of several cells of a row have: they are said of the row, once."""
    if len(cells) < 2:
        return []
    return [note for note in dict.fromkeys(cells[0]) if all(note in cell for cell in cells)]


def write(run: Run, tables: Sequence[Table], layout: Format) -> None:
    """Write tables in a format, with titles where there are several; CSV holds the first one alone."""
    if layout == "jsonl":
        run.write(record for table in tables for record in table.records)
        return
    shown = [table for table in tables if table.texts[1]][: 1 if layout == "csv" else None]
    texts = [table.text(layout, titled=len(shown) > 1) for table in shown]
    run.print("\n".join(texts), records=sum(len(table.records) for table in shown))
    left = [table.title for table in tables[1:] if table.figures[1]] if layout == "csv" else []
    if left:
        run.say(f"CSV holds one table, which is not: {'; '.join(left)}")
