"""Answers to single requests, kept until their task is written: what a killed run need not ask its model again.

    OUTPUT.work/latxa.lock      marks the folder as ours
    OUTPUT.work/HASH.jsonl      the answers of one pair of model and task: {key, answer} a line, only ever appended

A key is a hash of all that an answer depends on, so that an answer is never taken for another request's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import orjson
import xxhash

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.files import WORK_LOCK, cannot_write, remove_work
from latxa_cli.stream.records import JsonObject
from latxa_cli.stream.writer import make_directory

Answer: TypeAlias = "tuple[float, bool] | str | JsonObject"  # a likelihood, a text, or all that an engine said


def take_over(folder: Path, *, resume: bool) -> None:
    """Take over an interrupted run's folder of kept answers, or remove it unless the run is to `resume`.

    Raises:
        UsageError: the folder holds something else.
    """
    if folder.exists() and not (folder / WORK_LOCK).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: is not of an interrupted run", hint="remove it, or choose another `-o`")
    if not resume:
        remove_work(folder)


class Kept:
    """The kept answers of one pair of model and task; without a folder, none.

    The folder and the file are made with the first answer, so that a run which fails before leaves nothing behind.

    Args:
        folder: after `take_over`.
        circumstances: what all answers depend on: weights, versions, settings.

    Raises:
        LatxaError: the file cannot be read or written.
    """

    def __init__(self, folder: Path | None = None, circumstances: JsonObject | None = None) -> None:
        self.active = folder is not None
        self.seed = orjson.dumps(circumstances, option=orjson.OPT_SORT_KEYS)
        self.answers: dict[str, Answer] = {}
        self.descriptor = -1
        self.whole = 0  # bytes of whole lines in the file
        if folder is not None:
            self.path = folder / f"{xxhash.xxh3_64_hexdigest(self.seed)}.jsonl"
            self._read()

    def _read(self) -> None:
        """Read what is there, but for the line in which a kill came."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise LatxaError(f"{self.path}: cannot be read ({error.strerror or error})") from None
        self.whole = data.rfind(b"\n") + 1
        for line in data[: self.whole].split(b"\n"):
            try:
                entry = orjson.loads(line)
                answer = entry["answer"]
                whole = isinstance(answer, str | dict)
                self.answers[entry["key"]] = answer if whole else (float(answer[0]), bool(answer[1]))
            except (ValueError, TypeError, LookupError):
                continue  # a power cut may have damaged it; it is asked again

    def _open(self) -> None:
        make_directory(self.path.parent)
        (self.path.parent / WORK_LOCK).touch()
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        os.ftruncate(self.descriptor, self.whole)

    def key(self, kind: str, *parts: bytes) -> str:
        """Return the key of a request of some `kind` with these contents."""
        hashed = xxhash.xxh3_128(self.seed)
        for part in (kind.encode(), *parts):
            hashed.update(len(part).to_bytes(8, "little"))
            hashed.update(part)
        return hashed.hexdigest()

    def of(self, keys: Sequence[str]) -> list[Answer] | None:
        """Return the answers with these keys, or None where one is missing."""
        answers = [self.answers[key] for key in keys if key in self.answers]
        return answers if len(answers) == len(keys) else None

    def add(self, entries: Iterable[tuple[str, Answer]]) -> None:
        """Append answers, which outlive a kill from now on; raises LatxaError."""
        if not self.active:
            return
        lines = []
        for key, answer in entries:
            self.answers[key] = answer
            plain = list(answer) if isinstance(answer, tuple) else answer
            lines.append(orjson.dumps({"key": key, "answer": plain}, option=orjson.OPT_APPEND_NEWLINE))
        data = memoryview(b"".join(lines))
        try:
            if self.descriptor < 0:
                self._open()
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError as error:
            raise cannot_write(self.path, error) from None

    def close(self) -> None:
        """Close the file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.active, self.descriptor = False, -1

    def forget(self) -> None:
        """Close and remove the file: its task is written."""
        if self.active:
            self.path.unlink(missing_ok=True)
        self.close()
        self.answers = {}
