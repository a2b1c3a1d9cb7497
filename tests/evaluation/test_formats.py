"""Formats: what a task asks in each, what a task lacks for one, and that figures are those of the letters found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import Latxa

from latxa_cli.evaluation.asking.formats import Asked, asked, format_of
from latxa_cli.evaluation.asking.tasks import asked_as
from latxa_cli.evaluation.libraries import Console
from latxa_cli.evaluation.tasks.loading import find, load
from latxa_cli.stream.errors import LatxaError, UsageError

QUIET = Console()
PARTS = '  formats:\n    question: "{{question}}"\n'
LETTERS = (
    "doc_to_text: \"Question: {{question}}\\n{% for choice in choices %}{{'ABCD'[loop.index0]}}: {{choice}}\\n"
    '{% endfor %}Answer:"\ndoc_to_choice: [A, B, C, D]'
)


def write(folder: Path, *, more: str = "", **changes: str) -> None:
    """Write the task with other lines in place of its own, and `more` at its end."""
    text = (folder / "towns.yaml").read_text()
    for key, line in changes.items():
        text = "\n".join(line if one.startswith(f"{key}:") else one for one in text.splitlines()) + "\n"
    (folder / "towns.yaml").write_text(text + more)


def lettered(folder: Path, more: str = "") -> None:
    first, second = LETTERS.splitlines()
    write(folder, more=more, doc_to_text=first, doc_to_choice=second)


def task_in(folder: Path, form: Any, few_shot: int = 0) -> Any:
    (source,) = find(["towns"], folder, QUIET).values()
    return asked_as(load(source, few_shot=few_shot, seed=1, console=QUIET), form).tasks["towns"]


def requests(task: Any, *, chat: bool = False) -> list[Any]:
    task.set_fewshot_seed(1)
    how = {"apply_chat_template": True, "fewshot_as_multiturn": True} if chat else {}
    task.build_all_requests(limit=1, chat_template=lambda turns, **_: json.dumps(turns), **how)
    found = [request.args for request in task.instances]
    return [(json.loads(prompt), *more) for prompt, *more in found] if chat else found


def test_a_task_of_texts_is_asked_by_letters_where_its_file_tells_its_parts(task_folder: Path) -> None:
    write(task_folder, more=PARTS)
    task = task_in(task_folder, "mcqa")
    prompt = (
        "Question: Where does Ulmo 0 begin?\nA. the red gate\nB. the blue gate\nC. the green gate\nD. the white gate\n"
    )
    assert format_of(task) == "mcqa"
    found = requests(task)
    assert sorted(found[0][0]) == sorted(prompt + "Answer:") and [choice for _, choice in found] == [
        " A",
        " B",
        " C",
        " D",
    ]
    assert found[0][0] == prompt.replace("blue", "x").replace("green", "blue").replace("x", "green") + "Answer:"


def test_a_task_of_letters_is_asked_by_texts_where_its_file_tells_its_parts(task_folder: Path) -> None:
    lettered(task_folder, more=f'{PARTS}    choices: "{{{{choices}}}}"\n    answer_prompt: "So:"\n')
    found = requests(task_in(task_folder, "cloze"))
    assert [prompt for prompt, _ in found] == ["Question: Where does Ulmo 0 begin?\nSo:"] * 4
    assert found[1][1] == " the green gate"


@pytest.mark.parametrize("form", ["mcqa", "cloze"])
def test_a_format_that_a_task_has_already_leaves_it_as_it_is(task_folder: Path, form: str) -> None:
    if form == "mcqa":
        lettered(task_folder)
    assert not isinstance(task_in(task_folder, form), Asked)


def test_a_generated_letter_follows_the_prompt_of_the_file(task_folder: Path) -> None:
    lettered(task_folder)
    ((prompt, how),) = requests(task_in(task_folder, "generate"))
    assert prompt.startswith(
        "Respond always with a single letter: A, B, C or D.\n\nQuestion: Where does Ulmo 0 begin?\nA: "
    )
    assert how == {"until": ["\n\n"], "do_sample": False, "max_gen_toks": 16}
    ((turns, how),) = requests(task_in(task_folder, "generate", few_shot=2), chat=True)
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert turns[0]["content"] == "Respond always with a single letter: A, B, C or D." and how["until"] == []
    assert {turn["content"] for turn in turns if turn["role"] == "assistant"} <= set("ABCD")


def test_shots_of_reasoned_answers_end_in_a_sentence_and_their_target_is_a_letter(task_folder: Path) -> None:
    lettered(task_folder)
    task = task_in(task_folder, "cot", few_shot=1)
    ((turns, how),) = requests(task, chat=True)
    assert turns[2]["content"] in {f"The answer is {letter}." for letter in "ABCD"}
    assert turns[0]["content"].startswith("Think step by step.") and how["max_gen_toks"] == 1024
    assert [task.doc_to_target(item) for item in task.eval_docs][:5] == ["A", "B", "C", "D", "A"]


def test_the_recipe_of_the_paper_asks_for_one_token_that_is_the_letter(task_folder: Path) -> None:
    lettered(task_folder)
    task = asked(task_in(task_folder, None, few_shot=1), "generate", recipe=True)
    ((turns, how),) = requests(task, chat=True)
    assert turns[0] == {"role": "system", "content": "Respond always with a single letter: A, B, C or D."}
    assert how == {"until": [], "do_sample": False, "max_gen_toks": 1}
    assert task.config.target_delimiter == "\n\n"
    assert task._filters[0].name == "strict_match"


def test_answers_that_always_stand_first_are_mixed_for_letters_and_alike_in_every_run(task_folder: Path) -> None:
    lines = [json.loads(line) | {"answer": 0} for line in (task_folder / "towns.jsonl").read_text().splitlines()]
    (task_folder / "towns.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write(task_folder, more=PARTS)
    task, again = task_in(task_folder, "mcqa"), task_in(task_folder, "generate")
    targets = [task.doc_to_target(item) for item in task.eval_docs]
    assert len(set(targets)) > 1
    assert ["ABCD"[target] for target in targets] == [again.doc_to_target(item) for item in again.eval_docs]
    for item, target in zip(task.eval_docs, targets, strict=True):
        assert task.texts(item)[target] == item["choices"][0]
    assert task_in(task_folder, "cloze").__class__ is not Asked, "texts are not mixed: their order changes nothing"


@pytest.mark.parametrize(
    ("form", "change", "message", "hint"),
    [
        ("mcqa", {}, "it lacks a template of its `question`", "under `metadata: formats:`"),
        ("mcqa", {"output_type": "output_type: generate_until", "metric_list": "", "doc_to_choice": ""},
         "it lacks choices between which a model could decide", ""),
    ],
)  # fmt: skip
def test_what_a_task_lacks_for_a_format_is_one_line(
    task_folder: Path, form: str, change: dict[str, str], message: str, hint: str
) -> None:
    write(task_folder, **change)
    if change:
        text = (task_folder / "towns.yaml").read_text()
        start, end = text.index("  - metric"), text.index("metadata:")
        (task_folder / "towns.yaml").write_text(text[:start] + text[end:])
    with pytest.raises(UsageError, match=message) as caught:
        task_in(task_folder, form)
    assert hint in caught.value.hint and "`towns` cannot be asked in the format `mcqa`" in caught.value.message


def test_an_unknown_word_of_a_task_is_told_with_the_nearest(task_folder: Path) -> None:
    write(task_folder, more='  formats: {question: "{{question}}", answer_prompts: x}\n')
    with pytest.raises(LatxaError, match="unknown key `answer_prompts`") as caught:
        task_in(task_folder, "mcqa")
    assert "`answer_prompt`" in caught.value.hint


def test_generated_answers_by_the_command(model: Path, task_folder: Path, latxa: Latxa) -> None:
    lettered(task_folder)
    words = ("--task", "towns", "--task-folder", str(task_folder), "--answers", "answers.jsonl", "--format", "generate")
    done = latxa("eval", str(model), *words, cwd=task_folder)
    assert done.returncode == 0, done.stderr.decode()
    results = [json.loads(line) for line in done.stdout.splitlines()]
    answers = [json.loads(line) for line in (task_folder / "answers.jsonl").read_text().splitlines()]
    scored = [answer for answer in answers if answer["outcome"] == "answered"]
    assert len(answers) == 12 and {answer["answer"] for answer in answers} <= {None, *"ABCD"}
    assert [answer["correct"] for answer in scored] == [answer["answer"] == answer["target"] for answer in scored]
    assert bool(results) == bool(scored)
    for result in results:
        assert (result["metric"], result["filter"], result["n"]) == ("exact_match", "letter", len(scored))
        assert sum(answer["correct"] for answer in scored) / len(scored) == pytest.approx(result["value"])
