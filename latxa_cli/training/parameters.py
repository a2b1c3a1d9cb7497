"""What of a model is trained: everything, all but frozen parts, or low-rank adapters beside its layers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from latxa_cli.stream.errors import UsageError
from latxa_cli.training.config import TrainConfig


def choose(model: Any, config: TrainConfig) -> None:
    """Add adapters to the model (LoRA, Hu et al. 2022, arXiv 2106.09685) or freeze parts of it, as the settings say.

    What is not trained is held in the dtype of computing. Raises UsageError for names that no parameter has, or
    adapters without the library.
    """
    if config.lora_rank:
        _add_adapters(model, config)
    for part in config.freeze:
        found = [parameter for name, parameter in model.named_parameters() if part in name]
        if not found:
            raise UsageError(f"`freeze`: no parameter of the model has `{part}` in its name")
        for parameter in found:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UsageError("`freeze` leaves nothing to train")
    if config.dtype == "bfloat16":
        for parameter in model.parameters():
            if not parameter.requires_grad and parameter.is_floating_point():
                parameter.data = parameter.data.to(torch.bfloat16)


def _add_adapters(model: Any, config: TrainConfig) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UsageError("`lora_rank` needs the package peft", hint="`pip install peft`") from None
    torch.manual_seed(config.seed)
    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=lora_alpha(config),  # type: ignore[arg-type]
        target_modules=config.lora_targets or "all-linear",
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    try:
        inject_adapter_in_model(settings, model)
    except ValueError as error:
        raise UsageError(f"`lora_targets`: {str(error).splitlines()[0]}") from None
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def lora_alpha(config: TrainConfig) -> float:
    """Return the alpha of adapters, which count alpha / rank times."""
    return config.lora_alpha or 2.0 * config.lora_rank


def trained(model: torch.nn.Module) -> dict[str, Parameter]:
    """Return the trained parameters by their names; tied ones once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def shape(parameter: Tensor) -> tuple[int, ...]:
    """Return the shape of a parameter, also of one that DeepSpeed has shared out."""
    return tuple(getattr(parameter, "ds_shape", parameter.shape))


def count(model: torch.nn.Module, *, trained_only: bool = False) -> int:
    """Return the number of weights, tied ones once."""
    return sum(math.prod(shape(p)) for p in model.parameters() if p.requires_grad or not trained_only)


def groups(model: torch.nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Return the optimiser's groups: matrices decay; norms, biases and other vectors do not."""
    parameters = list(trained(model).values())
    matrices = [parameter for parameter in parameters if len(shape(parameter)) >= 2]
    vectors = [parameter for parameter in parameters if len(shape(parameter)) < 2]
    return [
        {"params": held, "weight_decay": decay}
        for held, decay in ((matrices, config.weight_decay), (vectors, 0.0))
        if held
    ]
