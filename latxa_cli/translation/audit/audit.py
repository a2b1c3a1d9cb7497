"""Audits: each translated record is judged beside its source, and beside other records.

    audit = Audit(checks, ["messages"])
    audit.load(sources, translations)
    outcomes = list(audit.outcomes())      # records that pass, and Rejects, in their order
    audit.findings.runs                    # where faults lie

Beyond the checks of each text there are faults that only the file shows: no source of that id, an id that comes again,
the same translation of different sources, and the translation of another record.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappush, heapreplace

import numpy as np
import xxhash

from latxa_cli.stream.records import Record, Reject, keyed_hash
from latxa_cli.translation.audit.agreement import Anchors, agreement, anchors, is_of_another
from latxa_cli.translation.audit.quality import Others
from latxa_cli.translation.audit.runs import Run, runs_of
from latxa_cli.translation.audit.store import Row, Store
from latxa_cli.translation.calibration import extent
from latxa_cli.translation.checks.checks import OF_ITSELF, REASONS, Checks, Fault
from latxa_cli.translation.checks.pair import Pair, Text
from latxa_cli.translation.fields import MESSAGES, Part, UnfitError, parts_of

NO_SOURCE, AGAIN, OTHER_TURNS = "no source", "repeated id", "other turns"
SHARED, OF_ANOTHER = REASONS["shared"], REASONS["another_record"]
REACH = 3  # records before and behind, whose translation a record may have
EXAMPLES = 10  # of each reason that are kept
WHOLE = -1  # the number of a text, where the fault is that of the record
_MUCH = 0.15  # by how much more a shared translation must agree with its own source to stay
_FAR = 0.05  # what a standard deviation of length takes from an agreement
_NOTHING = 0.2  # what names and numbers of which none is shared take from it


@dataclass(frozen=True, slots=True)
class Example:
    """A fault that is shown: the record's id, which of its texts, both texts, and what is wrong."""

    id: str
    name: str
    pair: Pair
    fault: Fault


@dataclass
class Findings:
    """What an audit has found beyond its outcomes.

    - records: how many were judged; faults: how many of them for each reason.
    - examples: some for each reason, drawn by their ids.
    - runs: (first id, last id, the run, its reasons with their counts).
    - again: sources with the id of an earlier one. untranslated: how many sources have no translation, and some ids.
    """

    records: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    runs: list[tuple[str, str, Run, Counter[str]]] = field(default_factory=list)
    again: int = 0
    untranslated: tuple[int, list[str]] = (0, [])


class _Judged:
    """A translated record and what was found out about it: its texts beside their sources, or why there are none."""

    def __init__(self, row: Row, names: Sequence[str], pairs: Sequence[Pair], fault: Fault | None) -> None:
        self.row, self.names, self.pairs, self.fault = row, names, pairs, fault

    def name(self, number: int) -> str:
        """Return the name of a text; that of the record as a whole is empty."""
        return self.names[number] if self.names and number != WHOLE else ""

    def pair(self, number: int) -> Pair:
        """Return a text beside its source, to be shown; of the record as a whole, the first ones."""
        return self.pairs[max(number, 0)] if self.pairs else Pair(Text(""), Text(""))

    @cached_property
    def source(self) -> Anchors:
        return anchors(pair.source for pair in self.pairs)

    @cached_property
    def translation(self) -> Anchors:
        return anchors(pair.translation for pair in self.pairs)

    @cached_property
    def own(self) -> float:
        return agreement(self.source, self.translation)


