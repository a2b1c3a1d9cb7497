"""Settings by which models of equal shapes compute otherwise: heads, angles of positions, norms, windows.

All settings that a kind of model declares count, but those in `IRRELEVANT`; so those of families to come count too.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# About training, tokens, the length of texts, and what other settings or the shapes of weights tell.
IRRELEVANT = re.compile(
    r"\w*(drop|initializer|_token_id|_token_index|vocab_size)\w*|init_std|use_cache|tie_word_embeddings"
    r"|max_position_embeddings|pretraining_tp|output_router_logits|router_aux_loss_coef|router_jitter_noise"
    r"|use_sliding_window|max_window_layers|num_logits_to_keep|summary_\w+"
)
# Weights that were made under one value mean nothing under another.
DECISIVE = ("num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act", "hidden_activation")
LONGEST = 60  # characters of a value in a message


class Difference(NamedTuple):
    """A setting that is not the same in all models; `values` are as in `config.json`, one a model."""

    name: str
    values: tuple[str, ...]
    decisive: bool


def differences(configs: Sequence[PreTrainedConfig]) -> list[Difference]:
    """Return the settings in which configurations of one kind of model differ, of the text part alone."""
    texts = [config.get_text_config() for config in configs]
    common = {own: general for general, own in texts[0].attribute_map.items()}
    settings = [_settings(text) for text in texts]
    found = []
    for name in dict.fromkeys(name for one in settings for name in one):
        values = [one.get(name) for one in settings]
        general = common.get(name, name)
        if any(value != values[0] for value in values) and not IRRELEVANT.fullmatch(general):
            found.append(Difference(name, tuple(map(_shown, values)), general in DECISIVE))
    return found


def _settings(config: PreTrainedConfig) -> dict[str, object]:
    """Return the settings that this kind of model declares itself; those in an object as `object.name`."""
    from transformers import PreTrainedConfig

    own = {field.name for field in dataclasses.fields(type(config))}
    own -= {field.name for field in dataclasses.fields(PreTrainedConfig)}
    return _flat({name: value for name, value in config.to_dict().items() if name in own})


def _flat(settings: dict[Any, object], before: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
