"""What stands beside the weights of a merged model: configurations, tokenizer, chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latxa_cli.model import (
    CHAT_TEMPLATE_PATTERNS,
    CONFIG,
    GENERATION,
    TOKENIZER_CONFIG,
    TOKENIZER_PATTERNS,
    copy_files,
    read_settings,
    synchronise,
    write_settings,
    writing,
)
from latxa_cli.models.alignment import Alignment


def tied(config: Any) -> dict[str, str]:
    """Return {output layer: embedding}, by transformers' names, of the parameters that a configuration may make one."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    network: Any = getattr(transformers, (config.architectures or [""])[0], None)
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        network = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    return dict(getattr(network, "_tied_weights_keys", None) or {})


def write(directory: Path, base: Path, plus: Path, alignment: Alignment, *, untied: bool) -> None:
    """Write all files of a model but its weights into `directory`, `config.json` last.

    `base`, `plus`: the directories of these models. The tokenizer is the one that `alignment` names, the chat template
    and the settings of generation are those of `plus`, the configuration is the base's, with the end of text of `plus`.
    `untied`: the output layer is no longer the embedding.

    Raises:
        LatxaError: the directory cannot be written, or a file there is no JSON object.
    """
    with writing(directory):
        if alignment.by_base:
            copy_files(base, directory, TOKENIZER_PATTERNS, but=(*CHAT_TEMPLATE_PATTERNS, "special_tokens_map.json"))
            copy_files(plus, directory, CHAT_TEMPLATE_PATTERNS)
            settings = (read_settings(model / TOKENIZER_CONFIG) for model in (base, plus))
            write_settings(directory / TOKENIZER_CONFIG, _chatting(*settings))
        else:
            copy_files(plus, directory, TOKENIZER_PATTERNS)
    taught = read_settings(plus / CONFIG)
    if generation := read_settings(plus / GENERATION):
        write_settings(directory / GENERATION, _renumbered(generation, alignment.moved))
    config = read_settings(base / CONFIG)
    changed = {"eos_token_id": _renumbered(_text(taught) | taught, alignment.moved).get("eos_token_id")}
    if alignment.rows and not alignment.same:
        changed["vocab_size"] = alignment.rows
    if untied:
        changed["tie_word_embeddings"] = False
    _change(config, {key: value for key, value in changed.items() if value is not None})
    write_settings(directory / CONFIG, config)
    synchronise(directory)


def _chatting(base: dict[str, Any], plus: dict[str, Any]) -> dict[str, Any]:
    """Return the base's settings of its tokenizer, with what chatting takes from those of `plus`."""
    kept = {key: value for key, value in base.items() if key != "chat_template"}
    return kept | {key: plus[key] for key in ("chat_template", "eos_token", "pad_token") if plus.get(key)}


def _renumbered(settings: dict[str, Any], moved: dict[int, int]) -> dict[str, Any]:
    """Return settings with the ids of tokens in them as they are in the result."""

    def new(value: Any) -> Any:
        if isinstance(value, list):
            return [new(one) for one in value]
        return moved.get(value, value) if isinstance(value, int) else value

    return {key: new(value) if key.endswith("_token_id") else value for key, value in settings.items()}


def _text(config: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a configuration that is about text: models of pictures too have it apart."""
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def _change(config: dict[str, Any], changed: dict[str, Any]) -> None:
    """Set values where the configuration has them, else at its top."""
    text = _text(config)
    for key, value in changed.items():
        if key in text:
            text[key] = value
        if key in config or key not in text:
            config[key] = value
