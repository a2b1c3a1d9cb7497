"""The best of several translations of one text: the one nearest to all others.

Minimum Bayes risk with chrF as the gain (Eikema & Aziz 2022, "Sampling-Based Approximations to Minimum Bayes Risk
Decoding for Neural Machine Translation", EMNLP). No reference is needed: what most drafts agree on is likely right, and
a draft that goes astray is far from the others.

The greedy draft counts as half of all. It is the model's own best guess, and a few drawn ones overrule it only where
they agree with each other: counted as one of five, it was left for worse ones where the model was nearly always right
(`tests/bench/candidates.py`).
"""

from __future__ import annotations

from collections.abc import Sequence


def central(texts: Sequence[str], *, greedy: bool = False) -> int:
    """Return the place of the text with the highest mean chrF against all; the first one of equals.

    - A text that was drawn several times counts as often.
    - greedy: whether the first one is, so that it counts as half of all.
    """
    weights = [(len(texts) + 1) / 2 if greedy else 1.0, *(1.0 for _ in texts[1:])]
    if len(set(texts)) == 1 or len(texts) < 3:  # of two, each is as near to the other
        return 0
    from latxa_cli.text.chrf import ChrF

    score = ChrF().score
    gains = {
        text: sum(weight * score(text, other) for other, weight in zip(texts, weights, strict=True))
        for text in dict.fromkeys(texts)
    }
    return texts.index(max(gains, key=gains.__getitem__))
