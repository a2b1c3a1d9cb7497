"""What a translation is by its own form: nothing, a null, another role's turn, an example of the prompt, a wrapper."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from latxa_cli.text.turns import begins_a_turn
from latxa_cli.translation.checks.pair import Pair

_NULLS = frozenset(("null", "none", "nan", "undefined", "n/a", "nil", "[]", "{}", '""', "''", "...", "…", "-", "[...]"))
_TOKEN = re.compile(
    r"<\|[A-Za-z_][\w ]*\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|\[(?:UNK|PAD|EOS|BOS)\]|<pad>|<unk>"
)
_TOKEN_MARKS = ("<|", "s>", "INST]", "SYS>", "turn>", "[UNK", "[PAD", "[EOS", "[BOS", "<pad", "<unk")  # one in each
_ROLES = ("user", "assistant", "human", "system", "model", "response", "instruction")
_SHORT_ROLES = ("ai:", "ai*", "ai :", "bot:", "bot*", "bot :")  # as they stand in a text with single spaces
_ROLE = re.compile(rf"^[ \t*#]*({'|'.join(_ROLES)}|ai|bot|chatbot)\**[ \t]*:", re.IGNORECASE | re.MULTILINE)
_CLOSING = re.compile(r"</[^\W\d_][\w.\-]*>")
_QUOTES = {
    '"': '"',
    "'": "'",
    "“": "”",
    "„": "“",
    "«": "»",
    "‘": "’",
    "`": "`",
    "「": "」",
    "[": "]",
    "(": ")",
    "<": ">",
}
_ANY_QUOTE = frozenset('"“”„«»‘’‚‹›「」『』')
_OPENING = re.compile(r"[^\w\s]*")


def empty(pair: Pair) -> str | None:
    """Find nothing where the source says something."""
    return "" if not pair.translation.text.strip() and pair.source.text.strip() else None


def null(pair: Pair) -> str | None:
    """Find what programs write for nothing."""
    plain = pair.translation.plain.strip(".`\"' ") or pair.translation.plain
    if plain not in _NULLS and pair.translation.plain not in _NULLS:
        return None
    return None if pair.source.plain in (pair.translation.plain, plain) else pair.translation.text.strip()


def leaked_role(pair: Pair) -> str | None:
    """Find special tokens and lines that begin another turn, which the source does not have."""
    text, source = pair.translation.text, pair.source.text
    marked = ("<" in text or "[" in text) and any(mark in text for mark in _TOKEN_MARKS)
    for token in _TOKEN.finditer(text) if marked else ():
        if token[0] not in source:
            return token[0]
    plain = pair.translation.plain
    named = any(name in plain for name in _ROLES)
    if ":" in text and (named or any(name in plain for name in _SHORT_ROLES)):
        found = list(_ROLE.finditer(text))
        of_source = {role[1].casefold() for role in _ROLE.finditer(source)} if found else set()
        for role in found:
            if role[1].casefold() not in of_source:
                return role[0].strip()
    if named and begins_a_turn(text) and not begins_a_turn(source):
        return "a line is the name of a role"
    return None


# Control characters but white space, halves of surrogate pairs, private use, what turns the direction of all that
# follows, and the sign for bytes that could not be decoded.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202d\u202e\ufffd-\uffff\ud800-\udfff\ue000-\uf8ff]")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|quot|apos|amp|lt|gt|nbsp);")
# What UTF-8 comes to where it is read as Latin-1 or Windows-1252. Quotation marks may follow a real letter.
_MISREAD = re.compile("[ÃÂ][\x80-\xaa\xac-\xb9\xbc-\xbf]|â€[™œ˜“”¦¢\x9d]")


def broken_characters(pair: Pair) -> str | None:
    """Find signs that no writer types and the source lacks: control characters, HTML entities, bytes read wrongly."""
    text = pair.translation.text
    if not text.replace("\n", "").isprintable() or "\ufffd" in text:
        for found in _UNFIT.findall(text):
            if found not in pair.source.text:
                return f"U+{ord(found):04X}"
    forms = [_ENTITY] if "&" in text else []
    if "Ã" in text or "Â" in text or "â€" in text:
        forms.append(_MISREAD)
    for form in forms:
        for found in form.findall(text):
            if found not in pair.source.text:
                return str(found)
    return None


def leaked_label(pair: Pair, labels: re.Pattern[str]) -> str | None:
    """Find a label of the prompt (the name of a language) at the beginning of a line, but not of the first."""
    text = pair.translation.text.strip()
    found = list(labels.finditer(text, text.find("\n") + 1 or len(text)))
    of_source = {label[1].casefold() for label in labels.finditer(pair.source.text)} if found else set()
    return next((label[0].strip() for label in found if label[1].casefold() not in of_source), None)


def leaked_tag(pair: Pair) -> str | None:
    """Find a closing tag that the source does not have, as the end of a prompt's field."""
    for tag in _CLOSING.finditer(pair.translation.text):
        if tag[0] not in pair.source.text and tag[0].replace("/", "") not in pair.source.text:
            return tag[0]
    return None


