"""Rows of 48 bytes, which are all that `mix` keeps of a record while it decides, and their making in plain Python.

The kernel (`native.mix_rows`) makes the rows of usual lines, which stay where they are. `RowBuilder` makes all others:
it parses the line, changes the record as the mix needs it, and writes the line anew. Both give the same records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import orjson
from xxhash import xxh3_64_intdigest, xxh64_intdigest

from latxa_cli.mixing.admission import Admission
from latxa_cli.native.layout import AGAIN, MADE, ROW, UNNAMED
from latxa_cli.stream.checks import CHECKS
from latxa_cli.stream.inputs import LONGEST_LINE
from latxa_cli.stream.reader import explain, name_of, parser
from latxa_cli.stream.records import Record, Reject
from latxa_cli.stream.rejects import MALFORMED, malformed_entry, unfit_entry

KINDS = ("document", "conversation")
UNSAID = "train"  # the split of records without `metadata.split`
MASK = 2**64 - 1
LAST_EPOCH = 1 << 40  # a larger `metadata.epoch` is a time or something else

_REPEATED = re.compile(r"([0-9a-f]{16})-([1-9][0-9]{0,17})")
_STEP = np.uint64(0x9E3779B97F4A7C15)


# --- keys ------------------------------------------------------------------------------------------------------------


def key_seeds(seed: int, name: str) -> tuple[int, int]:
    """Return the seeds of the two hashes in the keys of the input `name`."""
    return xxh64_intdigest(name.encode(), seed & MASK), xxh64_intdigest(f"{name}\0check".encode(), seed & MASK)


def key_of(seeds: tuple[int, int], own_source: str, name: str, epoch: int = 1) -> tuple[int, int, bool]:
    """Return (identity, check, whether the record is `AGAIN`); the first two are the hashes of the record's key.

    They are XXH64 of the id, seeded by XXH64 of the record's own source. Repeated contents (ids `HASH-COUNT`) and
    copies of a record (`metadata.epoch`) have the identity of the first one, so that they are found and held out
    together. The check tells them apart.
    """
    repeated = _REPEATED.fullmatch(name)
    count = int(repeated[2]) if repeated else 1
    base = repeated[1] if repeated and count > 1 else name
    identity, check = (xxh64_intdigest(base.encode(), xxh64_intdigest(own_source.encode(), seed)) for seed in seeds)
    if epoch > 1:
        check = xxh64_intdigest(str(epoch).encode(), check)
    if count > 1:
        check = int(repeat(np.array([check], np.uint64), np.array([count]))[0])
    return identity, check, count > 1 or epoch > 1


def epoch_of(record: Record) -> int:
    """Return the number of a record among its copies, by its `metadata.epoch`; 1 where there is none."""
    epoch = (record.get("metadata") or {}).get("epoch")
    return epoch if type(epoch) is int and 1 < epoch <= LAST_EPOCH else 1


def later_epoch(own: int, epoch: int, last: int) -> int:
    """Return the `metadata.epoch` of a copy in a mix of mixes, which is different for each copy of a record.

    own: the record's epoch from an earlier mix; epoch: the number of the copy in this mix, from 1; last: the highest
    epoch of any record of its input.
    """
    return own + (epoch - 1) * last


def repeat(check: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the checks (u64) of ids `HASH-COUNT` from those of `HASH`; a count of 1 changes nothing."""
    return np.where(count > 1, spread(check + count.astype(np.uint64) * _STEP), check)


