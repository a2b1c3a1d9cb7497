"""What each factor of the training does to benchmarks, and what a new language costs the others.

`latxa report results/ --table factors --table tradeoff`

Factors are those of the grid of variants (corpus, instructions, backbone), read from the codes of rows, or those of a
file of the user's. As in the paper (arXiv 2506.07597), a variant that equals another one has its values, and models
that follow no instructions, such as a base model, are not compared with those that do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from latxa_cli.report.tables.benchmarks import BenchmarkRow, BenchmarkTable
from latxa_cli.report.tables.table import Table
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import Record
from latxa_cli.variants import Variant, grid

CONFIDENCE = 0.9
FEWEST = 3  # clusters of pairs for an interval
NOTHING = ("none", "no")  # levels that others are compared with, wherever they stand
BACKBONE = "backbone"  # the factor whose level names the row of the model that was trained on


@dataclass(frozen=True)
class Made:
    """What a model is made of.

    - levels: by factor.
    - backbone: the name of its backbone's row, or the empty string.
    - compared: whether it takes part in the effects of factors.
    """

    levels: Mapping[str, str]
    backbone: str
    compared: bool = True


@dataclass(frozen=True)
class Effect:
    """The mean difference of pairs of models that differ in one factor alone.

    - pairs, clusters: the number of pairs, and of groups of pairs that share a model.
    - lower, upper: the interval by Student's t over clusters; None for too few.
    """

    change: float
    lower: float | None
    upper: float | None
    pairs: int
    clusters: int


# --- what models are made of -----------------------------------------------------------------------------------------


def made_of(rows: Iterable[BenchmarkRow], file: Path | None = None) -> dict[str, Made]:
    """Return what the models of rows are made of, by the names of rows: by their codes, or as a file says.

    Raises LatxaError for a file that cannot be read, and where nothing is known of any model.
    """
    if file is not None:
        return _of_file(file, list(rows))
    known = {row.name: _of_code(row.code) for row in rows if row.code}
    if not known:
        hint = "name what models are made of with `--factors FILE.tsv`"
        raise LatxaError("no model is called after a variant, such as `exp_2_101`", hint=hint)
    return known


def _of_code(code: str) -> Made:
    variant = grid()[f"exp_{code}"]
    parts = dict(part.split("_", 1) for part in variant.name.split(" "))
    levels = {
        "corpus": "yes" if "corpus" in variant.inputs else "no",
        "instructions": parts.get("I", "none"),
        BACKBONE: variant.name.split(" ")[0],
    }
    return Made(levels, f"{code[0]}_000", _follows_instructions(grid()[variant.equals]))


def _follows_instructions(variant: Variant) -> bool:
    return variant.backbone == "instructed" or bool({"target", "english"} & {*variant.inputs})


def _of_file(file: Path, rows: Sequence[BenchmarkRow]) -> dict[str, Made]:
    try:
        lines = [line.rstrip("\r").split("\t") for line in file.read_text(encoding="utf-8-sig").split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"`{file}` cannot be read: {problem}") from None
    head = lines[0]
    if head[0] != "model" or len(head) < 2 or len({*head}) < len(head):
        raise LatxaError(f"{file}:1: is not `model` and the names of factors, with tabs between them")
    made: dict[str, Made] = {}
    for number, line in enumerate(lines[1:], 2):
        if line == [""]:
            continue
        if len(line) != len(head):
            raise LatxaError(f"{file}:{number}: has {len(line)} cells, and the first line has {len(head)}")
        levels = dict(zip(head[1:], line[1:], strict=True))
        for row in rows:
            if _is_called(row, line[0]):
                if row.name in made:
                    raise LatxaError(f"{file}:{number}: `{line[0]}` stands there twice")
                made[row.name] = Made(levels, _row_called(levels.get(BACKBONE, ""), rows))
    if not made:
        names = ", ".join(f"`{row.name}`" for row in rows[:5])
        raise LatxaError(f"{file}: names none of the models", hint=f"the table has {names}")
    return made


def _row_called(name: str, rows: Sequence[BenchmarkRow]) -> str:
    return next((row.name for row in rows if name and _is_called(row, name)), "")


def _is_called(row: BenchmarkRow, name: str) -> bool:
    return name in (row.name, f"exp_{row.code}") or (name == row.model and not row.same_as)


# --- effects ---------------------------------------------------------------------------------------------------------


def effects(tables: Sequence[BenchmarkTable], made: Mapping[str, Made]) -> Table:
    """Return the mean of models with each level of each factor, and its difference from the first level, or from none.

    Raises LatxaError where no factor has two levels.
    """
    records, rows = [], []
    languages = [table.layout.language for table in tables]
    names = list(dict.fromkeys(factor for one in made.values() for factor in one.levels))
    for factor in names:
        levels = list(dict.fromkeys(one.levels[factor] for one in made.values() if one.compared))
        levels.sort(key=lambda level: level not in NOTHING)
        for level in levels if len(levels) > 1 else ():
            row: Record = {"factor": factor, "level": level}
            for table, language in zip(tables, languages, strict=True):
                found = _effect_record(table, made, factor, level, levels[0])
                records.append({"factor": factor, "level": level, "table": table.layout.name, **found})
                row |= _effect_words(found, language)
            rows.append(row)
    if not rows:
        raise LatxaError("all models have the same level of every factor, so that there is nothing to compare")
    parts = [f"{language}{part}" for language in languages for part in (" ↑", " change", " pairs")]
    columns = ["factor", "level", *(f"{language} models" for language in languages[:1]), *parts]
    if len(languages) > 1:
        columns[2:3] = ["models"]
        for row in rows:
            row["models"] = row[f"{languages[0]} models"]
    notes = [
        "means over the models that have all tasks of a table, in per cent; a variant that equals another one counts",
        "change: from the first level, the mean over pairs of models that differ in this factor alone; interval of "
        f"{CONFIDENCE:.0%} by Student's t, in which pairs that share a model count as one",
        *_left_out("tasks are missing, nothing is known of them, or they follow no instructions", tables, {
            row.name for table in tables for row in table.rows
            if row.rank is not None and row.name in made and made[row.name].compared
        }),
    ]  # fmt: skip
    return Table(records, (records, list(dict.fromkeys(name for record in records for name in record))),
                 (rows, columns), notes, "Factors")  # fmt: skip


def _effect_record(table: BenchmarkTable, made: Mapping[str, Made], factor: str, level: str, first: str) -> Record:
    whole = [row for row in table.rows if row.rank is not None]
    rows = {row.name: row for row in whole if row.name in made and made[row.name].compared}
    means = [row.mean for name, row in rows.items() if made[name].levels[factor] == level and row.mean is not None]
    found: Record = {"models": len(means), "mean": math.fsum(means) / len(means) if means else None}
    effect = _effect([
        (rows[a], rows[b]) for a in rows for b in rows
        if (made[a].levels[factor], made[b].levels[factor]) == (first, level) and _alike(made[a], made[b], factor)
    ]) if level != first else None  # fmt: skip
    of = {"from": first, "change": None, "lower": None, "upper": None, "pairs": 0, "clusters": 0}
    return found | of | (vars(effect) if effect else {})


def _alike(one: Made, other: Made, factor: str) -> bool:
    return all(one.levels[name] == other.levels[name] for name in one.levels if name != factor)


def _effect(pairs: Sequence[tuple[BenchmarkRow, BenchmarkRow]]) -> Effect | None:
    """Return the mean difference of pairs; a model beside itself under another code is none of them.

    Its variance is that of a mean of clusters (Liang and Zeger, 1986), with G / (G - 1) for few of them.
    """
    apart = [
        (_identity(a), _identity(b), b.mean - a.mean) for a, b in pairs
        if a.mean is not None and b.mean is not None and _identity(a) != _identity(b)
    ]  # fmt: skip
    if not apart:
        return None
    mean = math.fsum(change for _, _, change in apart) / len(apart)
    cluster = _clusters([{a, b} for a, b, _ in apart])
    count = len({*cluster})
    if count < FEWEST:
        return Effect(mean, None, None, len(apart), count)
    from scipy.special import stdtrit

    sums = dict.fromkeys(cluster, 0.0)
    for number, (_, _, change) in zip(cluster, apart, strict=True):
        sums[number] += change - mean
    error = math.sqrt(count / (count - 1) * math.fsum(value**2 for value in sums.values())) / len(apart)
    width = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * error
    return Effect(mean, mean - width, mean + width, len(apart), count)


def _identity(row: BenchmarkRow) -> str:
    return row.same_as or row.name


def _clusters(sets: Sequence[set[str]]) -> list[int]:
    """Return the number of each set's cluster: sets with something in common, directly or not, are in one."""
    numbers = list(range(len(sets)))
    for a, b in combinations(range(len(sets)), 2):
        if sets[a] & sets[b]:
            old, new = max(numbers[a], numbers[b]), min(numbers[a], numbers[b])
            numbers = [new if number == old else number for number in numbers]
    return numbers


