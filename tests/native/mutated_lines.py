"""Mutated JSON lines, each with a page behind it that nobody may touch, for the kernels that read by address.

    python tests/native/mutated_lines.py [LINES] [--seed 0] [--compare 10]

A kernel that reads or writes past the end dies, and the line is shown. What the scanner says of each line must be what
its twin says; of every tenth line so must what all the others make of it. A million lines take some five minutes.
"""

from __future__ import annotations

import argparse
import json
import mmap
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from guarded import Guarded

from latxa_cli.mixing.insertions import insertions
from latxa_cli.native import documents, json_lines, mix_lines, mix_rows, words
from latxa_cli.native.json_lines import FOUND_SIZE, KIND, NAMES_AT_MOST, SLOTS, TEXT, TEXT_SIZE
from latxa_cli.native.layout import LINE, ROW, UNREAD
from latxa_cli.native.minhash import BANDS
from latxa_cli.native.plain import documents as plain_documents
from latxa_cli.native.plain import json_lines as plain_json_lines
from latxa_cli.native.plain import mix_lines as plain_mix_lines
from latxa_cli.native.plain import mix_rows as plain_mix_rows
from latxa_cli.text.words import table

LONGEST = 1 << 15  # bytes of a line
SEEDS, EPOCHS = np.array([3, 2**63 + 5], np.uint64), 2
INSERTED = insertions(["a", "name of 40 characters, which is a lot -"], [1, 7], EPOCHS)
ALPHABET = 'ab é\\"\n\t\x00\x1f\x0b\x7f/·’漢\u0301\u2028\u2003😀' + "x" * 9
SPLICES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\t\r", b"\\u000", b"\\ud83d", b"\xc3", b"\xe2\x80",
    b"\xf0\x9f", b"0.1234", b"-0", b"1e9", b"tru", b"null", b'"id":"', b'"text":"', b'"metadata":{',
    b'"messages":[{"role":"user"',
    b"[" * 30, b'{"a":' * 30, b"a" * 31, b"a" * 32, b"a" * 33, b" " * 32, b"\x00", b'"split":"train"', b'"epoch":2',
]  # fmt: skip


# --- lines -----------------------------------------------------------------------------------------------------------


def a_text(draw: random.Random) -> str:
    return "".join(draw.choices(ALPHABET, k=draw.choice([0, 1, 7, 30, 31, 32, 33, 64, 200])))


def a_value(draw: random.Random, depth: int = 0) -> Any:
    kind = draw.randrange(8 if depth < 3 else 6)
    if kind < 6:
        number = draw.choice([draw.randint(-(10**17), 10**17), draw.randrange(100), 0.5, -12.25, draw.random()])
        return draw.choice([a_text(draw), number, None, True, False])
    values = [a_value(draw, depth + 1) for _ in range(draw.randrange(4))]
    return values if kind == 6 else {a_name(draw): value for value in values}


def a_name(draw: random.Random) -> str:
    """Return what needs no escapes, but for one in ten."""
    return a_text(draw) if draw.random() < 0.1 else "".join(draw.choices("abcé ’/漢", k=draw.choice([0, 3, 8, 9, 40])))


def a_record(draw: random.Random) -> dict[str, Any]:
    record: dict[str, Any] = {"id": draw.choice(["1", "ñ/7", "0123456789abcdef-2", "0123456789abcdef", a_name(draw)])}
    if draw.random() < 0.6:
        record["text"] = a_text(draw)
    else:
        roles = draw.choices(["user", "assistant", "system"], k=draw.randint(1, 3))
        record["messages"] = [{"role": role, "content": a_text(draw)} for role in roles]
    for field in ("source", "url", draw.choice(["licence", "license"]), "more", "metadata"):
        if draw.random() < 0.3:
            record[field] = a_value(draw) if field == "more" else {} if field == "metadata" else a_name(draw)
    if draw.random() < 0.3:
        record["metadata"] = {"split": draw.choice(["train", "valid"]), a_name(draw): a_value(draw)}
    fields = list(record.items())
    draw.shuffle(fields)
    return dict(fields)


def spelled(draw: random.Random, record: dict[str, Any]) -> bytes:
    if draw.random() < 0.7:
        return orjson.dumps(record)
    return json.dumps(record, ensure_ascii=draw.random() < 0.3).encode("utf-8", "surrogatepass")


def mutated(draw: random.Random, line: bytes, other: bytes) -> bytes:
    """Change a line in up to four places, or leave it as it is."""
    for _ in range(draw.choice([0, 1, 1, 1, 2, 4])):
        at, size = draw.randint(0, len(line)), draw.choice([0, 1, 1, 2, 5, 40])
        kind = draw.randrange(6)
        if kind == 0:
            line = line[:at]
        elif kind == 1:
            line = line[:at] + line[at + size :]
        elif kind == 2:
            line = line[:at] + bytes([draw.randrange(256)]) + line[at + 1 :]
        elif kind == 3:
            line = line[:at] + line[at : at + size] * draw.randint(2, 3) + line[at + size :]
        elif kind == 4:
            line = line[:at] + other[draw.randint(0, len(other)) :]
        else:
            line = line[:at] + draw.choice(SPLICES) + line[at + draw.choice([0, size]) :]
    return line.replace(b"\n", b" ")[:LONGEST]


