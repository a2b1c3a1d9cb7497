"""One run of one verb: what it reads, writes, counts, remembers for `--resume`, and says at the end.

A verb reads checked records (`read`), or takes its units of work from a list (`items`), and hands `write` one outcome
for each of them in the same order. So the number of outcomes written is the position in the input (see `resume`).
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from heapq import nsmallest
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, TypeVar

import orjson

from latxa_cli.stream import reader, resume
from latxa_cli.stream.errors import LatxaError, RecordError, UsageError
from latxa_cli.stream.inputs import STDIN, Input, check_exists, fingerprint
from latxa_cli.stream.manifest import manifest_of
from latxa_cli.stream.manifest import save as save_manifest
from latxa_cli.stream.records import Lines, Outcome, Record, keyed_hash
from latxa_cli.stream.resume import Checkpoint, Counts
from latxa_cli.stream.terminal import Terminal
from latxa_cli.stream.writer import Writer, make_directory, part_of

SECONDS_BETWEEN_CHECKPOINTS = 1.0
WORK_LOCK = "latxa.lock"  # the file that marks a folder of intermediate files as ours
Unit = TypeVar("Unit")


@dataclass(frozen=True)
class Destination:
    """Where a run's outputs go and how it talks: the flags that every verb has."""

    output: Path | None = None
    rejects: Path | None = None
    manifest: Path | None = None
    resume: bool = False
    quiet: bool = False
    verbose: bool = False


Makes = Literal["records", "whole", "directory"]


