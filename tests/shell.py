"""A shell for lines of `latxa`, by which golden cases and the guides are run with the fixture `latxa`.

It knows `A | B`, `< FILE`, `> FILE` and globs; one call of a pipe ends before the next one begins.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tiny import Latxa


@dataclass
class Ended:
    """What came of a line: the exit code of each call, and what they wrote that went nowhere else."""

    codes: list[int] = field(default_factory=list)
    stdout: bytes = b""
    stderr: bytes = b""


def lines(script: str) -> Iterator[str]:
    """Yield the lines of a script that do something; those that `\\` joins are one."""
    for line in script.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line


def run_line(line: str, latxa: Latxa, folder: Path) -> Ended:
    """Run one line in `folder`."""
    ended = Ended()
    for call in line.split(" | "):
        words = list(_words(call, folder))
        stdin, target = ended.stdout, None
        if ">" in words:
            *words, _, target = words
        if "<" in words:
            *words, _, source = words
            stdin = (folder / source).read_bytes()
        if words[0] == "latxa":
            done = latxa(*words[1:], stdin=stdin, cwd=folder, timeout=600)
        else:
            done = subprocess.run(words, input=stdin, cwd=folder, capture_output=True, timeout=60, check=False)
        ended.codes.append(done.returncode)
        ended.stderr += done.stderr
        ended.stdout = b"" if target else done.stdout
        if target:
            (folder / target).write_bytes(done.stdout)
    return ended


def _words(call: str, folder: Path) -> Iterator[str]:
    for word in shlex.split(call):
        quoted = f"'{word}'" in call
        found = (
            sorted(str(path.relative_to(folder)) for path in folder.glob(word)) if "*" in word and not quoted else []
        )
        yield from found or [word]
