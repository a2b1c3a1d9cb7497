"""Which language a text is in, by py3langid (naive Bayes over byte n-grams; no download, about 140 languages)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from latxa_cli.stream.errors import LatxaError, UsageError, nearest

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# The cost grows with the text and the answer hardly changes after the first paragraphs.
HEAD_CHARACTERS = 1000

UNDETERMINED = "und"  # BCP-47 for text whose language nobody can tell
_NO_LANGUAGE = "zxx"  # BCP-47 for text that is in no language


@cache
def _identifier() -> LanguageIdentifier:
    """Load the model once (0.6 s, about 100 MB). Own instance: the module's shared one gives no probabilities."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    try:
        return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    except OSError as error:  # it is unpacked into a temporary file
        reason = error.strerror or error
        raise LatxaError(f"the model for language identification cannot be unpacked ({reason})") from None


def identify(text: str) -> tuple[str, float]:
    """Return the code of the likeliest language of `text` and its probability in [0, 1].

    Only the first `HEAD_CHARACTERS` characters count. Text without a letter there is `("und", 0.0)`.
    """
    head = text[:HEAD_CHARACTERS]
    if not any(map(str.isalpha, head)):
        return UNDETERMINED, 0.0
    language, probability = _identifier().classify(head)
    return language, probability


def known_languages() -> list[str]:
    """Return the codes that `identify` can find (ISO 639-1 where one exists, else 639-3), sorted."""
    return sorted(set(_identifier().labels) - {_NO_LANGUAGE})


def check_language(code: str) -> str:
    """Return `code` if `identify` can find it; raises UsageError that names near codes."""
    known = known_languages()
    if code in known:
        return code
    primary = code.lower().replace("_", "-").split("-")[0]
    hint = f"did you mean `{primary}`?" if primary in known else nearest(primary, known)
    raise UsageError(f"the language `{code}` is not among those that can be identified", hint=hint or _listed(known))


def _listed(codes: list[str]) -> str:
    return "known: " + " ".join(codes)
