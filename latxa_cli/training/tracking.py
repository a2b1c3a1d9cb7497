"""Training metrics in TensorBoard, Weights & Biases or Trackio, for people who watch a run.

`metrics.jsonl` is the record of a run, and a tracker only shows it. A tracker that does not open is an error before the
work. One that fails later gives one warning, and training continues without it. Each library reads its usual settings
(`WANDB_MODE=offline`, `WANDB_PROJECT`, `TRACKIO_DIR`, `TRACKIO_SPACE_ID`).
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
IDENTITY = "tracked-as"  # the file with the name of the run, under which `--resume` continues it


class TrackingLibrary(Protocol):
    """A tracker's library; its constructor takes (directory, run_name, settings, done), as `open_tracker` does.

    Attributes:
        failures: errors of a disk, a network or the library's own process; any other is a bug, and is not hidden.
        where: a command or an address that shows the run.
    """

    @property
    def failures(self) -> tuple[type[Exception], ...]: ...

    @property
    def where(self) -> str: ...

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class Tracker:
    """A tracker that hands values to a library until that fails, and then warns once."""

    def __init__(self, name: str, library: TrackingLibrary, warn: Callable[[str], None]) -> None:
        self.name, self.warn, self.where = name, warn, library.where
        self.library: TrackingLibrary | None = library

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Show the finite ones of `values`, of optimiser step `step`."""
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        self._attempt(lambda library: library.log(step, finite))

    def close(self) -> None:
        """Let the library send the rest and end."""
        self._attempt(lambda library: library.close())
        self.library = None

    def _attempt(self, call: Callable[[TrackingLibrary], None]) -> None:
        if self.library is None:
            return
        try:
            call(self.library)
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
    """Return a tracker of the run that trains into `directory`; only one of several processes opens one.

    Args:
        name: one of `LIBRARIES`.
        directory: the output of the run.
        run_name: its name in the tracker.
        settings: shown beside the run.
        done: the steps of an interrupted run, which this one continues.
        warn: takes a line about a failure.

    Raises:
        UsageError: there is no such tracker, or its library is not installed.
        LatxaError: the library does not start (no login, no network, a full disk).
    """
    check_installed(name)
    try:
        return Tracker(name, LIBRARIES[name](directory, run_name, settings, done), warn)
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        raise _does_not_start(name, error) from error


def check_installed(name: str | None) -> None:
    """Raise UsageError for an unknown tracker, or one whose library is not installed; None stands for no tracker."""
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


def values_of(metrics: Mapping[str, object]) -> dict[str, float]:
    """Return the numbers in a line of `metrics.jsonl` by name, such as `train/loss` or `validation/eu/loss`."""
    prefix = f"validation/{metrics['validation']}" if "validation" in metrics else "train"
    numbers = {name: value for name, value in metrics.items() if name != "step" and isinstance(value, int | float)}
    return {f"{prefix}/{name}": value for name, value in numbers.items()}


class TensorBoard:
    """Event files in `directory/tensorboard`."""

    failures = (OSError,)  # it only writes to the disk

    def __init__(self, directory: Path, run_name: str, settings: Mapping[str, Any], done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = directory / "tensorboard"
        self.where = f"tensorboard --logdir {folder}"
        # Steps that an interrupted run had shown, and that now come again, are hidden.
        self.writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)
        text = json.dumps(settings, indent=2, ensure_ascii=False, default=str)
        self.writer.add_text("settings", "\n".join("    " + line for line in [run_name, *text.splitlines()]), done)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class Wandb:
    """A run of Weights & Biases, whose own process sends it; `directory/wandb` holds what is not sent yet."""

    def __init__(self, directory: Path, run_name: str, settings: Mapping[str, Any], done: int) -> None:
        import wandb

        # Its own errors; a broken connection to its process; those of its event loop when the process is gone.
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

    failures = (OSError, RuntimeError)  # of its own failures it only warns

    def __init__(self, directory: Path, run_name: str, settings: Mapping[str, Any], done: int) -> None:
        import trackio

        self.where = f"trackio show --project {PROJECT}"
        name = f"{run_name}-{_identity(directory, done)}"  # it tells runs apart by their names alone
        with redirect_stdout(io.StringIO()):  # it prints a greeting, and stdout is for records
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
    """Return a unique name of this run: a new one, or that of the interrupted run that this one continues."""
    identity = directory / IDENTITY
    if not done or not identity.exists():
        directory.mkdir(parents=True, exist_ok=True)
        identity.write_text(secrets.token_hex(4), encoding="utf-8")
    return identity.read_text(encoding="utf-8")


LIBRARIES: dict[str, Callable[[Path, str, Mapping[str, Any], int], TrackingLibrary]] = {
    "tensorboard": TensorBoard,
    "wandb": Wandb,
    "trackio": Trackio,
}
