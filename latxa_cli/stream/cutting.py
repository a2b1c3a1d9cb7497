"""Sources cut into parts of about 32 MiB, so that many workers can share even one large file.

Plain JSON lines stay where they are: a part is a range of the file's bytes. Every other input (compressed files,
Parquet, text, datasets, stdin) is spooled: its records are written as JSON lines to compressed chunks in the work
folder, and each chunk is a part. Parts begin at the same lines, whether a source is compressed or not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from latxa_cli.stream.endings import JSON_LINES, LARGEST_WINDOW, ending_of, window_of
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.files import save_bytes
from latxa_cli.stream.inputs import (
    BYTE_ORDER_MARK,
    CHUNK,
    LONGEST_LINE,
    STDIN,
    HashedFile,
    Input,
    numbered_lines,
    reading,
)
from latxa_cli.stream.json_text import is_json_text
from latxa_cli.stream.records import JsonObject
from latxa_cli.stream.sources import Source, is_regular
from latxa_cli.stream.spool import SpoolChunk, TextUnit, lines_of_table, lines_of_text, write_chunks

PART_BYTES = 32 << 20
BLOCK = 1 << 20  # bytes of whole lines per read
USUAL_WINDOW = 128 << 20  # bytes of memory that decompression may take in each of several processes
PartKind = Literal["jsonl", "spooled", "texts"]
PartFields = tuple[str, str, int, int, int | None, PartKind]  # the fields of `Part` that follow `source`
Way = Literal["here", "texts", "plain"]

# Bytes of spooled chunks per byte of an input with this ending, about, as measured on web text.
SPOOLED_PER_BYTE = {".gz": 1.3, ".zst": 1.3, ".parquet": 1.1, ".txt": 0.5}


@dataclass(frozen=True)
class Part:
    """Consecutive lines of one source.

    - name: the user's name of the file; path: the file to read.
    - start, end: the range of bytes, counted before compression.
    - first_line: the number, from 1, of the part's first line in the file; None until somebody needs it counted.
    - kind: "jsonl" is a range of the user's own file; "spooled" is a compressed file of JSON lines; "texts" is such a
      file in which each line is a whole text file.
    """

    number: int
    source: int
    name: str
    path: str
    start: int
    end: int
    first_line: int | None
    kind: PartKind

    @property
    def size(self) -> int:
        """Bytes of the lines, decompressed."""
        return self.end - self.start


class Stages(Protocol):
    """Work in stages of tasks, as `latxa_cli.stages.Work` does it (a room that stands on this one)."""

    folder: Path

    def is_done(self, name: str, tasks: Sequence[object]) -> bool: ...

    def stage(
        self, name: str, function: Callable[[Any], JsonObject], tasks: Sequence[object], *, here: bool = False
    ) -> list[JsonObject]: ...


# --- cutting


@dataclass(frozen=True)
class CutTask:
    """Files of one source to cut: a large one, or several consecutive small ones that are cut in the same way.

    - source: the source's number; name, root: as in `Source`.
    - way: "here" for input that only this process can read, or that takes so much memory that one process has to do;
      "texts" for files that are one document each; "plain" for all others.
    - stem: the beginning of the chunks' names.
    - unit: the extent of one document in a text file.
    """

    source: int
    name: str
    way: Way
    files: tuple[str, ...]
    root: str
    stem: str
    unit: TextUnit
    part_bytes: int
    memory: int


def cut(
    sources: Sequence[Source],
    work: Stages,
    *,
    unit: TextUnit = "file",
    part_bytes: int = PART_BYTES,
    memory: int = LARGEST_WINDOW,
) -> tuple[list[Part], list[JsonObject]]:
    """Return the parts of all sources in order, and a manifest entry for each file.

    - unit: the extent of one document in a text file.
    - memory: the bytes that decompression may take.
    - Chunks stay in the folder of `work`. Stdin and pipes are spooled by this process, all others by workers.

    Raises LatxaError for files that cannot be read, UsageError for one that changed since an interrupted run read it.
    """
    tasks = _tasks(sources, work.folder, unit, part_bytes, memory)
    results: dict[CutTask, JsonObject] = {}
    for stage, here in (("spool", False), ("spool-here", True)):
        mine = [task for task in tasks if (task.way == "here") is here]
        if not mine:
            continue
        was_done = work.is_done(stage, mine)
        results.update(zip(mine, work.stage(stage, cut_files, mine, here=here), strict=True))
        if was_done or not here:
            for task in mine:
                _check_unchanged(task, results[task])
    parts = [(task.source, *part) for task in tasks for part in results[task]["parts"]]
    inputs = [entry for task in tasks for entry in results[task]["inputs"]]
    return [Part(number, *part) for number, part in enumerate(parts)], inputs


def _tasks(sources: Sequence[Source], folder: Path, unit: TextUnit, part_bytes: int, memory: int) -> list[CutTask]:
    tasks: list[CutTask] = []
    for number, source in enumerate(sources):
        for way, files in _groups(source.files, unit, part_bytes):
            stem = folder / ("spool-here" if way == "here" else "spool") / f"{len(tasks):05}"
            tasks.append(
                CutTask(number, source.name, way, tuple(files), source.root, str(stem), unit, part_bytes, memory)
            )
    return tasks


def _groups(files: Sequence[str], unit: TextUnit, part_bytes: int) -> Iterator[tuple[Way, list[str]]]:
    """Yield (way, files) in order; a group is one file, or several of at most `part_bytes` together."""
    group: list[str] = []
    group_way: Way = "plain"
    group_size = 0
    for file in files:
        way: Way = "plain"
        size = part_bytes
        if is_regular(file):
            size = Path(file).stat().st_size
            way = "texts" if unit == "file" and ending_of(file).startswith(".txt") else "plain"
            if window_of(file) > USUAL_WINDOW:
                way = "here"
        elif not file.startswith("hf:"):
            way = "here"
        if group and (way != group_way or group_size + size > part_bytes):
            yield group_way, group
            group, group_size = [], 0
        group.append(file)
        group_way, group_size = way, group_size + size
    if group:
        yield group_way, group


def cut_files(task: CutTask) -> JsonObject:
    """Cut the files of a task, spool those that need it, and hash them all; the stage function of `cut`.

    Returns {`parts`: the fields of each part that follow `source`, `inputs`: a manifest entry for each file,
    `states`: for each file its hash, or its size and time, by which a later run sees that it is unchanged}.
    """
    sources = [Input(file, window=task.memory) for file in task.files]
    states: list[Any] = [_state(file) for file in task.files]
    parts: list[PartFields] = []
    if task.way == "texts":
        lines = (line for source in sources for line in lines_of_text(source, _name_in(task, source), "file"))
        parts = [_texts(task, chunk) for chunk in write_chunks(lines, Path(task.stem), task.part_bytes)]
    else:
        for number, source in enumerate(sources):
            parts += _cut(task, source, number)
    inputs = []
    for source in sources:
        with reading(source.label):
            inputs.append(source.describe())
    if task.way == "here":
        states = [source.file.digest.hexdigest() for source in sources if source.file]
    return {"parts": parts, "inputs": inputs, "states": states}


def _cut(task: CutTask, source: Input, number: int) -> list[PartFields]:
    """Return the parts of one file, which has this number among those of the task."""
    ending = ending_of(source.name)
    if task.way == "plain" and ending in JSON_LINES and not _is_json_text(source):
        with reading(source.label):
            return _ranges(source.name, task.part_bytes)
    if source.is_table:
        lines = lines_of_table(source)
    elif ending.startswith(".txt"):
        lines = lines_of_text(source, _name_in(task, source), task.unit)
    else:
        lines = source.lines()
    chunks = write_chunks(lines, Path(f"{task.stem}-{number:05}"), task.part_bytes)
    return [(source.label, chunk.path, 0, chunk.bytes, chunk.first_line, "spooled") for chunk in chunks]


def _is_json_text(source: Input) -> bool:
    with reading(source.label), Path(source.name).open("rb", buffering=0) as file:
        return is_json_text(file.read(CHUNK).removeprefix(BYTE_ORDER_MARK))


def _ranges(file: str, part_bytes: int) -> list[PartFields]:
    """Return the parts of a file of plain lines; it is read only around each cut, to find the end of the line there."""
    path = str(Path(file).absolute())
    parts: list[PartFields] = []
    with Path(path).open("rb", buffering=0) as data:
        start = len(BYTE_ORDER_MARK) if data.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK else 0
        size = os.fstat(data.fileno()).st_size
        while start < size:
            place = data.seek(start + part_bytes - 1)
            while (block := data.read(CHUNK)) and (found := block.find(b"\n")) < 0:
                place += len(block)
            end = place + found + 1 if block else size
            parts.append((file, path, start, end, None if parts else 1, "jsonl"))
            start = end
    return parts


def _texts(task: CutTask, chunk: SpoolChunk) -> PartFields:
    """Return the part of a chunk in which each line is a whole text file."""
    first = chunk.first_line - 1
    files = task.files[first : first + chunk.lines]
    if len(files) == 1:
        return files[0], chunk.path, 0, chunk.bytes, 1, "spooled"
    save_bytes(_names_of(chunk.path), orjson.dumps(files))
    return task.root, chunk.path, 0, chunk.bytes, None, "texts"


def _names_of(path: str) -> Path:
    return Path(f"{path}.names.json")


def _name_in(task: CutTask, source: Input) -> str:
    """Return the name of a text file in the ids of its documents: the source's name, then the path inside the source.

    No two files get the same, since sources have different names, without `/`.
    """
    return f"{task.name}/{os.path.relpath(source.name, task.root or '.')}"


def _state(file: str) -> list[int]:
    """Return the size and time of a file, by which a change is noticed without reading it."""
    if not is_regular(file):
        return []
    status = Path(file).stat()
    return [status.st_size, status.st_mtime_ns]


def _check_unchanged(task: CutTask, result: JsonObject) -> None:
    """Raise UsageError for a file that changed since it was cut; pipes are read again to find out."""
    for entry, state in zip(result["inputs"], result["states"], strict=True):
        file = entry["path"]
        if task.way != "here" and state == _state(file):
            continue
        with reading(file):
            whole = HashedFile(0 if file == STDIN else file)
            whole.read_all()
        if whole.digest.hexdigest() != (state if task.way == "here" else entry["xxh3_128"]):
            label = "stdin" if file == STDIN else file
            raise UsageError(f"{label}: is no longer what the interrupted run read", hint="leave `--resume` out")


def spooled_bytes(sources: Sequence[Source]) -> int:
    """Estimate the bytes that `cut` will spool; stdin, pipes and datasets, whose size is unknown, count as 0."""
    sizes = 0.0
    for file in (file for source in sources for file in source.files if is_regular(file)):
        ending = ending_of(file)
        if ending not in JSON_LINES:
            packed = next(share for end, share in SPOOLED_PER_BYTE.items() if ending.endswith(end))
            sizes += packed * Path(file).stat().st_size
    return int(sizes)


# --- reading


def lines_of(part: Part) -> Iterator[tuple[int, int, bytes]]:
    """Yield (row from 0, offset, line without its `\\n`) of all lines, blank ones included; raises LatxaError.

    In a part of kind "jsonl" the offset is the line's place in the file at `part.path`; in others it has no use.
    """
    return numbered_lines(_blocks(part), part.start)


def is_usual(part: Part) -> bool:
    """Whether a part can be read as a whole; one with a line that is longer than any record may be can be huge."""
    return part.size <= PART_BYTES + LONGEST_LINE


def read_buffers(part: Part, behind: int) -> Iterator[tuple[int, bytearray, int]]:
    """Yield (offset in the file, buffer, bytes of whole lines in it) of a part of kind "jsonl", block after block.

    The buffer is reused for the next block. `behind` zeros follow the bytes that were read. Raises LatxaError.
    """
    buffer = bytearray(BLOCK + behind)
    held, offset, zeros = 0, part.start, bytes(behind)
    with reading(part.name), Path(part.path).open("rb", buffering=0) as file:
        file.seek(part.start)
        while offset < part.end:
            if held == len(buffer) - behind:  # a line that is longer than the buffer
                buffer = buffer + bytes(len(buffer))
            limit = min(len(buffer) - behind, part.end - offset)
            if not (count := file.readinto(memoryview(buffer)[held:limit])):
                raise _shorter(part)
            held += count
            buffer[held : held + behind] = zeros
            size = held if offset + held == part.end else buffer.rfind(b"\n", 0, held) + 1
            if size:
                yield offset, buffer, size
                buffer[: held - size] = buffer[size:held]
                held, offset = held - size, offset + size


def data_of(part: Part) -> bytes:
    """Return the bytes of all lines of a part; raises LatxaError."""
    return b"".join(_blocks(part))


def _blocks(part: Part) -> Iterator[bytes]:
    read = 0
    for block in Input(part.path).blocks() if part.kind != "jsonl" else _range(part):
        read += len(block)
        yield block
    if read < part.size:
        raise _shorter(part)


def _shorter(part: Part) -> LatxaError:
    return LatxaError(f"{part.path}: has become shorter", hint="start again without `--resume`")


def _range(part: Part) -> Iterator[bytes]:
    with reading(part.name), Path(part.path).open("rb", buffering=0) as file:
        left = part.end - file.seek(part.start)
        while left and (block := file.read(min(left, CHUNK))):
            left -= len(block)
            yield block


def location(part: Part, row: int) -> str:
    """Return `FILE:LINE` of a row of a part, for messages."""
    if part.kind == "texts":
        return f"{orjson.loads(_names_of(part.path).read_bytes())[row]}:1"
    first = part.first_line
    if first is None:  # lines before a part are counted only now, since most parts hold nothing to complain of
        before = Part(0, 0, part.name, part.path, 0, part.start, 1, "jsonl")
        first = 1 + sum(block.count(b"\n") for block in _blocks(before))
    return f"{part.name}:{first + row}"
