"""`latxa corpus` itself, on a small corpus of which is known what every document is."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import zstandard
from bench import mess
from corpus_world import Run, World, outcomes, read, run_in, spell, write

from latxa_cli.text.normalise import normalise


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> mess.Built:
    return mess.build(tmp_path_factory.mktemp("mess"), 2.5, seed=3)


@pytest.fixture(scope="module")
def world(latxa: Run, built: mess.Built, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run with all steps on, and a data card."""
    folder = tmp_path_factory.mktemp("world")
    return run_in(latxa, folder, built, "--against", built.items, "--card", "card.md", "--workers", "1")


@pytest.fixture(scope="module")
def duplicates(latxa: Run, built: mess.Built, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run that only looks for duplicates and changes no text."""
    steps = ["--only", "exact", "--only", "url", "--only", "near"]
    return run_in(latxa, tmp_path_factory.mktemp("duplicates"), built, *steps, "--workers", "1")


# --- nothing is lost


@pytest.mark.parametrize("which", ["world", "duplicates"])
def test_every_document_has_one_fate(which: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(which)
    fates = [
        *(record["id"] for record in read(world.folder / "out.jsonl")),
        *(entry["record"]["id"] for entry in read(world.folder / "rejects.jsonl")),
        *(record["id"] for record in world.review),
    ]
    assert sorted(fates) == sorted(world.truth)
    counts = world.manifest["counts"]
    assert counts["in"] == len(fates) and counts["out"] == len(world.kept)
    reasons = Counter(entry["reason"] for entry in world.rejects.values())
    assert sum(counts["rejected"].values()) == len(world.rejects) + len(world.review)
    assert all(counts["rejected"][reason] >= count for reason, count in reasons.items())
    order = {name: place for place, name in enumerate(world.documents)}
    for fate in (world.kept, world.rejects):
        places = [order[name] for name in fate]
        assert places == sorted(places)


def test_each_kind_has_the_fate_that_it_deserves(world: World) -> None:
    fates = {kind: world.fates(kind) for kind in mess.KINDS}
    copies = ("exact duplicate", "near duplicate", "duplicate URL")  # of what stands in an earlier source
    fit = sum(fates["original"][fate] for fate in ("kept", *copies))
    assert fates["original"]["kept"] > 0.7 * fates["original"].total() and fit > 0.93 * fates["original"].total()
    foreign = fates["foreign"]
    assert foreign["kept"] == 0 and foreign["wrong language"] > 0.8 * foreign.total(), foreign
    assert fates["mixed"]["kept"] <= 0.3 * fates["mixed"].total(), fates["mixed"]
    assert fates["mixed"]["review"] > 0
    assert fates["contaminated"]["contaminated"] == fates["contaminated"].total(), fates["contaminated"]
    assert fates["junk"]["kept"] <= 0.1 * fates["junk"].total(), fates["junk"]
    assert fates["short"]["too short"] == 0, "a sentence is text"
    assert fates["exact"]["exact duplicate"] > 0.4 * fates["exact"].total(), fates["exact"]
    assert fates["near"]["near duplicate"] > 0.5 * fates["near"].total(), fates["near"]
    assert fates["version"]["duplicate URL"] > 0.3 * fates["version"].total(), fates["version"]
    urls = Counter(record["url"] for record in world.kept.values())
    assert max(urls.values()) == 1, "of the versions of a page, one is kept"


def test_mojibake_is_restored(world: World) -> None:
    restored = Counter[str]()
    for name in world.of_kind("mojibake"):
        entry = world.rejects.get(name, {})
        text = world.kept[entry.get("duplicate_of", name)]["text"] if name in world.kept or entry else None
        right = normalise(world.documents[world.truth[name]["of"]]["text"])
        if entry.get("reason") in (None, "exact duplicate"):
            # As it was before it was misread, but for lines that were taken away.
            assert text and not re.search("Ã.|â€", text), text
            assert set(text.split("\n")) <= set(right.split("\n"))
        restored[entry.get("reason", "kept")] += 1
    assert restored["exact duplicate"] >= 5 and restored["kept"] >= 1, restored


def test_boilerplate_goes_and_text_stays(world: World) -> None:
    above, below = mess.FRAMES["crawl_a"]
    lines = {*above, *below}
    with_lines = [name for name in world.kept if lines & set(world.documents[name]["text"].split("\n"))]
    assert len(with_lines) > 20
    for name, record in world.kept.items():
        left = record["text"].split("\n")
        given = normalise(world.documents[name]["text"]).split("\n")
        if name.startswith("crawl_a"):
            assert not lines & set(left)
        if world.truth[name]["kind"] != "mojibake":
            assert set(left) <= set(given)


def test_kept_records_say_what_was_found(world: World) -> None:
    for name, record in world.kept.items():
        original = world.documents[name]
        assert record["language"] == "eu" and record["source"] == name.split("/")[0]
        assert (record["url"], record["licence"]) == (original["url"], original["licence"])
        assert 0.5 < record["metadata"]["language_probability"] <= 1
        assert record["text"] == normalise(record["text"])
    splits = Counter(record["metadata"]["split"] for record in world.kept.values())
    assert set(splits) <= {"train", "valid", "test"} and splits["train"] > 0.95 * len(world.kept)


def test_a_quoted_paragraph_is_trimmed(world: World) -> None:
    order = list(world.documents)
    trimmed = 0
    for name in world.of_kind("quoting"):
        of = world.truth[name]["of"]
        if name not in world.kept or of not in world.kept or order.index(of) > order.index(name):
            continue
        quoted = world.documents[name]["text"].split("\n\n")[0]
        if quoted in world.kept[of]["text"]:
            assert quoted not in world.kept[name]["text"]
            trimmed += 1
    assert trimmed > 0


# --- duplicates


@pytest.mark.parametrize("which", ["world", "duplicates"])
def test_duplicates_are_dropped_for_documents_that_are_kept_and_come_first(
    which: str, request: pytest.FixtureRequest
) -> None:
    world: World = request.getfixturevalue(which)
    order = {name: place for place, name in enumerate(world.documents)}
    entries = {name: entry for name, entry in world.rejects.items() if "duplicate_of" in entry}
    assert {entry["reason"] for entry in entries.values()} == {"exact duplicate", "near duplicate", "duplicate URL"}
    for name, entry in entries.items():
        assert entry["duplicate_of"] in world.kept
        assert order[entry["duplicate_of"]] < order[name]
        assert 0 <= entry["similarity"] <= 1
    sizes = Counter(entry["duplicate_of"] for entry in entries.values())
    for name, record in world.kept.items():
        assert record.get("metadata", {}).get("cluster_size", 1) == 1 + sizes[name]


def test_duplicates_are_what_they_are_called(duplicates: World) -> None:
    for name, entry in duplicates.rejects.items():
        ours, theirs = duplicates.documents[name], duplicates.documents[entry["duplicate_of"]]
        if entry["reason"] == "exact duplicate":
            assert ours["text"] == theirs["text"] and entry["similarity"] == 1
            continue
        assert ours["text"] != theirs["text"]
        assert entry["similarity"] == pytest.approx(_jaccard(ours["text"], theirs["text"]), abs=0.01)
        if entry["reason"] == "duplicate URL":
            assert ours["url"] == theirs["url"]
        else:
            assert entry["similarity"] >= 0.7
    texts = Counter(record["text"] for record in duplicates.kept.values())
    urls = Counter(record["url"] for record in duplicates.kept.values())
    assert max(texts.values()) == max(urls.values()) == 1
    for name, record in duplicates.kept.items():
        assert record.items() >= duplicates.documents[name].items(), "the text and all else are as they came"


def _jaccard(a: str, b: str) -> float:
    """The definition, in another way than the product's."""

    def shingles(text: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+(?:['’·]\w+)*", text.casefold())
        return {tuple(words[place : place + 5]) for place in range(len(words) - 4)}

    ours, theirs = shingles(a), shingles(b)
    return len(ours & theirs) / len(ours | theirs)


def test_near_duplicates_are_found(duplicates: World) -> None:
    pairs = [
        (name, truth["of"]) for name, truth in duplicates.truth.items()
        if truth["kind"] == "near" and truth["similarity"] >= 0.8
    ]  # fmt: skip
    both_kept = [pair for pair in pairs if all(name in duplicates.kept for name in pair)]
    assert len(pairs) > 40 and len(both_kept) <= 0.01 * len(pairs)


def test_the_first_source_keeps_a_document_whatever_the_order(
    latxa: Run, built: mess.Built, duplicates: World, tmp_path: Path
) -> None:
    backwards = mess.Built(**{**vars(built), "files": dict(reversed(built.files.items()))})
    other = run_in(latxa, tmp_path, backwards, "--only", "exact")
    copies = defaultdict(set)
    for name, record in other.documents.items():
        copies[record["text"]].add(name)
    order = list(other.documents)
    assert set(other.kept) == {min(names, key=order.index) for names in copies.values()}
    assert set(other.kept) != set(duplicates.kept)


def test_no_chain_drops_a_document(latxa: Run, tmp_path: Path) -> None:
    words = [f"hitza{number}" for number in range(300)]

    def changed(start: int) -> str:
        return " ".join(f"beste{n}" if start <= n < start + 30 else word for n, word in enumerate(words))

    # b is like a and c is like b, but c is not like a (a stretch of 30 changed words of 300 costs 34 5-grams of 296).
    a, b = " ".join(words), changed(0)
    c = " ".join(b.split()[:120] + [f"hirugarren{n}" for n in range(30)] + b.split()[150:])
    assert _jaccard(a, b) > 0.7 < _jaccard(b, c) and _jaccard(a, c) < 0.7
    records = [{"id": name, "text": text} for name, text in (("a", a), ("b", b), ("c", c))]
    done = latxa("corpus", write(tmp_path / "in.jsonl", records), "--language", "eu", "--only", "near")
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["a", "c"]


# --- what is said about it


def test_the_funnel_and_the_leaks_stand_in_the_manifest(world: World) -> None:
    funnel = world.manifest["funnel"]
    assert list(funnel) == list(world.built.files)
    kept = Counter(record["source"] for record in world.kept.values())
    for source, steps in funnel.items():
        documents = [figures["documents"] for figures in steps.values()]
        assert next(iter(steps)) == "read"
        assert documents[0] == sum(truth["source"] == source for truth in world.truth.values())
        assert documents == sorted(documents, reverse=True) and documents[-1] == kept[source]
        last = list(steps.values())[-1]
        texts = [record["text"] for record in world.kept.values() if record["source"] == source]
        assert last["bytes"] == sum(len(text.encode()) for text in texts)
        assert last["words"] > 0.1 * last["bytes"] and last["tokens"] > 0
        for unit in ("words", "bytes", "tokens"):
            amounts = [figures[unit] for figures in steps.values()]
            assert amounts == sorted(amounts, reverse=True), (source, unit)
        assert source in world.stderr

    leaked = {(world.truth[name]["item"], world.truth[name]["source"]) for name in world.of_kind("contaminated")}
    found = {(item.split(":")[-1], source) for item, sources in world.manifest["leaks"].items() for source in sources}
    assert leaked <= found, "each leaked item and the source that it leaked from"


def test_the_card(world: World) -> None:
    card = (world.folder / "card.md").read_text()
    for word in (*world.built.files, "CC-BY-SA-4.0", "unknown", f"{len(world.kept):,}", "near duplicate"):
        assert word in card, word


# --- the same bytes however it is run


@pytest.mark.parametrize("words", [("--workers", "2"), ("--workers", "3", "--memory", "1200MB")], ids=" ".join)
def test_workers_and_memory_change_nothing(
    latxa: Run, built: mess.Built, world: World, words: tuple[str, ...], tmp_path: Path
) -> None:
    other = run_in(latxa, tmp_path, built, "--against", built.items, *words)
    assert outcomes(other.folder) == outcomes(world.folder)
    assert other.manifest["counts"] == world.manifest["counts"]
    assert other.manifest["funnel"] == world.manifest["funnel"]


SPELLINGS = ("in.jsonl.gz", "in.jsonl.zst", "in.parquet", "folder", "glob", "stdin")


@pytest.fixture(scope="module")
def spelt(latxa: Run, world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One input in all spellings, and what came of the plain one (`out.jsonl` …)."""
    import pyarrow
    import pyarrow.parquet

    folder = tmp_path_factory.mktemp("spelt")
    records = list(world.documents.values())[:400]
    data = write(folder / "in.jsonl", records).read_bytes()
    (folder / "in.jsonl.gz").write_bytes(gzip.compress(data))
    (folder / "in.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(data))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), folder / "in.parquet")
    (folder / "folder").mkdir()
    for number, start in enumerate(range(0, len(records), 90)):
        write(folder / "folder" / f"part-{number}.jsonl", records[start : start + 90])
    done = spell(latxa, folder, "docs=in.jsonl")
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_spelling_of_the_input_changes_nothing(latxa: Run, spelt: Path, spelling: str, tmp_path: Path) -> None:
    source = {"glob": "docs=folder/part-*.jsonl", "stdin": "docs=-"}.get(spelling, f"docs={spelling}")
    stdin = (spelt / "in.jsonl").read_bytes() if spelling == "stdin" else b""
    done = spell(latxa, spelt, source, tmp_path, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    assert outcomes(tmp_path) == outcomes(spelt)


def test_stdout_gives_what_a_file_gets_and_nothing_stays_behind(latxa: Run, spelt: Path, tmp_path: Path) -> None:
    done = latxa("corpus", f"docs={spelt}/in.jsonl", "--language", "eu", cwd=tmp_path)
    assert done.stdout == (spelt / "out.jsonl").read_bytes()
    assert not list(tmp_path.iterdir()), "no work folder is left"


def test_records_without_ids_keep_apart(latxa: Run, tmp_path: Path, world: World) -> None:
    texts = [world.documents[name]["text"] for name in world.of_kind("original")[:6]]
    records = [{"text": text} for text in (*texts, texts[0])] + [{"id": 7, "text": texts[1] + " Amaiera."}]
    source = write(tmp_path / "in.jsonl", records)
    every = latxa("corpus", source, "--language", "eu", "--only", "normalise")
    ids = [json.loads(line)["id"] for line in every.stdout.splitlines()]
    assert len(set(ids)) == len(ids) == 8 and ids[6] == f"{ids[0]}-2" and ids[7] == "7"
    exact = latxa("corpus", source, "--language", "eu", "--only", "exact")
    assert [json.loads(line)["id"] for line in exact.stdout.splitlines()] == [*ids[:6], "7"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_text_files_of_two_sources_may_have_the_same_names(latxa: Run, tmp_path: Path, workers: str) -> None:
    texts = {"a/1.txt": "Bat bi hiru.", "a/sub/1.txt": "Lau bost.", "b/1.txt": "Sei zazpi.", "c/1.txt": "Zortzi."}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    words = ["corpus", "a", tmp_path / "b", "third=c/*.txt", "--language", "eu", "--only", "normalise"]
    done = latxa(*words, "--workers", workers, cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    found = {record["id"]: record["text"] for record in map(json.loads, done.stdout.splitlines())}
    assert found == {name.replace("c/", "third/"): text for name, text in texts.items()}


def test_odd_records_pass_unchanged(latxa: Run, tmp_path: Path) -> None:
    lines = [
        b'{"id": "a", "text": "Bat bi hiru lau bost sei.", "url": null, "metadata": {}}',
        b'  {"text" : "Zazpi zortzi bederatzi hamar.\\u2028Hamaika", "id":"b","metadata":{"x":[1,{"y":null}]}}\r',
        b"",
        b'{"id": "c", "text": "Hamabi hamahiru hamalau hamabost hamasei.", "metadata": null, "extra": 1e5}',
        b'{"id": 4, "text": "Bat bi hiru lau bost sei.", "extra": {"metadata": 1}}',
        b'{"id": "e", "text": "Hamazazpi hemezortzi hemeretzi hogei.", "extra": "} \\" \\\\"}  ',
        b'{"id": "f", "extra": [1.5, "\\ud83d\\ude00"], "text": "Hamazazpi hemezortzi hemeretzi hogei."}',
        b'{"id": 7, "text": "Hogeita bat."}',
    ]
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))  # and no line end after the last
    given = {str(record["id"]): record for record in map(json.loads, filter(None, lines))}
    for steps in (["--only", "exact"], ["--only", "split"], ["--only", "exact", "--only", "split"]):
        done = latxa("corpus", source, "--language", "eu", *steps)
        assert done.returncode == 0, done.stderr.decode()
        found = {record["id"]: record for record in map(json.loads, done.stdout.splitlines())}
        assert list(found) == list("abce7" if "exact" in steps else "abc4ef7")
        for name, record in found.items():
            added = {"id": name, "metadata": record.get("metadata")}
            assert record.pop("source", "in") == "in"
            assert record | added == given[name] | added
            was, now = given[name].get("metadata") or {}, dict(record.get("metadata") or {})
            assert ("split" in now) == ("split" in steps) and now.pop("split", "train") in ("train", "valid", "test")
            copies = 2 if name in "ae" and "exact" in steps else 1
            assert now.pop("cluster_size", 1) == copies and now == was
