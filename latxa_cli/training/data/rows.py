"""Packed rows on the disk, which `latxa prepare` writes and `latxa train` maps into memory.

    DIR/prepared.json       the facts about the rows and their making, written last
    DIR/ids-NNNNN.bin       u16 or u32 [rows, sequence length]: tokens
    DIR/trained-NNNNN.bin   a bit a token, each row padded to whole bytes: whether the loss counts it
    DIR/starts-NNNNN.bin    a bit a token, each row padded to whole bytes: whether a piece begins there

The padding after the last piece of a row counts as a piece. Each file holds `rows_per_shard` rows, the last one the
rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.files import new_file, save_bytes
from latxa_cli.stream.records import JsonObject

INDEX = "prepared.json"
FORMAT = 1
IGNORED = -100  # the label that the loss leaves out
SHARD_TOKENS = 1 << 26  # 128 or 256 MiB a file: few enough to open, small enough to copy one by one
ROWS_AT_ONCE = 256  # written together, so that the copies of their tokens stay small
KINDS = ("ids", "trained", "starts")


class PackedRows(NamedTuple):
    """Rows for a model, each array i32 [rows, sequence length].

    Attributes:
        input_ids: the tokens.
        position_ids: from 0 in every piece, by which the model keeps pieces apart.
        labels: the targets. The first token of a piece has none, since the piece before it cannot predict it.
    """

    input_ids: NDArray[np.int32]
    position_ids: NDArray[np.int32]
    labels: NDArray[np.int32]


def padding_of(tokenizer: Any, vocabulary: int) -> int:
    """Return a token of the model that fills rows; some tokenizers have one for that alone which the model lacks."""
    named = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((token for token in named if token is not None and token < vocabulary), 0)


class RowWriter:
    """A writer of rows of `length` tokens into `folder`, which is complete after `finish`; raises LatxaError."""

    def __init__(self, folder: Path, length: int, *, padding: int, vocabulary: int) -> None:
        self.folder, self.length, self.padding = folder, length, padding
        self.dtype = np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.uint32)
        self.rows_per_shard = max(1, SHARD_TOKENS // length)
        self.rows = 0
        self._digest = xxhash.xxh3_128()
        self._open: ExitStack | None = None
        self._files: list[BinaryIO] = []

    def write(self, ids: NDArray[Any], trained: NDArray[np.bool_], rows: Sequence[NDArray[np.int64]]) -> None:
        """Write rows of pieces.

        Args:
            ids: [tokens], of all pieces.
            trained: [tokens], whether the loss counts each.
            rows: [pieces, 2] for each row, the begin of each piece in `ids` and its length.
        """
        for begin in range(0, len(rows), ROWS_AT_ONCE):
            block = rows[begin : begin + ROWS_AT_ONCE]
            spans = np.concatenate(block)
            starts, lengths = spans[:, 0], spans[:, 1]
            ends = np.concatenate([np.cumsum(row[:, 1]) + number * self.length for number, row in enumerate(block)])
            targets = np.repeat(ends - lengths, lengths) + _ranges(lengths)
            sources = np.repeat(starts, lengths) + _ranges(lengths)
            shape = (len(block), self.length)
            block_ids = np.full(shape, self.padding, self.dtype)
            block_ids.reshape(-1)[targets] = ids[sources]
            block_trained = np.zeros(shape, bool)
            block_trained.reshape(-1)[targets] = trained[sources]
            block_starts = np.zeros(shape, bool)
            block_starts.reshape(-1)[ends - lengths] = True
            filled = np.array([row[:, 1].sum() for row in block])
            short = np.flatnonzero(filled < self.length)
            block_starts[short, filled[short]] = True  # the padding is a piece, so that texts do not attend to it
            self._write([block_ids, np.packbits(block_trained, axis=1), np.packbits(block_starts, axis=1)])

    def _write(self, arrays: list[NDArray[Any]]) -> None:
        place = 0
        while place < len(arrays[0]):
            if self.rows % self.rows_per_shard == 0:
                self._next_shard()
            room = self.rows_per_shard - self.rows % self.rows_per_shard
            for file, array in zip(self._files, arrays, strict=True):
                data = np.ascontiguousarray(array[place : place + room]).data.cast("B")
                self._digest.update(data)
                file.write(data)
            written = min(room, len(arrays[0]) - place)
            self.rows += written
            place += written

    def _next_shard(self) -> None:
        self._close()
        self._open = ExitStack()
        names = [f"{kind}-{self.rows // self.rows_per_shard:05}.bin" for kind in KINDS]
        self._files = [self._open.enter_context(new_file(self.folder / name)) for name in names]

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def finish(self, facts: JsonObject) -> None:
        """Write the index with `facts`, which makes the folder complete."""
        self._close()
        index = {
            "format": FORMAT, "rows": self.rows, "sequence_length": self.length, "dtype": self.dtype.name,
            "rows_per_shard": self.rows_per_shard, "digest": self._digest.hexdigest(), **facts,
        }  # fmt: skip
        save_bytes(self.folder / INDEX, orjson.dumps(index, option=orjson.OPT_INDENT_2))


def _ranges(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ranges 0, 1, 2, … below each length, one after another."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)


class PreparedRows:
    """The rows of prepared folders, one folder after another; `facts` holds the `prepared.json` of the first."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Map the rows.

        Raises:
            LatxaError: a folder is not complete.
            UsageError: the folders were prepared in different ways.
        """
        indexes = [_index(folder) for folder in folders]
        for name in ("sequence_length", "tokenizer", "chat_template", "fold_system"):
            for folder, index in zip(folders, indexes, strict=True):
                if index.get(name) != indexes[0].get(name):
                    raise UsageError(
                        f"`{folder}` was prepared with another {name.replace('_', ' ')} than `{folders[0]}`",
                        hint="prepare all in one way",
                    )
        self.facts = indexes[0]
        self.remarks = list(dict.fromkeys(line for index in indexes for line in index.get("remarks", ())))
        self.sequence_length: int = self.facts["sequence_length"]
        self.shares = _summed(indexes)
        self.digest = xxhash.xxh3_128("".join(index["digest"] for index in indexes).encode()).hexdigest()
        self._shards: list[list[NDArray[Any]]] = []
        firsts = []
        self._count = 0
        for folder, index in zip(folders, indexes, strict=True):
            for number in range(-(-index["rows"] // index["rows_per_shard"])):
                rows = min(index["rows_per_shard"], index["rows"] - number * index["rows_per_shard"])
                firsts.append(self._count)
                self._shards.append([self._mapped(folder, kind, number, rows, index["dtype"]) for kind in KINDS])
                self._count += rows
        self._firsts = np.array(firsts, np.int64)

    def _mapped(self, folder: Path, kind: str, number: int, rows: int, dtype: str) -> NDArray[Any]:
        path = folder / f"{kind}-{number:05}.bin"
        shape = (rows, self.sequence_length if kind == "ids" else -(-self.sequence_length // 8))
        try:
            return np.memmap(path, dtype if kind == "ids" else np.uint8, "r", shape=shape)
        except (OSError, ValueError):
            raise LatxaError(f"{path}: is missing or not whole", hint="prepare it again") from None

    def __len__(self) -> int:
        return self._count

    @property
    def tokens(self) -> int:
        """The number of tokens, without padding."""
        return sum(share["tokens"] for share in self.shares.values())

    @property
    def trained(self) -> int:
        """The number of tokens that the loss counts."""
        return sum(share["trained"] for share in self.shares.values())

    @property
    def fill(self) -> float:
        """The share of tokens that are not padding."""
        return self.tokens / max(1, len(self) * self.sequence_length)

    @property
    def text_length(self) -> float:
        """The mean number of tokens of a text, in a sample of at most 256 rows."""
        sample = np.linspace(0, len(self) - 1, min(len(self), 256)).astype(np.int64)
        texts = sum(int(np.bitwise_count(files[2][place]).sum()) for files, place in self._places(sample))
        return len(sample) * self.sequence_length / max(1, texts)

    def trained_in(self, numbers: Sequence[int] | NDArray[np.int64]) -> int:
        """Return the number of tokens that the loss counts in the rows with these numbers."""
        return sum(int(np.bitwise_count(files[1][place]).sum()) for files, place in self._places(numbers))

    def batch(self, numbers: Sequence[int] | NDArray[np.int64]) -> PackedRows:
        """Return the rows with these numbers, in this order."""
        places = self._places(numbers)
        raw = [np.stack([files[kind][place] for files, place in places]) for kind in range(len(KINDS))]
        ids = raw[0].astype(np.int32)
        trained, starts = (np.unpackbits(bits, axis=1, count=self.sequence_length).astype(bool) for bits in raw[1:])
        count = np.arange(self.sequence_length, dtype=np.int32)
        positions = count - np.maximum.accumulate(np.where(starts, count, 0), axis=1)
        return PackedRows(ids, positions.astype(np.int32), np.where(trained, ids, np.int32(IGNORED)))

    def _places(self, numbers: Sequence[int] | NDArray[np.int64]) -> list[tuple[list[NDArray[Any]], int]]:
        """Return the files of each row, and its place in them."""
        numbers = np.asarray(numbers, np.int64)
        shards = np.searchsorted(self._firsts, numbers, side="right") - 1
        return [
            (self._shards[shard], number - self._firsts[shard]) for shard, number in zip(shards, numbers, strict=True)
        ]


def is_prepared(folder: str) -> bool:
    """Whether `latxa prepare` made a folder, complete or not."""
    path = Path(folder)
    return path.is_dir() and ((path / INDEX).exists() or any(path.glob("ids-*.bin*")))


def settings_of(folders: Sequence[Path]) -> JsonObject:
    """Return the settings of a run that prepared folders decide; raises as `PreparedRows` does."""
    facts = PreparedRows(folders).facts if folders else {}
    return {
        name: facts[name] for name in ("sequence_length", "chat_loss", "source_loss", "fold_system") if name in facts
    }


def _index(folder: Path) -> JsonObject:
    try:
        index: dict[str, Any] = orjson.loads((folder / INDEX).read_bytes())
    except (OSError, ValueError):
        raise LatxaError(
            f"`{folder}` is not what `latxa prepare` makes, or not whole",
            hint="`latxa prepare … --resume` completes it",
        ) from None
    if index.get("format") != FORMAT:
        raise LatxaError(f"`{folder}` was prepared by another version of `latxa`", hint="prepare it again")
    return index


def _summed(indexes: Sequence[JsonObject]) -> dict[str, dict[str, int]]:
    """Return the counts of each source, over all folders."""
    shares: dict[str, dict[str, int]] = {}
    for index in indexes:
        for name, share in index["sources"].items():
            total = shares.setdefault(name, dict.fromkeys(share, 0))
            for key, value in share.items():
                total[key] += value
    return shares
