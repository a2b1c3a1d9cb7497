"""Do benchmarks order models as people do? Spearman's rank correlation of arena ratings with results.

One coefficient for each task, and one for the mean of each language's tasks. Spearman, 1904, "The proof and measurement
of association between two things", American Journal of Psychology 15.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np

from latxa_cli.arena.votes import Floats
from latxa_cli.stream.kinds import SHARES
from latxa_cli.stream.records import Record

FEWEST = 3  # models: two are always in perfect order, or in perfect disorder
VARIANTS = ("task", "metric", "filter", "num_fewshot", "language")  # what makes two results comparable

Column = tuple[str | None, ...]  # the values of VARIANTS
Values = Mapping[str, float]  # by model


@dataclass(frozen=True)
class Correlation:
    """Spearman's coefficient and its two-sided p value, nan where there is none."""

    rho: float
    p: float


def correlate(
    ratings: Mapping[str, float],
    results: Iterable[Record],
    replicates: Floats | None = None,
    *,
    confidence: float = 0.9,
    paper: bool = False,
) -> list[Record]:
    """Return a record for the mean of each language's tasks, then one for each task as it was measured.

    {correlation, p, lower, upper, benchmark, language, metric, models, left_out}: `benchmark` is a task, or `mean of 14
    tasks`; numbers are None where fewer than three models have results or all are equal. The mean takes tasks measured
    as shares, each by the first of its metrics; a model that lacks one of the results is left out and counted.

    - ratings: by model, perhaps infinite.
    - replicates: (rounds, models) ratings of bootstrap rounds, in the order of `ratings`, for the interval
      (percentiles; rounds with nan do not count).
    - paper: the mean as the study's notebook has it, in per cent with the mean itself and the model's rank among the
      values averaged, to compare with its numbers.
    """
    models = list(ratings)
    columns = _columns(results)
    benchmarks = [*_means(columns, models, paper=paper), *_tasks(columns)]
    records = []
    for benchmark, values in benchmarks:
        places = [number for number, model in enumerate(models) if model in values]
        ours = np.array([ratings[models[number]] for number in places], dtype=np.float64)
        theirs = np.array([values[models[number]] for number in places], dtype=np.float64)
        coefficients = spearman(ours, theirs)
        lower, upper = _interval(replicates[:, places], theirs, confidence) if replicates is not None else (nan, nan)
        numbers = {"correlation": coefficients.rho, "p": coefficients.p, "lower": lower, "upper": upper}
        shown = {name: float(number) if isfinite(number) else None for name, number in numbers.items()}
        records.append(shown | benchmark | {"models": len(places), "left_out": len(models) - len(places)})
    return records


def spearman(first: Floats, second: Floats) -> Correlation:
    """Return the correlation of the ranks of two (n,) arrays; equal values share the mean of their ranks.

    p is that of Student's t with n - 2 degrees of freedom, an approximation for fewer than some ten values.
    """
    from scipy.special import stdtr

    rho = float(_coefficients(first[None], second)[0])
    free = len(first) - 2
    if not isfinite(rho) or free < 1:
        return Correlation(nan, nan)
    if abs(rho) == 1:
        return Correlation(rho, 0.0)
    return Correlation(rho, 2 * float(stdtr(free, -abs(rho) * np.sqrt(free / (1 - rho**2)))))


def _coefficients(rows: Floats, values: Floats) -> Floats:
    """Return (rounds,) the coefficient of each of `rows` (rounds, n) with `values` (n,); nan where all are equal."""
    from scipy.stats import rankdata

    if len(values) < FEWEST:
        return np.full(len(rows), nan)
    ours, theirs = rankdata(rows, axis=1), rankdata(values)
    ours, theirs = ours - ours.mean(axis=1, keepdims=True), theirs - theirs.mean()
    lengths = np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum())
    ratios = np.divide(ours @ theirs, lengths, out=np.full(len(rows), nan), where=lengths > 0)
    return np.clip(ratios, -1, 1)


def _interval(replicates: Floats, values: Floats, confidence: float) -> tuple[float, float]:
    coefficients = _coefficients(replicates[~np.isnan(replicates).any(axis=1)], values)
    if not len(coefficients) or np.isnan(coefficients).any():
        return nan, nan
    lower, upper = np.quantile(coefficients, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(lower), float(upper)


def _columns(results: Iterable[Record]) -> dict[Column, dict[str, float]]:
    """Return the values by model of all that was measured, as it came; the first one where one comes twice."""
    columns: dict[Column, dict[str, float]] = {}
    for result in results:
        column = tuple(result.get(name) for name in VARIANTS)
        if isfinite(result["value"]):
            columns.setdefault(column, {}).setdefault(result["model"], result["value"])
    return columns


def _tasks(columns: Mapping[Column, Values]) -> list[tuple[Record, Values]]:
    names = ("benchmark", *VARIANTS[1:])
    return [
        ({name: part for name, part in zip(names, column, strict=True) if part is not None}, values)
        for column, values in columns.items()
    ]


def _means(columns: Mapping[Column, Values], models: Sequence[str], *, paper: bool) -> list[tuple[Record, Values]]:
    """Return the mean of each language's tasks, where there are several."""
    languages: dict[str | None, dict[str | None, Values]] = {}
    for column, values in columns.items():
        task, metric, *_, language = column
        if metric in SHARES:
            languages.setdefault(language, {}).setdefault(task, values)
    # The notebook ranks all models of its table, those without a rating too.
    pool = list(dict.fromkeys(model for values in columns.values() for model in values)) if paper else models
    means: list[tuple[Record, Values]] = []
    for language, tasks in languages.items():
        if len(tasks) < 2:
            continue
        whole = [model for model in pool if all(model in values for values in tasks.values())]
        table = np.array([[values[model] for values in tasks.values()] for model in whole])
        mean = table.mean(axis=1) if whole else np.zeros(0)
        mean = _as_in_the_notebook(mean, len(tasks)) if paper else mean
        labels = {"benchmark": f"mean of {len(tasks)} tasks"} | ({} if language is None else {"language": language})
        means.append((labels, dict(zip(whole, mean.tolist(), strict=True))))
    return means


def _as_in_the_notebook(mean: Floats, tasks: int) -> Floats:
    """Return the mean over `tasks` values and two more rows of the notebook's table: their mean, and the rank of it."""
    from scipy.stats import rankdata

    # Equal values must stay equal: two of the study's models have one in Spanish.
    return np.round((100 * mean * (tasks + 1) + rankdata(-mean, method="max")) / (tasks + 2), 9)
