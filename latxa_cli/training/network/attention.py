"""Attention inside packed rows: the implementations that keep the texts of a row apart.

- `sdpa` and `eager`: those of transformers, which makes a mask from position ids that begin again with each text.
- `flash_attention_2` and `_3`: without a mask. They get the bounds of each text, and compute nothing outside of texts.
- `varlen`: without a mask too. On a GPU, in half precision, it is torch's own FlashAttention. On a CPU it computes the
  texts one by one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from latxa_cli.model import by_layer
from latxa_cli.stream.errors import UsageError, first_line

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VARLEN = "latxa_varlen"  # its name in the register of transformers
LARGEST_HEAD = 256  # of FlashAttention
# Mean tokens of a text from which `varlen` is chosen on a CPU: against a mask its speed is 0.95 x at 50 tokens, and
# 1.07 x at 500.
LONG_TEXTS = 128


def choose(model: PreTrainedModel, setting: str, *, half: bool, text_length: float) -> str:
    """Set the attention of `model` and return its name; `auto` chooses by model, device and data.

    Args:
        model: the model to change.
        setting: a name, or `auto`.
        half: whether the model is computed in half precision.
        text_length: the mean number of tokens of a text.

    Raises:
        UsageError: the model cannot have this attention.
    """
    device = next(model.parameters()).device
    obstacle = _obstacle_to_varlen(model, device, half=half)
    if setting == "varlen" and obstacle:
        raise UsageError(f"`attention` cannot be `varlen`: {obstacle}", hint="`auto` or `sdpa`")
    name = setting
    if setting == "auto":
        fast = not obstacle and (device.type == "cuda" or text_length >= LONG_TEXTS)
        own = model.config._attn_implementation  # transformers sets `eager` for models that need it
        name = "varlen" if fast else "eager" if own == "eager" else "sdpa"
    if name == "varlen":
        _register()
    try:
        model.set_attn_implementation(VARLEN if name == "varlen" else name)
    except (ImportError, ValueError) as error:
        hint = "another version of transformers" if setting == "auto" else "`auto`"
        raise UsageError(f"`attention` cannot be `{name}`: {first_line(error)}", hint=hint) from None
    return name


def takes_boundaries(name: str) -> bool:
    """Whether this attention gets the bounds of texts instead of a mask, and all rows joined to one."""
    return name == "varlen" or name.startswith("flash_attention")


def without_boundaries(model: PreTrainedModel, name: str) -> str:
    """Set the attention of `model` in place of `name` for rows of one text each, which have no bounds; return it."""
    if name != "varlen":
        return name
    name = "sdpa" if getattr(model, "_supports_sdpa", False) else "eager"
    model.set_attn_implementation(name)
    return name


def _obstacle_to_varlen(model: PreTrainedModel, device: torch.device, *, half: bool) -> str:
    """Return the reason against `varlen`, or an empty text."""
    config = model.config.get_text_config()
    heads = max(by_layer(config, "num_attention_heads"), default=1)
    head = max(by_layer(config, "head_dim"), default=0) or getattr(config, "hidden_size", 0) // max(1, heads)
    if getattr(config, "attn_logit_softcapping", None):
        return "it knows no soft capping of scores"
    if getattr(config, "attention_dropout", 0) or getattr(config, "attn_pdrop", 0):
        return "it knows no dropout of scores"
    if getattr(config, "attention_chunk_size", None):
        return "it knows no attention in chunks"
    if any(name.endswith("sinks") for name, _ in model.named_parameters()):
        return "it knows no attention sinks"
    if not getattr(model, "_supports_attention_backend", False) or not getattr(model, "_supports_flash_attn", True):
        return f"`{type(model).__name__}` does not let its attention be chosen"
    if device.type == "cpu":
        return "on a CPU it knows no sliding window" if any(by_layer(config, "sliding_window")) else ""
    if device.type != "cuda":
        return f"it does not run on `{device.type}`"
    if not half:
        return "on a GPU it computes in half precision, and `dtype` is not `bfloat16`"
    if _kernel() is None:
        return "this version of torch does not have it"
    if head > LARGEST_HEAD or head % 8:
        return f"heads of {head} numbers are not for it"
    return ""


def _kernel() -> Callable[..., Any] | None:
    """Return torch's kernel, or None in a version without one."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(VARLEN, _varlen_with(_kernel()))
    AttentionMaskInterface.register(VARLEN, lambda *_, **__: None)


def _varlen_with(kernel: Callable[..., Any] | None) -> Callable[..., tuple[Tensor, None]]:
    """Return `kernel`, whose parameters differ between versions of torch, with the signature of transformers.

    - query, key, value: [1, heads, tokens, head size].
    - the result: [1, tokens, heads, head size].
    """
    known = set(inspect.signature(kernel).parameters) if kernel else set()

    def varlen(
        module: torch.nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        *,
        scaling: float | None = None,
        cu_seq_lens_q: Tensor,
        max_length_q: int,
        sliding_window: int | None = None,
        s_aux: Tensor | None = None,
        **_: Any,
    ) -> tuple[Tensor, None]:
        if s_aux is not None:
            raise UsageError("`attention` cannot be `varlen`: this model has attention sinks", hint="`sdpa`")
        if query.device.type == "cpu":
            return _one_by_one(query, key, value, cu_seq_lens_q.tolist(), scaling), None
        options: dict[str, Any] = {}
        if "scale" in known:
            options["scale"] = scaling
        elif scaling is not None:  # torch 2.10 divides by the root of the head size
            query = query * (scaling * query.shape[-1] ** 0.5)
        if "window_size" in known:
            options["window_size"] = (-1 if sliding_window is None else sliding_window - 1, 0)
        elif sliding_window is None:
            options["is_causal"] = True
        else:
            raise UsageError("`attention` cannot be `varlen`: this torch has no sliding window in it", hint="`sdpa`")
        groups = query.shape[1] // key.shape[1]
        if "enable_gqa" in known:
            options["enable_gqa"] = groups > 1
        elif groups > 1:
            key, value = (heads.repeat_interleave(groups, dim=1) for heads in (key, value))
        flat = (heads.to(value.dtype).transpose(1, 2).squeeze(0) for heads in (query, key, value))
        assert kernel is not None, "`choose` takes `varlen` on a GPU only with a kernel"
        out = kernel(*flat, cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q, **options)
        return out.unsqueeze(0), None

    return varlen


def _one_by_one(query: Tensor, key: Tensor, value: Tensor, boundaries: list[int], scaling: float | None) -> Tensor:
    """Return the attention of each text by itself, which on a CPU is faster than whole rows with a mask."""
    lengths = [end - start for start, end in pairwise(boundaries)]
    grouped = query.shape[1] != key.shape[1]
    texts = zip(*(heads.split(lengths, dim=2) for heads in (query, key, value)), strict=True)
    outputs = [
        scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=grouped) for q, k, v in texts
    ]
    return torch.cat(outputs, dim=2).transpose(1, 2)
