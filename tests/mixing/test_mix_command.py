"""`latxa mix` as a command: its files, its manifest, wrong usage, and what a kill leaves."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from mixing_world import conversation, documents, parsed, write
from tiny import BINARY

Latxa = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, Basque and English instructions, and scores of the English ones."""
    folder = tmp_path_factory.mktemp("inputs")
    write(folder / "corpus.jsonl", documents(*map(str, range(40)), source="web"))
    for language in ("eu", "en"):
        write(folder / f"{language}.jsonl", [conversation(str(n), f"{language} {n}", "yes") for n in range(30)])
    write(folder / "scores.jsonl", [{"id": str(n), "scores": {"all": n % 4}} for n in range(30)])
    return folder


def manifest(output: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(output.with_name(output.name + ".manifest.json").read_bytes())
    return loaded


def test_the_grid_of_variants_with_every_reason(latxa: Latxa) -> None:
    done = latxa("variants")
    assert done.returncode == 0, done.stderr.decode()
    rows = parsed(done.stdout)
    kept = [row for row in rows if row["kept"] == "yes"]
    assert (len(rows), len(kept)) == (24, 18)
    assert all(bool(row["reason"]) is (row["kept"] == "no") for row in rows)
    assert {row["variant"]: row["equals"] for row in rows if row["reason"]} == {
        "exp_0_000": "exp_0_000", "exp_1_000": "exp_1_000", "exp_0_001": "exp_2_000", "exp_2_001": "exp_2_000",
        "exp_0_100": "exp_1_000", "exp_1_100": "exp_1_000",
    }  # fmt: skip


def test_a_variant_that_is_another_model_is_refused(latxa: Latxa, folder: Path) -> None:
    done = latxa("mix", "corpus=corpus.jsonl", "--variant", "exp_1_100", cwd=folder)
    assert done.returncode == 2
    first, second = done.stderr.decode().splitlines()
    assert first.startswith("latxa: the variant `exp_1_100` is not one of the 18: the adapted base has been trained")
    assert second == "hint: it equals the adapted base model, `exp_1_000`: nothing is to be mixed or trained"


def test_a_variant_takes_its_inputs_and_flags_of_others_do_no_harm(latxa: Latxa, folder: Path) -> None:
    words = ["corpus=corpus.jsonl", "eu=eu.jsonl", "en=en.jsonl", "--variant", "exp_2_101", "--weight", "eu=3"]
    done = latxa("mix", *words, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert {record["source"].partition("/")[0] for record in parsed(done.stdout)} == {"corpus", "en"}
    assert "latxa mix: `eu` is left out: `exp_2_101` does not name it" in done.stderr.decode().splitlines()


def test_everything_at_once(latxa: Latxa, folder: Path, tmp_path: Path) -> None:
    output, held, rejects = (tmp_path / name for name in ("mix.jsonl", "held.jsonl.zst", "rejects.jsonl"))
    done = latxa(
        "mix", "corpus=corpus.jsonl", "eu=eu.jsonl", "en=en.jsonl", "--weight", "corpus=1.5", "--weight", "eu=0.5",
        "--hold-out", "corpus=4", "--hold-out", "eu=2", "--hold-out-file", held, "--minimum", "en=2", "--scores",
        "scores.jsonl", "--answer-in", "en=Basque", "--take-from", "en=9", "-o", output, "--rejects", rejects,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    facts = manifest(output)
    records = parsed(output.read_bytes())
    assert facts["counts"] == {"in": 100, "out": 36 + 18 + 14 + 9, "rejected": {"low score": 16}}
    assert (facts["held out"], facts["not taken"], facts["copies"]) == (6, 14 + 5, 18)
    assert facts["sources"]["corpus"] | {"bytes": 0, "words": 0, "share": {}} == {
        "records": 54, "bytes": 0, "words": 0, "share": {}, "weight": 1.5, "copies": 18, "held out": 4,
    }  # fmt: skip
    assert {Path(entry["path"]).name for entry in facts["inputs"]} == {
        f"{n}.jsonl" for n in ("corpus", "eu", "en", "scores")
    }
    assert sum(record.get("metadata", {}).get("epoch") == 2 for record in records) == 18
    assert all(r["messages"][0]["content"].endswith("Answer in Basque.") for r in records if r["source"] == "en")
    packed = zstandard.ZstdDecompressor().stream_reader(held.read_bytes(), read_across_frames=True)
    assert len(parsed(packed.read())) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "held.jsonl.zst", "mix.jsonl", "mix.jsonl.manifest.json", "rejects.jsonl",
    ]  # fmt: skip
    said = [line.removeprefix("latxa mix: ") for line in done.stderr.decode().splitlines()]
    assert said[0].startswith("corpus: 54 records (70.1%)") and said[0].endswith("weight 1.5; 4 held out")


USAGE = {
    "no file for what is held out": (["en=en.jsonl", "--hold-out", "en=1"], "`--hold-out` needs `--hold-out-file`"),
    "nothing to hold out": (["en=en.jsonl", "--hold-out-file", "x"], "`--hold-out-file` needs `--hold-out`"),
    "tokens of no tokenizer": (["en=en.jsonl", "--take-tokens", "9"], "`--take-tokens` needs `--tokenizer`"),
    "scores for nothing": (["en=en.jsonl", "--scores", "scores.jsonl"], "`--scores` needs `--minimum`"),
    "clusters of no embeddings": (["en=en.jsonl", "--diversify", "en=9"], "`--diversify` needs `--embedder`"),
    "an unknown input": (["en=en.jsonl", "--weight", "eu=2"], "`--weight eu=2`: no input is named `eu`"),
    "two budgets": (["en=en.jsonl", "--take", "1", "--take-tokens", "1", "--tokenizer", "x"], "two budgets"),
    "one file for two things": (
        ["en=en.jsonl", "-o", "x.jsonl", "--hold-out", "en=1", "--hold-out-file", "x.jsonl"], "`-o` would both write",
    ),
    "the same file twice": (["en=en.jsonl", "eu=en.jsonl"], "is in two sources"),
    "stdin twice": (["en=-", "eu=-"], "stdin is in two sources"),
}  # fmt: skip


@pytest.mark.parametrize("what", USAGE)
def test_wrong_usage_is_told_before_anything_is_made(what: str, latxa: Latxa, folder: Path) -> None:
    before = sorted(folder.iterdir())
    words, message = USAGE[what]
    done = latxa("mix", *words, cwd=folder, stdin=b"")
    assert done.returncode == 2, done.stderr.decode()
    assert message in done.stderr.decode().splitlines()[0]
    assert sorted(folder.iterdir()) == before


def test_more_than_there_is_cannot_be_held_out(latxa: Latxa, folder: Path, tmp_path: Path) -> None:
    done = latxa("mix", "en=en.jsonl", "--hold-out", "en=31", "--hold-out-file", tmp_path / "x", cwd=folder)
    assert done.returncode == 1
    assert "`en` has 30 records, of which 31 are to be held out" in done.stderr.decode()
    assert not list(tmp_path.iterdir())


def test_a_mix_of_nothing_leaves_no_file_of_what_is_held_out(latxa: Latxa, folder: Path, tmp_path: Path) -> None:
    done = latxa("mix", "en=en.jsonl", "--hold-out", "en=30", "--hold-out-file", tmp_path / "x", cwd=folder)
    assert done.returncode == 1 and "nothing is in the mix" in done.stderr.decode()
    assert not list(tmp_path.iterdir())


def test_text_files_of_two_inputs_may_have_the_same_names(latxa: Latxa, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text(f"the text of {name}")
    done = latxa("mix", "x=a", "y=b/1.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    assert {record["id"]: record["text"] for record in parsed(done.stdout)} == {
        "x/1.txt": "the text of a", "y/1.txt": "the text of b"
    }  # fmt: skip


def test_a_mix_of_a_mix_repeats_no_epoch(latxa: Latxa, folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    for source, output in ((folder / "corpus.jsonl", first), (first, second)):
        done = latxa("mix", f"docs={source}", "--weight", "docs=1.5", "-o", output)
        assert done.returncode == 0, done.stderr.decode()
    records = parsed(second.read_bytes())
    keys = {(r["source"], r["id"], r.get("metadata", {}).get("epoch", 1)) for r in records}
    assert len(keys) == len(records) == 90


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 MB, which do not fit in `--memory 350MB`."""
    path = tmp_path_factory.mktemp("large") / "large.jsonl"
    draw = random.Random(0)
    text = " ".join(draw.choices(["sea", "gull", "ñandú", "“roof”"], k=2000))
    with path.open("wb") as file:
        for number in range(10_000):
            start = draw.randrange(4000)
            record = {"id": f"d{number}", "text": text[start : start + 6000], "metadata": {"n": number}}
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        again = {"id": "d7", "text": "another text"}
        file.write(orjson.dumps(again) + b"\n" + orjson.dumps(again) + b"\n")
    return path


def test_killed_again_and_again_it_ends_with_the_same_mix(latxa: Latxa, large: Path, tmp_path: Path) -> None:
    input_flags = ["--weight", "docs=1.5", "--hold-out", "docs=100"]
    whole = latxa(
        "mix", f"docs={large}", *input_flags, "--hold-out-file", tmp_path / "held", "-o", tmp_path / "whole.jsonl"
    )
    assert whole.returncode == 0, whole.stderr.decode()
    output, held = tmp_path / "out.jsonl", tmp_path / "held-again"
    words = [
        BINARY, "mix", f"docs={large}", *input_flags, "--hold-out-file", held, "-o", output,
        "--rejects", tmp_path / "rejects", "--memory", "350MB", "--resume",
    ]  # fmt: skip
    draw = random.Random()
    kills, longest = 0, 2.0
    while kills < 4:
        process = subprocess.Popen(words, stderr=subprocess.PIPE)
        time.sleep(draw.random() * longest)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGKILL), said.decode()
        if process.returncode == 0:  # it was done before
            output.unlink()
            longest *= 0.8
        else:
            kills += 1
    done = subprocess.run(words, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert held.read_bytes() == (tmp_path / "held").read_bytes()
    assert [entry["detail"] for entry in parsed((tmp_path / "rejects").read_bytes())] == ["docs: d7"]
    assert manifest(output)["counts"] == manifest(tmp_path / "whole.jsonl")["counts"]
    assert not [
        path for path in tmp_path.iterdir() if path.name.startswith("out.jsonl.") and "manifest" not in path.name
    ]


@pytest.mark.parametrize("more", [(), ("--criterion", "truth")])
def test_records_without_scores_are_told(latxa: Latxa, tmp_path: Path, more: tuple[str, ...]) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "a b"}\n')
    done = latxa("mix", "a=a.jsonl", "--minimum", "a=3", *more, cwd=tmp_path)
    said = "`--minimum`: the records of `a` have no `metadata.scores`; `--scores` takes a file of them"
    assert done.returncode == 1 and said in done.stderr.decode()
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "a b", "metadata": {"scores": {"truth": 2}}}\n')
    low = latxa("mix", "a=a.jsonl", "--minimum", "a=3", *more, cwd=tmp_path).stderr.decode()
    assert "1 low score" in low and said not in low
