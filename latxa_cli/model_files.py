"""The files of a model beside its weights, so that transformers 4 and 5, vLLM and others read the same model in them.

transformers 5 writes the angles of positions (RoPE) as `rope_parameters` alone, of which version 4 knows nothing: it
takes its defaults without a word. It also names classes of tokenizers that version 4 lacks. So what the starting model
has is kept as it is wherever nothing has changed, and RoPE is written in both spellings.

Base models name no token that ends a turn. Those that the chat template writes behind answers are added to the ends
that a model names, or it would never stop.
"""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

from latxa_cli.chat.turn_end import end_of_answer_ids
from latxa_cli.model import (
    ADAPTER,
    CHAT_TEMPLATE_PATTERNS,
    CONFIG,
    GENERATION,
    TOKENIZER_CONFIG,
    TOKENIZER_PATTERNS,
    clear,
    copy_files,
    matching,
    read_settings,
    synchronise,
    write_settings,
    writing,
)
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject
from latxa_cli.stream.writer import write_file
from latxa_cli.tokenizer import names_a_wrong_tokenizer

# All that may lie beside weights: settings of processors, code that comes with a model, its licence.
BESIDE_PATTERNS = (
    "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.py", "LICENSE*", "NOTICE*", *CHAT_TEMPLATE_PATTERNS,
)  # fmt: skip
NOT_BESIDE = ("*.index.json", "manifest.json", "trainer_state.json", ADAPTER)
IN_MEMORY = "model.part"  # the folder where transformers writes a model, `config.json` first
ANY_TOKENIZER = "PreTrainedTokenizerFast"  # the class that versions 4 and 5 both have for any `tokenizer.json`
OF_VERSION_5 = ("TokenizersBackend",)
FULL, SLIDING = "full_attention", "sliding_attention"
TEMPLATE = "chat_template.jinja"
# Of these, version 4 takes `type` and the factors as `rope_scaling`, and nothing else.
PHI_3, FACTORS = ("phi3",), ("short_factor", "long_factor")


def export(model: Any, tokenizer: Any, directory: Path, *, dtype: str, start: Path | None = None) -> None:
    """Write a model into `directory`: weights (safetensors), configurations, tokenizer and chat template.

    `AutoModelForCausalLM.from_pretrained` and `AutoTokenizer.from_pretrained` load them. `config.json` comes last:
    without that file, nothing loads the directory as a model. `dtype` is that of the weights in the file, float32 or
    bfloat16; `start` is the directory of the model that it was made of. Raises LatxaError where the directory cannot be
    written.
    """
    from transformers import GenerationConfig

    to_dtype(model, dtype)
    generation, model.generation_config = model.generation_config, GenerationConfig()  # which needs no check
    part = directory / IN_MEMORY
    shutil.rmtree(part, ignore_errors=True)
    with writing(directory):
        try:
            model.save_pretrained(part)
            model.generation_config = generation
            save_beside_weights(model, tokenizer, part, start)
            clear(directory)
            mode = (part / CONFIG).stat().st_mode
            for path in sorted(part.rglob("*"), key=lambda path: path.name == CONFIG):
                if path.is_file():
                    path.chmod(mode)  # safetensors lets only the owner read its files
                    synchronise(path)
                    (directory / path.relative_to(part)).parent.mkdir(exist_ok=True)
                    path.replace(directory / path.relative_to(part))
        finally:
            shutil.rmtree(part, ignore_errors=True)
        synchronise(directory)


def to_dtype(model: Any, dtype: str) -> None:
    """Turn the weights of a model into `dtype`; numbers of other kinds stay, as the complex angles of Llama 4."""
    import torch

    for value in (*model.parameters(), *model.buffers()):
        if value.is_floating_point():
            value.data = value.data.to(getattr(torch, dtype))


