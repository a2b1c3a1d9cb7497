"""Opening inputs: files (`.gz`, `.zst` by their ending), stdin (`-`), Parquet, Hugging Face datasets (`hf:NAME`).

Text inputs give numbered raw lines, split on `\\n` only (JSON strings may hold U+2028); tables give numbered rows as
dicts. What was read is hashed on the way, so that a manifest can say exactly what went in.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xxhash

from latxa_cli.stream.errors import LatxaError, UsageError

CHUNK = 1 << 16  # bytes read at once: they stay in the processor's cache
END = 1 << 20  # bytes of a file of weights, at both ends, that are hashed
LONGEST_LINE = 64 << 20  # bytes; a longer line is a broken file, not a record
STDIN = "-"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def check_exists(name: str) -> None:
    """Raise UsageError when stdin is a terminal, LatxaError when there is no such file: before any work is begun."""
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


class Hashed:
    """A raw binary file that hashes and counts what is read through it."""

    def __init__(self, descriptor: int | str | Path) -> None:
        self.raw = open(descriptor, "rb", buffering=0, closefd=not isinstance(descriptor, int))  # noqa: SIM115
        self.digest = xxhash.xxh3_128()
        self.bytes = 0

    def read(self, size: int = CHUNK) -> bytes:
        """Return what one system call gives, at most `size` bytes: a pipe's records are not held back."""
        data = self.raw.read(size)
        self.digest.update(data)
        self.bytes += len(data)
        return data

    def close(self) -> None:
        self.raw.close()


class Input:
    """One input by the name that the user gave it; `entries` gives its numbered lines or rows.

    `path`: where it lies when that is not its name (`FILE.zst.part` is compressed as FILE.zst).
    """

    def __init__(self, name: str, path: Path | None = None) -> None:
        self.name = name
        self.path = path or name
        self.label = "stdin" if name == STDIN else name
        self.hashed: Hashed | None = None

    def entries(self) -> Iterator[tuple[int, bytes | dict[str, Any]]]:
        """Yield (number from 1, raw line without its `\\n` | row); a line over `LONGEST_LINE` comes cut at that length.

        Raises LatxaError when the input cannot be opened, read or decompressed.
        """
        if self.is_table:
            yield from enumerate(self.rows(), 1)
        else:
            for row, _, line in numbered_lines(without_mark(self.blocks())):
                yield row + 1, line

    @property
    def is_table(self) -> bool:
        """Whether it holds rows, and not text."""
        return self.name.startswith("hf:") or self.name.endswith(".parquet")

    @property
    def is_text(self) -> bool:
        """Whether it holds plain text, and no records."""
        return self.name.removesuffix(".gz").removesuffix(".zst").endswith(".txt")

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table; raises LatxaError."""
        with reading(self.label):
            yield from _dataset_rows(self.name[3:]) if self.name.startswith("hf:") else _parquet_rows(str(self.path))

    def blocks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes as they come; raises LatxaError."""
        with reading(self.label):
            self.hashed = Hashed(0 if self.name == STDIN else self.path)
            stream = self._decompressed(self.hashed)
            while block := stream.read(CHUNK):
                for place in range(0, len(block), LONGEST_LINE):  # of a few bytes zstandard may make very many
                    yield block[place : place + LONGEST_LINE]
            self.hashed.close()

    def _decompressed(self, hashed: Hashed) -> Any:
        if self.name.endswith(".gz"):
            import gzip

            return gzip.GzipFile(fileobj=hashed, mode="rb")  # type: ignore[call-overload]
        if self.name.endswith(".zst"):
            return _Zstandard(hashed, self.label)
        return hashed

    def describe(self) -> dict[str, Any]:
        """Return the input's name, bytes and hash, as they stand in a manifest."""
        if self.hashed is None:
            return {"path": self.name} | ({} if self.name.startswith("hf:") else fingerprint(self.name))
        if self.name != STDIN and not Path(self.name).is_file():
            return {"path": self.name, "bytes": self.hashed.bytes}  # a pipe can't be read a second time to compare
        return {"path": self.name, "bytes": self.hashed.bytes, "xxh3_128": self.hashed.digest.hexdigest()}


