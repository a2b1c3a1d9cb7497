"""Votes for the tests of fits: battles as (first, second, verdict), or drawn by hypothesis, counted by pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from latxa_cli.arena.findings.evidence import Evidence
from latxa_cli.arena.findings.soundness import evidence_of
from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, NONE, TIE, VERDICTS, Column, PairCounts, Votes, count

Battle = tuple[str, str, int]
MODELS = "abcde"


def counts_of(battles: Sequence[Battle], models: Sequence[str] = MODELS) -> PairCounts:
    a, b = (np.array([models.index(battle[side]) for battle in battles], dtype=np.int64) for side in (0, 1))
    verdicts = np.array([battle[2] for battle in battles], dtype=np.int64)
    return count(Votes(list(models), a, b, {"winner": verdicts}))[0]


def votes_of(rows: Sequence[tuple[Any, ...]], models: Sequence[str] | None = None, **columns: Sequence[Any]) -> Votes:
    """Votes of (first, second, verdict by `winner`, verdict by `winner_language`); the last may lack."""
    models = sorted(models or {model for row in rows for model in row[:2]})
    a, b = (np.array([models.index(row[side]) for row in rows], np.int16) for side in (0, 1))
    said = {name: np.array([row[place] if len(row) > place else NONE for row in rows], np.int8)
            for name, place in (("winner", 2), ("winner_language", 3))}  # fmt: skip
    return Votes(models, a, b, said, {name: column_of(values) for name, values in columns.items()})


def column_of(values: Sequence[Any]) -> Column:
    names = sorted({value for value in values if value is not None})
    return Column(np.array([NONE if value is None else names.index(value) for value in values]), names)


def tallied(pairs: Mapping[tuple[str, str], Sequence[int]]) -> list[Battle]:
    """Battles by {(first, second): how often first won, second won, they tied, both were bad}."""
    return [(*pair, verdict) for pair, row in pairs.items() for verdict, times in enumerate(row) for _ in range(times)]


def evidence(votes: Votes, prior: float = 0.0) -> Evidence:
    return evidence_of(votes, "winner", *count(votes), prior)


def ring_of(models: Sequence[str]) -> list[Battle]:
    """One tie between neighbours, which keeps every rating finite."""
    return [(a, b, TIE) for a, b in zip(models, [*models[1:], models[0]], strict=True)]


def published(reference: Path) -> PairCounts:
    """The votes of the published arena."""
    with (reference / "arena" / "ebaluatoia_battles.jsonl").open() as lines:
        battles = [json.loads(line) for line in lines]
    models = sorted({battle["model_a"] for battle in battles})
    return counts_of([(b["model_a"], b["model_b"], VERDICTS.index(b["winner"])) for b in battles], models)


def redrawn(counts: PairCounts, rounds: int) -> np.ndarray:
    """(rounds, P, 4) cells of bootstrap rounds."""
    cells = counts.cells.reshape(-1)
    drawn = np.random.default_rng(0).multinomial(cells.sum(), cells / cells.sum(), size=rounds)
    return drawn.reshape(rounds, -1, 4)


pairs = st.tuples(st.sampled_from(MODELS), st.sampled_from(MODELS)).filter(lambda pair: pair[0] != pair[1])
verdicts = st.sampled_from((A_WON, B_WON, TIE, BOTH_BAD))
arenas = st.lists(st.builds(lambda pair, verdict: (*pair, verdict), pairs, verdicts), min_size=1, max_size=40)
