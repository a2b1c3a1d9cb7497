"""Outputs that cannot be: every output flag of every verb, in every situation that a table can hold.

What is wrong is told in one line before the work, and nothing is touched. The flags are read from the commands, so that
a new one is tried as soon as it is declared.
"""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import preloaded
import pytest
from contract_table import CASES
from preloaded import Server
from workspace import Workspace, is_one_error

from latxa_cli.cli import VERBS
from latxa_cli.options import WRITTEN

GIVEN_BY_EVERY_VERB = ("output", "rejects", "manifest")
ENDINGS = {"plot": ".svg", "html": ".html", "methods": ".txt"}  # of files that are not JSON lines


def written_by(verb: str) -> list[str]:
    """Return the parameters of a verb that name what it writes."""
    name = verb.replace("-", "_")
    module = importlib.import_module(f"latxa_cli.commands.{name}")
    command = getattr(module, name, None) or getattr(module, name + "_")
    parameters = inspect.signature(command).parameters.values()
    further = [one.name for one in parameters if WRITTEN in getattr(one.annotation, "__metadata__", ())]
    return [*GIVEN_BY_EVERY_VERB, *further]


FLAGS = [(name, parameter) for name, case in CASES.items() for parameter in written_by(case.verb)]
FILES = [(name, parameter) for name, parameter in FLAGS if parameter != "output" or not CASES[name].directory]
every_flag = pytest.mark.parametrize(("name", "parameter"), FLAGS)
every_file = pytest.mark.parametrize(("name", "parameter"), FILES)


def words_for(space: Workspace, name: str, *parameters: str) -> list[str]:
    """Return how the verb is called, with the input and the flags that these need."""
    if "plot" in parameters:  # both can be drawn and put into words
        return ["report", space.input("arena-score").name, space.input("report").name]
    needed = {"hold_out_file": ["--hold-out", "docs=2"], "findings": ["--against", space.input("arena-score").name]}
    return space.words(name) + [word for parameter in parameters for word in needed.get(parameter, ())]


def call(
    space: Workspace, name: str, parameter: str, path: Path, *more: str | Path
) -> subprocess.CompletedProcess[bytes]:
    """Call the verb with `path` for the flag, and what else the flag and the verb need."""
    words = words_for(space, name, parameter)
    if CASES[name].directory and parameter != "output" and "-o" not in more:
        more = ("-o", path.parent / "made", *more)
    return space.run(*words, f"--{parameter.replace('_', '-')}", path, *more)


def contents(folder: Path) -> dict[str, object]:
    """Return what lies in a folder: the bytes of files, the kinds of all else."""
    return {str(path): path.read_bytes() if path.is_file() else os.lstat(path).st_mode for path in folder.rglob("*")}


def assert_refused(done: subprocess.CompletedProcess[bytes], what: str) -> None:
    assert (done.returncode, done.stdout) == (2, b""), done.stderr.decode()
    assert is_one_error(done.stderr.decode()), done.stderr.decode()
    assert what in done.stderr.decode().splitlines()[0]


def test_every_verb_is_in_the_table() -> None:
    assert {CASES[name].verb for name, _ in FLAGS} == set(VERBS)
    assert {"review", "card", "hold_out_file", "plot", "answers"} <= {parameter for _, parameter in FLAGS}


