"""`latxa corpus` on hostile input, with wrong usage, on a disk that fills: one line that says what; no bytes lost."""

from __future__ import annotations

import gzip
import resource
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from bench import mess
from corpus_world import Record, Run, outcomes, read, spell, write
from tiny import BINARY

GOOD = "Gaur goizean mendira joan gara lagunekin eta bidean euria hasi du, baina inork ez du atzera egin nahi izan."


def good(count: int, name: str = "d") -> list[Record]:
    return [{"id": f"{name}{number}", "text": f"{GOOD} Hau {number}. aldia da."} for number in range(count)]


def is_one_error(stderr: str, *, hint: bool | None = None) -> bool:
    """Whether, besides what the verb says as it goes, `stderr` is one line `latxa: …` and perhaps one `hint: …`."""
    lines = [line for line in stderr.splitlines() if line.startswith(("latxa: ", "hint: "))]
    right = len(lines) in (1, 2) and lines[0].startswith("latxa: ") and "Traceback" not in stderr
    return right and (len(lines) == 1 or lines[1].startswith("hint: ")) and hint in (None, len(lines) == 2)


def fails(done: Any, code: int, *parts: str, hint: str | None = None) -> None:
    """Assert that a run failed with one line that holds `parts`, and a hint that holds `hint`."""
    stderr = done.stderr.decode()
    assert done.returncode == code and is_one_error(stderr), stderr
    lines = [line for line in stderr.splitlines() if line.startswith(("latxa: ", "hint: "))]
    for part in parts:
        assert part in lines[0], stderr
    if hint is not None:
        assert len(lines) == 2 and hint in lines[1], stderr


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["truncated", "garbled"])
def test_a_damaged_dump(latxa: Run, tmp_path: Path, ending: str, damage: str) -> None:
    data = b"".join(orjson.dumps(record) + b"\n" for record in good(20_000))
    packed = gzip.compress(data) if ending == ".gz" else zstandard.ZstdCompressor(write_checksum=True).compress(data)
    half = len(packed) // 2
    packed = packed[:half] if damage == "truncated" else packed[:half] + bytes(64) + packed[half + 64 :]
    source, output = tmp_path / f"dump.jsonl{ending}", tmp_path / "out.jsonl"
    source.write_bytes(packed)
    done = latxa("corpus", source, "--language", "eu", "--only", "exact", "-o", output, "--rejects", tmp_path / "r")
    fails(done, 1, f"dump.jsonl{ending}")
    assert not output.exists() and not list(tmp_path.glob("*manifest*"))


def test_a_damaged_parquet_file(latxa: Run, tmp_path: Path) -> None:
    source = tmp_path / "dump.parquet"
    source.write_bytes(b"PAR1" + bytes(1000) + b"PAR1")
    fails(latxa("corpus", source, "--language", "eu", "-o", tmp_path / "out.jsonl"), 1, "dump.parquet")
    assert not (tmp_path / "out.jsonl").exists()


