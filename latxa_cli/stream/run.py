"""One run of one verb: it counts, remembers for `--resume` where it stands, and says at the end what came of it.

What it reads is the `intake`'s, what it writes is the `outputs`'. A verb reads checked records (`read`), or takes its
units of work from a list (`items`), and hands `write` one outcome for each of them in the same order.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal

import orjson

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.formats import Format
from latxa_cli.stream.inputs import Input
from latxa_cli.stream.intake import Intake
from latxa_cli.stream.manifest import save as save_manifest
from latxa_cli.stream.outputs import Destination, DirectoryOutputs, FollowedOutputs, Outputs, StepwiseOutputs
from latxa_cli.stream.records import Lines, Outcome, Record
from latxa_cli.stream.rejects import MALFORMED, SHOWS_WHY
from latxa_cli.stream.resume import Checkpoint
from latxa_cli.stream.terminal import Terminal
from latxa_cli.stream.writer import part_of

SECONDS_BETWEEN_CHECKPOINTS = 1.0
WORK_LOCK = "latxa.lock"  # the file that marks a folder of intermediate files as ours
ALL = float("inf")

Makes = Literal["records", "whole", "directory"]
OUTPUTS: dict[str, type[Outputs]] = {"records": StepwiseOutputs, "whole": Outputs, "directory": DirectoryOutputs}


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
        self.verb, self.destination, self.settings = verb, destination, settings
        self.seed: int = settings.get("seed") or 0
        self.started = time.time()
        self.facts: dict[str, Any] = {}
        self.terminal = Terminal(verb, quiet=destination.quiet, verbose=destination.verbose)
        self.say, self.say_all, self.detail = self.terminal.say, self.terminal.say_all, self.terminal.detail
        self.progress, self.stage = self.terminal.progress, self.terminal.stage
        self.outputs = (FollowedOutputs if follows else OUTPUTS[makes])(verb, destination)
        self.counts, self.print, self.file = self.outputs.counts, self.outputs.print, self.outputs.file
        self._interrupted = self.outputs.interrupted(settings)
        shard = settings.get("shard") or (0, 1)
        self.intake = Intake(self.outputs, self._interrupted, shard=shard, seed=self.seed)
        self.read, self.read_blocks, self.items = self.intake.read, self.intake.read_blocks, self.intake.items
        self.read_all, self.reads, self.depends_on = self.intake.read_all, self.intake.reads, self.intake.depends_on
        self.sources = self.intake.sources
        self.position = 0  # outcomes written so far, those of an interrupted run included
        self._goes_on = False  # the interrupted run's position and counts are part of these
        self._between_records = True  # the files hold what `position` says, or will when they are flushed
        self._checked = time.monotonic()
        self._temporary: TemporaryDirectory[str] | None = None
        self._afterwards: list[Callable[[], None]] = []

    @property
    def output(self) -> Path | None:
        return self.outputs.main

    @property
    def directory(self) -> Path:
        """The output directory of a verb that makes one."""
        assert self.output is not None
        return self.output

    @property
    def done_before(self) -> int:
        """How many outcomes the interrupted run had written."""
        return self._interrupted.position if self._interrupted else 0

    @property
    def uses(self) -> list[dict[str, Any]]:
        """The side inputs, as they stand in a manifest."""
        return self.intake.uses

    @property
    def sets_aside(self) -> bool:
        """Whether there is a file for what is left out."""
        return self.destination.rejects is not None

    def layout(self, given: Format | None = None) -> Format:
        """Return the format to write in: the one that was given, a table on a terminal, else JSON lines."""
        return given or ("table" if self.output is None and sys.stdout.isatty() else "jsonl")

    def is_complete(self) -> bool:
        """Whether `--resume` finds the output complete; raises UsageError when it was made in another way."""
        if self._interrupted or not self.outputs.is_complete(self.settings):
            return False
        self.say(f"{self.output} is complete already")
        left = _work_beside(self.directory)
        if (left / WORK_LOCK).exists() and self.outputs.owned:  # a kill came before the last of all steps
            shutil.rmtree(left, ignore_errors=True)
        return True

    # --- writing

    def already_written(self) -> Iterator[Record]:
        """Yield the records that the interrupted run had written, for verbs that must remember what they have seen."""
        if self._interrupted and self.output:
            self._go_on()
            part = part_of(self.output)
            yield from (orjson.loads(line) for _, line in Input(str(self.output), part).entries() if line)  # type: ignore

    def write(self, outcomes: Iterable[Outcome], *, burst: int = 0, most: int | None = None) -> None:
        """Write outcomes: one for every record read, in the same order (but for verbs that make a whole).

        `most`: stop when so many records are written; what was read for more is not counted. `burst`: outcomes are
        costly and come so many at once (generation): each is handed on at once, for the next command in the pipe, and
        each burst ends with a checkpoint.
        """
        self._go_on()
        start = self.position
        for outcome in () if self._has(most) else outcomes:
            self._between_records = False
            if self.intake.malformed:
                self._write_malformed(self.position)
            self.outputs.write(outcome)
            self.position += 1
            if self.outputs.stepwise:
                self.intake.has_outcome()
                if burst:
                    self.outputs.flush()
                ends_burst = burst and (self.position - start) % burst == 0
                if ends_burst or time.monotonic() - self._checked > SECONDS_BETWEEN_CHECKPOINTS:
                    self._checkpoint()
            self._between_records = True
            if self._has(most):
                break
        self._between_records = False
        self._write_malformed(ALL)
        self._between_records = True
        if self._has(most):
            self.intake.stop()
        if self.intake.waiting:
            raise AssertionError(f"{self.intake.waiting} records were read but have no outcome")

    def account(self, read: int, inputs: Iterable[dict[str, Any]], rejects: Iterable[Lines]) -> None:
        """Count what was read and set aside by the stages of a verb that makes a directory (see `reads` of inputs)."""
        self.reads(inputs)
        self.counts.read += read
        for lines in rejects:
            self.outputs.write(lines)

    def _has(self, most: int | None) -> bool:
        return most is not None and self.counts.written >= most

    def _go_on(self) -> None:
        """Take over what the interrupted run has done, now that the side inputs are known; the first of all steps."""
        if self._goes_on:
            return
        self._goes_on = True
        if self._interrupted is None:
            self._checkpoint()
            return
        self.intake.check_uses(self._interrupted.uses)
        self.position = self._interrupted.position
        self.counts.read += self._interrupted.counts.read
        self.counts.written += self._interrupted.counts.written
        self.counts.rejected += self._interrupted.counts.rejected
        for writer in self.outputs.writers.values():
            writer.begin()

    def _write_malformed(self, before: float) -> None:
        """Write the malformed entries met before the record number `before` was handed out."""
        for entry in self.intake.malformed_before(before):
            self.counts.read += 1
            self.outputs.reject(MALFORMED, entry)

    def _checkpoint(self) -> None:
        self.outputs.checkpoint(self._point(), self.settings)
        self._checked = time.monotonic()

    def _point(self) -> Checkpoint:
        counts = replace(self.counts, read=self.counts.read - self.intake.waiting)
        return Checkpoint(self.position, self.intake.last, uses=self.uses, counts=counts)

    def note(self, **facts: Any) -> None:
        """Keep facts for the manifest (the model and its revision, the engine, shares of a mix)."""
        self.facts.update(facts)

    # --- the beginning and the end

    def work_folder(self, given: Path | None) -> Path:
        """Return the folder for intermediate files: `given`, or one beside the output; else a temporary one, which
        goes when the run ends in whatever way, since what went to stdout cannot be continued."""
        if given is not None:
            return given
        if self.output is not None:
            return _work_beside(self.output)
        self._temporary = TemporaryDirectory(prefix=f"latxa-{self.verb}-")
        return Path(self._temporary.name)

    def afterwards(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the run is over and not to be resumed (to remove what only a resume needs)."""
        self._afterwards.append(callback)

    def finish(self) -> None:
        """Complete the outputs, write the manifest last, and say what was counted.

        Raises LatxaError when there was input and nothing was kept.
        """
        if self.outputs.main_is_file:
            self._go_on()
        self._write_malformed(ALL)
        self.outputs.finish_others(self._point(), self.settings)
        seconds = f"{time.time() - self.started:,.1f} s"
        where = [str(self.output)] if self.output else []
        self.say("; ".join([*self.counts.words(made=self.outputs.main_is_file), seconds, *where]))
        if self.outputs.main_is_file and self.counts.read and self.counts.rejected and not self.counts.written:
            self.outputs.drop_main()
            self._call_afterwards()
            raise LatxaError("nothing was kept", hint="" if self.sets_aside else SHOWS_WHY)
        self.outputs.finish_main()
        self._save_manifest()
        self.outputs.forget()
        self._call_afterwards()

    def _call_afterwards(self) -> None:
        for callback in self._afterwards:
            callback()

    def __enter__(self) -> Run:
        try:
            self.outputs.open(self.settings, self._interrupted)
        except BaseException:
            self.outputs.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminal.clear()
        if self._temporary is not None:
            self._temporary.cleanup()
        if not self.outputs.owned:
            return
        try:
            if kind is None:
                self.finish()
                return
            with suppress(LatxaError):  # the error that brought us here is the one to tell
                is_whole = self._goes_on and self._between_records  # else the last checkpoint stands
                self.outputs.abandon(self._point() if is_whole else None, self.settings)
            if kind is SystemExit:  # the reader closed the pipe: that is success
                self.outputs.finish_rejects()
        finally:
            self.outputs.close()

    def _save_manifest(self) -> None:
        if self.outputs.manifest is None:
            return
        further = {"outputs": [str(path) for path in self.destination.further.values()]}
        save_manifest(
            self.outputs.manifest,
            verb=self.verb,
            settings=self.settings,
            started=self.started,
            inputs=self.intake.describe(),
            **(further if self.destination.further else {}),
            counts=self.counts.as_dict(),
            **self.facts,
        )


def _work_beside(output: Path) -> Path:
    return output.with_name(output.name + ".work")


def watched(
    run: Run, outcomes: Iterable[Outcome], *, total: int | None = None, tokens: Callable[[], int]
) -> Iterator[Outcome]:
    """Pass outcomes through and show how many there are, what share was rejected, and how fast they come.

    `tokens`: how many this process has written so far.
    """
    started, before = time.monotonic(), run.done_before
    for number, outcome in enumerate(outcomes, before + 1):
        yield outcome
        seconds = max(time.monotonic() - started, 1e-9)
        run.progress(
            number, total,
            records_per_second=f"{(number - before) / seconds:,.1f}",
            tokens_per_second=f"{tokens() / seconds:,.0f}",
            rejected=f"{run.counts.rejected.total() / number:.1%}",
        )  # fmt: skip
