"""Personal data in a text that its form gives away: addresses, phone, account, card and identity numbers.

The kinds stand in `personal.toml`. Names and addresses of places are not found: for these a person must read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

Check = Callable[[str], bool]
DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
PPS_LETTERS = "WABCDEFGHIJKLMNOPQRSTUV"
COVER = "█"
FEWEST_DIGITS = 7  # of a number with a check


@dataclass(frozen=True)
class Finding:
    """kind: what it is. start, end: where it is, in characters, the end excluded."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class _Kind:
    name: str
    pattern: re.Pattern[str]
    needs: str
    check: Check


def findings(text: str) -> list[Finding]:
    """Return what looks like personal data, in order; no two overlap."""
    found: list[Finding] = []
    for kind in _kinds():
        if kind.needs in text:
            for match in kind.pattern.finditer(text):
                start = match.start()
                end = start + _length(kind, match[0])
                if start < end and all(end <= one.start or one.end <= start for one in found):
                    found.append(Finding(kind.name, start, end))
    return sorted(found, key=lambda one: one.start)


def _length(kind: _Kind, text: str) -> int:
    """Return how many characters are a number of this kind: words that follow may look like a part of it."""
    while not kind.check(text):
        shorter = text.rpartition(" ")[0]
        if sum(map(str.isdecimal, shorter)) < FEWEST_DIGITS:
            return 0
        text = shorter
    return len(text)


def covered(text: str, found: list[Finding]) -> str:
    """Return the text with blocks in place of what was found, so that all else stays at its place."""
    for one in found:
        text = text[: one.start] + COVER * (one.end - one.start) + text[one.end :]
    return text


@cache
def _kinds() -> list[_Kind]:
    table = tomllib.loads(Path(__file__).with_name("personal.toml").read_text(encoding="utf-8"))
    return [
        _Kind(
            kind["name"],
            re.compile(kind["pattern"], re.IGNORECASE),
            kind.get("needs", ""),
            CHECKS[kind.get("check", "")],
        )
        for kind in table["kind"]
    ]


# --- checks: whether a number is one of its kind, by its own digits ---------------------------------------------------


def _digits(text: str) -> list[int]:
    return [int(character) for character in text if character.isdecimal()]


def _plain(text: str) -> str:
    return re.sub(r"[\s.-]", "", text).upper()


def _weighted(digits: list[int], weights: tuple[int, ...]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


def _luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    digits = _digits(text)[::-1]
    return len(digits) > 12 and sum(digits[::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10


def _iban(text: str) -> bool:
    """ISO 13616-1: modulo 97 (ISO 7064)."""
    plain = _plain(text)
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _nir(text: str) -> bool:
    plain = _plain(text)
    if len(plain) != 15:
        return False
    number, key = plain[:-2], int(plain[-2:])
    department = {"2A": "19", "2B": "18"}.get(number[5:7], number[5:7])  # those of Corsica count as these
    number = number[:5] + department + number[7:]
    return number.isdecimal() and key == 97 - int(number) % 97


def _dni(text: str) -> bool:
    plain = _plain(text)
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return len(number) == 8 and number.isdecimal() and DNI_LETTERS[int(number) % 23] == plain[-1]


def _kennitala(text: str) -> bool:
    digits = _digits(text)
    if len(digits) != 10:
        return False
    day = digits[0] * 10 + digits[1]
    return (1 <= day <= 31 or 41 <= day <= 71) and _weighted(digits, (3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _pps(text: str) -> bool:
    plain = _plain(text)
    if not 8 <= len(plain) <= 9:
        return False
    second = PPS_LETTERS.find(plain[8]) * 9 if len(plain) == 9 else 0
    return PPS_LETTERS[(_weighted(_digits(plain[:7]), (8, 7, 6, 5, 4, 3, 2)) + second) % 23] == plain[7]


def _nhs(text: str) -> bool:
    digits = _digits(text)
    return len(digits) == 10 and (11 - _weighted(digits, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11) % 11 == digits[9]


CHECKS: dict[str, Check] = {
    "": lambda _: True, "luhn": _luhn, "iban": _iban, "nir": _nir, "dni": _dni, "kennitala": _kennitala, "pps": _pps,
    "nhs": _nhs,
}  # fmt: skip
