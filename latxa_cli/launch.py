"""The rank of this process among others that torchrun, deepspeed or srun started with it.

    torchrun --nproc-per-node 8 --no-python latxa train …
    deepspeed --num_gpus 8 --no_local_rank --no_python latxa train …
    srun --ntasks-per-node 8 latxa train …

torchrun and deepspeed set `RANK`, `WORLD_SIZE` and the address of the first process. SLURM numbers its tasks and names
the nodes; there the address is the first node.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from latxa_cli.stream.errors import LatxaError, UsageError, exit_code_of

FIRST_PORT, PORTS = 20_000, 10_000  # a job of SLURM uses one of these ports, by the job's number


@dataclass(frozen=True, slots=True)
class Launch:
    """This process among `world` processes: its ranks, and the address and port at which the first one listens."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    address: str = "127.0.0.1"
    port: int = 0


def find(environment: Mapping[str, str] | None = None) -> Launch:
    """Return the launch that the environment describes (default: that of this process).

    Raises UsageError where a variable is missing.
    """
    variables = os.environ if environment is None else environment
    if "RANK" in variables and "WORLD_SIZE" in variables:
        return _of_torchrun(variables)
    if int(variables.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in variables and "SLURM_STEP_ID" in variables:
        return _of_slurm(variables)
    return Launch()


def _of_torchrun(variables: Mapping[str, str]) -> Launch:
    world = int(variables["WORLD_SIZE"])
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in variables]
    if world > 1 and missing:
        raise UsageError(
            f"`WORLD_SIZE` is {world} and `{missing[0]}` is not set", hint="start with torchrun, deepspeed or srun"
        )
    return Launch(
        rank=int(variables["RANK"]),
        world=world,
        local_rank=int(variables.get("LOCAL_RANK", "0")),
        local_world=int(variables.get("LOCAL_WORLD_SIZE", variables.get("LOCAL_SIZE", "1"))),
        address=variables.get("MASTER_ADDR", "127.0.0.1"),
        port=int(variables.get("MASTER_PORT", "0")),
    )


def _of_slurm(variables: Mapping[str, str]) -> Launch:
    lists = ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")
    nodes = next((variables[name] for name in lists if variables.get(name)), "")
    job = int(variables.get("SLURM_JOB_ID", "0")) * 31 + int(variables.get("SLURM_STEP_ID", "0"))
    tasks = re.match(r"\d+", variables.get("SLURM_STEP_TASKS_PER_NODE", variables.get("SLURM_TASKS_PER_NODE", "1")))
    return Launch(
        rank=int(variables["SLURM_PROCID"]),
        world=int(variables["SLURM_NTASKS"]),
        local_rank=int(variables.get("SLURM_LOCALID", "0")),
        local_world=int(tasks[0]) if tasks else 1,
        address=variables.get("MASTER_ADDR") or first_node(nodes) or "127.0.0.1",
        port=int(variables.get("MASTER_PORT") or FIRST_PORT + job % PORTS),
    )


def first_node(nodes: str) -> str:
    """Return the first node in one of SLURM's lists: `gpu03` in `gpu[03-07,12],login1`."""
    first = re.match(r"(?:[^\[,]|\[[^\]]*\])*", nodes)
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first[0]) if first else ""


@contextmanager
def alike(launch: Launch) -> Iterator[None]:
    """Let only the first process of a machine report what ends all of them; the others exit silently."""
    try:
        yield
    except (LatxaError, KeyboardInterrupt) as error:
        if launch.local_rank:
            raise SystemExit(error.exit_code if isinstance(error, LatxaError) else exit_code_of(error)) from None
        raise


def announce(launch: Launch) -> None:
    """Set torchrun's variables, which DeepSpeed and NCCL read, for processes that another program started."""
    for name, value in (
        ("RANK", launch.rank), ("WORLD_SIZE", launch.world), ("LOCAL_RANK", launch.local_rank),
        ("LOCAL_WORLD_SIZE", launch.local_world), ("MASTER_ADDR", launch.address), ("MASTER_PORT", launch.port),
    ):  # fmt: skip
        os.environ.setdefault(name, str(value))
