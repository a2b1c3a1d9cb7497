"""The corpus that benchmarks and tests are made of (`tests/bench/mess.py`) is what its truth file says."""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import ftfy
import orjson
import pytest
import zstandard
from bench import mess

OPEN = {".jsonl": open, ".gz": gzip.open, ".zst": zstandard.open}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> mess.Built:
    return mess.build(tmp_path_factory.mktemp("mess"), 3, seed=1)


@pytest.fixture(scope="module")
def records(built: mess.Built) -> dict[str, dict[str, Any]]:
    found = {}
    for path in built.files.values():
        with OPEN[path.suffix](path, "rb") as file:
            found.update({record["id"]: record for record in map(orjson.loads, file.read().splitlines())})
    return found


def test_every_document_has_its_truth(built: mess.Built, records: dict[str, dict[str, Any]]) -> None:
    truths = built.truths()
    assert len(truths) == built.documents == len(records)
    assert {truth["id"] for truth in truths} == set(records)
    counts = Counter(truth["kind"] for truth in truths)
    for kind, share in mess.KINDS.items():
        assert abs(counts[kind] / len(truths) - share) < 0.04, kind
    assert min(counts.values()) >= 3
    size = sum(len(orjson.dumps(record)) + 1 for record in records.values())
    assert size == built.bytes and 3e6 <= size < 3.1e6


def test_kinds_are_what_they_say(built: mess.Built, records: dict[str, dict[str, Any]]) -> None:
    for truth in built.truths():
        text = records[truth["id"]]["text"]
        original = records[truth["of"]]["text"] if "of" in truth else None
        if truth["kind"] == "exact":
            assert text == original
        elif truth["kind"] in ("near", "version"):
            assert text != original
            assert truth["similarity"] == pytest.approx(mess.jaccard(text, original), abs=1e-6)
        elif truth["kind"] == "mojibake":
            assert text != original and ftfy.fix_encoding(text) == original
        elif truth["kind"] == "quoting":
            assert text.split("\n\n")[0] in original
        if truth["kind"] == "version":
            assert records[truth["id"]]["url"] == records[truth["of"]]["url"]


def test_unrelated_documents_are_not_alike(built: mess.Built, records: dict[str, dict[str, Any]]) -> None:
    sets = {name: mess.shingles(record["text"]) for name, record in records.items()}
    holders = defaultdict(list)
    for name, shingles in sets.items():
        for shingle in shingles:
            holders[shingle].append(name)
    common = Counter(pair for names in holders.values() if len(names) < 50 for pair in combinations(names, 2))
    family = {truth["id"]: truth.get("of", truth["id"]) for truth in built.truths()}
    alike = [
        count / (len(sets[a]) + len(sets[b]) - count)
        for (a, b), count in common.items()
        if family[a] != family[b] and min(len(sets[a]), len(sets[b])) > 50
    ]
    assert len(alike) > 100 and max(alike) < 0.3


def test_the_same_seed_gives_the_same_and_a_smaller_corpus_is_its_start(built: mess.Built, tmp_path: Path) -> None:
    small = mess.build(tmp_path / "small", 1, seed=1)
    assert built.truth.read_bytes().startswith(small.truth.read_bytes())
    assert built.files["crawl_a"].read_bytes().startswith(small.files["crawl_a"].read_bytes())
    other = mess.build(tmp_path / "other", 1, seed=2)
    assert other.truth.read_bytes() != small.truth.read_bytes()
