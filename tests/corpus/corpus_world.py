"""Runs of `latxa corpus` on a corpus of which is known what every document is, and how the tests look at them."""

from __future__ import annotations

import gzip
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import orjson
import zstandard
from bench import mess

Record = dict[str, Any]
Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
OPEN: dict[str, Any] = {".gz": gzip.open, ".zst": zstandard.open}
OUTCOMES = ("out.jsonl", "rejects.jsonl", "review.jsonl")


def read(path: Path) -> list[Record]:
    with OPEN.get(path.suffix, open)(path, "rb") as file:
        return [orjson.loads(line) for line in file.read().split(b"\n")[:-1]]


def write(path: Path, records: list[Record]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records))
    return path


@dataclass
class World:
    """A corpus, and what a run made of it in `folder`."""

    built: mess.Built
    folder: Path
    stderr: str

    @cached_property
    def truth(self) -> dict[str, Record]:
        return {truth["id"]: truth for truth in self.built.truths()}

    @cached_property
    def documents(self) -> dict[str, Record]:
        """What went in, in the order of sources and lines."""
        return {record["id"]: record for path in self.built.files.values() for record in read(path)}

    @cached_property
    def kept(self) -> dict[str, Record]:
        return {record["id"]: record for record in read(self.folder / "out.jsonl")}

    @cached_property
    def rejects(self) -> dict[str, Record]:
        return {entry["record"]["id"]: entry for entry in read(self.folder / "rejects.jsonl")}

    @cached_property
    def review(self) -> list[Record]:
        return read(self.folder / "review.jsonl")

    @cached_property
    def manifest(self) -> Record:
        manifest: Record = orjson.loads((self.folder / "out.jsonl.manifest.json").read_bytes())
        return manifest

    def of_kind(self, kind: str) -> list[str]:
        return [name for name, truth in self.truth.items() if truth["kind"] == kind]

    def fates(self, kind: str) -> Counter[str]:
        """Return how often documents of a kind were kept, sent to review or rejected for a reason."""
        reviewed = {record["id"] for record in self.review}
        return Counter(
            "kept" if name in self.kept else "review" if name in reviewed else self.rejects[name]["reason"]
            for name in self.of_kind(kind)
        )


def run_in(latxa: Run, folder: Path, built: mess.Built, *words: str | Path, **options: Any) -> World:
    """Run the corpus verb on all sources with its outputs in `folder`."""
    sources = [f"{name}={path}" for name, path in built.files.items()]
    asides = ["-o", "out.jsonl", "--rejects", "rejects.jsonl", "--review", "review.jsonl"]
    done = latxa("corpus", *sources, "--language", "eu", *asides, *words, cwd=folder, **options)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    return World(built, folder, done.stderr.decode())


def outcomes(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUTCOMES}


def spell(latxa: Run, folder: Path, source: str, at: Path | None = None, **options: Any) -> Any:
    place = at or folder
    asides = ["-o", place / "out.jsonl", "--rejects", place / "rejects.jsonl", "--review", place / "review.jsonl"]
    return latxa("corpus", source, "--language", "eu", *asides, cwd=folder, **options)
