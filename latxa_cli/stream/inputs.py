"""Inputs: files, stdin (`-`), Parquet, Hugging Face datasets (`hf:NAME`); `endings` says what each ending stands for.

Text inputs give numbered raw lines, split on `\\n` only (JSON strings may hold U+2028). Tables give numbered rows as
dicts. Bytes are hashed while they are read, so that a manifest can say exactly which ones went in.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import xxhash

from latxa_cli.stream.endings import LARGEST_WINDOW, decompressed, ending_of
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.json_text import is_json_text, json_lines
from latxa_cli.stream.records import JsonObject, Record

CHUNK = 1 << 16  # bytes per read: few enough to stay in the processor's cache while they are hashed and split
END = 1 << 20  # bytes hashed at each end of a file of weights
LONGEST_LINE = 64 << 20  # bytes; a longer line is a broken file, not a record
STDIN = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def check_exists(name: str) -> None:
    """Raise UsageError when stdin is a terminal, LatxaError for a missing file; called before any work begins."""
    if name == STDIN:
        if os.isatty(0):
            raise UsageError("stdin is a terminal", hint="name a FILE, or pipe records in")
    elif name.startswith("hf:"):
        from latxa_cli import hub

        if not hub.can_be_reached():
            hint = "a local `.jsonl` or `.parquet` file needs no hub"
            raise LatxaError(f"{name}: the hub cannot be reached", hint=hint)
    elif not Path(name).exists():
        raise LatxaError(f"{name}: no such file")


class HashedFile:
    """A raw binary file that hashes and counts what is read through it."""

    def __init__(self, descriptor: int | str | Path) -> None:
        self.raw = open(descriptor, "rb", buffering=0, closefd=not isinstance(descriptor, int))  # noqa: SIM115
        self.digest = xxhash.xxh3_128()
        self.bytes = 0

    def read(self, size: int = CHUNK) -> bytes:
        """Return the bytes of one system call, `size` at most, so that records of a slow pipe are not held back."""
        data = self.raw.read(size)
        self.digest.update(data)
        self.bytes += len(data)
        return data

    def read_all(self) -> None:
        """Read to the end, for the hash alone, and close the file."""
        while self.read():
            pass
        self.close()

    def close(self) -> None:
        self.raw.close()


class EntryError(ValueError):
    """An entry that cannot be made a record, with the problem in words; raw: how it stands in the input."""

    def __init__(self, problem: str, raw: bytes) -> None:
        super().__init__(problem)
        self.raw = raw


class Input:
    """One input, under the name that the user gave it.

    - path: the file to read where it has another name (`FILE.zst.part` is compressed as its final name FILE.zst says).
    - window: the largest window of zstandard that there is memory for, in bytes.
    """

    first_row = 1  # the number of the first row of a table

    def __init__(self, name: str, path: Path | None = None, window: int = LARGEST_WINDOW) -> None:
        self.name, self.window = name, window
        self.path = path or name
        self.label = "stdin" if name == STDIN else name
        self.file: HashedFile | None = None  # once `blocks` has opened it

    def entries(self) -> Iterator[tuple[int, bytes | Record]]:
        """Yield (number from 1, entry); an entry is a raw line without its `\\n`, or a row.

        A line over `LONGEST_LINE` is cut. Raises LatxaError when the input cannot be opened, read or decompressed.
        """
        if self.is_table:
            yield from enumerate(self.rows(), self.first_row)
        else:
            for row, _, line in numbered_lines(self.lines()):
                yield row + 1, line

    @property
    def is_table(self) -> bool:
        """Whether the input is a table of rows, and not lines of text."""
        return self.name.startswith("hf:") or ending_of(self.name) == ".parquet"

    @property
    def is_text(self) -> bool:
        """Whether the input is plain text without records."""
        return ending_of(self.name).startswith(".txt")

    def rows(self) -> Iterator[Record]:
        """Yield the rows of a table; raises LatxaError."""
        with reading(self.label):
            from latxa_cli.stream.parquet import dataset_rows, parquet_rows

            yield from dataset_rows(self.name[3:]) if self.name.startswith("hf:") else parquet_rows(str(self.path))

    def lines(self) -> Iterator[bytes]:
        """Yield blocks of JSON lines, or of a text file's lines, as they arrive; raises LatxaError.

        JSON that is not in lines is made into lines.
        """
        blocks = without_byte_order_mark(self.blocks())
        if self.is_text:
            yield from blocks
            return
        head = b""
        for block in blocks:
            head += block
            if b"\n" in head.lstrip() or len(head) >= CHUNK:
                break
        if is_json_text(head):
            yield from json_lines(chain((head,), blocks), self.label)
        elif head:
            yield head
            yield from blocks

    def blocks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes as they arrive; raises LatxaError."""
        with reading(self.label):
            self.file = HashedFile(0 if self.name == STDIN else self.path)
            stream = decompressed(self.file, self.name, self.label, self.window)
            while block := stream.read(CHUNK):
                for place in range(0, len(block), LONGEST_LINE):  # zstandard may expand a few bytes to gigabytes
                    yield block[place : place + LONGEST_LINE]
            self.file.close()

    def describe(self) -> JsonObject:
        """Return the input's entry in a manifest: its name, bytes and hash."""
        if self.file is None:
            return {"path": self.name} | ({} if self.name.startswith("hf:") else fingerprint(self.name))
        if self.name != STDIN and not Path(self.name).is_file():
            return {"path": self.name, "bytes": self.file.bytes}  # a pipe cannot be read again to compare hashes
        return {"path": self.name, "bytes": self.file.bytes, "xxh3_128": self.file.digest.hexdigest()}


