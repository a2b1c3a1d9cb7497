"""Faster kernels for the layers of a model: Liger's (arXiv 2410.10989), or what `torch.compile` makes of them."""

from __future__ import annotations

import logging
from typing import Any

import torch

from latxa_cli.stream.errors import UsageError


def use_kernels(model: Any, wanted: str, device: torch.device) -> str:
    """Change the layers of `model` in place; return which kernels they have: `torch`, `liger` or `compile`.

    `auto`: Liger's on a GPU where it is installed and knows the model. Raises UsageError for what cannot be had.
    """
    if wanted == "compile":
        _compile_layers(model)
        return "compile"
    if wanted == "torch" or (wanted == "auto" and device.type != "cuda"):
        return "torch"
    logging.getLogger("liger_kernel").setLevel(logging.ERROR)  # it warns of every other maker's chips
    try:
        from liger_kernel.transformers import _apply_liger_kernel_to_instance
        from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN
    except ImportError:
        if wanted == "auto":
            return "torch"
        raise UsageError(
            "`kernels` cannot be `liger`: it is not installed", hint="`pip install liger-kernel`"
        ) from None
    if model.config.model_type not in MODEL_TYPE_TO_APPLY_LIGER_FN or device.type != "cuda":
        if wanted == "auto":
            return "torch"
        why = "it runs on GPUs only" if device.type != "cuda" else f"it does not know `{model.config.model_type}`"
        raise UsageError(f"`kernels` cannot be `liger`: {why}", hint='`kernels = "auto"`')
    # The loss has its own blocks, in `cross_entropy`.
    _apply_liger_kernel_to_instance(model, cross_entropy=False, fused_linear_cross_entropy=False)
    return "liger"


def _compile_layers(model: Any) -> None:
    """Compile each layer by itself: they are alike, so that one of them costs the time of compiling."""
    names = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in names:
            module.compile()
