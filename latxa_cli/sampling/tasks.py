"""What kinds of instruction Magpie draws: a system message, how to decode, and how often; one TOML file each.

latxa sample -m MODEL -n 1000 --task code --task math --task my_task.toml
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from latxa_cli.generation.engine import Decoding
from latxa_cli.stream.records import keyed_hash
from latxa_cli.stream.tables import find_files, read_table

FOLDER = Path(__file__).parent / "tasks"
GENERAL = "general"
_MOST = {"temperature": 100, "top_p": 1, "max_tokens": 1 << 31}


@dataclass(frozen=True, slots=True)
class Task:
    """`system`: the system message to draw under; `weight`: how often, against the other tasks of a run; `not_first`:
    with what no instruction may begin; `instruction`, `answer`: how to decode each."""

    name: str
    system: str | None = None
    weight: float = 1.0
    not_first: tuple[str, ...] = ()
    instruction: Decoding = field(default_factory=lambda: Decoding(1024, 1.0))
    answer: Decoding = field(default_factory=lambda: Decoding(4096))

    def changed(self, system: str | None, instruction: dict[str, Any], answer: dict[str, Any]) -> Task:
        """Return the task with what is not None in place of its own."""
        return replace(
            self,
            system=self.system if system is None else system or None,
            instruction=replace(self.instruction, **_given(instruction)),
            answer=replace(self.answer, **_given(answer)),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        return asdict(self)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def load_tasks(names: Iterable[str]) -> list[Task]:
    """Return tasks by name or file, and all those of folders; raises UsageError, and LatxaError for a bad file."""
    known = [one.name for one in fields(Task) if one.name != "name"]
    return [read_table(path, known, _task) for path in find_files("--task", names, FOLDER)]


def task_of(tasks: Sequence[Task], seed: int, draw: int) -> Task:
    """Return the task that a draw is for: by chance, in proportion to the weights."""
    ends = list(accumulate(task.weight for task in tasks))
    place = keyed_hash(seed, "task", draw) / 2**64 * ends[-1]
    return tasks[min(bisect_right(ends, place), len(tasks) - 1)]


def some_of_each(draws: Iterable[int], tasks: Sequence[Task], seed: int, most: int) -> list[int]:
    """Return the first draws for each task, `most` in all, but one of each at least (for a dry run)."""
    wanted = dict.fromkeys((task.name for task in tasks), max(1, most // len(tasks)))
    found = []
    for draw in draws:
        name = task_of(tasks, seed, draw).name
        if wanted[name]:
            wanted[name] -= 1
            found.append(draw)
            if not any(wanted.values()):
                break
    return found


def _task(name: str, table: dict[str, Any]) -> Task:
    """Return the task that a table describes; raises ValueError that says what is wrong."""
    system, weight, not_first = table.get("system"), table.get("weight", 1.0), table.get("not_first", [])
    if system is not None and not isinstance(system, str):
        raise ValueError("`system` is not a string")
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < float("inf"):
        raise ValueError("`weight` is not a number above 0")
    if not isinstance(not_first, list) or not all(isinstance(text, str) and text for text in not_first):
        raise ValueError("`not_first` is not a list of texts")
    instruction = _decoding("instruction", table.get("instruction", {}), Decoding(1024, 1.0))
    answer = _decoding("answer", table.get("answer", {}), Decoding(4096))
    return Task(name, system, float(weight), tuple(not_first), instruction, answer)


def _decoding(name: str, table: Any, default: Decoding) -> Decoding:
    if not isinstance(table, dict):
        raise ValueError(f"`{name}` is not a table")
    for key, value in table.items():
        if key not in _MOST:
            raise ValueError(f"there is no setting `{name}.{key}` ({', '.join(sorted(_MOST))})")
        whole = key == "max_tokens"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            raise ValueError(f"`{name}.{key}` is not a {'whole ' if whole else ''}number")
        if not (1 if whole else 0) <= value <= _MOST[key]:
            raise ValueError(f"`{name}.{key}` is out of range")
    return Decoding(
        table.get("max_tokens", default.max_tokens),
        float(table.get("temperature", default.temperature)),
        float(table.get("top_p", default.top_p)),
    )
