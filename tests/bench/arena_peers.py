"""Both fits of `arena-score` against evalica (Rust), on the votes of the published arena.

    python tests/bench/arena_peers.py [FILE.jsonl]

Needs evalica 0.4: `pip install --no-deps --target DIR evalica`, then `PYTHONPATH=DIR:.` (its one need, pandas, comes
with `latxa`). evalica's Bradley-Terry is Hunter's MM with ties as half wins, its `newman` is Davidson's model with
nu = 2 v by Newman's iteration; both are run until nothing moves (tolerance 1e-12), and as they stop by themselves.
Times are CPU seconds from lists of names and verdicts to ratings. Then 1,000 bootstrap rounds, drawn and fitted.
Goals: no rating more than 0.001 points apart; 1,000 rounds in 0.3 s.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from timing import Cost, by_turns, table, verdict

from latxa_cli.arena.fits.bradley_terry import SCALE, Wins, fit
from latxa_cli.arena.fits.davidson import fit_davidson
from latxa_cli.arena.votes import VERDICTS, PairCounts, Votes, count

BATTLES = Path(__file__).resolve().parents[3] / "shared" / "reference" / "arena" / "ebaluatoia_battles.jsonl"
GOAL = 1e-3  # points
TIGHT = {"tolerance": 1e-12, "limit": 100_000}
ROUNDS = 5
DRAWN, DRAWN_GOAL = 1000, 0.3  # CPU seconds
Board = dict[str, float]


class Battles:
    """Columns of names and verdicts, what all contestants start from."""

    def __init__(self, path: Path) -> None:
        rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        self.a, self.b, self.winner = ([row[field] for row in rows] for field in ("model_a", "model_b", "winner"))

    def counts(self) -> PairCounts:
        models = sorted({*self.a, *self.b})
        a, b, verdicts = coded(self.a, models), coded(self.b, models), coded(self.winner, VERDICTS)
        return count(Votes(models, a, b, {"winner": verdicts}))[0]


def coded(values: list[str], names: Sequence[str]) -> np.ndarray:
    place = {name: code for code, name in enumerate(names)}
    return np.array([place[value] for value in values])


def half_wins(battles: Battles) -> Board:
    counts = battles.counts()
    return board(counts.models, fit(counts, Wins.of(counts.cells[None]))[0])


def davidson(battles: Battles) -> Board:
    counts = battles.counts()
    return board(counts.models, fit_davidson(counts, counts.cells[None])[0][0])


def peer(evalica: Any, name: str, battles: Battles, **method: float) -> Board:
    kinds = evalica.Winner
    winners = {"model_a": kinds.X, "model_b": kinds.Y}
    found = getattr(evalica, name)(battles.a, battles.b, [winners.get(w, kinds.Draw) for w in battles.winner], **method)
    return board(list(found.scores.index), np.log(found.scores.to_numpy()))


def board(models: list[str], theta: np.ndarray) -> Board:
    return dict(zip(models, (SCALE * (theta - theta.mean())).tolist(), strict=True))


def apart(one: Board, other: Board) -> float:
    return max(abs(one[model] - other[model]) for model in one | other)


def rounds_drawn(counts: PairCounts, start: np.ndarray) -> np.ndarray:
    cells = counts.cells.reshape(-1)
    drawn = np.random.default_rng(0).multinomial(cells.sum(), cells / cells.sum(), size=DRAWN)
    return fit(counts, Wins.of(drawn.reshape(DRAWN, -1, 4)), start=start)


def timed(work: Callable[[], object]) -> Callable[[], Cost]:
    def measure() -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return Cost(time.perf_counter() - wall, time.process_time() - cpu)

    return measure


def main(path: Path) -> None:
    try:
        import evalica
    except ImportError:
        sys.exit("evalica is not there: pip install --no-deps --target DIR evalica, then PYTHONPATH=DIR:.")
    battles = Battles(path)
    rows = [("", "CPU s, ours", "evalica, tight", "evalica, default", "points apart, tight", "default")]
    worst = 0.0
    for title, ours, name in (("half wins", half_wins, "bradley_terry"), ("Davidson", davidson, "newman")):
        work: dict[str, Callable[[], Board]] = {
            "ours": lambda ours=ours: ours(battles),
            "tight": lambda name=name: peer(evalica, name, battles, **TIGHT),
            "default": lambda name=name: peer(evalica, name, battles),
        }
        known = work["ours"]()
        tight, default = apart(known, work["tight"]()), apart(known, work["default"]())
        costs = by_turns({kind: timed(run) for kind, run in work.items()}, ROUNDS)
        rows.append((title, *(f"{costs[kind].cpu:.4f}" for kind in work), f"{tight:.1e}", f"{default:.1e}"))
        worst = max(worst, tight)
    table(rows)
    counts = battles.counts()
    start = fit(counts, Wins.of(counts.cells[None]))[0]
    drawn = by_turns({"": timed(lambda: rounds_drawn(counts, start))}, ROUNDS)[""].cpu
    verdict(f"{DRAWN:,} rounds drawn and fitted in {drawn:.3f} s (goal {DRAWN_GOAL})", drawn <= DRAWN_GOAL)
    verdict(f"ratings at most {worst:.1e} points apart (goal {GOAL:g})", worst <= GOAL)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else BATTLES)
