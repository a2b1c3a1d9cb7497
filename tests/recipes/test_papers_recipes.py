"""`recipes/x-instruction.sh` and `recipes/beyond-english.sh`: their plans, their lessons, what they say they found."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import papers
import pytest
from fake_engine import FakeEngine, stopped

from latxa_cli import cli

RECIPES = papers.ROOT / "recipes"
NAMES = ("x-instruction", "beyond-english")
SIZES = [(name, path.stem) for name in NAMES for path in sorted((RECIPES / name).glob("*.sh"))]
LESSONS = RECIPES / "x-instruction" / "lessons.py"


def recipe(name: str, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [str(RECIPES / f"{name}.sh"), *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def python(*words: object, cwd: Path) -> str:
    done = subprocess.run([sys.executable, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def pair(name: str, asked: str, answered: str, **more: object) -> dict[str, Any]:
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    return {"id": name, "messages": turns, **more}


# --- the plans


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_every_command_line_parses(name: str, size: str, tmp_path: Path) -> None:
    listed = recipe(name, "--size", size, "--list", "it", cwd=tmp_path)
    assert (listed.returncode, listed.stderr) == (0, "")
    calls = [line[line.index("latxa ") :] for line in listed.stdout.splitlines() if " latxa " in line]
    assert len(calls) > 20
    for call in calls:
        words = shlex.split(call)
        cli.load(words[1]).make_context(words[1], words[2:]).close()


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_what_it_costs_and_how_it_is_submitted(name: str, size: str, tmp_path: Path) -> None:
    shown = recipe(name, "--size", size, "--dry-run", "it", cwd=tmp_path)
    assert shown.returncode == 0 and "GPU-hours" in shown.stdout
    submitted = recipe(name, "--size", size, "--submit", "--dry-run", "it", cwd=tmp_path)
    assert (submitted.returncode, submitted.stderr) == (0, "")
    assert submitted.stdout.count("sbatch ") > 10
    assert list((tmp_path / "it").iterdir()) == []


def test_each_round_learns_from_what_the_one_before_kept(tmp_path: Path) -> None:
    listed = recipe("x-instruction", "--iterations", 3, "--list", "it", cwd=tmp_path).stdout
    judged = re.findall(r"latxa judge \S+ --rubric \S+ --judge models/judge(\d)", listed)
    assert judged == ["1", "2", "3"]
    lessons = re.findall(r"lessons\.py'? judge .*? (data/seed\S+(?: pairs/kept\S+)?)\s+>", listed)
    seed = "data/seed.eu.jsonl"
    assert lessons == [seed, f"{seed} pairs/kept1.eu.jsonl", f"{seed} pairs/kept2.eu.jsonl"]
    assert "--diversify eu=" in listed and "pairs/kept3.eu.jsonl --diversify" in listed


def test_a_ladder_of_text_and_of_instructions(tmp_path: Path) -> None:
    listed = recipe("beyond-english", "--size", "7b", "--list", "it", cwd=tmp_path).stdout
    trained = set(re.findall(r"-o models/(\w+)_\d+ --resume", listed))
    assert trained == {"text0", "text10000", "text100000", "text1000000", "extended1000000", "joint1000000"}
    assert set(re.findall(r"-o models/text0_(\d+) ", listed)) == {"1000", "5000", "950000"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--iterations", "none"], "--iterations wants a number"),
        (["--rounds", "2"], "recipes/x-instruction.sh --iterations 3"),
        (["--size", "8b"], "there is no recipes/x-instruction/8b.sh"),
        (["--seed"], "x-instruction: --seed of what?"),
    ],
)
def test_wrong_words(words: list[str], said: str, tmp_path: Path) -> None:
    done = recipe("x-instruction", "--list", *words, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_guide_shows_what_can_be_run(name: str, tmp_path: Path) -> None:
    lines = [
        line for kind in (papers.RUN, papers.ELSEWHERE) for block in papers.blocks(RECIPES / f"{name}.md", kind)
        for line in block.splitlines() if line.startswith(f"recipes/{name}.sh")
    ]  # fmt: skip
    assert len(lines) > 3
    for line in lines:
        dry = [] if re.search(" --(list|dry-run)", line) else ["--list"]
        assert recipe(name, *line.split()[1:], *dry, cwd=tmp_path).returncode == 0, line


@pytest.mark.parametrize(
    "path", ["x-instruction.sh", "beyond-english.sh", *(f"{name}/{size}.sh" for name, size in SIZES)]
)
def test_shellcheck_finds_nothing(path: str) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("`shellcheck` is not installed")
    command = ["shellcheck", "--external-sources", RECIPES / path]
    checked = subprocess.run(command, cwd=RECIPES.parent, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


# --- lessons


SEED = [
    pair("a", "What is red?", "Odola gorria da."),
    pair("b", "Who sings here?", "Ane ari da kantuan."),
    pair("c", "Who sings there?", "Iker ari da kantuan."),
]


def test_a_reverse_model_is_taught_what_it_is_asked(tmp_path: Path) -> None:
    from latxa_cli.generation.engine import Decoding
    from latxa_cli.sampling.filters import Filters
    from latxa_cli.sampling.reverse import Reversal, reverse

    path = write(tmp_path / "seed.jsonl", SEED)
    lessons = read(python(LESSONS, "reverse", f"Basque={path}", cwd=tmp_path))
    engine = FakeEngine(lambda request: "What is it that you see?", window=1)
    documents = [{"id": one["id"], "text": one["messages"][1]["content"]} for one in SEED]
    reversal = Reversal(Decoding(9), Filters(frozenset()), "Basque", "English", [], 400, 3, "tiny")
    list(reverse(documents, engine, reversal))
    assert [lesson["messages"][:-1] for lesson in lessons] == [list(one.messages or ()) for one in engine.requests]
    assert [lesson["messages"][-1]["content"] for lesson in lessons] == [
        "What is red?",
        "Who sings here?",
        "Who sings there?",
    ]


def test_a_judge_is_taught_what_it_is_asked_and_can_be_read(tmp_path: Path) -> None:
    from latxa_cli.judging.rubric import load_rubric
    from latxa_cli.judging.verdict import read as read_verdict

    rubric = RECIPES / "x-instruction" / "level.toml"
    path = write(tmp_path / "seed.jsonl", SEED)
    texts = write(tmp_path / "texts.jsonl", [{"text": "Euria ari du."}])
    lessons = read(python(LESSONS, "judge", "--rubric", rubric, "--texts", texts, path, path, cwd=tmp_path))
    known = load_rubric(str(rubric))
    replies = [lesson["messages"][-1]["content"] for lesson in lessons]
    levels = [read_verdict(stopped(reply), known.tags) for reply in replies]
    assert [verdict.numbers for verdict in levels] == [{"l": level} for level in [3, 2, 1] * 6]
    for number, one in enumerate([*SEED, *SEED]):
        asked, answered = (turn["content"] for turn in one["messages"])
        best, *others = (lesson["messages"][0]["content"] for lesson in lessons[3 * number :][:3])
        texts = {"prompt": asked, "response": answered, "language": "", "reference": ""}
        assert best == known.sheet.messages(texts)[0]["content"]
        assert all(asked in other for other in others) and best not in others


def test_grades_are_taught_as_they_stand(tmp_path: Path) -> None:
    rubric = RECIPES / "beyond-english" / "grade.toml"
    graded = pair("a", "Zer?", "Gorria da.", scores={"fluency": 3})
    (lesson,) = read(python(LESSONS, "grade", "--rubric", rubric, write(tmp_path / "g.jsonl", [graded]), cwd=tmp_path))
    asked, reply = (turn["content"] for turn in lesson["messages"])
    assert "<q>Zer?</q>\n<a>Gorria da.</a>" in asked and reply == "<f>3</f>"


def test_a_grade_of_each_dimension_is_taught(tmp_path: Path) -> None:
    names = ("accuracy", "fluency", "informativeness", "logical coherence", "harmlessness")
    graded = pair("a", "Zer?", "Gorria da.", reference="Urdina da.", scores=dict.fromkeys(names, 2))
    path = write(tmp_path / "graded.jsonl", [graded])
    (lesson,) = read(python(LESSONS, "grade", "--rubric", "llm-eval", path, cwd=tmp_path))
    _, asked, reply = (turn["content"] for turn in lesson["messages"])
    assert "<reference>\nUrdina da.\n</reference>" in asked
    assert "a native speaker of the language that the prompt asks for" in asked
    assert reply.splitlines() == [f"<{name.split()[-1]}>2</{name.split()[-1]}>" for name in names]


# --- the island, and what is found on it


def test_the_texts_say_what_their_question_asks(tmp_path: Path) -> None:
    sys.path.insert(0, str(RECIPES / "quickstart"))
    from facts import make_world

    island = RECIPES / "x-instruction" / "island.py"
    for name in ("texts.eu", "prompts"):
        python(island, f"{name}.jsonl", "--seed", 4, cwd=tmp_path)
    facts = {fact.question[0]: fact for fact in make_world(4).facts}
    texts = read((tmp_path / "texts.eu.jsonl").read_text())
    asked = [one for one in texts if one["metadata"]["question"]]
    assert 0.5 < len(asked) / len(texts) < 0.7
    for one in asked:
        fact = facts[one["metadata"]["question"]]
        rest = one["text"].replace(fact.answer[1], "").replace(fact.also[1], "")
        assert rest.strip() in ("", "Kaixo!")
    told = {one["metadata"]["question"] for one in asked}
    untold = [one for one in read((tmp_path / "prompts.jsonl").read_text()) if one["id"].startswith("untold-en-")]
    assert untold and not told & {one["messages"][0]["content"].removesuffix(" Answer in Basque.") for one in untold}


def test_what_x_instruction_found(tmp_path: Path) -> None:
    pairs = [pair(str(n), f"Q{n}?", "A.", metadata={"question": f"Q{n}?" if n < 6 else None}) for n in range(8)]
    write(tmp_path / "pairs" / "generated.eu.jsonl", pairs)
    kept = [{"id": str(n), "scores": {"level": 3 if n in (0, 1, 2, 7) else 1}} for n in range(8)]
    write(tmp_path / "scores" / "1.eu.jsonl", kept)
    response = pair("told-eu-x", "Q?", "A da.", reference="A da.", metadata={"also": "Bada A."})
    for model in ("generated", "refined", "diversified"):
        write(tmp_path / "mixes" / f"{model}.jsonl", pairs[:2])
        wrong = pair("told-eu-y", "Q?", "B da.", reference="A da.", metadata={"also": "Bada A."})
        write(tmp_path / "responses" / f"{model}.jsonl", [response, wrong])
    said = python(RECIPES / "x-instruction" / "found.py", tmp_path, tmp_path, cwd=tmp_path).splitlines()
    assert "pairs that are right: 75.0 ± 0.0 (75.0 75.0)" in said
    assert "round 1: kept pairs that are right: 75.0 ± 0.0 (75.0 75.0)" in said
    assert "round 1: right pairs that are kept: 50.0 ± 0.0 (50.0 50.0)" in said
    assert "round 1: verdicts that are true: 50.0 ± 0.0 (50.0 50.0)" in said
    assert "refined: right answers, asked in Basque, told by a text: 50.0 ± 0.0 (50.0 50.0)" in said


def test_what_beyond_english_found(tmp_path: Path) -> None:
    result = {"model": "text15", "task": "eu", "metric": "bits_per_byte", "value": 1.5}
    write(tmp_path / "results" / "perplexity.jsonl", [result])
    answers = [
        pair(name, "Q?", said, reference="A da.", metadata={"also": "Bada A."}, model="text15_50")
        for name, said in (("x", "A da."), ("y", "B da."))
    ]
    write(tmp_path / "responses" / "text15_50.jsonl", answers)
    scores = [{"id": name, "model": "text15_50", "scores": {"fluency": 2}} for name in "xy"]
    write(tmp_path / "scores.jsonl", scores)
    write(tmp_path / "switches.jsonl", [{"id": "x", "model": "text15_50", "scores": {"switched": 0}}])
    said = python(RECIPES / "beyond-english" / "found.py", tmp_path, cwd=tmp_path).splitlines()
    assert said[0] == "| | bits per byte, eu | fluency, 50 | right %, 50 | switched %, 50 |"
    assert said[2] == "| text15 | 1.50 | 2.00 | 50.00 | 0.00 |"
