"""How well a model predicts text: per token, and per byte, which compares models with different tokenizers.

What a model forgets or learns of a language shows here without any benchmark (LLaMA Beyond English, arXiv 2401.01055).
Of conversations it is what training would learn: the answers, and the tokens that end them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import orjson

from latxa_cli.chat.counted import is_empty_answer
from latxa_cli.chat.given import OF_RECORDS
from latxa_cli.chat.loss_mask import encode_chats, text_size, trained_runs
from latxa_cli.chat.rendering import TemplateError
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.named import named_values
from latxa_cli.stream.records import Record

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

KINDS = ("document", "conversation")


@dataclass(frozen=True)
class TextSet:
    """Documents {id, text} and conversations {id, messages} under a name, as the user gave them to `--perplexity`."""

    name: str
    records: tuple[Record, ...]

    @property
    def digest(self) -> str:
        """16 hex digits of the texts."""
        hashed = sha256()
        for text in (part for record in self.records for part in _texts(record)):
            data = text.encode("utf-8", "surrogatepass")
            hashed.update(len(data).to_bytes(8, "little") + data)
        return hashed.hexdigest()[:16]

    @property
    def has_chats(self) -> bool:
        """Whether there are conversations, which a chat template writes."""
        return any("messages" in record for record in self.records)


def _texts(record: Record) -> list[str]:
    """Return a document's text, or the roles and contents of a conversation, and what else a template may be given."""
    if "messages" not in record:
        return [str(record["text"])]
    texts = [str(message[key]) for message in record["messages"] for key in ("role", "content")]
    others = [message for message in record["messages"] if len(message) > 2]
    beside = [record[name] for name in OF_RECORDS if record.get(name)]
    return [*texts, orjson.dumps([others, beside]).decode()] if others or beside else texts


def _is_to_predict(record: Record) -> bool:
    """Whether a record has text that is to be predicted: that of a document, or an answer."""
    if "messages" not in record:
        return bool(record["text"])
    return any(message["role"] == "assistant" and not is_empty_answer(message) for message in record["messages"])


@dataclass(frozen=True)
class TextScore:
    """What a model makes of one text: its negative log-likelihood in nats, its tokens, and its bytes in UTF-8.

    `unknown`: the tokens that stand for characters which the tokenizer does not know.
    """

    nats: float
    tokens: int
    size: int
    unknown: int

    @property
    def bits(self) -> float:
        return self.nats / math.log(2)


def text_sets(given: Sequence[str], read: Callable[[str, tuple[str, ...]], list[Record]]) -> dict[str, TextSet]:
    """Return the sets of `NAME=FILE`s by name, without records that hold nothing to predict.

    Args:
        given: the values of `--perplexity`.
        read: gives the records of a file, which are to be of one of these kinds.

    Raises:
        UsageError: a name is missing, or given twice.
        LatxaError: a set has no text.
    """
    sets = {}
    for name, path in named_values("--perplexity", given, "NAME=FILE", str).items():
        records = tuple(filter(_is_to_predict, read(path, KINDS)))
        if not records:
            raise LatxaError(f"{path}: holds no text")
        sets[name] = TextSet(name, records)
    return sets


def score(texts: TextSet, model: HFLM) -> list[TextScore | None]:
    """Return the score of each record; None for a conversation that the chat template refuses.

    Raises:
        LatxaError: a log-likelihood is not a number, or a model without a chat template is to predict conversations.
    """
    talks = ["messages" in record for record in texts.records]
    of_documents = iter(_of_documents([str(record["text"]) for record in texts.records if "text" in record], model))
    of_talks = iter(_of_conversations([record for record in texts.records if "messages" in record], model))
    scores = [next(of_talks if talk else of_documents) for talk in talks]
    if not all(math.isfinite(one.nats) for one in scores if one):
        raise LatxaError(
            f"`{texts.name}`: the log-likelihood of a text is not a number (NaN)",
            hint="the weights are damaged, or overflow in this number type",
        )
    return scores


