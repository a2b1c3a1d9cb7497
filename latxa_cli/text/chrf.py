"""chrF: the similarity of a text and a reference by the character n-grams that they share.

It needs no tokeniser and treats every script alike, so that it suits languages with rich morphology.

- Definition: the F score of precision and recall with beta 2 (Popović, 2015, "chrF: character n-gram F-score for
  automatic MT evaluation", WMT).
- Settings: the defaults of sacreBLEU's sentence chrF, which the signature names. Character n-grams of 1 to 6, no word
  n-grams, case kept, white space ignored. An order for which a text is too short is left out.
"""

from __future__ import annotations


class ChrF:
    """A rubric that scores from 0 (no n-gram shared) to 100 (the same n-grams)."""

    name = "chrF"

    def __init__(self) -> None:
        from sacrebleu.metrics.chrf import CHRF

        self.metric = CHRF()

    def score(self, response: str, reference: str) -> float:
        """Return the chrF of a response against a reference."""
        return self.metric.sentence_score(response, [reference]).score

    @property
    def signature(self) -> str:
        """The signature of sacreBLEU, which lets others repeat the scores."""
        from sacrebleu import __version__

        return f"chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{__version__}"
