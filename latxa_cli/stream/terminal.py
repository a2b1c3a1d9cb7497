"""Messages for people, and one progress line, on stderr. stdout is for data and is never touched here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, NoReturn

from latxa_cli.stream.secrets import without_secrets


class Terminal:
    """Messages on stderr: `say` unless quiet, `detail` if verbose, `progress` only where stderr is a terminal."""

    def __init__(self, verb: str, *, quiet: bool = False, verbose: bool = False) -> None:
        self.verb = verb
        self.quiet = quiet
        self.verbose = verbose
        self.draws = sys.stderr.isatty() and not quiet
        self._bar: Any = None
        self._task: Any = None
        self._last_draw = 0.0

    def say(self, text: str) -> None:
        """Write one line for people, unless `-q`."""
        if not self.quiet:
            self._line(f"latxa {self.verb}: {printable(without_secrets(text))}")

    def say_all(self, lines: Iterable[str]) -> None:
        """Write several lines for people, unless `-q`."""
        for line in lines:
            self.say(line)

    def table(self, lines: list[str]) -> None:
        """Write the lines of a table with their spaces, unless `-q`; `stream.display` has made them printable."""
        if not self.quiet:
            self._line("\n".join(f"latxa {self.verb}:   {line}" for line in lines))

    def marked(self, parts: Iterable[tuple[str, bool]]) -> None:
        """Write a text of (part, marked) unless `-q`; marked parts are coloured, or bracketed where colour is off."""
        if self.quiet:
            return
        colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        before, after = ("\x1b[1;32m", "\x1b[0m") if colour else ("\u27e6", "\u27e7")
        shown = (f"{before}{_harmless(text)}{after}" if marked else _harmless(text) for text, marked in parts)
        self._line("".join(shown))

    def detail(self, text: str) -> None:
        """Write one line for people who asked for detail (`-v`)."""
        if self.verbose:
            self._line(f"latxa {self.verb}: {printable(without_secrets(text))}")

    def _line(self, text: str) -> None:
        self.clear()
        try:
            print(text, file=sys.stderr, flush=True)
        except BrokenPipeError:  # nobody reads stderr any more, which is no reason to stop the data
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())

    def progress(self, done: int, total: int | None = None, **figures: object) -> None:
        """Redraw the progress line: `done` of `total` units, and figures such as `loss=1.234`."""
        now = time.monotonic()
        if not self.draws or (now - self._last_draw < 0.2 and done != total):
            return
        self._last_draw = now
        if self._bar is None:
            self._start()
        text = "  ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
        self._bar.update(self._task, completed=done, total=total, figures=text)

    def stage(self, name: str, done: int, total: int) -> None:
        """Redraw the progress line for a stage of the work."""
        self.progress(done, total, stage=name)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("latxa " + self.verb), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[figures]}"),
        )  # fmt: skip
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=None, figures="")
        self._bar.start()

    def clear(self) -> None:
        """Remove the progress line; the next `progress` draws it again."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


def _harmless(text: str) -> str:
    """Return a text, perhaps of several lines, with its control characters replaced."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)


def tell_error(message: str, hint: str = "") -> None:
    """Write an error as one line on stderr, with the hint, if any, on a second one."""
    message, hint = without_secrets(message), without_secrets(hint)
    lines = [f"latxa: {printable(message)}"] + ([f"hint: {printable(hint)}"] if hint else [])
    print("\n".join(lines), file=sys.stderr, flush=True)


def end_now(message: str, hint: str = "") -> NoReturn:
    """End the process with an error, also from another thread, since the main one may hang."""
    tell_error(message, hint)
    os._exit(1)


def printable(text: str) -> str:
    """Return `text` on one line with its control characters replaced, so that no record can drive a terminal."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(character if character.isprintable() else "�" for character in line)
