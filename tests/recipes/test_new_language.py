"""`recipes/new-language.sh` and its guide, on a Welsh village of our own and a model that knows nothing."""

from __future__ import annotations

import json
import random
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import papers
import pytest
import tiny
from tiny import Latxa

from latxa_cli import cli

RECIPES = papers.ROOT / "recipes"
GUIDE = RECIPES / "new-language.md"
PAIRS = RECIPES / "new-language" / "pairs.py"
LINE = "recipes/new-language.sh cy welsh models/base"

NAMES = ("Megan", "Rhys", "Eleri", "Gethin", "Nia", "Aled", "Lowri", "Iwan")
THINGS = (("apples", "afalau"), ("eggs", "wyau"), ("books", "llyfrau"), ("lamps", "lampau"), ("letters", "llythyrau"))
PLACES = (
    ("market", "farchnad"),
    ("chapel", "capel"),
    ("school", "ysgol"),
    ("harbour", "harbwr"),
    ("library", "llyfrgell"),
)
ENDS = (
    ("before the winter came", "cyn i'r gaeaf gyrraedd"),
    ("because her grandmother had asked for them", "oherwydd bod ei nain wedi gofyn amdanynt"),
    ("and carried them home through the rain", "a'u cario adref drwy'r glaw"),
    ("while the children were still asleep", "tra oedd y plant yn dal i gysgu"),
    ("and nobody in the village knew why", "ac ni wyddai neb yn y pentref pam"),
)


def sentence(draw: random.Random) -> tuple[str, str]:
    """Return a sentence in English and in Welsh."""
    name, (things, pethau), (place, lle), (end, diwedd) = map(draw.choice, (NAMES, THINGS, PLACES, ENDS))
    count = draw.randrange(10, 99)
    return (
        f"Yesterday {name} bought {count} {things} near the {place} {end}.",
        f"Ddoe prynodd {name} {count} o {pethau} ger y {lle} {diwedd}.",
    )


