"""Faster kernels for the layers of a model: those of Liger (arXiv 2410.10989), or layers through `torch.compile`."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import torch

from latxa_cli.stream.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def use_kernels(model: PreTrainedModel, setting: str, device: torch.device) -> str:
    """Change the layers of `model` in place; return the name of their kernels: `torch`, `liger` or `compile`.

    `auto` takes Liger's on a GPU, where the library is installed and knows the model.

    Raises:
        UsageError: the kernels of the setting are not available.
    """
    if setting == "compile":
        _compile_layers(model)
        return "compile"
    if setting == "torch" or (setting == "auto" and device.type != "cuda"):
        return "torch"
    logging.getLogger("liger_kernel").setLevel(logging.ERROR)  # it warns that chips of other makers are missing
    try:
        from liger_kernel.transformers import _apply_liger_kernel_to_instance
        from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN
    except ImportError:
        if setting == "auto":
            return "torch"
        raise UsageError(
            "`kernels` cannot be `liger`: it is not installed", hint="`pip install liger-kernel`"
        ) from None
    if model.config.model_type not in MODEL_TYPE_TO_APPLY_LIGER_FN or device.type != "cuda":
        if setting == "auto":
            return "torch"
        obstacle = "it runs on GPUs only" if device.type != "cuda" else f"it does not know `{model.config.model_type}`"
        raise UsageError(f"`kernels` cannot be `liger`: {obstacle}", hint='`kernels = "auto"`')
    # Liger's own loss is left out: `cross_entropy` computes the loss in blocks already.
    _apply_liger_kernel_to_instance(model, cross_entropy=False, fused_linear_cross_entropy=False)
    return "liger"


def _compile_layers(model: PreTrainedModel) -> None:
    """Compile each layer by itself, which takes the time of one since they are alike.

    What torch cannot compile of a layer, such as experts on a CPU, it computes as without; it would warn at length.
    """
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "Error detected in GeneratedBackward")
    names = set(getattr(model, "_no_split_modules", None) or ())
    for module in model.modules():
        if type(module).__name__ in names:
            module.compile()
