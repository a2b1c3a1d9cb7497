"""Task files by themselves: paths of data, in all the ways in which a task may name them."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latxa_cli.evaluation import libraries
from latxa_cli.evaluation import model as models
from latxa_cli.evaluation.libraries import Console, quiet_libraries
from latxa_cli.evaluation.tasks import loading
from latxa_cli.evaluation.tasks.files import broken_line, data_files, has_files, read
from latxa_cli.evaluation.tasks.loading import LoadedTask, find, items, load
from latxa_cli.stream.errors import LatxaError, UsageError

QUIET = Console()


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """`written(text)` returns what is read of a task file of that text, and the folder that it lies in."""

    def write(text: str) -> dict[str, Any]:
        (tmp_path / "task.yaml").write_text("task: t\n" + text)
        return read(tmp_path / "task.yaml")

    return write


def test_data_beside_the_task_file_in_every_way_to_name_them(
    written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/itziar")
    task = written(
        "dataset_path: json\ndataset_kwargs:\n  field: data\n  data_dir: more\n  data_files:\n"
        "    test: [a.jsonl, /b.jsonl, '~/c.jsonl']\n    train: https://example.org/d.jsonl\n    dev: e/f.jsonl\n"
    )
    assert task["dataset_path"] == "json"
    assert task["dataset_kwargs"] == {
        "field": "data",
        "data_dir": str(tmp_path / "more"),
        "data_files": {
            "test": [str(tmp_path / "a.jsonl"), "/b.jsonl", "/home/itziar/c.jsonl"],
            "train": "https://example.org/d.jsonl",
            "dev": str(tmp_path / "e" / "f.jsonl"),
        },
    }
    assert sorted(map(str, data_files(task))) == sorted(
        [str(tmp_path / "a.jsonl"), "/b.jsonl", "/home/itziar/c.jsonl", str(tmp_path / "e" / "f.jsonl")]
    )


def test_a_folder_of_data_is_looked_for_beside_the_task_file(written: Any, tmp_path: Path) -> None:
    assert written("dataset_path: ./data\n")["dataset_path"] == str(tmp_path / "data")
    assert written("dataset_path: ../data\n")["dataset_path"] == str(tmp_path / ".." / "data")
    assert "dataset_kwargs" not in written("dataset_path: ./data\n")


def test_data_on_the_hub_stay_the_hubs_business(written: Any) -> None:
    task = written("dataset_path: me/data\ndataset_kwargs: {data_files: {test: a.jsonl}}\n")
    assert task["dataset_path"] == "me/data" and task["dataset_kwargs"] == {"data_files": {"test": "a.jsonl"}}
    assert not has_files(task) and list(data_files(task)) == []
    assert list(data_files({"dataset_path": "json"})) == []


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'{"a": 1}\n\n  \n{"a": 2}\n', ""), (b"{}\n\nbroken\n", ":3: is not JSON"), (b"{\n", ":1: is not JSON"),
        (b"{}\n[1]\n", ":2: is not a JSON object"), (b"\n3\n", ":2: is not a JSON object"), (b"", ": is empty"),
    ],
)  # fmt: skip
def test_the_line_that_is_broken_is_named(data: bytes, what: str, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_bytes(data)
    assert broken_line(tmp_path / "data.jsonl") == what


# --- tasks, tags and groups


def put(folder: Path, name: str, **changes: str) -> None:
    """Write the task `name`, with a data file of its own, after the pattern of `towns`."""
    text = (folder / "towns.yaml").read_text().replace("task: towns", f"task: {name}")
    (folder / f"{name}.jsonl").write_text((folder / "towns.jsonl").read_text())
    (folder / f"{name}.yaml").write_text(text.replace("towns.jsonl", f"{name}.jsonl") + changes.get("more", ""))


def test_a_tag_and_a_group_stand_for_all_their_tasks_and_their_data(task_folder: Path) -> None:
    put(task_folder, "ports", more="tag: [places]\n")
    put(task_folder, "hills", more="tag: [places]\n")
    (task_folder / "all.yaml").write_text("group: all\ntask: [inner, {task: towns}]\n")
    (task_folder / "inner.yaml").write_text("group: inner\ntask: [places]\n")
    for name, members in (("places", {"ports", "hills"}), ("all", {"ports", "hills", "towns"})):
        found = find([name], task_folder, QUIET)[name]
        assert {path.stem for path in loading.files_of([found])} == members
        assert set(load(found, few_shot=None, seed=1, console=QUIET).tasks) == members


@pytest.mark.parametrize("missing", ["ports", "hills", "towns"])
def test_data_that_lack_are_told_of_every_member(task_folder: Path, missing: str) -> None:
    put(task_folder, "ports")
    put(task_folder, "hills")
    (task_folder / "all.yaml").write_text("group: all\ntask: [ports, hills, towns]\n")
    (task_folder / f"{missing}.jsonl").unlink()
    with pytest.raises(LatxaError, match=rf"{missing}\.jsonl: no such file"):
        load(find(["all"], task_folder, QUIET)["all"], few_shot=None, seed=1, console=QUIET)


def test_a_group_that_names_itself_is_no_endless_search(task_folder: Path) -> None:
    (task_folder / "loop.yaml").write_text("group: loop\ntask: [loop, towns]\n")
    found = find(["loop"], task_folder, QUIET)["loop"]
    assert [path.stem for path in loading.files_of([found])] == ["towns"]


def test_items_are_numbered_within_their_task(task_folder: Path) -> None:
    put(task_folder, "ports")
    (task_folder / "all.yaml").write_text("group: all\ntask: [ports, towns]\n")
    loaded: LoadedTask = load(find(["all"], task_folder, QUIET)["all"], few_shot=None, seed=1, console=QUIET)
    numbered = list(items(loaded))
    assert [name for name, _ in numbered] == [f"{task}:{n}" for task in ("ports", "towns") for n in range(12)]
    assert [item["id"] for _, item in numbered] == [f"town-{n}" for n in range(12)] * 2


@pytest.mark.parametrize(
    ("own", "flag", "shots"), [("", None, 0), ("3", None, 3), ("3", 0, 0), ("3", 12, 12), ("", 5, 5)]
)
def test_the_number_of_shots(task_folder: Path, own: str, flag: int | None, shots: int) -> None:
    if own:
        with (task_folder / "towns.yaml").open("a") as file:
            file.write(f"num_fewshot: {own}\n")
    said: list[str] = []
    loaded = load(find(["towns"], task_folder, QUIET)["towns"], few_shot=flag, seed=1, console=Console(say=said.append))
    assert loaded.tasks["towns"].get_config("num_fewshot") == shots and said == []


def test_zero_shots_by_the_file_and_by_the_flag_are_no_contradiction(task_folder: Path) -> None:
    with (task_folder / "towns.yaml").open("a") as file:
        file.write("num_fewshot: 0\n")
    said: list[str] = []
    for flag in (None, 0):
        load(find(["towns"], task_folder, QUIET)["towns"], few_shot=flag, seed=1, console=Console(say=said.append))
    assert said == []


@pytest.mark.parametrize("copy", ["me___data", "data"])
def test_data_in_the_cache_do_without_the_hub(
    task_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy: str
) -> None:
    from datasets import config

    monkeypatch.setattr(loading.hub, "can_be_reached", lambda: False)
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    said: list[str] = []
    with pytest.raises(LatxaError, match="`me/data`, and the hub cannot be reached"):
        loading._check_reachable("towns", {"dataset_path": "me/data"}, QUIET)
    (tmp_path / "cache" / copy).mkdir(parents=True)
    loading._check_reachable("towns", {"dataset_path": "me/data"}, Console(say=said.append))
    assert said == ["the hub cannot be reached: `towns` uses the copy of `me/data` in the local cache"]


def test_loading_twice_shuffles_alike(task_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the harness's tasks shuffle their choices while they are loaded."""
    import random

    import numpy

    drawn: list[tuple[float, float]] = []
    found = find(["towns"], task_folder, QUIET)["towns"]
    build = found.manager.load
    monkeypatch.setattr(
        found.manager, "load", lambda names: (drawn.append((random.random(), numpy.random.random())), build(names))[1]
    )
    for _ in range(2):
        load(found, few_shot=None, seed=1, console=QUIET)
    assert drawn[0] == drawn[1] == (random.Random(0).random(), numpy.random.RandomState(1234).random())


