"""Work in stages of tasks, on this machine or on a Ray cluster, with a record of the tasks that are done.

A stage function is a pure function of one small task and of files that earlier stages left. It writes its own files
with the helpers named here, and returns a small dict.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from latxa_cli.stages.executor import Executor, Local, cores, one_a_core
from latxa_cli.stages.wiring import day_of, open_work, plan_of
from latxa_cli.stages.work import Work
from latxa_cli.stream.files import load_array, new_file, save_array, save_bytes

__all__ = [
    "Executor", "Work", "cores", "day_of", "load_array", "new_file", "open_executor", "open_work", "plan_of",
    "save_array", "save_bytes",
]  # fmt: skip


def open_executor(kind: str, workers: int | None = None, preload: Sequence[str] = (), *, most: float = inf) -> Executor:
    """Return the executor of a kind: `local` processes, or `ray`, the running Ray cluster; use it in a `with` block.

    - workers: tasks at once; by default one per core of this machine or of the cluster, and at most `most`.
    - preload: modules that local processes import once for all.

    Raises LatxaError where no cluster is running, UsageError where Ray is not installed.
    """
    if kind == "ray":
        from latxa_cli.stages.ray import Cluster

        return Cluster(workers, most)
    return Local(workers or one_a_core(cores(), most), preload)
