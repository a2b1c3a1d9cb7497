"""Metrics: which of them are shares, and in which direction they are better."""

from __future__ import annotations

import math
from collections.abc import Iterable

from latxa_cli.stream.kinds import SHARES
from latxa_cli.stream.records import Record

# Other metrics of the harness and of `eval` whose direction is known. A result may say its own (`higher_is_better`).
HIGHER = SHARES | {
    "acc_mutual_info", "bleu", "bleurt", "chrf", "em", "exact", "f1", "likelihood_diff", "mcc", "mrr", "pearson",
    "rouge1", "rouge2", "rougeL", "rougeLsum", "spearman",
}  # fmt: skip
LOWER = frozenset((
    "bits_per_byte", "brier_score", "byte_perplexity", "cer", "loss", "perplexity", "ter", "wer", "word_perplexity",
))  # fmt: skip


def higher_is_better(metric: str, results: Iterable[Record] = ()) -> bool | None:
    """Return the direction of a metric: what its results say, else what is known of it, else None."""
    said = {result.get("higher_is_better") for result in results} - {None}
    if len(said) == 1:
        return bool(said.pop())
    return True if metric in HIGHER else False if metric in LOWER else None


def arrow(better: bool | None) -> str:
    """Return ` ↑` where higher is better, ` ↓` where lower is, and nothing where it is not known."""
    return "" if better is None else " ↑" if better else " ↓"


def scaled(value: float, metric: str) -> float:
    """Return a value as tables show it: per cent of a share, anything else as it is."""
    return 100 * value if metric in SHARES else value


def shown(value: float, stderr: object, metric: str) -> str:
    """Return a value for people: `61.2 ± 0.4`, per cent where the metric is a share, its error where it has one."""
    digits = 1 if metric in SHARES else 3
    spread = ""
    if isinstance(stderr, int | float) and math.isfinite(stderr):
        spread = f" ± {scaled(stderr, metric):.{digits}f}"
    return f"{scaled(value, metric):.{digits}f}{spread}"
