"""A quiz of letters, and a server that answers it as it is told: well, or in one of the ways that go wrong."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from openai_server import answer

QUIZ = """\
task: quiz
dataset_path: json
dataset_kwargs:
  data_files:
    test: quiz.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\nC. {{choices[2]}}\\nD. {{choices[3]}}\\nAnswer:"
doc_to_choice: [A, B, C, D]
doc_to_target: "{{answer}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
  language: en
"""
Say = Callable[[int], dict[str, Any]]  # what the server's choice is for an item


def write_quiz(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "quiz.yaml").write_text(QUIZ, encoding="utf-8")
    with (folder / "quiz.jsonl").open("w", encoding="utf-8") as file:
        for n in range(count):
            choices = [f"{word} {n}" for word in ("red", "green", "blue", "white")]
            item = {"id": f"q{n}", "question": f"Number {n}?", "choices": choices, "answer": n % 4}
            file.write(json.dumps(item) + "\n")
    return folder


def item_of(body: dict[str, Any]) -> int:
    """Return the number of the item that a request asks."""
    asked = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    return int(re.findall(r"Number (\d+)", asked)[-1])


def said(text: str, reason: str = "stop", **more: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text, **more}, "finish_reason": reason}


# What may go wrong, by the name of its outcome; `failed` never answers.
AMISS: dict[str, dict[str, Any]] = {
    "refused": said("I’m sorry, but I can't help with that question."),
    "cut off": said("That depends on a good many things, and " * 9, "length"),
    "failed": {},
    "thought past the budget": said("", "length", reasoning="Let me see. It may be A. Or B? " * 9),
    "no letter found": said("It could be any of them."),
    "filtered": said("", "content_filter"),
}


def letter(n: int, *, wrong_each: int = 3) -> str:
    """Return the answer to an item, wrong for each third one."""
    return "ABCD"[(n + (n % wrong_each == 0)) % 4]


def saying(say: Say) -> Any:
    """Return what a server does that answers an item by what `say` gives; nothing given: it hangs."""

    async def trouble(request: web.Request, body: Any) -> web.StreamResponse | None:
        if body is None or "Number" not in json.dumps(body):
            return None
        choice = say(item_of(body))
        if not choice:
            await asyncio.sleep(60)
        return web.json_response(answer(body, **choice))

    return trouble
