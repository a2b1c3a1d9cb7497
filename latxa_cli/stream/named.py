"""Values with a name, as flags take them: `NAME=VALUE`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from latxa_cli.stream.errors import UsageError

Value = TypeVar("Value")
PLAIN = (str, int, float)  # what these say of a wrong text is for programmers


def named_value(
    flag: str, text: str, form: str, read: Callable[[str], Value], *, hint: str = "", last: bool = False
) -> tuple[str, Value]:
    """Return the name and the value of a `text` such as `eu=2.5`, given by `flag` in a `form` such as `NAME=TIMES`.

    A form in which the name may be missing begins with a bracket, `[NAME=]VALUE`; such a name is the empty string.
    `read` makes the value of its text, or raises ValueError with what is wrong. `last`: names may hold `=`, and values
    do not.

    Raises UsageError for a text of another form.
    """
    before, equals, after = text.rpartition("=") if last else text.partition("=")
    name, value = (before, after) if equals else ("", text)
    if name or (not equals and value and form.startswith("[")):
        try:
            if value or read not in PLAIN:
                return name, read(value)
        except ValueError as error:
            if read not in PLAIN:
                raise UsageError(f"`{flag} {text}`: {error}") from None
    raise UsageError(f"`{flag} {text}` is not `{form}`", hint=hint)


def named_values(
    flag: str, texts: Sequence[str], form: str, read: Callable[[str], Value], *, hint: str = "", last: bool = False
) -> dict[str, Value]:
    """Return {name: value} of texts as `named_value` reads them; raises UsageError for a name that comes twice."""
    values: dict[str, Value] = {}
    for text in texts:
        name, value = named_value(flag, text, form, read, hint=hint, last=last)
        if name in values:
            raise UsageError(f"`{flag}` is given twice" + (f" for `{name}`" if name else ""), hint="leave one out")
        values[name] = value
    return values
