"""Translations and their sources on disk, joined by id, so that memory does not grow with them.

A private SQLite database in the folder for temporary files (`TMPDIR`) holds both. It has no name, and is gone with the
process, however that ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import orjson

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record

_CACHE = 64 << 10  # KiB of memory that the database may use
_MOST_OTHERS = 8  # other sources of the same translation that are looked at


@dataclass(frozen=True, slots=True)
class Row:
    """A translated record: its place in the input from 0, itself, and its source (None where there is none).

    - again: whether an earlier record has its id.
    """

    place: int
    record: Record
    source: Record | None
    again: bool


class Store:
    """Records of two files, and the texts that the translated one has more than once."""

    def __init__(self) -> None:
        self._data = sqlite3.connect("")
        self._data.execute(f"PRAGMA cache_size = -{_CACHE}")
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE sources (number INTEGER PRIMARY KEY, id TEXT UNIQUE, line BLOB)",
            "CREATE TABLE rows (place INTEGER PRIMARY KEY, id TEXT UNIQUE, name TEXT, source INTEGER, line BLOB)",
            "CREATE TABLE texts (hash INTEGER, meaning INTEGER, place INTEGER)",
        ):
            self._data.execute(statement)
        self.rows = 0

    def close(self) -> None:
        self._data.close()

    # --- filling it

    def add_sources(self, records: Iterable[Record]) -> int:
        """Keep sources; return how many have the id of an earlier one, which stays in their place."""
        with _told():
            before = self._count("sources")
            given = 0
            for record in records:
                given += 1
                values = (record["id"], orjson.dumps(record))
                self._data.execute("INSERT OR IGNORE INTO sources (id, line) VALUES (?, ?)", values)
            return before + given - self._count("sources")

    def add(self, record: Record) -> Row:
        """Keep a translated record, and return it with its source."""
        with _told():
            name, place = record["id"], self.rows
            found = self._data.execute("SELECT number, line FROM sources WHERE id = ?", (name,)).fetchone()
            number, line = found or (None, None)
            values = (place, name, name, number, orjson.dumps(record))
            try:
                self._data.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", values)
                again = False
            except sqlite3.IntegrityError:
                self._data.execute("INSERT INTO rows VALUES (?, NULL, ?, ?, ?)", (place, *values[2:]))
                again = True
            self.rows += 1
            return Row(place, record, line and orjson.loads(line), again)

    def add_text(self, place: int, text: int, source: int) -> None:
        """Keep the hash of a translated text, and that of its source."""
        with _told():
            self._data.execute("INSERT INTO texts VALUES (?, ?, ?)", (_signed(text), _signed(source), place))

    def compare_texts(self) -> None:
        """Find the texts that are translations of different sources; to be called once all records are there."""
        with _told():
            self._data.execute(
                "CREATE TABLE shared AS SELECT hash FROM texts GROUP BY hash HAVING MIN(meaning) <> MAX(meaning)"
            )
            self._data.execute(
                "CREATE TABLE sharing AS SELECT place, hash, meaning FROM texts JOIN shared USING (hash)"
            )
            self._data.execute("DROP TABLE texts")
            self._data.execute("CREATE INDEX by_place ON sharing (place)")
            self._data.execute("CREATE INDEX by_hash ON sharing (hash, meaning)")

    # --- asking it

    def __iter__(self) -> Iterator[Row]:
        """Yield the translated records in their order."""
        with _told():
            query = (
                "SELECT place, rows.id IS NULL, rows.line, sources.line FROM rows "
                "LEFT JOIN sources ON sources.number = rows.source ORDER BY place"
            )
            for place, again, line, source in self._data.execute(query):
                yield Row(place, orjson.loads(line), source and orjson.loads(source), bool(again))

    def sharing(self, text: int, source: int) -> list[tuple[str, Record]]:
        """Return (id, source) of other records with the same translation, of which the source is another one."""
        with _told():
            query = (
                "SELECT rows.name, sources.line FROM sharing JOIN rows USING (place) "
                "JOIN sources ON sources.number = rows.source "
                "WHERE sharing.hash = ? AND sharing.meaning <> ? GROUP BY sharing.meaning ORDER BY place LIMIT ?"
            )
            found = self._data.execute(query, (_signed(text), _signed(source), _MOST_OTHERS))
            return [(name, orjson.loads(line)) for name, line in found]

    def is_shared(self, place: int) -> bool:
        """Whether a text of this record is the translation of another source too."""
        with _told():
            return bool(self._data.execute("SELECT 1 FROM sharing WHERE place = ?", (place,)).fetchone())

    def name(self, place: int) -> str:
        """Return the id of the record at a place."""
        with _told():
            return str(self._data.execute("SELECT name FROM rows WHERE place = ?", (place,)).fetchone()[0])

    def untranslated(self) -> tuple[int, list[str]]:
        """Return how many sources have no translation, and the ids of the first three."""
        with _told():
            where = "FROM sources WHERE number NOT IN (SELECT source FROM rows WHERE source NOT NULL)"
            (count,) = self._data.execute(f"SELECT COUNT(*) {where}").fetchone()
            return count, [name for (name,) in self._data.execute(f"SELECT id {where} ORDER BY number LIMIT 3")]

    def _count(self, table: str) -> int:
        return int(self._data.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


def _signed(number: int) -> int:
    """Return an unsigned number of 64 bits as SQLite keeps it."""
    return number - (1 << 64) if number >= 1 << 63 else number


@contextmanager
def _told() -> Iterator[None]:
    """Raise LatxaError for a full disk."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LatxaError(
            f"the folder for temporary files cannot hold the records: {error}", hint="set TMPDIR to a larger disk"
        ) from None