@every_file
def test_a_folder(name: str, parameter: str, light: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / f"folder{ENDINGS.get(parameter, '')}"
    folder.mkdir()
    (folder / "kept").write_text("kept")
    before = contents(tmp_path)
    assert_refused(call(light, name, parameter, folder), "is a directory")
    assert contents(tmp_path) == before


@every_flag
def test_a_pipe(name: str, parameter: str, light: Workspace, tmp_path: Path) -> None:
    pipe = tmp_path / f"pipe{ENDINGS.get(parameter, '')}"
    os.mkfifo(pipe)
    what = "exists already" if (parameter, CASES[name].directory) == ("output", True) else "is a device or a pipe"
    assert_refused(call(light, name, parameter, pipe), what)
    assert pipe.is_fifo() and len(list(tmp_path.iterdir())) == 1


@every_flag
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
def test_a_device(name: str, parameter: str, light: Workspace, tmp_path: Path) -> None:
    device = tmp_path / f"null{ENDINGS.get(parameter, '')}"
    os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
    what = "exists already" if (parameter, CASES[name].directory) == ("output", True) else "is a device or a pipe"
    assert_refused(call(light, name, parameter, device), what)
    assert device.is_char_device() and len(list(tmp_path.iterdir())) == 1


@every_flag
def test_a_dash(name: str, parameter: str, light: Workspace) -> None:
    """It stands for stdin elsewhere, and would be the name of a file here."""
    before = set(light.folder.iterdir())
    flag = "-o" if parameter == "output" else f"--{parameter.replace('_', '-')}"
    assert_refused(call(light, name, parameter, Path("-")), f"`{flag} -` names no")
    assert set(light.folder.iterdir()) == before


@every_file
def test_a_missing_folder(name: str, parameter: str, light: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "none" / f"out{ENDINGS.get(parameter, '.jsonl')}"
    assert_refused(call(light, name, parameter, path), "there is no folder")
    assert not list(tmp_path.iterdir())


@every_file
def test_an_ending_that_says_another_format(name: str, parameter: str, light: Workspace, tmp_path: Path) -> None:
    ending = {"rejects": ".jsonl.bz2", "manifest": ".GZ"}.get(parameter, ".parquet")
    assert_refused(call(light, name, parameter, tmp_path / f"out{ending}"), f"out{ending}`")
    assert not list(tmp_path.iterdir())


def test_a_manifest_is_not_compressed(light: Workspace, tmp_path: Path) -> None:
    assert_refused(call(light, "report", "manifest", tmp_path / "manifest.json.gz"), "plain JSON")


@pytest.mark.parametrize(("name", "parameter"), [one for one in FILES if one[1] != "output"])
def test_another_output(name: str, parameter: str, light: Workspace, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    other = "manifest" if parameter == "rejects" else "rejects"
    file = f"out{ENDINGS.get(parameter, '.jsonl')}"
    done = call(light, name, parameter, tmp_path / "folder" / ".." / file, f"--{other}", tmp_path / file)
    assert_refused(done, "would both write")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("derived", ["out.jsonl.manifest.json", "out.jsonl.part.state", "out.jsonl.part"])
def test_what_lies_beside_another_output(derived: str, light: Workspace, tmp_path: Path) -> None:
    done = call(light, "mix", "rejects", tmp_path / derived, "-o", tmp_path / "out.jsonl")
    assert_refused(done, "would both write")
    assert not list(tmp_path.iterdir())


INPUTS = [
    (name, parameter)
    for name, parameter in FILES
    if CASES[name].make
    and parameter not in ("plot", "methods")
    and not (CASES[name].serves and parameter != "manifest")
]  # what grows exists only with `--resume`: see tests/stream/test_appended.py


@pytest.mark.parametrize(("name", "parameter"), INPUTS)
def test_an_input(name: str, parameter: str, light: Workspace, tmp_path: Path) -> None:
    """By another name of the same file."""
    source, path = light.input(name), tmp_path / "link.jsonl"
    before = source.read_bytes()
    path.hardlink_to(source)
    done = call(light, name, parameter, path)
    assert_refused(done, "is an input too")
    assert source.read_bytes() == path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["link.jsonl"]


def test_the_unfinished_output_of_another_run_is_an_input(light: Workspace, tmp_path: Path) -> None:
    part = tmp_path / "out.jsonl.part"
    part.write_bytes(light.input("report").read_bytes())
    assert_refused(light.run("report", part, "-o", tmp_path / "out.jsonl"), "is an input too")
    assert part.read_bytes() == light.input("report").read_bytes()


# --- what shows only when something is written -----------------------------------------------------------------------

LIGHT = [(name, parameter) for name, parameter in FILES if not CASES[name].model and not CASES[name].serves]


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for one page."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    (folder / "filler").write_bytes(bytes(4096))
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(("name", "parameter"), LIGHT)
def test_a_full_disk(name: str, parameter: str, light: Workspace, tmp_path: Path, full_disk: Path) -> None:
    path = full_disk / f"out{ENDINGS.get(parameter, '.jsonl')}"
    more: tuple[str | Path, ...] = () if parameter == "output" else ("-o", tmp_path / "out.jsonl")
    if parameter == "rejects" and CASES[name].make:  # something must be rejected to fill it
        source = light.more(name, CASES[name].count + 1)
        source.write_bytes(b"broken\n" + source.read_bytes())
        words = CASES[name].words(source.name)
        done = light.run(*words, "--rejects", path, *more)
    else:
        done = call(light, name, parameter, path, *more)
    lines = [line for line in done.stderr.decode().splitlines() if not line.startswith("latxa ")]
    if done.returncode == 0:  # there was nothing to write there but an empty file
        assert path.read_bytes() == b""
        return
    assert done.returncode == 1, done.stderr.decode()
    assert is_one_error("\n".join(lines)), done.stderr.decode()
    assert "cannot be written (No space left on device)" in lines[0]
    assert not path.exists()


WITHOUT_LOCKS = """\
import errno, fcntl, sys
def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
from latxa_cli.cli import main
if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("name", sorted({name for name, _ in LIGHT}))
def test_a_file_system_without_locks(name: str, light: Workspace, fork_server: Server, tmp_path: Path) -> None:
    parameters = [parameter for one, parameter in LIGHT if one == name and parameter not in GIVEN_BY_EVERY_VERB]
    words = words_for(light, name, *parameters)
    for parameter in parameters:
        words += [f"--{parameter.replace('_', '-')}", str(tmp_path / f"more{ENDINGS.get(parameter, parameter)}")]
    words += ["-o", str(tmp_path / "out.jsonl"), "--rejects", str(tmp_path / "rejects.jsonl")]
    (tmp_path / "latxa").write_text(WITHOUT_LOCKS)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = preloaded.run(fork_server, [tmp_path / "latxa", *words], cwd=light.folder, **pipes)
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "out.jsonl").exists() and (tmp_path / "rejects.jsonl").exists()
