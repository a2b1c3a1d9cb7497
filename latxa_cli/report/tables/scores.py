"""Tables of scores: the mean of each dimension of a rubric by model and category, and that of all dimensions.

`latxa judge ours.jsonl theirs.jsonl --rubric llm-eval --judge MODEL | latxa report`

The mean of the dimensions is our own, of every response first: the AVG that *LLaMA Beyond English* (arXiv 2401.01055)
prints is not always the mean of its columns. Scores of one response, by several judges, hang together: standard errors
are by prompt, and intervals follow Student's distribution.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from latxa_cli.report.tables.table import Rows, Table
from latxa_cli.stream.records import Record, Reject

CONFIDENCE = 0.9
MEAN = "mean"  # of the dimensions
NAMELESS = "(no model)"
FIGURES = ("model", "rubric", "category", "dimension", "value", "lower", "upper", "n", "prompts")


class Item(NamedTuple):
    """The scores of one response by one judge."""

    model: str
    category: str | None
    prompt: str
    scores: dict[str, float]


@dataclass
class Scores:
    """The scores of all files by rubric, judges by rubric, and which response was scored by whom."""

    by_rubric: dict[str, list[Item]] = field(default_factory=dict)
    judges: dict[str, dict[str, None]] = field(default_factory=dict)
    seen: set[tuple[str, ...]] = field(default_factory=set)

    def add(self, record: Record) -> Iterator[Reject]:
        """Add a record of scores; yield a Reject for a repeated one and for a score that is no finite number."""
        scores = record["scores"]
        if not scores or not all(type(value) in (int, float) and math.isfinite(value) for value in scores.values()):
            yield Reject(record, "no finite value")
            return
        rubric, model, judge = record["rubric"], record.get("model") or NAMELESS, record.get("judge") or ""
        key = rubric, model, judge, record["id"]
        if key in self.seen:
            yield Reject(record, "repeated score", "the first one is shown")
            return
        self.seen.add(key)
        if judge:
            self.judges.setdefault(rubric, {}).setdefault(judge)
        item = Item(model, record.get("task"), record["id"], dict(scores))
        self.by_rubric.setdefault(rubric, []).append(item)

    def tables(self) -> Iterator[Table]:
        """Yield a table for each rubric: its models, then its models in each category."""
        for rubric, items in self.by_rubric.items():
            dimensions = list(dict.fromkeys(name for item in items for name in item.scores))
            graded = (
                len(dimensions) > 1
                and MEAN not in dimensions
                and all(type(value) is int for item in items for value in item.scores.values())
            )
            records = list(_records(rubric, items, [*dimensions, *([MEAN] if graded else [])]))
            said = [f"means with intervals of {CONFIDENCE:.0%} by prompt; n is the number of responses"]
            if judges := list(self.judges.get(rubric, ())):
                said.append(f"judged by {', '.join(judges)}")
            title = f"Scores by the rubric {rubric}"
            yield Table(records, (records, list(FIGURES)), _texts(records), said, title)


def _records(rubric: str, items: Sequence[Item], dimensions: Sequence[str]) -> Iterator[Record]:
    """Yield {model, rubric, category, dimension, value, lower, upper, n, prompts}, the best model first."""
    for category in (None, *dict.fromkeys(item.category for item in items if item.category is not None)):
        by_model: dict[str, list[Item]] = {}
        for item in items:
            if category is None or item.category == category:
                by_model.setdefault(item.model, []).append(item)
        found = [
            {
                "model": model, "rubric": rubric, **({} if category is None else {"category": category}),
                "dimension": dimension, **_mean(of_model, dimension),
            }
            for model, of_model in by_model.items() for dimension in dimensions
        ]  # fmt: skip
        best = {record["model"]: record["value"] for record in found if record["dimension"] == MEAN}
        found.sort(key=lambda record: -(best.get(record["model"]) or 0.0))  # stable: the rest in order
        yield from (record for record in found if record["n"])


def _mean(items: Sequence[Item], dimension: str) -> Record:
    """Return the mean of a dimension with its bounds, where two prompts or more give any."""
    import numpy as np
    from scipy.special import stdtrit

    pairs = [(item.prompt, _score(item, dimension)) for item in items]
    pairs = [(prompt, value) for prompt, value in pairs if value is not None]
    if not pairs:
        return {"value": None, "lower": None, "upper": None, "n": 0, "prompts": 0}
    prompts = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompt for prompt, _ in pairs))}
    values = np.array([value for _, value in pairs], float)
    mean, count, clusters = float(values.mean()), len(values), len(prompts)
    found = {"value": round(mean, 6), "lower": None, "upper": None, "n": count, "prompts": clusters}
    if clusters > 1:
        residuals = np.bincount([prompts[prompt] for prompt, _ in pairs], values - mean)
        error = math.sqrt(float((residuals**2).sum()) * clusters / (clusters - 1)) / count
        reach = float(stdtrit(clusters - 1, (1 + CONFIDENCE) / 2)) * error
        found |= {"lower": round(mean - reach, 6), "upper": round(mean + reach, 6)}
    return found


def _score(item: Item, dimension: str) -> float | None:
    if dimension in item.scores or dimension != MEAN:
        return item.scores.get(dimension)
    return sum(item.scores.values()) / len(item.scores)


def _texts(records: Sequence[Record]) -> Rows:
    """Return rows for people: a model in a category, a column a dimension."""
    rows: dict[tuple[str, str | None], Record] = {}
    for record in records:
        category = record.get("category")
        row = rows.setdefault((record["model"], category), {"model": record["model"], "category": category or "all"})
        ends = "" if record["lower"] is None else f" ({record['lower']:.2f} – {record['upper']:.2f})"
        row[_column(record["dimension"])] = f"{record['value']:.2f}{ends}"
        row["n"] = f"{record['n']:,}"
    dimensions = dict.fromkeys(_column(record["dimension"]) for record in records)
    categories = ["category"] if any("category" in record for record in records) else []
    return list(rows.values()), ["model", *categories, *dimensions, "n"]


def _column(dimension: str) -> str:
    return f"{dimension} (score)" if dimension in ("model", "category", "n") else dimension
