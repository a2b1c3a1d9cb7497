"""`eval --offline` calls nobody, and works with what lies in folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import Latxa

# Python reads this file when it starts: what a process looks up or calls outside this machine is noted.
WATCH = """
import os, sys

def hook(event, arguments):
    if event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple)):
        host = str(arguments[0] if event == "socket.getaddrinfo" else arguments[1][0])
        if host not in ("127.0.0.1", "::1", "localhost"):
            with open(os.environ["CALLS"], "a") as file:
                file.write(f"{event} {host}\\n")

sys.addaudithook(hook)
"""
ELSEWHERE = """\
task: elsewhere
dataset_path: nobody/nothing_of_that_name
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc}]
"""


@pytest.fixture
def run(installed: Latxa, tmp_path: Path, task_folder: Path) -> Callable[..., tuple[int, str, str]]:
    """A run of `eval` that gives its exit code, what it says, and what it called outside."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    (task_folder / "elsewhere.yaml").write_text(ELSEWHERE)
    calls = tmp_path / "calls"
    path = os.pathsep.join(filter(None, [str(tmp_path / "watch"), os.environ.get("PYTHONPATH", "")]))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"PYTHONPATH": path, "CALLS": str(calls), "HF_ENDPOINT": "http://hub.invalid"}

    def called(*flags: str | Path) -> tuple[int, str, str]:
        calls.write_text("")
        done = installed("eval", *flags, "--task-folder", "tasks", cwd=tmp_path, env=environment)
        return done.returncode, done.stderr.decode(), calls.read_text()

    return called


def test_only_offline_is_nobody_asked(run: Callable[..., tuple[int, str, str]], model: Path) -> None:
    code, said, calls = run(model, "--task", "elsewhere")
    assert code == 1 and "hub.invalid" in calls
    code, said, calls = run(model, "--task", "elsewhere", "--offline")
    assert (code, calls) == (1, "") and "needs the dataset `nobody/nothing_of_that_name`" in said
    code, said, calls = run("nobody/no_model", "--task", "towns", "--offline")
    assert (code, calls) == (1, "") and "no directory `nobody/no_model`" in said and "Traceback" not in said
    code, said, calls = run(model, "--task", "towns", "--offline")
    assert (code, calls) == (0, ""), said