def _effect_words(found: Record, language: str) -> Record:
    change = None
    if found["change"] is not None:
        bounds = "" if found["lower"] is None else f" ({found['lower']:+.2f} – {found['upper']:+.2f})"
        change = f"{found['change']:+.2f}{bounds}"
    return {
        f"{language} models": found["models"],
        f"{language} ↑": None if found["mean"] is None else f"{found['mean']:.2f}",
        f"{language} change": change,
        f"{language} pairs": found["pairs"] or None,
    }


# --- what a language costs the others --------------------------------------------------------------------------------


def trade_off(tables: Sequence[BenchmarkTable], made: Mapping[str, Made]) -> Table:
    """Return how far each model is from its own backbone: over the benchmarks that all languages have, and over all.

    Raises LatxaError where no model stands beside its backbone.
    """
    families = [{task.family for task in table.counted if task.family} for table in tables]
    shared = set.intersection(*families) if len(tables) > 1 else set()
    if not shared:
        raise LatxaError(
            "a trade-off needs results in two languages, on benchmarks that both have",
            hint="name tables whose tasks share a `family`, or give the results of `--suite basque --suite english`",
        )
    records, rows = [], []
    for name, one in made.items():
        row: Record = {"model": name, BACKBONE: one.backbone}
        for table in tables:
            for found in _changes(table, shared, name, one.backbone):
                records.append({"model": name, BACKBONE: one.backbone, "table": table.layout.name, **found})
                what = table.layout.language + ("" if found["over"] == "shared" else ", all tasks")
                error = "" if found["stderr"] is None else f" ± {found['stderr']:.2f}"
                row[what] = f"{found['change']:+.2f}{error}"
        if len(row) > 2:
            rows.append(row)
    if not rows:
        raise LatxaError("no model stands beside its own backbone", hint="give the results of backbones too")
    languages = [table.layout.language for table in tables]
    columns = ["model", BACKBONE, *languages, *(f"{language}, all tasks" for language in languages)]
    notes = [
        "points of per cent more than the backbone has, in the mean over the benchmarks that all languages have "
        f"({', '.join(sorted(shared))}), and over all tasks of a table; below zero, something is forgotten",
        "±: the standard error if answers were independent; `latxa compare` pairs them, and shows smaller differences",
        *_left_out("their backbone or some of the tasks are missing, or they are backbones", tables, {
            row["model"] for row in rows
        }),
    ]  # fmt: skip
    return Table(records, (records, list(records[0])), (rows, columns), notes, "Trade-off between languages")


