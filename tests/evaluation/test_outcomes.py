"""Closed models on letters: every item is accounted for by its kind, and figures are of those that were answered."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from openai_server import MODEL, OpenAIServer
from quiz import AMISS, letter, said, saying, write_quiz
from tiny import Latxa

from latxa_cli.evaluation.answering.outcomes import KINDS, kind_of
from latxa_cli.generation.engine import Completion

WAYS = list(AMISS)
BASIC = ("--task", "quiz", "--task-folder", "tasks", "--format", "generate", "--chat")


def way(n: int) -> str:
    """Return what becomes of an item: each way of going wrong is a tenth of all."""
    return WAYS[n % 10] if n % 10 < len(WAYS) else "answered"


def choice(n: int) -> dict[str, Any]:
    return AMISS[way(n)] if way(n) in AMISS else said(f"**{letter(n)}.**" if n % 2 else letter(n))


def asked(latxa: Latxa, folder: Path, server: OpenAIServer, *more: str) -> tuple[Any, list[Any], str]:
    """Run the command; return its results, its answers and what it says."""
    flags = (*BASIC, "--base-url", server.url, "--answers", "answers.jsonl", "--engine-option", "retries=0", *more)
    done = latxa("eval", MODEL, *flags, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    return [json.loads(line) for line in done.stdout.splitlines()], answers, done.stderr.decode()


def test_every_item_is_accounted_for_and_accuracy_is_of_those_answered(tmp_path: Path, latxa: Latxa) -> None:
    write_quiz(tmp_path / "tasks", 100)
    with OpenAIServer(saying(choice)) as server:
        (result,), answers, told = asked(latxa, tmp_path, server, "--engine-option", "timeout=1")
        assert len(server.bodies) == 100
    good = [n for n in range(100) if way(n) == "answered"]
    right = sum(letter(n) == "ABCD"[n % 4] for n in good) / len(good)
    assert (result["n"], result["asked"], result["value"]) == (len(good), 100, pytest.approx(right, abs=1e-12))
    assert result["outcomes"] == {"answered": 40} | dict.fromkeys(WAYS, 10)
    assert result["prompt_tokens"] == 90 * 10 and result["completion_tokens"] > 0
    assert "100 items: 40 answered, 10 no letter found, 10 refused, 10 cut off, 10 thought past the" in told
    for n, one in enumerate(answers):
        assert one["outcome"] == way(n) and one["id"] == f"q{n}"
        assert ("correct" in one) == (one["outcome"] == "answered") and one["answer"] == (
            letter(n) if n in good else None
        )
        if "correct" in one:
            assert one["correct"] == (letter(n) == "ABCD"[n % 4])
        if one["outcome"] == "failed":
            assert "gave no whole answer in 1 s" in one["error"]
        elif one["outcome"] == "thought past the budget":
            assert one["thought"].startswith("Let me see.") and one["response"] == ""
        else:
            assert one["response"] == choice(n)["message"]["content"]


def test_a_model_that_answers_nothing_gives_no_result_and_says_so(tmp_path: Path, latxa: Latxa) -> None:
    write_quiz(tmp_path / "tasks", 5)
    with OpenAIServer(saying(lambda n: AMISS["refused"])) as server:
        results, answers, told = asked(latxa, tmp_path, server)
    assert results == [] and Counter(one["outcome"] for one in answers) == {"refused": 5}
    assert "5 items: 5 refused; there is no result" in told


def test_thoughts_are_kept_apart_and_have_room(tmp_path: Path, latxa: Latxa) -> None:
    write_quiz(tmp_path / "tasks", 4)
    thinking = saying(lambda n: said(f"<think>A? B? C!</think>\n\n{letter(n)}"))
    with OpenAIServer(thinking) as server:
        (result,), answers, _ = asked(latxa, tmp_path, server, "--thinking", "on")
        assert {body["max_tokens"] for body in server.bodies} == {16 + 4096}
        assert all(body["chat_template_kwargs"]["enable_thinking"] is True for body in server.bodies)
    assert result["outcomes"] == {"answered": 4} and result["thinking"] == "on"
    assert {one["thought"] for one in answers} == {"A? B? C!"}
    with OpenAIServer(thinking) as server:
        (off,), _, _ = asked(latxa, tmp_path, server, "--thinking", "off")
        assert {body["max_tokens"] for body in server.bodies} == {16} and off["thinking"] == "off"
    assert off["fingerprint"] != result["fingerprint"]
    with OpenAIServer(thinking) as server:
        asked(latxa, tmp_path, server, "--max-tokens", "9")
        assert {body["max_tokens"] for body in server.bodies} == {9}


@pytest.mark.parametrize(
    ("completion", "has_letter", "kind"),
    [
        (Completion("A", "stop", 9, 1), True, "answered"),
        (Completion("A", "length", 9, 1), True, "answered"),  # one token was asked for
        (Completion("As an AI language model, I", "stop", 9, 9), True, "refused"),  # `As` may read as a letter
        (Completion("Barkatu, baina ezin dut horretan lagundu.", "stop", 9, 9), False, "refused"),
        (Completion("It may be", "length", 9, 9), False, "cut off"),
        (Completion("", "stop", 9, 9), False, "no letter found"),
        (Completion(" ", "length", 9, 9), False, "thought past the budget"),  # thoughts that the server hides
        (Completion("", "length", 9, 9, "Hm"), False, "thought past the budget"),
        (Completion("", "filtered", 9, 0), False, "filtered"),
        (Completion("", "too long", 9, 0), False, "longer than the context"),
        (Completion("roles must alternate", "refused", 0, 0), False, "failed"),
        (Completion("A", "length", 9, 1, likelihoods=(-1.0, None)), None, "answered"),
        (Completion("x", "length", 9, 1, likelihoods=(None, None)), None, "no letter found"),
        (Completion("A whole text", "stop", 9, 1), None, "answered"),
        (Completion("Half a text", "length", 9, 1), None, "cut off"),
    ],
)  # fmt: skip
def test_the_kind_of_an_answer(completion: Completion, has_letter: bool | None, kind: str) -> None:
    assert kind_of(completion, has_letter=has_letter) == kind and kind in KINDS
