"""A mix of any size, by rows and lines in files, in three passes. Memory does not grow with the input.

    scan      each part is read and checked; its rows, and the lines that were written anew, are saved
    scatter   each part is read again, and its copies in the mix are saved, sorted into buckets by their order
    gather    each bucket is read from the files of all parts, sorted in memory, and written out

The first two are stages of tasks (see `tasks`). The run does the last by itself, since only it writes outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson

from latxa_cli.mixing.draw import Decision, Picks
from latxa_cli.mixing.lines import LineChunk, LineTable, padded, prefetch, with_lines
from latxa_cli.mixing.plan import MixPlan, rejects
from latxa_cli.mixing.rows import RejectedLine
from latxa_cli.mixing.shares import Shares
from latxa_cli.mixing.tasks import KEY, DecisionFiles, PartTask, ScanTask, count_tokens, save_decision, scan, scatter
from latxa_cli.native.layout import MADE, ROW
from latxa_cli.stages import Work, load_array
from latxa_cli.stream.cutting import Part
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import reading
from latxa_cli.stream.records import JsonObject, Lines
from latxa_cli.stream.writer import Writer

MODULES = (
    "latxa_cli.native.ready", "latxa_cli.mixing.tasks", "latxa_cli.native.mix_rows", "latxa_cli.native.mix_lines",
)  # fmt: skip
WORKER_BYTES = 350_000_000  # of memory, for one worker process
BUCKETS_IN_MEMORY = 8  # a bucket's size: `--memory` has room for so many


class ByFiles:
    """A `RowStore` whose rows and lines are files in the folder of `work`."""

    def __init__(self, plan: MixPlan, parts: Sequence[Part], work: Work) -> None:
        self.plan, self.work = plan, work
        self.inputs = [part.source for part in parts]
        folder = str(work.folder)
        scans = [ScanTask(part, plan.readings[part.source], f"{folder}/scan") for part in parts]
        self._found = work.stage("scan", scan, scans)
        self.reads = [found["read"] for found in self._found]
        self.other_split = [found["other split"] for found in self._found]
        self._size = sum(part.size for part in parts)
        names = tuple(plan.names)
        last = plan.last_epochs(self.inputs, [found["last epoch"] for found in self._found])
        self._tasks = [PartTask(part, folder, names, last, plan.epochs, set_aside=plan.set_aside) for part in parts]
        self._counted = False

    def rows(self, part: int) -> np.ndarray:
        return self._tasks[part].rows()

    def table(self, part: int) -> LineTable:
        return self._tasks[part].table()

    def count_tokens(self, decision: Decision | None) -> None:
        decision_files = save_decision(decision, self.work.folder / "decision") if decision else DecisionFiles()
        tasks = [replace(task, decision_files=decision_files, tokenizer=self.plan.tokenizer) for task in self._tasks]
        self.work.stage("tokens", count_tokens, tasks)
        self._tasks = tasks

    def tokens(self, part: int) -> np.ndarray | None:
        return self._tasks[part].tokens()

    def outcomes(self, decision: Decision, shares: Shares, hold_out: Writer | None) -> Iterator[Lines]:
        decision_files = save_decision(decision, self.work.folder / "decision")
        copies = max(1.0, max(want.weight for want in self.plan.input_options))
        buckets = int(self._size * copies * BUCKETS_IN_MEMORY / self.plan.memory) + 1
        tasks = [replace(task, decision_files=decision_files, buckets=buckets) for task in self._tasks]
        results = self.work.stage("scatter", scatter, tasks)
        for task, found, result in zip(tasks, self._found, results, strict=True):
            shares.add(self.plan.names[task.part.source], result["counts"] | {"other split": found["other split"]})
            for stage, rejected in (("scan", found["rejected"]), ("scatter", result["rejected"])):
                yield from rejects(_rejected(task, stage, rejected))
        gather = _Gather(tasks, results)
        if hold_out is not None:
            for chunk in gather.bucket(buckets):
                hold_out.write_lines(chunk.data.tobytes())
        chunks = (chunk for bucket in range(buckets) for chunk in gather.bucket(bucket))
        for chunk in prefetch(chunks) if self.plan.workers > 1 else chunks:
            yield Lines(memoryview(chunk.data), len(chunk.ends))  # type: ignore[arg-type]


def _rejected(task: PartTask, stage: str, rejected: dict[str, int]) -> Iterator[RejectedLine]:
    """Yield the lines of a part that a stage rejected; their entries are empty where rejects are not written."""
    if not task.set_aside:
        for reason, count in rejected.items():
            yield from (RejectedLine(reason, b"") for _ in range(count))
        return
    path = task.file(stage, "aside")
    with reading(str(path)), path.open("rb") as file:
        for line in file:
            yield RejectedLine(orjson.loads(line)["reason"], line.removesuffix(b"\n"))


class _Gather:
    """Reads buckets, which are scattered over the files of all parts."""

    def __init__(self, tasks: Sequence[PartTask], results: Sequence[JsonObject]) -> None:
        self.paths = [task.file("scatter", "lines") for task in tasks]
        self.keys = [task.file("scatter", "keys.npy") for task in tasks]
        self.rows_before = np.array([np.cumsum([0, *result["copies"]]) for result in results])  # [parts, buckets + 2]
        self.bytes_before = np.array([np.cumsum([0, *result["bytes"]]) for result in results])

    def bucket(self, number: int) -> Iterator[LineChunk]:
        """Yield the sorted lines of a bucket."""
        if not self.paths:
            return
        sizes = self.bytes_before[:, number + 1] - self.bytes_before[:, number]
        data = padded(int(sizes.sum()))
        keys = [np.empty(0, KEY)]
        start = 0
        for part in np.flatnonzero(sizes).tolist():
            end = start + int(sizes[part])
            _read(self.paths[part], int(self.bytes_before[part, number]), data[start:end])
            first, last = self.rows_before[part, number : number + 2]
            keys.append(load_array(self.keys[part], mapped=True)[first:last])
            start = end
        found = np.concatenate(keys)
        rows = with_lines(np.zeros(len(found), ROW), found["length"], data)
        rows["length"] -= 1  # without its line break
        rows["flags"] = MADE
        order, ones = np.argsort(found["order"], kind="stable"), np.ones(len(found), np.int64)
        yield from LineTable(rows, [data], ["-"], [1]).chunks(Picks(order, ones, found["order"], ones))


def _read(path: Path, start: int, data: np.ndarray) -> None:
    with reading(str(path)), path.open("rb", buffering=0) as file:
        file.seek(start)
        target = memoryview(data)  # type: ignore[arg-type]
        while target:
            if not (count := file.readinto(target)):
                raise LatxaError(f"{path}: is not whole", hint="start again without `--resume`")
            target = target[count:]
