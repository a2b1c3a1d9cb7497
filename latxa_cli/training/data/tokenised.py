"""Records to pieces of tokens, each token marked as trained or not. A piece is never split between rows.

- A document is begin-of-text (where the tokenizer begins texts with it), its tokens and end-of-text, all of them
  trained. One that is longer than a row is cut into several pieces.
- A conversation is one piece. One that is longer than a row keeps its turns up to the last answer that fits.
  `latxa_cli.chat.loss_mask` marks the trained tokens. A message with `weight: 0` or `train: false` is not trained, and
  a conversation without any trained token is a reject. Thoughts and calls of tools are trained as the template writes
  them. One that it leaves out makes a reject.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from latxa_cli.chat.folding import folded
from latxa_cli.chat.loss_mask import Loss, TokenisedChat, encode_chats
from latxa_cli.chat.rendering import Message, TemplateError
from latxa_cli.chat.special import begin_of_text
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record, Reject

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPLIT = "train"  # records with another `metadata.split` are left out
LONG = "longer than the sequence"
UNTRAINED = "nothing of it is trained"
NO_ANSWER = "it has no answer that the loss counts: none is there, or all are empty or have `weight: 0`"
EMPTY = "a document without text"
NO_SOURCE = "(no source)"  # as the name of one
BATCH = 256  # records tokenised at a time


@dataclass(frozen=True, slots=True)
class TokenisingSettings:
    """The settings for pieces.

    Attributes:
        sequence_length: tokens of a row.
        loss: of conversations.
        losses: (source, loss) of sources with a loss of their own.
        vocabulary: the number of tokens of the model.
        fold_system: whether system turns become part of the user's.
    """

    sequence_length: int
    loss: Loss = "assistant"
    losses: tuple[tuple[str, Loss], ...] = ()
    vocabulary: int = 1 << 32
    fold_system: bool = False

    @classmethod
    def of(
        cls, sequence_length: int, loss: str, source_loss: Mapping[str, str] | None, *, fold_system: bool = False
    ) -> TokenisingSettings:
        """Return the settings for losses that `training.config` has checked."""
        losses: Any = tuple((source_loss or {}).items())
        return cls(sequence_length, cast(Loss, loss), losses, fold_system=fold_system)

    def loss_of(self, record: Record) -> Loss:
        """Return the loss of a conversation, by its source."""
        return dict(self.losses).get(source_of(record), self.loss)

    def turns_of(self, record: Record) -> list[Message]:
        """Return the turns of a conversation that the template is given."""
        return folded(record["messages"]) if self.fold_system else record["messages"]


class MarkedTokens(NamedTuple):
    """The tokens of a record, i32, and whether each is a target of the loss; remarks on it, see `TokenisedChat`."""

    ids: NDArray[np.int32]
    trained: NDArray[np.bool_]
    remarks: frozenset[str] = frozenset()

    @classmethod
    def of(cls, encoded: TokenisedChat) -> MarkedTokens:
        return cls(np.array(encoded.ids, np.int32), np.array(encoded.trained, bool), encoded.remarks)


@dataclass
class TokenisedRecords:
    """The pieces of records, and their counts.

    Attributes:
        ids, trained: the tokens of each record, and whether the loss counts each.
        lengths: of all pieces, one after another.
        shares: records, tokens and trained tokens of each source.
        conversations: the number of conversations of each source that are used.
        rejects: records that cannot be used.
        other_split: the number of records of other splits.
        shortened: the number of conversations that were shortened.
        remarks: what people should know, in sentences, and of how many conversations.
    """

    ids: list[NDArray[np.int32]] = field(default_factory=list)
    trained: list[NDArray[np.bool_]] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    shares: dict[str, Counter[str]] = field(default_factory=dict)
    conversations: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    other_split: int = 0
    shortened: int = 0
    remarks: Counter[str] = field(default_factory=Counter)

    def add(self, record: Record, marked: MarkedTokens, length: int) -> None:
        """Add a record, cut into pieces of at most `length` tokens."""
        source = source_of(record)
        self.conversations[source] += "messages" in record
        self.remarks.update(marked.remarks)
        ids, trained, _ = marked
        trained[::length] = False  # nothing before it predicts the first token of a piece
        self.ids.append(ids)
        self.trained.append(trained)
        self.lengths += [min(length, len(ids) - start) for start in range(0, len(ids), length)]
        share = self.shares.setdefault(source, Counter())
        share.update(records=1, tokens=len(ids), trained=int(np.count_nonzero(trained)))


def source_of(record: Record) -> str:
    """Return the name of a record's source."""
    return record.get("source") or NO_SOURCE


