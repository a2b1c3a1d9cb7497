"""What the parts of the benchmark `corpus.py` share: the corpus, runs of `latxa corpus`, a folder for files."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mess
import orjson
import zstandard
from timing import Cost, by_turns, run

BINARY = Path(sys.executable).with_name("latxa")
Verdict = tuple[str, bool]  # what was found, and whether it reaches its goal


@dataclass(frozen=True)
class Setting:
    """The corpus, a folder for what is made of it, the Python that has the peers, and how often to measure."""

    built: mess.Built
    folder: Path
    peers: str | None
    rounds: int

    @property
    def output(self) -> Path:
        return self.folder / "out.jsonl"

    def command(self, *words: str | Path, workers: int = 1) -> list[str]:
        fixed = ["--language", "eu", "--workers", str(workers), "--quiet", "-o", str(self.output)]
        return [str(BINARY), "corpus", *map(str, words), *fixed]

    def latxa(self, *words: str | Path, workers: int = 1) -> Cost:
        return run(self.command(*words, workers=workers))

    def startup(self, *words: str | Path) -> Cost:
        """Return what a run on one document takes."""
        one = self.folder / "one.jsonl"
        one.write_bytes(next(lines(self.built.files["wiki"])))
        return by_turns({"": lambda: self.latxa(one, *words)}, self.rounds)[""]

    def joined(self, name: str, kinds: set[str]) -> Path:
        """Return a plain file with the documents of these kinds, of all sources in their order."""
        path = self.folder / f"{name}.jsonl"
        wanted = {truth["id"] for truth in self.built.truths() if truth["kind"] in kinds}
        with path.open("wb") as out:
            for source in self.built.files.values():
                out.writelines(line for line in lines(source) if orjson.loads(line)["id"] in wanted)
        return path


def lines(path: Path) -> Iterator[bytes]:
    opened: Any = {".gz": gzip.open, ".zst": zstandard.open}.get(path.suffix, open)
    with opened(path, "rb") as file:
        rest = b""
        while block := file.read(1 << 20):
            *whole, rest = (rest + block).split(b"\n")
            yield from (line + b"\n" for line in whole)