def save_beside_weights(
    model: Any, tokenizer: Any, directory: Path, start: Path | None = None, *, same_tokenizer: bool = False
) -> None:
    """Write the files of a model other than weights.

    Args:
        model: the model.
        tokenizer: its tokenizer, with the chat template that it is to have.
        directory: the output.
        start: the directory of the model that it was made of, whose other files are kept.
        same_tokenizer: whether the tokenizer is that of `start`, but for its chat template.
    """
    if start is not None:
        read_settings(start / GENERATION)  # an error is to name this file, and not its copy
    directory.mkdir(parents=True, exist_ok=True)
    model.config.use_cache = True  # an earlier training may have left False, which makes generation slow
    model.config.save_pretrained(directory)
    config = read_settings(directory / CONFIG)
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.to_json_file(directory / GENERATION)  # unchecked: settings may contradict each other
    if not (same_tokenizer and start):
        tokenizer.save_pretrained(directory)
    if start is not None:
        but = NOT_BESIDE if same_tokenizer else (*NOT_BESIDE, *TOKENIZER_PATTERNS)
        copy_files(start, directory, BESIDE_PATTERNS, but=but)
        if same_tokenizer:
            set_template(directory, tokenizer.chat_template)
    settle_tokenizer(directory, start)
    own = read_settings(start / CONFIG) if start else {}
    if own.get("model_type") != config.get("model_type"):  # a part of a larger model was loaded
        own = config
    text_part(own)["use_cache"] = True
    name_rows(own, model.config.get_text_config().vocab_size, model.config.to_dict())
    generation = read_settings(directory / GENERATION)
    if (ends := ends_of(tokenizer, generation, own)) is not None:
        if generation:
            write_settings(directory / GENERATION, generation | {"eos_token_id": ends})
        name_ends(own, ends)
    write_settings(directory / CONFIG, in_both_spellings(own, model.config.to_dict()))


# --- the configuration


def text_part(config: JsonObject) -> JsonObject:
    """Return the text part of a configuration, which models with a vision tower keep apart."""
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def in_both_spellings(config: JsonObject, known: JsonObject) -> JsonObject:
    """Return a configuration with the angles of positions as version 4 and version 5 of transformers spell them.

    Families that came with version 5 have one spelling, beside which it reads no other (Gemma 4).
    `known`: the same configuration as version 5 writes it.
    """
    both = _spelt(config, known, old=True)
    return both if _is_read_as(both, known) else _spelt(config, known, old=False)


def _is_read_as(config: JsonObject, known: JsonObject) -> bool:
    """Whether version 5 reads the angles of `known` in a configuration; also for a family that it does not know."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CONFIG_MAPPING

    kind = str(config.get("model_type"))
    if kind not in CONFIG_MAPPING:
        return True
    try:
        read = CONFIG_MAPPING[kind].from_dict(deepcopy(config)).to_dict()  # it writes into what it is given
    except (LookupError, ValueError, TypeError, AttributeError, RuntimeError, StrictDataclassError):
        return False
    return bool(text_part(read).get("rope_parameters") == text_part(known).get("rope_parameters"))


def _spelt(config: JsonObject, known: JsonObject, *, old: bool) -> JsonObject:
    parts = {
        name: _spelt(part, known[name], old=old)
        for name, part in config.items()
        if isinstance(part, dict) and isinstance(known.get(name), dict) and name != "rope_parameters"
    }
    config = config | parts
    new = known.get("rope_parameters")
    if not isinstance(new, dict) or not new:
        return config
    config["rope_parameters"] = new
    if not old:
        return config
    whole: JsonObject = new[FULL] if isinstance(new.get(FULL), dict) else new
    spelt: JsonObject = {"rope_theta": whole.get("rope_theta"), "rope_scaling": _scaling(whole)}
    if spelt["rope_scaling"] and config.get("model_type") in PHI_3:
        spelt["rope_scaling"] = {"type": whole["rope_type"], **{name: whole.get(name) for name in FACTORS}}
        spelt["original_max_position_embeddings"] = whole.get("original_max_position_embeddings")
    if isinstance(new.get(SLIDING), dict):
        spelt["rope_local_base_freq"] = new[SLIDING].get("rope_theta")
    if "partial_rotary_factor" in whole:
        spelt["partial_rotary_factor"] = whole["partial_rotary_factor"]
    return config | {name: value for name, value in spelt.items() if value is not None and config.get(name) is None}


def change(config: JsonObject, changes: JsonObject) -> None:
    """Set each value where the configuration has its key, else at the top level."""
    text = text_part(config)
    for key, value in changes.items():
        if key in text:
            text[key] = value
        if key in config or key not in text:
            config[key] = value


def name_rows(config: JsonObject, rows: int, known: JsonObject) -> None:
    """Name the number of rows of the embeddings, those of each layer among them (Gemma 4).

    `known`: the configuration as transformers writes it.
    """
    names = ["vocab_size"]
    if text_part(known).get("hidden_size_per_layer_input"):
        names.append("vocab_size_per_layer_input")
    change(config, dict.fromkeys(names, rows))


def ends_of(tokenizer: Any, *settings: JsonObject) -> int | list[int] | None:
    """Return the id or ids at which a model stops that answers: the ends that it names, and those of its chat template.

    They are None where the tokenizer has no template, or one that writes no answer.

    Args:
        tokenizer: with the chat template.
        settings: those of generation and the configuration; the first that name ends count.
    """
    if not tokenizer.chat_template:
        return None
    named = (one["eos_token_id"] for one in settings if one.get("eos_token_id") is not None)
    try:
        ends = end_of_answer_ids(tokenizer, next(named, None))
    except LatxaError:
        return None
    return ends[0] if len(ends) == 1 else ends or None


def name_ends(config: JsonObject, ends: int | list[int]) -> None:
    """Name the ends in a configuration, unless transformers takes only one there for models of this kind (Inkling)."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import CONFIG_MAPPING

    named, kind = deepcopy(config), str(config.get("model_type"))
    change(named, {"eos_token_id": ends})
    try:
        if kind in CONFIG_MAPPING:  # else it has code of its own
            CONFIG_MAPPING[kind].from_dict(deepcopy(named))  # it writes into what it is given
    except StrictDataclassError:
        return
    change(config, {"eos_token_id": ends})


