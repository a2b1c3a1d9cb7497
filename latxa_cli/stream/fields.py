"""What a kind of record is made of: fields, the types of their values, and one more rule where a kind needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from latxa_cli.stream.records import Record

Check = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a field: its name in messages, and the Python types of its values, the most frequent one first."""

    name: str
    types: tuple[type, ...]


STRING = Type("a string", (str,))
NUMBER = Type("a number", (int, float))
BOOLEAN = Type("a boolean", (bool,))
OBJECT = Type("an object", (dict,))
LIST = Type("an array", (list,))
MESSAGES = Type("a list of messages", (list,))
TIME = Type("a string or a number", (str, int, float, date, datetime))  # Parquet has dates of its own
LABEL = Type("a name or a number", (str, int, float, bool))
VERDICT = Type("a verdict", (str,))
ANYTHING = Type("anything", (str, int, float, bool, dict, list))


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a kind: its name, its type, and its meaning for `recipes/records.md`."""

    name: str
    type: Type
    says: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of record.

    - title: the kind in one phrase, for `recipes/records.md`.
    - mark: the field by which a verb that takes several kinds tells this one from the others.
    - rule: a check beyond the types of fields; `rule_says` is the same in words.
    - is_talk: records are conversations, and other spellings of conversations are accepted.
    - is_named: records have ids, made from their content where none is given. Two equal records without ids are two
      records, not one.
    """

    title: str
    required: tuple[Field, ...]
    optional: tuple[Field, ...]
    mark: str = ""
    rule: Check | None = None
    rule_says: str = ""
    is_talk: bool = False
    is_named: bool = True

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.required, *self.optional)


def lacks(record: Record, name: str, type_: Type) -> str:
    """Return the message for a required field that is missing or null."""
    return f"`{name}` is null, not {type_.name}" if name in record else f"the field `{name}` is missing"
