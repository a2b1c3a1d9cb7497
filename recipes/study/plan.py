"""What a study would do, before it does anything: jobs, tokens, GPU-hours and disk by stage, and a drawing of it.

    recipes/study.sh --size 8b --dry-run

Standard library only. The facts of a size stand in recipes/sizes/SIZE.sh, a word each:

    tokens:MADE=N       tokens of what a job makes, or of each file in a folder; of a mix, those of its needs
    epochs:MADE=N       passes over them; `epochs=N` where no other is said
    rate:STAGE=N        tokens that one GPU takes in a second, in training or in writing
    hours:STAGE=N       GPU-hours of one model in a stage in which tokens are not counted
    bytes:model=N, bytes:token=N, bytes:training=N      disk: of a model, of a token of text, of a model in training
    at_once:STAGE=N     jobs of a stage that run at the same time on a cluster, such as models in training
    gpus:STAGE=N        GPUs that a stage has at the same time, for the hours that it takes
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from job import Job

SECONDS = 3600
SHARD = re.compile(r" --shard (\d+)/(\d+)")
BOX = (150, 40)  # width and height of a stage in the drawing
GAP = (60, 24)


@dataclass
class Cost:
    """What the jobs of a stage cost together."""

    jobs: int = 0
    done: int = 0
    tokens: float = 0.0
    hours: float = 0.0  # of one GPU
    disk: float = 0.0  # bytes
    after: dict[str, None] = field(default_factory=dict)


class Plan:
    """The costs of the chosen ones of all jobs, by the facts of their size."""

    def __init__(self, jobs: Sequence[Job], chosen: Sequence[Job], facts: Mapping[str, float]) -> None:
        self.jobs, self.chosen, self.facts = {job.made: job for job in jobs}, chosen, facts

    def tokens(self, made: str) -> float:
        """Return the tokens of what a job makes, of a shard its part: as stated, or those of the text that it needs."""
        shard = SHARD.search(self.jobs[made].command)
        whole, parts = (made.replace(f".{shard[1]}.", "."), int(shard[2])) if shard else (made, 1)
        for stated in (whole, made.partition("/")[0]):
            if f"tokens:{stated}" in self.facts:
                return self.facts[f"tokens:{stated}"] / parts
        texts = [need for need in self.jobs[made].needs if not need.startswith(("models/", "data/"))]
        return sum(self.tokens(need) for need in texts if need in self.jobs) / parts

    def work(self, job: Job) -> float:
        """Return the tokens that a job takes in or writes."""
        epochs = self.facts.get(f"epochs:{job.made}", self.facts.get("epochs", 1.0))
        return self.tokens(job.made) * (epochs if job.stage in ("backbone", "train") else 1.0)

    def hours(self, job: Job) -> float:
        """Return a job's GPU-hours."""
        if f"hours:{job.stage}" in self.facts:
            models = sum(need.startswith("models/") for need in job.needs)
            return self.facts[f"hours:{job.stage}"] * max(models, 1)
        rate = self.facts.get(f"rate:{job.stage}")
        return self.work(job) / rate / SECONDS if rate else 0.0

    def disk(self, job: Job) -> float:
        """Return the bytes that stay of what a job makes."""
        if job.made.startswith("models/"):
            return self.facts.get("bytes:model", 0.0)
        return self.tokens(job.made) * self.facts.get("bytes:token", 0.0) if "/" in job.made else 0.0

    def stages(self) -> dict[str, Cost]:
        """Return the cost of each stage, in order."""
        costs: dict[str, Cost] = {}
        for job in self.chosen:
            cost = costs.setdefault(job.stage, Cost())
            cost.jobs += 1
            cost.after |= dict.fromkeys(
                self.jobs[need].stage for need in job.needs if self.jobs[need].stage != job.stage
            )
            if job.done():
                cost.done += 1
                continue
            cost.tokens += self.work(job)
            cost.hours += self.hours(job)
            cost.disk += self.disk(job)
        return direct(costs)

    def total_hours(self) -> float:
        return sum(cost.hours for cost in self.stages().values())

    def total_disk(self) -> float:
        """Return the bytes of disk that all that is missing takes, with the checkpoints of training."""
        return self.checkpoints() + sum(cost.disk for cost in self.stages().values())

    def checkpoints(self) -> float:
        """Return the bytes of disk that models take while they are trained."""
        return self.facts.get("bytes:training", 0.0) * self.facts.get("at_once:train", 1.0)

    def on_gpus(self, stage: str, cost: Cost) -> tuple[str, str]:
        """Return how many GPUs a stage has at the same time, and the hours that it takes on them."""
        gpus = self.facts.get(f"gpus:{stage}")
        return (f"{gpus:.0f}", f"{cost.hours / gpus:,.1f}") if gpus else ("-", "-")

    def text(self) -> str:
        """Return the plan as a table, with the stages before each as arrows into it."""
        costs = self.stages()
        rows = [("stage", "jobs", "done", "tokens", "GPU-hours", "GPUs", "hours", "disk", "after")]
        rows += [
            (
                stage, str(cost.jobs), str(cost.done), short(cost.tokens), f"{cost.hours:,.1f}",
                *self.on_gpus(stage, cost), short(cost.disk, "B"), "◀ " + " ".join(cost.after) if cost.after else "",
            )
            for stage, cost in costs.items()
        ]  # fmt: skip
        disk = sum(cost.disk for cost in costs.values())
        rows.append(("all", str(len(self.chosen)), str(sum(cost.done for cost in costs.values())), "",
                     f"{self.total_hours():,.1f}", "", "", short(disk, "B"), ""))  # fmt: skip
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(
                cell.ljust(width) if column in (0, 8) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        lines.append(f"and {short(self.checkpoints(), 'B')} of disk for checkpoints while models are trained")
        return "\n".join(lines)

    def drawing(self) -> str:
        """Return the plan as SVG: a box a stage, arrows from each stage to those that need it."""
        costs = self.stages()
        depth: dict[str, int] = {}
        for stage, cost in costs.items():
            depth[stage] = 1 + max((depth.get(before, 0) for before in cost.after), default=-1)
        columns = [[stage for stage in costs if depth[stage] == level] for level in range(max(depth.values()) + 1)]
        tallest = max(map(len, columns))
        size = (len(columns) * (BOX[0] + GAP[0]) + GAP[0], tallest * (BOX[1] + GAP[1]) + GAP[1])
        places = {
            stage: (
                GAP[0] + level * (BOX[0] + GAP[0]),
                (size[1] - len(column) * (BOX[1] + GAP[1])) / 2 + GAP[1] / 2 + row * (BOX[1] + GAP[1]),
            )
            for level, column in enumerate(columns) for row, stage in enumerate(column)
        }  # fmt: skip
        arrows = [
            arrow(places[before], places[stage]) for stage, cost in costs.items() for before in cost.after
            if before in places
        ]  # fmt: skip
        boxes = [box(*places[stage], stage, cost) for stage, cost in costs.items()]
        return SVG.format(width=size[0], height=size[1], body="\n".join(arrows + boxes))


def direct(costs: dict[str, Cost]) -> dict[str, Cost]:
    """Leave out of `after` what stands before another stage of it, and return the costs."""
    before: dict[str, set[str]] = {}
    for stage, cost in costs.items():
        further = set().union(*(before.get(each, set()) for each in cost.after))
        before[stage] = further | set(cost.after)
        cost.after = {each: None for each in cost.after if each not in further}
    return costs


SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 8 4 0 8z" fill="#666"/></marker></defs>
<rect width="100%" height="100%" fill="white"/>
{body}
</svg>
"""


def arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (to_x, to_y) = (start[0] + BOX[0], start[1] + BOX[1] / 2), (end[0], end[1] + BOX[1] / 2)
    middle = (x + to_x) / 2
    curve = f"M{x:.0f} {y:.0f}C{middle:.0f} {y:.0f} {middle:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"
    return f'<path d="{curve}" fill="none" stroke="#999" marker-end="url(#tip)"/>'


def box(x: float, y: float, stage: str, cost: Cost) -> str:
    count = f"{cost.jobs} jobs" if cost.jobs > 1 else "1 job"
    said = f"{count}, {cost.hours:,.0f} GPU h" if cost.hours >= 1 else count
    middle = x + BOX[0] / 2
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="5" fill="#eef3fa" stroke="#456"/>'
        f'<text x="{middle:.0f}" y="{y + 17:.0f}" text-anchor="middle" font-weight="bold">{escape(stage)}</text>'
        f'<text x="{middle:.0f}" y="{y + 33:.0f}" text-anchor="middle" font-size="11">{escape(said)}</text>'
    )


def short(value: float, unit: str = "") -> str:
    """Return a number in three digits, such as 3.5 G."""
    if not value:
        return "-"
    for sign, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {sign}{unit}"
    return f"{value:.0f} {unit}".strip()
