"""Votes for the tests of fits: battles as (first, second, verdict), or drawn by hypothesis, counted by pairs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, TIE, VERDICTS, Counts, Votes, count

Battle = tuple[str, str, int]
MODELS = "abcde"


def counts_of(battles: Sequence[Battle], models: Sequence[str] = MODELS) -> Counts:
    a, b = (np.array([models.index(battle[side]) for battle in battles], dtype=np.int64) for side in (0, 1))
    verdicts = np.array([battle[2] for battle in battles], dtype=np.int64)
    return count(Votes(list(models), a, b, {"winner": verdicts}))[0]


def ring_of(models: Sequence[str]) -> list[Battle]:
    """One tie between neighbours, which keeps every rating finite."""
    return [(a, b, TIE) for a, b in zip(models, [*models[1:], models[0]], strict=True)]


def published(reference: Path) -> Counts:
    """The votes of the published arena."""
    with (reference / "arena" / "ebaluatoia_battles.jsonl").open() as lines:
        battles = [json.loads(line) for line in lines]
    models = sorted({battle["model_a"] for battle in battles})
    return counts_of([(b["model_a"], b["model_b"], VERDICTS.index(b["winner"])) for b in battles], models)


def redrawn(counts: Counts, rounds: int) -> np.ndarray:
    """(rounds, P, 4) cells of bootstrap rounds."""
    cells = counts.cells.reshape(-1)
    drawn = np.random.default_rng(0).multinomial(cells.sum(), cells / cells.sum(), size=rounds)
    return drawn.reshape(rounds, -1, 4)


pairs = st.tuples(st.sampled_from(MODELS), st.sampled_from(MODELS)).filter(lambda pair: pair[0] != pair[1])
verdicts = st.sampled_from((A_WON, B_WON, TIE, BOTH_BAD))
arenas = st.lists(st.builds(lambda pair, verdict: (*pair, verdict), pairs, verdicts), min_size=1, max_size=40)
