"""What `latxa arena-score` takes for 1.3 million battles, against parsing the file alone and the reference procedure.

    python tests/bench/arena.py [BATTLES]

The battles have the fields of a published arena (models, three criteria, user, level, id, timestamp; some 260 MB). The
peer of the first goal parses each line with `orjson.loads` and does nothing else. The reference procedure is that of
*Instructing Large Language Models for Low-Resource Languages*: for each round pandas draws the rows again and counts
them, and scikit-learn's LogisticRegression fits them without penalty to 1e-6. One round is measured, with the battles
in memory, and multiplied by 100; texts are Python's objects, as they were in the pandas of that time (2), and for
information those of pandas 3, of which a draw takes a third. Memory is the most that the process held (`ru_maxrss`).
Goals: at most 1.5 x the parse by CPU time, at least 100 x faster than the reference, at most 150 MB; 1,000 rounds on
13,000 battles in 0.3 s after start-up.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from timing import table, verdict

ROUNDS = 100
MODELS = [f"exp_{number // 6}_{number % 6:03b}" for number in range(18)] + ["llama-70b", "claude-3.5", "gpt-4o"]
STRENGTHS = np.random.default_rng(0).normal(0, 0.6, len(MODELS))
CRITERIA = ("winner", "winner_content", "winner_language")
VERDICTS = ("model_a", "model_b", "tie")
LEVELS = ("A1-A2", "B1-B2", "C1-C2")
GOAL_PARSE, GOAL_REFERENCE, GOAL_MEMORY, GOAL_SECONDS = 1.5, 100, 150, 0.3
LATXA = str(Path(sys.executable).with_name("latxa"))


def drawn(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (n,) first and second models, and (n, 3) verdicts: 0 and 1 for the first and second, 2 for a tie."""
    random = np.random.default_rng(1)
    a = random.integers(0, len(MODELS), number)
    b = (a + random.integers(1, len(MODELS), number)) % len(MODELS)
    chance = 1 / (1 + np.exp(STRENGTHS[b] - STRENGTHS[a]))
    verdicts = np.where(random.random((number, 3)) < chance[:, None], 0, 1)
    verdicts[random.random((number, 3)) < 0.2] = 2
    return a, b, verdicts


