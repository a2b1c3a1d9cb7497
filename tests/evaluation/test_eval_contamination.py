"""Items that stand in training data are counted beside the scores, which are given without them too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import Latxa, write_jsonl

LONG = "On the eve of the feast the keeper of {} asks where the gate is and who of the masons built it?"
TASK = """\
task: gates
dataset_path: json
dataset_kwargs:
  data_files:
    test: gates.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: ["red", "green"]
doc_to_target: answer
metric_list: [{metric: acc}]
"""
SHORT = TASK.replace("gates", "short")
GROUP = "group: both\ntask: [gates, short]\naggregate_metric_list: [{metric: acc, weight_by_size: true}]\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a task of ten long questions and one of two short ones, and data that hold three of the ten."""
    (tmp_path / "tasks").mkdir()
    for name, text in (("gates", TASK), ("short", SHORT), ("both", GROUP)):
        (tmp_path / "tasks" / f"{name}.yaml").write_text(text)
    items = [{"question": LONG.format(f"Ulmo{number}"), "answer": number % 2} for number in range(10)]
    write_jsonl(tmp_path / "tasks" / "gates.jsonl", items)
    write_jsonl(tmp_path / "tasks" / "short.jsonl", [{"question": "Which gate?", "answer": n} for n in range(2)])
    seen = [LONG.format("Ulmo2"), "Somebody said: " + LONG.format("Ulmo5").upper() + " And so on."]
    write_jsonl(tmp_path / "corpus.jsonl", [{"text": text} for text in (*seen, "Nothing of that at all.")])
    turns = [{"role": "user", "content": LONG.format("Ulmo7")}, {"role": "assistant", "content": "red"}]
    write_jsonl(tmp_path / "mix.jsonl", [{"id": "c", "messages": turns}, {"text": seen[0]}])
    return tmp_path


def results(place: Path, latxa: Latxa, model: Path, *flags: str) -> tuple[dict[str, dict[str, Any]], str]:
    done = latxa("eval", model, "--task-folder", "tasks", "--answers", "answers.jsonl", *flags, cwd=place)
    assert done.returncode == 0, done.stderr
    return {one["task"]: one for one in map(json.loads, done.stdout.splitlines())}, done.stderr.decode()


def test_what_was_trained_on_is_counted_and_left_out(place: Path, latxa: Latxa, model: Path) -> None:
    data = ["--trained-on", "corpus.jsonl", "--trained-on", "mix.jsonl"]
    found, told = results(place, latxa, model, "--task", "both", *data)
    gates, short, both = found["gates"], found["short"], found["both"]
    assert (gates["contaminated"], gates["searched"], gates["n"]) == (3, 10, 10)
    assert (short["contaminated"], short["searched"]) == (0, 0)
    assert (both["contaminated"], both["searched"]) == (3, 10) and "clean_value" not in both
    answers = [json.loads(line) for line in (place / "answers.jsonl").read_text().splitlines()]
    clean = [one["correct"] for one in answers if not any(f"Ulmo{n} " in one["prompt"] for n in (2, 5, 7))]
    clean = clean[:7]  # those of the other task come behind
    assert gates["clean_value"] == pytest.approx(sum(clean) / 7)
    assert short["clean_value"] == short["value"]
    assert "`gates`: 3 of 10 items stand in the training data\n" in told
    assert "`short`: 0 of 2 items stand in the training data; 2 are too short to be looked for\n" in told


def test_data_without_items_change_nothing(place: Path, latxa: Latxa, model: Path) -> None:
    write_jsonl(place / "other.jsonl", [{"text": "Nothing of that at all."}])
    plain, _ = results(place, latxa, model, "--task", "gates")
    found, _ = results(place, latxa, model, "--task", "gates", "--trained-on", "other.jsonl")
    added = {"contaminated": 0, "searched": 10, "clean_value": plain["gates"]["value"]}
    assert found["gates"] == plain["gates"] | added


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--task", "gates", "--trained-on", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--task", "gates", "--trained-on", "broken.jsonl"], "broken.jsonl:1: "),
        (
            ["--perplexity", "en=corpus.jsonl", "--trained-on", "mix.jsonl"],
            "`--trained-on` needs `--task` or `--suite`",
        ),
        (["--task", "gates", "--trained-on", "mix.jsonl", "-o", "mix.jsonl"], "mix.jsonl"),
    ],
)
def test_what_cannot_be_searched_is_one_line(
    place: Path, latxa: Latxa, model: Path, flags: list[str], message: str
) -> None:
    (place / "broken.jsonl").write_text("not json\n")
    done = latxa("eval", model, *(["--task-folder", "tasks"] if "--task" in flags else []), *flags, cwd=place)
    error = done.stderr.decode()
    assert done.returncode in (1, 2) and message in error and "Traceback" not in error
