"""What an audit tells people: a table and sentences on the terminal, facts for the manifest, and a page's contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from latxa_cli.stream.records import JsonObject, Record
from latxa_cli.translation.audit.audit import Findings
from latxa_cli.translation.audit.inputs import FalseAlarms
from latxa_cli.translation.audit.quality import Score
from latxa_cli.translation.audit.runs import Run
from latxa_cli.translation.checks.checks import Checks


class Report:
    """The findings of an audit in words.

    - source: the name of the file with the sources.
    - alarms: what the checks find in the pairs that they were calibrated with.
    """

    def __init__(
        self,
        findings: Findings,
        checks: Checks,
        source: str,
        scores: Sequence[Score] = (),
        alarms: FalseAlarms | None = None,
    ) -> None:
        self.findings, self.checks, self.source, self.scores, self.alarms = findings, checks, source, scores, alarms

    # --- the terminal

    def sentences(self) -> list[str]:
        """Return what is to be said beside the counts."""
        runs, scores = map(_run_in_words, self.findings.runs), map(_score_in_words, self.scores)
        return [*self._of_sources(), *self._of_pairs(), *runs, *scores]

    def rows(self) -> list[Record]:
        """Return a row for each reason, the most frequent first: reason, records, their share, and an id."""
        found = self.findings
        return [
            {
                "reason": reason,
                "records": count,
                "of all": f"{count / found.records:.1%}",
                "for example": found.examples[reason][0].id,
            }
            for reason, count in sorted(found.faults.items(), key=lambda entry: (-entry[1], entry[0]))
        ]

    def _of_sources(self) -> list[str]:
        found, sentences = self.findings, []
        if found.again:
            sentences.append(f"{self.source}: {_records(found.again)} with the id of an earlier one, which counts")
        count, names = found.untranslated
        if count:
            shown = ", ".join(f"`{name}`" for name in names) + (", …" if count > len(names) else "")
            sentences.append(f"{self.source}: {_records(count)} without a translation ({shown})")
        return sentences

    def _of_pairs(self) -> list[str]:
        if self.alarms is None:
            return []
        count, pairs = self.alarms.reasons.total(), self.alarms.pairs
        why = f": {_reasons(self.alarms.reasons)}" if count else ""
        return [f"of {pairs:,} pairs for calibration {count:,} would be rejected ({count / pairs:.1%}){why}"]

    # --- the manifest

    def facts(self) -> JsonObject:
        """Return what the manifest says of the audit."""
        found, ratio = self.findings, self.checks.ratio
        return {
            "length_ratio": {"ratio": ratio.ratio, "spread": ratio.spread, "pairs": ratio.pairs},
            "calibration": self.alarms and {"pairs": self.alarms.pairs, "rejected": dict(self.alarms.reasons)},
            "untranslated": found.untranslated[0],
            "sources_with_repeated_ids": found.again,
            "runs": [
                {
                    "first": first, "last": last, "records": run.length, "faults": run.faults,
                    "reasons": dict(reasons.most_common()),
                }
                for first, last, run, reasons in found.runs
            ],
            "scores": [score.as_dict() for score in self.scores],
        }  # fmt: skip

    # --- the page

    def facts_in_words(self) -> list[str]:
        """Return sentences about the whole, for the top of a page."""
        found, ratio = self.findings, self.checks.ratio
        faulty = found.faults.total()
        share = f" ({faulty / found.records:.1%})" if found.records else ""
        learnt = f"learnt from {ratio.pairs:,} pairs" if ratio.pairs else "a guess, since no pairs were given"
        return [
            f"{_records(found.records)} audited, {faulty:,} at fault{share}.",
            f"Expected length: {ratio.ratio} characters for each of the source ({learnt}).",
            *(sentence[:1].upper() + sentence[1:] + "." for sentence in (*self._of_sources(), *self._of_pairs())),
        ]

    def runs(self) -> list[list[str]]:
        """Return the runs as rows of a table, heads first; empty where there is none."""
        rows = [
            [first, last, f"{run.length:,}", f"{run.faults:,}", _reasons(reasons)]
            for first, last, run, reasons in self.findings.runs
        ]
        return [["first id", "last id", "records", "at fault", "reasons"], *rows] if rows else []

    def score_rows(self) -> list[list[str]]:
        """Return the scores as rows of a table, heads first; empty where there is none."""
        rows = [
            [
                score.name, score.of, f"{score.value:.1f}", f"{score.lower:.1f} to {score.upper:.1f}",
                f"{score.records:,}", score.signature,
            ]
            for score in self.scores
        ]  # fmt: skip
        return [["metric", "of", "score", "95 % interval", "records", "signature"], *rows] if rows else []


def _run_in_words(run: tuple[str, str, Run, Counter[str]]) -> str:
    first, last, stretch, reasons = run
    where = f"a run of {_records(stretch.length)} from `{first}` to `{last}`"
    return f"{where}, {stretch.faults:,} at fault: {_reasons(reasons)}"


def _score_in_words(score: Score) -> str:
    return (
        f"{score.name} ({score.of}): {score.value:.1f}, 95 % interval {score.lower:.1f} to {score.upper:.1f}, "
        f"{_records(score.records)}"
    )


def _reasons(reasons: Counter[str]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common(4))


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"
