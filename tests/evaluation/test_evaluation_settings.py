"""Each setting reaches what it is for: the model, the tasks, the harness, its random numbers, the fingerprint."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latxa_cli.evaluation import model as models
from latxa_cli.evaluation import run as runs
from latxa_cli.evaluation.libraries import Console
from latxa_cli.evaluation.run import Pair, evaluate, load_tasks, pairs, preview
from latxa_cli.evaluation.settings import Settings
from latxa_cli.evaluation.tasks.loading import LoadedTask, find
from latxa_cli.stream.errors import LatxaError

QUIET = Console()
GIVEN = Settings(
    few_shot=3, chat=True, take=7, batch_size=5, seed=99, device="cpu", trust_remote_code=True, day=date(2031, 2, 28),
    format="cloze", paper=True,
)  # fmt: skip
REPORT = {
    "results": {"law": {"sample_len": 1, "acc,none": 1.0}},
    "samples": {"law": []},
    "group_subtasks": {},
    "n-shot": {"law": 3},
    "configs": {"law": {}},
}


class Harness:
    """Stands for the harness and its models: keeps what it is called with, and gives a report."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loaded: list[tuple[str, dict[str, Any]]] = []
        self.calls: list[dict[str, Any]] = []
        self.draws: list[list[float]] = []
        self.shot_seeds: list[int] = []
        self.report = REPORT
        self.template = "{{ messages }}"
        monkeypatch.setattr("lm_eval.evaluator.evaluate", self.evaluate)
        monkeypatch.setattr(models, "load", self.load)

    def load(self, model: str, **how: Any) -> Any:
        self.loaded.append((model, how))
        return SimpleNamespace(tokenizer=SimpleNamespace(chat_template=self.template), name=model)

    def evaluate(self, **how: Any) -> dict[str, Any]:
        import numpy
        import torch

        self.calls.append(how)
        self.draws.append([random.random(), float(numpy.random.random()), float(torch.rand(1))])
        return self.report

    def run(self, settings: Settings = GIVEN, units: tuple[Pair, ...] = (Pair("hub/m", "law"),)) -> list[Any]:
        task = SimpleNamespace(
            task_name="law",
            set_fewshot_seed=lambda seed: self.shot_seeds.append(seed),
            get_config=lambda name: 0,
            dump_config=dict,
            OUTPUT_TYPE="generate_until",
            eval_docs=[{"id": str(number)} for number in range(7)],
        )
        loaded = {unit.task: LoadedTask(unit.task, {"tasks": {"law": task}}) for unit in units}
        return list(evaluate(units, loaded, {"hub/m": "m", "hub/n": "n"}, settings, QUIET))


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    import numpy
    import torch

    before = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    yield Harness(monkeypatch)
    random.setstate(before[0])
    numpy.random.set_state(before[1])
    torch.set_rng_state(before[2])


def test_the_model_is_loaded_as_the_settings_say(harness: Harness) -> None:
    harness.run()
    given = {"device": "cpu", "batch_size": 5, "day": date(2031, 2, 28), "trust_remote_code": True, "console": QUIET}
    assert harness.loaded == [("hub/m", given)]
    harness.run(Settings())
    assert harness.loaded[1] == (
        "hub/m", {"device": None, "batch_size": None, "day": None, "trust_remote_code": False, "console": QUIET}
    )  # fmt: skip


def test_the_harness_runs_the_task_on_the_model_as_the_settings_say(harness: Harness) -> None:
    harness.run()
    [call] = harness.calls
    assert call.pop("lm").name == "hub/m" and list(call.pop("task_dict")["tasks"]) == ["law"]
    assert call == {"samples": {"law": [*range(7)]}, "apply_chat_template": True, "fewshot_as_multiturn": True}
    harness.run(Settings())
    assert harness.calls[1]["apply_chat_template"] is harness.calls[1]["fewshot_as_multiturn"] is False
    assert harness.calls[1]["samples"] is None


def test_random_numbers_are_those_of_the_seed_and_as_the_harness_itself_sets_them(harness: Harness) -> None:
    import numpy
    import torch

    for seed in (99, 99, 7):
        harness.run(Settings(seed=seed))
    first, again, other = harness.draws
    assert harness.shot_seeds == [99, 99, 7]
    assert first == again
    assert first[0] == other[0] == random.Random(0).random()
    assert first[1] == numpy.random.RandomState(99).random() != other[1]
    assert first[2] == float(torch.rand(1, generator=torch.Generator().manual_seed(99))) != other[2]


def test_a_pair_draws_the_same_alone_as_after_others(harness: Harness) -> None:
    harness.run(units=(Pair("hub/m", "law"), Pair("hub/m", "law"), Pair("hub/n", "law")))
    assert harness.draws[0] == harness.draws[1] == harness.draws[2]
    assert [model for model, _ in harness.loaded] == ["hub/m", "hub/n"]
    assert [call["lm"].name for call in harness.calls] == ["hub/m", "hub/m", "hub/n"]