# --- libraries and models


@pytest.mark.parametrize("begin", ["Combined length of context (9) and", "Left truncation applied. Original"])
def test_prompts_that_were_cut_are_counted(begin: str) -> None:
    logger = logging.getLogger("lm_eval.somewhere")
    with quiet_libraries(QUIET) as notices:
        logger.warning(f"{begin} …")
        logger.warning("Combined effort")
        logger.warning(f"{begin} …")
    assert notices.cut == 2


def test_libraries_have_their_logging_back_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    loggers = [logging.getLogger(name) for name in libraries.LIBRARIES]
    for logger in loggers:
        monkeypatch.setattr(logger, "level", 13)
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    with quiet_libraries(QUIET) as notices:
        assert all(logger.handlers == [notices] and not logger.propagate for logger in loggers)
    assert [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers] == before


@pytest.mark.filterwarnings("ignore:a library")
def test_what_libraries_say_reaches_who_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    def heard(console: Console) -> str:
        with quiet_libraries(console):
            import sys
            import warnings

            print("printed")
            sys.stderr.write("bar\n")
            logging.getLogger("lm_eval").warning("logged")
            logging.getLogger("transformers").warning("warned")
            warnings.warn("a library's", stacklevel=1)
        captured = capsys.readouterr()
        assert captured.out == "", "stdout is for records"
        return captured.err

    assert heard(QUIET) == ""
    assert heard(Console(bars=True)) == "bar\n"
    loud = heard(Console(verbose=True))
    assert "printed" in loud and "lm_eval: logged" in loud and "transformers: warned" in loud and "bar" not in loud


