"""A new tokenizer and a new model: `latxa init CONFIG.json DOCS.jsonl --vocabulary-size 1024 -o DIR`.

The tokenizer is a byte-level BPE, which can encode any text and decodes it to the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from latxa_cli.stream.errors import LatxaError, UsageError, first_line, nearest
from latxa_cli.stream.records import JsonObject, Record

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

BEGIN, END, PAD, END_OF_TURN = "<|begin|>", "<|end|>", "<|pad|>", "<|end_of_turn|>"
ROLES = ("system", "user", "assistant")
SPECIAL_TOKENS = (BEGIN, END, PAD, *(f"<|{role}|>" for role in ROLES), END_OF_TURN)
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)  # every byte is a token of its own
# What transformers puts before the cause, as in "Validation error for field 'hidden_size': TypeError: Field …".
NOISE = re.compile(r"^(Class v|V)alidation error for [^:]+: \w+Error: ")
BATCH = 1000  # texts handed to the BPE trainer at a time

CHAT_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
    {%- if message['role'] not in ['system', 'user', 'assistant'] %}
        {{- raise_exception('the role ' + message['role'] + ' is not known') }}
    {%- endif %}
    {{- '<|' + message['role'] + '|>' + message['content'] + '<|end_of_turn|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|assistant|>' }}
{%- endif %}"""


def texts(records: Iterable[Record]) -> Iterator[str]:
    """Yield the text of documents and the contents of conversations."""
    for record in records:
        if "messages" in record:
            yield from (message["content"] for message in record["messages"])
        else:
            yield record["text"]


def new_tokenizer(
    records: Iterable[Record], vocabulary_size: int, *, context: int | None = None
) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE (Sennrich et al. 2016, arXiv 1508.07909) and add special tokens and a chat template.

    - Each digit is a token.
    - Plain text begins with the begin token, as evaluation expects.
    - A short text has too few merges, and gives a vocabulary smaller than `vocabulary_size`.

    Args:
        records: documents and conversations.
        vocabulary_size: the number of tokens, with special tokens and the 256 bytes.
        context: the longest sequence of the model in tokens, for the tokenizer's configuration.

    Raises:
        UsageError: the vocabulary is too small for the bytes and the special tokens.
        LatxaError: the records hold no text.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if vocabulary_size < SMALLEST_VOCABULARY:
        raise UsageError(
            f"`--vocabulary-size {vocabulary_size}` is too small: "
            f"256 bytes and {len(SPECIAL_TOKENS)} special tokens make {SMALLEST_VOCABULARY}",
            hint="1024 serves a model of a million parameters",
        )
    bpe = Tokenizer(models.BPE())
    digits = pre_tokenizers.Split(Regex(r"\p{Nd}"), "isolated")  # so that a number is always cut in the same way
    bpe.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    corpus = _CountedTexts(texts(records))
    bpe.train_from_iterator(corpus.batches(BATCH), trainer=trainer)
    if not corpus.characters:
        raise LatxaError("there is no text to learn a tokenizer from", hint="give documents with a `text`")
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A",
        pair=f"{BEGIN} $A {BEGIN} $B:1",
        special_tokens=[(BEGIN, bpe.token_to_id(BEGIN))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=[token for token in SPECIAL_TOKENS if token not in (BEGIN, END, PAD)],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",  # a generated text continues at the right end
        clean_up_tokenization_spaces=False,  # decoding must give back the same bytes
        **({"model_max_length": context} if context else {}),
    )


class _CountedTexts:
    """Texts in batches, with a count of their characters."""

    def __init__(self, source: Iterable[str]) -> None:
        self.source = source
        self.characters = 0

    def batches(self, size: int) -> Iterator[list[str]]:
        batch: list[str] = []
        for text in self.source:
            self.characters += len(text)
            batch.append(text)
            if len(batch) == size:
                yield batch
                batch = []
        yield batch


