"""vLLM's server with a small model on a CPU, for tests: `with serving(model, log) as url:`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

SERVE = (
    "--enforce-eager", "--dtype", "float32", "--kv-cache-memory-bytes", "64M", "--max-num-seqs", "16",
    "--served-model-name", "tiny", "--disable-uvicorn-access-log",
)  # fmt: skip
SECONDS = 400  # the server starts two processes, each of which loads everything


@contextlib.contextmanager
def serving(model: Path, log: Path, *words: str) -> Iterator[str]:
    """Give the address of a server that has `model` under the name `tiny`.

    log: where it says what it does. words: more of its arguments.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not `vllm serve`, which wants to know the version of the package `vllm`; the CPU build has another name.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model, *SERVE]
    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), *words],
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + SECONDS
        while not listens(port):
            assert process.poll() is None and time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):  # its processes too
            os.killpg(process.pid, signal.SIGKILL)


def listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0
