"""The operations of a step, and their share of the device's peak (MFU, Chowdhery et al. 2022, arXiv 2204.02311,
appendix B)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from latxa_cli.model import by_layer
from latxa_cli.training.network import parameters

# Peak of dense matrix products in bfloat16, in operations a second, from the makers' data sheets. The first entry whose
# name is a part of torch's name of the device counts.
PEAKS = {
    "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "GH200": 989e12, "B200": 2250e12,
    "A100": 312e12, "A800": 312e12, "L40S": 362e12, "L40": 181e12, "L4": 121e12, "A40": 150e12, "A10G": 70e12,
    "A6000": 155e12, "4090": 165e12, "3090": 71e12,
}  # fmt: skip


def attended_pairs(position_ids: NDArray[np.int32]) -> int:
    """Return the number of pairs of tokens that attend to each other: causally, and inside a text."""
    return int(position_ids.astype(np.int64).sum()) + position_ids.size


def operations(model: Any, tokens: int, pairs: int) -> float:
    """Return the floating-point operations of the forward and backward passes over `tokens`, of which `pairs` attend.

    - 6 for each token and each weight in a product: all but the input embeddings, unless they are the head too.
    - 12 for each pair, layer and number of its heads: two products forward and four backward, of two operations each.
    """
    config = model.config.get_text_config()
    embeddings = model.get_input_embeddings().weight
    head = model.get_output_embeddings()
    tied = head is not None and head.weight is embeddings
    size = int(np.prod(parameters.shape(embeddings)))
    weights = parameters.count(model) - (0 if tied else size)
    heads, sizes = by_layer(config, "num_attention_heads"), by_layer(config, "head_dim")
    hidden = getattr(config, "hidden_size", 0)
    width = sum(head * size or hidden for head, size in zip(heads, sizes, strict=True) if head)
    return 6.0 * weights * tokens + 12.0 * width * pairs


def peak(device: torch.device) -> float | None:
    """Return the peak of a device in bfloat16, in operations a second, or None where it is unknown."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((value for part, value in PEAKS.items() if part in name), None)


def memory(device: torch.device) -> int:
    """Return the most bytes that this process has held, on the GPU or else in the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
