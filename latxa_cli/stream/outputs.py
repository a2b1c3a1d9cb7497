"""The outputs of a run: every file that it writes, where each may lie, and when it gets its name.

A file is written as `FILE.part`, locked, and renamed when the run is complete; the manifest comes last. Outputs are
checked before the work, and a run that fails a check touches nothing. An output cannot be a folder, a device, a pipe,
an input or another output. Its folder must exist and be writable, its ending must not promise another format, and no
other run may be writing it.

    Outputs            a file or stdout, complete or absent: an interrupted run starts again
    StepwiseOutputs    the same with an outcome per record: an interrupted run goes on from a checkpoint
    DirectoryOutputs   a directory, whose files are the business of the verb's room
    FollowedOutputs    such a directory, in the processes beside the first one

Files that grow while they are read are owned by `appended`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

from latxa_cli.stream import resume
from latxa_cli.stream.endings import COMPRESSED, NOT_WRITTEN, compression_of
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.manifest import load, manifest_of
from latxa_cli.stream.records import JsonObject, Outcome, Record, Reject
from latxa_cli.stream.rejects import unfit_entry
from latxa_cli.stream.resume import MAIN, REJECTS, Checkpoint, Counts
from latxa_cli.stream.writer import Writer, make_directory, part_of

MANIFEST = "--manifest"


@dataclass(frozen=True)
class Destination:
    """The flags for outputs and messages that every verb has.

    further: the other files that this verb writes, by flag.
    """

    output: Path | None = None
    rejects: Path | None = None
    manifest: Path | None = None
    resume: bool = False
    quiet: bool = False
    verbose: bool = False
    further: Mapping[str, Path] = field(default_factory=dict)


class Outputs:
    """The outputs of a run whose main file needs all input; raises UsageError for a file that cannot be written.

    files: by flag, the files that get their names at the end, without the manifest.
    """

    stepwise = False
    main_is_file = True
    may_be_empty = False  # that nothing was kept of an input is no failure
    owned = True  # this process writes the outputs and the manifest

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
        """The path that `-o` names."""
        return self.destination.output

    @property
    def manifest(self) -> Path | None:
        """The path of the manifest."""
        return self.destination.manifest or (manifest_of(self.main) if self.main else None)

    # --- before the work

    def check(self) -> None:
        """Raise UsageError for a file that cannot be written under its name."""
        for flag, path in {MAIN: self.main, MANIFEST: self.destination.manifest, **self.files}.items():
            if path == Path("-"):  # which stands for stdin elsewhere
                kind = "file" if flag != MAIN or self.main_is_file else "directory"
                to_stdout = flag == MAIN and self.main_is_file
                hint = "without `-o`, records go to stdout" if to_stdout else f"name a {kind}"
                raise UsageError(f"`{flag} -` names no {kind}", hint=hint)
        for flag, path in self.files.items():
            _check_place(flag, path)
            if path.suffix.lower() in NOT_WRITTEN:
                hint = "JSON lines are written: `.jsonl`, `.jsonl.gz`, `.jsonl.zst`"
                raise UsageError(f"`{flag} {path}`: nothing is written as `{path.suffix}`", hint=hint)
        if self.destination.manifest:
            _check_place(MANIFEST, self.destination.manifest)
            if self.destination.manifest.suffix.lower() in (*NOT_WRITTEN, *COMPRESSED):
                raise UsageError(f"`{MANIFEST} {self.destination.manifest}`: it is plain JSON", hint="name a `.json`")
        flags: dict[Path, str] = {}
        for flag, path in self._claims():
            other = flags.setdefault(_real(path), flag)
            if other != flag:
                raise UsageError(f"`{flag}` and `{other}` would both write `{path}`", hint="name another file")

    def _claims(self) -> Iterable[tuple[str, Path]]:
        """Yield (flag, path) of all files that the run will write, also of those that it removes at the end."""
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
        """Raise UsageError where an output would replace one of the `inputs`."""
        claims = {_identity(path): (flag, path) for flag, path in reversed(list(self._claims()))}
        for name in inputs:
            identity = _identity(name)
            if identity is not None and identity in claims:
                raise UsageError("`{} {}` is an input too".format(*claims[identity]), hint="name another file")

    def interrupted(self, _settings: JsonObject) -> Checkpoint | None:
        """Return the checkpoint of the run that `--resume` continues."""
        return None

    def is_complete(self, settings: JsonObject, growing: Collection[str] = ()) -> bool:
        """Whether `--resume` finds the outputs complete; raises UsageError when they were made in another way."""
        if not self.destination.resume or self.main is None or self.manifest is None:
            return False
        return resume.is_complete(self.main, self.manifest, settings, growing=growing)

    # --- the work

    def open(self, _settings: JsonObject, point: Checkpoint | None) -> None:
        """Open and lock all files; the interrupted run's are continued at the lengths in its checkpoint."""
        lengths = point.lengths if point else {}
        self.writers = {MAIN: Writer(None)} if self.main is None else {}
        for flag, path in self.files.items():
            self.writers[flag] = Writer(path, lengths.get(flag, 0))

    def try_out(self) -> None:
        """Raise LatxaError where `open` would, and leave nothing: a dry run finds it so."""
        self.open({}, None)
        self.close()
        self.writers = {}

    def write(self, outcome: Outcome) -> None:
        """Write the outcome of a record to the main file or to the rejects, and count it; raises LatxaError."""
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
        """Count an entry of `rejects`, and write it if there is a file for it."""
        self.counts.rejected[reason] += 1
        if REJECTS in self.writers:
            self.writers[REJECTS].write(entry)

    def print(self, text: str, *, records: int) -> None:
        """Write `records` records as text for people (`--format table`)."""
        self.counts.written += records
        self.writers[MAIN].write_text(text)

    def file(self, path: Path | None) -> Writer | None:
        """Return the writer of one of the `further` outputs, or None for no path; the run completes the file."""
        flags = (flag for flag, given in self.destination.further.items() if given == path)
        return self.writers[next(flags)] if path is not None else None

    def flush(self) -> None:
        """Hand the records on to the next command in the pipe."""
        if not compression_of(self.main or ""):  # a flush ends a frame, and small frames compress badly
            self.writers[MAIN].flush()

    def checkpoint(self, point: Checkpoint, settings: JsonObject) -> None:
        """Save the run's state, for `--resume`."""

    # --- the end

    def finish_others(self, point: Checkpoint, settings: JsonObject) -> None:
        """Complete all files, and give those beside the main one their names."""
        for writer in self.writers.values():
            writer.sync()
        point.complete = True
        self.checkpoint(point, settings)
        for flag, writer in self.writers.items():
            if flag != MAIN:
                writer.finish()

    def finish_rejects(self) -> None:
        """Complete the rejects of a run whose main output has lost its reader."""
        if REJECTS in self.writers:
            self.writers[REJECTS].finish()

    def finish_main(self) -> None:
        """Give the main file its name; the caller writes the manifest next."""
        if self.manifest is not None:
            self.manifest.unlink(missing_ok=True)  # it describes an earlier output, which this one now replaces
        if MAIN in self.writers:
            self.writers[MAIN].finish()

    def describe(self) -> list[JsonObject]:
        """Return the manifest's entries of the complete files; `--rejects` is for people, who may remove it."""
        return [writer.describe() for flag, writer in self.writers.items() if flag != REJECTS and writer.path]

    def forget(self) -> None:
        """Remove the checkpoint, which only `--resume` needs."""
        if self.main is not None:
            resume.state_of(self.main).unlink(missing_ok=True)

    def drop_main(self) -> None:
        """Remove the main file and the checkpoint, so that nothing looks like an output or a run to continue."""
        self.writers[MAIN].discard()
        self.forget()

    def abandon(self, point: Checkpoint | None, settings: JsonObject) -> None:
        """Save the work of a run that fails, up to `point`; raises LatxaError."""
        for writer in self.writers.values():
            writer.flush()

    def close(self) -> None:
        """Close all files, and remove unfinished ones, which the next run would write from the beginning."""
        for writer in self.writers.values():
            writer.discard()


