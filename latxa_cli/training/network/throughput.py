"""How much a step computes, and what share that is of what the device could (MFU, Chowdhery et al. 2022,
arXiv 2204.02311, appendix B)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from latxa_cli.training.network import parameters

# Peak of dense matrix products in bfloat16, operations a second, by the makers' data sheets; names as torch has them.
PEAKS = {
    "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "GH200": 989e12, "B200": 2250e12,
    "A100": 312e12, "A800": 312e12, "L40S": 362e12, "L40": 181e12, "L4": 121e12, "A40": 150e12, "A10G": 70e12,
    "A6000": 155e12, "4090": 165e12, "3090": 71e12,
}  # fmt: skip


def attended_pairs(position_ids: NDArray[np.int32]) -> int:
    """Return how many pairs of tokens attend to each other: causally, and inside texts alone."""
    return int(position_ids.astype(np.int64).sum()) + position_ids.size


def operations(model: Any, tokens: int, pairs: int) -> float:
    """Return the floating-point operations of forward and backward passes over `tokens` in which `pairs` attend.

    6 for each token and each weight that multiplies (the input embeddings do not, unless they are the head too), and
    12 for each pair, layer and number of a head: two products forward, four backward, two operations each.
    """
    config = model.config.get_text_config()
    embeddings = model.get_input_embeddings().weight
    head = model.get_output_embeddings()
    tied = head is not None and head.weight is embeddings
    size = int(np.prod(parameters.shape(embeddings)))
    weights = parameters.count(model) - (0 if tied else size)
    heads = getattr(config, "num_attention_heads", 0)
    head_size = getattr(config, "head_dim", None) or getattr(config, "hidden_size", 0) // max(1, heads)
    layers = getattr(config, "num_hidden_layers", 0)
    return 6.0 * weights * tokens + 12.0 * layers * heads * head_size * pairs


def peak(device: torch.device) -> float | None:
    """Return the peak of a device in bfloat16, operations a second, where it is known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((value for part, value in PEAKS.items() if part in name), None)


def memory(device: torch.device) -> int:
    """Return the most bytes that this process has held: of the GPU, or where there is none of the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
