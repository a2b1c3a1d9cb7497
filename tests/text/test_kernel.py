"""Kernels are kept from run to run, made anew when what they call has changed, and need no place to write to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import latxa_cli

ROOMS = ("text", "corpus", "mixing")  # those that have kernels
CALLEE = (
    "from latxa_cli.text.kernel import kernel\n\n\n@kernel\ndef number(value: int) -> int:\n    return value + {}\n"
)
CALLER = """
from latxa_cli.text.kernel import kernel
from latxa_cli.text.callee import number

@kernel
def call(value: int) -> int:
    return number(value) * 10

print(call(1), call.stats.cache_hits.total(), call.stats.cache_misses.total())
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package in which two rooms have a kernel more."""
    ours = tmp_path / "latxa_cli"
    shutil.copytree(Path(latxa_cli.__file__).parent, ours, ignore=shutil.ignore_patterns("__pycache__"))
    (ours / "text" / "callee.py").write_text(CALLEE.format(1))
    (ours / "corpus" / "caller.py").write_text(CALLER)
    return ours


def run(package: Path, **environment: str) -> list[int]:
    """Return what the caller says: a result, and how often its machine code was found and not found."""
    done = subprocess.run(
        [sys.executable, "-c", "import latxa_cli.corpus.caller"], cwd=package.parent, check=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
    )  # fmt: skip
    return [int(word) for word in done.stdout.split()]


def test_a_change_of_what_is_called_is_noticed(package: Path) -> None:
    assert run(package) == [20, 0, 1]
    assert run(package) == [20, 1, 0]
    (package / "text" / "callee.py").write_text(CALLEE.format(2))
    assert run(package) == [30, 0, 1]


def without_a_place(package: Path) -> dict[str, str]:
    """Leave no place where machine code could be kept, and return the environment for that."""
    blocked = package.parent / "file"
    blocked.write_text("a file where folders would have to be")
    for room in ROOMS:
        (package / room / "__pycache__").write_text("")
    return dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME"), str(blocked))


def test_there_may_be_no_place_to_keep_it(package: Path) -> None:
    nowhere = without_a_place(package)
    assert run(package, **nowhere)[0] == 20
    assert run(package, **nowhere)[0] == 20


def test_every_kernel_is_one_of_ours(package: Path) -> None:
    """Those of numba's own would fail where there is no place to keep them, as soon as they are imported."""
    modules = [f"latxa_cli.{room}.{path.stem}" for room in ROOMS for path in (package / room).glob("[a-z]*.py")]
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(modules)}"], cwd=package.parent, capture_output=True, text=True,
        check=False, env=os.environ | {"PYTHONPATH": str(package.parent)} | without_a_place(package),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
