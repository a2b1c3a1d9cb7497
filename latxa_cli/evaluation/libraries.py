"""Keeping libraries quiet: lm-evaluation-harness, datasets and transformers print, log, warn and draw bars.

stdout is for records, so nothing of theirs may reach it; stderr is for what a person should read.
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

# How the harness's log messages about a prompt that the model's context cannot hold begin.
CUT = ("Combined length of context", "Left truncation applied")


def _ignore(_text: str) -> None:
    return


@dataclass(frozen=True)
class Talk:
    """How this run talks: `say` and `detail` take a line for people; `verbose` lets library logs through, `bars` their
    progress bars (for a terminal)."""

    say: Callable[[str], None] = _ignore
    detail: Callable[[str], None] = _ignore
    verbose: bool = False
    bars: bool = False


class Notices(logging.Handler):
    """Takes the harness's log records: counts prompts that were cut, and passes all on to `stream` if there is one."""

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
def quiet_libraries(talk: Talk) -> Iterator[Notices]:
    """Run library code with its prints, logs, warnings and bars out of the way, as `talk` wants it.

    Import heavy libraries inside: some bind a log handler to the `sys.stdout` that they find at import.
    """
    stderr = sys.stderr
    notices = Notices(stderr if talk.verbose else None)
    with ExitStack() as stack:
        stack.enter_context(redirect_stdout(stderr if talk.verbose else _nowhere()))
        stack.enter_context(redirect_stderr(stderr if talk.bars else _nowhere()))
        stack.enter_context(warnings.catch_warnings())
        if not talk.verbose:
            warnings.simplefilter("ignore")
        for name in LIBRARIES:
            stack.enter_context(
                _logged_to(notices, name, logging.WARNING if name == "lm_eval" or talk.verbose else logging.ERROR)
            )
        yield notices


@contextmanager
def _logged_to(handler: logging.Handler, name: str, level: int) -> Iterator[None]:
    """Let `handler`, and no other, have what the library `name` logs at `level` and above."""
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
    """The null device, open as long as the process: handlers bound to it at import go on writing there."""
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