def write(path: Path, number: int) -> None:
    a, b, verdicts = drawn(number)
    random = np.random.default_rng(2)
    users = (random.random(number) ** 2 * max(20, number // 80)).astype(int)
    with path.open("w") as out:
        for vote in range(number):
            said = {name: VERDICTS[verdict] for name, verdict in zip(CRITERIA, verdicts[vote], strict=True)}
            names = {"id": f"{vote:x}", "model_a": MODELS[a[vote]], "model_b": MODELS[b[vote]]}
            user = int(users[vote])
            of_user = {"user": f"{user:08x}", "user_language": LEVELS[user % 3]}
            seconds = f"{vote // 3600 % 24:02}:{vote // 60 % 60:02}:{vote % 60:02}"
            out.write(
                json.dumps({**names, **said, **of_user, "timestamp": f"2025-03-19T{seconds}"}, separators=(",", ":"))
                + "\n"
            )


class Used(NamedTuple):
    """CPU seconds, wall seconds and the most memory in MB of one child."""

    cpu: float
    wall: float
    memory: float


# A child's `ru_maxrss` begins with what its parent holds: so a small process starts it.
LAUNCH = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def child(*command: str) -> Used:
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-SIc", LAUNCH, *command], stdout=subprocess.PIPE, text=True, check=True)
    cpu, memory = map(float, done.stdout.split())
    return Used(cpu, time.perf_counter() - started, memory)


PARSE = "import sys, orjson\nfor line in open(sys.argv[1], 'rb'): orjson.loads(line)"


def reference_rounds(path: Path) -> tuple[float, float]:
    """Return the CPU seconds of a round with all battles in memory, texts as Python's objects and as pandas 3's."""
    import pandas as pd

    with path.open() as lines:
        battles = pd.DataFrame([json.loads(line) for line in lines], dtype=object)
    return reference_round(battles), reference_round(battles.convert_dtypes())


def reference_round(battles: Any) -> float:
    """Return the CPU seconds of one round, as the reference procedure does it.

    Rows of a pandas frame are drawn, each verdict is counted by pairs, and 2 p (p - 1) weighted rows are fitted: a win
    counts twice, a tie once for each side.
    """
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    started = time.process_time()
    rows = battles.sample(frac=1.0, replace=True, random_state=42)
    weight = np.zeros((len(MODELS), len(MODELS)))
    for said in VERDICTS:
        chosen = rows[rows["winner"] == said]
        counted = pd.pivot_table(chosen, index="model_a", columns="model_b", aggfunc="size", fill_value=0)
        square = counted.reindex(index=MODELS, columns=MODELS, fill_value=0).to_numpy()
        weight += {"model_a": 2 * square, "model_b": 2 * square.T, "tie": square + square.T}[said]
    first, second = np.nonzero(~np.eye(len(MODELS), dtype=bool))
    design = np.zeros((len(first), len(MODELS)))
    design[np.arange(len(first)), first], design[np.arange(len(first)), second] = np.log(10), -np.log(10)
    LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-6).fit(
        np.concatenate([design, design]),
        np.repeat([1, 0], len(first)),
        sample_weight=np.concatenate([weight[first, second], weight[second, first]]),
    )
    return time.process_time() - started


def in_memory(number: int) -> float:
    """Return the best CPU seconds of a ranking by 1,000 rounds, its records made, with all modules loaded."""
    from latxa_cli.arena.rankings.intervals import RatingMethod
    from latxa_cli.arena.rankings.ranking import rank
    from latxa_cli.arena.votes import Votes

    a, b, verdicts = drawn(number)
    votes = Votes(MODELS, a, b, {"winner": verdicts[:, 0].astype(np.int8)})
    seconds = []
    for _ in range(6):
        started = time.process_time()
        list(rank(votes, ["winner"], RatingMethod(rounds=1000))[0].records())
        seconds.append(time.process_time() - started)
    return min(seconds)


def main(number: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        battles, ratings = Path(folder) / "battles.jsonl", Path(folder) / "ratings.jsonl"
        write(battles, number)
        size = battles.stat().st_size / 1e6
        parse, ours = [], []
        score = (LATXA, "arena-score", "--rounds", str(ROUNDS), str(battles), "-q", "-o", str(ratings))
        for _ in range(3):
            parse.append(child(sys.executable, "-c", PARSE, str(battles)))
            ours.append(child(*score))
        slow, slow_now = (ROUNDS * seconds for seconds in reference_rounds(battles))
    cpu = {"parse": median(used.cpu for used in parse), "ours": median(used.cpu for used in ours)}
    wall = {"parse": median(used.wall for used in parse), "ours": median(used.wall for used in ours)}
    memory = {"parse": max(used.memory for used in parse), "ours": max(used.memory for used in ours)}
    small = in_memory(13_000)
    sys.stdout.write(f"{number:,} battles, {size:.0f} MB; {ROUNDS} rounds\n")
    rows = [("", "cpu s", "wall s", "memory MB")]
    for name, label in (("parse", "orjson.loads of each line"), ("ours", "latxa arena-score")):
        rows.append((label, f"{cpu[name]:.2f}", f"{wall[name]:.2f}", f"{memory[name]:.0f}"))
    rows.append(("reference (1 round x 100)", f"{slow:.0f}", "", ""))
    rows.append(("the same with pandas 3's texts", f"{slow_now:.0f}", "", ""))
    table(rows)
    ratio, faster = cpu["ours"] / cpu["parse"], slow / cpu["ours"]
    text = f"{ratio:.2f} x the parse (goal {GOAL_PARSE}); {faster:.0f} x faster than the reference ({GOAL_REFERENCE}); "
    text += f"{memory['ours']:.0f} MB ({GOAL_MEMORY}); 1,000 rounds on 13,000 battles {small:.2f} s ({GOAL_SECONDS})"
    reached = ratio <= GOAL_PARSE and faster >= GOAL_REFERENCE and memory["ours"] <= GOAL_MEMORY
    verdict(text, reached and small <= GOAL_SECONDS)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_300_000)
