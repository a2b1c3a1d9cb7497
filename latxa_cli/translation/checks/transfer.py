"""Instructions that no translation keeps, since they are about the words of their own language.

They are known by the phrases in `phrases/`; published translations of such instructions ask for something else.
"""

from __future__ import annotations

from latxa_cli.translation.checks.pair import Pair
from latxa_cli.translation.checks.phrases import Phrases


def does_not_survive(pair: Pair, phrases: Phrases) -> str | None:
    """Find what a request asks for that is about the words of its language."""
    if pair.role == "assistant" or not phrases.transfer:
        return None
    text = pair.source.prose.casefold()
    for word in phrases.rarest:
        if word in text:
            break
    else:  # as nearly always
        return None
    for phrase in phrases.transfer:
        if phrase.rarest in text and (found := phrase.expression.search(text)):
            return f"{phrase.about}: {found[0]}"
    return None