def read_config(path: Path) -> JsonObject:
    """Read a transformers model configuration without its vocabulary size and token ids, which the tokenizer decides.

    Raises:
        LatxaError: the file is missing or not a JSON object.
        UsageError: `model_type` or another key is unknown, or a value does not fit.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LatxaError(f"`{path}` cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise LatxaError(f"`{path}` is not JSON: {error}", hint="it is a transformers model configuration") from error
    if not isinstance(settings, dict):
        raise LatxaError(f"`{path}` is not a JSON object", hint='it begins like {"model_type": "llama", …}')
    for key in ("vocab_size", "bos_token_id", "eos_token_id", "pad_token_id"):
        settings.pop(key, None)
    _checked_config(settings, str(path))
    return settings


def _checked_config(settings: JsonObject, name: str) -> PreTrainedConfig:
    """Return the configuration object that transformers has for `settings["model_type"]`; raises UsageError."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers.models.auto.configuration_auto import AutoConfig
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    )

    settings = dict(settings)
    model_type = settings.pop("model_type", None)
    if model_type is None:
        raise UsageError(f"`{name}` has no `model_type`", hint='it begins like {"model_type": "llama", …}')
    known = AutoConfig.for_model(model_type) if model_type in MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES else None
    if known is not None and (text := known.get_text_config()) is not known:
        other = text.model_type if text.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else "llama"
        raise UsageError(
            f"`{name}`: a `{model_type}` has parts beside text, and a new model reads text alone",
            hint=f"`{other}` as `model_type` makes one",
        )
    if model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise UsageError(
            f"`{name}`: `model_type` is `{model_type}`, which is no language model that transformers knows",
            hint=nearest(str(model_type), list(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)),
        )
    known = AutoConfig.for_model(model_type)
    for key in settings:
        if not hasattr(known, key) and key not in ("architectures", "transformers_version", "torch_dtype"):
            raise UsageError(
                f"`{name}`: `{key}` is no setting of `{model_type}`", hint=nearest(key, list(known.to_dict()))
            )
    try:
        return AutoConfig.for_model(model_type, **settings)
    except (StrictDataclassError, TypeError, ValueError) as error:
        cause = NOISE.sub("", " ".join(str(error).split()))
        raise UsageError(f"`{name}` does not make a `{model_type}`: {cause}") from error


def new_model(settings: JsonObject, tokenizer: PreTrainedTokenizerFast, *, seed: int) -> PreTrainedModel:
    """Make a model with random weights in float32; the same seed gives the same weights.

    Args:
        settings: a model configuration from `read_config`.
        tokenizer: from `new_tokenizer`; its length is the size of the model's vocabulary.
        seed: of the random weights.

    Raises:
        UsageError: transformers cannot make this model.
        LatxaError: it does not fit the memory.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = _checked_config(settings | ids | {"vocab_size": len(tokenizer)}, "the model configuration")
    with torch.random.fork_rng(devices=[]):  # the caller's random draws must not depend on it
        torch.manual_seed(seed)
        try:
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        except (RuntimeError, MemoryError) as error:
            raise LatxaError(f"a model of this configuration cannot be made: {first_line(error)}") from None
    end_of_turn = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    model.generation_config = GenerationConfig(**(ids | {"eos_token_id": [tokenizer.eos_token_id, end_of_turn]}))
    return model


def initialise(
    config: Path, records: Iterable[Record], directory: Path, *, vocabulary_size: int, seed: int
) -> dict[str, int]:
    """Write a new model, its tokenizer and its generation configuration into `directory`.

    Returns:
        The size of the vocabulary and the number of parameters.

    Raises:
        UsageError, LatxaError: as `read_config`, `new_tokenizer`, `new_model` and `export` do.
    """
    from latxa_cli.model import count_parameters, quiet_libraries
    from latxa_cli.model_files import export

    quiet_libraries()
    settings = read_config(config)
    tokenizer = new_tokenizer(records, vocabulary_size, context=settings.get("max_position_embeddings"))
    model = new_model(settings, tokenizer, seed=seed)
    export(model, tokenizer, directory, dtype="float32")
    return {"vocabulary": len(tokenizer), "parameters": count_parameters(model)}
