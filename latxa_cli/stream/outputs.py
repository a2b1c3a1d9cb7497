"""Everything that a run writes, in one hand: what may be written where, and when a file gets its name.

A file is written as `FILE.part`, locked, and renamed when the run is complete; the manifest comes last. Whatever
cannot be is told before the work, and nothing is touched then: an output that is a folder, a device, a pipe, an input
or another output, whose folder is missing or cannot be written to, whose ending promises another format, or that
another run is writing.

    Outputs            a file or stdout, made of all input: an interrupted run leaves no half one
    StepwiseOutputs    the same, record by record: an interrupted run leaves a checkpoint to go on from
    DirectoryOutputs   a directory, whose room looks after what is in it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from latxa_cli.stream import resume
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.manifest import manifest_of
from latxa_cli.stream.records import Outcome, Record, Reject
from latxa_cli.stream.rejects import unfit_entry
from latxa_cli.stream.resume import MAIN, REJECTS, Checkpoint, Counts
from latxa_cli.stream.writer import Writer, make_directory, part_of

MANIFEST = "--manifest"
PACKED = (".gz", ".zst")  # how a file is packed that has this ending
NOT_WRITTEN = frozenset((".parquet", ".arrow", ".bz2", ".xz", ".lz4", ".br", ".zip", ".7z", ".tar", ".tgz", *PACKED))


@dataclass(frozen=True)
class Destination:
    """Where a run's outputs go and how it talks: the flags that every verb has.

    further: by flag, what else this verb writes.
    """

    output: Path | None = None
    rejects: Path | None = None
    manifest: Path | None = None
    resume: bool = False
    quiet: bool = False
    verbose: bool = False
    further: Mapping[str, Path] = field(default_factory=dict)


class Outputs:
    """The outputs of a run of `verb` that makes a whole; raises UsageError for what cannot be.

    files: by flag, the files that get their names at the end, the manifest not among them.
    """

    stepwise = False
    main_is_file = True
    owned = True  # by this process: it writes them, and the manifest

    def __init__(self, verb: str, destination: Destination) -> None:
        self.verb, self.destination = verb, destination
        named = {MAIN: destination.output, REJECTS: destination.rejects, **destination.further}
        if not self.main_is_file:
            del named[MAIN]
        self.files: dict[str, Path] = {flag: path for flag, path in named.items() if path is not None}
        self.writers: dict[str, Writer] = {}
        self.counts = Counts()
        self.check()

    @property
    def main(self) -> Path | None:
        """What `-o` names."""
        return self.destination.output

    @property
    def manifest(self) -> Path | None:
        """Where the manifest goes."""
        return self.destination.manifest or (manifest_of(self.main) if self.main else None)

    # --- before the work

    def check(self) -> None:
        """Raise UsageError for a file that cannot be written as it is named."""
        for flag, path in self.files.items():
            _check_place(flag, path)
            if path.suffix.lower() in NOT_WRITTEN and path.suffix not in PACKED:
                hint = "JSON lines are written: `.jsonl`, `.jsonl.gz`, `.jsonl.zst`"
                raise UsageError(f"`{flag} {path}`: nothing is written as `{path.suffix}`", hint=hint)
        if self.destination.manifest:
            _check_place(MANIFEST, self.destination.manifest)
            if self.destination.manifest.suffix.lower() in NOT_WRITTEN:
                raise UsageError(f"`{MANIFEST} {self.destination.manifest}`: it is plain JSON", hint="name a `.json`")
        taken: dict[Path, str] = {}
        for flag, path in self._claims():
            other = taken.setdefault(_real(path), flag)
            if other != flag:
                raise UsageError(f"`{flag}` and `{other}` would both write `{path}`", hint="name another file")

    def _claims(self) -> Iterable[tuple[str, Path]]:
        """Yield (flag, path) of all files that the run will write, those among them that it removes at the end."""
        for flag, path in self.files.items():
            yield from ((flag, path), (flag, part_of(path)))
        if self.main is not None:
            if not self.main_is_file:
                yield MAIN, self.main
            yield from ((MAIN, resume.state_of(self.main)), (MAIN, part_of(resume.state_of(self.main))))
        if self.manifest is not None:
            flag = MANIFEST if self.destination.manifest else MAIN
            yield from ((flag, self.manifest), (flag, part_of(self.manifest)))

    def keep_apart(self, inputs: Iterable[str | Path]) -> None:
        """Raise UsageError where an output would take the place of one of the `inputs`."""
        existing = [(flag, path) for flag, path in self._claims() if path.is_file()]
        for name in inputs if existing else ():
            for flag, path in existing:
                if Path(name).is_file() and path.samefile(name):
                    raise UsageError(f"`{flag} {path}` is an input too", hint="name another file")

    def interrupted(self, _settings: dict[str, Any]) -> Checkpoint | None:
        """Return where the run that `--resume` continues stood."""
        return None

    def is_complete(self, settings: dict[str, Any]) -> bool:
        """Whether `--resume` finds the outputs complete; raises UsageError when they were made in another way."""
        if not self.destination.resume or self.main is None or self.manifest is None:
            return False
        return resume.is_complete(self.main, self.manifest, settings)

    # --- the work

    def open(self, _settings: dict[str, Any], point: Checkpoint | None) -> None:
        """Open all files and lock them; those of the interrupted run behind what its checkpoint knows of them."""
        lengths = point.lengths if point else {}
        self.writers = {MAIN: Writer(None)} if self.main is None else {}
        for flag, path in self.files.items():
            self.writers[flag] = Writer(path, lengths.get(flag, 0))

    def write(self, outcome: Outcome) -> None:
        """Write what came of a record where it belongs, and count it; raises LatxaError."""
        if isinstance(outcome, dict):
            self.counts.written += 1
            self.writers[MAIN].write(outcome)
        elif isinstance(outcome, list):
            for part in outcome:
                self.write(part)
        elif isinstance(outcome, Reject):
            self.reject(outcome.reason, unfit_entry(outcome.record, outcome.reason, outcome.detail))
        elif outcome.reason:
            self.counts.rejected[outcome.reason] += outcome.count
            if REJECTS in self.writers:
                self.writers[REJECTS].write_lines(outcome.data)
        else:
            self.counts.written += outcome.count
            self.writers[MAIN].write_lines(outcome.data)

    def reject(self, reason: str, entry: Record) -> None:
        """Set an entry of `rejects` aside, if there is a file for it, and count it."""
        self.counts.rejected[reason] += 1
        if REJECTS in self.writers:
            self.writers[REJECTS].write(entry)

    def print(self, text: str, *, records: int) -> None:
        """Write `records` records as text for people (`--format table`)."""
        self.counts.written += records
        self.writers[MAIN].write_text(text)

    def file(self, path: Path | None) -> Writer | None:
        """Return the writer of a further output that a flag of the verb may name; it is complete when the run is."""
        flags = (flag for flag, given in self.destination.further.items() if given == path)
        return self.writers[next(flags)] if path is not None else None

    def flush(self) -> None:
        """Hand the records on to the next command in the pipe."""
        if self.main is None or self.main.suffix not in PACKED:  # small frames would pack badly
            self.writers[MAIN].flush()

    def checkpoint(self, point: Checkpoint, settings: dict[str, Any]) -> None:
        """Keep where the run stands, for `--resume`."""

    # --- the end

    def finish_others(self, point: Checkpoint, settings: dict[str, Any]) -> None:
        """Complete all files; those beside the main one get their names."""
        for writer in self.writers.values():
            writer.sync()
        point.complete = True
        self.checkpoint(point, settings)
        for flag, writer in self.writers.items():
            if flag != MAIN:
                writer.finish()

    def finish_rejects(self) -> None:
        """Complete the rejects, where the reader of the main output has gone."""
        if REJECTS in self.writers:
            self.writers[REJECTS].finish()

    def finish_main(self) -> None:
        """Give the main file its name; the manifest is to be written next."""
        if self.manifest is not None:
            self.manifest.unlink(missing_ok=True)  # that of an earlier output, which now goes
        if MAIN in self.writers:
            self.writers[MAIN].finish()

    def forget(self) -> None:
        """Remove what only a resume needs."""
        if self.main is not None:
            resume.state_of(self.main).unlink(missing_ok=True)

    def drop_main(self) -> None:
        """Leave nothing that looks like a main output or a run to continue."""
        self.writers[MAIN].discard()
        self.forget()

    def abandon(self, point: Checkpoint | None, settings: dict[str, Any]) -> None:
        """Keep what was done where the work fails, as far as `point` knows; raises LatxaError."""
        for writer in self.writers.values():
            writer.flush()

    def close(self) -> None:
        """Let go of all files. A whole is written from its beginning again."""
        for writer in self.writers.values():
            writer.discard()


class StepwiseOutputs(Outputs):
    """The outputs of a run that writes one outcome for each record, in order, and can go on after any of them."""

    stepwise = True

    def interrupted(self, settings: dict[str, Any]) -> Checkpoint | None:
        if not self.destination.resume or self.main is None:
            return None
        return resume.interrupted(self.main, self.files, settings)

    def checkpoint(self, point: Checkpoint, settings: dict[str, Any]) -> None:
        if self.main is None:
            return
        point.lengths = {flag: writer.sync() for flag, writer in self.writers.items()}
        point.files = {flag: str(path) for flag, path in self.files.items()}
        point.save(self.main, settings)

    def abandon(self, point: Checkpoint | None, settings: dict[str, Any]) -> None:
        if self.main is None:
            super().abandon(point, settings)
        elif point is not None:
            self.checkpoint(point, settings)

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()


class DirectoryOutputs(Outputs):
    """The outputs of a run that makes a directory: while a state lies beside it, it is ours and not complete."""

    main_is_file = False
    is_new = False  # it was not there before this run

    def check(self) -> None:
        super().check()
        directory = self.main
        assert directory is not None
        if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
            return
        hint = "remove it, or name another"
        ours = manifest_of(directory).exists() or resume.state_of(directory).exists()
        if not self.destination.resume or not directory.is_dir():
            raise UsageError(f"`-o {directory}` exists already", hint="`--resume` goes on with it; or " + hint)
        if not ours:
            raise UsageError(f"`-o {directory}` was not made by `latxa {self.verb}`", hint=hint)

    def open(self, settings: dict[str, Any], point: Checkpoint | None) -> None:
        assert self.main is not None
        self.is_new = not self.main.exists()
        make_directory(self.main)
        Checkpoint().save(self.main, settings)
        for flag, path in self.files.items():
            self.writers[flag] = Writer(path)

    def drop_main(self) -> None:
        """Keep the directory, whose room looks after it."""

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()
        if self.main is not None and self.is_new:
            with suppress(OSError):  # it holds something
                self.main.rmdir()
                self.forget()


class FollowedOutputs(DirectoryOutputs):
    """The directory as a process beside the first one has it, whose run owns it."""

    owned = False

    def check(self) -> None:
        """Leave that to the first process."""

    def open(self, settings: dict[str, Any], point: Checkpoint | None) -> None:
        """Leave that to the first process."""


def _check_place(flag: str, path: Path) -> None:
    """See that a file can come to stand at `path`, which is renamed to that name when it is complete."""
    if path.is_dir():
        raise UsageError(f"`{flag} {path}` is a directory", hint="name a file in it")
    if path.exists() and not path.is_file():
        hint = f"`> {path}` writes records there" if flag == MAIN else "name a file"
        raise UsageError(f"`{flag} {path}` is a device or a pipe, not a file", hint=hint)
    if not path.parent.is_dir():
        raise UsageError(f"`{flag} {path}`: there is no folder `{path.parent}`")


def _real(path: Path) -> Path:
    """Return the path without links and dots in its folders; a link itself would be replaced, not followed."""
    with suppress(OSError, RuntimeError):
        return path.parent.resolve() / path.name
    return path.absolute()
