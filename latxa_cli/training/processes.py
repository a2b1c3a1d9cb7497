"""Several processes on one or many machines: how they meet, what they agree on before work, and who watches them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from socket import gethostname
from typing import Any

import torch
import torch.distributed as dist

from latxa_cli.launch import Launch
from latxa_cli.stream.errors import LatxaError, first_line

MEETING = timedelta(minutes=5)  # for all to come: loading libraries from a busy file system takes its time
ANSWER = timedelta(seconds=60)  # for the first exchange, once all are there
EXCHANGE = timedelta(minutes=60)  # for any other: while one hashes or writes a large model, the others wait


class Processes:
    """The processes of a run, this one among them. One alone needs no network."""

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
        return self.rank == 0

    def meet(self, *, always: bool = False) -> None:
        """Wait until all processes are there, and try an exchange; `always`: also for one alone (DeepSpeed).

        The address is that of `latxa_cli.launch.announce`. Raises:
            LatxaError: they do not come, or cannot talk to each other.
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
        except RuntimeError as error:  # torch's own errors of the network are of this kind
            raise LatxaError(
                f"process {self.rank} of {self.world} on `{gethostname()}` does not reach the others at "
                f"{self.launch.address}:{self.launch.port}: {first_line(error)}",
                hint="did all of them start, and may their machines open that port?",
            ) from None

    def _try_exchange(self) -> None:
        counted = torch.ones(1, device=self.device)
        work = dist.all_reduce(counted, async_op=True)
        assert work is not None
        work.wait(ANSWER)
        if int(counted.item()) != self.world:
            raise RuntimeError(f"a sum over all came to {counted.item()}")

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Compare what each process has with what the first one has: versions, data, settings.

        Raises:
            LatxaError: one of them has something else.
        """
        told = self.all({"machine": gethostname(), **facts})
        first = told[0]
        for rank, other in enumerate(told):
            for name in facts:
                if other.get(name) != first.get(name):
                    raise LatxaError(
                        f"process {rank} on `{other['machine']}` has {name} `{other.get(name)}`, the first one on "
                        f"`{first['machine']}` has `{first.get(name)}`",
                        hint="all processes need the same installation and the same files",
                    )

    def sum(self, *values: float) -> list[float]:
        """Return sums over all processes, of float64."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def from_first(self, value: Any) -> Any:
        """Return the `value` of the first process."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def all(self, value: Any) -> list[Any]:
        """Return the values of all processes, in order of rank."""
        values: list[Any] = [value]
        if self.world > 1:
            values *= self.world
            dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Wait until all are here."""
        self.sum(0.0)

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Turn torch's error when another process is gone into one line, whatever these were doing together."""
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

    def part(self) -> None:
        """Leave the others."""
        if dist.is_initialized():
            dist.destroy_process_group()


class Watchdog:
    """Ends the process when nothing has been done for `minutes`, so that a job that hangs does not burn hours."""

    def __init__(self, minutes: float, give_up: Callable[[str, str], None]) -> None:
        self.seconds = minutes * 60
        self._give_up = give_up
        self._seen = time.monotonic()
        self._stopped = threading.Event()
        if minutes:
            threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def alive(self) -> None:
        """Say that something was done."""
        self._seen = time.monotonic()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(min(10.0, self.seconds / 10)):
            quiet = time.monotonic() - self._seen
            if quiet > self.seconds:
                self._give_up(
                    f"process {os.getpid()} on `{gethostname()}` has done no step for {quiet / 60:.1f} minutes",
                    "`--resume` goes on from the newest checkpoint",
                )
