"""Fields by which a message, or a whole conversation, says whether the loss counts it.

weight                                       0 or 1 (OpenAI, Mistral); of a conversation too (Fireworks)
train, training, trainable, loss, loss_mask  true or false, 1 or 0 (Axolotl, ms-swift, verl)
masked                                       the opposite (torchtune)

Any other field with one of these words in its name says something about the loss that is not read here: `train_detail`
of Axolotl marks parts of a message. Such a conversation is refused, since it would be trained against the wish of its
writer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from latxa_cli.chat.rendering import Message, TemplateError
from latxa_cli.stream.records import Record, calls_of

WEIGHT, LOSS = "weight", "loss"
SWITCHES = ("train", "training", "trainable", LOSS, "loss_mask")
MASKED = "masked"
LOSS_FIELDS = (WEIGHT, *SWITCHES, MASKED)
_WORD = re.compile(r"(?<![a-z])(?:weights?|train|trained|training|trainable|loss|losses|masks?|masked)(?![a-z])")
_PLAIN = 2  # a message with a role and a content alone


class UnclearLossError(TemplateError):
    """A field about the loss is not understood."""

    def __init__(self, whose: str, name: str, value: object) -> None:
        whole = "a weight other than 0 and 1"
        super().__init__(
            f"{whose} has `{name}`, which is {json.dumps(value, ensure_ascii=False, default=str)[:40]}",
            hint="the loss counts a message whole (1, true) or not at all (0, false)",
            reason=whole if name == WEIGHT else "a field about the loss that is not read",
        )


def check_loss_fields(messages: Sequence[Message], record: Record) -> None:
    """Raise UnclearLossError for a message, or the record of a conversation, that says what is not understood."""
    if (weight := record.get(WEIGHT)) not in (None, 0, 1):
        raise UnclearLossError("the conversation", WEIGHT, weight)
    for message in messages:
        if len(message) > _PLAIN:
            for name, value in _about_loss(message):
                # A fraction called `loss` may also be one that was measured, even where it is 0.0.
                if name not in LOSS_FIELDS or value not in (0, 1) or (name == LOSS and type(value) is float):
                    raise UnclearLossError("a message", name, value)


def counts(message: Message) -> bool:
    """Whether the loss may count a message, by what it says itself; an empty answer teaches to say nothing."""
    if is_empty_answer(message):
        return False
    return len(message) == _PLAIN or all(bool(value) is (name != MASKED) for name, value in _about_loss(message))


def counts_record(record: Record) -> bool:
    """Whether the loss may count a conversation, by what its record says."""
    return record.get(WEIGHT) != 0 and record.get("train") is not False


def is_empty_answer(message: Message) -> bool:
    """Whether an assistant says nothing, and calls nothing."""
    content: str = message["content"]
    return message["role"] == "assistant" and (not content or content.isspace()) and not calls_of(message)


def _about_loss(message: Message) -> Iterator[tuple[str, object]]:
    """Yield the name and value of each field of a message that says something about the loss."""
    return ((name, value) for name, value in message.items() if value is not None and _WORD.search(name.lower()))
