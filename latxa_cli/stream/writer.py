"""Writing records as JSONL: to stdout, or to `FILE.part`, which is renamed when complete and compressed as FILE says.

A file that is read while it grows, such as one of votes, is written under its own name (`Appender`).

A pipe that its reader closed is success, not an error. A full disk is an error of one line, and the part file stays.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import orjson
import xxhash

from latxa_cli.stream.endings import compressor
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.locks import try_lock
from latxa_cli.stream.records import JsonObject, Record

BUFFER = 1 << 16  # bytes held before a write: few enough to stay in the processor's cache
COMPRESSED_BUFFER = 1 << 20  # bytes of a frame: smaller ones compress worse
MODE = 0o666
JSON_LINE = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


class Writer:
    """Writes records to one destination, in order.

    - offset: the place of the next byte, always between two records. With `--resume` it begins at an interrupted run's
      last checkpoint. The bytes behind it are cut off only at the first write, so that a run which fails before its
      work leaves the interrupted one's file as it was.
    - Each flush of a compressed file makes a frame (zstandard) or member (gzip), so that the file can be cut at any
      offset.
    """

    def __init__(self, path: Path | None, offset: int = 0) -> None:
        self.path = path
        self.part = self._name_until_complete(path) if path else None
        self.offset = offset
        self.lines: list[bytes | memoryview] = []
        self.held = 0
        self.compress = compressor(path)
        self.buffer = BUFFER if self.compress is memoryview else COMPRESSED_BUFFER
        self.has_begun = self.part is None  # the bytes behind `offset` are cut off
        self.is_new = self.part is not None and not self.part.exists()
        self.digest = xxhash.xxh3_128()
        try:
            self.descriptor = self._open()
        except OSError as error:
            raise self._cannot_write(error) from None

    def _name_until_complete(self, path: Path) -> Path:
        return part_of(path)

    def _open(self) -> int:
        if self.part is None:
            sys.stdout.flush()
            return sys.stdout.fileno()
        descriptor = os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, MODE)
        if not try_lock(descriptor):
            os.close(descriptor)
            raise LatxaError(f"{self.path}: another run is writing it", hint="name another file")
        if not self.part.exists() or not os.path.samestat(os.fstat(descriptor), self.part.stat()):
            os.close(descriptor)  # the run that had it locked has just renamed it
            return self._open()
        return descriptor

    def begin(self) -> None:
        """Cut off the bytes behind the offset, since from now on the file is this run's; raises LatxaError."""
        if self.has_begun:
            return
        assert self.part is not None
        try:
            os.ftruncate(self.descriptor, self.offset)
            os.lseek(self.descriptor, self.offset, os.SEEK_SET)
            with self.part.open("rb", buffering=0) as written:
                while block := written.read(BUFFER):
                    self.digest.update(block)
        except OSError as error:
            raise self._cannot_write(error) from None
        self.has_begun = True

    def write(self, record: Record) -> None:
        """Write one record as one line; raises LatxaError for a value that JSON cannot hold."""
        try:
            line = orjson.dumps(record, option=JSON_LINE)
        except TypeError as error:
            raise LatxaError(f"the record `{record.get('id', '?')}` cannot be written as JSON ({error})") from None
        self.write_lines(line)

    def write_lines(self, data: bytes | memoryview) -> None:
        """Write whole lines, each with its line break."""
        self.lines.append(data)
        self.held += len(data)
        if self.held >= self.buffer:
            self.flush()

    def write_text(self, text: str) -> None:
        """Write text that is not JSONL, such as a table for people."""
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
                self.digest.update(data[:written])
                self.offset += written
                data = data[written:]
        except BrokenPipeError:
            close_stdout_quietly()
            raise SystemExit(0) from None
        except OSError as error:
            raise self._cannot_write(error) from None

    def sync(self) -> int:
        """Flush, wait for the disk, and return the offset."""
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
            self.lines = [b""]  # a compressed file without content is not one of 0 bytes
        self.sync()
        if self.path is not None and self.part is not None:
            self.part.replace(self.path)
        self.close()

    def describe(self) -> JsonObject:
        """Return the manifest's entry of a file that is complete: its path, bytes and hash."""
        return {"path": str(self.path), "bytes": self.offset, "xxh3_128": self.digest.hexdigest()}

    def close(self) -> None:
        """Close the file, which keeps its unfinished name; a new one that nothing was written to is removed."""
        if self.part is not None and self.descriptor >= 0:
            if self.is_new and not self.has_begun:
                with suppress(OSError):
                    self.part.unlink()
            os.close(self.descriptor)
            self.descriptor = -1

    def discard(self) -> None:
        """Close and remove the file, unless it has its final name or is an earlier run's that was not begun."""
        if self.part is not None and self.descriptor >= 0 and (self.is_new or self.has_begun):
            with suppress(OSError):
                self.part.unlink()
        self.close()

    def _cannot_write(self, error: OSError) -> LatxaError:
        where = self.path or "stdout"
        hint = "free some space, then `--resume`" if self.path and error.errno == 28 else ""
        return LatxaError(f"{where}: cannot be written ({error.strerror or error})", hint=hint)


