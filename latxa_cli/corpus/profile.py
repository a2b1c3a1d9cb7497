"""Quality profiles of languages, read from TOML, by which documents are judged (`rules`).

A profile is a file in `profiles/`, named by the stem of the file, or a file of the user's. A rule whose key is missing
is off. `latxa profile` derives a profile from trusted text.

The default profiles, named by a language or `generic`, keep 95 % of trusted text at least (`tests/bench/profiles.py`).
Those made for raw crawls, which are strict, are taken by name: `fineweb2-eu`, `massivetext`.
"""

from __future__ import annotations

import tomllib
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from latxa_cli.stream.errors import UsageError, nearest

_PROFILES = Path(__file__).with_name("profiles")


def _limit(most: float = float("inf"), count: int = 0, default: Any = None) -> Any:
    """Declare a limit from 0 to `most`, or with `count` a list of so many limits."""
    return field(default=default, metadata={"most": most, "count": count})


@dataclass(frozen=True)
class Profile:
    """The limits of a profile; None stands for no limit.

    They are compared with the figures in `quality.Figures`. Shares are from 0 to 1, lengths in characters.
    """

    name: str = ""
    language: str = ""  # BCP-47

    # Language identification: the minimal probability by the default model, the minimal score by a fastText model
    # such as GlotLID, and the maximal share of a document that may be in other languages.
    language_probability: float = _limit(1, default=0.0)
    language_score: float = _limit(1, default=0.0)
    other_languages: float = _limit(1, default=1.0)

    # The share of trusted text that the rules were measured to reject; it is told to the user, and no rule itself.
    trusted_rejected: float | None = _limit(1)

    minimum_words: float | None = _limit()
    maximum_words: float | None = _limit()
    minimum_mean_word_length: float | None = _limit()
    maximum_mean_word_length: float | None = _limit()
    minimum_median_word_length: float | None = _limit()
    maximum_median_word_length: float | None = _limit()
    minimum_alphabetic_words: float | None = _limit(1)
    minimum_alphabetic_tokens: float | None = _limit(1)
    maximum_hash_signs: float | None = _limit()
    maximum_ellipses: float | None = _limit()
    reject_lorem_ipsum: bool = False

    maximum_line_breaks: float | None = _limit()
    maximum_repeated_lines: float | None = _limit(1)
    maximum_repeated_line_characters: float | None = _limit(1)
    minimum_sentence_ends: float | None = _limit(1)
    maximum_short_lines: float | None = _limit(1)
    maximum_bullet_lines: float | None = _limit(1)
    maximum_ellipsis_lines: float | None = _limit(1)

    maximum_top_ngrams: tuple[float, ...] | None = _limit(count=3)  # of 2, 3 and 4 tokens
    maximum_repeated_ngrams: tuple[float, ...] | None = _limit(1, count=6)  # of 5 to 10 tokens

    stop_words: tuple[str, ...] = ()
    minimum_stop_words: float | None = _limit()
    alphabet: str = ""  # every letter once, in lower or upper case
    maximum_foreign_letters: float | None = _limit(1)


def profile_names() -> list[str]:
    """Return the names of the profiles that come with the program, sorted."""
    return sorted(path.stem for path in _PROFILES.glob("*.toml"))


def load_profile(name_or_path: str) -> Profile:
    """Return the profile with this name, or in this file (with a slash or the ending `.toml`).

    Raises UsageError for an unknown name, and for a file that cannot be read or is no profile.
    """
    if name_or_path in profile_names():
        path, label = _PROFILES / f"{name_or_path}.toml", name_or_path
    elif "/" in name_or_path or name_or_path.endswith(".toml"):
        path, label = Path(name_or_path), name_or_path
    else:
        hint = nearest(name_or_path, profile_names()) + "; `latxa profile` makes a new one"
        raise UsageError(f"there is no profile `{name_or_path}`", hint=hint)
    try:
        return parse_profile(path.read_bytes(), label)
    except OSError as error:
        raise UsageError(f"the profile `{label}` cannot be read ({error.strerror or error})") from None


def parse_profile(data: bytes, label: str) -> Profile:
    """Return the profile that the TOML `data` describes; `label` names it in errors. Raises UsageError."""
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{label}: the profile is not UTF-8 (byte {error.start + 1})") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{label}: the profile is not TOML: {error}") from None
    if not values:
        raise UsageError(f"{label}: the profile is empty", hint="`latxa profile TRUSTED.jsonl` writes one")
    known = {option.name: option for option in fields(Profile) if option.name != "name"}
    for key in values:
        if key not in known:
            raise UsageError(f"{label}: a profile has no key `{key}`", hint=nearest(key, list(known)))
    try:
        profile = Profile(label, **{key: _value(known[key], value) for key, value in values.items()})
        _check(profile)
    except ValueError as error:
        raise UsageError(f"{label}: {error}") from None
    return profile


def _value(option: Field[Any], value: Any) -> Any:
    """Return the value of a key in the type of its field; raises ValueError."""
    if "most" in option.metadata:
        return _limit_value(option, value)
    kinds: dict[str, tuple[Any, str]] = {"str": (str, "a string"), "bool": (bool, "`true` or `false`")}
    kind, named = kinds.get(str(option.type), (list, "a list of words"))
    words = value if isinstance(value, list) else ["word"]
    if not isinstance(value, kind) or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError(f"`{option.name}` is not {named}")
    return tuple(value) if kind is list else value


def _limit_value(option: Field[Any], value: Any) -> Any:
    most, count = option.metadata["most"], option.metadata["count"]
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise ValueError(f"`{option.name}` is not {f'a list of {count} numbers' if count else 'a number'}")
    if isinstance(value, list) != bool(count) or (count and len(value) != count):
        raise ValueError(f"`{option.name}` is not {f'a list of {count} numbers' if count else 'a number'}")
    for number in numbers:
        if not 0 <= number <= most or number == float("inf"):
            bounds = f"from 0 to {most:g}" if most < float("inf") else "0 or more"
            raise ValueError(f"`{option.name}` is {number}, and must be {bounds}")
    return tuple(map(float, value)) if count else float(value)


def _check(profile: Profile) -> None:
    """Raise ValueError for two values that contradict each other."""
    for subject in ("words", "mean_word_length", "median_word_length"):
        least, most = getattr(profile, f"minimum_{subject}"), getattr(profile, f"maximum_{subject}")
        if least is not None and most is not None and least > most:
            raise ValueError(f"`minimum_{subject}` is more than `maximum_{subject}`")
    if (profile.minimum_stop_words or 0) > len(set(map(str.casefold, profile.stop_words))):
        raise ValueError("`minimum_stop_words` is more than there are `stop_words`")
    if profile.maximum_foreign_letters is not None and not profile.alphabet:
        raise ValueError("`maximum_foreign_letters` needs an `alphabet`")
