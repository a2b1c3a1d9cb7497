"""Training metrics for people who watch a run: TensorBoard, Weights & Biases or Trackio, beside `metrics.jsonl`.

`metrics.jsonl` is the record of a run; a tracker shows it. So a tracker that cannot be opened is told of before any
work is done, and one that fails later is told of once and then left alone: training goes on without it. Each library
reads its own settings where it always does (`WANDB_MODE=offline`, `WANDB_PROJECT`, `TRACKIO_DIR`, `TRACKIO_SPACE_ID`).
"""

from __future__ import annotations

import io
import json
import math
import secrets
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from latxa_cli.stream.errors import LatxaError, UsageError, first_line

PROJECT = "latxa"
IDENTITY = "tracked-as"  # the file that keeps the name under which a run goes on after `--resume`


class TrackingLibrary(Protocol):
    """What is asked of a library. Its constructor takes (directory, run_name, settings, done), as `open_tracker` does.

    `failures` are the errors that may come of a disk, a network or a process of its own; any other is a bug, in the
    library or here, and is not hidden. `where`: how to look at the run.
    """

    failures: tuple[type[Exception], ...]
    where: str

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class Tracker:
    """Hands values on to a library until that fails, which `warn` is told once."""

    def __init__(self, name: str, library: TrackingLibrary, warn: Callable[[str], None]) -> None:
        self.name, self.warn, self.where = name, warn, library.where
        self.library: TrackingLibrary | None = library

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Show the `values` of the optimiser step `step`; those that are no finite numbers are left out."""
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        self._ask(lambda library: library.log(step, finite))

    def close(self) -> None:
        """Hand over what is still held."""
        self._ask(lambda library: library.close())
        self.library = None

    def _ask(self, ask: Callable[[TrackingLibrary], None]) -> None:
        if self.library is None:
            return
        try:
            ask(self.library)
        except self.library.failures as error:
            self.library = None
            self.warn(f"{self.name} failed ({first_line(error)}): training goes on, `metrics.jsonl` has everything")


def open_tracker(
    name: str,
    directory: Path,
    run_name: str,
    settings: Mapping[str, Any],
    *,
    done: int = 0,
    warn: Callable[[str], None],
) -> Tracker:
    """Return a tracker of the run that trains into `directory`; for one process of those that train together.

    `settings`: what the run is, shown beside it. `done`: the steps of an interrupted run, which this one continues.

    Raises:
        UsageError: there is no such tracker, or its library is not installed.
        LatxaError: the library refuses to begin (no login, no network, a disk that is full).
    """
    check_installed(name)
    try:
        return Tracker(name, LIBRARIES[name](directory, run_name, settings, done), warn)
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        raise _does_not_start(name, error) from error


def check_installed(name: str | None) -> None:
    """Raise UsageError where there is no such tracker, or its library is not installed; None is none."""
    if name is None:
        return
    if name not in LIBRARIES:
        raise UsageError(
            f"there is no tracker `{name}`", hint="known: " + ", ".join(f"`{known}`" for known in LIBRARIES)
        )
    if find_spec(name) is None:
        raise UsageError(f"the tracker `{name}` is not installed", hint=f"pip install {name}")


def _does_not_start(name: str, error: Exception, hint: str = "") -> LatxaError:
    return LatxaError(f"the tracker `{name}` does not start: {first_line(error)}", hint=hint)


def values_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return what a line of `metrics.jsonl` measured, by name: `train/loss`, or `validation/eu/loss`."""
    of = f"validation/{metrics['validation']}" if "validation" in metrics else "train"
    numbers = {name: value for name, value in metrics.items() if name != "step" and isinstance(value, int | float)}
    return {f"{of}/{name}": value for name, value in numbers.items()}


class TensorBoard:
    """Event files in `directory/tensorboard`."""

    failures = (OSError,)  # of the disk: there is nothing else that could fail

    def __init__(self, directory: Path, run_name: str, settings: Mapping[str, Any], done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = directory / "tensorboard"
        self.where = f"tensorboard --logdir {folder}"
        # What an interrupted run had shown of the steps that now come again is hidden.
        self.writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)
        text = json.dumps(settings, indent=2, ensure_ascii=False, default=str)
        self.writer.add_text("settings", "\n".join("    " + line for line in [run_name, *text.splitlines()]), done)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class Wandb:
    """A run of Weights & Biases, by a process of its own (`directory/wandb` holds what it has not sent)."""

    def __init__(self, directory: Path, run_name: str, settings: Mapping[str, Any], done: int) -> None:
        import wandb

        # Its own; a broken connection to its process; what its event loop says when that has gone.
        self.failures = (wandb.Error, OSError, RuntimeError)
        try:
            self.run = wandb.init(
                id=_identity(directory, done), resume="allow", name=run_name, dir=str(directory),
                config=dict(settings), settings=wandb.Settings(console="off", silent=True),
            )  # fmt: skip
        except wandb.Error as error:
            raise _does_not_start(
                "wandb", error, "`wandb login`; or `WANDB_MODE=offline`, and `wandb sync` later"
            ) from error
        self.where = self.run.url or f"wandb sync {Path(self.run.dir).parent}"

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        self.run.finish()


class Trackio:
    """A run of Trackio: a database on this machine, or a Space of the hub."""

    failures = (OSError, RuntimeError)  # it tells of its own failures by warnings, and goes on

    def __init__(self, directory: Path, run_name: str, settings: Mapping[str, Any], done: int) -> None:
        import trackio

        self.where = f"trackio show --project {PROJECT}"
        name = f"{run_name}-{_identity(directory, done)}"  # its runs are told apart by their names alone
        with redirect_stdout(io.StringIO()):  # it greets, and stdout is not for that
            self.run = trackio.init(
                project=PROJECT, name=name, config=dict(settings), resume="allow", embed=False, auto_log_cpu=False,
                auto_log_gpu=False,
            )  # fmt: skip

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def close(self) -> None:
        import trackio

        with redirect_stdout(io.StringIO()):
            trackio.finish()


def _identity(directory: Path, done: int) -> str:
    """Return the name of this run among all runs: a new one, or that of the interrupted run that is continued."""
    kept = directory / IDENTITY
    if not done or not kept.exists():
        directory.mkdir(parents=True, exist_ok=True)
        kept.write_text(secrets.token_hex(4), encoding="utf-8")
    return kept.read_text(encoding="utf-8")


LIBRARIES: dict[str, Any] = {"tensorboard": TensorBoard, "wandb": Wandb, "trackio": Trackio}
