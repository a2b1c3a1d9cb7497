"""The language of a text, by py3langid (no download, about 140 languages) or by a fastText model of the user's.

Languages are named by BCP-47 codes without script or region: `eu`, `qu`, `crh`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from latxa_cli.stream.errors import UsageError, nearest

if TYPE_CHECKING:
    from latxa_cli.text.fasttext_model import FastTextModel
    from latxa_cli.text.naive_bayes import NaiveBayes

Identify = Callable[[str], tuple[str, float]]

# A longer text is identified by slices that are spread over it. More text costs more time and adds hardly any
# certainty, and the beginning alone is often a menu in another language.
SLICES, SLICE_CHARACTERS = 8, 125

# A line is identified if it has so many letters in its first 2 * LINE_LETTERS characters. It counts as another language
# from the probability SURELY on: at 0.8, py3langid was wrong about 1 of 50,000 sentences in 9 languages.
LINE_LETTERS, SURELY = 40, 0.8
LINES = 16  # lines of a text that are identified, spread over it

# Models have learnt from text in mixed case, and take capitals for other languages. Such text has 3 % to 8 % capitals,
# or a fifth where every word begins with one. Of sentences in 8 languages with 40 % capitals, py3langid recognised
# 86 %, and 99 % in lower case.
CAPITALS = 0.25  # the share of capitals among the letters from which a text is identified in lower case
COUNTED = 250  # characters, spread over a text, among which capitals are counted: all would cost a quarter of the time

UNDETERMINED = "und"  # BCP-47 for text in an undetermined language
_NO_LANGUAGE = "zxx"  # BCP-47 for text that is in no language


def identify(text: str) -> tuple[str, float]:
    """Return the code of the most probable language of `text`, and its probability from 0 to 1, by py3langid.

    Of a text of more than 1000 characters only `SLICES` slices count. Without a letter the answer is `("und", 0.0)`.
    """
    return identifier()(text)


@cache
def identifier(model: str | None = None) -> Identify:
    """Return a function like `identify`, which uses the fastText `model` file if one is given.

    Raises UsageError where the package for it is not installed, LatxaError where the file cannot be read.
    """
    classify = _classifier(model)

    def identify_by_model(text: str) -> tuple[str, float]:
        sample = _without_capitals(_sample(text))
        return classify(sample) if any(map(str.isalpha, sample)) else (UNDETERMINED, 0.0)

    return identify_by_model


def other_lines(text: str, language: str, identify: Identify) -> float:
    """Return the share of characters in lines of `text` that are surely in other languages than `language`.

    Only lines that are long enough to be identified count, `LINES` of them at most; without any the share is 0.0.
    """
    lines = [line for line in text.split("\n") if len(line) >= LINE_LETTERS]
    if len(lines) > LINES:
        lines = [lines[(len(lines) - 1) * number // (LINES - 1)] for number in range(LINES)]
    characters = others = 0
    for line in lines:
        if sum(map(str.isalpha, line[: 2 * LINE_LETTERS])) >= LINE_LETTERS:
            found, probability = identify(line)
            characters += len(line)
            if probability >= SURELY and found not in (language, UNDETERMINED, _NO_LANGUAGE):
                others += len(line)
    return others / characters if characters else 0.0


def known_languages(model: str | None = None) -> list[str]:
    """Return the codes that `identifier(model)` can find, sorted."""
    return sorted(set(_classifier(model).languages) - {_NO_LANGUAGE, UNDETERMINED})


def check_language(code: str, model: str | None = None) -> str:
    """Return `code` if `identifier(model)` can find it; raises UsageError that names near codes."""
    known = known_languages(model)
    if code in known:
        return code
    primary = code.lower().replace("_", "-").split("-")[0]
    hint = f"did you mean `{primary}`?" if primary in known else nearest(primary, known)
    raise UsageError(f"the language `{code}` is not among those that can be identified", hint=hint or _listed(known))


def _listed(codes: list[str]) -> str:
    return "known: " + " ".join(codes)


@cache
def naive_bayes() -> NaiveBayes:
    """Return py3langid's classifier, which is loaded once per process."""
    from latxa_cli.text.naive_bayes import NaiveBayes

    return NaiveBayes()


@cache
def _classifier(model: str | None) -> NaiveBayes | FastTextModel:
    """Load a model, once per process."""
    if model is None:
        return naive_bayes()
    from latxa_cli.text.fasttext_model import FastTextModel

    return FastTextModel(model)


def _sample(text: str) -> str:
    if len(text) <= SLICES * SLICE_CHARACTERS:
        return text
    last = len(text) - SLICE_CHARACTERS
    starts = [last * number // (SLICES - 1) for number in range(SLICES)]
    return "\n".join([text[start : start + SLICE_CHARACTERS] for start in starts])


def _without_capitals(text: str) -> str:
    """Return `text` in lower case if it has many capitals, else as it is."""
    counted = text[:: max(1, len(text) // COUNTED)]
    capitals = sum(map(str.isupper, counted))
    if capitals <= CAPITALS * sum(map(str.isalpha, counted[: 8 * capitals])):  # as nearly always, and then quicker
        return text
    return text.lower() if capitals > CAPITALS * sum(map(str.isalpha, counted)) else text
