"""Records to packed rows: tokenise documents and conversations, mark what is trained, fill sequences of one length.

A row holds whole pieces side by side. `position_ids` begin at 0 with every piece, which is how the model is told not to
look from one into another; a piece's first token has no label, so that none is told from the piece before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latxa_cli.chat import Encoded, Loss, TemplateError, encode_chats
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record, Reject

SPLIT = "train"  # the `metadata.split` of records that have one
IGNORED = -100  # the label that the loss leaves out
BATCH = 1000  # records tokenised at a time
WINDOW = 16_384  # pieces packed together: a larger window leaves less padding


class Piece(NamedTuple):
    """What is kept together in a row: a document, a part of a long one, or a conversation; labels as in a row."""

    ids: NDArray[np.int32]
    labels: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows for training, each array of shape (rows, sequence length) and type int32."""

    input_ids: NDArray[np.int32]
    position_ids: NDArray[np.int32]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(slots=True)
class Share:
    """What one source gave: records, tokens, and tokens that are trained."""

    records: int = 0
    tokens: int = 0
    trained: int = 0


@dataclass(slots=True)
class Prepared:
    """Packed rows, what each source gave to them, the records that did not fit, and how many are of other splits."""

    packed: Packed
    shares: dict[str, Share] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    other_split: int = 0

    @property
    def tokens(self) -> int:
        return sum(share.tokens for share in self.shares.values())

    @property
    def trained(self) -> int:
        return sum(share.trained for share in self.shares.values())

    @property
    def fill(self) -> float:
        """Share of the rows that is not padding."""
        return self.tokens / max(1, self.packed.input_ids.size)

    @property
    def untrained_sources(self) -> list[str]:
        """Sources of which no token is trained: most often a mistake in the mix."""
        return [name for name, share in self.shares.items() if share.records and not share.trained]


def prepare(records: Iterable[Record], tokenizer: Any, *, sequence_length: int, chat_loss: Loss) -> Prepared:
    """Tokenise and pack documents and conversations; everything is kept in memory.

    A document is begin-of-text (where the tokenizer has one), its tokens and end-of-text, all of them trained; one
    longer than the sequence is cut into pieces that hold every token. A conversation is kept whole, or rejected when
    it is longer than the sequence. For what is trained of it, see `latxa_cli.chat.encode_chats`. Records whose
    `metadata.split` is there and is not `train` are left out.

    Args:
        records: documents and conversations, mixed.
        tokenizer: a fast transformers tokenizer.
        sequence_length: tokens of a row.
        chat_loss: `assistant` or `all`.

    Raises:
        LatxaError: the mix is empty or all of other splits, nothing of it is trained, or the tokenizer has no chat
            template but needs one.
    """
    prepared = Prepared(Packed(*(np.empty((0, sequence_length), np.int32) for _ in range(3))))
    pieces: Iterator[Piece] = _pieces(_of_training(records, prepared), tokenizer, sequence_length, chat_loss, prepared)
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    blocks = []
    while window := list(islice(pieces, WINDOW)):
        rows = best_fit([len(piece.ids) for piece in window], sequence_length)
        blocks.append(_lay_out([[window[index] for index in row] for row in rows], sequence_length, padding))
    if not prepared.shares and not prepared.rejects:
        if prepared.other_split:
            raise LatxaError(f"all {prepared.other_split:,} records are of other splits than `{SPLIT}`")
        raise LatxaError("the mix is empty", hint="give files with documents or conversations")
    if not prepared.trained:
        raise LatxaError(
            "nothing in the mix is trained",
            hint="conversations need assistant turns and must be shorter than `--sequence-length`",
        )
    prepared.packed = Packed(*(np.concatenate(arrays) for arrays in zip(*blocks, strict=True)))
    return prepared


def _of_training(records: Iterable[Record], prepared: Prepared) -> Iterator[Record]:
    """Yield the records that are to be trained on; count those of other splits into `prepared`."""
    for record in records:
        split = (record.get("metadata") or {}).get("split")
        if split is None or split == SPLIT:
            yield record
        else:
            prepared.other_split += 1