class ShotIndex:
    """The examples of a prompt, by their passages of `size` words, and short ones by whole lines."""

    def __init__(self, shots: Sequence[tuple[str, str]], size: int) -> None:
        self.size = size
        self.sources = [_plain(source) for source, _ in shots]
        self.passages: dict[str, int] = {}  # to the number of an example
        self.lines: dict[str, int] = {}
        for number, shot in enumerate(shots):
            for text in shot:
                words = text.casefold().split()
                if 1 < len(words) < size:
                    self.lines.setdefault(" ".join(words), number)
                for passage in _runs(words, size):
                    self.passages.setdefault(passage, number)


def leaked_examples(pair: Pair, shots: ShotIndex) -> str | None:
    """Find a passage of an example of the prompt, which the source does not have; or a short example as a new line."""
    source = pair.source.plain
    for passage in _runs(pair.translation.plain.split(), shots.size):
        number = shots.passages.get(passage)
        if number is not None and shots.sources[number] != source and passage not in source:
            return passage
    if len(pair.translation.lines) > len(pair.source.lines):
        for line in map(_plain, pair.translation.text.split("\n")):
            number = shots.lines.get(line)
            if number is not None and shots.sources[number] != source and line not in source:
                return line
    return None


def _runs(words: list[str], size: int) -> Iterator[str]:
    return (" ".join(words[start : start + size]) for start in range(len(words) - size + 1))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def wrapper(pair: Pair) -> str | None:
    """Find quotation marks, brackets, JSON or a fence round a translation whose source has none."""
    text, source = pair.translation.text.strip(), pair.source.text.strip()
    if len(text) < 2 or not source:
        return None
    if text[0] in "{[" and text[-1] in "}]" and source[0] not in "{[" and _is_json(text):
        return "JSON"
    if text.startswith("```") and text.endswith("```") and text.count("```") == 2 and "```" not in source:
        return "a fence"
    tag = re.match(r"<([^\W\d_][\w.\-]*)>", text)
    if tag and text.endswith(f"</{tag[1]}>") and not source.startswith(tag[0]):
        return tag[0]
    close = _QUOTES.get(text[0])
    if close is None or text[-1] not in (close, '"'):
        return None
    inside = text[1:-1]
    if text[0] in inside or close in inside:
        return None  # two passages in quotation marks
    ends = _OPENING.match(source)[0] + source[-3:]  # type: ignore[index]
    has = not _ANY_QUOTE.isdisjoint(ends) or "'" in ends if text[0] in _ANY_QUOTE or text[0] == "'" else text[0] in ends
    return None if has else f"{text[0]} … {text[-1]}"


def _is_json(text: str) -> bool:
    if text[:2] == "{{" or not ('"' in text or "'" in text):
        return False
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return bool(re.match(r"""[{\[]\s*["'][\w ]*["']\s*[:,\]]""", text))
    return True