class Audit:
    """One audit.

    - fields: which fields hold the texts (see `fields`).
    - keep_system: system turns are not judged, since they were left as they are.
    - shots: the examples that the translator was given, where they are known.
    - references: translations to compare with; back: translations back, to compare with the sources.
    """

    def __init__(
        self,
        checks: Checks,
        fields: Sequence[str],
        *,
        keep_system: bool = False,
        shots: Sequence[tuple[str, str]] = (),
        references: Others | None = None,
        back: Others | None = None,
    ) -> None:
        self.checks, self.fields, self.keep_system, self.shots = checks, fields, keep_system, shots
        self.references, self.back = references, back
        self.findings = Findings()
        self.store = Store()
        self._reasons: list[str] = []  # for each number in `_faults`, the reason
        self._faults = bytearray()  # for each record, the number of its reason, or 0
        self._drawn: dict[str, list[tuple[int, int, Example]]] = {}

    def load(self, sources: Iterable[Record], translations: Iterable[Record]) -> None:
        """Read all records; raises LatxaError where the disk is full."""
        self.findings.again = self.store.add_sources(sources)
        for record in translations:
            row = self.store.add(record)
            for pair in self._paired(row).pairs:
                if pair.translation.all_words.length >= self.checks.limits.shared_words:
                    self.store.add_text(row.place, _hash(pair.translation), _hash(pair.source))
        self.store.compare_texts()

    def outcomes(self) -> Iterator[Record | Reject]:
        """Yield each record, or a Reject with its fault, in their order; then `findings` is complete."""
        near: deque[_Judged] = deque()
        place = 0  # in `near`, of the record that is judged next
        for row in self.store:
            near.append(self._paired(row))
            if len(near) - place > REACH:
                yield self._outcome(near, place)
                place = place + 1 if place < REACH else place
                while len(near) > 2 * REACH:
                    near.popleft()
        while place < len(near):
            yield self._outcome(near, place)
            place += 1
        self._conclude()

    # --- one record

    def _paired(self, row: Row) -> _Judged:
        """Return the texts of a record beside those of its source, or the fault that keeps them apart."""
        if row.again:
            return _Judged(row, [], [], Fault(AGAIN, row.record["id"]))
        if row.source is None:
            return _Judged(row, [], [], Fault(NO_SOURCE, row.record["id"]))
        try:
            before = parts_of(row.source, self.fields, keep_system=self.keep_system)
            after = parts_of(row.record, self.fields, keep_system=self.keep_system)
        except UnfitError as error:
            return _Judged(row, [], [], Fault(error.reason, error.detail))
        if _places(before) != _places(after):
            return _Judged(row, [], [], Fault(OTHER_TURNS, f"{_shape(before)} → {_shape(after)}"))
        pairs = [
            Pair(Text(one.text), Text(other.text), one.role, self.shots)
            for one, other in zip(before, after, strict=True)
        ]
        return _Judged(row, [part.name for part in before], pairs, None)

    def _outcome(self, near: Sequence[_Judged], place: int) -> Record | Reject:
        judged = near[place]
        fault, number = judged.fault, 0
        if fault is None:
            fault, number = self._fault(judged)
            if (fault is None or fault.reason not in OF_ITSELF) and (other := self._of_another(judged, near)):
                fault, number = other, WHOLE
        self.findings.records += 1
        if self.references:
            self.references.meet(judged.row.record, judged.row.record, kept=fault is None)
        if self.back:
            self.back.meet(judged.row.record, judged.row.source, kept=fault is None)
        if fault is None:
            self._faults.append(0)
            return judged.row.record
        self._count(judged, fault, number)
        name = judged.name(number)
        detail = f"{name}: {fault.detail}" if name and fault.detail else fault.detail or name
        return Reject(judged.row.record, fault.reason, detail)

    def _fault(self, judged: _Judged) -> tuple[Fault | None, int]:
        """Return the first fault of a record's texts, and the number of the text."""
        for number, pair in enumerate(judged.pairs):
            if fault := self.checks.fault_of(pair):
                return fault, number
        return None, 0

    def _of_another(self, judged: _Judged, near: Sequence[_Judged]) -> Fault | None:
        """Return the fault of a record that has another one's translation, as far as that can be known."""
        off = self.checks.limits.off
        if "shared" not in off and self.store.is_shared(judged.row.place) and (fault := self._shared(judged)):
            return fault
        for other in near if "another_record" not in off else ():
            if other is not judged and is_of_another(judged.own, agreement(other.source, judged.translation)):
                places = other.row.place - judged.row.place
                where = f"{abs(places)} {'later' if places > 0 else 'earlier'}"
                return Fault(OF_ANOTHER, f"that of `{other.row.record['id']}`, {where}")
        return None

    def _shared(self, judged: _Judged) -> Fault | None:
        """Return the fault of a record whose translation another source has too, unless it fits its own one better."""
        for pair in judged.pairs:
            if pair.translation.all_words.length < self.checks.limits.shared_words:
                continue
            for name, record in self.store.sharing(_hash(pair.translation), _hash(pair.source)):
                other = [Text(part.text) for part in parts_of(record, self.fields, keep_system=self.keep_system)]
                if any(_likeness(text, pair.source) >= self.checks.limits.shared_similar for text in other):
                    continue
                fits = self._fit(judged.pairs, [pair.source for pair in judged.pairs])
                if fits <= self._fit(judged.pairs, other) + _MUCH:
                    return Fault(SHARED, f"as that of `{name}`")
        return None

    def _fit(self, pairs: Sequence[Pair], sources: Sequence[Text]) -> float:
        """Return how well the translations in `pairs` fit some sources, by what they share and their length."""
        named, found = anchors(sources), anchors(pair.translation for pair in pairs)
        shared = agreement(named, found) if len(named) < 2 or named & found else -_NOTHING
        before, after = sum(extent(text.prose) for text in sources), sum(extent(p.translation.prose) for p in pairs)
        return shared - _FAR * min(abs(self.checks.ratio.distance(before, after)), 5.0)

    # --- all records

    def _count(self, judged: _Judged, fault: Fault, number: int) -> None:
        if fault.reason not in self._reasons:
            self._reasons.append(fault.reason)
        self._faults.append(min(self._reasons.index(fault.reason) + 1, 255))
        self.findings.faults[fault.reason] += 1
        example = Example(judged.row.record["id"], judged.name(number), judged.pair(number), fault)
        drawn = self._drawn.setdefault(fault.reason, [])
        entry = (-keyed_hash(0, "example", example.id, judged.row.place), judged.row.place, example)
        if len(drawn) < EXAMPLES:
            heappush(drawn, entry)
        elif entry > drawn[0]:
            heapreplace(drawn, entry)

    def _conclude(self) -> None:
        findings, numbers = self.findings, np.frombuffer(bytes(self._faults), np.uint8)
        for reason, drawn in self._drawn.items():
            findings.examples[reason] = [example for _, _, example in sorted(drawn, key=lambda entry: entry[1])]
        # What no translation keeps is a property of sources, and says nothing of the job.
        of_source = [number for number, reason in enumerate(self._reasons, 1) if reason == REASONS["transfer"]]
        for run in runs_of((numbers > 0) & ~np.isin(numbers, of_source)):
            found = Counter(
                self._reasons[number - 1] for number in numbers[run.first : run.last + 1].tolist() if number
            )
            findings.runs.append((self.store.name(run.first), self.store.name(run.last), run, found))
        findings.untranslated = self.store.untranslated()


def _places(parts: Sequence[Part]) -> list[tuple[tuple[str | int, ...], str]]:
    return [(part.path, part.role) for part in parts]


def _shape(parts: Sequence[Part]) -> str:
    """Return how many texts there are, and the first ones: `2 (1 user, 2 assistant)`, `3 (question, choices 1, …)`."""
    names = [
        f"{int(part.path[1]) + 1} {part.role}" if part.path[0] == MESSAGES else part.name.replace("`", "")
        for part in parts
    ]
    return f"{len(names)} ({', '.join(names[:6])}{', …' if len(names) > 6 else ''})"


def _hash(text: Text) -> int:
    """Return a hash of the words of a text, whatever their case and the signs between them."""
    return xxhash.xxh3_64_intdigest(text.all_words.hashes.tobytes())


def _likeness(one: Text, other: Text) -> float:
    """Return the share of the words of two texts that they have in common (Jaccard)."""
    first, second = set(one.all_words.hashes.tolist()), set(other.all_words.hashes.tolist())
    return len(first & second) / len(first | second) if first and second else 0.0