def _pieces(
    records: Iterator[Record], tokenizer: Any, sequence_length: int, chat_loss: Loss, prepared: Prepared
) -> Iterator[Piece]:
    """Tokenise in batches and yield pieces in the order of the records; count into `prepared`."""
    while batch := list(islice(records, BATCH)):
        documents = [record for record in batch if "messages" not in record]
        chats = [record for record in batch if "messages" in record]
        encoded_documents = iter(_encode_documents(tokenizer, [record["text"] for record in documents]))
        conversations = [record["messages"] for record in chats]
        encoded_chats = iter(encode_chats(tokenizer, conversations, loss=chat_loss) if chats else [])
        for record in batch:
            chat = "messages" in record
            encoded = next(encoded_chats) if chat else next(encoded_documents)
            if isinstance(encoded, TemplateError):
                prepared.rejects.append(Reject(record, "refused by the chat template", encoded.message))
                continue
            length = len(encoded.ids)
            if chat and length > sequence_length:
                detail = f"{length} tokens, the sequence has {sequence_length}"
                prepared.rejects.append(Reject(record, "longer than the sequence", detail))
                continue
            share = prepared.shares.setdefault(record.get("source") or "(no source)", Share())
            share.records += 1
            for piece in _cut(encoded, sequence_length):
                share.tokens += len(piece.ids)
                share.trained += int((piece.labels != IGNORED).sum())
                yield piece


def _encode_documents(tokenizer: Any, texts: list[str]) -> list[Encoded]:
    if not texts:
        return []
    begin = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    end = [tokenizer.eos_token_id]
    # split_special_tokens: a page that spells `<|end|>` does not hold that token. verbose=False: a document longer than
    # the model's context is no mistake here, it is cut into pieces.
    batch = tokenizer(
        texts, add_special_tokens=False, split_special_tokens=True, return_attention_mask=False, verbose=False
    )["input_ids"]
    rows = [[*begin, *ids, *end] for ids in batch]
    return [Encoded(row, [True] * len(row)) for row in rows]


def _cut(encoded: Encoded, sequence_length: int) -> Iterator[Piece]:
    """Cut into pieces of at most `sequence_length` tokens; the first token of each has no label."""
    ids = np.array(encoded.ids, np.int32)
    labels = np.where(encoded.trained, ids, np.int32(IGNORED)).astype(np.int32)
    for start in range(0, len(ids), sequence_length):
        piece = Piece(ids[start : start + sequence_length], labels[start : start + sequence_length])
        piece.labels[0] = IGNORED
        yield piece


def best_fit(lengths: list[int], capacity: int) -> list[list[int]]:
    """Pack items into bins by best-fit decreasing (Johnson 1973): at most 11/9 of the best number of bins, plus 6/9.

    Args:
        lengths: of the items, each between 1 and `capacity`.
        capacity: of a bin.

    Returns:
        The bins, as lists of positions in `lengths`. The same lengths give the same bins.
    """
    bins: list[list[int]] = []
    open_bins: list[list[int]] = [[] for _ in range(capacity + 1)]  # bins by the room that is left in them
    rooms = 0  # bit r is set when a bin with room r is open
    for index in sorted(range(len(lengths)), key=lambda item: -lengths[item]):
        length = lengths[index]
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1  # the lowest set bit: the tightest bin
            place = open_bins[room].pop()
            if not open_bins[room]:
                rooms &= ~(1 << room)
        else:
            room, place = capacity, len(bins)
            bins.append([])
        bins[place].append(index)
        left = room - length
        if left:
            open_bins[left].append(place)
            rooms |= 1 << left
    return bins


def _lay_out(rows: list[list[Piece]], sequence_length: int, padding: int) -> tuple[NDArray[np.int32], ...]:
    """Write pieces into arrays (input ids, position ids, labels); padding is a piece of its own without labels."""
    shape = (len(rows), sequence_length)
    input_ids = np.full(shape, padding, np.int32)
    position_ids = np.zeros(shape, np.int32)
    labels = np.full(shape, IGNORED, np.int32)
    for number, row in enumerate(rows):
        start = 0
        for piece in row:
            end = start + len(piece.ids)
            input_ids[number, start:end] = piece.ids
            labels[number, start:end] = piece.labels
            position_ids[number, start:end] = np.arange(end - start)
            start = end
        position_ids[number, start:] = np.arange(sequence_length - start)
    return input_ids, position_ids, labels
