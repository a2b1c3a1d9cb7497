"""Rows for new tokens, in a model's embeddings and in its output layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from latxa_cli.stream.errors import LatxaError, first_line

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

EmbeddingStart = Literal["mean", "random"]
# The number of rows stays a multiple of the largest power of two that divides it, up to this one: models are padded so
# that matrix products are fast.
MULTIPLE = 128


def add_rows(
    model: PreTrainedModel, first: int, parts: Sequence[tuple[int, ...]], *, start: EmbeddingStart, seed: int
) -> None:
    """Give each new token a row; old rows stay as they are.

    Rows that pad the model are used first. Then it grows, and its new padding is the mean of the old rows.

    Args:
        model: a causal language model of transformers.
        first: the id of the first new token; smaller ids are those of old tokens.
        parts: the old tokens that make up each new one.
        start: `mean` is the mean of the rows of a token's parts, in the input, the output and its bias. `random` is
            normal, with the mean and the standard deviation of the old rows in each dimension.
        seed: of the random rows.

    Raises:
        LatxaError: input and output have different rows, as where some stand for pictures (Llama 3.2 with vision), or
            more than these has a row for each token (DeepSeek V4 chooses experts by them).
    """
    import torch

    before, end = count_rows(model), first + len(parts)
    if (head := model.get_output_embeddings()) is not None and (own := len(cast("Tensor", head.weight))) != before:
        raise _takes_none(model, f"its input has {before} rows, and its output {own}")
    known = [len(table) for table in _tables(model)]
    if end > before:
        multiple = min(MULTIPLE, before & -before)
        # Without transformers' own initial rows, which are random and which the loop below would overwrite.
        try:
            model.resize_token_embeddings(-(-end // multiple) * multiple, mean_resizing=False)
        except (AttributeError, NotImplementedError) as error:  # transformers cannot, as of xLSTM
            raise _takes_none(model, first_line(error)) from None
        _check_all_grew(model, before)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for table, rows in zip(_tables(model), known, strict=True):
            old = table[: min(first, rows)]
            spread, mean = torch.std_mean(old.float(), dim=0)
            table[rows:] = mean.to(table.dtype)
            if start == "random":
                noise = torch.randn(len(parts), *table.shape[1:], generator=generator)
                table[first:end] = (mean + spread * noise).to(table.dtype)
                continue
            for token, part_ids in enumerate(parts, first):
                table[token] = table[list(part_ids)].float().mean(dim=0).to(table.dtype)


def _check_all_grew(model: PreTrainedModel, before: int) -> None:
    """Raise LatxaError where a model of this many rows, as its configuration has them now, has other shapes."""
    import torch

    now = model.state_dict()
    with torch.device("meta"):
        expected = type(model)(model.config).state_dict()
    for name, value in expected.items():
        if name in now and now[name].shape != value.shape:
            raise _takes_none(model, f"`{name}` too has a row for each of its {before}")


def _takes_none(model: PreTrainedModel, reason: str) -> LatxaError:
    return LatxaError(f"a `{model.config.model_type}` takes no more tokens: {reason}")


def count_rows(model: PreTrainedModel) -> int:
    """Return the number of rows of the model's embeddings."""
    return int(cast("Tensor", model.get_input_embeddings().weight).shape[0])


def _tables(model: Any) -> Iterator[Tensor]:
    """Yield the weights [rows, width] of the input, those that it has for each layer (Gemma 4), those of an untied
    output, and its bias [rows]; all but the first if there are any."""
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    yield inputs.weight
    if getattr(model.config.get_text_config(), "hidden_size_per_layer_input", 0):
        yield model.get_per_layer_input_embeddings().weight
    if outputs is not None:
        if outputs.weight is not inputs.weight:
            yield outputs.weight
        if getattr(outputs, "bias", None) is not None:
            yield outputs.bias