def test_a_model_is_named_by_its_whole_path_wherever_it_stands_among_namesakes() -> None:
    given = ["a/base", "x", "b/base", "c/tuned", "base"]
    assert list(models.display_names(given).values()) == ["a/base", "x", "b/base", "tuned", "base"]


def test_the_models_loader_gets_what_the_run_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    tokenizer, network = SimpleNamespace(chat_template="{{ strftime_now('%Y') }}"), object()
    monkeypatch.setattr(models, "load_tokenizer", lambda *a, **how: asked.append((a, how)) or tokenizer)
    monkeypatch.setattr(models, "load_model", lambda *a, **how: asked.append((a, how)) or network)
    made: list[Any] = []

    class Scorer:
        network = SimpleNamespace(fault="")

        def __init__(self, *given: Any, **how: Any) -> None:
            made.append((given, how))

    monkeypatch.setattr("latxa_cli.evaluation.scoring.scorer.Scorer", Scorer)
    models.load("m", device="cuda:1", batch_size=7, day=date(2026, 1, 2), trust_remote_code=True)
    [(given, how)] = made
    assert how.pop("chat_template_args")["strftime_now"]("%Y-%m-%d") == "2026-01-02"
    assert given == (network, tokenizer) and how == {"batch_size": 7, "most_rows": 7}
    assert asked == [(("m",), {"trust_remote_code": True}), (("m",), {"device": "cuda:1", "trust_remote_code": True})]


def test_a_name_that_is_given_twice_is_told_whatever_else_is_given(task_folder: Path) -> None:
    with pytest.raises(UsageError, match="the task `towns` is given twice"):
        find(["towns", "nothing", "towns"], task_folder, QUIET)
