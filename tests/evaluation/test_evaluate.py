"""Running pairs: figures checked against a computation of our own, and what makes figures doubtful is said."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latxa_cli.evaluation.libraries import Console
from latxa_cli.evaluation.perplexity import TextSet
from latxa_cli.evaluation.run import Evaluation, evaluate, load_tasks, pairs, preview
from latxa_cli.evaluation.settings import Settings
from latxa_cli.evaluation.tasks.loading import find
from latxa_cli.stream.errors import LatxaError, UsageError

QUIET = Console()
PLAIN = Settings()


def run(
    models: dict[Path, str], tasks: list[str], folder: Path | None, settings: Settings = PLAIN, console: Console = QUIET
) -> list[Evaluation]:
    """Evaluate `models` ({directory: name}) on `tasks`, as the command does."""
    units = pairs([str(model) for model in models], tasks)
    loaded = load_tasks(find(tasks, folder, console), units, settings, console)
    return list(evaluate(units, loaded, {str(model): name for model, name in models.items()}, settings, console))


@pytest.fixture
def towns(model: Path, task_folder: Path) -> Evaluation:
    return run({model: "tiny"}, ["towns"], task_folder)[0]


def variant(model: Path, directory: Path, **configuration: Any) -> Path:
    """Return a copy of the model with other settings in its `config.json`."""
    shutil.copytree(model, directory)
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | configuration))
    return directory


def test_the_accuracy_is_the_share_of_items_whose_right_choice_is_likeliest(towns: Evaluation) -> None:
    (result,) = towns.results
    right = [max(range(4), key=answer["loglikelihoods"].__getitem__) == answer["target"] for answer in towns.answers]
    share = sum(right) / 12
    assert [answer["correct"] for answer in towns.answers] == right
    assert (result["model"], result["task"], result["metric"], result["filter"]) == ("tiny", "towns", "acc", "none")
    assert result["value"] == pytest.approx(share)
    assert result["stderr"] == pytest.approx(math.sqrt(share * (1 - share) / 11))
    assert (result["n"], result["num_fewshot"], result["language"]) == (12, 0, "en")


def test_answers_say_who_was_asked_and_how(towns: Evaluation, model: Path) -> None:
    (result,) = towns.results
    for name in ("path", "weights", "chat", "num_fewshot", "format", "language"):
        assert {answer[name] for answer in towns.answers} == {result[name]}
    assert result["path"] == str(model) and "group" not in towns.answers[0]


def test_loglikelihoods_are_those_of_the_model(towns: Evaluation, model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network, tokenizer = AutoModelForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    answer = towns.answers[5]
    prompt = tokenizer(answer["prompt"], add_special_tokens=False)["input_ids"]
    for choice, likelihood in zip(answer["choices"], answer["loglikelihoods"], strict=True):
        continuation = tokenizer(" " + choice, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            scores = network(torch.tensor([prompt + continuation])).logits[0].log_softmax(-1)
        places = range(len(prompt) - 1, len(prompt) + len(continuation) - 1)
        expected = sum(scores[place, token].item() for place, token in zip(places, continuation, strict=True))
        assert likelihood == pytest.approx(expected, abs=1e-3)


def test_answers_keep_the_ids_of_the_items(towns: Evaluation, task_folder: Path) -> None:
    assert [answer["id"] for answer in towns.answers] == [f"town-{index}" for index in range(12)]
    lines = (task_folder / "towns.jsonl").read_text().splitlines()
    (task_folder / "towns.jsonl").write_text("".join(line.replace('"id"', '"number"') + "\n" for line in lines[:2] * 2))


def test_items_without_ids_are_named_by_their_content(model: Path, task_folder: Path) -> None:
    path = task_folder / "towns.jsonl"
    lines = path.read_text().replace('"id"', '"number"').splitlines(keepends=True)
    path.write_text(lines[0] + lines[1] + lines[0])
    first, second, third = (answer["id"] for answer in run({model: "tiny"}, ["towns"], task_folder)[0].answers)
    assert len(first) == 16
    assert third == f"{first}-2" != second


def test_pairs_run_in_order_and_each_model_is_loaded_once(model: Path, task_folder: Path, tmp_path: Path) -> None:
    (task_folder / "villages.yaml").write_text(
        (task_folder / "towns.yaml").read_text().replace("task: towns", "task: villages")
    )
    other = variant(model, tmp_path / "other")
    said: list[str] = []
    done = run({model: "a", other: "b"}, ["towns", "villages"], task_folder, console=Console(detail=said.append))
    assert [(one.results[0]["model"], one.results[0]["task"]) for one in done] == [
        ("a", "towns"), ("a", "villages"), ("b", "towns"), ("b", "villages"),
    ]  # fmt: skip
    assert said == [f"loading `{model}`", f"loading `{other}`"]


def test_a_pair_gives_the_same_alone_as_after_others(model: Path, task_folder: Path) -> None:
    """What `--shard` and `--resume` rest on."""
    (task_folder / "villages.yaml").write_text(
        (task_folder / "towns.yaml").read_text().replace("task: towns", "task: villages")
    )
    settings = Settings(few_shot=2)
    together = run({model: "tiny"}, ["towns", "villages"], task_folder, settings)
    alone = run({model: "tiny"}, ["villages"], task_folder, settings)
    assert together[1] == alone[0]


def test_a_group_is_averaged_over_all_its_items(model: Path, task_folder: Path) -> None:
    text = (task_folder / "towns.yaml").read_text()
    lines = (task_folder / "towns.jsonl").read_text().splitlines(keepends=True)
    (task_folder / "few.jsonl").write_text("".join(lines[:3]))
    (task_folder / "few.yaml").write_text(text.replace("task: towns", "task: few").replace("towns.jsonl", "few.jsonl"))
    (task_folder / "all.yaml").write_text(
        "group: all\ntask: [towns, few]\naggregate_metric_list:\n  - {metric: acc, weight_by_size: true}\n"
    )
    (evaluation,) = run({model: "tiny"}, ["all"], task_folder)
    results = {result["task"]: result for result in evaluation.results}
    assert set(results) == {"all", "towns", "few"}
    assert results["all"]["n"] == 15
    assert results["all"]["value"] == pytest.approx(sum(answer["correct"] for answer in evaluation.answers) / 15)
    assert (results["all"]["language"], results["all"]["num_fewshot"]) == ("en", 0)
    assert {(answer["group"], answer["group_mean"]) for answer in evaluation.answers} == {("all", "items")}
    (task_folder / "all.yaml").write_text((task_folder / "all.yaml").read_text().replace("true", "false"))
    (evaluation,) = run({model: "tiny"}, ["all"], task_folder)
    macro = {result["task"]: result for result in evaluation.results}
    assert {(answer["group"], answer["group_mean"]) for answer in evaluation.answers} == {("all", "tasks")}
    assert macro["towns"]["fingerprint"] == results["towns"]["fingerprint"]
    assert macro["all"]["fingerprint"] != results["all"]["fingerprint"], "the mean of means is another figure"


def fingerprint(model: Path, folder: Path, settings: Settings = PLAIN) -> str:
    return run({model: "tiny"}, ["towns"], folder, settings)[0].results[0]["fingerprint"]


def test_fingerprints_tell_like_from_unlike_runs(model: Path, task_folder: Path, tmp_path: Path) -> None:
    plain = fingerprint(model, task_folder)
    moved = Path(shutil.copytree(task_folder, tmp_path / "moved"))
    assert fingerprint(model, moved) == plain
    others = [
        fingerprint(model, task_folder, settings)
        for settings in (Settings(few_shot=1), Settings(take=5), Settings(seed=2), Settings(chat=True))
    ]
    (moved / "towns.yaml").write_text((moved / "towns.yaml").read_text() + 'target_delimiter: ""\n')
    others.append(fingerprint(model, moved))
    assert len({plain, *others}) == 6


def test_chat_uses_the_template_with_shots_as_turns(model: Path, task_folder: Path) -> None:
    settings = Settings(chat=True, few_shot=1)
    prompt = run({model: "tiny"}, ["towns"], task_folder, settings)[0].answers[1]["prompt"]
    assert prompt.startswith("<|user|>\nQuestion: ")
    assert prompt.endswith("Where does Brask 1 begin?\nAnswer:<|end|>\n<|assistant|>\n")
    assert prompt.count("<|user|>") == prompt.count("<|assistant|>") == 2


def test_chat_needs_a_template(model: Path, task_folder: Path, tmp_path: Path) -> None:
    bare = variant(model, tmp_path / "bare")
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match="has no chat template"):
        run({bare: "bare"}, ["towns"], task_folder, Settings(chat=True))


@pytest.mark.parametrize("chat", [False, True])
def test_no_item_is_among_its_own_shots(model: Path, task_folder: Path, chat: bool) -> None:
    """The harness would show some items their own answer, since the file names no split for shots."""
    said: list[str] = []
    settings = Settings(few_shot=6, chat=chat)
    (first,) = run({model: "a"}, ["towns"], task_folder, settings, Console(say=said.append))
    assert not any(answer["prompt"].count(f" {answer['id'][5:]} begin?") > 1 for answer in first.answers)
    assert {answer["prompt"].count(" begin?") for answer in first.answers} == {7}
    assert said == []


def test_items_among_their_own_shots_are_counted_and_said_once(model: Path, task_folder: Path, tmp_path: Path) -> None:
    """Where a second split holds the items of the first."""
    path = task_folder / "towns.yaml"
    path.write_text(path.read_text().replace("test: towns.jsonl", "test: towns.jsonl\n    train: towns.jsonl"))
    path.write_text(path.read_text() + "training_split: train\n")
    said: list[str] = []
    settings, models = Settings(few_shot=6), {model: "a", variant(model, tmp_path / "b"): "b"}
    first, _ = run(models, ["towns"], task_folder, settings, Console(say=said.append))
    shown = sum(answer["prompt"].count(f" {answer['id'][5:]} begin?") > 1 for answer in first.answers)
    assert 0 < shown < 12
    assert [line for line in said if "own shots" in line] == [
        f"`towns`: {shown} of 12 items stand, with their answers, among their own shots; "
        "a `fewshot_split` in the task file keeps them out"
    ]


def test_no_leak_where_the_file_names_a_split(model: Path, task_folder: Path) -> None:
    path = task_folder / "towns.yaml"
    path.write_text(path.read_text() + "fewshot_split: test\n")
    said: list[str] = []
    run({model: "tiny"}, ["towns"], task_folder, Settings(few_shot=6), Console(say=said.append))
    assert said == []


def test_prompts_that_do_not_fit_are_said(model: Path, task_folder: Path, tmp_path: Path) -> None:
    short = variant(model, tmp_path / "short", max_position_embeddings=16)
    said: list[str] = []
    run({short: "short"}, ["towns"], task_folder, Settings(few_shot=2, take=3), Console(say=said.append))
    assert "3 prompts are longer than the model's context" in said[0]


def test_likelihoods_that_are_not_numbers_stop_the_run(model: Path, task_folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    damaged = variant(model, tmp_path / "damaged")
    weights = load_file(damaged / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], math.nan)
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LatxaError, match="not numbers"):
        run({damaged: "damaged"}, ["towns"], task_folder)


def test_generation(model: Path, task_folder: Path) -> None:
    path = task_folder / "towns.yaml"
    text = path.read_text().replace("output_type: multiple_choice", "output_type: generate_until")
    text = text.replace('doc_to_choice: "{{choices}}"\n', "generation_kwargs: {max_gen_toks: 4, until: [END]}\n")
    path.write_text(text.replace("metric: acc", "metric: exact_match").replace("{{answer}}", "{{choices[answer]}}"))
    (evaluation,) = run({model: "tiny"}, ["towns"], task_folder, Settings(take=2))
    (result,) = evaluation.results
    assert (result["metric"], result["n"]) == ("exact_match", 2)
    answer = evaluation.answers[1]
    assert isinstance(answer["answer"], str)
    assert answer["target"] == "the green gate"
    assert answer["correct"] == (answer["answer"] == answer["target"])


def test_perplexity(model: Path, task_folder: Path) -> None:
    path = task_folder / "towns.yaml"
    text = path.read_text().replace("output_type: multiple_choice", "output_type: loglikelihood_rolling")
    text = (
        text[: text.index("metric_list")]
        .replace("{{answer}}", "{{question}}")
        .replace('doc_to_choice: "{{choices}}"\n', "")
    )
    path.write_text(text)
    (evaluation,) = run({model: "tiny"}, ["towns"], task_folder)
    assert {result["metric"] for result in evaluation.results} >= {"word_perplexity", "bits_per_byte"}
    assert all(answer["value"] < 0 for answer in evaluation.answers)
    total = sum(answer["value"] for answer in evaluation.answers)
    characters = sum(len(answer["target"].encode()) for answer in evaluation.answers)
    bits = next(result for result in evaluation.results if result["metric"] == "bits_per_byte")
    assert bits["value"] == pytest.approx(-total / math.log(2) / characters)


def test_libraries_print_nothing(model: Path, task_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run({model: "tiny"}, ["towns"], task_folder, Settings(few_shot=2))
    assert capfd.readouterr() == ("", "")


def test_a_dry_run_loads_no_model(model: Path, task_folder: Path) -> None:
    said: list[str] = []
    settings = Settings(few_shot=2, take=7)
    units = pairs([str(model)], ["towns"])
    loaded = load_tasks(find(["towns"], task_folder, QUIET), units, settings, QUIET)
    texts = TextSet("en", ({"id": "a", "text": "One."}, {"id": "b", "text": "Two."}))
    preview({**loaded, "en": texts}, {str(model): "tiny"}, settings, Console(say=said.append))
    assert said == [
        "`towns`: 7 items, 28 requests, 2 shots", "`en`: 2 texts", "models: tiny; 30 requests in all; nothing was run",
    ]  # fmt: skip


@pytest.fixture
def exams(shared_data: Path, tmp_path: Path) -> Iterator[Path]:
    data = shared_data / "mcq" / "eusexams_eu.jsonl"
    path = tmp_path / "exams.yaml"
    path.write_text(
        f"task: exams\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {data}}}}}\ntest_split: test\n"
        'output_type: multiple_choice\ndoc_to_text: "Galdera: {{question}}\\nErantzuna:"\n'
        'doc_to_choice: "{{choices}}"\ndoc_to_target: "{{answer}}"\n'
    )
    yield path


def test_real_exam_questions(model: Path, exams: Path) -> None:
    (evaluation,) = run({model: "tiny"}, [str(exams)], None, Settings(take=8))
    values = {result["metric"]: result["value"] for result in evaluation.results}
    assert set(values) == {"acc", "acc_norm"}
    assert values["acc"] == sum(answer["correct"] for answer in evaluation.answers) / 8
    assert all(answer["id"].startswith("eusexams-eu_") for answer in evaluation.answers)
