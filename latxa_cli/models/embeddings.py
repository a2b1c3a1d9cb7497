"""Rows of a model's embeddings, and of its output layer, for new tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

EmbeddingStart = Literal["mean", "random"]
MULTIPLE = 128  # a number of rows that is a multiple of this, or of a smaller power of two, stays one


def add_rows(model: Any, first: int, parts: Sequence[tuple[int, ...]], *, start: EmbeddingStart, seed: int) -> None:
    """Give each new token a row; ids before `first` are those of old tokens, `first + i` is made of `parts[i]`.

    `mean`: the mean of the rows of its parts, in the input and in the output, biases too; `random`: normal, with the
    mean and the standard deviation of the old rows in each dimension. Rows that the model has too many (padding) are
    used first; then it grows, and rows that no token has are the mean of the old ones. Old rows stay as they are.
    """
    import torch

    before, end = count_rows(model), first + len(parts)
    if end > before:
        multiple = min(MULTIPLE, before & -before)
        model.resize_token_embeddings(-(-end // multiple) * multiple, mean_resizing=False)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for table in _tables(model):
            old = table[: min(first, before)]
            spread, mean = torch.std_mean(old.float(), dim=0)
            table[before:] = mean.to(table.dtype)
            if start == "random":
                drawn = torch.randn(len(parts), *table.shape[1:], generator=generator)
                table[first:end] = (mean + spread * drawn).to(table.dtype)
                continue
            for number, numbers in enumerate(parts, first):
                table[number] = table[list(numbers)].float().mean(dim=0).to(table.dtype)


def count_rows(model: Any) -> int:
    """Return the number of rows of the model's embeddings."""
    return int(model.get_input_embeddings().weight.shape[0])


def _tables(model: Any) -> Iterator[Any]:
    """Yield the weights [rows, width] of the input, and weights and bias [rows] of the output if they are others."""
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    yield inputs.weight
    if outputs is not None:
        if outputs.weight is not inputs.weight:
            yield outputs.weight
        if getattr(outputs, "bias", None) is not None:
            yield outputs.bias
