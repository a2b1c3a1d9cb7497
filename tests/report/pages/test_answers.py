"""Answers of many models, kept compactly: nothing lost, nothing twice, and what was asked unlike told apart."""

import base64
import gzip
import json

import pytest

from latxa_cli.report.pages.answers import LONGEST, Answers, names_of

SHOTS = "Q: one?\nA: 1\n\nQ: two?\nA: 2\n\n"


def answer(name="i", model="m", task="t", correct=True, **more):
    return {"id": name, "task": task, "model": model, "correct": correct, **more}


def kept(*records):
    """Return the collection of records, none of them rejected, and its outline and tasks as a page reads them."""
    answers = Answers()
    assert [reject for record in records for reject in answers.add(record)] == []
    outline, *tasks = (json.loads(gzip.decompress(base64.b64decode(blob))) for blob in answers.blobs())
    return answers, outline, tasks


def test_a_prompt_is_kept_once_and_so_is_each_of_its_shots():
    records = [
        answer(name, model, prompt=f"{SHOTS}Q: {name}?\nA:", choices=["x", "y"], answer=1, target=0)
        for model in ("m", "n")
        for name in ("i", "j")
    ]
    _, outline, (task,) = kept(*records)
    assert outline["models"] == ["m", "n"] and outline["tasks"][0]["items"] == 2
    assert outline["tasks"][0]["marks"] == {"0": "11", "1": "11"} and outline["tasks"][0]["variants"] == {
        "0": 0,
        "1": 0,
    }
    assert len([text for text in task["texts"] if text.startswith("Q: one")]) == 1
    for place, name in enumerate(("i", "j")):
        ((paragraphs, choices, target),) = task["asked"][place]
        assert "".join(task["texts"][number] for number in paragraphs) == f"{SHOTS}Q: {name}?\nA:"
        assert [task["texts"][number] for number in choices] == ["x", "y"] and target == 0
    assert task["answers"] == {"0": [1, 1], "1": [1, 1]} and task["responses"] == {}


@pytest.mark.parametrize("field", [{"prompt": "q"}, {"choices": ["a"]}, {"target": "a"}])
def test_items_asked_unlike_are_told_apart(field):
    _, outline, (task,) = kept(answer(model="m"), answer(model="n", **field), answer(model="o"))
    assert outline["tasks"][0]["variants"] == {"0": 0, "1": 1, "2": 0}
    assert len(task["asked"][0]) == 2


def test_long_prompts_are_cut_and_still_told_apart():
    long = "x" * 5_000_000
    _, outline, (task,) = kept(answer(model="m", prompt=long + "a"), answer(model="n", prompt=long + "b"))
    assert outline["tasks"][0]["variants"] == {"0": 0, "1": 1}
    assert max(map(len, task["texts"])) < LONGEST + 100
    assert all(text.startswith("(5,000,001 characters)") for text in task["texts"])
    assert [text[-1] for text in task["texts"]] == ["a", "b"], "the question stands at the end"


def test_answers_of_any_form():
    odd = [None, "", "text", 7, True, 1.5, {"a": 1}, ["a"], -1]
    records = [answer(str(n), answer=value, target=value) for n, value in enumerate(odd)]
    records += [answer("chosen", choices=["a"], answer=5, target=0)]
    _, _, (task,) = kept(*records)
    shown = [None if number == -1 else task["texts"][-2 - number] for number in task["answers"]["0"]]
    assert shown == [None, "", "text", "7", "true", "1.5", '{"a":1}', '["a"]', "-1", "5"]


def test_a_question_is_kept_once_whatever_template_it_stands_in():
    chat = "<|im_start|>user\nQ: one?\nA:<|im_end|>\n<|im_start|>assistant\n"
    _, _, (task,) = kept(answer(model="m", prompt="Shots.\n\nQ: one?\nA:"), answer(model="n", prompt=f"{chat}{chat}"))
    joined = ["".join(task["texts"][number] for number in variant[0]) for variant in task["asked"][0]]
    assert joined == ["Shots.\n\nQ: one?\nA:", chat + chat]
    assert len([text for text in task["texts"] if "one?" in text]) == 1


def test_models_that_answered_other_items():
    _, outline, _ = kept(answer("i", "m"), answer("j", "n", correct=False), answer("k", "m", correct=None, value=1))
    assert outline["tasks"][0]["marks"] == {"0": "1 ?", "1": " 0"}


def test_an_answer_that_is_there_is_not_replaced():
    answers = Answers()
    records = [answer(), answer(correct=False), answer(filter="strict"), answer(shot_seed=1), answer(task="u")]
    rejects = [reject.reason for record in records for reject in answers.add(record)]
    assert rejects == ["repeated answer"] and answers.count == 4
    outline, *_ = (json.loads(gzip.decompress(base64.b64decode(blob))) for blob in answers.blobs())
    assert [task["name"] for task in outline["tasks"]] == ["t (none)", "t (strict)", "u"]


def test_models_of_one_name_are_told_apart_by_what_differs():
    settings = [("m", "a/m", "", "True", "", "5"), ("m", "b/m", "", "True", "", "5"), ("n", "", "", "", "", "")]
    assert names_of(settings) == ["m (a/m)", "m (b/m)", "n"]
    assert names_of([("m", "", "", "True", "", "5"), ("m", "", "", "False", "", "")]) == [
        "m (chat, 5-shot)",
        "m (plain, num fewshot not known)",
    ]
