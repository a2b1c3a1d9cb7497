"""The intake of a run: the records of its files, less other shards, a subset's rest and what an interrupted run did.

Records are handed out in input order, and their outcomes come back in the same order. So the number of outcomes is the
position in the input, and records that an interrupted run finished are skipped by counting them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from heapq import nsmallest
from pathlib import Path
from typing import TypeVar

from latxa_cli.stream import reader, resume
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.inputs import STDIN, Input, check_exists, fingerprint
from latxa_cli.stream.outputs import Outputs
from latxa_cli.stream.records import JsonObject, Record, keyed_hash
from latxa_cli.stream.rejects import malformed_entry
from latxa_cli.stream.resume import Checkpoint, Counts
from latxa_cli.stream.sources import Source, left_unread, parse_sources

Unit = TypeVar("Unit")


class Intake:
    """The inputs of one run.

    - outputs: the run's outputs, none of which may be an input.
    - interrupted: the checkpoint of the interrupted run that this one continues.
    - shard: (index, number of shards); seed: the seed of random subsets.
    - say: tells the user a sentence.
    """

    def __init__(
        self,
        outputs: Outputs,
        interrupted: Checkpoint | None,
        *,
        shard: tuple[int, int],
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        self.outputs, self.counts, self.shard, self.seed, self.say = outputs, outputs.counts, shard, seed, say
        self.open: Callable[[str], Input] = Input  # what makes an input of a name
        self.inputs: list[Input] = []
        self._stdin_is_taken = False
        self.uses: list[JsonObject] = []  # manifest entries of side inputs
        self.last = interrupted.last if interrupted else None  # the id of the last record that has an outcome
        self._done = interrupted.position if interrupted else 0  # outcomes that the interrupted run had written
        self._handed_out = 0  # records or units given to the verb, and those that the interrupted run had done
        self._ids = reader.Identifier()
        self._expected: deque[str] = deque()  # ids of records that were handed out and have no outcome yet
        self.malformed: deque[tuple[int, Record]] = deque()  # (records handed out before it, its entry for rejects)

    # --- records and other units of work

    def read(
        self,
        files: list[str] | None,
        kind: str | tuple[str, ...],
        *,
        take: int | None = None,
        done: Callable[[Record], None] | None = None,
        of_others: Callable[[Record], None] | None = None,
    ) -> Iterator[Record]:
        """Yield the checked records of `files` (default: stdin), each with an id.

        - Records of other shards, and those that an interrupted run finished, are skipped; the latter go to `done`, the
          former to `of_others`.
        - take: yield a random subset of so many records.
        - A malformed line goes to `--rejects`, or raises RecordError with file and line.

        Raises UsageError when stdin is a terminal.
        """
        records = self._parsed(self._existing(files), kind)
        if take is not None:
            records = _subset(records, take, self.seed, self.counts)
        return self._mine(records, done, of_others)

    def read_blocks(self, files: list[str] | None, kind: str) -> Iterator[reader.Block]:
        """Yield the entries of `files` (default: stdin) many at a time, for a verb that only counts them.

        A malformed entry ends as in `read`.
        """

        def malformed(place: str, problem: str, raw: bytes) -> None:
            self.malformed.append((0, self._set_aside(place, problem, raw)))

        for name in self._existing(files):
            source = self.open(name)
            self.inputs.append(source)
            for block in reader.read_blocks(source, kind, malformed):
                yield block
                self.counts.read += block.count

    def items(self, units: Iterable[Unit]) -> Iterator[Unit]:
        """Yield the units of work that this shard has yet to do, for verbs that read no records."""
        return self._mine(enumerate(units))

    def sources(self, arguments: list[str] | None) -> list[Source]:
        """Return the sources that `arguments` name (default: stdin).

        Raises UsageError where an output is among their files, and the errors of `parse_sources`.
        """
        sources = parse_sources(arguments or [STDIN])
        self._stdin_is_taken |= any(file == STDIN for source in sources for file in source.files)
        self.outputs.keep_apart(file for source in sources for file in source.files)
        for sentence in filter(None, map(left_unread, sources)):
            self.say(sentence)
        return sources

    def _existing(self, files: list[str] | None) -> list[str]:
        """Return the inputs; raises LatxaError for a missing one and UsageError for one that is an output.

        Called at once, not by the iterator, so that errors come before the verb loads anything heavy.
        """
        files = files or [STDIN]
        for name in files:
            self._check(name)
        self.outputs.keep_apart(files)
        return files

    def _check(self, name: str) -> None:
        """Raise as `check_exists` does, and UsageError where stdin is wanted again, which would be empty then."""
        check_exists(name)
        if name == STDIN and self._stdin_is_taken:
            raise UsageError("stdin is named twice, and can be read once", hint="name a file in place of one `-`")
        self._stdin_is_taken |= name == STDIN

    def _parsed(self, files: list[str], kind: str | tuple[str, ...]) -> Iterator[tuple[int, Record]]:
        """Yield (ordinal, record); malformed entries have ordinals too, so that each belongs to one shard."""
        index, count = self.shard
        ordinal = 0

        def malformed(place: str, problem: str, raw: bytes) -> None:
            nonlocal ordinal
            entry = self._set_aside(place, problem, raw)
            if ordinal % count == index and self._handed_out >= self._done:
                self.malformed.append((self._handed_out, entry))
            ordinal += 1

        for name in files:
            source = self.open(name)
            self.inputs.append(source)
            for record in reader.read(source, kind, malformed, self._ids):
                yield ordinal, record
                ordinal += 1

    def _set_aside(self, place: str, problem: str, raw: bytes) -> Record:
        """Return the entry of `--rejects` for a malformed line; without `--rejects`, raise RecordError."""
        return malformed_entry(place, problem, raw, set_aside=self.outputs.destination.rejects is not None)

    def _mine(
        self,
        units: Iterable[tuple[int, Unit]],
        on_done: Callable[[Unit], None] | None = None,
        on_other: Callable[[Unit], None] | None = None,
    ) -> Iterator[Unit]:
        """Yield the units of this shard that the interrupted run had not done; raises UsageError for another input."""
        index, count = self.shard
        done = self._done
        for ordinal, unit in units:
            if ordinal % count != index:
                if on_other is not None:
                    on_other(unit)
                continue
            self._handed_out += 1
            if self._handed_out <= done:
                if self._handed_out == done and _name(unit) != self.last:
                    raise self._other_input(f"record {done} was `{self.last}`")
                if on_done is not None:
                    on_done(unit)
                continue
            self.counts.read += 1
            if self.outputs.stepwise:
                self._expected.append(_name(unit))
            yield unit
        if self._handed_out < done:
            raise self._other_input(f"it had {done} records or more")

    # --- outcomes

    def has_outcome(self) -> None:
        """Note the outcome of the earliest record that has none."""
        self.last = self._expected.popleft()

    @property
    def waiting(self) -> int:
        """The number of records that were handed out and have no outcome."""
        return len(self._expected)

    def stop(self) -> None:
        """Uncount the records that were handed out and have no outcome, since the run ends here."""
        self.counts.read -= len(self._expected)
        self._expected.clear()

    def malformed_before(self, position: float) -> Iterator[Record]:
        """Remove and yield the entries of malformed lines that come before the record number `position`."""
        while self.malformed and self.malformed[0][0] <= position:
            yield self.malformed.popleft()[1]

    def same_content(self) -> Iterator[tuple[str, str]]:
        """Yield (label, label of a later one) of inputs that were read and are the same bytes."""
        first: dict[object, str] = {}
        for source in self.inputs:
            if source.file is not None and source.file.bytes:
                digest = source.file.digest.hexdigest()
                if digest in first:
                    yield first[digest], source.label
                first.setdefault(digest, source.label)

    # --- side inputs

    def read_all(self, path: str, kind: str | tuple[str, ...]) -> list[Record]:
        """Return all records of a side input (shots, references), which every shard reads whole."""
        self._check(path)
        self.outputs.keep_apart([path])
        source = Input(path)
        records = list(reader.read(source, kind, reader.stop_at_malformed, reader.Identifier()))
        self.uses.append(source.describe())
        return records

    def read_beside(self, path: str, kind: str | tuple[str, ...]) -> Iterator[Record]:
        """Yield the records of a side input one by one, where it may be large; every shard reads it whole."""
        self._check(path)
        self.outputs.keep_apart([path])
        return self._beside(path, kind)

    def _beside(self, path: str, kind: str | tuple[str, ...]) -> Iterator[Record]:
        source = Input(path)
        yield from reader.read(source, kind, reader.stop_at_malformed, reader.Identifier())
        self.uses.append(source.describe())

    def reads(self, inputs: Iterable[JsonObject]) -> None:
        """Note manifest entries {`path`, `bytes`, `xxh3_128`} of files that the verb reads in its own way."""
        inputs = list(inputs)
        self.outputs.keep_apart([entry["path"] for entry in inputs])
        self.uses.extend(inputs)

    def depends_on(self, *paths: str | Path | None) -> None:
        """Note files and model directories as side inputs, so that `--resume` sees when one has changed."""
        for path in paths:
            if path is not None and Path(path).exists():
                self.outputs.keep_apart([path])
                self.uses.append({"path": str(path), **fingerprint(path)})

    def check_uses(self, before: list[JsonObject]) -> None:
        """Raise UsageError where the interrupted run used other side inputs."""
        if before != self.uses:
            changed = next((entry for entry in self.uses if entry not in before), None)
            reason = f"`{changed['path']}` has changed since" if changed else "it used other files"
            raise self._other_input(reason)

    def describe(self) -> list[JsonObject]:
        """Return the manifest entries of all inputs."""
        return [source.describe() for source in self.inputs] + self.uses

    def _other_input(self, reason: str) -> UsageError:
        main = self.outputs.main
        assert main is not None
        return UsageError(
            f"{main}: the interrupted run had another input: {reason}",
            hint=f"remove `{resume.state_of(main)}` to start again",
        )


def _subset(
    records: Iterator[tuple[int, Record]], take: int, seed: int, counts: Counts
) -> Iterator[tuple[int, Record]]:
    """Yield the `take` records with the smallest keyed hashes, in input order, and count the others.

    A larger `take` under the same seed gives the same records and more.
    """
    total = 0

    def keyed() -> Iterator[tuple[int, int, Record]]:
        nonlocal total
        for ordinal, record in records:
            total += 1
            yield keyed_hash(seed, "take", record.get("id", ""), ordinal), ordinal, record

    subset = sorted(nsmallest(take, keyed(), key=lambda entry: entry[:2]), key=lambda entry: entry[1])
    counts.not_taken = total - len(subset)
    yield from ((place, record) for place, (_, _, record) in enumerate(subset))


def _name(unit: object) -> str:
    """Return the name of a unit of work in a checkpoint: the id of a record, or the unit itself."""
    return str(unit.get("id", "")) if isinstance(unit, dict) else str(unit)
