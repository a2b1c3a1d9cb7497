"""Cutting sources into parts of about 32 MiB, so that many workers can share even one large file.

Plain JSON lines stay where they are: a part is a range of the file's bytes. All else (compressed files, Parquet, text,
datasets, stdin) is spooled: written as JSON lines to compressed chunks in the work folder, each of which is a part.
However a source is packed, its parts begin at the same lines.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.files import save_bytes
from latxa_cli.stream.inputs import (
    BYTE_ORDER_MARK,
    CHUNK,
    LONGEST_LINE,
    STDIN,
    Hashed,
    Input,
    numbered_lines,
    reading,
    without_mark,
)
from latxa_cli.stream.sources import Source, ending_of, is_regular
from latxa_cli.stream.spool import SpoolChunk, TextUnit, lines_of_table, lines_of_text, write_chunks

PART_BYTES = 32 << 20
BLOCK = 1 << 20  # bytes of whole lines that are read at once
PLAIN = (".jsonl", ".ndjson", ".json")
Kind = Literal["jsonl", "spooled", "texts"]

# Bytes of spooled chunks for each byte of an input of this ending, about. Measured on web text.
SPOOLED_PER_BYTE = {".gz": 1.3, ".zst": 1.3, ".parquet": 1.1, ".txt": 0.5}


@dataclass(frozen=True)
class Part:
    """Some lines of one source.

    `kind`: "jsonl", the bytes from `start` to `end` of the user's own file; "spooled", a compressed file of JSON lines
    (`end`: their bytes); "texts", such a file with one line for each of several text files. `name`: the file as the
    user knows it. `first_line`: which line of it, from 1, row 0 is (None: to be counted when somebody asks).
    """

    number: int
    source: int
    name: str
    path: str
    start: int
    end: int
    first_line: int | None
    kind: Kind

    @property
    def size(self) -> int:
        """Bytes of the lines, decompressed."""
        return self.end - self.start


class Stages(Protocol):
    """What does the work: see `latxa_cli.stages.Work`."""

    folder: Path

    def is_done(self, name: str, tasks: Sequence[Any]) -> bool: ...

    def stage(
        self, name: str, function: Callable[[Any], dict[str, Any]], tasks: Sequence[Any], *, here: bool = False
    ) -> list[dict[str, Any]]: ...


# --- cutting


@dataclass(frozen=True)
class CutTask:
    """Files of one source to be cut: a large one, or several small ones of one way that follow each other.

    `way`: "here" what only this process can read; "texts" files that are a document each; "plain" all others.
    `name`, `root`: those of the source. `stem`: what the names of chunks begin with.
    """

    source: int
    name: str
    way: Literal["here", "texts", "plain"]
    files: tuple[str, ...]
    root: str
    stem: str
    unit: TextUnit
    part_bytes: int


def cut(
    sources: Sequence[Source], work: Stages, *, unit: TextUnit = "file", part_bytes: int = PART_BYTES
) -> tuple[list[Part], list[dict[str, Any]]]:
    """Return the parts of all sources in order, and the files read, as a manifest describes them.

    `unit`: what a document of a text file is. What is spooled stays in the folder of `work`. Stdin and pipes are
    spooled by this process. Raises LatxaError for files that cannot be read, UsageError when one is no longer what an
    interrupted run has read.
    """
    tasks = _tasks(sources, work.folder, unit, part_bytes)
    results: dict[CutTask, dict[str, Any]] = {}
    for stage, here in (("spool", False), ("spool-stdin", True)):
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


def _tasks(sources: Sequence[Source], folder: Path, unit: TextUnit, part_bytes: int) -> list[CutTask]:
    tasks: list[CutTask] = []
    for number, source in enumerate(sources):
        for way, files in _groups(source.files, unit, part_bytes):
            stem = folder / ("spool-stdin" if way == "here" else "spool") / f"{len(tasks):05}"
            tasks.append(CutTask(number, source.name, way, tuple(files), source.root, str(stem), unit, part_bytes))
    return tasks


def _groups(files: Sequence[str], unit: TextUnit, part_bytes: int) -> Iterator[tuple[Any, list[str]]]:
    """Yield (way, files) in order, each group of `part_bytes` or less, or one file."""
    group: list[str] = []
    group_way, group_size = "", 0
    for file in files:
        way, size = "plain", part_bytes
        if is_regular(file):
            size = Path(file).stat().st_size
            way = "texts" if unit == "file" and ending_of(file).startswith(".txt") else "plain"
        elif not file.startswith("hf:"):
            way = "here"
        if group and (way != group_way or group_size + size > part_bytes):
            yield group_way, group
            group, group_size = [], 0
        group.append(file)
        group_way, group_size = way, group_size + size
    if group:
        yield group_way, group


def cut_files(task: CutTask) -> dict[str, Any]:
    """Cut the files of a task, spool what has to be, and hash them; the stage function of `cut`.

    Returns {`parts`: the fields of each after its source, `inputs`: see `cut`, `seen`: by what each is known again}.
    """
    sources = [Input(file) for file in task.files]
    seen: list[Any] = [_seen(file) for file in task.files]
    parts: list[tuple[Any, ...]] = []
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
        seen = [source.hashed.digest.hexdigest() for source in sources if source.hashed]
    return {"parts": parts, "inputs": inputs, "seen": seen}


def _cut(task: CutTask, source: Input, number: int) -> list[tuple[Any, ...]]:
    """Return the parts of one file, the `number`-th of the task."""
    ending = ending_of(source.name)
    if task.way == "plain" and ending in PLAIN:
        with reading(source.label):
            return _ranges(source.name, task.part_bytes)
    if source.is_table:
        lines = lines_of_table(source)
    elif ending.startswith(".txt"):
        lines = lines_of_text(source, _name_in(task, source), task.unit)
    else:
        lines = without_mark(source.blocks())
    chunks = write_chunks(lines, Path(f"{task.stem}-{number:05}"), task.part_bytes)
    return [(source.label, chunk.path, 0, chunk.bytes, chunk.first_line, "spooled") for chunk in chunks]


def _ranges(file: str, part_bytes: int) -> list[tuple[Any, ...]]:
    """Return the parts of a file of plain lines; only where one should end, the end of the line is looked for."""
    path = str(Path(file).absolute())
    parts: list[tuple[Any, ...]] = []
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


def _texts(task: CutTask, chunk: SpoolChunk) -> tuple[Any, ...]:
    """Return the part of a chunk that has a line for each of several text files."""
    first = chunk.first_line - 1
    files = task.files[first : first + chunk.lines]
    if len(files) == 1:
        return files[0], chunk.path, 0, chunk.bytes, 1, "spooled"
    save_bytes(_names_of(chunk.path), orjson.dumps(files))
    return task.root, chunk.path, 0, chunk.bytes, None, "texts"


def _names_of(path: str) -> Path:
    return Path(f"{path}.names.json")


def _name_in(task: CutTask, source: Input) -> str:
    """Return what a text file is called in the ids of its documents: the source's name and its path inside that.

    Names hold no `/`, and no two sources have the same: so no two files have either.
    """
    return f"{task.name}/{os.path.relpath(source.name, task.root or '.')}"


def _seen(file: str) -> list[int]:
    if not is_regular(file):
        return []
    status = Path(file).stat()
    return [status.st_size, status.st_mtime_ns]


def _check_unchanged(task: CutTask, result: dict[str, Any]) -> None:
    """See that files are what they were when they were cut; pipes are read again for that."""
    for entry, seen in zip(result["inputs"], result["seen"], strict=True):
        file = entry["path"]
        if task.way != "here" and seen == _seen(file):
            continue
        with reading(file):
            hashed = Hashed(0 if file == STDIN else file)
            while hashed.read():
                pass
            hashed.close()
        if hashed.digest.hexdigest() != (seen if task.way == "here" else entry["xxh3_128"]):
            label = "stdin" if file == STDIN else file
            raise UsageError(f"{label}: is no longer what the interrupted run read", hint="leave `--resume` out")


def spooled_bytes(sources: Sequence[Source]) -> int:
    """Return about how many bytes `cut` will spool; 0 for stdin, pipes and datasets, whose size nobody knows."""
    sizes = 0.0
    for file in (file for source in sources for file in source.files if is_regular(file)):
        ending = ending_of(file)
        if ending not in PLAIN:
            packed = next(share for end, share in SPOOLED_PER_BYTE.items() if ending.endswith(end))
            sizes += packed * Path(file).stat().st_size
    return int(sizes)


# --- reading


def lines_of(part: Part) -> Iterator[tuple[int, int, bytes]]:
    """Yield (row from 0, offset in the file at `part.path`, line without its `\\n`) of all lines, blank ones included.

    The offset says where the line lies only in a part of kind "jsonl". Raises LatxaError.
    """
    return numbered_lines(_blocks(part), part.start)


def is_usual(part: Part) -> bool:
    """Whether a part can be read in large blocks: not where a line is longer than any record may be."""
    return part.size <= PART_BYTES + LONGEST_LINE


def whole_lines(part: Part, behind: int) -> Iterator[tuple[int, bytearray, int]]:
    """Yield (offset in the file, buffer, bytes of whole lines in it) of a part of kind "jsonl", block after block.

    The buffer is used again for the next block; behind what was read into it are `behind` zeros. Raises LatxaError.
    """
    buffer = bytearray(BLOCK + behind)
    held, offset, zeros = 0, part.start, bytes(behind)
    with reading(part.name), Path(part.path).open("rb", buffering=0) as file:
        file.seek(part.start)
        while offset < part.end:
            if held == len(buffer) - behind:
                buffer = buffer + bytes(len(buffer))  # a long line
            wanted = min(len(buffer) - behind, part.end - offset)
            if not (count := file.readinto(memoryview(buffer)[held:wanted])):
                raise _shorter(part)
            held += count
            buffer[held : held + behind] = zeros
            size = held if offset + held == part.end else buffer.rfind(b"\n", 0, held) + 1
            if size:
                yield offset, buffer, size
                buffer[: held - size] = buffer[size:held]
                held, offset = held - size, offset + size


def data_of(part: Part) -> bytes:
    """Return all the lines of a part as they are; raises LatxaError."""
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


def where(part: Part, row: int) -> str:
    """Return `FILE:LINE` of a row, for messages; counts the lines before the part where nobody has yet."""
    if part.kind == "texts":
        return f"{orjson.loads(_names_of(part.path).read_bytes())[row]}:1"
    first = part.first_line
    if first is None:
        before = Part(0, 0, part.name, part.path, 0, part.start, 1, "jsonl")
        first = 1 + sum(block.count(b"\n") for block in _blocks(before))
    return f"{part.name}:{first + row}"
