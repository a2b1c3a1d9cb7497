"""How well a model predicts plain text: per token, and per byte, which compares models with different tokenizers.

What a model forgets or learns of a language shows here without any benchmark (LLaMA Beyond English, arXiv 2401.01055).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import orjson

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.named import named_values
from latxa_cli.stream.records import Record

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM


@dataclass(frozen=True)
class TextSet:
    """Documents {id, text} under a name, as the user gave them to `--perplexity`."""

    name: str
    documents: tuple[Record, ...]

    @property
    def digest(self) -> str:
        """16 hex digits of the texts."""
        hashed = sha256()
        for document in self.documents:
            text = str(document["text"]).encode("utf-8", "surrogatepass")
            hashed.update(len(text).to_bytes(8, "little") + text)
        return hashed.hexdigest()[:16]


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


def text_sets(
    given: Sequence[str], tasks: Sequence[str], read: Callable[[str, str], list[Record]]
) -> dict[str, TextSet]:
    """Return the sets of `NAME=FILE`s by name, without their empty texts.

    Args:
        given: the values of `--perplexity`.
        tasks: names that sets may not have.
        read: gives the records of a file, which are to be of a kind.

    Raises:
        UsageError: a name is missing or taken.
        LatxaError: a set has no text.
    """
    sets = {}
    for name, path in named_values("--perplexity", given, "NAME=FILE", str).items():
        if name in tasks:
            raise UsageError(f"`--perplexity {name}=…` has the name of a task")
        documents = tuple(record for record in read(path, "document") if record["text"])
        if not documents:
            raise LatxaError(f"{path}: holds no text")
        sets[name] = TextSet(name, documents)
    return sets


def score(texts: TextSet, model: HFLM) -> list[TextScore]:
    """Return the score of each text: of all its tokens, the first one predicted from BOS or EOS.

    A text that is longer than the model's context is read in windows that do not overlap, as the harness does.

    Raises:
        LatxaError: a log-likelihood is not a number.
    """
    from lm_eval.api.instance import Instance

    documents = [str(document["text"]) for document in texts.documents]
    requests = [
        Instance("loglikelihood_rolling", {}, (document,), 0, (texts.name, number, 1))
        for number, document in enumerate(documents)
    ]
    read = model.tokenizer(documents, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
    unknown = model.tokenizer.unk_token_id
    scores = []
    for document, tokens, likelihood in zip(documents, read, model.loglikelihood_rolling(requests), strict=True):
        if not math.isfinite(likelihood):
            raise LatxaError(
                f"`{texts.name}`: the log-likelihood of a text is not a number (NaN)",
                hint="the weights are damaged, or overflow in this number type",
            )
        size = len(document.encode("utf-8", "replace"))
        scores.append(TextScore(-likelihood, len(tokens), size, tokens.count(unknown)))
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

    - Hashed: the texts, the versions of libraries, and the model's context where a text is longer than it.
    - Perplexities per token compare only models with one vocabulary, which is hashed with them.
    """
    content: list[object] = [metric, texts.digest, versions]
    if max(one.tokens for one in scores) > model.max_length:
        content.append(model.max_length)
    if metric == "perplexity":
        content.append(sorted(model.tokenizer.get_vocab().items()))
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def answers(texts: TextSet, scores: Sequence[TextScore], model: str) -> list[Record]:
    """Return an answer record for each text, whose `value` is its bits per byte."""
    return [
        {
            "id": str(document["id"]),
            "task": texts.name,
            "model": model,
            "value": one.bits / one.size,
            "loglikelihood": -one.nats,
            "tokens": one.tokens,
            "bytes": one.size,
        }
        for document, one in zip(texts.documents, scores, strict=True)
    ]
