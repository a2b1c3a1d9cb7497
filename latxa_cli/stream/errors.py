"""The errors a user can cause or meet: each is one line that says where and what, and perhaps a hint what to do.

Anything else that escapes a verb is a bug in `latxa` and shows a traceback.
"""

from __future__ import annotations

import copyreg
from typing import Any


class LatxaError(Exception):
    """The work failed (exit code 1): `message` is one line, literals in back-ticks; `hint` says what to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Be pickled as it is, without `__init__`: errors come from worker processes too."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]


class UsageError(LatxaError):
    """The command line asks for something that cannot be (exit code 2)."""

    exit_code = 2


class RecordError(LatxaError):
    """A malformed record; `where` is `FILE:LINE`."""

    def __init__(self, where: str, what: str, *, hint: str = "") -> None:
        super().__init__(f"{where}: {what}", hint=hint)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """Return `did you mean ...?` naming the nearest of `known`, or the list of them when none is near."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(f"`{name}`" for name in close) + "?"
    return "known: " + ", ".join(f"`{name}`" for name in known) if len(known) <= 30 else ""
