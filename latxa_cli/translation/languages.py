"""Languages by their codes or names, and their names in prompts (Unicode CLDR, by the package Babel).

`eu`, `eus`, `Basque` and `euskara` are one language: records say `eu`, prompts say `Euskara`.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from latxa_cli.stream.errors import UsageError, nearest

# A BCP-47 code: a language of two or three letters, and perhaps script, region and variants.
_CODE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_NO_LANGUAGES = frozenset(("mul", "und", "zxx", "mis", "root"))  # codes of ISO 639 that name no language
_EXAMPLES = "a code (`eu`) or a name (`Basque`)"


@dataclass(frozen=True, slots=True)
class Language:
    """A language.

    - code: as records say it (BCP-47).
    - name: as it calls itself, which is how prompts say it; English where CLDR does not know.
    - english: its English name, for prompts of models that learnt those.
    """

    code: str
    name: str
    english: str

    @property
    def primary(self) -> str:
        """The code without script, region and variants, as language identification has it."""
        return self.code.split("-")[0]


def language_of(text: str, flag: str, name: str | None = None) -> Language:
    """Return the language that `flag` names by a code or a name; `name` is what prompts are to call it.

    A code that CLDR does not know will do if there is a `name`.

    Raises UsageError for an empty text or name, and a language that does not exist.
    """
    text, name = text.strip(), name and name.strip()
    if not text:
        raise UsageError(f"`{flag}` is empty", hint=_EXAMPLES)
    if name == "":
        raise UsageError(f"`{flag}-name` is empty", hint="leave it out, and the name comes from the code")
    found = _by_code(text)
    if found is None:
        found = Language(_spelt(text), name, name) if name and _CODE.fullmatch(text) else _by_name(text)
    if found is None:
        raise _unknown(text, flag)
    return replace(found, name=name, english=name) if name else found


def pair_of(
    source: str, target: str, source_name: str | None = None, target_name: str | None = None
) -> tuple[Language, Language]:
    """Return the languages of `--from` and `--to`. Raises as `language_of`, and where both are one language."""
    languages = language_of(source, "--from", source_name), language_of(target, "--to", target_name)
    check_two(languages)
    return languages


def check_two(languages: Sequence[Language]) -> None:
    """Raise UsageError where `--from` and `--to` are one language."""
    if len(languages) == 2 and languages[0].code == languages[1].code:
        raise UsageError(
            f"`--from` and `--to` are both `{languages[0].code}`", hint="a translation needs two languages"
        )


def _by_code(text: str) -> Language | None:
    if not _CODE.fullmatch(text):
        return None
    from babel import Locale, UnknownLocaleError
    from babel.core import get_global

    first, *rest = text.replace("_", "-").split("-")
    first = first.lower()
    aliases = get_global("language_aliases")
    if first not in _english_names() and first in aliases:
        first = aliases[first].split("_")[0]
    if first in _NO_LANGUAGES or first not in _english_names():
        return None
    code = _spelt("-".join([first, *rest]))
    english = _english_names()[first]
    try:
        locale = Locale.parse(code.replace("-", "_"), resolve_likely_subtags=False)
    except (UnknownLocaleError, ValueError):
        return Language(code, english, english) if not rest else None
    name = locale.get_display_name() or english
    return Language(code, name[:1].upper() + name[1:], locale.get_display_name("en") or english)


def _by_name(text: str) -> Language | None:
    wanted = text.casefold()
    english = {name.casefold(): code for code, name in _english_names().items()}
    code = english.get(wanted) or _own_names().get(wanted)  # the second table takes a fifth of a second to make
    return _by_code(code) if code else None


def _unknown(text: str, flag: str) -> UsageError:
    if _CODE.fullmatch(text):
        hint = f"`{flag}-name NAME` says what prompts call a language that is not known by its code"
        return UsageError(f"no language has the code `{text}`", hint=hint)
    names = {name.casefold(): name for name in _english_names().values()}
    return UsageError(f"there is no language `{text}`", hint=nearest(text.title(), sorted(names.values())) or _EXAMPLES)


def _spelt(code: str) -> str:
    """Return a code as BCP-47 recommends to write it: `sr-Latn`, `pt-BR`, `ca-ES-valencia`."""
    first, *rest = code.replace("_", "-").lower().split("-")
    cased = {2: str.upper, 4: str.title}
    return "-".join([first, *(cased.get(len(part), str)(part) for part in rest)])


@cache
def _english_names() -> dict[str, str]:
    """Return {code: English name}."""
    from babel import Locale

    names = Locale("en").languages
    return {code: name for code, name in names.items() if "_" not in code and code not in _NO_LANGUAGES}


@cache
def _own_names() -> dict[str, str]:
    """Return {own name, casefolded: code}.

    Each locale's file is read as it is: Babel would merge it with those that it inherits from, which takes four times
    as long, and of which two languages alone have their own name.
    """
    from babel import Locale, localedata
    from babel.core import get_global

    inheriting = get_global("parent_exceptions")
    names: dict[str, str] = {}
    for code in localedata.locale_identifiers():
        if "_" in code:
            continue
        languages = pickle.loads(Path(localedata.resolve_locale_filename(code)).read_bytes()).get("languages", {})
        if name := languages.get(code) or (code in inheriting and Locale(code).languages.get(code)):
            names.setdefault(name.casefold(), code)
    return names
