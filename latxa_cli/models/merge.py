"""Task arithmetic on weights: `latxa merge BASE --plus TAUGHT --minus UNTAUGHT -o DIR`.

A model's weights less those from which it was trained are its skill. Added to another model of the same origin, they
give it that skill (Ilharco et al. 2023, arXiv 2212.04089). Take a base model continued on a language, and add an
instruct model less the base of that: the result chats in the language without any training. This is the chat vector
(Huang et al. 2024, arXiv 2310.04799; for Basque, Sarasua et al. 2025,
https://aclanthology.org/2025.findings-emnlp.1355).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from latxa_cli.model import clear, directory_of, load_config
from latxa_cli.models import merged_files
from latxa_cli.models.alignment import Alignment, Stretch, Vocabulary, align
from latxa_cli.models.settings import Difference, differences
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject
from latxa_cli.weights import FLOATS, SHARD_BYTES, Entry, ShardWriter, Weights

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

BLOCK = 1 << 18  # numbers at a time, so that all intermediate results stay in the processor's cache
COMPUTED = re.compile(r"\.rotary_emb\.inv_freq$")  # old files hold it, and transformers computes it anew
OF_A_LAYER = re.compile(r"\.\d+\.")  # layers are numbered


@dataclass(frozen=True, slots=True)
class MergeOperand:
    """One of the three models.

    Attributes:
        name: the path or the name on the hub that the user gave.
        directory: its files.
        config: its configuration.
        weights: its tensors.
        vocabulary: its tokens.
        stored: {tensor: its name in the file}.
    """

    name: str
    directory: Path
    config: PreTrainedConfig
    weights: Weights
    vocabulary: Vocabulary
    stored: dict[str, str]

    @property
    def revision(self) -> str | None:
        """The commit on the hub; None for a directory."""
        return None if Path(self.name).is_dir() else self.directory.name

    @property
    def architecture(self) -> str:
        """The architecture of its text part, as `transformers` names it."""
        return str(self.config.get_text_config().model_type)

    def entry(self, name: str) -> Entry:
        """Return the dtype and shape of a tensor."""
        return self.weights.entries[self.stored[name]]

    def tensor(self, name: str) -> Tensor:
        return self.weights.tensor(self.stored[name])


class MergedTensor(NamedTuple):
    """A tensor of the result; `stretches` are its rows, where those of a token differ from model to model."""

    entry: Entry
    stretches: tuple[Stretch, ...] | None = None


@dataclass(frozen=True, slots=True)
class MergePlan:
    """The models and the tensors of a merge.

    Attributes:
        base, plus, minus: the models.
        alignment: the rows of their vocabularies, matched.
        parts: the tensors of the result, in their order.
        untied: whether the result has an output layer of its own while the base shares it with its embedding.
        different: the settings in which the models compute otherwise; the result computes as the base does.
    """

    base: MergeOperand
    plus: MergeOperand
    minus: MergeOperand
    alignment: Alignment
    parts: list[MergedTensor]
    untied: bool
    different: list[Difference]

    @property
    def parameters(self) -> int:
        """The number of weights of the result."""
        return sum(part.entry.numbers for part in self.parts)


def load(name: str) -> MergeOperand:
    """Open a model: a directory or a name on the hub.

    Raises:
        LatxaError: it does not exist, is not whole, has weights that are not floating-point numbers, or embeddings of
            another size than its configuration says.
    """
    directory = directory_of(name)
    config = load_config(str(directory))
    weights = Weights(directory, name)
    for entry in weights.entries.values():
        if entry.dtype not in FLOATS and not COMPUTED.search(entry.name):
            raise LatxaError(
                f"`{name}`: `{entry.name}` is {entry.dtype}: only floating-point weights can be merged",
                hint="give the model as it was before it was quantised",
            )
    rows = getattr(config.get_text_config(), "vocab_size", 0)
    stored = {entry: entry for entry in weights.entries if not COMPUTED.search(entry)}
    model = MergeOperand(name, directory, config, weights, Vocabulary.read(name, directory, rows), stored)
    for parameter in (*merged_files.tied(config), *merged_files.tied(config).values()):
        found = _stored(model, parameter)
        if found and model.entry(found).shape[:1] != (rows,):
            raise LatxaError(
                f"`{name}`: `{found}` has {model.entry(found).shape[0]} rows, and `vocab_size` is {rows}",
                hint="is `config.json` that of these weights?",
            )
    return model


def plan(base: MergeOperand, plus: MergeOperand, minus: MergeOperand) -> MergePlan:
    """Check that the models fit one another, and match their tensors and rows.

    Raises:
        LatxaError: a model is of another architecture, lacks a tensor of another, or has another shape of it; or as
            `align` does.
    """
    models = (base, plus, minus)
    for model in models:
        if model.architecture != base.architecture:
            raise _misfit(f"`{base.name}` is a {base.architecture}, and `{model.name}` a {model.architecture}")
    different = differences([model.config for model in models])
    for setting in different:
        if setting.decisive:
            raise _misfit(describe(setting, models))
    alignment = align(base.vocabulary, plus.vocabulary, minus.vocabulary)
    untied = _match_output_layers(models)
    parts = []
    for name in sorted(set().union(*(model.stored for model in models)), key=_natural):
        for model in models:
            if name not in model.stored:
                owner = next(other for other in models if name in other.stored)
                raise _misfit(f"`{model.name}` lacks the tensor `{name}`, which `{owner.name}` has")
        shapes = [model.entry(name).shape for model in models]
        stored = Entry(name, base.entry(name).dtype, shapes[0])
        if not alignment.same and _is_of_the_vocabulary(name, shapes, models):
            parts.append(MergedTensor(stored._replace(shape=(alignment.rows, *shapes[0][1:])), alignment.stretches))
            shapes = [shape[1:] for shape in shapes]
        else:
            parts.append(MergedTensor(stored))
        for model, shape in zip(models, shapes, strict=True):
            if shape != shapes[0]:
                ours, theirs = list(base.entry(name).shape), list(model.entry(name).shape)
                raise _misfit(f"the tensor `{name}` is {ours} in `{base.name}` and {theirs} in `{model.name}`")
    return MergePlan(base, plus, minus, alignment, parts, untied, different)


def describe(setting: Difference, models: Sequence[MergeOperand]) -> str:
    """Return the values of a setting in words."""
    values = [f"{value} in `{model.name}`" for value, model in zip(setting.values, models, strict=True)]
    return f"`{setting.name}` is {', '.join(values[:-1])} and {values[-1]}"


def _misfit(message: str) -> LatxaError:
    return LatxaError(message, hint="the three must be of one architecture and one size")


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by value: layer 2 comes before layer 10."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"(\d+)", name)]


def _is_of_the_vocabulary(name: str, shapes: list[tuple[int, ...]], models: Iterable[MergeOperand]) -> bool:
    """Whether a tensor has a row for each token: embeddings, the output layer or its bias, but no part of a layer."""
    rows = all(shape[:1] == (model.vocabulary.rows,) for shape, model in zip(shapes, models, strict=True))
    return rows and not OF_A_LAYER.search(name) and (len(shapes[0]) > 1 or name.endswith(".bias"))


# --- tied output layers


def _match_output_layers(models: tuple[MergeOperand, MergeOperand, MergeOperand]) -> bool:
    """Give all models an output layer if one has its own; return whether the result unties that of the base.

    A tied output layer is the embedding itself, which then stands under both names. Where all three models are tied,
    the output layer is left out.
    """
    untied = False
    for head, embedding in merged_files.tied(models[0].config).items():
        heads = [_stored(model, head) for model in models]
        written = next((name for name in heads if name), None)
        if written is None:
            continue
        embeddings = [_stored(model, embedding) for model in models]
        ties = [_is_tied(*names) for names in zip(models, heads, embeddings, strict=True)]
        for model, own, source, tie in zip(models, heads, embeddings, ties, strict=True):
            places = (model.stored.pop(own) if own else None, model.stored[source] if source else None)
            if not all(ties) and (place := places[1] if tie else places[0]):
                model.stored[written] = place
        untied = untied or (ties[0] and not all(ties))
    return untied


def _stored(model: MergeOperand, name: str) -> str | None:
    """Return the name in the model's files of a parameter that transformers calls `name`, or None."""
    if name in model.stored:
        return name
    ending = ".".join(name.split(".")[-2:])  # files may lack the first parts of the name, or have others
    matches = [stored for stored in model.stored if stored == ending or stored.endswith("." + ending)]
    return matches[0] if len(matches) == 1 else None


