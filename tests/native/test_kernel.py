"""Kernels are kept from run to run, made anew when what they call has changed, and need no place to write to."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import latxa_cli
from latxa_cli import native
from latxa_cli.native.kernel import imported, sources

CALLEE = (
    "from latxa_cli.native.kernel import kernel\n\n\n@kernel\ndef number(value: int) -> int:\n    return value + {}\n"
)
CALLER = """
from latxa_cli.native.kernel import kernel
from latxa_cli.native.callee import number

@kernel
def call(value: int) -> int:
    return number(value) * 10

print(call(1), call.stats.cache_hits.total(), call.stats.cache_misses.total())
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package with two kernels more."""
    ours = tmp_path / "latxa_cli"
    shutil.copytree(Path(latxa_cli.__file__).parent, ours, ignore=shutil.ignore_patterns("__pycache__"))
    (ours / "native" / "callee.py").write_text(CALLEE.format(1))
    (ours / "native" / "caller.py").write_text(CALLER)
    return ours


def run(package: Path, **environment: str) -> list[int]:
    """Return what the caller says: a result, and how often its machine code was found and not found."""
    done = subprocess.run(
        [sys.executable, "-c", "import latxa_cli.native.caller"], cwd=package.parent, check=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
    )  # fmt: skip
    return [int(word) for word in done.stdout.split()]


def test_a_change_of_what_is_called_is_noticed(package: Path) -> None:
    assert run(package) == [20, 0, 1]
    assert run(package) == [20, 1, 0]
    (package / "native" / "callee.py").write_text(CALLEE.format(2))
    assert run(package) == [30, 0, 1]


def test_a_change_of_what_is_not_called_costs_nothing(package: Path) -> None:
    assert run(package) == [20, 0, 1]
    with (package / "native" / "json_lines.py").open("a") as source:
        source.write("# changed\n")
    assert run(package) == [20, 1, 0]


PAIR = """
from typing import NamedTuple
from latxa_cli.native.kernel import kernel

class NAME(NamedTuple):
    left: int
    right: int

@kernel
def call(pair: NAME) -> int:
    return pair.left + pair.right

print(call(NAME(2, 3)), call.stats.cache_hits.total(), call.stats.cache_misses.total())
"""


def test_a_type_of_arguments_may_get_another_name(package: Path) -> None:
    """What an earlier version kept names a class that is not there any more."""
    for name in ("Pair", "Couple"):
        (package / "native" / "caller.py").write_text(PAIR.replace("NAME", name))
        assert run(package) == [5, 0, 1]
        assert run(package) == [5, 1, 0]


MODULES = sorted(Path(native.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_kernel_is_stamped_with_all_that_its_module_imports(module: Path) -> None:
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("latxa_cli"):
            of_room = node.module == "latxa_cli.native"
            found |= {alias.name for alias in node.names} if of_room else {node.module.rpartition(".")[2]}
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("latxa_cli") for alias in node.names), "this would not be seen"
    assert {path.stem for path in imported(module)} == found
    assert all(sources(path) <= sources(module) for path in imported(module))
    assert module in sources(module)


def without_a_place(package: Path) -> dict[str, str]:
    """Leave no place where machine code could be kept, and return the environment for that."""
    blocked = package.parent / "file"
    blocked.write_text("a file where folders would have to be")
    (package / "native" / "__pycache__").write_text("")
    return dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME"), str(blocked))


def test_there_may_be_no_place_to_keep_it(package: Path) -> None:
    nowhere = without_a_place(package)
    assert run(package, **nowhere)[0] == 20
    assert run(package, **nowhere)[0] == 20


def test_every_kernel_is_one_of_ours(package: Path) -> None:
    """Those of numba's own would fail where there is no place to keep them, as soon as they are imported."""
    modules = [f"latxa_cli.native.{path.stem}" for path in (package / "native").glob("[a-z]*.py")]
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(modules)}"], cwd=package.parent, capture_output=True, text=True,
        check=False, env=os.environ | {"PYTHONPATH": str(package.parent)} | without_a_place(package),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
