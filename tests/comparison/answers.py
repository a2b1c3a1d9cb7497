"""Answers of made-up models, whose items are hard or easy for all of them; and what `latxa compare` makes of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

Records = list[dict[str, Any]]


def answers(model: str, skill: float, *, task: str = "towns", count: int = 200, seed: int = 0, **more: Any) -> Records:
    """Return the answers of a model to `count` items of a task, the same items for every model."""
    own = random.Random(f"{model} {task} {seed}")
    return [answer(model, f"i{n}", _is_right(task, n, skill, own), task=task, **more) for n in range(count)]


def _is_right(task: str, number: int, skill: float, own: random.Random) -> bool:
    ease = random.Random(f"{task} {number}").random()
    return 0.6 * ease + 0.4 * own.random() > 1 - skill


def answer(model: str, name: str, correct: bool | None, *, task: str = "towns", **more: Any) -> dict[str, Any]:
    return {
        "id": name, "task": task, "model": model, "correct": correct, "prompt": f"Where is {name}?",
        "choices": ["here", "there"], "answer": int(bool(correct)), "target": 1, **more,
    }  # fmt: skip


def sample(number: int, correct: bool, **more: Any) -> dict[str, Any]:
    """Return an item as lm-evaluation-harness logs it."""
    return {
        "doc_id": number, "doc": {"question": f"Where is {number}?"}, "target": "1",
        "arguments": {"gen_args_0": {"arg_0": f"Where is {number}?", "arg_1": " here"}},
        "resps": [[["-1.5", "False"]], [["-1.0", "False"]]],
        "filtered_resps": [["-1.5", "False"], ["-1.0", "False"]], "filter": "none", "metrics": ["acc"],
        "doc_hash": f"{number:016x}" + "0" * 48, "prompt_hash": "p", "target_hash": "t", "acc": float(correct), **more,
    }  # fmt: skip


class Ended:
    """What a run of `latxa compare` left."""

    def __init__(self, done: Any) -> None:
        self.code, self.out, self.said = done.returncode, done.stdout.decode(), done.stderr.decode()

    @property
    def rows(self) -> list[dict[str, Any]]:
        assert self.code == 0, self.said
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        """The one line of the error, and its hint."""
        assert self.code in (1, 2) and "Traceback" not in self.said, self.said
        first, *rest = [line for line in self.said.splitlines() if not line.startswith("latxa compare: ")]
        assert len(rest) < 2, self.said
        return " ".join((first, *rest))


Compare = Callable[..., Ended]
