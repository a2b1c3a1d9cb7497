"""What an installation stands on: `pyproject.toml`, the versions tested together, and the shell scripts."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import latxa_cli

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NEEDED = PROJECT["dependencies"] + [requirement for extra in EXTRAS.values() for requirement in extra]
READ = "# shellcheck shell=bash"  # begins what other scripts read, and nobody runs
SCRIPTS = [
    *(path for path in sorted((ROOT / "recipes").rglob("*.sh")) if not path.read_text().startswith(READ)),
    ROOT / ".ci" / "run",
]


@pytest.fixture(scope="module")
def pins() -> dict[str, Version]:
    """Every line of the constraints file that is no comment, as {name: version}."""
    lines = (ROOT / "recipes" / "constraints.txt").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    found = {}
    for requirement in requirements:
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        assert not requirement.extras, "pip takes no extras in constraints"
        assert canonicalize_name(requirement.name) not in found, f"{requirement.name} stands there twice"
        found[canonicalize_name(requirement.name)] = Version(specifier.version)
    return found


@pytest.mark.parametrize("line", NEEDED)
def test_what_is_needed_is_pinned_within_its_range(line: str, pins: dict[str, Version]) -> None:
    requirement = Requirement(line)
    assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_no_pin_names_a_build_for_one_kind_of_machine(pins: dict[str, Version]) -> None:
    assert [name for name, version in pins.items() if version.local] == []


def test_the_version_stands_in_two_places_and_agrees() -> None:
    assert PROJECT["version"] == latxa_cli.__version__


def test_a_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    ours = {
        path.relative_to(ROOT)
        for path in (ROOT / "latxa_cli").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path for path in ours if not (wheel / path).exists()} == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_bash_that_can_be_run(script: Path) -> None:
    assert script.stat().st_mode & 0o111, "not executable"
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_install_tells_of_a_python_that_will_not_do(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": "/bin/false", "VENV": str(tmp_path / "venv")}
    done = subprocess.run(
        [ROOT / "recipes" / "install.sh"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "needs Python 3.11" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_lint_says_the_same_after_the_quickstart(tmp_path: Path) -> None:
    """The recipe leaves a folder in the checkout that has the name of a module of the benches."""
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    for name in ("latxa_cli", "quickstart"):
        (tmp_path / name).mkdir()
    (tmp_path / "bench.py").write_bytes((ROOT / "tests" / "bench" / "laptop.py").read_bytes())
    command = [str(Path(sys.executable).with_name("ruff")), "check", "--no-cache", "--select", "I", "bench.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
