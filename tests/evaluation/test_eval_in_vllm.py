"""`eval` with vLLM, in process and as a server: what letters weigh and what is written, as transformers has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from quiz import write_quiz
from tiny import Latxa
from vllm_server import serving

pytest.importorskip("vllm", reason="`vllm` is not installed: `recipes/test-vllm.sh` runs its tests")

LIGHT = ("--engine-option", "enforce_eager=true", "--engine-option", "kv_cache_memory_bytes=64M")
SECONDS = 400  # vLLM starts up to two processes more, each of which loads everything: a minute on an idle machine
ITEMS = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the quiz, and with a task whose answers are written."""
    made = tmp_path_factory.mktemp("quiz")
    quiz = write_quiz(made / "tasks", ITEMS) / "quiz.yaml"
    # The tiny model's tokenizer has no token for a letter after a space.
    quiz.write_text(quiz.read_text().replace("doc_to_target:", 'target_delimiter: ""\ndoc_to_target:'))
    start, end = quiz.read_text().split("output_type: multiple_choice")
    end = end.replace("acc\n", "exact_match\n").replace("doc_to_choice: [A, B, C, D]\n", "")
    written = f'{start}output_type: generate_until\ngeneration_kwargs: {{until: ["\\n"], max_gen_toks: 24}}{end}'
    (made / "tasks" / "written.yaml").write_text(written.replace("task: quiz", "task: written"))
    return made


def run(latxa: Latxa, folder: Path, model: str, *words: str) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """Return the results by task, the answers and what was said."""
    tasks = ("--task", "quiz", "--task", "written", "--task-folder", "tasks", "--few-shot", "2")
    done = latxa("eval", model, *tasks, "--answers", "a.jsonl", *words, cwd=folder, timeout=SECONDS)
    assert done.returncode == 0, done.stderr.decode()
    answers = [json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines()]
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["task"]: one for one in results}, answers, done.stderr.decode()


@pytest.fixture(scope="module")
def expected(latxa: Latxa, wide_model: Path, folder: Path) -> dict[bool, Any]:
    """What transformers gives, plain and through the chat template."""
    return {chat: run(latxa, folder, str(wide_model), "--chat" if chat else "--no-chat") for chat in (False, True)}


def check(found: Any, expected: Any, *, within: float) -> None:
    results, answers, _ = found
    wanted, others, _ = expected

    for task in ("quiz", "written"):
        assert abs(results[task]["value"] - wanted[task]["value"]) <= 0.005 and results[task]["n"] == ITEMS
        assert sum(results[task]["outcomes"].values()) == results[task]["asked"] == ITEMS
    for one, other in zip(answers, others, strict=True):
        assert (one["id"], one["task"]) == (other["id"], other["task"])
        weights, likelihoods = one.get("loglikelihoods", [0.0]), other.get("loglikelihoods", [0.0])
        for weight, likelihood in zip(weights, likelihoods, strict=True):  # but for what all of them begin with alike
            assert abs(weight - weights[0] - (likelihood - likelihoods[0])) < within
    alike = sum(one["answer"] == other["answer"] for one, other in zip(answers, others, strict=True))
    assert alike >= 0.99 * len(answers)  # a tie in the last digit may go either way


@pytest.mark.parametrize("chat", [False, True])
def test_vllm_scores_as_transformers(
    installed: Latxa, wide_model: Path, folder: Path, expected: dict[bool, Any], chat: bool
) -> None:
    found = run(installed, folder, str(wide_model), "--engine", "vllm", *LIGHT, "--chat" if chat else "--no-chat")
    check(found, expected[chat], within=1e-4)


def test_longer_choices_are_not_compared(installed: Latxa, wide_model: Path, task_folder: Path) -> None:
    words = ("--task", "towns.yaml", "--engine", "vllm", *LIGHT)
    done = installed("eval", str(wide_model), *words, cwd=task_folder, timeout=SECONDS)
    assert done.returncode == 1 and b"the engine `vllm` compares single letters alone" in done.stderr


def test_a_server_of_vllm_scores_as_transformers(
    latxa: Latxa, wide_model: Path, folder: Path, expected: dict[bool, Any], tmp_path: Path
) -> None:
    """A server tells the 20 likeliest tokens alone, among which a random model's letters need not be."""
    with serving(wide_model, tmp_path / "log") as url:
        named = ("--base-url", url, "--engine-option", f"tokenizer={wide_model}")
        for chat in (False, True):
            tasks = ("--task", "written", "--task-folder", "tasks", "--few-shot", "2", "--answers", "b.jsonl")
            flag = "--chat" if chat else "--no-chat"
            done = latxa("eval", "tiny", *tasks, *named, flag, cwd=folder, timeout=SECONDS)
            assert done.returncode == 0, done.stderr.decode()
            assert b"BOS" not in done.stderr, "it is proven"
            (result,) = map(json.loads, done.stdout.splitlines())
            assert abs(result["value"] - expected[chat][0]["written"]["value"]) <= 0.005 and result["n"] == ITEMS
            found = [json.loads(line)["answer"] for line in (folder / "b.jsonl").read_text().splitlines()]
            wanted = [one["answer"] for one in expected[chat][1] if one["task"] == "written"]
            assert sum(one == other for one, other in zip(found, wanted, strict=True)) >= 0.99 * ITEMS
