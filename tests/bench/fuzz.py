"""Odd lines, rows and flags for every verb that needs no model: no traceback, and nothing lost without a count.

    python tests/bench/fuzz.py [LINES [SEED]]

LINES (default: 200,000) are made of valid records by changing bytes, values, types and names of fields, and of what is
no record at all; a tenth of them are rows of Parquet. They are spread over calls of about 2,000, each with `--rejects`
and some odd flags. A call fails here when it

- ends in another way than with exit code 0, 1 or 2, or says `Traceback`,
- ends with 1 or 2 and says more than one line and a hint,
- counts fewer or more records than lines with something in them (verbs that count each line), or than it wrote,
- writes a line that is not a JSON object.

What failed is kept in a folder that is named at the end, with the command to repeat it.
"""

from __future__ import annotations

import json
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import preloaded
from tiny import BINARY

LINES_OF_A_CALL = 2000
Record = dict[str, Any]

WORDS = [
    "etxe", "zuri", "mendi", "ñandú", "日本語", "ไทย", "ﷺ", "a\u0301", "\u200b", "\ufeff", "🙂", "x" * 50, "\u202e",
    "{", '"',
]  # fmt: skip
ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e308, -0.0, 2**63 - 1, "", " ", "\n", "\0", "é" * 3, [], {}, [[]], [None],
    {"a": {}}, "x" * 2000, ["a"], {"": ""}, "NaN", "1", [1, [2, [3]]],
]  # fmt: skip
NO_RECORDS = [
    b"", b" ", b"\t\r", b"null", b"[]", b"[1", b'"x"', b"{", b"}", b'{"a"}', b"\xff\xfe", b"\x1f\x8b\x08", b"{}\0",
    b"NaN", b'{"a":NaN}', b'{"id":1e999}', b"{" * 300, b'{"a":"\\ud800"}', b"\xef\xbb\xbf{}", b"PAR1",
]  # fmt: skip
ODD_FLAGS = [
    "", " ", "-1", "0", "1", "2", "99999999999", "1e3", "nan", "inf", "0.5", "x", "a=b", "a=", "=1", "é", "/dev/null",
    "no/such", ".", "\t",
]  # fmt: skip
# Flags that write elsewhere, load what is not there, or may never end.
LEFT_OUT = {
    "help", "rounds", "rejects", "quiet", "verbose", "output", "executor", "workers", "language-model", "embedder",
    "tokenizer",
}  # fmt: skip
PROVENANCE = {"source": "web", "licence": "CC0", "url": "https://adibidea.eus/1", "metadata": {"split": "train"}}


def text(draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS, k=draw.randrange(1, 30)))


def document(draw: random.Random) -> Record:
    return {"id": str(draw.randrange(50)), "text": text(draw)} | PROVENANCE


def conversation(draw: random.Random) -> Record:
    roles = ["user", "assistant"] * draw.randrange(1, 3)
    return {"id": str(draw.randrange(50)), "messages": [{"role": role, "content": text(draw)} for role in roles]}


def response(draw: random.Random) -> Record:
    return conversation(draw) | {"id": str(draw.randrange(300)), "model": draw.choice("ab"), "reference": text(draw)}


def battle(draw: random.Random) -> Record:
    return {
        "id": str(draw.randrange(3000)), "model_a": draw.choice("abcd"), "model_b": draw.choice("abcd"),
        "winner": draw.choice(["model_a", "model_b", "tie", "tie (bothbad)"]), "user": draw.choice("uvwxyz"),
        "tstamp": draw.choice([1.7e9, "2025-03-01", "2025-03-01T10:00:00"]),
        "criterion": draw.choice(["winner", "quality", None]), **response_pair(draw),
    }  # fmt: skip


def response_pair(draw: random.Random) -> Record:
    asked = {"role": "user", "content": text(draw)}
    return {f"conversation_{x}": [asked, {"role": "assistant", "content": text(draw)}] for x in "ab"}


def result(draw: random.Random) -> Record:
    return {
        "model": draw.choice("abc"), "task": draw.choice(["arc", "xnli"]), "metric": draw.choice(["acc", "f1"]),
        "value": draw.random(), "stderr": 0.01, "n": 100, "filter": "none", "num_fewshot": draw.randrange(3),
    }  # fmt: skip


def rating(draw: random.Random) -> Record:
    value = draw.uniform(800, 1200)
    return {
        "model": draw.choice("abc"),
        "rating": value,
        "lower": value - 9,
        "upper": value + 9,
        "rank": 1,
        "battles": 5,
    }


