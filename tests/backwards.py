"""A language for tests of `translate`: English with every word read backwards, and what shows it to a model."""

from __future__ import annotations

import json
import re
from typing import Any

from latxa_cli.generation.engine import Request
from latxa_cli.translation.checks.checks import Checks
from latxa_cli.translation.drafts import Drafter, Work
from latxa_cli.translation.languages import Language, language_of
from latxa_cli.translation.layouts import Prompt, load_layout
from latxa_cli.translation.segments import Budget
from latxa_cli.translation.shots import Shots
from latxa_cli.translation.translate import Translation

LANGUAGES = language_of("en", "--from"), Language("qaa", "Backwards", "Backwards")
PROMPT = Prompt(load_layout("base"), *LANGUAGES)
PAIRS = tuple((f"number {word}", f"rebmun {word[::-1]}") for word in ("one", "two", "three", "four", "five", "six"))
_WORD = re.compile(r"[^\W\d_]+")


def read_backwards(text: str) -> str:
    """Return the translation of a text: the letters of each word the other way round, all other signs as they are."""
    return _WORD.sub(lambda word: word[0][::-1], text)


def source_of(request: Request) -> str:
    """Return the text that a request of the layout `base` is about."""
    assert request.text is not None
    return f"\n\n{request.text}".rpartition("\n\nEnglish: ")[2].removesuffix("\nBackwards:")


def backwards(request: Request) -> str:
    """Answer as a model does that knows the language."""
    source = source_of(request)
    if request.schema is None:
        return " " + read_backwards(source)
    return " " + json.dumps({key: read_backwards(text) for key, text in json.loads(source).items()})


def drafter(**changes: Any) -> Drafter:
    """Return how one text is translated into the language, with changes."""
    given = {"prompt": PROMPT, "shots": Shots(PAIRS, 2), "checks": Checks("qaa", source="en"), "work": Work()}
    return Drafter(**given | {"max_tokens": 30} | changes)


def translation(**changes: Any) -> Translation:
    """Return how records are translated into the language, with changes; those of `drafter` too."""
    names = set(Translation.__dataclass_fields__)
    own = {name: value for name, value in changes.items() if name in names}
    given = {"budget": Budget(1000, lambda text: len(text.split())), "model": "tiny"} | own
    return Translation(drafter(**{name: changes[name] for name in changes if name not in names}), **given)