def _is_tied(model: MergeOperand, head: str | None, embedding: str | None) -> bool:
    """Whether transformers ties the two: the configuration says so, and the files hold no other output layer."""
    if embedding is None or not getattr(model.config, "tie_word_embeddings", False):
        return False
    return head is None or torch.equal(model.tensor(head), model.tensor(embedding))


# --- arithmetic


class Arithmetic:
    """`base + scale * (plus - minus)` on flat tensors, and the squared norms of the base and of the difference.

    - Numbers are float32, or float64 where one of the three tensors is, and are rounded once, to the base's dtype.
    - Where two tensors are equal, so that the result is one of the three, it is that one bit for bit.
    """

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.base_square = self.delta_square = 0.0

    def blocks(self, base: Tensor, plus: Tensor, minus: Tensor) -> Iterator[Tensor]:
        """Yield the result in blocks of at most `BLOCK` numbers."""
        threes = zip(base.split(BLOCK), plus.split(BLOCK), minus.split(BLOCK), strict=True)
        return (self._block(*three) for three in threes)

    def unchanged(self, base: Tensor) -> Iterator[Tensor]:
        """Yield blocks of a tensor that only the base has."""
        for block in base.split(BLOCK):
            self.base_square += _square(block.to(_wide(block)))
            yield block

    def taken(self, base: Tensor | None, plus: Tensor) -> Iterator[Tensor]:
        """Yield blocks of rows that are those of `plus`; a scale of 0 leaves the rows that the base has."""
        return iter(plus.split(BLOCK)) if base is None or self.scale else self.unchanged(base)

    def _block(self, base: Tensor, plus: Tensor, minus: Tensor) -> Tensor:
        wide = _wide(base, plus, minus)
        result = base.to(wide, copy=True)
        self.base_square += _square(result)
        if _same(plus, minus):
            return base
        delta = plus.to(wide, copy=True).sub_(minus.to(wide))
        self.delta_square += _square(delta)
        if self.scale == 0:
            return base
        if self.scale == 1 and _same(base, minus):
            return plus.to(base.dtype)
        if self.scale != 1:
            delta.mul_(self.scale)  # in a step of its own, since a fused one would round differently on some machines
        return result.add_(delta).to(base.dtype)


