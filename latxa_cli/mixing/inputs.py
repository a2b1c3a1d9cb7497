"""The inputs of a mix by name, the options of each, and the choice that a variant makes among them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from latxa_cli.mixing.admission import Admission
from latxa_cli.mixing.draw import InputOptions
from latxa_cli.stream.errors import UsageError, nearest
from latxa_cli.stream.named import Value, named_values
from latxa_cli.variants import Variant, parse

MOST_COPIES = 1000  # of one record
CORPUS, ENGLISH = "corpus", "en"  # the two names that a variant knows; a third one is that of the target language

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MISSING = {
    "corpus": f"the corpus: add `{CORPUS}=FILE`",
    "target": "the instructions in the target language: add `CODE=FILE` with its code, for example `cy=FILE`",
    "english": f"the English instructions: add `{ENGLISH}=FILE`",
}


# --- which inputs ----------------------------------------------------------------------------------------------------


def parse_inputs(arguments: Sequence[str]) -> dict[str, str]:
    """Return {name: argument} for arguments written `NAME=SOURCE`; no file is looked for yet. Raises UsageError."""
    inputs: dict[str, str] = {}
    for argument in arguments:
        name, equals, source = argument.partition("=")
        if not equals or not source or not _NAME.fullmatch(name):
            raise UsageError(
                f"`{argument}` is not `NAME=FILE`",
                hint="give every input a name, for example `corpus=eu.jsonl eu=eu_inst.jsonl en=en_inst.jsonl`",
            )
        if name in inputs:
            raise UsageError(f"two inputs are named `{name}`", hint=f"join them: `cat A B | latxa mix {name}=- …`")
        inputs[name] = argument
    if not inputs:
        raise UsageError("nothing to mix", hint="name inputs as `NAME=FILE`, for example `corpus=eu.jsonl`")
    return inputs


def choose_inputs(names: Iterable[str], code: str | None) -> list[str]:
    """Return the names of the inputs to mix: all, or those of a variant; raises UsageError as `choose` does."""
    return list(names) if code is None else choose(names, parse(code))


def choose(names: Iterable[str], variant: Variant) -> list[str]:
    """Return the names of the inputs that `variant` is trained on, in the order of its digits.

    `corpus` and `en` are the corpus and the English instructions; the only other name is that of the target language.
    Raises UsageError for a missing input, for two other names, and for a variant that is not trained.
    """
    names = list(names)
    if not variant.inputs:
        raise UsageError(f"`{variant.code}` is the {variant.backbone} model untouched: there is nothing to mix")
    others = [name for name in names if name not in (CORPUS, ENGLISH)]
    if len(others) > 1:
        shown = " and ".join(f"`{name}`" for name in others)
        raise UsageError(
            f"`{variant.code}` takes one target language, but {shown} are named",
            hint=f"with `--variant`, name one input besides `{CORPUS}` and `{ENGLISH}`",
        )
    roles = {"corpus": CORPUS, "target": others[0] if others else "", "english": ENGLISH}
    for role in variant.inputs:
        if roles[role] not in names:
            raise UsageError(f"`{variant.code}` needs {_MISSING[role]}")
    return [roles[role] for role in variant.inputs]


# --- the options of each input ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InputFlags:
    """The flags that are given once per input, with values written `NAME=VALUE`."""

    weight: Sequence[str] | None = None
    hold_out: Sequence[str] | None = None
    take_from: Sequence[str] | None = None
    diversify: Sequence[str] | None = None
    minimum: Sequence[str] | None = None
    answer_in: Sequence[str] | None = None

    def check(self, names: Sequence[str]) -> None:
        """Raise UsageError for an impossible value; `names` are all inputs, also those that a variant leaves out."""
        self._values(names)

    def options(self, names: Sequence[str]) -> tuple[InputOptions, ...]:
        """Return the options of each input."""
        weights, hold_outs, sizes, diverse_sizes, _, _ = self._values()
        return tuple(
            InputOptions(name, hold_outs.get(name, 0), weights.get(name, 1.0), sizes.get(name), diverse_sizes.get(name))
            for name in names
        )

    def admissions(self, names: Sequence[str], criterion: str | None, scores: str | None) -> dict[str, Admission]:
        """Return {name: the admission of its records}, for inputs with a minimal score or a language to answer in."""
        *_, minima, languages = self._values()
        return {
            name: Admission(minima.get(name), criterion, scores if name in minima else None, languages.get(name))
            for name in names
            if name in minima or name in languages
        }

    def _values(self, names: Sequence[str] | None = None) -> tuple[dict[str, Any], ...]:
        readers = {"weight": weight, "minimum": number, "answer_in": language}
        return tuple(
            values("--" + flag.replace("_", "-"), given, names, readers.get(flag, count))
            for flag, given in vars(self).items()
        )


def values(
    flag: str, texts: Sequence[str] | None, names: Sequence[str] | None, read: Callable[[str], Value]
) -> dict[str, Value]:
    """Return {name: value} for the texts `NAME=VALUE` of a flag; raises UsageError for one that is not in `names`."""
    found = named_values(flag, texts or [], "NAME=VALUE", read, hint="NAME is that of an input")
    for text, name in zip(texts or (), found, strict=True):
        if names is not None and name not in names:
            raise UsageError(f"`{flag} {text}`: no input is named `{name}`", hint=nearest(name, list(names)))
    return found


def count(text: str) -> int:
    """Return a whole number from 1; raises ValueError."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or not int(text):
        raise ValueError(f"`{text}` is not a whole number from 1")
    return int(text)


def number(text: str) -> float:
    """Return a finite number; raises ValueError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"`{text}` is not a number")
    return value


def weight(text: str) -> float:
    """Return a number above 0, `MOST_COPIES` at most; raises ValueError."""
    value = number(text)
    if not 0 < value <= MOST_COPIES:
        raise ValueError(f"`{text}` is not a number above 0, up to {MOST_COPIES}")
    return value


def language(text: str) -> str:
    """Return the name of a language; raises ValueError."""
    if not text.strip() or not text.isprintable():
        raise ValueError("a language has a name, for example `Basque`")
    return text.strip()