class _Zstandard:
    """Decompressed reading of a `.zst` file of one frame or several; a cut file is an error, never a short read."""

    def __init__(self, hashed: Hashed, label: str) -> None:
        import zstandard

        self.hashed, self.label = hashed, label
        self.error = zstandard.ZstdError
        self.new_frame = zstandard.ZstdDecompressor().decompressobj
        self.frame: Any = None  # between two frames
        self.rest = b""

    def read(self, _size: int = CHUNK) -> bytes:
        while True:
            data = self.rest or self.hashed.read(CHUNK >> 3)
            if not data:
                if self.frame is not None:
                    raise LatxaError(f"{self.label}: ends in the middle of its compressed data")
                return b""
            if self.frame is None:
                self.frame = self.new_frame()
            try:
                text = self.frame.decompress(data)
            except self.error:
                raise LatxaError(f"{self.label}: is not zstandard data, or is damaged") from None
            self.rest = self.frame.unused_data if self.frame.eof else b""
            if self.frame.eof:
                self.frame = None
            if text:
                return text


def without_mark(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the blocks of a file, the first without a byte order mark."""
    blocks = iter(blocks)
    if first := next(blocks, b"").removeprefix(BYTE_ORDER_MARK):
        yield first
    yield from blocks


def numbered_lines(blocks: Iterable[bytes], offset: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Yield (row from 0, offset, line without its `\\n`) of the lines in `blocks` of bytes, the first at `offset`.

    A line is yielded as soon as it is complete. One over `LONGEST_LINE` comes cut at that length and one byte.
    """
    row = 0
    pieces: list[bytes] = []  # of a line that no block has ended yet, the longest part that is of use
    held = length = 0  # bytes of these, and of the line so far
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
    """Yield as many whole lines as come at once; what ends the last one may lack its `\\n`.

    A line over `LONGEST_LINE` comes alone, cut at that length and one byte.
    """
    held = 0
    pieces: list[bytes] = []  # of a line that no block has ended yet, the longest part that is of use
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


def _parquet_rows(path: str) -> Iterator[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise LatxaError(f"{path}: is not Parquet, or is damaged ({str(error).splitlines()[0]})") from None


def _dataset_rows(name: str) -> Iterator[dict[str, Any]]:
    import datasets

    path, _, split = name.partition(":")
    *repository, configuration = path.split("/") if path.count("/") == 2 else [*path.split("/"), None]
    try:
        yield from datasets.load_dataset(
            "/".join(map(str, repository)), configuration, split=split or "train", streaming=True
        )
    except (OSError, ValueError) as error:  # what `datasets` raises for a hub out of reach, and for an unknown name
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LatxaError(
            f"`hf:{name}` cannot be read: {reason}",
            hint="is the name right (`hf:OWNER/NAME`, `/CONFIGURATION`, `:SPLIT`), and `HF_TOKEN` set if it is gated?",
        ) from None


@contextmanager
def reading(label: str) -> Iterator[None]:
    """Tell of what goes wrong while the input `label` is read as a LatxaError."""
    try:
        yield
    except OSError as error:
        raise LatxaError(f"{label}: cannot be read ({error.strerror or error})") from None
    except EOFError:
        raise LatxaError(f"{label}: ends in the middle of its compressed data") from None
    except zlib.error:
        raise LatxaError(f"{label}: its compressed data are damaged") from None


def fingerprint(path: str | Path) -> dict[str, Any]:
    """Return {`bytes`, `xxh3_128`} of a file, or of a directory's files (names, sizes, first and last MiB of each).

    A directory is a model: its weights may be hundreds of GB, so that their ends must do. Missing paths give {}.
    """
    path = Path(path)
    if path.is_dir():
        digest, total = xxhash.xxh3_128(), 0
        for file in sorted(file for file in path.iterdir() if file.is_file()):
            size = file.stat().st_size
            total += size
            digest.update(f"{file.name}\0{size}\0".encode())
            with file.open("rb") as data:
                digest.update(data.read(END))
                data.seek(max(size - END, 0))
                digest.update(data.read(END))
        return {"bytes": total, "xxh3_128": digest.hexdigest()}
    if str(path) != STDIN and not path.is_file():
        return {}
    if str(path) == STDIN:
        check_exists(STDIN)
    hashed = Hashed(0 if str(path) == STDIN else path)
    while hashed.read():
        pass
    hashed.close()
    return {"bytes": hashed.bytes, "xxh3_128": hashed.digest.hexdigest()}
