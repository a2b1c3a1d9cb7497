"""The language and the script of a translation's prose."""

from __future__ import annotations

from latxa_cli.text.language import UNDETERMINED, Identify, other_lines
from latxa_cli.text.scripts import script_of
from latxa_cli.translation.checks.limits import Limits
from latxa_cli.translation.checks.pair import Pair

_NO_LANGUAGE = "zxx"
_LONG, _PIECES, _PIECE = 400, 4, 90  # a text of so many characters is long, and known by so many pieces of such length


def another_language(
    pair: Pair, limits: Limits, identify: Identify, target: str, source: str | None, *, known: bool
) -> str | None:
    """Find prose that is surely in another language than `target`, in all or in many of its lines.

    - Shorter prose than `limits.language_letters` is too short to tell.
    - Where the model of `identify` does not know the target, only the source's language is another one.
    """
    prose = pair.translation.prose
    if not pair.translation.has_letters(limits.language_letters):
        return None
    if known and len(prose) > _LONG and all(identify(piece)[0] == target for piece in _pieces(prose)):
        return None  # as nearly always, and quicker than to look at all of it
    found, probability = identify(prose)
    is_other = found != target if known else found == source
    if is_other and found not in (UNDETERMINED, _NO_LANGUAGE) and probability >= limits.language_probability:
        return f"{found} ({probability:.2f})"
    if known and "\n" in prose and other_lines(prose, target, identify) >= limits.language_share:
        return "many lines"
    return None


def _pieces(text: str) -> list[str]:
    """Return some pieces of a long text, spread over it."""
    last = len(text) - _PIECE
    return [text[start : start + _PIECE] for start in (last * number // (_PIECES - 1) for number in range(_PIECES))]


def another_script(pair: Pair, limits: Limits, scripts: frozenset[str]) -> str | None:
    """Find letters in scripts that neither the target language nor the source's prose has."""
    prose = pair.translation.prose
    if prose.isascii() and "LATIN" in scripts:
        return None
    foreign = {letter for letter in set(prose) if letter.isalpha() and script_of(letter) not in {"", *scripts}}
    if not foreign:
        return None
    count = {letter: prose.count(letter) for letter in foreign if letter not in pair.source.text}
    total = sum(count.values())
    if total < limits.script_letters or total < limits.script_share * pair.translation.letters:
        return None
    return "".join(sorted(count, key=lambda letter: (-count[letter], letter))[:10])