BROKEN = {
    "UTF-8": (b'{"id": "x", "text": "Caf\xe9"}', "invalid UTF-8"),
    "JSON": (b'{"id": "x", "text": ', "not JSON"),
    "no text": (b'{"id": "x", "body": "y"}', "text"),
    "an array": (b'["x"]', "not an object"),
    "an id": (b'{"id": ["x"], "text": "y"}', "id"),
    "nesting": (b'{"id": "x", "text": "y", "deep": ' + b"[" * 400 + b"]" * 400 + b"}", "nested"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_malformed_line(latxa: Run, tmp_path: Path, what: str) -> None:
    line, message = BROKEN[what]
    source = tmp_path / "in.jsonl"
    data = write(tmp_path / "good.jsonl", good(4)).read_bytes().splitlines(keepends=True)
    source.write_bytes(b"".join(data[:2]) + line + b"\n" + b"".join(data[2:]))
    output, rejects = tmp_path / "out.jsonl", tmp_path / "rejects.jsonl"
    words = ["corpus", source, "--language", "eu", "--only", "exact", "-o", output]
    fails(latxa(*words), 1, f"{source}:3: ", message, hint="--rejects")
    assert not output.exists()
    assert latxa(*words, "--rejects", rejects).returncode == 0
    assert [record["id"] for record in read(output)] == ["d0", "d1", "d2", "d3"]
    (entry,) = read(rejects)
    assert entry["reason"] == "malformed" and entry["where"] == f"{source}:3" and message in entry["detail"]


def test_a_run_that_fails_leaves_no_half_output(latxa: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "a", "text": "Bat bi hiru."}\n{"id": "b"}\n')
    words = ["in.jsonl", "--language", "eu", "--review", "review.jsonl", "--card", "card.md", "-o", "out.jsonl"]
    fails(latxa("corpus", *words, cwd=tmp_path), 1, "in.jsonl:2: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl.work"]


def test_empty_sources(latxa: Run, tmp_path: Path) -> None:
    empty, blank = tmp_path / "empty.jsonl", tmp_path / "blank.jsonl"
    empty.write_bytes(b"")
    blank.write_bytes(b"\n\n  \n")
    (tmp_path / "empty.jsonl.gz").write_bytes(gzip.compress(b""))
    some = write(tmp_path / "some.jsonl", good(3))
    output = tmp_path / "out.jsonl"
    alone = latxa("corpus", empty, "--language", "eu", "-o", output)
    assert alone.returncode == 0 and output.read_bytes() == b"", alone.stderr.decode()
    sources = [empty, blank, f"packed={empty}.gz", some]
    beside = latxa("corpus", *sources, "--language", "eu", "--only", "exact", "-o", output)
    assert beside.returncode == 0 and len(read(output)) == 3, beside.stderr.decode()
    funnel = orjson.loads(Path(f"{output}.manifest.json").read_bytes())["funnel"]
    assert {name: steps["read"]["documents"] for name, steps in funnel.items()} == {
        "empty": 0, "blank": 0, "packed": 0, "some": 3,
    }  # fmt: skip


def test_nothing_kept_is_a_failure(latxa: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [{"id": "a", "text": "The rain in Spain stays mainly in the plain. " * 9}])
    further = ["--rejects", "r.jsonl", "--review", "review.jsonl", "--card", "card.md"]
    done = latxa("corpus", source, "--language", "eu", "-o", "out.jsonl", *further, cwd=tmp_path)
    assert done.returncode == 1 and b"nothing was kept" in done.stderr
    assert not (tmp_path / "out.jsonl").exists() and not list(tmp_path.glob("*.part"))
    assert [entry["reason"] for entry in read(tmp_path / "r.jsonl")] == ["wrong language"]


# (words after `corpus`, part of the message, part of the hint); exit code 2, or 1 for what cannot be read
CANNOT_BE_READ = ("no such file", "an empty folder", "a glob of nothing", "no such items", "no such model")
USAGE: dict[str, tuple[str, str, str | None]] = {
    "two of a name": ("a/wiki.jsonl b/wiki.jsonl", "`wiki`", "NAME="),
    "the same file": ("x=in.jsonl y=in.jsonl", "in.jsonl", None),
    "stdin twice": ("x=- y=-", "stdin", None),
    "no such file": ("nowhere.jsonl", "nowhere.jsonl", None),
    "an empty folder": ("nothing", "nothing", None),
    "a glob of nothing": ("*.ndjson", "*.ndjson", None),
    "an unknown ending": ("in.pdf", "in.pdf", None),
    "an unknown step": ("in.jsonl --only exakt", "`exakt`", "`exact`"),
    "only and skip": ("in.jsonl --only exact --skip near", "`--skip`", None),
    "an unknown profile": ("in.jsonl --profile eux", "eux", None),
    "an unknown key": ("in.jsonl --profile key.toml", "minimum_wrds", "minimum_words"),
    "a key of the wrong type": ("in.jsonl --profile type.toml", "minimum_words", None),
    "a broken profile": ("in.jsonl --profile broken.toml", "broken.toml", None),
    "no such items": ("in.jsonl --against exam.jsonl", "exam.jsonl", None),
    "no such model": ("in.jsonl --language-model lid.bin", "lid.bin", None),
    "a size": ("in.jsonl --memory 2gigs", "2gigs", None),
    "too little memory": ("in.jsonl --memory 1MB", "memory", None),
    "one file twice": ("in.jsonl -o x.jsonl --review x.jsonl", "x.jsonl", None),
    "the rejects are the review": ("in.jsonl --rejects x.jsonl --review x.jsonl", "x.jsonl", None),
    "a folder of theirs": ("in.jsonl --work theirs", "theirs", None),
    "resume without output": ("in.jsonl --resume", "`--resume` needs `-o`", None),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what the wrong command lines name."""
    for name in ("a", "b", "nothing", "theirs"):
        (tmp_path / name).mkdir()
    for path in ("a/wiki.jsonl", "b/wiki.jsonl", "in.jsonl"):
        write(tmp_path / path, good(2))
    (tmp_path / "in.pdf").write_bytes(b"%PDF")
    (tmp_path / "key.toml").write_text('language = "eu"\nminimum_wrds = 5\n')
    (tmp_path / "type.toml").write_text('language = "eu"\nminimum_words = "many"\n')
    (tmp_path / "broken.toml").write_text("language = \n")
    (tmp_path / "theirs" / "thesis.txt").write_text("mine")
    return tmp_path


@pytest.mark.parametrize("what", USAGE)
def test_wrong_usage(latxa: Run, folder: Path, what: str) -> None:
    line, message, hint = USAGE[what]
    words = line.split()
    output = [] if {"-o", "--resume"} & set(words) else ["-o", "out.jsonl"]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code = 1 if what in CANNOT_BE_READ else 2
    fails(latxa("corpus", *words, *output, "--language", "eu", cwd=folder), code, message, hint=hint)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_output_does_not_take_the_place_of_the_input(latxa: Run, folder: Path) -> None:
    before = (folder / "in.jsonl").read_bytes()
    done = latxa("corpus", "in.jsonl", "-o", "in.jsonl", "--language", "eu", "--only", "exact", cwd=folder)
    fails(done, 2, "`-o in.jsonl` is an input too", hint="name another file")
    assert (folder / "in.jsonl").read_bytes() == before


def test_an_unknown_language(latxa: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", good(2))
    fails(latxa("corpus", source, "--language", "eus-x"), 2, "eus-x")
    done = latxa("corpus", source, "--language", "eu-ES", "--quiet")
    fails(done, 2, "eu-ES", hint="did you mean `eu`?")
    assert "--language-model FILE" in done.stderr.decode() and "--skip language" in done.stderr.decode()
    ways_out = ["--skip", "language", "--skip", "quality"]
    assert latxa("corpus", source, "--language", "eu-ES", *ways_out).returncode == 0


def test_a_language_that_nobody_profiled(latxa: Run, tmp_path: Path, shared_data: Path) -> None:
    sentences = [record["text"] for record in read(shared_data / "sentences_is.jsonl")]
    texts = ["\n".join(sentences[start : start + 12]) for start in range(0, 240, 12)]
    records = [{"id": str(number), "text": text} for number, text in enumerate([*texts, texts[0], GOOD * 4, "# * #"])]
    output = tmp_path / "out.jsonl"
    done = latxa("corpus", write(tmp_path / "in.jsonl", records), "--language", "is", "-o", output)
    assert done.returncode == 0, done.stderr.decode()
    kept = [record["id"] for record in read(output)]
    assert len(kept) >= 18 and "0" in kept and not {"20", "21", "22"} & set(kept)
    assert "`is`" in done.stderr.decode() and "latxa profile" in done.stderr.decode(), done.stderr.decode()


# --- a disk that fills

# Runs "$@" on a disk of 12 MB that somebody else fills once there is a file named $1; then makes room and resumes.
DISK = """
mount -t tmpfs -o size=12m tmpfs disk && cd disk || exit 99
trigger=$1; shift
(until ls $trigger; do sleep 0.005; done; cat /dev/zero > ballast) > ../filler.txt 2>&1 &
"$@"; first=$?
wait; rm ballast
if [ $first != 0 ]; then echo ---- >&2; "$@" --resume || exit 98; fi
cp *.jsonl ..
exit $first
"""


@pytest.fixture(scope="module")
def whole(latxa: Run, tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A folder with an input, `in.jsonl`, and what an uninterrupted run made of it."""
    folder = tmp_path_factory.mktemp("whole")
    built = mess.build(folder / "mess", 1, seed=5)
    write(folder / "in.jsonl", [record for path in built.files.values() for record in read(path)])
    done = spell(latxa, folder, "docs=in.jsonl")
    assert done.returncode == 0, done.stderr.decode()
    return folder


@pytest.mark.parametrize("trigger", ["*.work", "*.work/*/*", "*.work/*/*.npy", "*.part"])
def test_a_disk_that_fills(whole: Path, tmp_path: Path, trigger: str) -> None:
    (tmp_path / "disk").mkdir()
    words = ["corpus", f"docs={whole}/in.jsonl", "--language", "eu", "-o", "out.jsonl", "--rejects", "rejects.jsonl",
             "--review", "review.jsonl"]  # fmt: skip
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", DISK, "sh", trigger, str(BINARY), *words]
    done = subprocess.run(inside, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    if not (tmp_path / "filler.txt").exists():
        pytest.skip("needs to mount a disk of its own (`unshare --user --mount`)")
    assert done.returncode in (0, 1), done.stderr  # 0: the disk filled when all was written
    assert done.returncode == 1 or trigger == "*.part", done.stderr
    if done.returncode:
        first, _, second = done.stderr.partition("----\n")
        assert is_one_error(first, hint=True) and "No space left" in first and "--resume" in first, first
        assert "latxa: " not in second, second
    assert outcomes(tmp_path) == outcomes(whole)


@pytest.mark.parametrize("size", [20_000, 300_000])
def test_a_file_that_cannot_grow(latxa: Run, whole: Path, tmp_path: Path, size: int) -> None:
    done = spell(
        latxa, whole, "docs=in.jsonl", tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY)),
    )  # fmt: skip
    fails(done, 1)
    assert not (tmp_path / "out.jsonl").exists() and not list(tmp_path.glob("*manifest*"))
    again = spell(latxa, whole, "docs=in.jsonl", tmp_path)
    assert again.returncode == 0, again.stderr.decode()
    assert outcomes(tmp_path) == outcomes(whole)
