"""Rows on the disk: what is written is what is read, whatever their number, and what tells two sets of rows apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.training.data import rows as on_disk
from latxa_cli.training.data.rows import IGNORED, PreparedRows, RowWriter, settings_of

LENGTH, PADDING = 12, 9
Piece = tuple[list[int], list[bool]]
FACTS = {
    "tokenizer": "t", "chat_template": None, "chat_loss": "assistant", "source_loss": {"eu": "all"},
    "sources": {"eu": {"records": 1, "tokens": 10, "trained": 5}},
}  # fmt: skip


def write(folder: Path, rows: Sequence[Sequence[Piece]], *, vocabulary: int = 300, **facts: Any) -> Path:
    """Write rows of pieces (ids, which of them are trained), all by one call."""
    pieces = [piece for row in rows for piece in row]
    ids = np.array([token for piece, _ in pieces for token in piece], np.uint32)
    trained = np.array([mark for _, marks in pieces for mark in marks], bool)
    spans, place = [], 0
    for row in rows:
        spans.append([])
        for piece, _ in row:
            spans[-1].append((place, len(piece)))
            place += len(piece)
    folder.mkdir()
    writer = RowWriter(folder, LENGTH, padding=PADDING, vocabulary=vocabulary)
    writer.write(ids, trained, [np.array(row, np.int64) for row in spans])
    writer.finish(FACTS | facts)
    return folder


def some_rows(count: int, vocabulary: int = 300) -> list[list[Piece]]:
    draw = np.random.default_rng(0)
    rows = []
    for _ in range(count):
        cuts = sorted({0, *draw.integers(1, LENGTH, 3).tolist()})
        pieces = [draw.integers(0, vocabulary, end - start).tolist() for start, end in pairwise(cuts)]
        rows.append([(piece, [False, *(draw.random(len(piece) - 1) < 0.5).tolist()]) for piece in pieces])
    return rows


def expected(row: Sequence[Piece]) -> tuple[list[int], list[int], list[int]]:
    """Ids, positions and labels of a row, written out."""
    ids, positions, labels = [], [], []
    for piece, marks in row:
        ids += piece
        positions += range(len(piece))
        labels += [token if mark else IGNORED for token, mark in zip(piece, marks, strict=True)]
    left = LENGTH - len(ids)
    return ids + [PADDING] * left, positions + list(range(left)), labels + [IGNORED] * left


@pytest.mark.parametrize("count", [1, 256, 600])
@pytest.mark.parametrize("shard", [7, 10_000])
def test_any_number_of_rows_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, shard: int
) -> None:
    monkeypatch.setattr(on_disk, "SHARD_TOKENS", shard * LENGTH)
    written = some_rows(count)
    rows = PreparedRows([write(tmp_path / "rows", written)])
    assert len(rows) == count
    found = rows.batch(range(count))
    for number, row in enumerate(written):
        assert tuple(array[number].tolist() for array in found) == expected(row)
    targets = [sum(label != IGNORED for label in expected(row)[2]) for row in written]
    assert [rows.trained_in([number]) for number in range(count)] == targets
    assert rows.trained_in(range(count)) == sum(targets)


@pytest.mark.parametrize(("vocabulary", "size"), [(1 << 16, 2), ((1 << 16) + 1, 4), (200_000, 4)])
def test_tokens_take_two_bytes_where_all_fit(tmp_path: Path, vocabulary: int, size: int) -> None:
    piece = [0, 5, vocabulary - 1, vocabulary - 2]
    folder = write(tmp_path / "rows", [[(piece, [False] * 4)]], vocabulary=vocabulary)
    assert (folder / "ids-00000.bin").stat().st_size == size * LENGTH
    assert PreparedRows([folder]).batch([0]).input_ids[0, :4].tolist() == piece


def test_every_array_and_every_folder_decides_the_digest(tmp_path: Path) -> None:
    ids, marks = list(range(6)), [False, True] * 3
    kinds = {
        "same": [[(ids, marks)]],
        "other ids": [[([*ids[:5], 8], marks)]],
        "other marks": [[(ids, [False] * 6)]],
        "other pieces": [[(ids[:2], marks[:2]), (ids[2:], marks[2:])]],
    }
    first = write(tmp_path / "first", kinds["same"])
    folders = {name: write(tmp_path / name, rows) for name, rows in kinds.items()}
    digests = {name: PreparedRows([folder]).digest for name, folder in folders.items()}
    assert digests["same"] == PreparedRows([first]).digest and len(set(digests.values())) == 4
    pairs = {PreparedRows([first, folder]).digest for folder in folders.values()}
    assert len(pairs) == 4
    assert PreparedRows([first, folders["other ids"]]).digest != PreparedRows([folders["other ids"], first]).digest


@pytest.mark.parametrize("name", ["tokenizer", "chat_template"])
def test_folders_that_were_prepared_in_another_way_do_not_go_together(tmp_path: Path, name: str) -> None:
    one = write(tmp_path / "one", some_rows(2))
    other = write(tmp_path / "other", some_rows(2), **{name: "another"})
    with pytest.raises(UsageError, match=f"prepared with another {name.replace('_', ' ')}"):
        PreparedRows([one, other])


def test_what_the_folders_decide_of_a_run(tmp_path: Path) -> None:
    assert settings_of([]) == {}
    assert settings_of([write(tmp_path / "rows", some_rows(2))]) == {
        "sequence_length": LENGTH, "chat_loss": "assistant", "source_loss": {"eu": "all"},
    }  # fmt: skip


def test_fill_and_length_of_texts(tmp_path: Path) -> None:
    rows = PreparedRows(
        [write(tmp_path / "rows", [[([1] * 6, [False] * 6), ([2] * 6, [False] * 6)], [([3] * 4, [False] * 4)]])]
    )
    assert rows.fill == 10 / 24  # as the sources say
    assert rows.text_length == 24 / 4, "padding is a text too"


def test_a_folder_of_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "FORMAT", 0)
    folder = write(tmp_path / "rows", some_rows(1))
    monkeypatch.undo()
    with pytest.raises(LatxaError, match="prepared by another version"):
        PreparedRows([folder])


def test_a_folder_that_is_not_finished_is_known_as_prepared(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert not on_disk.is_prepared(str(tmp_path / "empty"))
    folder = write(tmp_path / "rows", some_rows(1))
    (folder / "prepared.json").unlink()
    assert on_disk.is_prepared(str(folder))


def test_rows_are_filled_with_a_token_of_the_model():
    """`[PAD]` behind the vocabulary is in many tokenizers, and has no row in the model."""
    from types import SimpleNamespace

    from latxa_cli.training.data.rows import padding_of

    for pad, end, padding in ((5, 7, 5), (None, 7, 7), (9, 7, 7), (9, 9, 0)):
        assert padding_of(SimpleNamespace(pad_token_id=pad, eos_token_id=end), 9) == padding
