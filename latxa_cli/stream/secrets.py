"""Secrets in what is written or shown: keys, tokens and passwords become `***`.

A secret is known by the name before it (`hf_token=…`, `"api_key": "…"`, `Authorization: …`), by its form (`hf_…`,
`sk-…`), by its place in an address (`://user:password@`), or because a variable of the environment with such a name
holds it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latxa_cli.stream.records import JsonObject

HIDDEN = "***"
SHORTEST = 8  # characters of a secret in the environment: shorter ones stand in other words too

_NAME = (
    r"(?<![a-z0-9])(?P<before>(?:[a-z0-9]+[_.-])*)"
    r"(?:(?:api|access|secret|private|account|subscription|encryption)[_-]?key|"
    r"(?:access|auth|bearer|refresh|session|hf|hub)?token|"
    r"(?:client)?secret|password|passwd|pwd|passphrase|credentials?|authorization)(?![a-z0-9_.-])"
)
# Tokens of a text, and keys of a table.
_HARMLESS = frozenset(
    ("bos", "eos", "pad", "unk", "sep", "cls", "mask", "stop", "image", "end", "start", "per", "sort")
)
_FOLDERS = frozenset(("PWD", "OLDPWD"))  # variables of every shell, which name a folder and no password
_WORD = re.compile(rf"(?P<kept>\S*?{_NAME}=)(?P<value>.+)", re.IGNORECASE | re.DOTALL)
_ASSIGNED = re.compile(rf"(?P<kept>{_NAME}=)(?P<value>[^\s\"'`&,;)}}\]]+)", re.IGNORECASE)
_IN_QUERY = re.compile(r"(?P<kept>[?&][\w-]*(?:key|sig|signature)=)(?P<value>[^\s\"'`&]+)", re.IGNORECASE)
_QUOTED = re.compile(rf"(?P<kept>[\"']{_NAME}[\"']\s*[:=]\s*[\"'])(?P<value>[^\"']+)", re.IGNORECASE)
_HEADER = re.compile(r"(?P<kept>\b(?:authorization:\s*(?:\w+\s+)?|bearer\s+))(?P<value>[^\s\"'`*,;]+)", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_FORMS = re.compile(
    r"(?<![A-Za-z0-9])(?:hf_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,}|gh[oprsu]_[A-Za-z0-9]{30,}|"
    r"github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{20,}|AKIA[A-Z0-9]{16}|"
    r"AIza[A-Za-z0-9_-]{35}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+)"
)


def without_secrets(text: str) -> str:
    """Return `text` with what looks like a secret hidden."""
    for value in _in_environment():
        text = text.replace(value, HIDDEN)
    text = _IN_ADDRESS.sub(HIDDEN, text)
    if word := _WORD.fullmatch(text):  # one value of the command line, which may hold anything
        return _hidden(word)
    for pattern in (_ASSIGNED, _IN_QUERY, _QUOTED, _HEADER):
        text = pattern.sub(_hidden, text)
    return _FORMS.sub(HIDDEN, text)


def values_without_secrets(values: JsonObject) -> JsonObject:
    """Return settings or facts with what looks like a secret in a text, or stands under such a name, hidden."""
    return {
        name: HIDDEN if isinstance(value, str) and _is_secret(str(name)) else _hidden_in(value)
        for name, value in values.items()
    }


def _hidden_in(value: Any) -> Any:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return values_without_secrets(value)
    if type(value) in (list, tuple):
        return type(value)(_hidden_in(part) for part in value)
    return value


def _is_secret(name: str) -> bool:
    found = re.fullmatch(_NAME, name, re.IGNORECASE)
    return found is not None and not _is_harmless(found)


def _is_harmless(found: re.Match[str]) -> bool:
    return found["before"].lower().rstrip("_.-").rpartition("_")[2] in _HARMLESS


def _hidden(found: re.Match[str]) -> str:
    harmless = "before" in found.groupdict() and _is_harmless(found)
    return found[0] if harmless else found["kept"] + HIDDEN


def _in_environment() -> list[str]:
    secrets = {value.strip() for name, value in os.environ.items() if _is_secret(name) and name not in _FOLDERS}
    return sorted((value for value in secrets if len(value) >= SHORTEST), key=len, reverse=True)
