"""The commands of the README's section "From dumps to a training mix", run as they stand there."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tiny
import zstandard
from bench import mess

README = Path(__file__).resolve().parents[1] / "README.md"


def commands() -> str:
    section = README.read_text().partition("## From dumps to a training mix\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return block


@pytest.fixture
def dumps(tmp_path: Path, shared_data: Path) -> Path:
    """A folder with the files that the section names."""
    built = mess.build(tmp_path / "mess", 3, seed=5)
    (tmp_path / "wiki.jsonl.zst").write_bytes(zstandard.compress(built.files["wiki"].read_bytes()))
    (tmp_path / "news").mkdir()
    built.files["crawl_a"].replace(tmp_path / "news" / "2024.jsonl")
    (tmp_path / "crawls").mkdir()
    built.files["crawl_c"].replace(tmp_path / "crawls" / "web.jsonl.gz")
    with (
        zstandard.open(built.files["crawl_b"], "rb") as packed,
        gzip.open(tmp_path / "crawls" / "old.jsonl.gz", "wb") as out,
    ):
        shutil.copyfileobj(packed, out)
    shutil.copy(shared_data / "mcq" / "eusexams_eu.jsonl", tmp_path / "exam.jsonl")
    other = mess.build(tmp_path / "other", 6, seed=6)
    good = {truth["id"] for truth in other.truths() if truth["kind"] == "original"}
    lines = map(json.loads, other.files["crawl_a"].read_bytes().splitlines())
    tiny.write_jsonl(tmp_path / "trusted.jsonl", [line for line in lines if line["id"] in good])
    for name, count in (("eu", 60), ("en", 90)):
        turns = [[("user", f"{name} question {n}?"), ("assistant", f"{name} answer {n}.")] for n in range(count)]
        tiny.write_jsonl(tmp_path / f"{name}_inst.jsonl", [
            {"id": f"i{n}", "messages": [{"role": role, "content": text} for role, text in pair]}
            for n, pair in enumerate(turns)
        ])  # fmt: skip
    return tmp_path


def test_the_example_of_the_section_does_what_it_says(dumps: Path) -> None:
    path = f"{tiny.BINARY.parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euc", commands()], cwd=dumps, env={"PATH": path, "HOME": str(dumps), "OMP_NUM_THREADS": "1"},
        capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    manifest = json.loads((dumps / "corpus.jsonl.zst.manifest.json").read_bytes())
    counts = manifest["counts"]
    assert counts["in"] == counts["out"] + sum(counts["rejected"].values())
    assert {"exact duplicate", "near duplicate", "wrong language", "contaminated"} <= set(counts["rejected"])
    assert set(manifest["funnel"]) == {"wiki", "news", "crawls"}
    assert "## Sources" in (dumps / "card.md").read_text()
    with zstandard.open(dumps / "mix.jsonl.zst", "rb") as mix:
        sources = [json.loads(line)["source"].partition("/")[0] for line in mix.read().splitlines()]
    assert sources.count("eu") == 40 and sources.count("en") == 90
    assert sources.count("corpus") > counts["out"]
    assert len((dumps / "valid.jsonl").read_bytes().splitlines()) == 20
    assert not list(dumps.glob("*.work")) and not list(dumps.glob("*.part"))
