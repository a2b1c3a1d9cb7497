"""The records of a comparison: the figures of each row, and in words what they show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from latxa_cli.comparison.compare import Request, Row
from latxa_cli.comparison.power import detectable, items_for
from latxa_cli.stream.records import Record

# Metrics that are better when they are lower, as the harness and `eval --perplexity` name them.
LOWER_IS_BETTER = frozenset((
    "bits_per_byte", "perplexity", "word_perplexity", "byte_perplexity", "brier_score", "ter", "wer", "cer", "mse",
    "mae",
))  # fmt: skip
# Metrics of which more is not known to be better, or worse, get other words.
WORDS = {1: ("better", "worse"), -1: ("worse", "better"), 0: ("higher", "lower")}
NOTHING_SHOWN = "no difference shown"


def records_of(rows: Iterable[Row], request: Request) -> Iterator[Record]:
    """Yield a comparison record for each row."""
    for row in rows:
        alpha = 1 - request.confidence
        lower, upper = interval_of(row, request.confidence)
        if row.right_or_wrong and not np.isnan(lower):
            lower, upper = max(-1.0, lower), min(1.0, upper)
        error = row.estimate.stderr
        unanswered = [row.paired] if row.paired else [one.paired for one in row.over]
        record = {
            "model": row.one.name,
            "baseline": row.other.name,
            "task": row.unit.task if row.unit else None,
            "tasks": len(row.over) or None,
            "language": row.language,
            "metric": row.metric,
            "filter": row.unit.filter or None if row.unit else None,
            "n": sum(len(one) for one in unanswered if one),
            "clusters": row.estimate.clusters or None,
            "value": row.values[0],
            "baseline_value": row.values[1],
            "difference": row.estimate.difference,
            "stderr": _number(error),
            "lower": _number(lower),
            "upper": _number(upper),
            "confidence": request.confidence,
            "interval": request.interval,
            **_won_and_lost(row),
            "p": row.p,
            "test": row.test,
            "mcnemar_p": _number(row.mcnemar_p),
            "p_holm": _number(row.p_holm),
            "verdict": verdict(row, alpha),
            "detectable": _number(detectable(error, row.estimate.freedom, alpha)),
            **_needed(row, alpha),
            "shot_seeds": list(row.paired.seeds) if row.paired and row.paired.seeds else None,
            "spread": _number(row.estimate.spread),
            "unanswered": sum(one.unanswered for one in unanswered if one) or None,
            "baseline_unanswered": sum(one.baseline_unanswered for one in unanswered if one) or None,
            "left_out": sum(one.left_out for one in unanswered if one) or None,
            "despite": sorted({word for one in unanswered if one for word in one.despite}) or None,
            "path": row.one.model.path,
            "weights": row.one.model.weights,
            "baseline_path": row.other.model.path,
            "baseline_weights": row.other.model.weights,
        }
        nullable = ("stderr", "lower", "upper")
        yield {name: value for name, value in record.items() if value is not None or name in nullable}


def interval_of(row: Row, confidence: float) -> tuple[float, float]:
    """Return the interval of a row: that of its rounds, where there are any and they differ."""
    lower, upper = row.rounds.interval(confidence) if row.rounds else (np.nan, np.nan)
    return row.estimate.interval(confidence) if np.isnan(lower) else (lower, upper)


def verdict(row: Row, alpha: float) -> str:
    """Return in words what is shown at level `alpha`, after Holm's correction where there is one."""
    p = row.p if np.isnan(row.p_holm) else row.p_holm
    if not p <= alpha or row.estimate.difference == 0:
        return NOTHING_SHOWN
    known = 1 if row.right_or_wrong else -1 if row.metric in LOWER_IS_BETTER else 0
    up, down = WORDS[known]
    return up if row.estimate.difference > 0 else down


def _won_and_lost(row: Row) -> Record:
    if row.paired is None or not row.paired.is_right_or_wrong:
        return {}
    differences = row.paired.differences
    return {"only_model": int((differences > 0).sum()), "only_baseline": int((differences < 0).sum())}


def _needed(row: Row, alpha: float) -> Record:
    """Return how many items would show one point, for shares of one task."""
    if row.paired is None or not row.right_or_wrong or not row.estimate.of_items > 0:
        return {}
    return {"items_for_point": items_for(row.estimate.of_items * len(row.paired), alpha)}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
