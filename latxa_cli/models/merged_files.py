"""The files beside the weights of a merged model: configurations, tokenizer, chat template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from latxa_cli.model import (
    CHAT_TEMPLATE_PATTERNS,
    CONFIG,
    GENERATION,
    TOKENIZER_CONFIG,
    TOKENIZER_PATTERNS,
    copy_files,
    has_chat_template,
    read_settings,
    synchronise,
    write_settings,
    writing,
)
from latxa_cli.model_files import (
    BESIDE_PATTERNS,
    NOT_BESIDE,
    change,
    ends_of,
    in_both_spellings,
    name_ends,
    name_rows,
    settle_tokenizer,
    text_part,
)
from latxa_cli.models.alignment import Alignment
from latxa_cli.stream.records import JsonObject
from latxa_cli.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def tied(config: PreTrainedConfig) -> dict[str, str]:
    """Return {output layer: embedding} of the parameters that this kind of model may tie, by transformers' names."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    network: Any = getattr(transformers, (config.architectures or [""])[0], None)
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        network = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    return dict(getattr(network, "_tied_weights_keys", None) or {})


def write(
    directory: Path, base: Path, plus: Path, alignment: Alignment, *, untied: bool, known: JsonObject | None = None
) -> None:
    """Write all files of a model but its weights into `directory`, `config.json` last.

    - The tokenizer is that of the base or of `plus`, as `alignment` says.
    - The chat template and the settings of generation are those of `plus`.
    - The configuration is the base's, with the ends of `plus`, those of its chat template included.
    - All others, such as the settings of processors, are those of the base, or of `plus` alone.

    Args:
        directory: the result.
        base: the directory of the base model.
        plus: the directory of the model that is added.
        alignment: the rows of the result.
        untied: whether the output layer is no longer tied to the embedding.
        known: the base's configuration as transformers writes it.

    Raises:
        LatxaError: the directory cannot be written, or a file to read is no JSON object.
    """
    others = (CONFIG, GENERATION, *TOKENIZER_PATTERNS, *NOT_BESIDE)
    with writing(directory):
        for model in (plus, base):
            copy_files(model, directory, BESIDE_PATTERNS, but=others)
        if alignment.by_base:
            copy_files(base, directory, TOKENIZER_PATTERNS, but=(*CHAT_TEMPLATE_PATTERNS, "special_tokens_map.json"))
            copy_files(plus, directory, CHAT_TEMPLATE_PATTERNS)
            settings = (read_settings(model / TOKENIZER_CONFIG) for model in (base, plus))
            write_settings(directory / TOKENIZER_CONFIG, _with_chat(*settings))
        else:
            copy_files(plus, directory, TOKENIZER_PATTERNS)
        settle_tokenizer(directory, base if alignment.by_base else plus)
    generation, config_of_plus = read_settings(plus / GENERATION), read_settings(plus / CONFIG)
    config_of_plus = text_part(config_of_plus) | config_of_plus
    named = config_of_plus.get("eos_token_id")
    ends = ends_of(load_tokenizer(str(plus)), generation, config_of_plus) if has_chat_template(plus) else None
    if ends is not None:
        named = ends
        generation = generation and generation | {"eos_token_id": ends}
    if generation:
        write_settings(directory / GENERATION, _renumbered(generation, alignment.moved))
    config = in_both_spellings(read_settings(base / CONFIG), known or {})
    if named is not None:
        name_ends(config, _renumbered({"eos_token_id": named}, alignment.moved)["eos_token_id"])
    if alignment.rows and not alignment.same:
        name_rows(config, alignment.rows, known or {})
    if untied:
        change(config, {"tie_word_embeddings": False})
    write_settings(directory / CONFIG, config)
    synchronise(directory)


def _with_chat(base: JsonObject, plus: JsonObject) -> JsonObject:
    """Return the settings of the base's tokenizer, with those of `plus` that a chat needs."""
    kept = {key: value for key, value in base.items() if key != "chat_template"}
    return kept | {key: plus[key] for key in ("chat_template", "eos_token", "pad_token") if plus.get(key)}


def _renumbered(settings: JsonObject, moved: dict[int, int]) -> JsonObject:
    """Return settings with the token ids in them changed to those of the result."""

    def new(value: Any) -> Any:
        if isinstance(value, list):
            return [new(one) for one in value]
        return moved.get(value, value) if isinstance(value, int) else value

    return {key: new(value) if key.endswith("_token_id") else value for key, value in settings.items()}