def tokenise_records(
    records: Iterable[Record], tokenizer: PreTrainedTokenizerBase, settings: TokenisingSettings
) -> TokenisedRecords:
    """Return the pieces of records, without records of another `metadata.split` than `train`.

    Raises:
        LatxaError: the tokenizer lacks a chat template that it needs, is not a fast one, or gives tokens that the model
            does not have.
    """
    if not tokenizer.is_fast:
        raise LatxaError("the model has no fast tokenizer", hint="convert it to a `tokenizer.json`")
    tokenised = TokenisedRecords()
    records_of_split = _of_training(records, tokenised)
    while batch := list(islice(records_of_split, BATCH)):
        encoded = dict(_encode(batch, tokenizer, settings))
        for place, record in enumerate(batch):
            outcome = encoded[place]
            if (
                isinstance(outcome, MarkedTokens)
                and "messages" in record
                and len(outcome.ids) > settings.sequence_length
            ):
                outcome = _shortened(record, len(outcome.ids), tokenizer, settings)
                tokenised.shortened += isinstance(outcome, MarkedTokens)
            if isinstance(outcome, MarkedTokens) and not outcome.trained[1:].any():
                outcome = Reject(record, UNTRAINED, NO_ANSWER)
            if isinstance(outcome, Reject):
                tokenised.rejects.append(outcome)
                continue
            if (largest := int(outcome.ids.max())) >= settings.vocabulary:
                raise LatxaError(
                    f"record `{record.get('id', place)}`: the token {largest} is outside of the model's "
                    f"vocabulary of {settings.vocabulary}",
                    hint="is the tokenizer the model's own? `latxa extend` makes a model larger",
                )
            tokenised.add(record, outcome, settings.sequence_length)
    return tokenised


def _of_training(records: Iterable[Record], tokenised: TokenisedRecords) -> Iterator[Record]:
    for record in records:
        split = (record.get("metadata") or {}).get("split")
        if split is None or split == SPLIT:
            yield record
        else:
            tokenised.other_split += 1


def _encode(
    batch: Sequence[Record], tokenizer: PreTrainedTokenizerBase, settings: TokenisingSettings
) -> Iterator[tuple[int, MarkedTokens | Reject]]:
    """Yield (place in the batch, tokens or reject) of all records, in any order."""
    documents = []
    for place, record in enumerate(batch):
        if "messages" not in record:
            if record["text"].strip():
                documents.append(place)
            else:  # its only token would be the end of text: a model would learn to say nothing
                yield place, Reject(record, EMPTY)
    texts = [batch[place]["text"] for place in documents]
    yield from zip(documents, _encode_documents(tokenizer, texts) if texts else (), strict=True)
    chats = [place for place, record in enumerate(batch) if "messages" in record]
    chats.sort(key=lambda place: settings.loss_of(batch[place]))
    for loss, group in groupby(chats, key=lambda place: settings.loss_of(batch[place])):
        places = list(group)
        records = [batch[place] for place in places]
        encodings = encode_chats(tokenizer, [settings.turns_of(record) for record in records], records, loss=loss)
        for place, encoded in zip(places, encodings, strict=True):
            if isinstance(encoded, TemplateError):
                yield place, Reject(batch[place], encoded.reason, encoded.message)
            else:
                yield place, MarkedTokens.of(encoded)


def _encode_documents(tokenizer: Any, texts: list[str]) -> Iterator[MarkedTokens]:
    backend, begin = tokenizer.backend_tokenizer, begin_of_text(tokenizer)
    first = len(begin)
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True  # as text: a web page with the letters `<|end|>` does not mean that token
    try:
        encodings = backend.encode_batch_fast(texts, add_special_tokens=False)
    finally:
        backend.encode_special_tokens = False
    for encoding in encodings:
        ids = np.empty(first + len(encoding) + 1, np.int32)
        ids[:first] = begin
        ids[first:-1] = encoding.ids
        ids[-1] = tokenizer.eos_token_id
        yield MarkedTokens(ids, np.ones(len(ids), bool))


def _shortened(
    record: Record, tokens: int, tokenizer: PreTrainedTokenizerBase, settings: TokenisingSettings
) -> MarkedTokens | Reject:
    """Return a conversation without the last turns, which do not fit a row, or a Reject where no answer fits."""
    messages = settings.turns_of(record)
    ends = [place for place, message in enumerate(messages, 1) if message["role"] == "assistant"]
    for end in reversed([end for end in ends if end < len(messages)]):
        (shorter,) = encode_chats(tokenizer, [messages[:end]], [record], loss=settings.loss_of(record))
        if isinstance(shorter, TokenisedChat) and len(shorter.ids) <= settings.sequence_length:
            if not any(shorter.trained[1:]):
                break
            return MarkedTokens.of(shorter)
    return Reject(record, LONG, f"{tokens} tokens, the sequence has {settings.sequence_length}")
