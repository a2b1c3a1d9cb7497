"""Spooling: inputs that cannot be cut where they lie become compressed chunks of JSON lines.

Each line of the chunks stands for one line of the input or one row of a table, blank lines included, so that numbers of
lines in messages stay true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import orjson

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.files import new_file
from latxa_cli.stream.inputs import LONGEST_LINE, Input, numbered_lines, without_byte_order_mark

TextUnit = Literal["file", "blank-line", "line"]  # the extent of one document in a text file


class Writable(Protocol):
    """Anything that bytes are written to."""

    def write(self, data: bytes, /) -> int: ...


class SpoolChunk(NamedTuple):
    """A file of lines: their bytes before compression, their count, and the number of the first one, from 1."""

    path: str
    bytes: int
    lines: int
    first_line: int


def write_chunks(blocks: Iterable[bytes], stem: Path, chunk_bytes: int) -> list[SpoolChunk]:
    """Write the lines in `blocks` (none empty) to `STEM-00000.jsonl.zst`, `STEM-00001.jsonl.zst` and so on.

    A chunk ends with the line that reaches `chunk_bytes`. Raises LatxaError when it cannot be written.
    """
    import zstandard

    chunks: list[SpoolChunk] = []
    blocks, rest, line = iter(blocks), b"", 1
    while rest := rest or next(blocks, b""):
        path = stem.with_name(f"{stem.name}-{len(chunks):05}.jsonl.zst")
        packer = zstandard.ZstdCompressor(level=1)
        with new_file(path) as file, packer.stream_writer(file, closefd=False) as writer:
            size, lines, rest = _fill(writer, rest, blocks, chunk_bytes)
        chunks.append(SpoolChunk(str(path), size, lines, line))
        line += lines
    return chunks


def _fill(writer: Writable, block: bytes, blocks: Iterator[bytes], chunk_bytes: int) -> tuple[int, int, bytes]:
    """Write one chunk from `block` and those that follow; return its bytes, its lines and the last block's rest."""
    size = lines = 0
    while block:
        reaches = size + len(block) >= chunk_bytes
        end = block.find(b"\n", max(chunk_bytes - 1 - size, 0)) + 1 if reaches else 0
        if end:
            writer.write(block[:end])
            return size + end, lines + block.count(b"\n", 0, end), block[end:]
        writer.write(block)
        size += len(block)
        lines += block.count(b"\n")
        block = next(blocks, b"")
    return size, lines, b""


def lines_of_table(source: Input) -> Iterator[bytes]:
    """Yield the rows of a table as JSON lines; raises LatxaError."""
    for row in source.rows():
        yield orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def lines_of_text(source: Input, name: str, unit: TextUnit) -> Iterator[bytes]:
    """Yield the documents of a text file as JSON lines.

    - The id is `name` where the whole file is one document, else `name#LINE` with the line that it begins at.
    - Text that is not UTF-8 is yielded as it is, on one line; the reader of the chunks will call it malformed.

    Raises LatxaError for a document over `LONGEST_LINE`.
    """
    blocks = without_byte_order_mark(source.blocks())
    if unit == "file":
        data = b"".join(_up_to_longest(source.label, unit, blocks))
        yield _document(source.label, unit, name, [data]) if data else b"\n"
        return
    pending: list[bytes] = []  # the lines of an unfinished document
    held = first = 0  # their bytes, and the number of the first one
    for row, _, line in numbered_lines(blocks):
        if not pending:
            held, first = 0, row + 1
        held += len(line)
        if held > LONGEST_LINE:
            raise _too_long(f"{source.label}:{first}", unit)
        blank = not line.strip()
        if not blank:
            pending.append(line)
        if pending and (blank or unit == "line"):
            yield _document(f"{source.label}:{first}", unit, f"{name}#{first}", pending)
            pending = []
        if blank:
            yield b"\n"
    if pending:
        yield _document(f"{source.label}:{first}", unit, f"{name}#{first}", pending)


def _up_to_longest(where: str, unit: TextUnit, blocks: Iterable[bytes]) -> Iterator[bytes]:
    held = 0
    for block in blocks:
        held += len(block)
        if held > LONGEST_LINE:
            raise _too_long(where, unit)
        yield block


def _document(where: str, unit: TextUnit, name: str, lines: list[bytes]) -> bytes:
    """Return the JSON line of a document, then a blank line for each of its `lines` after the first."""
    raw, more = b"\n".join(lines), b"\n" * (len(lines) - 1)
    try:
        text = raw.decode().replace("\r\n", "\n").removesuffix("\r")
    except UnicodeDecodeError:
        return raw.replace(b"\n", b" ") + b"\n" + more
    document = orjson.dumps({"id": name, "text": text}, option=orjson.OPT_APPEND_NEWLINE)
    if len(document) > LONGEST_LINE:
        raise _too_long(where, unit)
    return document + more


def _too_long(where: str, unit: TextUnit) -> LatxaError:
    smaller = {"file": "`--text-documents blank-line` or `line`", "blank-line": "`--text-documents line`", "line": ""}
    hint = smaller[unit] and f"{smaller[unit]} makes smaller ones of it"
    return LatxaError(f"{where}: a document of more than {LONGEST_LINE >> 20} MiB", hint=hint)