def _changes(table: BenchmarkTable, shared: set[str], name: str, backbone: str) -> Iterator[Record]:
    """Yield the mean change over the shared benchmarks, and over all tasks, where both models have all of these."""
    rows = {row.name: row for row in table.rows}
    row, before = rows.get(name), rows.get(backbone)
    if row is None or before is None or _identity(row) == _identity(before):
        return
    for over in ("shared", "all"):
        tasks = [task.name for task in table.counted if over == "all" or task.family in shared]
        if not all(task in one.cells for task in tasks for one in (row, before)):
            continue
        change = math.fsum(row.cells[task].value - before.cells[task].value for task in tasks) / len(tasks)
        errors = [one.cells[task].result.get("stderr") for task in tasks for one in (row, before)]
        known = [100 * error for error in errors if error is not None and math.isfinite(error)]
        stderr = math.sqrt(math.fsum(error**2 for error in known)) / len(tasks) if len(known) == len(errors) else None
        yield {"over": over, "tasks": len(tasks), "change": change, "stderr": stderr}


def _left_out(why: str, tables: Sequence[BenchmarkTable], shown: set[str]) -> list[str]:
    names = dict.fromkeys(row.name for table in tables for row in table.rows if row.name not in shown)
    return [f"left out, since {why}: {', '.join(names)}"] if names else []
