"""Which of several processes this one is, as the program that started it says: torchrun, deepspeed, srun, or none.

    torchrun --nproc-per-node 8 --no-python latxa train …
    deepspeed --num_gpus 8 --no_local_rank --no_python latxa train …
    srun --ntasks-per-node 8 latxa train …

torchrun and deepspeed set `RANK`, `WORLD_SIZE` and the address of the first process; SLURM numbers its tasks and names
the nodes, and the address is that of the first of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from latxa_cli.stream.errors import LatxaError, UsageError

FIRST_PORT, PORTS = 20_000, 10_000  # where SLURM's jobs meet: one of these, by the number of the job


@dataclass(frozen=True, slots=True)
class Launch:
    """This process among `world` of them: its `rank`, its number on its machine, and where the first one listens."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    address: str = "127.0.0.1"
    port: int = 0


def find(environment: Mapping[str, str] | None = None) -> Launch:
    """Return what the launcher says in the environment (default: that of the process).

    Raises UsageError where it says half of what is needed.
    """
    given = os.environ if environment is None else environment
    if "RANK" in given and "WORLD_SIZE" in given:
        return _of_torchrun(given)
    if int(given.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in given and "SLURM_STEP_ID" in given:
        return _of_slurm(given)
    return Launch()


def _of_torchrun(given: Mapping[str, str]) -> Launch:
    world = int(given["WORLD_SIZE"])
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in given]
    if world > 1 and missing:
        raise UsageError(
            f"`WORLD_SIZE` is {world} and `{missing[0]}` is not set", hint="start with torchrun, deepspeed or srun"
        )
    return Launch(
        rank=int(given["RANK"]),
        world=world,
        local_rank=int(given.get("LOCAL_RANK", "0")),
        local_world=int(given.get("LOCAL_WORLD_SIZE", given.get("LOCAL_SIZE", "1"))),
        address=given.get("MASTER_ADDR", "127.0.0.1"),
        port=int(given.get("MASTER_PORT", "0")),
    )


def _of_slurm(given: Mapping[str, str]) -> Launch:
    nodes = given.get("SLURM_STEP_NODELIST") or given.get("SLURM_JOB_NODELIST") or given.get("SLURM_NODELIST", "")
    job = int(given.get("SLURM_JOB_ID", "0")) * 31 + int(given.get("SLURM_STEP_ID", "0"))
    tasks = re.match(r"\d+", given.get("SLURM_STEP_TASKS_PER_NODE", given.get("SLURM_TASKS_PER_NODE", "1")))
    return Launch(
        rank=int(given["SLURM_PROCID"]),
        world=int(given["SLURM_NTASKS"]),
        local_rank=int(given.get("SLURM_LOCALID", "0")),
        local_world=int(tasks[0]) if tasks else 1,
        address=given.get("MASTER_ADDR") or first_node(nodes) or "127.0.0.1",
        port=int(given.get("MASTER_PORT") or FIRST_PORT + job % PORTS),
    )


def first_node(nodes: str) -> str:
    """Return the first of SLURM's list of nodes, such as `gpu[03-07,12],login1`: here `gpu03`."""
    first = re.match(r"(?:[^\[,]|\[[^\]]*\])*", nodes)
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first[0]) if first else ""


@contextmanager
def alike(launch: Launch) -> Iterator[None]:
    """Let the first process of each machine alone tell of errors that all there meet; the others end without a word."""
    try:
        yield
    except LatxaError as error:
        if launch.local_rank:
            raise SystemExit(error.exit_code) from None
        raise


def announce(launch: Launch) -> None:
    """Set the variables of torchrun, which DeepSpeed and NCCL look for, where another program started the process."""
    for name, value in (
        ("RANK", launch.rank), ("WORLD_SIZE", launch.world), ("LOCAL_RANK", launch.local_rank),
        ("LOCAL_WORLD_SIZE", launch.local_world), ("MASTER_ADDR", launch.address), ("MASTER_PORT", launch.port),
    ):  # fmt: skip
        os.environ.setdefault(name, str(value))
