"""Mean embeddings of texts, by any encoder or causal model that transformers can load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latxa_cli.model import check, choose_device, quiet_libraries
from latxa_cli.stream.errors import LatxaError, first_line
from latxa_cli.tokenizer import load_tokenizer

LONGEST = 512  # tokens of a text that are embedded; the rest is cut off
TOKENS = 8192  # in one forward pass, with padding


class Embedder:
    """A model without its head, on its device; raises LatxaError for an unusable model, UsageError for the device."""

    def __init__(self, model: str, device: str | None = None) -> None:
        check(model)
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModel

        quiet_libraries()
        self.tokenizer = load_tokenizer(model)
        place = choose_device(device)
        try:
            loaded: Any = AutoModel.from_pretrained(
                model,
                output_loading_info=True,
                dtype=torch.float32 if place.type == "cpu" else torch.bfloat16,
                use_safetensors=True,
                local_files_only=Path(model).is_dir(),
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
            raise LatxaError(
                f"`{model}` cannot be loaded to embed texts: {first_line(error)}",
                hint="give a directory with `config.json`, `model.safetensors` and a tokenizer",
            ) from None
        self.network, report = loaded
        # The pooler is not used here, and models that were trained on masked words have none.
        if missing := sorted(name for name in report["missing_keys"] if "pooler" not in name):
            raise LatxaError(f"`{model}`: its weights lack `{missing[0]}`", hint="is the copy complete?")
        self.network.eval().to(place)
        self.device = place
        context = getattr(self.network.config, "max_position_embeddings", None) or LONGEST
        self.longest = min(LONGEST, max(1, context - 2))  # some encoders count positions from 2
        self.dimensions: int = self.network.config.get_text_config().hidden_size
        try:  # fails for a tokenizer with more tokens than embeddings, and for a model without hidden states
            self.embed(["a"])
        except (IndexError, RuntimeError, ValueError, KeyError) as error:
            raise LatxaError(
                f"`{model}` cannot embed a text: {first_line(error)}", hint="is the tokenizer the model's own?"
            ) from None

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 [texts, dimensions]: the mean of the last hidden states over the tokens, scaled to length 1.

        The embedding of an empty text is 0.
        """
        import torch

        encoded = self.tokenizer(list(texts), truncation=True, max_length=self.longest, verbose=False)["input_ids"]
        order = sorted(range(len(encoded)), key=lambda place: -len(encoded[place]))
        embeddings = np.zeros((len(texts), self.dimensions), np.float32)
        while order:
            most = max(1, TOKENS // max(1, len(encoded[order[0]])))
            batch, order = order[:most], order[most:]
            width = len(encoded[batch[0]])
            if not width:
                break  # only empty texts are left
            ids = torch.zeros((len(batch), width), dtype=torch.long)  # padding is masked, so any token will do
            for row, place in enumerate(batch):
                ids[row, : len(encoded[place])] = torch.tensor(encoded[place])
            lengths = torch.tensor([len(encoded[place]) for place in batch])
            mask = (torch.arange(width) < lengths[:, None]).long().to(self.device)
            with torch.inference_mode():
                hidden = self.network(input_ids=ids.to(self.device), attention_mask=mask).last_hidden_state.float()
            mask = mask.unsqueeze(-1)
            means = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
            embeddings[batch] = torch.nn.functional.normalize(means, dim=1).cpu().numpy()
        return embeddings
