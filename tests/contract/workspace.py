"""A folder of inputs, models and results of runs that the contract tests share, and how they look at a run."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from contract_table import CASES, TASK, items, originals, responses, shots
from preloaded import Call, Server
from safetensors.torch import load_file
from saved_run import write_checkpoint, write_run
from tiny import BINARY, CONFIG, write_jsonl

TIMEOUT = 120  # seconds for any one process


@dataclass
class Finished:
    """What an uninterrupted run with `-o` left. `data`: the bytes of the output, or {name: bytes} of a folder."""

    data: Any
    rejects: bytes
    manifest: dict[str, Any]
    stderr: str


class Workspace:
    """A folder with an input, `NAME.jsonl`, for every case, and what else the verbs name; every run is made in it."""

    def __init__(self, folder: Path, latxa: Callable[..., Any], models: Path | None) -> None:
        self.folder, self.latxa = folder, latxa
        self._finished: dict[str, Finished] = {}
        for name, case in CASES.items():
            if case.make:
                write_jsonl(self.input(name), case.make(case.count))
        write_jsonl(folder / "theirs.jsonl", responses(2000, "theirs"))
        write_jsonl(folder / "originals.jsonl", originals(2000))
        write_jsonl(folder / "none.jsonl", [])
        write_jsonl(folder / "shots.jsonl", shots())
        (folder / "config.json").write_text(json.dumps(CONFIG))
        if models:
            (folder / "tasks").mkdir()
            for task in ("towns", "ports"):
                (folder / "tasks" / f"{task}.yaml").write_text(TASK.replace("NAME", task))
                write_jsonl(folder / "tasks" / f"{task}.jsonl", items(task))
            for model in ("base", "trained"):
                (folder / model).symlink_to(models / model)
            trained = load_file(models / "trained" / "model.safetensors")
            write_checkpoint(write_run(folder / "run", "base", trained, model_files=models / "base"), 7, trained)

    def input(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '_')}.jsonl"

    def more(self, name: str, count: int) -> Path:
        """Return a larger input for the case."""
        path = self.folder / f"{name.replace(' ', '_')}-{count}.jsonl"
        if not path.exists():
            make = CASES[name].make
            assert make is not None
            write_jsonl(path, make(count))
        return path

    def run(self, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return self.latxa(*words, **{"cwd": self.folder, "timeout": TIMEOUT} | options)

    def finished(self, name: str) -> Finished:
        """Run the case on its input without interruption, `-o` and `--rejects` given; once for all tests."""
        if name not in self._finished:
            output, rejects = self.output(name, "whole")
            done = self.run(*self.words(name), "-o", output, "--rejects", rejects)
            assert done.returncode == 0, done.stderr.decode()
            self._finished[name] = self.collect(output, rejects, done.stderr.decode())
        return self._finished[name]

    def words(self, name: str) -> list[str]:
        return CASES[name].words(self.input(name).name)

    def output(self, name: str, what: str) -> tuple[Path, Path]:
        """Return an output and a rejects file for one run of the case."""
        stem = f"{name.replace(' ', '_')}-{what}"
        ending = "" if CASES[name].directory else ".jsonl"
        return self.folder / f"out-{stem}{ending}", self.folder / f"rejects-{stem}.jsonl"

    def collect(self, output: Path, rejects: Path, stderr: str = "") -> Finished:
        manifest = output / "manifest.json" if output.is_dir() else output.with_name(output.name + ".manifest.json")
        kept = rejects.read_bytes() if rejects.exists() else b""
        return Finished(contents(output), kept, json.loads(manifest.read_bytes()), stderr)


def contents(output: Path) -> Any:
    """Return the bytes of an output file, or {name: bytes} of what a directory holds, but for the times it took, and
    for its own name in a model card."""
    if output.is_file():
        return output.read_bytes()
    skipped = {"manifest.json", "metrics.jsonl"}  # they hold seconds
    title = f"# {output.name}\n".encode()
    return {
        file.name: file.read_bytes().replace(title, b"# NAME\n")
        for file in sorted(output.iterdir())
        if file.name not in skipped
    }


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Call all of them at once (each waits for a process of its own) and return what they gave, in their order."""
    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def start(
    workspace: Workspace, *words: str | Path, server: Server | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a run that the test will interrupt, of the installed command or forked by a server."""
    given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    started: Callable[..., subprocess.Popen[bytes]] = partial(Call, server) if server else subprocess.Popen
    return started([str(BINARY), *map(str, words)], cwd=workspace.folder, **given)


def is_one_error(stderr: str, *, hint: bool | None = None) -> bool:
    """Whether `stderr` is one line `latxa: …`, and perhaps (`hint` says it must, or must not) one line `hint: …`."""
    lines = [line for line in stderr.splitlines() if not line.startswith("latxa ")]  # what a verb says as it goes
    right = 1 <= len(lines) <= 2 and lines[0].startswith("latxa: ")
    has_hint = len(lines) == 2 and lines[1].startswith("hint: ")
    return right and has_hint == (len(lines) == 2) and hint in (None, has_hint) and "Traceback" not in stderr


def remove(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
