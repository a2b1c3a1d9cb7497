"""The endings of file names, in any case: the formats that are read and written, and their compression.

A frame of zstandard names its window, the memory that decompression takes: dumps made with `zstd --long=31` need 2 GiB.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.sizes import show_size

COMPRESSED = (".gz", ".zst")
JSON_LINES = (".jsonl", ".ndjson", ".json")
ENDINGS = (*(kind + packed for kind in (*JSON_LINES, ".txt") for packed in ("", *COMPRESSED)), ".parquet")
READABLE = "`.jsonl`, `.ndjson`, `.json` and `.txt`, also with `.gz` or `.zst`, and `.parquet` are read"
NOT_WRITTEN = frozenset((".parquet", ".arrow", ".bz2", ".xz", ".lz4", ".br", ".zip", ".7z", ".tar", ".tgz"))

PACKED_READ = 1 << 13  # compressed bytes per read, since text grows on decompression
LARGEST_WINDOW = 1 << 31  # bytes, the maximum of `zstd --long`
HEADER = 18  # bytes of a frame's header at most, which names the window


class Readable(Protocol):
    """Anything that bytes are read from."""

    def read(self, size: int = ..., /) -> bytes: ...


def ending_of(name: str) -> str:
    """Return the ending that says how to read a file, in lower case; the empty string for an unknown one."""
    return next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")


def compression_of(name: str | Path) -> str:
    """Return the ending that says how a file is compressed; the empty string for one that is not."""
    ending = Path(name).suffix.lower()
    return ending if ending in COMPRESSED else ""


def decompressed(file: Readable, name: str, label: str, window: int = LARGEST_WINDOW) -> Readable:
    """Return the decompressed content of `file`, which is compressed as the ending of `name` says.

    window: the largest window of zstandard that there is memory for, in bytes. Reading raises LatxaError for a larger
    one, and for data that are damaged or cut off.
    """
    match compression_of(name):
        case ".gz":
            import gzip

            return gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[call-overload, no-any-return]
        case ".zst":
            return _Zstandard(file, label, window)
        case _:
            return file


def compressor(path: Path | None) -> Callable[[bytes | memoryview], bytes | memoryview]:
    """Return the function that compresses bytes as the ending of `path` says; its results may follow one another."""
    match compression_of(path or ""):
        case ".gz":
            import gzip

            return lambda data: gzip.compress(data, mtime=0)
        case ".zst":
            import zstandard

            return zstandard.ZstdCompressor(level=3).compress
        case _:
            return memoryview


def window_of(path: str) -> int:
    """Return the window of a file's first frame in bytes; 0 for a file that is not zstandard."""
    if compression_of(path) != ".zst":
        return 0
    import zstandard

    try:
        with Path(path).open("rb") as file:
            return zstandard.get_frame_parameters(file.read(HEADER)).window_size
    except (OSError, zstandard.ZstdError):  # reading the file will report it
        return 0


class _Zstandard:
    """The decompressed bytes of a `.zst` file of any number of frames; a file that was cut is an error, not an end."""

    def __init__(self, file: Readable, label: str, window: int) -> None:
        import zstandard

        self.file, self.label, self.window = file, label, window
        self.error, self.parameters = zstandard.ZstdError, zstandard.get_frame_parameters
        self.new_frame = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj
        self.frame: Any = None  # None between two frames
        self.rest = b""

    def read(self, _size: int = -1) -> bytes:
        while True:
            data = self.rest or self.file.read(PACKED_READ)
            if not data:
                if self.frame is not None:
                    raise LatxaError(f"{self.label}: ends in the middle of its compressed data")
                return b""
            try:
                if self.frame is None:
                    while len(data) < HEADER and (more := self.file.read(PACKED_READ)):
                        data += more
                    self._check_window(data)
                    self.frame = self.new_frame()
                text = self.frame.decompress(data)
            except self.error:
                raise LatxaError(f"{self.label}: is not zstandard data, or is damaged") from None
            self.rest = self.frame.unused_data if self.frame.eof else b""
            if self.frame.eof:
                self.frame = None
            if text:
                return bytes(text)

    def _check_window(self, data: bytes) -> None:
        needed = self.parameters(data).window_size
        if needed > self.window:
            size = show_size(needed)
            hint = f"give it more than {size} with `--memory`, or decompress it with `zstd -d --long=31`"
            raise LatxaError(f"{self.label}: takes {size} of memory to decompress", hint=hint)
