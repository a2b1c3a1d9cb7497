"""`latxa` on several processes, forked from one that has the libraries loaded: they start in a second, not in ten.

    with Several() as several:
        several.start(["train", "prepared", …], world=2, cwd=folder).wait()

Each process has the variables that torchrun sets, and runs `latxa_cli.cli.main`, as the installed command does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from traceback import print_exc
from typing import Any

MODULES = (
    "deepspeed.runtime.zero.muon.muon_optimizer", "transformers.models.llama.modeling_llama", "latxa_cli.cli",
    "latxa_cli.commands.train", "latxa_cli.training.session", "latxa_cli.training.backends.deepspeed_backend",
)  # fmt: skip


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


class Job:
    """Processes of one run. `logs`: of each, what it says on stdout and stderr together."""

    def __init__(self, several: Several, pids: list[int], logs: list[Path]) -> None:
        self.several, self.pids, self.logs = several, pids, logs

    def codes(self) -> list[int | None]:
        """Return the exit code of each process, None for one that runs."""
        codes: list[int | None] = self.several.ask({"poll": self.pids})
        return codes

    def wait(self, timeout: float = 120) -> list[int | None]:
        """Wait for all to end and return their exit codes; end them and fail when it takes too long."""
        until(lambda: None not in self.codes(), timeout, self)
        return self.codes()

    def kill(self, number: int = signal.SIGKILL, *, ranks: Sequence[int] | None = None) -> None:
        codes = self.codes()
        for rank, pid in enumerate(self.pids):
            if codes[rank] is None and (ranks is None or rank in ranks):
                os.kill(pid, number)

    def said(self, rank: int = 0) -> str:
        return self.logs[rank].read_text(encoding="utf-8")


def until(condition: Callable[[], bool], timeout: float, job: Job) -> None:
    """Wait for a condition; end the job and fail when it takes too long."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            said = [job.said(rank) for rank in range(len(job.pids))]
            job.kill()
            raise AssertionError(f"it takes more than {timeout} s; the processes said {said}")
        time.sleep(0.02)


class Several:
    """The process that others are forked from."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._server.stdin and self._server.stdout
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def start(self, *commands: Sequence[str | Path], world: int = 1, cwd: Path) -> Job:
        """Start `latxa` with the same arguments in every process, or with those of its own for each."""
        commands = commands * world if len(commands) == 1 else commands
        port = free_port()
        pids, logs = [], []
        for rank, command in enumerate(commands):
            logs.append(cwd / f"{port}-{rank}.log")
            logs[-1].touch()
            several = {
                "RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": world,
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
            }  # fmt: skip
            environment = {name: str(value) for name, value in several.items()} if world > 1 else {}
            pids.append(
                self.ask({
                    "fork": list(map(str, command)), "cwd": str(cwd), "log": str(logs[-1]), "environment": environment,
                })
            )  # fmt: skip
        return Job(self, pids, logs)

    def __enter__(self) -> Several:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait()


def serve() -> None:
    """Answer requests until stdin ends; a forked process leaves this function by the end of `latxa`."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # where DeepSpeed writes when it is imported
    for module in MODULES:
        import_module(module)
    ended: dict[int, int | None] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            for pid in request["poll"]:
                if ended[pid] is None and (found := os.waitpid(pid, os.WNOHANG))[0]:
                    ended[pid] = os.waitstatus_to_exitcode(found[1])
            answer: Any = [ended[pid] for pid in request["poll"]]
        else:
            answer = os.fork()
            if not answer:
                run(request)
            ended[answer] = None
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid, code in ended.items():
        if code is None:
            os.kill(pid, signal.SIGKILL)
    os._exit(0)  # since taking an interpreter apart that holds so much takes seconds


def run(request: dict[str, Any]) -> None:
    """Be `latxa`: never returns."""
    log = os.open(request["log"], os.O_WRONLY | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(request["cwd"])
    os.environ.update(request["environment"])
    sys.argv = ["latxa", *request["fork"]]
    code: Any = 1
    try:
        import_module("latxa_cli.cli").main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # likewise


if __name__ == "__main__":
    serve()