def harness_document(draw: random.Random) -> Record:
    """Return results of lm-evaluation-harness, in some of which one thing at any depth is odd."""
    config = {"task": "t", "dataset_path": "org/data", "doc_to_choice": ["A", "B"], "target_delimiter": " ",
              "output_type": "multiple_choice", "metadata": {"version": 1.0, "language": "eu"}}  # fmt: skip
    document = {
        "results": {"t": {"alias": "t", "acc,none": draw.random(), "acc_stderr,none": "N/A"}, "g": {" ": " "}},
        "group_subtasks": {"g": ["t"], "t": []}, "configs": {"t": config}, "versions": {"t": 1.0}, "n-shot": {"t": 5},
        "higher_is_better": {"t": {"acc": True}}, "n-samples": {"t": {"original": 10, "effective": 10}},
        "config": {"model": "hf", "model_args": "pretrained=org/m,revision=r", "model_sha": ""}, "date": 1.74e9,
        "git_hash": "abc", "lm_eval_version": "0.4.8", "model_name": "org/m", "chat_template": "{{x}}",
    }  # fmt: skip
    return odd_inside(draw, document)


def evaluation(draw: random.Random) -> Record:
    """Return an evaluation of Every Eval Ever, in some of which one thing at any depth is odd."""
    result = {
        "evaluation_result_id": "acc:none", "evaluation_name": "t", "evaluation_timestamp": "1740541860",
        "source_data": {"dataset_name": "t", "source_type": "hf_dataset", "hf_repo": "org/data"},
        "metric_config": {"metric_id": "accuracy", "metric_name": "acc", "lower_is_better": False},
        "score_details": {
            "score": draw.random(), "uncertainty": {"standard_error": {"value": 0.1}, "num_samples": 9}, "details": {},
        },
        "generation_config": {"additional_details": {"num_fewshot": "5", "chat": "true"}},
    }  # fmt: skip
    document = {
        "schema_version": "0.3.0", "source_metadata": {"source_name": "latxa"}, "evaluation_results": [result],
        "model_info": {"name": "m", "id": "org/m", "additional_details": {"revision": "r"}}, "eval_library": {},
    }  # fmt: skip
    return odd_inside(draw, document)


def odd_inside(draw: random.Random, document: Record) -> Record:
    """Return the document, with another value at a random place in half of the cases."""
    inner: Any = document
    while draw.random() < 0.7:
        below = [value for value in (inner.values() if isinstance(inner, dict) else inner) if value and
                 isinstance(value, dict | list)]  # fmt: skip
        if not below:
            break
        inner = draw.choice(below)
    if draw.random() < 0.5:
        inner[draw.choice([*inner]) if isinstance(inner, dict) else 0] = draw.choice(ODD_VALUES)
    return document


# Verb: its words before and behind the input, the records it reads, whether it counts each line by itself.
VERBS: dict[str, tuple[list[str], list[Callable[[random.Random], Record]], bool]] = {
    "mix": (["mix", "docs=IN"], [document, conversation], True),
    "corpus": (["corpus", "IN", "--language", "eu", "--profile", "generic"], [document], True),
    "profile": (["profile", "IN", "--language", "eu"], [document], False),
    "judge": (["judge", "IN", "IN2"], [response], False),
    "arena-score": (["arena-score", "IN"], [battle], False),
    "arena-next": (["arena-next", "IN", "-n", "5"], [battle], False),
    "preferences": (["preferences", "IN"], [battle], False),
    "report": (["report", "IN"], [result, rating, harness_document, evaluation], False),
}


def odd(draw: random.Random, record: Record) -> bytes:
    """Return a record, changed in one way or in none, as a line."""
    match draw.randrange(12):
        case 0:
            return draw.choice(NO_RECORDS)
        case 1 | 2 | 3:
            record[draw.choice([*record, "metadata", "source", "split"])] = draw.choice(ODD_VALUES)
        case 4:
            del record[draw.choice([*record])]
        case 5:
            record[draw.choice(["système", "", "a" * 200, "text", "messages", "system"])] = draw.choice(ODD_VALUES)
        case 6:
            line = bytearray(orjson.dumps(record))
            for _ in range(draw.randrange(1, 4)):
                line[draw.randrange(len(line))] = draw.randrange(256)
            return bytes(line).replace(b"\n", b" ")
        case 7:
            line = orjson.dumps(record)
            return line[: draw.randrange(len(line))]
        case 8:
            return json.dumps(record, ensure_ascii=True, indent=None, separators=(" ,\t", " : ")).encode()
    return orjson.dumps(record)


def write_lines(draw: random.Random, path: Path, makers: list[Callable[[random.Random], Record]], count: int) -> int:
    """Write odd lines, and return how many have something in them."""
    lines = [odd(draw, draw.choice(makers)(draw)) for _ in range(count)]
    path.write_bytes(b"\n".join(lines) + draw.choice([b"", b"\n"]))
    lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
    return sum(bool(line.strip()) for line in lines)


