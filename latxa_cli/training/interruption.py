"""SIGTERM and Ctrl-C while a run trains: the step at hand is completed, and saved, before the run ends.

SLURM sends SIGTERM 30 to 120 s before it kills, and torchrun passes it on to its processes.
"""

from __future__ import annotations

import signal
import threading
import time

from latxa_cli.stream.errors import Terminated
from latxa_cli.training.processes import Processes

SIGNALS = (signal.SIGTERM, signal.SIGINT)
AGAIN = 1.0  # seconds; launchers pass on a Ctrl-C that the terminal has sent to all processes, which is no second one


class Interruption:
    """Remembers the signals that arrive in the `with` block; a second Ctrl-C is an error at once.

    It hears nothing outside of the main thread, where Python allows no handlers.
    """

    def __init__(self) -> None:
        self._heard: set[int] = set()
        self._first = 0.0
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _hear(self, number: int, _frame: object) -> None:
        now = time.monotonic()
        if number == signal.SIGINT and number in self._heard and now - self._first > AGAIN:
            raise KeyboardInterrupt
        self._first = self._first or now
        self._heard.add(number)

    def agreed(self, processes: Processes) -> type[KeyboardInterrupt] | None:
        """Return the error with which all processes are to end, if one of them has heard a signal; all must ask."""
        terminated, interrupted = processes.sum(*(float(number in self._heard) for number in SIGNALS))
        if terminated:
            return Terminated
        return KeyboardInterrupt if interrupted else None