def _scaling(rope: JsonObject) -> JsonObject | None:
    """Return the scaling in parameters of RoPE, and the sections of a grid (Qwen2-VL); None where there is neither."""
    if rope.get("rope_type", "default") == "default" and "mrope_section" not in rope:
        return None
    return {name: value for name, value in rope.items() if name not in ("rope_theta", "partial_rotary_factor")}


# --- the tokenizer


def set_template(directory: Path, template: object) -> None:
    """Make `template` the chat template of the tokenizer in `directory`, if it is a text and has another one."""
    settings = read_settings(directory / TOKENIZER_CONFIG)
    file = directory / TEMPLATE
    now = file.read_text(encoding="utf-8") if file.is_file() else settings.get("chat_template")
    if not isinstance(template, str) or template == now:
        return
    for path in matching(directory, CHAT_TEMPLATE_PATTERNS):
        path.unlink()
    if settings.pop("chat_template", None) is not None:
        write_settings(directory / TOKENIZER_CONFIG, settings)
    write_file(file, template.encode())


def settle_tokenizer(directory: Path, start: Path | None = None) -> None:
    """Name the class of the tokenizer in `directory` as `start` does, and leave out what only version 5 knows.

    A class that misreads the file is not named again. Version 5 has it for some kinds of models all the same (Qwen 2),
    and reads the added tokens right if the file alone has them.
    """
    settings = read_settings(directory / TOKENIZER_CONFIG)
    if not settings:
        return
    before = dict(settings)
    own = read_settings(start / TOKENIZER_CONFIG) if start else {}
    name = own.get("tokenizer_class") or settings.get("tokenizer_class")
    unknown = name is None or name in OF_VERSION_5
    wrong = unknown or (start is not None and name != ANY_TOKENIZER and names_a_wrong_tokenizer(start))
    settings["tokenizer_class"] = ANY_TOKENIZER if wrong else name
    if wrong and (directory / "tokenizer.json").is_file():
        settings.pop("added_tokens_decoder", None)
    for left_over in ("is_local", "local_files_only", "backend"):
        settings.pop(left_over, None)
    special = settings.get("extra_special_tokens")
    if isinstance(special, list):  # version 4 takes names for them here
        del settings["extra_special_tokens"]
        settings["additional_special_tokens"] = special
    if settings != before:
        write_settings(directory / TOKENIZER_CONFIG, settings)
