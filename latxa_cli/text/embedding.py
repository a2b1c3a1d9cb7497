"""Mean embeddings of texts, by any encoder or causal model that transformers reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latxa_cli.model import check, choose_device, load_tokenizer, quiet_libraries
from latxa_cli.stream.errors import LatxaError, first_line

LONGEST = 512  # tokens of a text that are looked at
TOKENS = 8192  # in one forward pass, padding included


class Embedder:
    """A model without its head, on its device. Raises LatxaError when it cannot be had, UsageError for the device."""

    def __init__(self, model: str, device: str | None = None) -> None:
        check(model)
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModel

        quiet_libraries()
        self.tokenizer = load_tokenizer(model)
        self.tokenizer.padding_side = "right"
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
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
        # A pooler is not used here, and models that were trained to fill in words have none.
        if missing := sorted(name for name in report["missing_keys"] if "pooler" not in name):
            raise LatxaError(f"`{model}`: its weights lack `{missing[0]}`", hint="is the copy complete?")
        self.network.eval().to(place)
        self.device = place
        context = getattr(self.network.config, "max_position_embeddings", None) or LONGEST
        self.longest = min(LONGEST, context - 2)  # some encoders count positions from 2
        self.dimensions: int = self.network.config.get_text_config().hidden_size

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 [texts, dimensions]: the mean of the last hidden states over the tokens, of length 1."""
        import torch

        encoded = self.tokenizer(list(texts), truncation=True, max_length=self.longest, verbose=False)["input_ids"]
        order = sorted(range(len(encoded)), key=lambda place: -len(encoded[place]))
        found = np.zeros((len(texts), self.dimensions), np.float32)
        while order:
            most = max(1, TOKENS // max(1, len(encoded[order[0]])))
            batch, order = order[:most], order[most:]
            padded = self.tokenizer.pad({"input_ids": [encoded[place] for place in batch]}, return_tensors="pt")
            if not padded["input_ids"].shape[1]:
                break  # what is left are empty texts
            inputs = {name: padded[name].to(self.device) for name in ("input_ids", "attention_mask")}
            with torch.inference_mode():
                hidden = self.network(**inputs).last_hidden_state.float()
            mask = inputs["attention_mask"].unsqueeze(-1)
            means = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
            found[batch] = torch.nn.functional.normalize(means, dim=1).cpu().numpy()
        return found