def without_byte_order_mark(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the blocks of a file, without the byte order mark that the first may begin with."""
    blocks = iter(blocks)
    if first := next(blocks, b"").removeprefix(BYTE_ORDER_MARK):
        yield first
    yield from blocks


def numbered_lines(blocks: Iterable[bytes], offset: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Yield (row from 0, offset, line without its `\\n`) for each line in `blocks`; the first begins at `offset`.

    A line is yielded as soon as it is complete. One over `LONGEST_LINE` is cut to one byte more than that, by which
    readers know that it is too long.
    """
    row = 0
    pieces: list[bytes] = []  # the beginning of an unfinished line; what lies beyond `LONGEST_LINE` is not kept
    held = length = 0  # bytes in `pieces`, and in the whole line so far
    for block in blocks:
        lines = block.split(b"\n")
        if held <= LONGEST_LINE:
            pieces.append(lines[0])
            held += len(lines[0])
        length += len(lines[0])
        if len(lines) == 1:
            continue
        last = lines.pop()
        yield row, offset, b"".join(pieces)[: LONGEST_LINE + 1]
        row += 1
        offset += length + 1
        for line in lines[1:]:
            yield row, offset, line
            row += 1
            offset += len(line) + 1
        pieces, held, length = [last], len(last), len(last)
    if length:
        yield row, offset, b"".join(pieces)[: LONGEST_LINE + 1]


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of `blocks` cut at line ends, several lines at once; the very last line may lack its `\\n`.

    A line over `LONGEST_LINE` is yielded alone, cut as by `numbered_lines`.
    """
    held = 0
    pieces: list[bytes] = []  # as in `numbered_lines`
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if held > LONGEST_LINE and end:
            first = block.index(b"\n") + 1
            yield b"".join(pieces)[: LONGEST_LINE + 1] + b"\n"
            pieces, block, end = [], block[first:], end - first
        if end:
            yield b"".join([*pieces, block[:end]])
            pieces, held = [block[end:]], len(block) - end
        elif held <= LONGEST_LINE:
            pieces.append(block)
            held += len(block)
    if rest := b"".join(pieces):
        yield rest[: LONGEST_LINE + 1]


@contextmanager
def reading(label: str) -> Iterator[None]:
    """Turn the errors of reading the input `label` into a LatxaError that names it."""
    try:
        yield
    except OSError as error:
        raise LatxaError(f"{label}: cannot be read ({error.strerror or error})") from None
    except EOFError:
        raise LatxaError(f"{label}: ends in the middle of its compressed data") from None
    except zlib.error:
        raise LatxaError(f"{label}: its compressed data are damaged") from None


def fingerprint_of(files: Iterable[Path]) -> JsonObject:
    """Return {`bytes`, `xxh3_128`} of several files together: of their names, their sizes and both their ends."""
    digest, total = xxhash.xxh3_128(), 0
    for file in sorted(files):
        size = file.stat().st_size
        total += size
        digest.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as data:
            digest.update(data.read(END))
            data.seek(max(size - END, 0))
            digest.update(data.read(END))
    return {"bytes": total, "xxh3_128": digest.hexdigest()}


def fingerprint(path: str | Path) -> JsonObject:
    """Return {`bytes`, `xxh3_128`} of a file, or of the files in a directory together; {} for a missing path.

    A directory is a model, whose weights may be hundreds of GB: of each file its name, its size and the first and last
    MiB are hashed.
    """
    path = Path(path)
    if path.is_dir():
        return fingerprint_of(file for file in path.iterdir() if file.is_file())
    if str(path) != STDIN and not path.is_file():
        return {}
    if str(path) == STDIN:
        check_exists(STDIN)
    whole = HashedFile(0 if str(path) == STDIN else path)
    whole.read_all()
    return {"bytes": whole.bytes, "xxh3_128": whole.digest.hexdigest()}
