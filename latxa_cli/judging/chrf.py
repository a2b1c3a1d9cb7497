"""chrF: how near a text is to a reference by the character n-grams that they share.

sacreBLEU's sentence chrF with its default settings, as the signature says: F of precision and recall with beta 2 over
character n-grams of 1 to 6, without white space, case kept, no word n-grams, orders that a text is too short for left
out. Popović, 2015, "chrF: character n-gram F-score for automatic MT evaluation", WMT. It needs no tokeniser and treats
every script alike, which is why it suits languages with rich morphology.
"""

from __future__ import annotations


class ChrF:
    """Scores from 0 (nothing shared) to 100 (the same n-grams)."""

    name = "chrF"

    def __init__(self) -> None:
        from sacrebleu.metrics.chrf import CHRF

        self.metric = CHRF()

    def score(self, response: str, reference: str) -> float:
        return self.metric.sentence_score(response, [reference]).score

    @property
    def signature(self) -> str:
        """sacreBLEU's signature: what to quote so that others can repeat the scores."""
        from sacrebleu import __version__

        return f"chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{__version__}"