def test_results_bear_the_name_of_their_model(harness: Harness) -> None:
    done = harness.run(units=(Pair("hub/m", "law"), Pair("hub/n", "law")))
    assert [(one.pair.model, one.results[0]["model"]) for one in done] == [("hub/m", "m"), ("hub/n", "n")]


def test_seed_template_and_versions_make_a_fingerprint_another(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fingerprint(settings: Settings) -> str:
        return str(harness.run(settings)[0].results[0]["fingerprint"])

    plain = fingerprint(Settings(seed=1))
    assert plain == fingerprint(Settings(seed=1, batch_size=3, device="cpu"))
    others = [fingerprint(Settings(seed=2)), fingerprint(Settings(seed=1, chat=True))]
    harness.template = "{{ others }}"
    assert fingerprint(Settings(seed=1)) == plain, "a template that is not applied changes nothing"
    others.append(fingerprint(Settings(seed=1, chat=True)))
    monkeypatch.setattr(runs, "versions", lambda: {"torch": "0"})
    others.append(fingerprint(Settings(seed=1)))
    assert len({plain, *others}) == 5


def test_a_group_has_a_fingerprint_from_those_of_its_tasks(harness: Harness) -> None:
    def fingerprints(seed: int) -> dict[str, str]:
        return {result["task"]: result["fingerprint"] for result in harness.run(Settings(seed=seed))[0].results}

    harness.report = REPORT | {
        "results": {"all": {"sample_len": 1, "acc,none": 1.0}} | REPORT["results"],
        "group_subtasks": {"all": ["law"]},
    }
    one, other = fingerprints(1), fingerprints(2)
    assert len({one["all"], one["law"], other["all"], other["law"]}) == 4


def test_likelihoods_that_are_not_numbers_end_the_run(harness: Harness) -> None:
    sample = {"resps": [[(float("nan"), False)]], "doc_hash": "x"}
    harness.report = REPORT | {"samples": {"law": [sample]}}
    with pytest.raises(LatxaError, match="`hub/m` gives log-likelihoods that are not numbers"):
        harness.run()


def test_a_task_without_a_metric_is_told(harness: Harness) -> None:
    harness.report = REPORT | {"results": {"law": {"sample_len": 1}}}
    with pytest.raises(LatxaError, match="the task `law` gives no metric"):
        harness.run()


# --- what is loaded, and what is said beforehand


def test_all_tasks_of_a_model_come_before_the_next_model() -> None:
    assert pairs(["a", "b"], iter(["x", "y"])) == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]


def test_only_tasks_that_are_to_be_run_are_loaded_with_shots_and_seed(
    monkeypatch: pytest.MonkeyPatch, task_folder: Path
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    formats: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        runs, "load", lambda found, **how: asked.append((found, how)) or LoadedTask(found, {"tasks": {}})
    )
    monkeypatch.setattr(runs, "files_of", lambda sources: [])
    monkeypatch.setattr(runs, "check_items", lambda tasks, **how: None)
    monkeypatch.setattr(runs, "asked_as", lambda loaded, form, **how: formats.append((form, how)))
    found: Any = {"x": "found x", "y": "found y", "z": "found z"}
    loaded = load_tasks(found, [Pair("a", "z"), Pair("b", "x"), Pair("b", "z")], GIVEN, QUIET)
    assert list(loaded) == ["z", "x"]
    assert asked == [(f"found {name}", {"few_shot": 3, "seed": 99, "console": QUIET}) for name in "zx"]
    assert formats == [("cloze", {"paper": True})] * 2


def test_other_seeds_draw_other_shots(task_folder: Path) -> None:
    def prompts(seed: int) -> list[str]:
        settings = Settings(few_shot=2, seed=seed)
        loaded = load_tasks(find(["towns"], task_folder, QUIET), [Pair("m", "towns")], settings, QUIET)
        task = loaded["towns"].tasks["towns"]
        task.build_all_requests()
        return [instance.arguments[0] for instance in task.instances]

    assert prompts(1) == prompts(1) != prompts(2)


def test_what_would_be_done_is_counted_for_all_models_of_the_part_that_is_taken(task_folder: Path) -> None:
    said: list[str] = []
    settings = Settings(take=3)
    loaded = load_tasks(find(["towns"], task_folder, QUIET), [Pair("m", "towns")], settings, QUIET)
    preview(loaded, {"hub/m": "m", "hub/n": "n"}, settings, Console(say=said.append))
    assert said == ["`towns`: 3 items, 12 requests, 0 shots", "models: m, n; 24 requests in all; nothing was run"]