class StepwiseOutputs(Outputs):
    """The outputs of a run that writes one outcome per record, in order, and can be continued after any of them."""

    stepwise = True

    def interrupted(self, settings: JsonObject) -> Checkpoint | None:
        if not self.destination.resume or self.main is None:
            return None
        return resume.interrupted(self.main, self.files, settings)

    def checkpoint(self, point: Checkpoint, settings: JsonObject) -> None:
        if self.main is None:
            return
        point.lengths = {flag: writer.sync() for flag, writer in self.writers.items()}
        point.files = {flag: str(path) for flag, path in self.files.items()}
        point.save(self.main, settings)

    def abandon(self, point: Checkpoint | None, settings: JsonObject) -> None:
        if self.main is None:
            super().abandon(point, settings)
        elif point is not None:
            self.checkpoint(point, settings)

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()


class DirectoryOutputs(Outputs):
    """The outputs of a run that makes a directory.

    A checkpoint beside the directory marks it as made by `latxa` and unfinished.
    """

    main_is_file = False
    is_new = False  # this run made the directory

    def check(self) -> None:
        super().check()
        directory = self.main
        assert directory is not None
        if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
            return
        hint = "remove it, or name another"
        made = load(manifest_of(directory)) if directory.is_dir() else None
        ours = directory.is_dir() and (made["verb"] == self.verb if made else resume.state_of(directory).exists())
        if not ours:
            raise UsageError(f"`-o {directory}` exists already, and `latxa {self.verb}` did not make it", hint=hint)
        if not self.destination.resume:
            raise UsageError(f"`-o {directory}` exists already", hint="`--resume` goes on with it; or " + hint)

    def open(self, settings: JsonObject, point: Checkpoint | None) -> None:
        assert self.main is not None
        self.is_new = not self.main.exists()
        make_directory(self.main)
        Checkpoint().save(self.main, settings)
        for flag, path in self.files.items():
            self.writers[flag] = Writer(path)

    def try_out(self) -> None:
        assert self.main is not None
        nearest = next(folder for folder in (self.main, *self.main.absolute().parents) if os.path.lexists(folder))
        try:
            with TemporaryFile(dir=nearest):
                pass
        except OSError as error:
            raise LatxaError(f"{self.main}: cannot be made ({error.strerror or error})") from None
        for path in self.files.values():
            Writer(path).close()

    def describe(self) -> list[JsonObject]:
        """Return the manifest's entries of the further files and of those in the directory.

        - Markdown is left out, since people edit it afterwards.
        - Files in the directory have sizes and no hashes, since weights may be hundreds of GB.
        """
        assert self.main is not None
        files = (file for file in sorted(self.main.iterdir()) if file.is_file() and file.suffix != ".md")
        return [*super().describe(), *({"path": str(file), "bytes": file.stat().st_size} for file in files)]

    def abandon(self, point: Checkpoint | None, settings: JsonObject) -> None:
        """Complete the rejects, if there are some: they may be why the run ends."""
        if self.counts.rejected:
            self.finish_rejects()

    def drop_main(self) -> None:
        """Keep the directory, since its files are the business of the verb's room."""

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()
        if self.main is not None and self.is_new:
            with suppress(OSError):  # the directory is not empty
                self.main.rmdir()
                self.forget()


