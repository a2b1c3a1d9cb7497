"""Fixtures that every room's tests share."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import preloaded
import pytest
import tiny
from tiny import Latxa

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real text for tests; it is not part of the repository."""
    return _present(SHARED / "data")


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """The folder of published numbers to reproduce; it is not part of the repository."""
    return _present(SHARED / "reference")


def _present(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"needs `{folder.parent.name}/{folder.name}` beside the checkout")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the quickstart, which takes longest: then no process is left alone with it in the end."""
    items.sort(key=lambda item: "recipes" not in item.path.parts)


# A shell has those that it starts with `&` ignore Ctrl-C, and they hand that down to all that they start themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)


# --- the installed command -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def fork_server() -> Iterator[preloaded.Server]:
    """What forks for calls of the command."""
    with closing(preloaded.Server()) as started:
        yield started


@pytest.fixture(scope="session")
def latxa(tmp_path_factory: pytest.TempPathFactory, fork_server: preloaded.Server) -> Latxa:
    """`latxa(*args, stdin=b"", cwd=…, timeout=…)` runs the command, loaded already, and returns what came of it.

    `stdin` may be a descriptor. Beside vLLM it is the installed command: its libraries start threads of their own when
    they are imported, which no fork survives.
    """
    called = partial(subprocess.run, check=False) if find_spec("vllm") else partial(preloaded.run, fork_server)
    return _calls(tmp_path_factory.mktemp("cwd"), called)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Latxa:
    """`installed(…)` is `latxa(…)` with the installed command: a new process of Python."""
    return _calls(tmp_path_factory.mktemp("cwd"), partial(subprocess.run, check=False))


def _calls(elsewhere: Path, called: Latxa) -> Latxa:
    def run(
        *args: str | Path, stdin: bytes | int = b"", cwd: Path = elsewhere, timeout: float = 120, **options: object
    ) -> subprocess.CompletedProcess[bytes]:
        source = {"stdin": stdin} if isinstance(stdin, int) else {"input": stdin}
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | source | options
        return called([str(tiny.BINARY), *map(str, args)], cwd=cwd, timeout=timeout, **given)

    return run


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory, latxa: Latxa) -> Path:
    """A folder with two models made by `latxa` itself, and what they were made of.

    `base`: new, with random weights. `trained`: has seen translations (`English: …\\nEuskara: …`) and short chats, so
    that it ends its answers and its lines. `config.json`, `train.jsonl`: their configuration and training data.
    """
    folder = tmp_path_factory.mktemp("models")
    tiny.make_models(folder, latxa)
    return folder
