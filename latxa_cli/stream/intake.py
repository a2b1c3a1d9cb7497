"""What a run reads: the records of its files, what shard and subset leave of them, what is malformed, what is done.

Records are handed out in input order, and the outcomes come back in the same order. So the number of outcomes is the
position in the input, and an interrupted run's records are passed over by counting them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import nsmallest
from pathlib import Path
from typing import Any, TypeVar

from latxa_cli.stream import reader, resume
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.inputs import STDIN, Input, check_exists, fingerprint
from latxa_cli.stream.outputs import Outputs
from latxa_cli.stream.records import Record, keyed_hash
from latxa_cli.stream.rejects import malformed_entry
from latxa_cli.stream.resume import Checkpoint
from latxa_cli.stream.sources import Source, parse_sources

Unit = TypeVar("Unit")


class Intake:
    """Reads for one run and counts what it hands out.

    outputs: of the run, which no input may be; interrupted: where the run that is gone on with stood; shard: (index,
    number of shards); seed: of subsets.
    """

    def __init__(self, outputs: Outputs, interrupted: Checkpoint | None, *, shard: tuple[int, int], seed: int) -> None:
        self.outputs, self.counts, self.shard, self.seed = outputs, outputs.counts, shard, seed
        self.inputs: list[Input] = []
        self.uses: list[dict[str, Any]] = []  # side inputs, as they stand in a manifest
        self.last = interrupted.last if interrupted else None  # the id of the last record that has an outcome
        self._done = interrupted.position if interrupted else 0  # outcomes that the interrupted run had written
        self._handed_out = 0  # records or units given to the verb, those passed over included
        self._ids = reader.Identifier()
        self._expected: deque[str] = deque()  # ids handed out that have no outcome yet
        self.malformed: deque[tuple[int, Record]] = deque()  # (records handed out before it, its entry)

    # --- records and other units of work

    def read(
        self, files: list[str] | None, kind: str | tuple[str, ...], *, take: int | None = None
    ) -> Iterator[Record]:
        """Yield the checked records of `files` (default: stdin), each with an id; what the shard and `take` leave.

        Records that an interrupted run had done are passed over. A malformed line raises RecordError with file and
        line, or goes to `--rejects`. Raises UsageError when stdin is a terminal.
        """
        records = self._parsed(self._existing(files), kind)
        if take is not None:
            records = self._taken(records, take)
        return self._mine(records)

    def read_blocks(self, files: list[str] | None, kind: str) -> Iterator[reader.Block]:
        """Yield the entries of `files` (default: stdin) many at a time, for a verb that makes a whole and counts.

        What is wrong with an entry is told as by `read`.
        """

        def malformed(where: str, what: str, raw: bytes) -> None:
            self.malformed.append((0, self._set_aside(where, what, raw)))

        for name in self._existing(files):
            source = Input(name)
            self.inputs.append(source)
            for block in reader.read_blocks(source, kind, malformed):
                yield block
                self.counts.read += block.count

    def items(self, units: Iterable[Unit]) -> Iterator[Unit]:
        """Yield the units of work that this shard has still to do; for verbs that read no records."""
        return self._mine(enumerate(units))

    def sources(self, arguments: list[str] | None) -> list[Source]:
        """Return the sources that `arguments` name (default: stdin), none of whose files is an output.

        Raises UsageError and LatxaError as `parse_sources` does.
        """
        found = parse_sources(arguments or [STDIN])
        self.outputs.keep_apart(file for source in found for file in source.files)
        return found

    def _existing(self, files: list[str] | None) -> list[str]:
        """Return the inputs, which are there, and no outputs; that is told before the verb loads anything heavy."""
        files = files or [STDIN]
        for name in files:
            check_exists(name)
        self.outputs.keep_apart(files)
        return files

    def _parsed(self, files: list[str], kind: str | tuple[str, ...]) -> Iterator[tuple[int, Record]]:
        """Yield (ordinal, record); malformed entries have ordinals of their own, so that shards share them out."""
        index, count = self.shard
        ordinal = 0

        def malformed(where: str, what: str, raw: bytes) -> None:
            nonlocal ordinal
            entry = self._set_aside(where, what, raw)
            if ordinal % count == index and self._handed_out >= self._done:
                self.malformed.append((self._handed_out, entry))
            ordinal += 1

        for name in files:
            source = Input(name)
            self.inputs.append(source)
            for record in reader.read(source, kind, malformed, self._ids):
                yield ordinal, record
                ordinal += 1

    def _set_aside(self, where: str, what: str, raw: bytes) -> Record:
        """Return what `--rejects` gets of a malformed entry; without `--rejects`, raise RecordError."""
        return malformed_entry(where, what, raw, set_aside=self.outputs.destination.rejects is not None)

    def _taken(self, records: Iterator[tuple[int, Record]], take: int) -> Iterator[tuple[int, Record]]:
        """Yield the `take` records with the smallest keyed hashes, in input order: so few are a part of more."""
        total = 0

        def keyed() -> Iterator[tuple[int, int, Record]]:
            nonlocal total
            for ordinal, record in records:
                total += 1
                yield keyed_hash(self.seed, "take", record.get("id", ""), ordinal), ordinal, record

        drawn = sorted(nsmallest(take, keyed(), key=lambda entry: entry[:2]), key=lambda entry: entry[1])
        self.counts.not_taken = total - len(drawn)
        yield from ((place, record) for place, (_, _, record) in enumerate(drawn))

    def _mine(self, units: Iterable[tuple[int, Any]]) -> Iterator[Any]:
        index, count = self.shard
        done = self._done
        for ordinal, unit in units:
            if ordinal % count != index:
                continue
            self._handed_out += 1
            if self._handed_out <= done:
                if self._handed_out == done and _name(unit) != self.last:
                    raise self._other_input(f"record {done} was `{self.last}`")
                continue
            self.counts.read += 1
            if self.outputs.stepwise:
                self._expected.append(_name(unit))
            yield unit
        if self._handed_out < done:
            raise self._other_input(f"it had {done} records or more")

    # --- what has an outcome

    def has_outcome(self) -> None:
        """Note that the first of the records that are waited for has its outcome."""
        self.last = self._expected.popleft()

    @property
    def waiting(self) -> int:
        """How many records were handed out and have no outcome."""
        return len(self._expected)

    def stop(self) -> None:
        """Take back what was handed out and has no outcome: no more are wanted."""
        self.counts.read -= len(self._expected)
        self._expected.clear()

    def malformed_before(self, position: float) -> Iterator[Record]:
        """Yield, once, the entries for `--rejects` of what was malformed before the record number `position`."""
        while self.malformed and self.malformed[0][0] <= position:
            yield self.malformed.popleft()[1]

    # --- side inputs

    def read_all(self, path: str, kind: str | tuple[str, ...]) -> list[Record]:
        """Return all the records of a side input (shots, references), which takes no part in shards and resuming."""
        check_exists(path)
        self.outputs.keep_apart([path])
        source = Input(path)
        records = list(reader.read(source, kind, reader.stop_at_malformed, reader.Identifier()))
        self.uses.append(source.describe())
        return records

    def reads(self, inputs: Iterable[dict[str, Any]]) -> None:
        """Record inputs {`path`, `bytes`, `xxh3_128`} that the verb reads in its own way, for the manifest."""
        inputs = list(inputs)
        self.outputs.keep_apart([entry["path"] for entry in inputs])
        self.uses.extend(inputs)

    def depends_on(self, *paths: str | Path | None) -> None:
        """Record files and model directories as side inputs: `--resume` notices when one has changed since."""
        for path in paths:
            if path is not None and Path(path).exists():
                self.outputs.keep_apart([path])
                self.uses.append({"path": str(path), **fingerprint(path)})

    def check_uses(self, before: list[dict[str, Any]]) -> None:
        """Raise UsageError where the interrupted run used other side inputs."""
        if before != self.uses:
            changed = next((entry for entry in self.uses if entry not in before), None)
            what = f"`{changed['path']}` has changed since" if changed else "it used other files"
            raise self._other_input(what)

    def describe(self) -> list[dict[str, Any]]:
        """Return all inputs as they stand in a manifest."""
        return [source.describe() for source in self.inputs] + self.uses

    def _other_input(self, what: str) -> UsageError:
        main = self.outputs.main
        assert main is not None
        return UsageError(
            f"{main}: the interrupted run had another input: {what}",
            hint=f"remove `{resume.state_of(main)}` to start again",
        )


def _name(unit: Any) -> str:
    """What a checkpoint remembers of a unit of work: a record's id, or the unit itself."""
    return str(unit.get("id", "")) if isinstance(unit, dict) else str(unit)