def mutated_lines(draw: random.Random) -> Iterator[bytes]:
    other = b"{}"
    while True:
        line = spelled(draw, a_record(draw))
        yield mutated(draw, line, other)
        other = line


# --- kernels ---------------------------------------------------------------------------------------------------------


class Trial:
    """Lays lines against the forbidden page and calls the kernels on them."""

    def __init__(self) -> None:
        self.lines, self.text, self.texts, self.out = (Guarded(3 * LONGEST) for _ in range(4))
        self.found = np.zeros(FOUND_SIZE, np.int64)
        self.names = np.zeros(NAMES_AT_MOST, np.uint64)
        self.hashes = np.zeros(LONGEST + 2, np.uint64)
        self.accepted = self.emitted = 0

    def record(self, line: bytes) -> None:
        """Compare the scanner with its twin; hash the words of a text that lies by itself."""
        at = self.lines.put(line)
        end = json_lines.record(at, self.found, self.names)
        ours = end and (end, self.found[:SLOTS].tolist())
        found = np.zeros(SLOTS, np.int64)
        end = plain_json_lines.record(at, found, self.names)
        assert ours == (end and (end, found.tolist())), "the scanner is not its twin"
        self.accepted += bool(end)
        if end and found[KIND] == json_lines.DOCUMENT:
            start, size = int(found[TEXT]), int(found[TEXT_SIZE])
            text = self.text.put(line[start - at : start - at + size], padding=0)
            count, _ = words.hash_words(text, size, table(), self.hashes)
            assert count <= size

    def block(self, data: bytes, compare: bool) -> None:
        """Read lines in the two ways, and write them again."""
        start = self.lines.put(data)
        end = start + len(data)
        most = json_lines.count_lines(start, end)
        assert most == data.count(b"\n") + 1
        rows, split = np.zeros(most, ROW), np.frombuffer(bytearray(b"train"), np.uint8)
        count = mix_rows.scan(start, end, SEEDS, split, 0, rows)
        lines, bands = np.zeros(most, LINE), np.zeros((most, BANDS), np.uint64)
        counts = documents.scan(start, end, table(), self.hashes, lines, bands)
        if compare:
            others = np.zeros(most, ROW)
            assert count == plain_mix_rows.scan(start, end, SEEDS, split, 0, others)
            assert rows.tolist() == others.tolist(), "rows are not those of the twin"
            others, other_bands = np.zeros(most, LINE), np.zeros((most, BANDS), np.uint64)
            assert counts == plain_documents.scan(start, end, table(), self.hashes, others, other_bands)
            assert lines.tolist() == others.tolist() and (bands == other_bands).all(), "documents are not the twin's"
        self.emit(start, rows[:count], compare)

    def emit(self, start: int, rows: np.ndarray, compare: bool) -> None:
        rows = rows[rows["flags"] & UNREAD == 0]
        rows["offset"] += np.uint64(start)
        rows["input"] = np.arange(len(rows)) % 2
        picked, ends = np.arange(len(rows)), np.zeros(len(rows), np.int64)
        texts, given = self.texts.put(INSERTED.texts), (INSERTED.starts, 2)
        longest = int(rows["length"].sum()) + len(rows) * (INSERTED.longest + 1)
        for epochs in (np.ones_like(picked), np.full_like(picked, EPOCHS)):
            size = mix_lines.emit(rows, picked, epochs, texts, *given, self.out.room(longest), ends)
            written = mix_lines.emit(rows, picked, epochs, texts, *given, self.out.room(size), ends)
            assert size == written
            self.emitted += len(rows)
            if compare:
                ours, place = self.out.take(size), self.out.room(size)
                assert plain_mix_lines.emit(rows, picked, epochs, texts, *given, place, np.zeros_like(ends)) == size
                assert ours == self.out.take(size), "lines are not those of the twin"


def run(count: int, seed: int, compare: int, now: mmap.mmap) -> Trial:
    draw, trial = random.Random(seed), Trial()
    lines = mutated_lines(draw)
    before = b""
    for number in range(count):
        line = next(lines)
        now[: len(line) + 8] = len(line).to_bytes(8, "little") + line
        trial.record(line)
        trial.block(draw.choice([line, line + b"\n", before + b"\n" + line]), number % compare == 0)
        before = line
    return trial


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("lines", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compare", type=int, default=10)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        with Path(options.child).open("r+b") as file:
            trial = run(options.lines, options.seed, options.compare, mmap.mmap(file.fileno(), 0))
        print(f"{options.lines:,} lines, {trial.accepted:,} of them taken; {trial.emitted:,} written")
        return 0
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(LONGEST + 8)
        done = subprocess.run([sys.executable, *sys.argv, "--child", file.name], check=False)
        if done.returncode:
            data = Path(file.name).read_bytes()
            print(f"ended with {done.returncode} at the line", data[8 : 8 + int.from_bytes(data[:8], "little")])
    return min(1, abs(done.returncode))


if __name__ == "__main__":
    sys.exit(main())
