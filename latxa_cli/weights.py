"""Weights in safetensors files, which are read by memory mapping and written in shards, so that no model is in memory.

A file holds, one after another (https://huggingface.co/docs/safetensors):

- the length of the header, in 8 bytes;
- the header as JSON: the dtype, shape and place of each tensor by name;
- the bytes of the tensors.

A model in several files has an index with the file of each tensor.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Sequence
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from latxa_cli.model import synchronise, writing
from latxa_cli.stream.errors import LatxaError, first_line
from latxa_cli.stream.records import JsonObject
from latxa_cli.stream.sizes import show_size
from latxa_cli.stream.writer import part_of

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
SHARD_BYTES = 5 * 10**9  # of a file at most, unless a single tensor is larger
ALIGNED = 8  # bytes; the first tensor begins at a multiple of this
FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}  # of one number


class Entry(NamedTuple):
    """A tensor as a file's header describes it; its dtype has the name that safetensors gives it, such as `BF16`."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """The size of its numbers in bytes; only for the dtypes in `FLOATS`."""
        return self.numbers * BYTES[self.dtype]


class Weights:
    """The tensors of a model directory, whose bytes are mapped; `entries` describes them by name."""

    def __init__(self, directory: Path, label: str, files: Iterable[Path] = ()) -> None:
        """Open the weights of `directory`, or the given `files`; errors call them `label`.

        Raises LatxaError where there are no weights as safetensors, or a file is missing or damaged.
        """
        self.label = label
        self.entries: dict[str, Entry] = {}
        self._files: dict[str, safe_open] = {}  # the file of each tensor
        for path, names in (dict.fromkeys(files) or self._find_files(directory)).items():
            opened = self._open(path)
            inside = set(opened.keys())
            for name in sorted(inside) if names is None else names:
                if name not in inside:
                    raise self._broken(path, f"lacks `{name}`, which the index says is there")
                kind = opened.get_slice(name)
                self.entries[name] = Entry(name, kind.get_dtype(), tuple(kind.get_shape()))
                self._files[name] = opened

    def tensor(self, name: str) -> Tensor:
        """Return a tensor on the CPU, which shares the bytes of the mapped file."""
        tensor: Tensor = self._files[name].get_tensor(name)
        return tensor

    def _find_files(self, directory: Path) -> dict[Path, list[str] | None]:
        """Return {file: names of tensors to take from it}; None stands for all tensors of the file."""
        if (directory / SINGLE).is_file():  # comes first, as in transformers
            return {directory / SINGLE: None}
        index = directory / INDEX
        if not index.is_file():
            hint = f"it should hold `{SINGLE}`, or shards and `{INDEX}`"
            if any(directory.glob("pytorch_model*.bin")):  # which may hold code that is run as it is read
                hint = "`pytorch_model.bin` is not read: `save_pretrained` of transformers writes it as safetensors"
            raise LatxaError(f"`{self.label}` has no weights as safetensors", hint=hint)
        try:
            places = json.loads(index.read_bytes())["weight_map"].items()
            files: dict[Path, list[str] | None] = {}
            for name, file in sorted(places):
                files.setdefault(directory / Path(file).name, []).append(name)  # type: ignore[union-attr]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise self._broken(index, "is no index of weights") from None
        return files

    def _open(self, path: Path) -> safe_open:
        try:
            return safe_open(path, "pt")
        except FileNotFoundError:
            raise self._broken(path, "is missing") from None
        except (OSError, SafetensorError) as error:
            raise self._broken(path, f"cannot be read: {first_line(error)}") from None

    def _broken(self, path: Path, fault: str) -> LatxaError:
        return LatxaError(f"`{self.label}`: `{path.name}` {fault}", hint="is the copy complete?")