def write_rows(draw: random.Random, path: Path, makers: list[Callable[[random.Random], Record]], count: int) -> int:
    """Write rows of Parquet with odd columns beside those of records, and return how many."""
    import pyarrow as pa
    import pyarrow.parquet

    records = [draw.choice(makers)(draw) for _ in range(count)]
    columns: dict[str, Any] = {}
    for name in {name: None for record in records for name in record}:
        values = [record.get(name) for record in records]
        values = [json.dumps(value) if isinstance(value, dict) else value for value in values]
        kinds = {type(value) for value in values if value is not None}
        if len(kinds) > 1:
            values = [None if value is None else str(value) for value in values]
        try:
            columns[name] = pa.array(values)
        except pa.ArrowException:  # lists of several types
            columns[name] = pa.array([None if value is None else str(value) for value in values])
    numbers = [draw.randrange(-(2**40), 2**40) for _ in range(count)]
    for name, kind in (("t", pa.timestamp("ns", "Odd/Zone")), ("d", pa.duration("us")), ("s", pa.timestamp("s"))):
        columns[name] = pa.array(numbers, pa.int64()).cast(kind)
    columns["b"] = pa.array([draw.randbytes(draw.randrange(5)) for _ in range(count)])
    pyarrow.parquet.write_table(pa.table(columns), path)
    return count


def odd_flags(draw: random.Random, words: list[str], flags: list[str]) -> list[str]:
    """Return a command with odd values for some of its flags."""
    chosen = draw.sample(flags, k=min(len(flags), draw.choice([0, 0, 1, 1, 2])))
    return [*words, *(f"--{name}={draw.choice(ODD_FLAGS)}" for name in chosen)]


def flags_of(server: preloaded.Server, verb: str) -> list[str]:
    """Return the flags that a verb's help names, without those that are left out."""
    help_text = preloaded.run(server, [BINARY, verb, "--help"], capture_output=True).stdout.decode()
    return sorted(set(re.findall(r"--([a-z][a-z-]+)", help_text)) - LEFT_OUT)


def faults(done: subprocess.CompletedProcess[bytes], lines: int | None, rejects: Path) -> list[str]:
    """Return what a call did wrong; `lines`: how many it has to count."""
    said = done.stderr.decode(errors="replace")
    found = []
    if done.returncode not in (0, 1, 2) or "Traceback" in said:
        found.append(f"exit code {done.returncode}: {said.strip().splitlines()[-1:]}")
    errors = [line for line in said.splitlines() if line.startswith("latxa: ")]
    if done.returncode in (1, 2) and len(errors) != 1 and "Traceback" not in said:
        found.append(f"{len(errors)} lines of errors")
    for line in done.stdout.split(b"\n"):
        if done.returncode == 0 and line and not line.startswith(b"{") and "profile" not in done.args:
            found.append(f"no object: {line[:60]!r}")
            break
    counts = re.search(r": ([\d,]+) in, ([\d,]+) out(?:; ([\d,]+) rejected)?", said)
    if lines is not None and done.returncode == 0 and counts:
        read, written, rejected = (int((count or "0").replace(",", "")) for count in counts.groups())
        if read != lines:
            found.append(f"{lines} lines, {read} counted")
        aside = rejects.read_bytes().count(b"\n") if rejects.exists() else 0
        if rejected != aside:
            found.append(f"{rejected} rejected, {aside} set aside")
        if not re.search(r"--(weight|take|hold-out|split|variant|shard|only|skip)", shlex.join(map(str, done.args))):
            other_split = sum(map(int, re.findall(r"(\d+) other split", said)))
            if read != written + rejected + other_split:
                found.append(f"{read} in, {written} out and {rejected} rejected")
    return found


def main(total: int, seed: int) -> None:
    draw = random.Random(seed)
    server = preloaded.Server()
    kept = Path(tempfile.mkdtemp(prefix="latxa-fuzz-"))
    flags = {verb: flags_of(server, verb) for verb in VERBS}
    done_lines = calls = failed = 0
    while done_lines < total:
        verb = draw.choice(list(VERBS))
        words, makers, counts_lines = VERBS[verb]
        folder = kept / f"{calls:05}"
        folder.mkdir()
        as_table = draw.random() < 0.1
        names = {"IN": folder / ("in.parquet" if as_table else "in.jsonl"), "IN2": folder / "in2.jsonl"}
        lines = (write_rows if as_table else write_lines)(draw, names["IN"], makers, LINES_OF_A_CALL)
        if "IN2" in words:
            write_lines(draw, names["IN2"], makers, LINES_OF_A_CALL // 4)
        command = [word.replace("IN2", str(names["IN2"])).replace("IN", str(names["IN"])) for word in words]
        command = odd_flags(draw, command, flags[verb])
        rejects = folder / "rejects"
        call = preloaded.run(
            server, [BINARY, *command, "--rejects", str(rejects)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=folder, timeout=300,
        )  # fmt: skip
        wrong = faults(call, lines if counts_lines else None, rejects)
        calls, done_lines = calls + 1, done_lines + LINES_OF_A_CALL
        if wrong:
            failed += 1
            (folder / "command").write_text(shlex.join(["latxa", *command, "--rejects", "rejects"]) + "\n")
            (folder / "stderr").write_bytes(call.stderr)
            sys.stdout.write(f"{folder}: {'; '.join(wrong)}\n    latxa {shlex.join(command)[:200]}\n")
        else:
            shutil.rmtree(folder)
    sys.stdout.write(f"{done_lines:,} lines in {calls:,} calls: {failed:,} calls failed\n")
    if failed:
        raise SystemExit(1)
    shutil.rmtree(kept)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
