"""How near translations are to references, and translations back to sources: chrF++, BLEU and chrF by sacreBLEU.

- chrF++ and BLEU are those of a corpus, with sacreBLEU's settings, which the signatures name (Popović, 2017, "chrF++:
  words helping character n-grams", WMT; Post, 2018, "A Call for Clarity in Reporting BLEU Scores", WMT).
- An interval holds 95 % of the scores of `ROUNDS` bootstrap samples of records (Koehn, 2004, "Statistical Significance
  Tests for Machine Translation Evaluation", EMNLP). All texts of a record are drawn together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from latxa_cli.stream.records import Record
from latxa_cli.translation.fields import UnfitError, parts_of

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU, CHRF

ROUNDS = 1000
_SEED = 0
_WITHOUT_SPACES = {"zh": "zh", "ja": "char", "th": "char", "lo": "char", "km": "char", "my": "char", "bo": "char"}


@dataclass(frozen=True, slots=True)
class Score:
    """A score from 0 to 100 with its interval, the number of records, and sacreBLEU's signature.

    - name: `chrF++`, `BLEU` or `chrF`; of: what was compared, in words.
    """

    name: str
    of: str
    value: float
    lower: float
    upper: float
    records: int
    signature: str

    def as_dict(self) -> dict[str, str | float | int]:
        """Return what a manifest says of it."""
        return {
            "metric": self.name, "of": self.of, "value": self.value, "lower": self.lower, "upper": self.upper,
            "records": self.records, "signature": self.signature,
        }  # fmt: skip


@dataclass
class Others:
    """Texts by record id that translations or sources are compared with, and the pairs that were met so far.

    - fields: the fields of the texts.
    - pairs: by record, its texts and the others'; kept: whether the record passed.
    """

    texts: dict[str, list[str]]
    fields: Sequence[str]
    pairs: list[list[tuple[str, str]]] = field(default_factory=list)
    kept: list[bool] = field(default_factory=list)

    @classmethod
    def of(cls, records: Iterable[Record], fields: Sequence[str]) -> Others:
        """Index the texts of `records`; those without them are left out, as are ids that come again."""
        texts: dict[str, list[str]] = {}
        for record in records:
            found = texts_of(record, fields)
            if found is not None:
                texts.setdefault(record["id"], found)
        return cls(texts, fields)

    def meet(self, record: Record, compared: Record | None, *, kept: bool) -> None:
        """Compare the texts of a record with those of its id: `compared` holds them (a translation, or a source)."""
        others = self.texts.get(record["id"])
        found = texts_of(compared, self.fields) if compared is not None else None
        if others is None or found is None or len(found) != len(others):
            return
        pairs = [(one, other) for one, other in zip(found, others, strict=True) if other.strip()]
        if pairs:
            self.pairs.append(pairs)
            self.kept.append(kept)


def texts_of(record: Record, fields: Sequence[str]) -> list[str] | None:
    """Return the texts of a record, or None where a field is missing."""
    try:
        return [part.text for part in parts_of(record, fields)]
    except UnfitError:
        return None


def scores(references: Others | None, back: Others | None, language: str | None) -> list[Score]:
    """Return the scores of what was compared; `language` is that of the translations."""
    return [*(_against_references(references, language) if references else ()), *(_round_trip(back) if back else ())]


def _against_references(references: Others, language: str | None) -> list[Score]:
    """Return chrF++ and BLEU of all translations, and of those that passed if these are fewer."""
    from sacrebleu.metrics import BLEU, CHRF

    tokenizer = _WITHOUT_SPACES.get((language or "").split("-")[0], "13a")
    metrics = (("chrF++", CHRF(word_order=2)), ("BLEU", BLEU(tokenize=tokenizer)))
    found = [_score(name, "all", metric, references.pairs) for name, metric in metrics]
    passed = [pairs for pairs, kept in zip(references.pairs, references.kept, strict=True) if kept]
    if len(passed) < len(references.pairs):
        found += [_score(name, "passed", metric, passed) for name, metric in metrics]
    return [score for score in found if score is not None]


def _round_trip(back: Others) -> list[Score]:
    """Return the chrF of the texts that were translated back, against the sources."""
    from sacrebleu.metrics import CHRF

    score = _score("chrF", "round trip", CHRF(), [[(other, one) for one, other in pairs] for pairs in back.pairs])
    return [score] if score else []


def _score(name: str, of: str, metric: CHRF | BLEU, records: Sequence[Sequence[tuple[str, str]]]) -> Score | None:
    """Return the score of the texts of `records` (translation, reference), or None for no record."""
    if not records:
        return None
    pairs = [pair for record in records for pair in record]
    # The statistics of each text have no public name; a test compares what comes of them with the public score.
    statistics = np.array(metric._extract_corpus_statistics([one for one, _ in pairs], [[other for _, other in pairs]]))
    starts = np.cumsum([0, *(len(record) for record in records[:-1])])
    by_record = np.add.reduceat(statistics.astype(np.float64), starts, axis=0)
    value = _of(metric, by_record.sum(axis=0))
    draw, size = np.random.default_rng(_SEED), len(by_record)
    samples = []
    for _ in range(ROUNDS):
        weights = np.bincount(draw.integers(0, size, size), minlength=size)
        samples.append(_of(metric, weights @ by_record))
    lower, upper = np.quantile(samples, [0.025, 0.975]).tolist()
    return Score(name, of, round(value, 2), round(lower, 2), round(upper, 2), size, str(metric.get_signature()))


def _of(metric: CHRF | BLEU, statistics: np.ndarray) -> float:
    return float(metric._compute_score_from_stats([int(value) for value in statistics.tolist()]).score)
