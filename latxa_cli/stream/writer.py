"""Writing records: JSONL to stdout or to `FILE.part`, which is renamed when all is done; compressed by FILE's ending.

A pipe that its reader closed is success, not an error. A full disk is one line, and what was written stays.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.locks import try_lock
from latxa_cli.stream.records import Record

BUFFER = 1 << 16  # bytes held before they are written: they stay in the processor's cache
COMPRESSED_BUFFER = 1 << 20  # a frame of less would compress worse
MODE = 0o666
JSON_LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


class Writer:
    """Records to one destination, in order. `offset` is where the next byte goes, always between two records.

    With `--resume`, `offset` is where an earlier run's last checkpoint stood: what lies behind it is cut off, but not
    before something is written, so that a run which fails before its work leaves the earlier one's as it was.
    Each flush of a compressed file is a frame (zstandard) or member (gzip) of its own, so that an offset can be cut at.
    """

    def __init__(self, path: Path | None, offset: int = 0) -> None:
        self.path = path
        self.part = part_of(path) if path else None
        self.offset = offset
        self.lines: list[bytes | memoryview] = []
        self.held = 0
        self.compress = _compressor(path)
        self.buffer = BUFFER if self.compress is memoryview else COMPRESSED_BUFFER
        self.has_begun = self.part is None  # what lay behind `offset` is gone
        self.is_new = self.part is not None and not self.part.exists()
        try:
            self.descriptor = self._open()
        except OSError as error:
            raise self._cannot_write(error) from None

    def _open(self) -> int:
        if self.part is None:
            sys.stdout.flush()
            return sys.stdout.fileno()
        descriptor = os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, MODE)
        if not try_lock(descriptor):
            os.close(descriptor)
            raise LatxaError(f"{self.path}: another run is writing it", hint="name another file")
        if not self.part.exists() or not os.path.samestat(os.fstat(descriptor), self.part.stat()):
            os.close(descriptor)  # the run that had it has given it its name a moment ago
            return self._open()
        return descriptor

    def begin(self) -> None:
        """Cut off what lies behind the offset, since from now on this file is this run's; raises LatxaError."""
        if self.has_begun:
            return
        try:
            os.ftruncate(self.descriptor, self.offset)
            os.lseek(self.descriptor, self.offset, os.SEEK_SET)
        except OSError as error:
            raise self._cannot_write(error) from None
        self.has_begun = True

    def write(self, record: Record) -> None:
        """Write one record as one line; raises LatxaError for what JSON cannot hold."""
        try:
            line = orjson.dumps(record, option=JSON_LINE)
        except TypeError as error:
            raise LatxaError(f"the record `{record.get('id', '?')}` cannot be written as JSON ({error})") from None
        self.write_lines(line)

    def write_lines(self, data: bytes | memoryview) -> None:
        """Write whole lines, each with its line break, as they are."""
        self.lines.append(data)
        self.held += len(data)
        if self.held >= self.buffer:
            self.flush()

    def write_text(self, text: str) -> None:
        """Write text as it is (tables for people, where the format asked for is not JSONL)."""
        self.lines.append(text.encode())
        self.flush()

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        if not self.lines:
            return
        self.begin()
        whole = self.lines[0] if len(self.lines) == 1 else b"".join(self.lines)
        data = memoryview(self.compress(whole))
        self.lines, self.held = [], 0
        try:
            while data:
                written = os.write(self.descriptor, data)
                self.offset += written
                data = data[written:]
        except BrokenPipeError:
            close_stdout_quietly()
            raise SystemExit(0) from None
        except OSError as error:
            raise self._cannot_write(error) from None

    def sync(self) -> int:
        """Flush, wait until the disk has it, and return the offset."""
        self.flush()
        self.begin()
        if self.part is not None:
            try:
                os.fsync(self.descriptor)
            except OSError as error:
                raise self._cannot_write(error) from None
        return self.offset

    def finish(self) -> None:
        """Flush, and give the file its name."""
        if self.offset == 0 and not self.lines:
            self.lines = [b""]  # an empty compressed file is not one of 0 bytes
        self.sync()
        if self.path is not None and self.part is not None:
            self.part.replace(self.path)
        self.close()

    def close(self) -> None:
        """Let go of the file, which keeps its unfinished name; one that is new and was not begun goes."""
        if self.part is not None and self.descriptor >= 0:
            if self.is_new and not self.has_begun:
                with suppress(OSError):
                    self.part.unlink()
            os.close(self.descriptor)
            self.descriptor = -1

    def discard(self) -> None:
        """Let go of the file and remove it, unless it has its name already, or is of an earlier run."""
        if self.part is not None and self.descriptor >= 0 and (self.is_new or self.has_begun):
            with suppress(OSError):
                self.part.unlink()
        self.close()

    def _cannot_write(self, error: OSError) -> LatxaError:
        where = self.path or "stdout"
        hint = "free some space, then `--resume`" if self.path and error.errno == 28 else ""
        return LatxaError(f"{where}: cannot be written ({error.strerror or error})", hint=hint)


def part_of(path: Path) -> Path:
    """Return the name under which `path` is written until it is complete."""
    return path.with_name(path.name + ".part")


def close_stdout_quietly() -> None:
    """Point stdout at the null device, so that nothing complains about the closed pipe at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _compressor(path: Path | None) -> Any:
    if path is not None and path.suffix == ".gz":
        import gzip

        return lambda data: gzip.compress(data, mtime=0)
    if path is not None and path.suffix == ".zst":
        import zstandard

        return zstandard.ZstdCompressor(level=3).compress
    return memoryview


def make_directory(path: Path) -> None:
    """Make a directory and those above it; raises LatxaError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LatxaError(f"{path}: cannot be made ({error.strerror or error})") from None


def write_file(path: Path, data: bytes) -> None:
    """Write a whole small file so that it is either the old one or the new one, never half; raises LatxaError."""
    part = part_of(path)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise LatxaError(f"{path}: cannot be written ({error.strerror or error})") from None
