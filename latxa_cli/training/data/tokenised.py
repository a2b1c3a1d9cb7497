"""Records to pieces: tokenised, and every token marked as trained or not. A piece is what is kept together in a row.

A document is begin-of-text (where the tokenizer has one), its tokens and end-of-text, all of them trained; one longer
than a row is cut into pieces that hold every token. A conversation is one piece; one that is longer than a row keeps
its turns up to the last answer that fits. For what is trained of it, see `latxa_cli.chat.encode_chats`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latxa_cli.chat import Encoded, Loss, TemplateError, encode_chats
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record, Reject

SPLIT = "train"  # the `metadata.split` of records that have one
BATCH = 256  # records tokenised at a time


@dataclass(frozen=True, slots=True)
class TokenisingSettings:
    """How records become pieces: `loss` of conversations, by source in `losses`; `vocabulary`: tokens of the model."""

    sequence_length: int
    loss: Loss = "assistant"
    losses: tuple[tuple[str, Loss], ...] = ()
    vocabulary: int = 1 << 32

    def loss_of(self, record: Record) -> Loss:
        return dict(self.losses).get(source_of(record), self.loss)


class MarkedTokens(NamedTuple):
    """The tokens of a record, i32, and whether each is a target of the loss."""

    ids: NDArray[np.int32]
    trained: NDArray[np.bool_]

    @classmethod
    def of(cls, encoded: Encoded) -> MarkedTokens:
        return cls(np.array(encoded.ids, np.int32), np.array(encoded.trained, bool))


@dataclass
class TokenisedRecords:
    """Tokens of pieces one behind the other, `lengths` of each piece, what each source gave, and what is left out."""

    ids: list[NDArray[np.int32]] = field(default_factory=list)
    trained: list[NDArray[np.bool_]] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    shares: dict[str, Counter[str]] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    other_split: int = 0
    shortened: int = 0

    def add(self, source: str, marked: MarkedTokens, length: int) -> None:
        """Add a record, cut into pieces of at most `length` tokens; the first token of each is told from nothing."""
        ids, trained = marked
        trained[::length] = False
        self.ids.append(ids)
        self.trained.append(trained)
        self.lengths += [min(length, len(ids) - start) for start in range(0, len(ids), length)]
        share = self.shares.setdefault(source, Counter())
        share.update(records=1, tokens=len(ids), trained=int(np.count_nonzero(trained)))


def source_of(record: Record) -> str:
    return record.get("source") or "(no source)"


def tokenise_records(records: Iterable[Record], tokenizer: Any, settings: TokenisingSettings) -> TokenisedRecords:
    """Return the pieces of records; those whose `metadata.split` is there and is not `train` are left out.

    Raises LatxaError where the tokenizer has no chat template but needs one, is not a fast one, or gives tokens that
    the model does not have.
    """
    if not tokenizer.is_fast:
        raise LatxaError("the model has no fast tokenizer", hint="convert it to a `tokenizer.json`")
    made = TokenisedRecords()
    waiting = _of_training(records, made)
    while batch := list(islice(waiting, BATCH)):
        encoded = dict(_encode(batch, tokenizer, settings))
        for place, record in enumerate(batch):
            found = encoded[place]
            if isinstance(found, MarkedTokens) and len(found.ids) > settings.sequence_length and "messages" in record:
                found = _shortened(record, len(found.ids), tokenizer, settings)
                made.shortened += isinstance(found, MarkedTokens)
            if isinstance(found, Reject):
                made.rejects.append(found)
                continue
            if (largest := int(found.ids.max())) >= settings.vocabulary:
                raise LatxaError(
                    f"record `{record.get('id', place)}`: the token {largest} is outside of the model's "
                    f"vocabulary of {settings.vocabulary}",
                    hint="is the tokenizer the model's own? `latxa extend` makes a model larger",
                )
            made.add(source_of(record), found, settings.sequence_length)
    return made


def _of_training(records: Iterable[Record], made: TokenisedRecords) -> Iterator[Record]:
    for record in records:
        split = (record.get("metadata") or {}).get("split")
        if split is None or split == SPLIT:
            yield record
        else:
            made.other_split += 1


def _encode(
    batch: Sequence[Record], tokenizer: Any, settings: TokenisingSettings
) -> Iterator[tuple[int, MarkedTokens | Reject]]:
    """Yield (place, what it comes to) of all records, in any order."""
    documents = [place for place, record in enumerate(batch) if "messages" not in record]
    texts = [batch[place]["text"] for place in documents]
    yield from zip(documents, _encode_documents(tokenizer, texts) if texts else (), strict=True)
    chats = [place for place, record in enumerate(batch) if "messages" in record]
    chats.sort(key=lambda place: settings.loss_of(batch[place]))
    for loss, group in groupby(chats, key=lambda place: settings.loss_of(batch[place])):
        places = list(group)
        found = encode_chats(tokenizer, [batch[place]["messages"] for place in places], loss=loss)
        for place, encoded in zip(places, found, strict=True):
            if isinstance(encoded, TemplateError):
                yield place, Reject(batch[place], "refused by the chat template", encoded.message)
            else:
                yield place, MarkedTokens.of(encoded)


def _encode_documents(tokenizer: Any, texts: list[str]) -> Iterator[MarkedTokens]:
    backend, begin = tokenizer.backend_tokenizer, tokenizer.bos_token_id
    first = 0 if begin is None else 1
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # a page that spells `<|end|>` does not hold that token
    try:
        encodings = backend.encode_batch_fast(texts, add_special_tokens=False)
    finally:
        backend.encode_special_tokens = False
    for encoding in encodings:
        ids = np.empty(first + len(encoding) + 1, np.int32)
        ids[:first] = begin or 0
        ids[first:-1] = encoding.ids
        ids[-1] = tokenizer.eos_token_id
        yield MarkedTokens(ids, np.ones(len(ids), bool))


def _shortened(record: Record, tokens: int, tokenizer: Any, settings: TokenisingSettings) -> MarkedTokens | Reject:
    """Return a conversation that is longer than a row without its last turns, or a reject where no answer fits."""
    messages = record["messages"]
    ends = [place for place, message in enumerate(messages, 1) if message["role"] == "assistant"]
    for end in reversed([end for end in ends if end < len(messages)]):
        (shorter,) = encode_chats(tokenizer, [messages[:end]], loss=settings.loss_of(record))
        if isinstance(shorter, Encoded) and len(shorter.ids) <= settings.sequence_length:
            return MarkedTokens.of(shorter)
    return Reject(record, "longer than the sequence", f"{tokens} tokens, the sequence has {settings.sequence_length}")
