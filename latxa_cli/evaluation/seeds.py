"""Figures of items that were asked several times, each time with other shots.

A score y(i, s) of item i with the shots of seed s has a part of the item, one of the seed, and a rest (the shots of
this item): a crossed design of two random factors. The figure is the mean over all, and its variance

    var(item)/I + var(seed)/S + var(rest)/(I S)  =  (MS_item + MS_seed - MS_rest) / (I S)

where MS are the mean squares of the two-way analysis of variance (Brennan, Generalizability Theory, 2001, chapter 2;
with many seeds it is the two-way cluster-robust variance of Cameron, Gelbach and Miller 2011). MS_item / (I S) is the
squared standard error of the items' own means (Miller, arXiv 2411.00640), which holds the variance of shots that
differ from item to item. What seeds add to all items at once is counted on top, and never as less than nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from latxa_cli.stream.records import JsonObject

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = "shot_seed"  # the field of a sample, and of its answer


def crossed_error(scores: NDArray[np.float64]) -> float:
    """Return the standard error of the mean of `scores`, a row for each item and a column for each seed.

    Scores that are not there (NaN), since a model gave no answer, are left out of every sum.
    """
    scores = scores[~np.isnan(scores).all(axis=1)]
    (items, seeds), count = scores.shape, (~np.isnan(scores)).sum()
    if items < 2:
        return 0.0
    whole = np.nanmean(scores)
    by_item = (np.nansum(scores - whole, axis=1) ** 2).sum() * items / (items - 1)
    if seeds < 2:
        return float(np.sqrt(by_item) / count)
    by_seed = (np.nansum(scores - whole, axis=0) ** 2).sum() * seeds / (seeds - 1)
    of_items, of_seeds = np.nanmean(scores, axis=1, keepdims=True), np.nanmean(scores, axis=0, keepdims=True)
    rest = np.nansum((scores - of_items - of_seeds + whole) ** 2) * items * seeds / ((items - 1) * (seeds - 1))
    return float(np.sqrt(by_item + max(0.0, by_seed - rest)) / count)


def joined(reports: Sequence[JsonObject], seeds: Sequence[int], groups: dict[str, Any]) -> JsonObject:
    """Return one report of the harness for those of several seeds: figures over items and seeds, samples with seeds.

    - A metric that is no mean of its items, such as F1, has the mean of its values as value; its error is that of one
      seed, and what the seeds differ by on top.
    - Groups aggregate the figures of their members again.

    Args:
        reports: one for each seed, of the same items.
        seeds: the seeds.
        groups: the harness's groups, by name.
    """
    if len(reports) == 1:
        return reports[0]
    whole = {**reports[0], "results": {name: dict(one) for name, one in reports[0]["results"].items()}, "samples": {}}
    for task in reports[0]["samples"]:
        for report, seed in zip(reports, seeds, strict=True):
            for sample in report["samples"][task]:
                whole["samples"].setdefault(task, []).append({**sample, SEED: seed})
        figures = whole["results"][task]
        for key in [key for key in figures if "," in key and "_stderr," not in key]:
            _join(figures, key, [report["results"][task] for report in reports], [r["samples"][task] for r in reports])
    for name in sorted(groups, key=lambda name: len(groups[name].get_all_tasks())):
        figures = groups[name].aggregate(whole["results"])
        whole["results"][name].update({key: value for key, value in figures.items() if "," in key})
    return whole


def _join(
    figures: JsonObject, key: str, results: Sequence[JsonObject], samples: Sequence[Sequence[JsonObject]]
) -> None:
    metric, _, name = key.partition(",")
    values = [result[key] for result in results]
    if not all(isinstance(value, (int, float)) for value in values):
        return
    error = f"{metric}_stderr,{name}"
    scores = _scores(samples, metric, name)
    if scores is not None and np.allclose(np.nanmean(scores, axis=0), values):
        figures[key], figures[error] = float(np.nanmean(scores)), crossed_error(scores)
        return
    errors = [result.get(error) for result in results]
    figures[key] = float(np.mean(values))
    if all(isinstance(one, (int, float)) for one in errors):
        between = float(np.var(values, ddof=1)) / len(values)
        figures[error] = float(np.sqrt(np.mean(np.square(np.array(errors, float))) + between))


def _scores(samples: Sequence[Sequence[JsonObject]], metric: str, name: str) -> NDArray[np.float64] | None:
    """Return the scores of a metric, a row for each item and a column for each seed; None where they are no numbers."""
    columns = [[sample.get(metric, np.nan) for sample in some if sample["filter"] == name] for some in samples]
    if any(not isinstance(score, (int, float)) for column in columns for score in column) or not columns[0]:
        return None
    return np.array(columns, np.float64).T
