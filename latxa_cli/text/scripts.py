"""Scripts of letters and of languages, as names of letters in Unicode begin (`LATIN`, `CYRILLIC`, `CJK`)."""

from __future__ import annotations

import tomllib
import unicodedata
from functools import cache
from pathlib import Path

# Words with which names of characters begin that stand for no script.
_COMMON = frozenset(
    ("MODIFIER", "COMBINING", "FEMININE", "MASCULINE", "MICRO", "DOUBLE-STRUCK", "MATHEMATICAL", "SCRIPT")
)


@cache
def script_of(letter: str) -> str:
    """Return the script of a letter as its name in Unicode tells it, or the empty string."""
    name = unicodedata.name(letter, "").split(" ", 1)[0].split("-")[0]
    return "" if name in _COMMON else name


@cache
def scripts_of(code: str) -> frozenset[str]:
    """Return the scripts of a language, as the names of their letters in Unicode begin; none where they are not known.

    The script is that of the code (`sr-Latn`), else that of CLDR or `scripts.toml`, else Latin.
    """
    from babel.core import get_global

    table = tomllib.loads((Path(__file__).parent / "scripts.toml").read_text(encoding="utf-8"))
    language, *subtags = code.split("-")
    given = [tag.title() for tag in subtags if len(tag) == 4 and tag.isalpha()]
    likely = get_global("likely_subtags").get(language, "").split("_")[1:2]
    script = [*given, *filter(None, [table["languages"].get(language)]), *likely, "Latn"][0]
    return frozenset(table["letters"].get(script, "").split())
