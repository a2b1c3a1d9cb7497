"""The part of `corpus.py` about near-duplicates: speed against rensa and datatrove, and what is found."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import mess
import orjson
from setting import Setting, Verdict, lines
from timing import Cost, table

PEERS = Path(__file__).with_name("near_peers.py")
SMALL_BYTES = 4_000_000  # datatrove's part of the file, before the families of its documents are complete
GOALS = {"rensa": 1.8, "datatrove": 50.0}
FOUND, RIGHT = 0.99, 0.95


class Result(NamedTuple):
    """What a contestant took for `path`, and the ids of the documents that it would drop."""

    path: Path
    cost: Cost
    dropped: frozenset[str]


class Families:
    """The documents of a file by the original that they were made of; others are unrelated to each other."""

    def __init__(self, path: Path, origin: dict[str, str]) -> None:
        members: dict[str, dict[str, str]] = defaultdict(dict)
        for document in map(orjson.loads, lines(path)):
            members[origin[document["id"]]][document["id"]] = document["text"]
        self.alike: dict[tuple[str, str], float] = {}
        for texts in members.values():
            sets = {name: mess.shingles(text) for name, text in texts.items()} if len(texts) > 1 else {}
            for (a, ours), (b, theirs) in combinations(sets.items(), 2):
                common = len(ours & theirs)
                self.alike[a, b] = common / (len(ours) + len(theirs) - common)

    def quality(self, dropped: frozenset[str]) -> tuple[float, float]:
        """Return the recall, the share of pairs of 0.8 or more of which not both are kept; and the precision, the share
        of the dropped that are 0.7 or more like a document that is kept."""
        pairs = [pair for pair, jaccard in self.alike.items() if jaccard >= 0.8]
        found = sum(not dropped.isdisjoint(pair) for pair in pairs)
        right = {
            one
            for pair, jaccard in self.alike.items()
            if jaccard >= 0.7
            for one, other in (pair, pair[::-1])
            if one in dropped and other not in dropped
        }
        return found / len(pairs), len(right) / max(1, len(dropped))


def near(setting: Setting) -> list[Verdict]:
    path = setting.joined("near", {"original", "near"})
    origin = {truth["id"]: truth.get("of", truth["id"]) for truth in setting.built.truths()}
    results = _results(setting, path, _small(setting, path, origin))
    families = {file: Families(file, origin) for file in {result.path for result in results.values()}}
    rows = [("near", "MB", "cpu s", "MB/s cpu", "latxa is x", "recall at 0.8", "precision at 0.7")]
    speeds, verdicts = {}, []
    for name, result in results.items():
        size = result.path.stat().st_size / 1e6
        speeds[name] = size / result.cost.cpu
        recall, precision = families[result.path].quality(result.dropped)
        speed = (
            f"{size:.0f}",
            f"{result.cost.cpu:.2f}",
            f"{speeds[name]:.1f}",
            f"{speeds['latxa'] / speeds[name]:.1f}",
        )
        rows.append((name, *speed, f"{recall:.4f}", f"{precision:.4f}"))
        if name == "latxa":
            verdicts.append((f"near: recall {recall:.4f} at 0.8 (goal {FOUND})", recall >= FOUND))
            verdicts.append((f"near: precision {precision:.4f} at 0.7 (goal {RIGHT})", precision >= RIGHT))
    table(rows)
    for name, goal in GOALS.items():
        rivals = [speed for rival, speed in speeds.items() if rival.startswith(name)]
        if rivals:
            ratio = speeds["latxa"] / max(rivals)
            verdicts.append((f"near: {ratio:.1f} x the speed of {name} (goal {goal})", ratio >= goal))
    return verdicts


def _results(setting: Setting, path: Path, small: Path) -> dict[str, Result]:
    """Return the median result of every contestant, measured by turns; ours without start-up."""
    start = setting.startup("--only", "near")
    sys.stdout.write(f"start-up, {start.cpu:.2f} CPU s, is not counted for latxa; all else is, its output too\n")
    contestants: dict[str, Callable[[], Result]] = {"latxa": lambda: _ours(setting, path, start)}
    if setting.peers:
        for name, file in {"rensa": path, "rensa_lsh": path, "datatrove": small}.items():
            contestants[name] = lambda name=name, file=file: _peer(setting, name, file)
    several: dict[str, list[Result]] = defaultdict(list)
    for number in range(setting.rounds):
        for name, measure in contestants.items():
            if name != "datatrove" or not number:
                several[name].append(measure())
    return {name: sorted(r, key=lambda one: one.cost.cpu)[len(r) // 2] for name, r in several.items()}


def _ours(setting: Setting, path: Path, start: Cost) -> Result:
    rejects = setting.folder / "rejects.jsonl"
    cost = setting.latxa(path, "--only", "near", "--rejects", rejects)
    dropped = frozenset(orjson.loads(line)["record"]["id"] for line in lines(rejects))
    return Result(path, Cost(cost.wall - start.wall, cost.cpu - start.cpu), dropped)


def _peer(setting: Setting, name: str, path: Path) -> Result:
    with tempfile.TemporaryDirectory(dir=setting.folder) as folder:
        command = [str(setting.peers), str(PEERS), name, str(path), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name} failed in `{setting.peers}`:\n{done.stderr[-2000:]}")
        found = json.loads((Path(folder) / f"{name}.json").read_text())
    return Result(path, Cost(found["wall"], found["cpu"]), frozenset(found["dropped"]))


def _small(setting: Setting, path: Path, origin: dict[str, str]) -> Path:
    """Return a file with the first documents of `path` and all that are made of the same originals."""
    size, chosen = 0, set()
    for line in lines(path):
        size += len(line)
        if size > SMALL_BYTES:
            break
        chosen.add(origin[orjson.loads(line)["id"]])
    small = setting.folder / "small.jsonl"
    with small.open("wb") as out:
        out.writelines(line for line in lines(path) if origin[orjson.loads(line)["id"]] in chosen)
    return small
