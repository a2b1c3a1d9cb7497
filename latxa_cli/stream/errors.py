"""Errors that a user can cause or meet: one line that says where and what is wrong, and perhaps a hint.

Any other exception that escapes a verb is a bug in `latxa` and shows a traceback.
"""

from __future__ import annotations

import copyreg
import signal


class LatxaError(Exception):
    """The work failed (exit code 1).

    message: one line, with literals in back-ticks; hint: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the attributes without a call of `__init__`, so that worker processes can send any of these errors."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]


class UsageError(LatxaError):
    """The command line asks for something impossible (exit code 2)."""

    exit_code = 2


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which clusters and services end a run: an interruption like Ctrl-C, with an exit code of its own."""


def exit_code_of(interruption: BaseException) -> int:
    """Return the exit code after SIGTERM (143) or Ctrl-C (130): as shells have it, 128 and the signal's number."""
    return 128 + (signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT)


class RecordError(LatxaError):
    """A record is malformed; `place` is `FILE:LINE`."""

    def __init__(self, place: str, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{place}: {problem}", hint=hint)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type where the message is empty."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """Return a hint for an unknown `word`: the names that resemble it, else all names that are `known`, if few."""
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(f"`{name}`" for name in close) + "?"
    return "known: " + ", ".join(f"`{name}`" for name in known) if len(known) <= 30 else ""