def _of_documents(documents: Sequence[str], model: HFLM) -> list[TextScore]:
    """Return the score of each text: of all its tokens, the first one predicted from BOS or EOS.

    A text that is longer than the model's context is read in windows that do not overlap, as the harness does.
    """
    from lm_eval.api.instance import Instance

    if not documents:
        return []
    requests = [Instance("loglikelihood_rolling", {}, (document,), number) for number, document in enumerate(documents)]
    read = model.tokenizer(documents, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
    unknown = model.tokenizer.unk_token_id
    return [
        TextScore(-likelihood, len(tokens), len(document.encode("utf-8", "replace")), tokens.count(unknown))
        for document, tokens, likelihood in zip(documents, read, model.loglikelihood_rolling(requests), strict=True)
    ]


def _of_conversations(records: Sequence[Record], model: HFLM) -> list[TextScore | None]:
    """Return the score of the answers of each conversation, each after all that stands before it."""
    encoded = encode_chats(model.tokenizer, [record["messages"] for record in records], records) if records else []
    runs = [[] if isinstance(chat, TemplateError) else trained_runs(chat.trained) for chat in encoded]
    requests = [
        (("", ""), chat.ids[:start], chat.ids[start:end])
        for chat, own in zip(encoded, runs, strict=True) if not isinstance(chat, TemplateError)
        for start, end in own
    ]  # fmt: skip
    likelihoods = iter(model._loglikelihood_tokens(requests, disable_tqdm=True))
    scores: list[TextScore | None] = []
    for chat, own in zip(encoded, runs, strict=True):
        if isinstance(chat, TemplateError) or not own:
            scores.append(None)
            continue
        tokens = [token for start, end in own for token in chat.ids[start:end]]
        scores.append(TextScore(
            -sum(next(likelihoods)[0] for _ in own), len(tokens),
            sum(text_size(model.tokenizer, chat.ids, *run) for run in own), tokens.count(model.tokenizer.unk_token_id),
        ))  # fmt: skip
    return scores


def figures(scores: Sequence[TextScore]) -> list[Record]:
    """Return `metric`, `value` and `stderr` of bits per byte and of perplexity per token, over all texts together."""
    nats = [one.nats for one in scores]
    per_byte, error = _ratio([one.bits for one in scores], [one.size for one in scores])
    per_token, token_error = _ratio(nats, [one.tokens for one in scores])
    perplexity = math.exp(min(per_token, 700.0))  # e^710 is more than a float holds
    return [
        {"metric": "bits_per_byte", "value": per_byte, "stderr": error},
        {
            "metric": "perplexity",
            "value": perplexity,
            "stderr": None if token_error is None else perplexity * token_error,  # the derivative of e^x is e^x
        },
    ]


def _ratio(values: Sequence[float], sizes: Sequence[int]) -> tuple[float, float | None]:
    """Return the ratio of two sums over texts and its standard error, None for one text.

    The texts are drawn, not their bytes: the ratio estimate of W. G. Cochran, Sampling Techniques (1977).
    """
    count, size = len(values), sum(sizes)
    ratio = sum(values) / size
    if count == 1:
        return ratio, None
    squares = sum((value - ratio * own) ** 2 for value, own in zip(values, sizes, strict=True))
    return ratio, math.sqrt(squares * count / (count - 1)) / size


def fingerprint(metric: str, texts: TextSet, scores: Sequence[TextScore], model: HFLM, versions: dict[str, str]) -> str:
    """Return 16 hex digits that are equal only for figures which can be compared.

    - Hashed: the texts, the versions of libraries, and the model's context where a text is longer than it; the chat
      template that writes conversations.
    - Perplexities per token compare only models with one vocabulary, which is hashed with them.
    """
    content: list[object] = [metric, texts.digest, versions]
    if max(one.tokens for one in scores) > model.max_length:
        content.append(model.max_length)
    if texts.has_chats:
        content.append(model.tokenizer.chat_template)
    if metric == "perplexity":
        content.append(sorted(model.tokenizer.get_vocab().items()))
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def answers(name: str, scored: Sequence[tuple[Record, TextScore]], model: str) -> list[Record]:
    """Return an answer record for each record of the set `name`; its `value` is its bits per byte, as `metrics` say."""
    return [
        {
            "id": str(record["id"]),
            "task": name,
            "model": model,
            "value": one.bits / one.size,
            "metrics": {"bits_per_byte": one.bits / one.size},
            "loglikelihood": -one.nats,
            "tokens": one.tokens,
            "bytes": one.size,
            **({"source": record["source"]} if record.get("source") else {}),
        }
        for record, one in scored
    ]
