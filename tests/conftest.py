"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import preloaded
import pytest
import relay
import tiny
from hypothesis import settings
from tiny import Latxa

settings.register_profile("latxa", deadline=None)  # machines are shared, and first examples wait for compiled code
settings.load_profile("latxa")

Environment = dict[str, str]
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real text for tests; it is not part of the repository."""
    return _present(SHARED / "data")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """The folder of small inputs that once failed; it is not part of the repository."""
    return _present(SHARED / "cases")


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """The folder of published numbers to reproduce; it is not part of the repository."""
    return _present(SHARED / "reference")


def _present(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"needs `{folder.parent.name}/{folder.name}` beside the checkout")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A page of a real Chromium as large as that of a laptop; see `chromium.Page`."""
    from chromium import chromium

    with chromium() as page:
        page.look()
        yield page


def pytest_configure() -> None:
    """Keep what tests load out of the user's cache of datasets, where it could be taken for the real ones."""
    os.environ["HF_DATASETS_CACHE"] = tempfile.mkdtemp(prefix="latxa-datasets-")


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ.pop("HF_DATASETS_CACHE"), ignore_errors=True)


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """Take back what a test sets in the environment, or a verb that it runs in this process, such as `RANK`.

    From then on, `latxa` would be the installed command, which costs ten times as much: see `tests/preloaded.py`.
    """
    before = dict(os.environ)
    yield
    changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
    for name in changed - {"PYTEST_CURRENT_TEST"}:
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]


# The modules that take longest come first: then no process is left alone with one in the end.
LONGEST = (
    "test_quickstart", "test_resume", "test_pipes", "test_several_processes", "test_ray_verbs", "test_corpus_kills",
    "test_corpus_hostile", "test_cases", "test_train_hostile", "test_prepare_command", "test_corpus_command",
    "test_suites", "test_ray", "test_guides", "test_slurm",
)  # fmt: skip
TOGETHER = "tests/contract"  # the folder whose modules share what takes long to make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Do a module in one process, and the folder `TOGETHER` too."""
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Modules(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = super()._split_scope(nodeid)
            return TOGETHER if module.startswith(TOGETHER) else module

    return Modules(config, log)


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
def shell_environment(tmp_path_factory: pytest.TempPathFactory, fork_server: preloaded.Server) -> Iterator[Environment]:
    """An environment in which a shell finds `latxa`, loaded already; beside vLLM the installed command."""
    if find_spec("vllm"):
        yield os.environ | {"PATH": f"{tiny.BINARY.parent}{os.pathsep}{os.environ['PATH']}"}
        return
    with relay.Relay(fork_server, tmp_path_factory.mktemp("relay") / "bin") as environment:
        yield environment


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
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what an installation brings, and nothing else of the checkout."""
    pytest.importorskip("hatchling", reason="needs hatchling, which `recipes/install.sh dev` installs")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory, latxa: Latxa) -> Path:
    """A folder with two models made by `latxa` itself, and what they were made of.

    `base`: new, with random weights. `trained`: has seen translations (`English: …\\nEuskara: …`) and short chats, so
    that it ends its answers and its lines. `config.json`, `train.jsonl`: their configuration and training data.
    """
    folder = tmp_path_factory.mktemp("models")
    tiny.make_models(folder, latxa)
    return folder