def documents(draw: random.Random, count: int, language: int, name: str) -> list[dict[str, object]]:
    return [
        {"id": f"{name}{n}", "text": " ".join(sentence(draw)[language] for _ in range(draw.randrange(2, 6)))}
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def afternoon(
    tmp_path_factory: pytest.TempPathFactory, latxa: Latxa, shell_environment: dict[str, str]
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A clone in which the recipe has run: its folder, and what the recipe said."""
    clone, draw = tmp_path_factory.mktemp("clone"), random.Random(0)
    for path in RECIPES.iterdir():
        if path.name != "sizes":
            (clone / "recipes").mkdir(exist_ok=True)
            (clone / "recipes" / path.name).symlink_to(path)
    shutil.copytree(RECIPES / "sizes", clone / "recipes" / "sizes")

    welsh = clone / "welsh"
    (welsh / "raw").mkdir(parents=True)
    (welsh / "tasks").mkdir()
    trusted = documents(draw, 120, 1, "t")
    tiny.write_jsonl(welsh / "trusted.jsonl", trusted)
    foreign, copies = documents(draw, 20, 0, "f"), [{**one, "id": f"c{one['id']}"} for one in trusted[:5]]
    tiny.write_jsonl(welsh / "raw" / "web.jsonl", [*documents(draw, 30, 1, "w"), *foreign, *copies])
    pairs = [sentence(draw) for _ in range(60)]
    tiny.write_jsonl(welsh / "pairs.jsonl", [{"source": source, "target": target} for source, target in pairs])
    asked = [{"question": f"Faint o {THINGS[n % 5][1]} sydd {n}?", "choices": ["dim", "un", "dau"]} for n in range(20)]
    tiny.write_jsonl(
        welsh / "tasks" / "questions.jsonl", [{"id": f"q{n}", **one, "answer": 0} for n, one in enumerate(asked)]
    )
    papers.write_files(GUIDE, clone)

    shape = tiny.CONFIG | {"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": 1024}
    (clone / "config.json").write_text(json.dumps(shape))
    made = latxa(
        "init", "config.json", "welsh/trusted.jsonl", "--vocabulary-size", "500", "-o", "models/base", cwd=clone
    )
    assert made.returncode == 0, made.stderr.decode()
    return clone, run(clone, shell_environment)


def run(clone: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        shlex.split(LINE), cwd=clone, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def test_the_recipe_ends_with_a_table(afternoon: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    clone, ended = afternoon
    assert ended.returncode == 0, ended.stderr
    assert LINE in [line for block in papers.blocks(GUIDE, papers.RUN) for line in block.splitlines()]
    assert re.search(r"^base ", ended.stdout, re.MULTILINE) and "questions_cy" in ended.stdout
    assert "tokens a word" in ended.stderr and "would be rejected" in ended.stderr
    rejected = {(record["record"]["id"][0], record["reason"]) for record in read(clone / "welsh" / "rejects.jsonl")}
    assert {("f", "wrong language"), ("c", "exact duplicate"), ("t", "contaminated")} <= rejected
    measured = {result["task"] for result in read(clone / "welsh" / "results.jsonl")}
    assert measured == {"questions_cy", "translations_cy", "cy", "en"}


def test_the_second_run_changes_nothing(
    afternoon: tuple[Path, subprocess.CompletedProcess[str]], shell_environment: dict[str, str]
) -> None:
    clone, _ = afternoon
    before = {path: path.stat().st_mtime_ns for path in clone.rglob("*") if path.is_file()}
    again = run(clone, shell_environment)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in clone.rglob("*") if path.is_file()} == before


def test_the_commands_of_the_guide(afternoon: tuple[Path, subprocess.CompletedProcess[str]], latxa: Latxa) -> None:
    clone, _ = afternoon
    papers.run(GUIDE, latxa, clone, but=(LINE,))
    assert len(read(clone / "welsh" / "responses.jsonl")) == 3
    (by_letter,) = read(clone / "welsh" / "by_letter.jsonl")
    assert by_letter["task"] == "questions_cy" and by_letter["n"] == 20


def test_the_plan_of_the_study(afternoon: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    clone, _ = afternoon
    lines = [line.split() for block in papers.blocks(GUIDE, papers.ELSEWHERE) for line in block.splitlines()]
    listed, planned = (
        subprocess.run(words, cwd=clone, capture_output=True, text=True, timeout=60, check=False) for words in lines
    )
    assert (listed.returncode, planned.returncode) == (0, 0), listed.stderr + planned.stderr
    calls = [line[line.index("latxa ") :] for line in listed.stdout.splitlines() if " latxa " in line]
    assert len([call for call in calls if call.startswith("latxa mix --variant")]) == 17
    for call in calls:
        words = shlex.split(call)
        cli.load(words[1]).make_context(words[1], words[2:]).close()
    named = [word for call in calls for word in shlex.split(call) if "/../welsh/" in word]
    assert len(named) > 5 and all(Path(word.rpartition("=")[2]).exists() for word in named)
    assert "17" in planned.stdout and "eu" not in re.findall(r"\w+", listed.stdout)


@pytest.mark.parametrize("path", [RECIPES / "new-language.sh", "sizes/welsh.sh"], ids=["recipe", "size"])
def test_shellcheck_finds_nothing(path: Path | str, tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("`shellcheck` is not installed")
    if isinstance(path, str):
        path = tmp_path / "welsh.sh"
        path.write_text(papers.files(GUIDE)["recipes/sizes/welsh.sh"])
    command = ["shellcheck", "--external-sources", path]
    checked = subprocess.run(command, cwd=papers.ROOT, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


# --- what pairs are good for


def pairs(folder: Path, given: list[dict[str, object]]) -> subprocess.CompletedProcess[str]:
    tiny.write_jsonl(folder / "pairs.jsonl", given)
    command = [sys.executable, PAIRS, "cy", folder / "pairs.jsonl", folder / "data"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_pair_is_a_shot_or_a_question(tmp_path: Path) -> None:
    draw = random.Random(1)
    given = [dict(zip(("source", "target"), sentence(draw), strict=True), id=f"p{n}") for n in range(400)]
    assert pairs(tmp_path, [*given, given[0], {"source": "x", "target": " "}]).returncode == 0
    shots, english, welsh, asked = (
        read(tmp_path / "data" / f"{name}.jsonl") for name in ("shots", "en", "cy", "questions")
    )
    distinct = {(pair["source"], pair["target"]): pair["id"] for pair in reversed(given)}
    assert len(shots) == len(distinct) // 5
    assert sorted([record["id"] for record in (*shots, *english)]) == sorted(distinct.values())
    assert [record["id"] for record in english] == [record["id"] for record in welsh] == [one["id"] for one in asked]
    for source, target, one in zip(english, welsh, asked, strict=True):
        assert one["question"] == source["text"] and one["choices"][one["answer"]] == target["text"]
        assert len(set(one["choices"])) == 4
    assert len({one["answer"] for one in asked}) == 4


@pytest.mark.parametrize(
    "given, said",
    [
        ([{"source": "one", "target": "un"}], "1 pairs are too few"),
        ([{"source": "one"}], ":1: not a pair"),
    ],
)
def test_pairs_that_will_not_do(given: list[dict[str, object]], said: str, tmp_path: Path) -> None:
    done = pairs(tmp_path, given)
    assert done.returncode == 1 and said in done.stderr
    assert not (tmp_path / "data").exists()