def spread(values: np.ndarray) -> np.ndarray:
    """Return 64-bit hashes of 64-bit values: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


# --- rows ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InputReading:
    """The way in which the records of an input are read.

    - split: the `metadata.split` to take; records without one belong to `UNSAID`.
    - set_aside: malformed lines do not stop the run, and the original of a line that is written anew is kept.
    - admission: conditions for records; with them the kernel reads no line.
    """

    name: str
    number: int = 0
    seed: int = 0
    split: str = "train"
    set_aside: bool = False
    admission: Admission | None = None


@dataclass(frozen=True)
class RejectedLine:
    """A line that is left out: the reason, and the entry for `--rejects`."""

    reason: str
    entry: bytes


class RowBuilder:
    """Makes rows from lines one by one: `rows`, the `lines` that they point into, and `rejected` lines.

    location: returns `FILE:LINE` for the index of a line; places: the places of those lines that got a row.
    """

    def __init__(self, reading: InputReading, location: Callable[[int], str] = str) -> None:
        self.reading = reading
        self.location = location
        self.rows: list[tuple[int, ...]] = []
        self.places: list[int] = []
        self.lines = bytearray()
        self.rejected: list[RejectedLine] = []
        self.read = 0  # lines that are not blank
        self.other_split = 0
        self.last_epoch = 1  # the highest epoch of the records that have a row
        self._parse = parser(KINDS)
        self._seeds = key_seeds(reading.seed, reading.name)

    def make(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Read lines, each with its index; raises RecordError at a malformed one unless those are set aside."""
        for place, (index, raw) in enumerate(entries):
            try:
                if len(raw) > LONGEST_LINE:
                    raise ValueError("the line is too long")
                record = self._parse(raw)
                if "text" in record and "messages" in record:  # later verbs will take it for a conversation
                    CHECKS["conversation"](record)
                name, given = name_of(record)
            except ValueError as error:
                if raw.strip():
                    self._malformed(index, explain(error, raw), raw)
                continue
            self.read += 1
            metadata = record.get("metadata") or {}
            split = metadata.get("split")
            if (UNSAID if split is None else split) != self.reading.split:
                self.other_split += 1
                continue
            if type(record.get("id")) is not str:
                record = {"id": name} | {field: value for field, value in record.items() if field != "id"}
            admitted = self.reading.admission(record) if self.reading.admission else record
            if isinstance(admitted, Reject):
                entry = unfit_entry(record, admitted.reason, admitted.detail)
                self.rejected.append(RejectedLine(admitted.reason, orjson.dumps(entry)))
            else:
                self._add(admitted, given, record)
                self.places.append(place)

    def array(self) -> np.ndarray:
        """Return the rows as an array."""
        return np.array(self.rows, ROW) if self.rows else np.empty(0, ROW)

    def _malformed(self, index: int, problem: str, raw: bytes) -> None:
        entry = malformed_entry(self.location(index), problem, raw, set_aside=self.reading.set_aside)
        self.read += 1
        self.rejected.append(RejectedLine(MALFORMED, orjson.dumps(entry)))

    def _add(self, record: Record, given: bool, original: Record) -> None:
        own = record.get("source") or ""
        epoch = epoch_of(record)
        self.last_epoch = max(self.last_epoch, epoch)
        identity, check, again = key_of(self._seeds, own, record["id"], epoch)
        record = record | {"source": f"{self.reading.name}/{own}" if own else self.reading.name}
        line = orjson.dumps(record)
        texts = texts_of(record)
        size = sum(len(text.encode()) for text in texts) + len(texts) - 1
        words = sum(len(text.split()) for text in texts)
        flags = MADE | (0 if given else UNNAMED) | (AGAIN if again else 0)
        kept = orjson.dumps(original) if self.reading.set_aside else b""
        number = self.reading.number
        self.rows.append((identity, check, len(self.lines), len(line), 0, len(kept), size, words, number, flags))
        self.lines += line + kept


def content_hash(record: Record) -> int:
    """Return the XXH3 of a record's messages, or of its text."""
    content = record["messages"] if "messages" in record else record["text"]
    return xxh3_64_intdigest(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))


def texts_of(record: Record) -> list[str]:
    """Return the text of a document, or the contents of a conversation's messages."""
    return [message["content"] for message in record["messages"]] if "messages" in record else [record["text"]]
