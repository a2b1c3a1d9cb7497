"""The executor that does tasks on a running Ray cluster, whose machines must share one file system."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from socket import create_connection
from typing import Any

from latxa_cli import __version__
from latxa_cli.stages.executor import Died, Executor, one_a_core
from latxa_cli.stages.process import do
from latxa_cli.stream.errors import LatxaError, UsageError, first_line

try:
    import ray
    from ray import exceptions
    from ray._private.services import get_ray_address_from_environment
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ModuleNotFoundError:
    raise UsageError("Ray is not installed", hint="`pip install 'latxa-cli[ray]'`") from None

# A worker, its machine or its result was lost; `Executor.map` does the task again.
LOST = (
    exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError, exceptions.ObjectLostError,
    exceptions.RaySystemError, exceptions.TaskUnschedulableError,
)  # fmt: skip


class Cluster(Executor):
    """The cluster that runs on this machine, or that `RAY_ADDRESS` names; each task takes one core of it."""

    def __init__(self, workers: int | None, most: float) -> None:
        try:
            address = get_ray_address_from_environment("auto", None)
        except ConnectionError:
            hint = "`ray start --head` starts one; `ray start --address=HEAD:6379` on other machines joins it"
            raise LatxaError("there is no running Ray cluster", hint=hint) from None
        _check_answers(address)
        try:
            ray.init(address=address, logging_level=logging.CRITICAL, log_to_driver=False)
        except (ConnectionError, RuntimeError) as error:  # for example another version of Ray or Python there
            raise LatxaError(f"the Ray cluster at `{address}` cannot be used: {first_line(error)}") from None
        # Ray would report lost machines on stdout, among the data.
        ray._private.worker._worker_logs_enabled = False
        self.workers = workers or one_a_core(ray.cluster_resources().get("CPU", 1), most)
        self.remote = ray.remote(max_retries=0)(_do)

    def check(self, file: Path) -> None:
        """Raise LatxaError for a machine that has another version of `latxa`, or does not see `file`."""
        checks = {}
        for node in ray.nodes():
            if node["Alive"] and node["Resources"].get("CPU"):
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                task = self.remote.options(num_cpus=0, scheduling_strategy=there).remote(
                    str(Path.cwd()), _version_and_file, str(file)
                )
                checks[node["NodeManagerAddress"]] = task
        for address, task in checks.items():
            try:
                version, sees = self._result(task)
            except Died as death:
                raise LatxaError(f"{address}, a machine of the Ray cluster, {death.cause}") from None
            if version != __version__:
                hint = "install the same one on all machines"
                raise LatxaError(f"{address}, a machine of the Ray cluster, has `latxa` {version}", hint=hint)
            if not sees:
                hint = "inputs, outputs and the work folder (`--work`) must be on a file system that all share"
                raise LatxaError(f"{address}, a machine of the Ray cluster, does not see `{file.parent}`", hint=hint)

    def close(self) -> None:
        ray.shutdown()

    def _start(self, function: Callable[[Any], Any], task: object) -> Any:
        return self.remote.remote(str(Path.cwd()), function, task)

    def _wait(self, handles: list[Any]) -> list[Any]:
        return ray.wait(handles)[0]

    def _result(self, handle: Any) -> Any:
        try:
            result, error = ray.get(handle)
        except exceptions.RayTaskError as failed:
            if isinstance(failed.cause, ModuleNotFoundError | exceptions.RaySystemError):
                reason = getattr(failed.cause, "client_exc", failed.cause)
                hint = "install the same `latxa-cli` on all machines"
                raise LatxaError(f"a machine of the Ray cluster cannot do it: {reason}", hint=hint) from None
            raise  # a bug
        except exceptions.LocalRayletDiedError:
            hint = "start it again; with `-o FILE`, `--resume` continues"
            raise LatxaError("Ray has ended on this machine", hint=hint) from None
        except LOST as lost:
            raise Died(f"was lost ({first_line(lost)})") from None
        if error is not None:
            raise error
        return result

    def _stop(self, handle: Any) -> None:
        ray.cancel(handle, force=True)


def _check_answers(address: str) -> None:
    """Raise LatxaError where nothing answers at the address; Ray itself would try for minutes."""
    if "://" in address:
        return
    host, _, port = address.rpartition(":")
    try:
        create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, ValueError):
        hint = "has it been stopped? `ray start --head` starts one; `RAY_ADDRESS` names another"
        raise LatxaError(f"the Ray cluster at `{address}` does not answer", hint=hint) from None


def _do(folder: str, function: Callable[[Any], Any], task: object) -> tuple[Any, LatxaError | None]:
    """Do a task in the folder in which the run was started."""
    try:
        os.chdir(folder)
        return do(function, task), None
    except LatxaError as error:
        return None, error


def _version_and_file(file: str) -> tuple[str, bool]:
    """Return this machine's version of `latxa`, and whether it sees the file."""
    return __version__, Path(file).exists()
