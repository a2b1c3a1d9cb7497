"""Rubrics: what is compared, how a judge is asked, and which numbers it is to answer with; one TOML file a rubric.

`latxa judge ours.jsonl theirs.jsonl --rubric pairwise --judge MODEL`
`latxa judge ours.jsonl --rubric my_rubric.toml --judge MODEL`

    compares = "pair"                 # or "one": each response by itself
    scorer = "chat"                   # a model that is asked; others measure, and need these two lines
    system, user = "…", "…"           # with {prompt}, {response_a} and {response_b} (or {response}), {reference},
                                      # {language}, and {form}: the tags in which the answer is to stand
    [[criteria]]                      # name, tag, lowest, highest
    verdict = "overall"               # of a pair: the criterion that decides, and those on content and language alone
    winner_content, winner_language
    tie = 0                           # the largest difference that is a tie
    preference_scale = 2.0            # points of difference that make odds of e to 1 in `preference`
    decoding = {max_tokens, temperature, top_p}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latxa_cli.judging.sheet import Sheet
from latxa_cli.stream.errors import UsageError, nearest
from latxa_cli.stream.tables import find_files, names_in, read_table

FOLDER = Path(__file__).parent / "rubrics"
SCORERS = ("chat", "chrF", "reward", "code-switch")
COMPARES = {"one": ("response",), "pair": ("response_a", "response_b")}
SIDES = ("a", "b")
DECODING = {"max_tokens": int, "temperature": float, "top_p": float}
OF_ALL = ("scorer", "compares", "tie", "preference_scale")
OF_CHATS = ("system", "user", "criteria", "verdict", "winner_content", "winner_language", "decoding")
MOST_LISTED = 200  # numbers that a schema names one by one
_NAME = re.compile(r"[A-Za-z][\w-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A question that a judge answers with a whole number from `lowest` to `highest`, in tags called `tag`."""

    name: str
    tag: str
    lowest: int
    highest: int

    def tags(self, compares: str) -> tuple[str, ...]:
        """Return the tags of its numbers: one, or one for each response of a pair."""
        return (self.tag,) if compares == "one" else tuple(f"{self.tag}_{side}" for side in SIDES)


