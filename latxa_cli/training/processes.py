"""The processes of a run, on one machine or many: they meet, agree on their facts, exchange values and are watched."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from socket import gethostname
from typing import TypeVar

import torch
import torch.distributed as dist

from latxa_cli.launch import Launch
from latxa_cli.stream.errors import LatxaError, first_line

Value = TypeVar("Value")

MEETING = timedelta(minutes=5)  # until all have come: to load libraries from a busy file system takes long
ANSWER = timedelta(seconds=60)  # of the first exchange, once all have come
EXCHANGE = timedelta(minutes=60)  # of any other: while one process hashes or writes a large model, the others wait
# The groups that this process has left. One that DistributedDataParallel were the last to hold would be taken apart
# under the interpreter's lock, and wait for the thread of gloo, which may wait for that lock: the process would hang.
_LEFT: list[object] = []


class Processes:
    """The processes of a run, seen from this one; a single process needs no network."""

    def __init__(self, launch: Launch | None = None, device: torch.device | None = None) -> None:
        self.launch = launch or Launch()
        self.device = device or torch.device("cpu")

    @property
    def rank(self) -> int:
        return self.launch.rank

    @property
    def world(self) -> int:
        return self.launch.world

    @property
    def is_first(self) -> bool:
        """Whether this process writes and talks for all."""
        return self.rank == 0

    def meet(self, *, always: bool = False) -> None:
        """Wait until all processes have come, and try an exchange.

        Their address is that of `latxa_cli.launch.announce`.

        Args:
            always: prepare for exchanges even in a single process, as DeepSpeed needs it.

        Raises:
            LatxaError: a process does not come, or cannot reach the others.
        """
        if (self.world == 1 and not always) or dist.is_initialized():
            return
        kind = "cpu:gloo,cuda:nccl" if self.device.type == "cuda" else "gloo"
        if self.world == 1:
            dist.init_process_group(kind, store=dist.HashStore(), rank=0, world_size=1)
            return
        try:
            store, rank, world = next(dist.rendezvous("env://", timeout=MEETING))
            dist.init_process_group(kind, store=store, rank=rank, world_size=world, timeout=EXCHANGE)
            self._try_exchange()
        except RuntimeError as error:  # the base of torch's errors of the network
            raise LatxaError(
                f"process {self.rank} of {self.world} on `{gethostname()}` does not reach the others at "
                f"{self.launch.address}:{self.launch.port}: {first_line(error)}",
                hint="did all of them start, and may their machines open that port?",
            ) from None

    def _try_exchange(self) -> None:
        count = torch.ones(1, device=self.device)
        work = dist.all_reduce(count, async_op=True)
        assert work is not None
        work.wait(ANSWER)
        if int(count.item()) != self.world:
            raise RuntimeError(f"a sum over all came to {count.item()}")

    def agree(self, facts: Mapping[str, object]) -> None:
        """Compare the facts of each process (versions, data, settings) with those of the first one.

        Raises:
            LatxaError: two processes have different facts.
        """
        facts_of_all = self.all({"machine": gethostname(), **facts})
        first = facts_of_all[0]
        for rank, other in enumerate(facts_of_all):
            for name in facts:
                if other.get(name) != first.get(name):
                    raise LatxaError(
                        f"process {rank} on `{other['machine']}` has {name} `{other.get(name)}`, the first one on "
                        f"`{first['machine']}` has `{first.get(name)}`",
                        hint="all processes need the same installation and the same files",
                    )

    def sum(self, *values: float) -> list[float]:
        """Return the sum of each value over all processes, in float64."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def from_first(self, value: Value) -> Value:
        """Return the `value` of the first process."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def all(self, value: Value) -> list[Value]:
        """Return the values of all processes, in order of rank."""
        values = [value]
        if self.world > 1:
            values *= self.world
            dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Wait until all processes have reached this point."""
        self.sum(0.0)

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Turn torch's errors about a process that is gone into a LatxaError of one line."""
        try:
            yield
        except RuntimeError as error:
            text = str(error)
            if self.world == 1 or not any(sign in text for sign in ("onnection", "gloo", "NCCL", "imed out", "imeout")):
                raise
            raise LatxaError(
                f"process {self.rank} of {self.world} lost the others: {first_line(error)}",
                hint="its own message says why one ended; `--resume` goes on from the newest checkpoint",
            ) from None

    def leave(self) -> None:
        """Leave the group of processes."""
        if dist.is_initialized():
            _LEFT.append(dist.group.WORLD)
            dist.destroy_process_group()


class Watchdog:
    """A thread that calls `give_up` after `minutes` without progress, so that a job that hangs does not burn hours."""

    def __init__(self, minutes: float, give_up: Callable[[str, str], None]) -> None:
        self.seconds = minutes * 60
        self._give_up = give_up
        self._seen = time.monotonic()
        self._stopped = threading.Event()
        if minutes:
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def alive(self) -> None:
        """Report progress."""
        self._seen = time.monotonic()

    def stop(self) -> None:
        """End the watch."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(min(10.0, self.seconds / 10)):  # a hang is seen a tenth of the time late at most
            quiet = time.monotonic() - self._seen
            if quiet > self.seconds:
                self._give_up(
                    f"process {os.getpid()} on `{gethostname()}` has done no step for {quiet / 60:.1f} minutes",
                    "`--resume` goes on from the newest checkpoint",
                )
