"""How many sequences fit into memory at once while they are written: an estimate from the shape of the network."""

from __future__ import annotations

from typing import Any

import psutil
import torch

from latxa_cli.model import by_layer

SHARE = {"cuda": 0.8}  # of the free memory of a device; the rest is for what the estimate leaves out
OTHERS = 0.5  # of a memory that other programs use too
SCORE_BYTES = 40  # a token of the vocabulary, in each row: scores, probabilities, sorted, summed up
ACTIVATIONS = 8  # tensors as wide as the hidden size that live at once while a prompt is read


class BatchMemory:
    """What a batch takes: the keys and values of every token, the scores of every row, a layer's activations."""

    def __init__(self, network: Any) -> None:
        self.device = network.device
        config, size = network.config.get_text_config(), network.dtype.itemsize
        hidden, layers = _most(config, "hidden_size"), _most(config, "num_hidden_layers")
        heads = _most(config, "num_attention_heads") or 1
        head = _most(config, "head_dim") or hidden // heads
        of_keys = _most(config, "num_key_value_heads") or heads
        inner = _most(config, "intermediate_size") or 4 * hidden
        self.bytes_of_token = (2 * layers * of_keys * head + ACTIVATIONS * hidden + 2 * inner) * size
        self.bytes_of_row = SCORE_BYTES * network.get_input_embeddings().num_embeddings

    def of_rows(self, count: int, tokens: int) -> int:
        """Return the bytes that `count` sequences of `tokens` tokens each (prompt and completion) take."""
        return count * (tokens * self.bytes_of_token + self.bytes_of_row)

    def free(self) -> float:
        """Return the bytes that a batch may take now."""
        if self.device.type != "cuda":
            return OTHERS * psutil.virtual_memory().available
        free, _ = torch.cuda.mem_get_info(self.device)
        # What torch has taken from the device and does not use now is free too.
        held = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return SHARE["cuda"] * (free + held)


def _most(config: Any, name: str) -> int:
    """Return a number of the configuration; the largest where each layer has one of its own; 0 where there is none."""
    return max(by_layer(config, name), default=0)
