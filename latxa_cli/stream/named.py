"""Values with a name, as flags take them: `NAME=VALUE`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from latxa_cli.stream.errors import UsageError

Value = TypeVar("Value")
PLAIN = (str, int, float)  # readers whose own error messages are for programmers


def named_value(
    flag: str, text: str, form: str, read: Callable[[str], Value], *, hint: str = "", last: bool = False
) -> tuple[str, Value]:
    """Return the name and the value in `text`, such as `eu=2.5`.

    - flag, form: for messages, such as `--weight` and `NAME=TIMES`. A form with an optional name begins with a bracket,
      `[NAME=]VALUE`; a missing name is the empty string.
    - read: turns the text of a value into the value; it raises ValueError with the problem in words.
    - last: split at the last `=`, for names that may hold one.

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
    """Return {name: value} for all `texts`, as `named_value` reads them; raises UsageError for a repeated name."""
    values: dict[str, Value] = {}
    for text in texts:
        name, value = named_value(flag, text, form, read, hint=hint, last=last)
        if name in values:
            raise UsageError(f"`{flag}` is given twice" + (f" for `{name}`" if name else ""), hint="leave one out")
        values[name] = value
    return values
