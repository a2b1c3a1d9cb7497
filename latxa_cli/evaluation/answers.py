"""The file of answers: one record for every item of every pair, kept in step with the results across `--resume`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import orjson

from latxa_cli.evaluation.run import Evaluation, Pair
from latxa_cli.evaluation.tasks import LoadedTask
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record
from latxa_cli.stream.writer import Writer, part_of


class Answers:
    """Writes the answers of each evaluation to `path` (None: nowhere) before its results are counted as done.

    With `resume`, what an interrupted run left is kept up to the first answer of a pair that is still to do: answers
    lie in the order of the pairs, so everything that will be made again, and a half line, is at the end.
    """

    def __init__(
        self,
        path: Path | None,
        to_do: Sequence[Pair],
        loaded: dict[str, LoadedTask],
        names: dict[str, str],
        *,
        resume: bool,
    ) -> None:
        self.writer: Writer | None = None
        if path is None:
            return
        if not resume:
            self.writer = Writer(path)
            return
        if path.suffix in (".gz", ".zst"):
            raise UsageError(f"{path}: a compressed file of answers cannot be resumed", hint="name a plain `.jsonl`")
        part = part_of(path)
        if path.exists() and not part.exists():  # the kill came between the ends of the two files
            path.replace(part)
        again = {(names[pair.model], task) for pair in to_do for task in loaded[pair.task].tasks}
        self.writer = Writer(path, length_before(part, again))

    def keep(self, evaluation: Evaluation) -> list[Record]:
        """Write the answers of one evaluation, wait until the disk has them, and return its results."""
        if self.writer is not None:
            for answer in evaluation.answers:
                self.writer.write(answer)
            self.writer.sync()
        return evaluation.results

    def __enter__(self) -> Answers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.writer is not None:
            if kind is None:
                self.writer.finish()
            self.writer.close()


def length_before(part: Path, again: set[tuple[str, str]]) -> int:
    """Return the length in bytes of the whole answers in `part` before the first of a (model, task) pair in `again`."""
    length = 0
    if part.exists():
        with part.open("rb") as lines:
            for line in lines:
                try:
                    answer = orjson.loads(line)
                except ValueError:
                    break
                if not line.endswith(b"\n") or (answer["model"], answer["task"]) in again:
                    break
                length += len(line)
    return length