def _wide(*tensors: Tensor) -> torch.dtype:
    return torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32


def _square(flat: Tensor) -> float:
    return float(torch.dot(flat, flat))


def _same(one: Tensor, other: Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def merge(
    planned: MergePlan, directory: Path, *, scale: float, parts: Iterable[MergedTensor], report: Callable[[int], None],
    shard_bytes: int = SHARD_BYTES,
) -> JsonObject:  # fmt: skip
    """Write the merged model into `directory`, `config.json` last: without that file, nothing loads it as a model.

    Args:
        planned: the merge, from `plan`.
        scale: the factor of the difference.
        parts: the tensors of `planned`, in the same order.
        report: called after each tensor with the number of those done.
        shard_bytes: the most in one file.

    Returns:
        Facts for the manifest. `delta` is the norm of the unscaled difference over that of the base, both of all
        tensors together.

    Raises:
        LatxaError: the disk is full, or a result is not finite.
    """
    clear(directory)
    arithmetic = Arithmetic(scale)
    with ShardWriter(directory, [part.entry for part in planned.parts], shard_bytes=shard_bytes) as writer:
        for number, part in enumerate(parts, 1):
            writer.write(part.entry.name, _finite(planned, part, _blocks(planned, part, arithmetic)))
            report(number)
        writer.finish()
    merged_files.write(
        directory, planned.base.directory, planned.plus.directory, planned.alignment, untied=planned.untied,
        known=planned.base.config.to_dict(),
    )  # fmt: skip
    models = {"base": planned.base, "plus": planned.plus, "minus": planned.minus}
    return {
        "models": {role: {"model": model.name, "revision": model.revision} for role, model in models.items()},
        "tensors": len(planned.parts),
        "parameters": planned.parameters,
        "dtypes": sorted({part.entry.dtype for part in planned.parts}),
        "shards": writer.shards,
        "delta": math.sqrt(arithmetic.delta_square / arithmetic.base_square) if arithmetic.base_square else 0.0,
        "rows": planned.alignment.counts(),
        "tokenizer": "base" if planned.alignment.by_base else "plus",
        "untied": planned.untied,
        "different": {setting.name: dict(zip(models, setting.values, strict=True)) for setting in planned.different},
    }


def _blocks(planned: MergePlan, part: MergedTensor, arithmetic: Arithmetic) -> Iterator[Tensor]:
    """Yield the numbers of a tensor of the result, in their order."""
    name = part.entry.name
    base, plus, minus = (model.tensor(name) for model in (planned.base, planned.plus, planned.minus))
    if part.stretches is None:
        yield from arithmetic.blocks(base.reshape(-1), plus.reshape(-1), minus.reshape(-1))
        return
    for stretch in part.stretches:
        ours, added, taken = (
            None if start is None else tensor[start : start + stretch.rows].reshape(-1)
            for tensor, start in zip((base, plus, minus), stretch[1:], strict=True)
        )
        if added is None:
            assert ours is not None
            yield from arithmetic.unchanged(ours)
        elif taken is None:
            yield from arithmetic.taken(ours, added.to(base.dtype))
        else:
            assert ours is not None
            yield from arithmetic.blocks(ours, added, taken)


def _finite(planned: MergePlan, part: MergedTensor, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """Pass blocks through; raises LatxaError for a number that is infinite or NaN."""
    name = part.entry.name
    for block in blocks:
        # The sum is quick, and finite only if all numbers are. It may overflow by itself, so a closer look follows.
        if not math.isfinite(float(block.sum())) and not bool(torch.isfinite(block).all()):
            for model in (planned.base, planned.plus, planned.minus):
                if not bool(torch.isfinite(model.tensor(name)).all()):
                    raise LatxaError(f"`{model.name}`: `{name}` is not finite", hint="is the copy damaged?")
            raise LatxaError(
                f"`{name}` is not finite in the result, which is {part.entry.dtype}",
                hint="the sum is too large for this type: a smaller `--scale`, or MODEL in a wider type",
            )
        yield block
