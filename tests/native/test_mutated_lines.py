"""No kernel reads or writes past the end of what it is given, whatever a line holds."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from guarded import Guarded

from latxa_cli.native.layout import PADDING

FOLDER = Path(__file__).parent


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=FOLDER, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(("past", "code"), [("0", 0), ("1", -signal.SIGSEGV)])
def test_who_reads_past_the_end_is_killed(past: str, code: int) -> None:
    assert run("guarded.py", past).returncode == code


def test_data_and_padding_lie_against_the_page() -> None:
    memory = Guarded(10)
    assert memory.put(b"0123456789") + 10 + PADDING == memory.end
    assert memory.put(b"x", padding=0) + 1 == memory.end


def test_mutated_lines() -> None:
    done = run("mutated_lines.py", "3000", "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    taken = int(done.stdout.split(" lines, ")[1].split()[0].replace(",", ""))
    assert taken > 300, "else hardly anything would be tried"
