"""The limits of the checks, from `checks.toml` and from a file of the user's (`--checks FILE`).

A user's file may hold phrases too, in the tables of the two checks that know any: see `phrases`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latxa_cli.stream.errors import LatxaError, nearest
from latxa_cli.stream.tables import load_toml
from latxa_cli.translation.checks.phrases import OF_CHECKS, Phrase, phrases_of

_OWN = Path(__file__).parent / "checks.toml"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits, each named by its check and its name in the file.

    - off: the names of checks that are off.
    - phrases: those of the user's file.
    """

    copied_words: int
    partly_copied_passage: int
    partly_copied_words: int
    partly_copied_share: float
    repetition_share: float
    language_letters: int
    language_probability: float
    language_share: float
    script_letters: int
    script_share: float
    numbers_lost: int
    lines_share: float
    length_shorter: float
    length_longer: float
    answered_longer: float
    leaked_examples_passage: int
    shared_words: int
    shared_similar: float
    off: frozenset[str] = frozenset()
    phrases: tuple[Phrase, ...] = ()


def load_limits(names: list[str], path: Path | None = None) -> Limits:
    """Return the limits, those in the file at `path` in place of our own.

    names: those of all checks.

    Raises UsageError for a file that cannot be read, LatxaError for an unknown check or limit, or an odd value.
    """
    values = _flat(load_toml(_OWN), names, _OWN)
    if path is None:
        return Limits(**values)  # type: ignore[arg-type]
    table = load_toml(path)
    off = frozenset(name for name, of in table.items() if isinstance(of, dict) and not _is_on(of, path, name))
    phrases = tuple(phrases_of(table, path))
    rest = {name: of for name, of in table.items() if name not in OF_CHECKS}
    values |= _flat(rest, names, path, known=values)
    return Limits(**values, off=off, phrases=phrases)  # type: ignore[arg-type]


def _is_on(of: dict[str, object], path: Path, name: str) -> bool:
    on = of.pop("on", True)
    if not isinstance(on, bool):
        raise LatxaError(f"{path}: `{name}.on` is not true or false")
    return on


def _flat(
    table: dict[str, object], names: list[str], path: Path, known: dict[str, float] | None = None
) -> dict[str, float]:
    """Return {check_limit: value}; the values of `known` limits give the types."""
    found: dict[str, float] = {}
    for check, limits in table.items():
        if check not in names:
            raise LatxaError(f"{path}: there is no check `{check}`", hint=nearest(check, names))
        if not isinstance(limits, dict):
            raise LatxaError(f"{path}: `{check}` is not a table", hint=f"write `[{check}]`, and its limits below")
        for name, value in limits.items():
            key = f"{check}_{name}"
            if known is not None and key not in known:
                own = [limit.removeprefix(f"{check}_") for limit in known if limit.startswith(f"{check}_")]
                raise LatxaError(f"{path}: `{check}` has no limit `{name}`", hint=nearest(name, [*own, "on"]))
            found[key] = _checked(value, path, f"{check}.{name}", isinstance((known or {}).get(key), int))
    return found


def _checked(value: object, path: Path, name: str, whole: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 <= value < 1e9:
        raise LatxaError(f"{path}: `{name}` is not a {'whole ' if whole else ''}number from 0")
    return value
