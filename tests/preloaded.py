"""Calls of the command in processes that have torch, transformers and the like loaded already.

Most of a short run is Python importing its libraries: five seconds of CPU where a model is loaded. So each process of
pytest has a server (`fork_server.py`) that imports them once, and forks for each call. The child runs the installed
script as a new process would: with its own descriptors, arguments, folder, environment, process group and signals, and
with nothing in its modules but what imports put there. `Call` is a `subprocess.Popen` of such a child.

What is not as in a new process:

- Libraries are in `sys.modules` from the start, and have read the environment of the server. So a call is made with the
  installed command where its environment differs from that in a variable which is not `FREE`.
- All calls of a server have one hash seed: tests that compare them with each other do not see the order of sets.
- It begins with the memory of all libraries and of the model that tells languages apart.
- With `--workers`, the fork server of `multiprocessing` is a fork too, with all libraries, which saves two seconds.
- In the end, its modules are not taken apart, and what libraries registered at their import is not undone.

So tests of closed pipes, terminals, signals, limits and start-up call the installed command (the fixture `installed`,
or `tiny.BINARY`). The contract tests run each verb both ways and compare.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from pkgutil import walk_packages
from threading import Lock
from typing import Any

import fork_server

import latxa_cli

# What verbs import on their way to work. Left out is what speaks when imported (deepspeed) and what few use (ray).
MODULES = (
    *(name for _, name, _ in walk_packages(latxa_cli.__path__, "latxa_cli.") if name != "latxa_cli.stages.ray"),
    "typer._click.decorators", "typer._adapters", "pydantic.type_adapter", "pydantic.plugin._schema_validator",
    "tomllib", "msgspec.json", "orjson", "xxhash", "zstandard", "aiohttp", "rich.progress", "ftfy", "numpy",
    "scipy.stats", "scipy.optimize", "scipy.sparse.linalg", "numba", "pyarrow.parquet", "torch", "torch._dynamo",
    "safetensors.torch", "transformers", "transformers.models.llama.modeling_llama", "datasets", "lm_eval.tasks",
)  # fmt: skip
# Variables that none of these reads when imported. DeepSpeed sets the last one, in tests that import it themselves.
FREE = {
    "PATH", "OPENAI_API_KEY", "NO_COLOR", "COLUMNS", "LINES", "TERM", "PYTEST_CURRENT_TEST", "RAY_ADDRESS",
    "PYTORCH_NVML_BASED_CUDA_CHECK",
}  # fmt: skip
# What a call may be given; all else (`preexec_fn` …) is for the installed command.
OPTIONS = {"stdin", "stdout", "stderr", "input", "cwd", "timeout", "env"}


class Server:
    """The process that forks for each call; it is started at the first one, and anew when it has died."""

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self._modules = modules
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None  # which the server's life depends on
        self._environment: dict[str, str] = {}
        self._changed: set[str] = set()  # names of variables that imports set

    def foreign(self, environment: Mapping[str, str]) -> set[str]:
        """Return the variables for which libraries, had they been imported in this environment, might be others."""
        with self._lock:
            self._control = self._control or self._start()
        names = {*environment, *self._environment} - FREE - self._changed
        return {name for name in names if environment.get(name) != self._environment.get(name)}

    def begin(self, request: dict[str, Any], descriptors: list[int]) -> tuple[int, socket.socket]:
        """Return the process id of a new child, and the socket that its wait status will come from."""
        body = json.dumps(request).encode()
        for _ in range(2):
            ours, theirs = socket.socketpair()
            with self._lock:
                self._control = self._control or self._start()
                with theirs, suppress(OSError):  # it has died, as `received` tells
                    socket.send_fds(self._control, [b"\n"], [theirs.fileno()])
                    socket.send_fds(ours, [struct.pack("!I", len(body))], descriptors)
                    ours.sendall(body)
                if child := received(ours):
                    return child, ours
                self._end()
            ours.close()
        raise RuntimeError("the server of `tests/preloaded.py` dies")

    def _start(self) -> socket.socket:
        self._environment = dict(os.environ)
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, fork_server.__file__, str(theirs.fileno()), *self._modules],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        ready = control.recv(1 << 16)
        assert ready, "it says why on its stderr"
        self._changed = set(json.loads(ready))
        return control

    def _end(self) -> None:
        if self._control and self._process:
            self._control.close()
            self._process.wait()
            self._control = None

    def close(self) -> None:
        """End the server and its children."""
        with self._lock:
            self._end()


def received(call: socket.socket) -> int | None:
    """Return the next number that the server says of a call, None when it has died."""
    try:
        return struct.unpack("!i", call.recv(4, socket.MSG_WAITALL))[0]
    except (struct.error, ConnectionResetError):
        return None


class Call(subprocess.Popen[bytes]):
    """A process of the command, forked from a server."""

    def __init__(self, server: Server, command: Sequence[str | Path], **options: Any) -> None:
        self._server = server
        self._call: socket.socket | None = None
        super().__init__([os.fspath(word) for word in command], **options)

    def _execute_child(  # type: ignore[override]
        self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell,
        p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *others,
    ) -> None:  # fmt: skip
        request = {
            "arguments": args, "cwd": str(Path(cwd or Path.cwd()).absolute()),
            "environment": dict(os.environ if env is None else env),
        }  # fmt: skip
        given = [own if own != -1 else inherited for inherited, own in enumerate((p2cread, c2pwrite, errwrite))]
        self.pid, self._call = self._server.begin(request, given)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self._wait(0)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None and self._call and self._call.fileno() < 0:
            self.returncode = -signal.SIGKILL  # a failed test dropped it, and `subprocess` asks for it ever after
        if self.returncode is None and self._call:
            if not select.select([self._call], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            status = received(self._call)
            self._call.close()
            if status is None:
                raise RuntimeError("the server of `tests/preloaded.py` died during a call")
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def kill_all(self) -> None:
        """Kill the process and all of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def run(server: Server, command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Do what `subprocess.run(command, …)` does, with a forked process where the options and the environment allow."""
    environment = options.get("env")
    if not set(options) <= OPTIONS or server.foreign(os.environ if environment is None else environment):
        return subprocess.run(command, check=False, **options)
    given, timeout = options.pop("input", None), options.pop("timeout", None)
    if given is not None:
        options["stdin"] = subprocess.PIPE
    with Call(server, command, **options) as call:
        try:
            stdout, stderr = call.communicate(given, timeout)
        except BaseException:
            call.kill_all()
            raise
    return subprocess.CompletedProcess(call.args, call.returncode, stdout, stderr)