@dataclass(frozen=True, slots=True)
class Rubric:
    """How responses are judged; see the beginning of the module.

    `verdicts`: {field of a battle: the criterion that decides it}; `sheet`: what a judge is asked, where one is.
    """

    name: str
    scorer: str
    compares: str
    criteria: tuple[Criterion, ...] = ()
    verdicts: Mapping[str, str] | None = None
    sheet: Sheet | None = None
    tie: float = 0.0
    preference_scale: float | None = None
    decoding: Mapping[str, float] | None = None

    @property
    def is_asked(self) -> bool:
        return self.scorer == "chat"

    @property
    def shows_reference(self) -> bool:
        return self.scorer == "chrF" or (self.sheet is not None and "reference" in self.sheet.placeholders)

    @property
    def tags(self) -> dict[str, Criterion]:
        """The criterion of every tag that a judge is to write."""
        return {tag: criterion for criterion in self.criteria for tag in criterion.tags(self.compares)}

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of an object that holds the number of every tag."""
        numbers = {
            tag: {"type": "integer", "enum": list(range(one.lowest, one.highest + 1))}
            if one.highest - one.lowest < MOST_LISTED
            else {"type": "integer", "minimum": one.lowest, "maximum": one.highest}
            for tag, one in self.tags.items()
        }
        return {"type": "object", "properties": numbers, "required": list(numbers), "additionalProperties": False}


def load_rubric(name: str) -> Rubric:
    """Return a rubric by its name or file; raises UsageError, and LatxaError for a bad file."""
    if Path(name).is_dir() or (name not in names_in(FOLDER) and Path(name).suffix != ".toml"):
        raise UsageError(f"there is no rubric `{name}`", hint=nearest(name, names_in(FOLDER)))
    (path,) = find_files("--rubric", [name], FOLDER)
    return read_table(path, (*OF_ALL, *OF_CHATS), _rubric)


def _rubric(name: str, table: dict[str, Any]) -> Rubric:
    """Return the rubric that a table describes; raises ValueError that says what is wrong."""
    scorer, compares = _one_of("scorer", table.get("scorer", "chat"), SCORERS), _one_of(
        "compares", table.get("compares"), tuple(COMPARES)
    )  # fmt: skip
    tie, scale = _number("tie", table.get("tie", 0)), table.get("preference_scale")
    if scale is not None and _number("preference_scale", scale) == 0:
        raise ValueError("`preference_scale` is not above 0")
    if scorer != "chat":
        if strange := next((key for key in OF_CHATS if key in table), ""):
            raise ValueError(f"`{strange}` has no effect with the scorer `{scorer}`, which asks nobody")
        if scorer == "code-switch" and compares != "one":
            raise ValueError("the scorer `code-switch` looks at `one` response at a time")
        return Rubric(name, scorer, compares, tie=tie, preference_scale=scale)
    criteria = _criteria(table.get("criteria"), compares)
    form = "\n".join(
        " ".join(f"<{tag}>{one.lowest} to {one.highest}</{tag}>" for tag in one.tags(compares)) for one in criteria
    )
    system, user = _text("system", table.get("system", "")), _text("user", table.get("user"))
    sheet = Sheet(system, user, form, _reminder(criteria, compares))
    sheet.check(needed=("prompt", *COMPARES[compares], "form"), known=("reference", "language"))
    return Rubric(
        name,
        scorer,
        compares,
        criteria,
        _verdicts(table, compares, [one.name for one in criteria]),
        sheet,
        tie,
        scale,
        _decoding(table.get("decoding", {})),
    )


def _reminder(criteria: tuple[Criterion, ...], compares: str) -> str:
    """Return what a judge is told whose answer lacks a number in its tags.

    Small models copy a range (`0 to 10`) as its first number; so the highest comes first, and not beside the keys.
    """
    by_range: dict[tuple[int, int], list[str]] = {}
    for one in criteria:
        by_range.setdefault((one.highest, one.lowest), []).extend(one.tags(compares))
    asked = ". ".join(
        f"{', '.join(tags)}: each a whole number, {highest} at the most and {lowest} at the least"
        for (highest, lowest), tags in by_range.items()
    )
    return f"Answer again with the numbers alone, as one line of JSON with these keys. {asked}."


def _criteria(value: Any, compares: str) -> tuple[Criterion, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        raise ValueError("there is no list of `[[criteria]]`")
    criteria = tuple(map(_criterion, value))
    for what in ("name", "tag"):
        given = [getattr(one, what) for one in criteria]
        if twice := next((one for one in given if given.count(one) > 1), ""):
            raise ValueError(f"two criteria have the {what} `{twice}`")
    tags = [tag.casefold() for one in criteria for tag in one.tags(compares)]
    if len(set(tags)) < len(tags):
        raise ValueError("two criteria have tags that differ in nothing but capitals")
    return criteria


def _criterion(table: dict[str, Any]) -> Criterion:
    known = ("name", "tag", "lowest", "highest")
    for key in table:
        if key not in known:
            raise ValueError(f"a criterion has no setting `{key}` ({nearest(key, known)})")
    name = _text("name", table.get("name"))
    tag, lowest, highest = table.get("tag"), table.get("lowest"), table.get("highest")
    if not isinstance(tag, str) or not _NAME.fullmatch(tag):
        raise ValueError(f"the criterion `{name}` has no `tag` of letters, digits, `_` and `-`")
    if type(lowest) is not int or type(highest) is not int or lowest >= highest:
        raise ValueError(f"the criterion `{name}` has no whole numbers `lowest` < `highest`")
    return Criterion(name, tag, lowest, highest)


def _verdicts(table: dict[str, Any], compares: str, names: list[str]) -> dict[str, str]:
    """Return the criterion that decides each field of a battle; none where there are no battles."""
    if compares == "one":
        if strange := next((key for key in ("verdict", "winner_content", "winner_language") if key in table), ""):
            raise ValueError(f"`{strange}` is of pairs, and `compares` is `one`")
        return {}
    given = {
        field: table.get(key)
        for field, key in (
            ("winner", "verdict"), ("winner_content", "winner_content"), ("winner_language", "winner_language")
        )
    }  # fmt: skip
    if given["winner"] is None:
        raise ValueError("`verdict` does not name the criterion that decides")
    for field, criterion in given.items():
        if criterion is not None and criterion not in names:
            key = "verdict" if field == "winner" else field
            raise ValueError(
                f"`{key}`: there is no criterion `{str(criterion)[:40]}` ({nearest(str(criterion), names)})"
            )
    return {field: criterion for field, criterion in given.items() if criterion is not None}


def _decoding(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise ValueError("`decoding` is not a table")
    for key, given in value.items():
        if key not in DECODING:
            raise ValueError(f"`decoding` has no setting `{key}` ({nearest(key, list(DECODING))})")
        if type(given) not in (int, DECODING[key]) or given < (1 if key == "max_tokens" else 0):
            kind = "a whole number from 1" if key == "max_tokens" else "a number from 0"
            raise ValueError(f"`{key}` in `decoding` is not {kind}")
    return dict(value)


def _one_of(key: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known or not isinstance(value, str):
        raise ValueError(f"`{key}` is none of {', '.join(f'`{one}`' for one in known)}")
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or (not value.strip() and key != "system"):
        raise ValueError(f"`{key}` is not a text")
    return value.strip()


def _number(key: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        raise ValueError(f"`{key}` is not a number from 0")
    return float(value)
