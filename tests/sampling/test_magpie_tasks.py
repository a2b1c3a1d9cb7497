"""Task files: those that come with latxa, those of users, and what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from latxa_cli.generation.engine import Decoding
from latxa_cli.sampling.tasks import FOLDER, GENERAL, load_tasks, some_of_each, task_of
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.tables import names_in


def test_the_tasks_of_the_paper_are_there() -> None:
    assert set(names_in(FOLDER)) == {"general", "code", "math", "arithmetic", "translation"}
    tasks = load_tasks(names_in(FOLDER))
    assert [task.name for task in tasks] == names_in(FOLDER)
    assert all((task.system is None) == (task.name == GENERAL) for task in tasks)
    assert all(task.instruction.temperature == 1.0 and task.answer.temperature == 0.0 for task in tasks)


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "cooking.toml").write_text('system = "You cook."\nweight = 2\n[answer]\nmax_tokens = 9\ntop_p = 0.9\n')
    (tmp_path / "law.toml").write_text("")
    cooking, law = load_tasks([str(tmp_path)])
    assert (cooking.name, cooking.system, cooking.weight, cooking.answer) == (
        "cooking",
        "You cook.",
        2.0,
        Decoding(9, 0.0, 0.9),
    )
    assert law.instruction == Decoding(1024, 1.0) and load_tasks([str(tmp_path / "law.toml")]) == [law]
    changed = cooking.changed(None, {"temperature": 0.5, "top_p": None}, {"max_tokens": 4})
    assert changed.system == "You cook." and changed.instruction.temperature == 0.5 and changed.answer.max_tokens == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sistem = 'x'", "no setting `sistem`"),
        ("system = 3", "`system` is not a string"),
        ("weight = 0", "`weight` is not a number above 0"),
        ("weight = inf", "`weight` is not a number above 0"),
        ("not_first = '#'", "`not_first` is not a list of texts"),
        ("[answer]\ntemprature = 1", "no setting `answer.temprature`"),
        ("[instruction]\nmax_tokens = 1.5", "`instruction.max_tokens` is not a whole number"),
        ("[instruction]\ntop_p = 2", "`instruction.top_p` is out of range"),
        ("[instruction]\ntop_p = nan", "`instruction.top_p` is out of range"),
        ("[answer]\ntemperature = inf", "`answer.temperature` is out of range"),
        ("answer = 1", "`answer` is not a table"),
        ("= 3", "is not TOML"),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "task.toml"
    path.write_text(text)
    with pytest.raises(LatxaError, match=says):
        load_tasks([str(path)])


def test_wrong_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no task `maths`") as caught:
        load_tasks(["maths"])
    assert "`math`" in caught.value.hint
    with pytest.raises(UsageError, match="two tasks are called `code`"):
        load_tasks(["code", "code"])
    with pytest.raises(UsageError, match="`--task` is empty"):
        load_tasks([""])
    with pytest.raises(UsageError, match="is a folder without"):
        load_tasks([str(tmp_path)])
    with pytest.raises(UsageError, match="No such file"):
        load_tasks([str(tmp_path / "none.toml")])


def test_a_dry_run_draws_each_task() -> None:
    tasks = load_tasks(names_in(FOLDER))
    drawn = some_of_each(range(1000), tasks, 3, 4)
    assert len(drawn) == 5 and {task_of(tasks, 3, number).name for number in drawn} == set(names_in(FOLDER))
    assert some_of_each(range(1000), tasks[:1], 3, 4) == [0, 1, 2, 3]
    assert some_of_each(range(2), tasks[:2], 3, 4) == [0, 1]


def test_a_system_message_of_the_user_takes_the_place_of_the_tasks() -> None:
    (code,) = load_tasks(["code"])
    assert code.system and code.changed("Be brief.", {}, {}).system == "Be brief."
    assert code.changed("", {}, {}).system is None, "an empty one is none"


def test_another_seed_draws_other_tasks() -> None:
    tasks = load_tasks(["code", "math"])
    drawn = [[task_of(tasks, seed, number).name for number in range(40)] for seed in range(2)]
    assert drawn[0] != drawn[1] and all(set(names) == {"code", "math"} for names in drawn)