class Appender(Writer):
    """Writes to a file that is read while it grows: it has its name from the beginning, and keeps what it holds.

    - A last line that is not whole, which a kill or a crash left, is cut off at the first write. One that lacks nothing
      but its line break, as editors leave it, gets one.
    - Where another program replaces or edits the file meanwhile, records go on behind what it holds then.

    remark: what is to be said of the file as it was found; empty where it was as expected.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.remark = ""
        self._find_end()

    def _find_end(self) -> None:
        """Take the place behind the last record for the offset."""
        assert self.path is not None
        size = os.fstat(self.descriptor).st_size
        self.offset, self._lacks_break = _end_of_lines(self.path, size), False
        if torn := size - self.offset:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                self._lacks_break = _record(file.read()) is not None
            if self._lacks_break:
                self.offset = size
            else:
                self.remark = f"{self.path}: a half-written last line of {torn:,} bytes is cut off"

    def _name_until_complete(self, path: Path) -> Path:
        return path

    def begin(self) -> None:
        """Cut off what is torn; raises LatxaError."""
        if self.has_begun:
            return
        super().begin()
        self._remove_copy()
        _sync_folder(self.path)
        if self._lacks_break:
            self.write_lines(b"\n")
            self.sync()
            self._lacks_break = False

    def _follow(self) -> None:
        """Begin, and go on with the file that has the name now, at its end; raises LatxaError."""
        self.begin()
        assert self.path is not None
        try:
            now, ours = self.path.stat() if self.path.exists() else None, os.fstat(self.descriptor)
            is_ours = now is not None and os.path.samestat(now, ours)
            if is_ours and ours.st_size == self.offset:
                return
            if not is_ours:
                old, self.descriptor = self.descriptor, self._open()
                os.close(old)
            before = self.offset
            self._find_end()
            sizes = f"from {before:,} bytes to {now.st_size if now else 0:,}"
            self.remark = (
                f"{self.path}: another program has changed it, {sizes}: records go on behind what it holds now"
            )
        except OSError as error:
            raise self._cannot_write(error) from None
        self.digest, self.has_begun = xxhash.xxh3_128(), False
        self.begin()

    def append(self, records: Iterable[Record], *, wait: bool = True) -> None:
        """Write records, and wait for the disk; raises LatxaError, and then the file holds none of them.

        wait: False to hand them to the operating system alone, which outlives this process.
        """
        self._follow()
        offset = self.offset
        try:
            for record in records:
                self.write(record)
            self.sync() if wait else self.flush()
        except LatxaError:
            self.lines, self.held = [], 0
            self.offset, self.digest, self.has_begun = offset, xxhash.xxh3_128(), False
            with suppress(LatxaError):  # else the next call cuts off what was written of these
                self.begin()
            raise

    def remove(self, holding: bytes, unwanted: Callable[[Record], bool]) -> list[Record]:
        """Remove the records that are unwanted, of those whose lines hold some bytes, and return them.

        Raises LatxaError, and then the file holds all of them. The others go to a new file, which takes the name of the
        old one when it is on the disk: a kill leaves the one or the other.
        """
        self._follow()
        assert self.path is not None
        gone: list[Record] = []
        copy, digest = self._open_copy(), xxhash.xxh3_128()
        try:
            with self.path.open("rb") as lines, open(copy, "wb", closefd=False) as kept:
                for line in lines:
                    if holding in line and (record := _record(line)) is not None and unwanted(record):
                        gone.append(record)
                    else:
                        kept.write(line)
                        digest.update(line)
            os.fsync(copy)
            part_of(self.path).replace(self.path)
        except OSError as error:
            with suppress(OSError):
                part_of(self.path).unlink()  # it would take the room that records need
            os.close(copy)
            raise self._cannot_write(error) from None
        old, self.descriptor, self.digest = self.descriptor, copy, digest
        self.offset = os.lseek(copy, 0, os.SEEK_CUR)
        os.close(old)
        _sync_folder(self.path)
        return gone

    def _open_copy(self) -> int:
        """Return an empty file beside this one, which is locked as this one is; raises LatxaError."""
        assert self.path is not None
        self._remove_copy()
        try:
            mode = os.fstat(self.descriptor).st_mode & 0o777
            copy = os.open(part_of(self.path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        except OSError as error:
            raise self._cannot_write(error) from None
        try_lock(copy)
        return copy

    def _remove_copy(self) -> None:
        """Remove the copy that a killed run was making; raises LatxaError where it cannot, or others write it."""
        assert self.path is not None
        try:
            copy = os.open(part_of(self.path), os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._cannot_write(error) from None
        try:
            if not try_lock(copy):
                raise LatxaError(f"{self.path}: another run is writing it", hint="name another file")
            part_of(self.path).unlink()
        finally:
            os.close(copy)

    def discard(self) -> None:
        """Close the file: what is in it stays."""
        self.close()


def _end_of_lines(path: Path, size: int) -> int:
    """Return the offset behind the last line break of a file of `size` bytes, or 0."""
    with path.open("rb") as file:
        end = size
        while end:
            start = max(0, end - BUFFER)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _record(line: bytes) -> Record | None:
    """Return the record in a line; None where there is none, such as in the beginning of one."""
    try:
        record = orjson.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _sync_folder(path: Path | None) -> None:
    """Wait until the disk knows that the file `path` is there; raises LatxaError."""
    assert path is not None
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise LatxaError(f"{path}: cannot be written ({error.strerror or error})") from None


def part_of(path: Path) -> Path:
    """Return the name that the file `path` has until it is complete."""
    return path.with_name(path.name + ".part")


def close_stdout_quietly() -> None:
    """Point stdout at the null device, so that nothing complains about the closed pipe at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_directory(path: Path) -> None:
    """Make a directory and those above it; raises LatxaError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LatxaError(f"{path}: cannot be made ({error.strerror or error})") from None


def write_file(path: Path, data: bytes) -> None:
    """Replace a small file atomically: a reader sees the old one or the new one; raises LatxaError."""
    part = part_of(path)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise LatxaError(f"{path}: cannot be written ({error.strerror or error})") from None
