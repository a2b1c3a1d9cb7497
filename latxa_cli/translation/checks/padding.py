"""Text that stands round a translation, as assistants write it: an announcement before it, a remark behind it.

It is known by phrases of the two languages (`phrases/`), by a language that is not the rest's, or by its place: the
first or last lines of a text, without which the others are as many and as long as those of the source.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from latxa_cli.translation.calibration import LengthRatio, extent
from latxa_cli.translation.checks.pair import Pair
from latxa_cli.translation.checks.phrases import Phrases

_SENTENCE = re.compile(r"[.!?][\"'“”‘’«»)]*+\s++(?=\S)")
_CLAUSE = re.compile(r"[!:.,](?=\s)|\n")
_COLON = re.compile(r"([^:\n]{2,80}):\s+(?=[\"“«„‘']?([^\W\d_]))")
_LEADS = re.compile("[:–—]")  # behind which a source may say what it announces, as a translation does behind a colon
_LABEL_WORDS = 4  # of a label at most, and none of them a name
_NAME = 4  # letters by which a name is known, whatever its ending
_REMARK = re.compile(r"\[[^\W\d_][^\[\]\n]{2,80}\]\W*\Z")  # `[translated]`
_LONGEST_HEAD = 120  # characters of what stands before a translation
_MOST_LINES = 3  # of such text
_NEAR = 0.35  # how far lengths of lines are from the expected ones, as a share, where they are each other's translation
_LONGER = 0.5  # standard deviations by which a text with an announcement is too long
_ORNAMENTS = '*_#"“( '


def padding(pair: Pair, phrases: Phrases, ratio: LengthRatio, foreign: Callable[[str], bool]) -> str | None:
    """Find what stands round a translation.

    foreign: whether a text is in another language than the translation.
    """
    for find in (_by_phrases, _before_a_colon, _in_brackets, _lines_at_an_edge, _in_another_language):
        if found := find(pair, phrases, ratio, foreign):
            return found
    return None


def _by_phrases(pair: Pair, phrases: Phrases, ratio: LengthRatio, foreign: Callable[[str], bool]) -> str:
    text = pair.translation.text.strip()
    said = _bare(text[: 4 * _LONGEST_HEAD])
    if phrases.before and phrases.before.match(said) and not phrases.before.match(_bare(pair.source.text.strip())):
        said = _bare(text)
        end = _CLAUSE.search(said)
        if end and said[end.end() :].strip() and end.start() < _LONGEST_HEAD:
            return said[: end.end()].strip()
    if phrases.after:
        last = pair.translation.lines[-1] if len(pair.translation.lines) > len(pair.source.lines) else ""
        for end_ in (last, _last_sentence(text)):
            if end_ and phrases.after.match(_bare(end_)) and not phrases.after.search(_bare(pair.source.text.strip())):
                return end_.strip()
    return ""


def _bare(text: str) -> str:
    return text.casefold().lstrip(_ORNAMENTS)


def _before_a_colon(pair: Pair, phrases: Phrases, ratio: LengthRatio, foreign: Callable[[str], bool]) -> str:
    """Find an announcement before the first sentence, where the source has no colon and the rest is long enough.

    A label of few words (`Result:`) shows by itself, unless it is what leads to a quotation in the source.
    """
    text = pair.translation.text.strip()
    found = _COLON.match(text)
    start = pair.source.text.lstrip()[: 2 * _LONGEST_HEAD]
    if found is None or not found[2].isupper() or ":" in start:
        return ""
    is_quoted = not text[found.end()].isalpha()
    leads = _LEADS.search(start) or "," in start[: 2 * len(found[1])]  # `I remember thinking, what …`
    if _is_label(found[1], start) and not leads and not (is_quoted and start[:1].isalpha()):
        return found[0].strip()
    if is_quoted:
        return ""
    expected, own = extent(pair.source.prose), extent(pair.translation.prose)
    whole, rest = ratio.distance(expected, own), ratio.distance(expected, own - found.end())
    return found[0].strip() if (whole > _LONGER and abs(rest) < abs(whole)) or foreign(found[1]) else ""


def _is_label(head: str, source: str) -> bool:
    """Whether a text before a colon has few words, and neither names nor numbers nor what the source begins with."""
    words = head.split()
    if len(words) > _LABEL_WORDS or any(sign.isupper() or sign.isdigit() for sign in "".join(words)[1:]):
        return False
    said = source.casefold()
    return not any(len(word) >= _NAME and word[:_NAME].casefold() in said for word in words)


def _in_brackets(pair: Pair, phrases: Phrases, ratio: LengthRatio, foreign: Callable[[str], bool]) -> str:
    """Find a remark in square brackets at the end, where the source has none."""
    found = _REMARK.search(pair.translation.text[-100:]) if "]" in pair.translation.text[-20:] else None
    return found[0] if found and "[" not in pair.source.text else ""


def _lines_at_an_edge(pair: Pair, phrases: Phrases, ratio: LengthRatio, foreign: Callable[[str], bool]) -> str:
    """Find lines before or behind the others, which are as long as the source's."""
    before, after = pair.source.lines, pair.translation.lines
    extra = len(after) - len(before)
    if not 0 < extra <= _MOST_LINES:
        return ""
    wanted, lengths = [ratio.expected(extent(line)) for line in before], [extent(line) for line in after]
    distances = [
        sum(abs(length - expected) for length, expected in zip(lengths[start:], wanted, strict=False))
        for start in range(extra + 1)
    ]
    start = min(range(extra + 1), key=distances.__getitem__)
    if distances[start] > _NEAR * sum(wanted):
        return ""
    return "\n".join([*after[:start], *after[start + len(before) :]])


def _in_another_language(pair: Pair, phrases: Phrases, ratio: LengthRatio, foreign: Callable[[str], bool]) -> str:
    """Find a first or last line, or a first or last sentence, in another language than the rest, which is no copy."""
    before, after, text = pair.source, pair.translation, pair.translation.text.strip()
    pieces = [after.lines[0], after.lines[-1]] if len(after.lines) > len(before.lines) else []
    if _sentences(text) > _sentences(before.text):
        first = _SENTENCE.search(text[:_LONGEST_HEAD])
        pieces += [_last_sentence(text), *([text[: first.end()]] if first else [])]
    for piece in pieces:
        is_copy = " ".join(piece.casefold().split()) in before.plain
        if not is_copy and foreign(piece) and not foreign(after.prose.replace(piece, " ")):
            return piece.strip()
    return ""


def _sentences(text: str) -> int:
    """Return how many sentences of a text end before its end."""
    return len(_SENTENCE.findall(text))


def _last_sentence(text: str) -> str:
    end = text[-300:]
    place = 0
    for found in _SENTENCE.finditer(end):
        place = found.end()
    return end[place:].strip() if place else ""
