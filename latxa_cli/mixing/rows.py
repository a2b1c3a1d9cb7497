"""What `mix` keeps of a record while it decides: one row of 48 bytes; and how to make one in plain Python.

The kernel (`native.mix_rows`) makes rows of usual lines, which stay where they lie. `RowBuilder` makes those of all
others: they are parsed, changed where the mix is to change them, and written anew. Both give the same records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import orjson
from xxhash import xxh64_intdigest

from latxa_cli.mixing.admission import Admission
from latxa_cli.native.layout import AGAIN, MADE, ROW, UNNAMED
from latxa_cli.stream.inputs import LONGEST_LINE
from latxa_cli.stream.kinds import CHECKS
from latxa_cli.stream.reader import explain, name_of, parser
from latxa_cli.stream.records import Record, Reject
from latxa_cli.stream.rejects import MALFORMED, malformed_entry, unfit_entry

KINDS = ("document", "conversation")
UNSAID = "train"  # the split of records that do not say theirs
MASK = 2**64 - 1
LAST_EPOCH = 1 << 40  # beyond it, `metadata.epoch` is a time or the like

_REPEATED = re.compile(r"([0-9a-f]{16})-([1-9][0-9]{0,17})")
_STEP = np.uint64(0x9E3779B97F4A7C15)


# --- keys ------------------------------------------------------------------------------------------------------------


def key_seeds(seed: int, name: str) -> tuple[int, int]:
    """Return what the two hashes of the keys of the input `name` start from."""
    return xxh64_intdigest(name.encode(), seed & MASK), xxh64_intdigest(f"{name}\0check".encode(), seed & MASK)


def key_of(seeds: tuple[int, int], own_source: str, name: str, epoch: int = 1) -> tuple[int, int, bool]:
    """Return the two hashes of a record's key, and whether it is `AGAIN`.

    They are XXH64 of the id, seeded by XXH64 of the record's own source. The ids `HASH-COUNT` of repeated content and
    the copies (`metadata.epoch`) of one record have the identity of the first, so that they are found, and held out,
    together; the check tells them apart.
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
    """Return which copy of a record it is by its `metadata.epoch`: 1 for the first, which does not say so."""
    epoch = (record.get("metadata") or {}).get("epoch")
    return epoch if type(epoch) is int and 1 < epoch <= LAST_EPOCH else 1


def later_epoch(own: int, epoch: int, last: int) -> int:
    """Return the `metadata.epoch` of a record in an `epoch` of this mix, from 1; its `own` comes from an earlier mix.

    last: the highest that any record of its input has. So each copy of a record in a mix of mixes has another.
    """
    return own + (epoch - 1) * last


def repeat(check: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the checks (u64) of the ids `HASH-COUNT`, given those of `HASH`; for a count of 1 they stay."""
    return np.where(count > 1, spread(check + count.astype(np.uint64) * _STEP), check)


def spread(values: np.ndarray) -> np.ndarray:
    """Return 64-bit hashes of 64-bit values: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


# --- rows ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InputReading:
    """How the records of the input `name`, the `number`-th, are read.

    `split`: the `metadata.split` that is wanted; records without one are of `UNSAID`. `set_aside`: malformed lines do
    not stop the run, and lines that are made are kept as they came too. With `fit` no line is left to the kernel.
    """

    name: str
    number: int = 0
    seed: int = 0
    split: str = "train"
    set_aside: bool = False
    fit: Admission | None = None


@dataclass(frozen=True)
class SetAside:
    """A line that is left out for a reason, and its entry for `--rejects`."""

    reason: str
    entry: bytes


class RowBuilder:
    """Makes rows of lines one by one: `rows`, the `lines` that they point into, and what is left out.

    `where` gives `FILE:LINE` of the line with an index; `places` says which ones of the lines given have a row.
    """

    def __init__(self, reading: InputReading, where: Callable[[int], str] = str) -> None:
        self.reading = reading
        self.where = where
        self.rows: list[tuple[int, ...]] = []
        self.places: list[int] = []
        self.lines = bytearray()
        self.asides: list[SetAside] = []
        self.read = 0  # lines that are not blank
        self.other_split = 0
        self.last_epoch = 1  # the highest of the records that have a row
        self._parse = parser(KINDS)
        self._seeds = key_seeds(reading.seed, reading.name)

    def make(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Read lines, each with its index; raises RecordError at a malformed one unless those are set aside."""
        for place, (index, raw) in enumerate(entries):
            try:
                if len(raw) > LONGEST_LINE:
                    raise ValueError("the line is too long")
                record = self._parse(raw)
                if "text" in record and "messages" in record:  # which is a conversation to those who come after
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
            fitting = self.reading.fit(record) if self.reading.fit else record
            if isinstance(fitting, Reject):
                entry = unfit_entry(record, fitting.reason, fitting.detail)
                self.asides.append(SetAside(fitting.reason, orjson.dumps(entry)))
            else:
                self._add(fitting, given, record)
                self.places.append(place)

    def array(self) -> np.ndarray:
        """Return the rows as an array."""
        return np.array(self.rows, ROW) if self.rows else np.empty(0, ROW)

    def _malformed(self, index: int, what: str, raw: bytes) -> None:
        entry = malformed_entry(self.where(index), what, raw, set_aside=self.reading.set_aside)
        self.read += 1
        self.asides.append(SetAside(MALFORMED, orjson.dumps(entry)))

    def _add(self, record: Record, given: bool, came: Record) -> None:
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
        kept = orjson.dumps(came) if self.reading.set_aside else b""
        number = self.reading.number
        self.rows.append((identity, check, len(self.lines), len(line), 0, len(kept), size, words, number, flags))
        self.lines += line + kept


def texts_of(record: Record) -> list[str]:
    """Return the text of a document, or the contents of a conversation's messages."""
    return [message["content"] for message in record["messages"]] if "messages" in record else [record["text"]]
