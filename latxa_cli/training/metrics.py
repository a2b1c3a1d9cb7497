"""`metrics.jsonl` of a run: a line for each step, and one for each validation set after a validation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TextIO

from latxa_cli.stream.records import Record

METRICS = "metrics.jsonl"


class MetricsFile:
    """The metrics of a run in `directory`, which goes on after step `done`; later lines are dropped.

    validated: whether they have a validation after step `done`.
    """

    def __init__(self, directory: Path, done: int, *, writes: bool) -> None:
        """Open the file; `writes`: this process is the first, and alone writes it."""
        self.validated = False
        self._file = _opened(directory / METRICS if writes else Path(os.devnull))
        if not writes:
            return
        self._file.seek(0)
        while True:  # the file is cut, not written anew, so that a full disk loses nothing
            place = self._file.tell()
            line = _line_up_to(done, self._file.readline())
            if line is None:
                break
            self.validated = line["step"] == done and "validation" in line
        self._file.truncate(place)
        self._file.seek(0, os.SEEK_END)

    def write(self, lines: Iterable[Record]) -> None:
        """Add lines, and hand them to the operating system."""
        self._file.write("".join(json.dumps(line) + "\n" for line in lines))
        self._file.flush()

    def synchronise(self) -> None:
        """Wait until all lines are on the disk."""
        os.fsync(self._file.fileno())

    def __enter__(self) -> MetricsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _opened(path: Path) -> TextIO:
    return path.open("a+", encoding="utf-8", errors="replace")


def _line_up_to(done: int, text: str) -> Record | None:
    """Return a whole line of a step up to `done`; None for a damaged one, so that all after it goes too."""
    try:
        line: Record = json.loads(text)
        return line if text.endswith("\n") and line["step"] <= done else None
    except (ValueError, KeyError, TypeError):
        return None