class ShardWriter:
    """Writes the tensors of a model, each in blocks, into shards of at most `shard_bytes`.

    Shards are named as unfinished files (`….part`) until `finish`. An error in the `with` block removes them.
    """

    def __init__(self, directory: Path, planned: Sequence[Entry], *, shard_bytes: int = SHARD_BYTES) -> None:
        """Prepare to write the tensors in `planned`, in their order, into the existing `directory`.

        Raises LatxaError where the disk has too little space.
        """
        self.directory, self.planned = directory, planned
        shards = _in_shards(planned, shard_bytes)
        count = len(shards)
        self._names = (
            [SINGLE] if count == 1 else [f"model-{n:05}-of-{count:05}.safetensors" for n in range(1, count + 1)]
        )
        self._waiting = list(zip(self._names, shards, strict=True))[::-1]
        self._expected: list[Entry] = []  # tensors of the open shard that are still to come, in reverse order
        self._file: FileIO | None = None
        self._places: dict[str, str] = {}
        needed, free = sum(entry.bytes for entry in planned), shutil.disk_usage(directory).free
        if needed > free:
            raise LatxaError(
                f"{directory}: the weights take {show_size(needed)}, {show_size(free)} are free",
                hint="free some space, then `--resume`",
            )

    def write(self, name: str, blocks: Iterable[Tensor]) -> None:
        """Write the next planned tensor, called `name`, from blocks of its numbers in order.

        Raises LatxaError where the disk is full.
        """
        if not self._expected:
            self._next_shard()
        entry = self._expected.pop()
        assert entry.name == name and self._file is not None, f"{entry.name} was to come, not {name}"
        written = 0
        for block in blocks:
            assert block.dtype == FLOATS[entry.dtype], f"{name} was to be {entry.dtype}, not {block.dtype}"
            data = memoryview(block.contiguous().view(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
            written += len(data)
            with writing(self.directory):
                while data:
                    data = data[self._file.write(data) :]
        assert written == entry.bytes, f"{name} was to have {entry.bytes} bytes, not {written}"

    def finish(self) -> None:
        """Give the shards their names, and write the index if there are several; raises LatxaError for a full disk."""
        if not self.planned:
            self._next_shard()
        assert not self._expected and not self._waiting, "not all that was planned was written"
        self._close_shard()
        with writing(self.directory):
            for name in self._names:
                part_of(self.directory / name).replace(self.directory / name)
            if len(self._names) > 1:  # the index comes last, so that it never names a missing shard
                total = sum(entry.bytes for entry in self.planned)
                index = {"metadata": {"total_size": total}, "weight_map": self._places}
                (self.directory / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
                synchronise(self.directory / INDEX)
            synchronise(self.directory)

    @property
    def shards(self) -> int:
        return len(self._names)

    def _next_shard(self) -> None:
        self._close_shard()
        name, entries = self._waiting.pop()
        self._expected = entries[::-1]
        self._places |= {entry.name: name for entry in entries}
        with writing(self.directory):
            self._file = part_of(self.directory / name).open("wb", buffering=0)  # blocks are large; a buffer would copy
            self._file.write(header(entries))

    def _close_shard(self) -> None:
        if self._file is not None:
            with writing(self.directory):
                self._file.close()
                synchronise(Path(self._file.name))
            self._file = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            return
        if self._file is not None:
            self._file.close()
        for name in self._names:
            part_of(self.directory / name).unlink(missing_ok=True)


def _in_shards(planned: Sequence[Entry], most: int) -> list[list[Entry]]:
    """Cut `planned` into shards of at most `most` bytes; a larger tensor has its own shard."""
    shards: list[list[Entry]] = [[]]
    held = 0
    for entry in planned:
        if shards[-1] and held + entry.bytes > most:
            shards.append([])
            held = 0
        shards[-1].append(entry)
        held += entry.bytes
    return shards


def header(entries: Sequence[Entry]) -> bytes:
    """Return the bytes of a file before its tensors: the length of the header, and the header."""
    tensors: JsonObject = {"__metadata__": {"format": "pt"}}
    place = 0
    for entry in entries:
        end = place + entry.bytes
        tensors[entry.name] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(tensors, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNED)
    return len(text).to_bytes(8, "little") + text