class Run:
    """The run of `verb` with `settings` (the command's own parameters, by name).

    What it `makes`: "records", one outcome for each record read, so that an interrupted run goes on; a "whole", for
    which all input must be seen first, so that it starts again and leaves no half file; or a "directory", whose room
    has its own checkpoints. One that `follows` is of a process beside the first one, whose run owns the directory.
    """

    def __init__(
        self,
        verb: str,
        destination: Destination,
        settings: dict[str, Any],
        *,
        makes: Makes = "records",
        follows: bool = False,
    ) -> None:
        self.verb = verb
        self.follows = follows
        self.makes_directory = makes == "directory"
        self.stepwise = makes == "records"
        self.destination = destination
        self.settings = settings
        self.seed: int = settings.get("seed") or 0
        self.started = time.time()
        self.counts = Counts()
        self.inputs: list[Input] = []
        self.uses: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {}
        self.terminal = Terminal(verb, quiet=destination.quiet, verbose=destination.verbose)
        self.say, self.detail, self.progress = self.terminal.say, self.terminal.detail, self.terminal.progress
        self.position = 0  # outcomes written so far, those of an interrupted run included
        if not follows:
            self._check_output()
        self._interrupted: Checkpoint | None = None  # where the run that `--resume` continues stood
        if destination.resume and destination.output and self.stepwise:
            self._interrupted = resume.interrupted(destination.output, destination.rejects, settings)
        self._done = self._interrupted.position if self._interrupted else 0  # outcomes that it had written
        self._handed_out = 0  # records or units given to the verb, those passed over included
        self._ids = reader.Identifier()
        self._malformed: deque[tuple[int, Record]] = deque()  # (records read before it, entry for `--rejects`)
        self._expected: deque[str] = deque()  # ids handed out and not yet written
        self._last = self._interrupted.last if self._interrupted else None  # id of the last outcome written
        self._writer: Writer | None = None
        self._rejects: Writer | None = None
        self._extras: dict[str, Path] = {}  # by flag
        self._extra_writers: list[Writer] = []
        self._temporary: TemporaryDirectory[str] | None = None
        self._afterwards: list[Callable[[], None]] = []
        self._not_taken = 0
        self._between_records = True  # the files hold what `position` says, or will when they are flushed
        self._checked = time.monotonic()

    # --- is there anything to do?

    @property
    def output(self) -> Path | None:
        return self.destination.output

    @property
    def directory(self) -> Path:
        """The output directory of a verb that makes one."""
        assert self.output is not None
        return self.output

    @property
    def is_terminal(self) -> bool:
        """Whether records would be written to a terminal."""
        return self.output is None and sys.stdout.isatty()

    def _check_output(self) -> None:
        given = self.destination
        files = {"--rejects": given.rejects, "--manifest": given.manifest}
        if not self.makes_directory:
            files["-o"] = given.output
        named = {flag: path for flag, path in files.items() if path is not None}
        for flag, path in named.items():
            _check_file(flag, path)
        if len({path.absolute() for path in named.values()}) < len(named):
            raise UsageError("`-o`, `--rejects` and `--manifest` must be different files")
        if self.makes_directory:
            self._check_directory()

    def _check_apart(self, inputs: Iterable[str | Path]) -> None:
        """Raise UsageError where an output would take the place of an input."""
        given = self.destination
        outputs = {"-o": given.output, "--rejects": given.rejects, "--manifest": given.manifest} | self._extras
        existing = {flag: path for flag, path in outputs.items() if path is not None and path.is_file()}
        for flag, path in existing.items():
            for name in inputs:
                if Path(name).is_file() and path.samefile(name):
                    raise UsageError(f"`{flag} {path}` is an input too", hint="name another file")

    def _check_directory(self) -> None:
        if not self.directory.exists() or (self.directory.is_dir() and not any(self.directory.iterdir())):
            return
        hint = "remove it, or name another"
        ours = manifest_of(self.directory).exists() or resume.state_of(self.directory).exists()
        if not self.destination.resume or not self.directory.is_dir():
            raise UsageError(f"`-o {self.output}` exists already", hint="`--resume` goes on with it; or " + hint)
        if not ours:
            raise UsageError(f"`-o {self.output}` was not made by `latxa {self.verb}`", hint=hint)

    def is_complete(self) -> bool:
        """Whether `--resume` finds the output complete; raises UsageError when it was made in another way."""
        if not self.destination.resume or self.output is None or self._manifest_path is None or self._interrupted:
            return False
        if not resume.is_complete(self.output, self._manifest_path, self.settings):
            return False
        self.say(f"{self.output} is complete already")
        left = _work_beside(self.output)
        if (left / WORK_LOCK).exists() and not self.follows:  # a kill came before the last of all steps
            shutil.rmtree(left, ignore_errors=True)
        return True

    @property
    def _manifest_path(self) -> Path | None:
        return self.destination.manifest or (manifest_of(self.output) if self.output else None)

    # --- reading

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
            self._malformed.append((0, self._malformed_entry(where, what, raw)))

        for name in self._existing(files):
            source = Input(name)
            self.inputs.append(source)
            for block in reader.read_blocks(source, kind, malformed):
                yield block
                self.counts.read += block.count

    def _existing(self, files: list[str] | None) -> list[str]:
        """Return the inputs, which are there, and no outputs; that is told before the verb loads anything heavy."""
        files = files or [STDIN]
        for name in files:
            check_exists(name)
        self._check_apart(files)
        return files

    def read_all(self, path: str, kind: str | tuple[str, ...]) -> list[Record]:
        """Return all the records of a side input (shots, references), which takes no part in shards and resuming."""
        check_exists(path)
        self._check_apart([path])
        source = Input(path)
        records = list(reader.read(source, kind, reader.stop_at_malformed, reader.Identifier()))
        self.uses.append(source.describe())
        return records

    def items(self, units: Iterable[Unit]) -> Iterator[Unit]:
        """Yield the units of work that this shard has still to do; for verbs that read no records."""
        return self._mine(enumerate(units))

    def _parsed(self, files: list[str], kind: str | tuple[str, ...]) -> Iterator[tuple[int, Record]]:
        """Yield (ordinal, record); malformed entries have ordinals of their own, so that shards share them out."""
        index, count = self.settings.get("shard") or (0, 1)
        ordinal = 0

        def malformed(where: str, what: str, raw: bytes) -> None:
            nonlocal ordinal
            entry = self._malformed_entry(where, what, raw)
            if ordinal % count == index and self._handed_out >= self._done:
                self._malformed.append((self._handed_out, entry))
            ordinal += 1

        for name in files:
            source = Input(name)
            self.inputs.append(source)
            for record in reader.read(source, kind, malformed, self._ids):
                yield ordinal, record
                ordinal += 1

    def _malformed_entry(self, where: str, what: str, raw: bytes) -> Record:
        """Return what `--rejects` gets of a malformed entry; without `--rejects`, raise RecordError."""
        if self.destination.rejects is None:
            raise RecordError(where, what, hint="`--rejects FILE` sets such lines aside and goes on")
        line = raw[: 1 << 20].decode("utf-8", "replace")
        return {"reason": "malformed", "detail": what, "where": where, "line": line}

    def _taken(self, records: Iterator[tuple[int, Record]], take: int) -> Iterator[tuple[int, Record]]:
        """Yield the `take` records with the smallest keyed hashes, in input order: so few are a part of more."""
        total = 0

        def keyed() -> Iterator[tuple[int, int, Record]]:
            nonlocal total
            for ordinal, record in records:
                total += 1
                yield keyed_hash(self.seed, "take", record.get("id", ""), ordinal), ordinal, record

        drawn = sorted(nsmallest(take, keyed(), key=lambda entry: entry[:2]), key=lambda entry: entry[1])
        self._not_taken = total - len(drawn)
        yield from ((place, record) for place, (_, _, record) in enumerate(drawn))

    def _mine(self, units: Iterable[tuple[int, Any]]) -> Iterator[Any]:
        index, count = self.settings.get("shard") or (0, 1)
        done = self._done
        for ordinal, unit in units:
            if ordinal % count != index:
                continue
            self._handed_out += 1
            if self._handed_out <= done:
                if self._handed_out == done and _name(unit) != self._last:
                    raise self._other_input(f"record {done} was `{self._last}`")
                continue
            self.counts.read += 1
            if self.stepwise:
                self._expected.append(_name(unit))
            yield unit
        if self._handed_out < done:
            raise self._other_input(f"it had {done} records or more")

    def _other_input(self, what: str) -> UsageError:
        return UsageError(
            f"{self.output}: the interrupted run had another input: {what}",
            hint=f"remove `{resume.state_of(self.directory)}` to start again",
        )

    # --- writing

    def already_written(self) -> Iterator[Record]:
        """Yield the records that the interrupted run had written, for verbs that must remember what they have seen."""
        if self._interrupted and self.output:
            self._open()  # takes the file for this run alone, before it is cut to what the checkpoint knows of
            part = part_of(self.output)
            yield from (orjson.loads(line) for _, line in Input(str(self.output), part).entries() if line)  # type: ignore

    def write(self, outcomes: Iterable[Outcome], *, burst: int = 0, most: int | None = None) -> None:
        """Write outcomes: one for every record read, in the same order (but for verbs that make a whole).

        `most`: stop when so many records are written; what was read for more is not counted. `burst`: outcomes are
        costly and come so many at once (generation): each is handed on at once, for the next command in the pipe, and
        each burst ends with a checkpoint.
        """
        self._open()
        start = self.position
        flush_each = burst and not (self.output and self.output.suffix in (".gz", ".zst"))
        for outcome in () if self._has(most) else outcomes:
            self._between_records = False
            if self._malformed:
                self._write_malformed(self.position)
            self._write_outcome(outcome)
            self.position += 1
            if self.stepwise:
                self._last = self._expected.popleft()
                if flush_each:
                    self._out.flush()
                ends_burst = burst and (self.position - start) % burst == 0
                if ends_burst or time.monotonic() - self._checked > SECONDS_BETWEEN_CHECKPOINTS:
                    self._checkpoint()
            self._between_records = True
            if self._has(most):
                break
        self._between_records = False
        self._write_malformed(sys.maxsize)
        self._between_records = True
        if self._has(most):
            self.counts.read -= len(self._expected)
            self._expected.clear()
        if self._expected:
            raise AssertionError(f"{len(self._expected)} records were read but have no outcome")

    def _has(self, most: int | None) -> bool:
        return most is not None and self.counts.written >= most

    def watched(
        self, outcomes: Iterable[Outcome], *, total: int | None = None, tokens: Callable[[], int]
    ) -> Iterator[Outcome]:
        """Pass outcomes through and show how many there are, what share was rejected, and how fast they come.

        `tokens`: how many this process has written so far.
        """
        started, before = time.monotonic(), self._done
        for number, outcome in enumerate(outcomes, before + 1):
            yield outcome
            seconds = max(time.monotonic() - started, 1e-9)
            self.progress(
                number, total,
                records_per_second=f"{(number - before) / seconds:,.1f}",
                tokens_per_second=f"{tokens() / seconds:,.0f}",
                rejected=f"{self.counts.rejected.total() / number:.1%}",
            )  # fmt: skip

    def print(self, text: str, *, records: int) -> None:
        """Write `records` records as text for people (`--format table`)."""
        self._open()
        self.counts.written += records
        self._out.write_text(text)

    @property
    def _out(self) -> Writer:
        assert self._writer is not None
        return self._writer

    def _open(self) -> None:
        if self._writer is not None:
            return
        start = self._interrupted or Checkpoint(uses=self.uses)
        if start.uses != self.uses:
            changed = next((entry for entry in self.uses if entry not in start.uses), None)
            what = f"`{changed['path']}` has changed since" if changed else "it used other files"
            raise self._other_input(what)
        self.position = start.position
        self.counts.read += start.counts.read
        self.counts.written += start.counts.written
        self.counts.rejected += start.counts.rejected
        self._writer = Writer(self.output, start.offset)
        self._open_rejects(start.rejects_offset)
        if self.output is not None and self.stepwise and self._interrupted is None:
            self._checkpoint()

    def _write_outcome(self, outcome: Outcome) -> None:
        if isinstance(outcome, dict):
            self.counts.written += 1
            self._out.write(outcome)
        elif isinstance(outcome, list):
            for part in outcome:
                self._write_outcome(part)
        elif isinstance(outcome, Lines):
            self._write_lines(outcome)
        else:
            self.counts.rejected[outcome.reason] += 1
            if self._rejects is not None:
                entry: Record = {"reason": outcome.reason, "detail": outcome.detail, "record": outcome.record}
                self._rejects.write(entry)

    def _write_lines(self, lines: Lines) -> None:
        if not lines.reason:
            self.counts.written += lines.count
            self._out.write_lines(lines.data)
            return
        self.counts.rejected[lines.reason] += lines.count
        if self._rejects is not None:
            self._rejects.write_lines(lines.data)

    def extra(self, flag: str, path: Path | None) -> Writer | None:
        """Open a further output of a verb that makes a whole, given by `flag`; it is complete when the run is."""
        if path is None:
            return None
        _check_file(flag, path)
        given = self.destination
        others = [given.output, given.rejects, given.manifest, *self._extras.values()]
        if path.absolute() in {other.absolute() for other in others if other}:
            raise UsageError(f"`{flag} {path}` is another output too", hint="name another file")
        self._extras[flag] = path
        self._extra_writers.append(Writer(path))
        return self._extra_writers[-1]

    def account(self, read: int, inputs: Iterable[dict[str, Any]], rejects: Iterable[Lines]) -> None:
        """Count what was read and set aside by the stages of a verb that makes a directory (see `reads` of inputs)."""
        self.reads(inputs)
        self.counts.read += read
        for lines in rejects:
            self._write_outcome(lines)

    def _open_rejects(self, offset: int = 0) -> None:
        if self._rejects is None and self.destination.rejects is not None:
            self._rejects = Writer(self.destination.rejects, offset)

    def _write_malformed(self, before: int) -> None:
        """Write the malformed entries met before the record number `before` was handed out."""
        while self._malformed and self._malformed[0][0] <= before:
            self.counts.read += 1
            self.counts.rejected["malformed"] += 1
            if self._rejects is not None:
                self._rejects.write(self._malformed[0][1])
            self._malformed.popleft()

    def _checkpoint(self) -> None:
        if self.output is None:
            return
        offset, rejects_offset = self._out.sync(), self._rejects.sync() if self._rejects else 0
        counts = replace(self.counts, read=self.counts.read - len(self._expected))
        rejects = str(self.destination.rejects) if self.destination.rejects else None
        point = Checkpoint(self.position, self._last, offset, rejects_offset, rejects, self.uses, counts)
        point.save(self.output, self.settings)
        self._checked = time.monotonic()

    # --- the end

    def note(self, **facts: Any) -> None:
        """Keep facts for the manifest (the model and its revision, the engine, shares of a mix)."""
        self.facts.update(facts)

    def say_all(self, lines: Iterable[str]) -> None:
        """Say several lines to people."""
        for line in lines:
            self.say(line)

    def stage(self, name: str, done: int, total: int) -> None:
        """Show how far a stage of the work is."""
        self.progress(done, total, stage=name)

    def work_folder(self, given: Path | None) -> Path:
        """Return the folder for intermediate files: `given`, or one beside the output; else a temporary one, which
        goes when the run ends in whatever way, since what went to stdout cannot be continued."""
        if given is not None:
            return given
        if self.output is not None:
            return _work_beside(self.output)
        self._temporary = TemporaryDirectory(prefix=f"latxa-{self.verb}-")
        return Path(self._temporary.name)

    def reads(self, inputs: Iterable[dict[str, Any]]) -> None:
        """Record inputs {`path`, `bytes`, `xxh3_128`} that the verb reads in its own way, for the manifest."""
        inputs = list(inputs)
        self._check_apart([entry["path"] for entry in inputs])
        self.uses.extend(inputs)

    def depends_on(self, path: str | Path | None) -> None:
        """Record a model directory as a side input: `--resume` notices when it has changed since."""
        if path is not None and Path(path).exists():
            self._check_apart([path])
            self.uses.append({"path": str(path), **fingerprint(path)})

    def finish(self) -> None:
        """Complete the outputs, write the manifest last, and say what was counted.

        Raises LatxaError when there was input and nothing was kept.
        """
        if self.makes_directory:
            self._write_malformed(sys.maxsize)
        else:
            self._open()
            self._out.sync()
        for writer in (self._rejects, *self._extra_writers):
            if writer is not None:
                writer.finish()
        self.say(self._summary())
        if self.counts.read and not self.counts.written and self.counts.rejected and not self.makes_directory:
            self._discard()
            raise LatxaError("nothing was kept", hint="" if self.destination.rejects else "`--rejects FILE` shows why")
        if self._manifest_path is not None:
            self._manifest_path.unlink(missing_ok=True)  # that of an earlier output, which now goes
        if self._writer is not None:
            self._writer.finish()
        self._save_manifest()
        if self.output is not None:
            resume.state_of(self.output).unlink(missing_ok=True)
        for callback in self._afterwards:
            callback()

    def afterwards(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the run is over and not to be resumed (to remove what only a resume needs)."""
        self._afterwards.append(callback)

    def _discard(self) -> None:
        """Leave nothing that looks like an output or a run to continue."""
        if self.output is not None:
            part_of(self.output).unlink(missing_ok=True)
            resume.state_of(self.output).unlink(missing_ok=True)
        for callback in self._afterwards:
            callback()

    def abandon(self) -> None:
        """Keep what was done when the work fails: whole records on stdout, a checkpoint beside FILE."""
        with suppress(LatxaError):  # the error that brought us here is the one to tell
            if self.output is None or not self.stepwise:
                for writer in (self._writer, self._rejects):
                    if writer is not None:
                        writer.flush()
            elif self._writer is not None and self._between_records:  # else the last checkpoint stands
                self._checkpoint()

    def __enter__(self) -> Run:
        if self.follows:
            return self
        if self.makes_directory:  # while the state is there, the directory is ours and not complete
            make_directory(self.directory)
            Checkpoint().save(self.directory, self.settings)
            self._open_rejects()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminal.clear()
        if self._temporary is not None:
            self._temporary.cleanup()
        if self.follows:
            return
        try:
            if kind is None:
                self.finish()
                return
            self.abandon()
            if kind is SystemExit and self._rejects is not None:  # the reader closed the pipe: that is success
                self._rejects.finish()
        finally:
            writers = [writer for writer in (self._writer, self._rejects, *self._extra_writers) if writer]
            for writer in writers:
                if self.stepwise or self.makes_directory:
                    writer.close()
                else:
                    writer.discard()  # a whole is written from its beginning again

    def _save_manifest(self) -> None:
        if self._manifest_path is None:
            return
        save_manifest(
            self._manifest_path,
            verb=self.verb,
            settings=self.settings,
            started=self.started,
            inputs=[source.describe() for source in self.inputs] + self.uses,
            **({"outputs": [str(path) for path in self._extras.values()]} if self._extras else {}),
            counts=self.counts.as_dict() | ({"not taken": self._not_taken} if self._not_taken else {}),
            **self.facts,
        )

    def _summary(self) -> str:
        counts = self.counts
        parts = [f"{counts.read:,} in" + ("" if self.makes_directory else f", {counts.written:,} out")]
        if total := counts.rejected.total():
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.rejected.most_common())
            parts.append(f"{total:,} rejected ({reasons})")
        if self._not_taken:
            parts.append(f"{self._not_taken:,} not taken")
        seconds = time.time() - self.started
        return "; ".join(parts) + f"; {seconds:,.1f} s" + (f"; {self.output}" if self.output else "")


def _work_beside(output: Path) -> Path:
    return output.with_name(output.name + ".work")


def _check_file(flag: str, path: Path) -> None:
    """See that a file can come to stand at `path`, which is renamed to that name when it is complete."""
    if path.is_dir():
        raise UsageError(f"`{flag} {path}` is a directory", hint="name a file in it")
    if path.exists() and not path.is_file():
        raise UsageError(f"`{flag} {path}` is a device or a pipe, not a file", hint=f"`> {path}` writes records there")
    if not path.parent.is_dir():
        raise UsageError(f"`{flag} {path}`: there is no folder `{path.parent}`")


def _name(unit: Any) -> str:
    """What a checkpoint remembers of a unit of work: a record's id, or the unit itself."""
    return str(unit.get("id", "")) if isinstance(unit, dict) else str(unit)
