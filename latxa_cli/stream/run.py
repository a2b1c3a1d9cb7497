"""One run of one verb, which ties its intake, outputs and checkpoints together and reports the counts at the end.

A verb reads checked records (`read`), or takes its units of work from a list (`items`), and gives `write` one outcome
for each of them, in the same order.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Literal

import orjson

from latxa_cli.stream.appended import AppendedOutputs
from latxa_cli.stream.display import Format
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.files import WORK_LOCK, remove_work
from latxa_cli.stream.inputs import Input
from latxa_cli.stream.intake import Intake
from latxa_cli.stream.manifest import save as save_manifest
from latxa_cli.stream.outputs import Destination, DirectoryOutputs, FollowedOutputs, Outputs, StepwiseOutputs
from latxa_cli.stream.records import JsonObject, Lines, Outcome, Record
from latxa_cli.stream.rejects import MALFORMED, SHOWS_WHY
from latxa_cli.stream.resume import Checkpoint
from latxa_cli.stream.secrets import values_without_secrets
from latxa_cli.stream.terminal import Terminal
from latxa_cli.stream.writer import part_of

SECONDS_BETWEEN_CHECKPOINTS = 1.0  # each waits for the disk
ALL = float("inf")

Makes = Literal["records", "whole", "directory", "appended"]
OUTPUTS: dict[str, type[Outputs]] = {
    "records": StepwiseOutputs,
    "whole": Outputs,
    "directory": DirectoryOutputs,
    "appended": AppendedOutputs,
}


class Run:
    """The run of `verb` with `settings` (the command's own parameters, by name).

    - makes="records": one outcome for each record, so that an interrupted run goes on where it stood.
    - makes="whole": an output that needs all input first, so that an interrupted run starts again.
    - makes="directory": a directory, whose room has its own checkpoints.
    - makes="appended": a file that is read while it grows; what comes is not read from files, but from people.
    - follows: this process works beside a first one, whose run owns the directory.
    """

    def __init__(
        self,
        verb: str,
        destination: Destination,
        settings: JsonObject,
        *,
        makes: Makes = "records",
        follows: bool = False,
    ) -> None:
        settings = values_without_secrets(settings)  # they are written, in manifests and for `--resume`
        self.verb, self.destination, self.settings = verb, destination, settings
        self.seed: int = settings.get("seed") or 0
        self.started = time.time()
        self.facts: JsonObject = {}
        self.terminal = Terminal(verb, quiet=destination.quiet, verbose=destination.verbose)
        self.say, self.say_all, self.detail = self.terminal.say, self.terminal.say_all, self.terminal.detail
        self.progress, self.stage = self.terminal.progress, self.terminal.stage
        self.outputs = (FollowedOutputs if follows else OUTPUTS[makes])(verb, destination)
        self.counts, self.print, self.file = self.outputs.counts, self.outputs.print, self.outputs.file
        self.output: Path | None = self.outputs.main
        self._interrupted = self.outputs.interrupted(settings)
        self.done_before = self._interrupted.position if self._interrupted else 0  # outcomes of the interrupted run
        self.kept: JsonObject = dict(self._interrupted.kept) if self._interrupted else {}
        shard = settings.get("shard") or (0, 1)
        self.intake = Intake(self.outputs, self._interrupted, shard=shard, seed=self.seed, say=self.say)
        self.read, self.read_blocks, self.items = self.intake.read, self.intake.read_blocks, self.intake.items
        self.read_all, self.read_beside = self.intake.read_all, self.intake.read_beside
        self.reads, self.depends_on = self.intake.reads, self.intake.depends_on
        self.sources = self.intake.sources
        self.position = 0  # outcomes written so far, those of an interrupted run included
        self._goes_on = False  # `position` and `counts` include those of the interrupted run
        self._between_records = True  # once flushed, the files hold exactly `position` outcomes
        self._checked = time.monotonic()
        self._temporary: TemporaryDirectory[str] | None = None
        self._afterwards = ExitStack()  # removes files that only `--resume` needs, when the run is over for good
        self.afterwards = self._afterwards.callback

    @property
    def directory(self) -> Path:
        """The output directory of a verb that makes one."""
        assert self.output is not None
        return self.output

    @property
    def sets_aside(self) -> bool:
        """Whether records that are left out go to a file (`--rejects`)."""
        return self.destination.rejects is not None

    def layout(self, given: Format | None = None) -> Format:
        """Return the format of the output: the `given` one, else a table on a terminal and JSON lines elsewhere."""
        return given or ("table" if self.output is None and sys.stdout.isatty() else "jsonl")

    def is_complete(self, growing: Collection[str] = ()) -> bool:
        """Whether `--resume` finds the output complete; raises UsageError when it was made in another way.

        growing: settings with another value of which a complete run is to go on.
        """
        if self._interrupted or not self.outputs.is_complete(self.settings, growing):
            return False
        self.say(f"{self.output} is complete already{_not_made(self.destination.rejects)}")
        work = _work_beside(self.directory)
        if (work / WORK_LOCK).exists() and self.outputs.owned:  # a kill came before the run's very last step
            remove_work(work)
        return True

    # --- writing

    def already_written(self) -> Iterator[Record]:
        """Yield the records that the interrupted run had written, for verbs whose outcomes depend on earlier ones."""
        if self._interrupted and self.output:
            self._go_on()
            part = part_of(self.output)
            yield from (orjson.loads(line) for _, line in Input(str(self.output), part).entries() if line)  # type: ignore

    def write(self, outcomes: Iterable[Outcome], *, burst: int = 0, most: int | None = None) -> None:
        """Write one outcome for every record read, in the same order; a "whole" may have any number of outcomes.

        - most: stop when so many records are written; those that were read ahead are not counted.
        - burst: outcomes are costly and arrive so many at once (generation). Each is handed to the next command in the
          pipe immediately, and each burst ends with a checkpoint.
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

    def account(self, read: int, inputs: Iterable[JsonObject], rejects: Iterable[Lines]) -> None:
        """Count the records, note the inputs and write the rejects of a verb that reads in stages of its own."""
        self.reads(inputs)
        self.counts.read += read
        for lines in rejects:
            self.outputs.write(lines)

    def _has(self, most: int | None) -> bool:
        return most is not None and self.counts.written >= most

    def _go_on(self) -> None:
        """Take over the interrupted run's position and counts, before the first write.

        It cannot happen earlier, since the verb names its side inputs, which must be the same, after the run is made.
        """
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
        """Write the entries of malformed lines that come before the record number `before`."""
        for entry in self.intake.malformed_before(before):
            self.counts.read += 1
            self.outputs.reject(MALFORMED, entry)

    def _checkpoint(self) -> None:
        self.outputs.checkpoint(self._point(), self.settings)
        self._checked = time.monotonic()

    def _point(self) -> Checkpoint:
        counts = replace(self.counts, read=self.counts.read - self.intake.waiting)
        return Checkpoint(self.position, self.intake.last, uses=self.intake.uses, counts=counts, kept=self.kept)

    def note(self, **facts: object) -> None:
        """Keep facts for the manifest, such as the model and its revision or the shares of a mix."""
        self.facts.update(facts)

    def keep(self, **facts: object) -> None:
        """Keep facts for the manifest that `--resume` goes on with: they are in `kept` from the beginning then."""
        self.kept.update(facts)

    def day(self, given: date | None) -> date:
        """Return the one date of the run: `given`, that of the interrupted run, or today; it is kept."""
        before = self.kept.get("date")
        day = given or (date.fromisoformat(before) if before else date.today())
        self.keep(date=day.isoformat())
        return day

    # --- the beginning and the end

    def work_folder(self, given: Path | None) -> Path:
        """Return the folder for intermediate files: the `given` one, one beside the output, or a temporary one."""
        if given is not None:
            return given
        if self.output is not None:
            return _work_beside(self.output)
        # An output to stdout cannot be continued, so this folder is removed however the run ends.
        self._temporary = TemporaryDirectory(prefix=f"latxa-{self.verb}-")
        return Path(self._temporary.name)

    def finish(self) -> None:
        """Complete the outputs, report the counts, and write the manifest last.

        Raises LatxaError when every record of the input was rejected.
        """
        if self.outputs.main_is_file:
            self._go_on()
        self._write_malformed(ALL)
        self.outputs.finish_others(self._point(), self.settings)
        seconds = f"{time.time() - self.started:,.1f} s"
        where = [str(self.output)] if self.output else []
        self.say("; ".join([*self.counts.words(made=self.outputs.main_is_file), seconds, *where]))
        is_empty = self.counts.read and self.counts.rejected and not self.counts.written
        if is_empty and self.outputs.main_is_file and not self.outputs.may_be_empty:
            self.outputs.drop_main()
            self._afterwards.close()
            raise LatxaError("nothing was kept", hint="" if self.sets_aside else SHOWS_WHY)
        self.outputs.finish_main()
        self._save_manifest()
        self.outputs.forget()
        self._afterwards.close()

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
            with suppress(LatxaError):  # the user needs the error that ended the run, not one that follows from it
                is_whole = self._goes_on and self._between_records  # else the last checkpoint stays valid
                self.outputs.abandon(self._point() if is_whole else None, self.settings)
            if kind is SystemExit:  # the reader closed the pipe, which is success
                self.outputs.finish_rejects()
        finally:
            self.outputs.close()

    def _save_manifest(self) -> None:
        if self.outputs.manifest is None:
            return
        save_manifest(
            self.outputs.manifest,
            verb=self.verb,
            settings=self.settings,
            started=self.started,
            inputs=self.intake.describe(),
            outputs=self.outputs.describe(),
            counts=self.counts.as_dict(),
            **values_without_secrets(self.kept | self.facts),
        )


def _not_made(rejects: Path | None) -> str:
    """Return what is to be said of rejects that a complete run does not make."""
    lacks = rejects is not None and not rejects.exists()
    return f"; `--rejects {rejects}` is not made, since nothing is done again" if lacks else ""


def _work_beside(output: Path) -> Path:
    return output.with_name(output.name + ".work")


def watched(
    run: Run, outcomes: Iterable[Outcome], *, total: int | None = None, tokens: Callable[[], int]
) -> Iterator[Outcome]:
    """Yield the `outcomes` and show progress: their number, their rate, and the share that was rejected.

    tokens: returns the number of tokens that this process has generated so far.
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
