"""Keep libraries quiet: lm-evaluation-harness, datasets and transformers print, log, warn and draw bars.

stdout is for records alone, and stderr for messages that a person should read.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from typing import TextIO

LIBRARIES = ("lm_eval", "datasets", "transformers", "huggingface_hub", "accelerate", "evaluate")

# The harness cuts a prompt that is longer than the model's context, and says so in messages that begin like this.
CUT = ("Combined length of context", "Left truncation applied")


def _ignore(_text: str) -> None:
    return


@dataclass(frozen=True)
class Console:
    """The way from an evaluation to a person.

    Attributes:
        say: takes a line for people.
        detail: takes a line for people who asked for more.
        verbose: lets the logs of libraries through.
        bars: lets their progress bars through; for a terminal.
    """

    say: Callable[[str], None] = _ignore
    detail: Callable[[str], None] = _ignore
    verbose: bool = False
    bars: bool = False


def unmuted(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return `say` as it is heard where it is now, also while `quiet_libraries` keeps stderr to itself."""
    stderr = sys.stderr

    def said(text: str) -> None:
        with redirect_stderr(stderr):
            say(text)

    return said


class Notices(logging.Handler):
    """A handler of the harness's logs that counts cut prompts and passes each message on to `stream`, if any."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(logging.WARNING)
        self.stream = stream
        self.cut = 0

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        self.cut += message.startswith(CUT)
        if self.stream is not None:
            self.stream.write(f"{record.name}: {message}\n")


@contextmanager
def quiet_libraries(console: Console) -> Iterator[Notices]:
    """Keep the prints, logs, warnings and bars of libraries from the user, but for those that `console` lets through.

    Import heavy libraries inside: some bind a log handler to the `sys.stdout` that they find at import.
    """
    stderr = sys.stderr
    notices = Notices(stderr if console.verbose else None)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(stderr if console.verbose else _nowhere()))
        stack.enter_context(redirect_stderr(stderr if console.bars else _nowhere()))
        stack.enter_context(warnings.catch_warnings())
        if not console.verbose:
            warnings.simplefilter("ignore")
        for name in LIBRARIES:
            stack.enter_context(
                _logged_to(notices, name, logging.WARNING if name == "lm_eval" or console.verbose else logging.ERROR)
            )
        yield notices


@contextmanager
def _logged_to(handler: logging.Handler, name: str, level: int) -> Iterator[None]:
    """Send the messages of the library `name`, from `level` on, to `handler` alone."""
    logger = logging.getLogger(name)
    before = logger.level, logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [handler]
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before[0])
        logger.propagate, logger.handlers = before[1:]


@cache
def _nowhere() -> TextIO:
    """Return the null device, open as long as the process: handlers bound to it at import go on writing there."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