class FollowedOutputs(DirectoryOutputs):
    """The same directory in a process beside the first one, which alone checks it, opens it and writes its manifest."""

    owned = False

    def check(self) -> None:
        """Do nothing: the first process checks."""

    def open(self, settings: JsonObject, point: Checkpoint | None) -> None:
        """Do nothing: the first process opens."""

    def try_out(self) -> None:
        """Do nothing: the first process tries."""


def _check_place(flag: str, path: Path) -> None:
    """Raise UsageError where no file can be renamed to `path`."""
    if path.is_dir():
        raise UsageError(f"`{flag} {path}` is a directory", hint="name a file in it")
    if path.exists() and not path.is_file():
        hint = f"`> {path}` writes records there" if flag == MAIN else "name a file"
        raise UsageError(f"`{flag} {path}` is a device or a pipe, not a file", hint=hint)
    if not path.parent.is_dir():
        raise UsageError(f"`{flag} {path}`: there is no folder `{path.parent}`")


def _identity(path: str | Path) -> tuple[int, int] | None:
    """Return device and inode of a regular file; None for what is none, or is gone since another process ended."""
    with suppress(OSError, ValueError):
        found = Path(path).stat()
        return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None
    return None


def _real(path: Path) -> Path:
    """Return the path with the links and dots of its folders resolved; a link at its end would be replaced itself."""
    with suppress(OSError, RuntimeError):
        return path.parent.resolve() / path.name
    return path.absolute()
