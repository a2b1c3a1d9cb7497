"""The texts of a record that are translated: turns of a conversation, a document, or any fields; and back into it.

--field messages (default)               the content of every turn, but not what a tool gave; calls and thoughts stay
--field text                             a document
--field question --field choices         strings, and lists of strings
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record, spoken_type

MESSAGES, TEXT = "messages", "text"
NO_TEXTS = frozenset(("id", "metadata", "language"))  # fields that say what a record is


class UnfitError(Exception):
    """A record cannot be translated: a `reason` that is counted, and a `detail` in words."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class Part:
    """One text of a record.

    - path: where it stands, as `("messages", 0, "content")`.
    - name: the same in words.
    - role: who says it. A document and lists of choices count as an assistant's: they ask for nothing.
    """

    path: tuple[str | int, ...]
    text: str
    name: str
    role: str = "user"

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to translate."""
        return not self.text.strip()


def kind_of_records(fields: Sequence[str]) -> str:
    """Return the kind of the records that have these fields; raises UsageError for fields that are no texts."""
    if twice := next((name for name in fields if fields.count(name) > 1), None):
        raise UsageError(f"`--field {twice}` is given twice", hint="leave one out")
    if "" in fields:
        raise UsageError("`--field` is empty")
    if wrong := next((name for name in fields if name in NO_TEXTS), None):
        raise UsageError(f"`--field {wrong}` is no text to translate")
    if MESSAGES in fields:
        return "conversation"
    return "document" if list(fields) == [TEXT] else "record"


def parts_of(record: Record, fields: Sequence[str], *, keep_system: bool = False) -> list[Part]:
    """Return the texts of `fields` in their order, blank ones too; with `keep_system`, without system turns.

    Raises UnfitError for a field that is missing, or holds no texts.
    """
    return [part for name in fields for part in _parts(record, name, keep_system=keep_system)]


def _parts(record: Record, name: str, *, keep_system: bool) -> Iterator[Part]:
    value = record.get(name)
    if value is None:
        raise UnfitError("no such field", f"`{name}` is missing")
    if name == MESSAGES:
        for place, message in enumerate(value):
            if message["role"] != "tool" and not (keep_system and message["role"] == "system"):
                yield Part((name, place, "content"), message["content"], f"message {place + 1}", message["role"])
    elif isinstance(value, str):
        yield Part((name,), value, f"`{name}`", "assistant" if name == TEXT else "user")
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        for place, item in enumerate(value):
            yield Part((name, place), item, f"`{name}` {place + 1}", "assistant")
    else:
        found = "a list of other things" if isinstance(value, list) else spoken_type(value)
        raise UnfitError("no text", f"`{name}` is {found}, not a string or a list of strings")


def filled(record: Record, parts: Sequence[Part], texts: Sequence[str]) -> Record:
    """Return the record with `texts` in the places of `parts`; all else stays, and `record` itself is not changed."""
    made = dict(record)
    for part, text in zip(parts, texts, strict=True):
        first, *path = part.path
        made[str(first)] = _placed(made[str(first)], path, text)
    return made


def _placed(value: Any, path: Sequence[str | int], text: str) -> Any:
    """Return a copy of `value` with `text` at `path`."""
    if not path:
        return text
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _placed(value[path[0]], path[1:], text)
    return copy
