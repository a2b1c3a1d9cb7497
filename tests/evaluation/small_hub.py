"""The datasets of the paper's benchmarks in small: the same columns, splits and configurations, and invented items.

`datasets` takes a folder called like a repository for that repository, so that the real loading code runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import yaml

from latxa_cli.evaluation.tasks.suites import SHIPPED

Rows = list[dict[str, Any]]
ITEMS = 12  # of a split that is evaluated
EXAMPLES = 8  # of a split for shots
LETTERS = "ABCD"


@contextmanager
def current(folder: Path) -> Iterator[Path]:
    """Put the small datasets where `datasets` finds them: into the folder, which becomes the current one."""
    build(folder)
    with chdir(folder):
        yield folder


def build(folder: Path) -> None:
    """Write every repository below `folder`, each with a card that tells its configurations."""
    repositories: dict[str, dict[str, dict[str, Rows]]] = {}
    for repository, configuration, split, rows in _splits():
        repositories.setdefault(repository, {}).setdefault(configuration, {})[split] = rows
    for repository, configurations in repositories.items():
        card = []
        for configuration, splits in configurations.items():
            place = folder / repository / configuration
            place.mkdir(parents=True)
            for split, rows in splits.items():
                lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                (place / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
            files = [{"split": split, "path": f"{configuration}/{split}.jsonl"} for split in splits]
            card.append({"config_name": configuration, "data_files": files})
        if len(card) == 1:
            card[0]["default"] = True
        (folder / repository / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': card})}---\n")


def _splits() -> Iterator[tuple[str, str, str, Rows]]:
    for repository in ("HiTZ/ARC-eu", "allenai/ai2_arc"):
        for configuration in ("ARC-Easy", "ARC-Challenge"):
            for split in ("train", "validation", "test"):
                yield repository, configuration, split, _rows(_arc, split)
    for code in ("eus_Latn", "eng_Latn", "spa_Latn"):
        yield "facebook/belebele", code, "test", _rows(_belebele, code)
    for language in ("eu", "en"):
        yield "HiTZ/BertaQA", language, "test", _rows(_bertaqa, language, count=2 * ITEMS)
        yield "orai-nlp/MMLU_HT_eu_sample", language, "test", _rows(_mmlu, language)
    yield "HiTZ/MMLU_HT_es_sample", "es", "test", _rows(_mmlu, "es")
    for exam in _members("eus_exams_eu"):
        yield "HiTZ/EusExams", exam, "test", _rows(_exam, exam, count=8)
    for name in ("EusProficiency", "EusTrivia", "EusReading"):
        yield f"HiTZ/{name}", "default", "test", _rows(_eus, name)
    for language, repository, configuration in (
        ("eu", "HiTZ/MGSM-eu", "default"), ("en", "juletxara/mgsm", "en"), ("es", "juletxara/mgsm", "es"),
    ):  # fmt: skip
        yield repository, configuration, "train", _rows(_mgsm_example, language, count=EXAMPLES)
        yield repository, configuration, "test", _rows(_mgsm, language, count=4)
    for repository in ("HiTZ/PIQA-eu", "baber/piqa"):
        for split in ("train", "validation"):
            yield repository, "default", split, _rows(_piqa, split)
    for language in ("eu", "en", "es"):
        for split in ("train", "eval"):
            yield "juletxara/xstory_cloze", language, split, _rows(_story, f"{language} {split}")
    for part in _members("gaokao_bench"):
        yield "RUCAIBox/gaokao-bench", part, "test", _rows(_gaokao, part)
    yield "orai-nlp/bl2mp", "default", "train", _rows(_bl2mp, "")
    for task, repository in (("latxa_bbq", "HiTZ/bbq"), ("basqbbq", "HiTZ/basqbbq")):
        for configuration in _members(task):
            yield repository, configuration, "train", _rows(_bbq, f"{configuration} shot", count=4)
            yield repository, configuration, "test", _rows(_bbq, configuration, count=8)


def _members(group: str) -> list[str]:
    """Return the configurations that the tasks of a group name."""
    text = (SHIPPED / f"{group}.yaml").read_text(encoding="utf-8").replace("!function ", "")
    return [member["dataset_name"] for member in yaml.safe_load(text)["task"]]


def _rows(make: Any, about: str, *, count: int = ITEMS) -> Rows:
    return [make(about, number) for number in range(count)]


def _arc(split: str, number: int) -> dict[str, Any]:
    labels = list("1234" if number % 3 == 0 else LETTERS)
    texts = [f"{split} answer {number} {letter}" for letter in LETTERS]
    return {
        "id": f"{split}-{number}", "question": f"Which of the {split} things is number {number}?",
        "choices": {"text": texts, "label": labels}, "answerKey": labels[number % 4],
    }  # fmt: skip


def _belebele(code: str, number: int) -> dict[str, Any]:
    answers = {f"mc_answer{place}": f"{code} {number}.{place}" for place in range(1, 5)}
    passage, question = f"A passage {number} in {code}.", f" What does passage {number} say? "
    return {"flores_passage": passage, "question": question, **answers, "correct_answer_num": str(number % 4 + 1)}


def _bertaqa(language: str, number: int) -> dict[str, Any]:
    group = "Gai orokorrak" if number % 2 else "Euskal gaiak"
    candidates = [f"{number} {letter}" for letter in LETTERS[:3]]
    return {"question": f"{language} {number}?", "candidates": candidates, "answer": number % 3, "group": group}


def _mmlu(language: str, number: int) -> dict[str, Any]:
    choices = [f"{number} {letter}" for letter in LETTERS]
    return {"question": f" {language} question {number}? ", "choices": choices, "answer": number % 4}


def _exam(exam: str, number: int) -> dict[str, Any]:
    """One of the items has no answer, and one no choices: neither can be scored."""
    candidates = [""] * 4 if number == 5 else [f"{exam} {number} {letter}" for letter in LETTERS]
    return {"question": f"{exam}, {number}?", "candidates": candidates, "answer": None if number == 2 else number % 4}


def _eus(name: str, number: int) -> dict[str, Any]:
    count = 4 if name == "EusProficiency" else 2 + number % 3
    candidates = [f"{number} {letter}" for letter in LETTERS[:count]]
    context = {"context": f"A text {number}."} if name == "EusReading" else {}
    return {"question": f"{name} {number}?", "candidates": candidates, "answer": number % count, **context}


def _gaokao(part: str, number: int) -> dict[str, Any]:
    """One of the items has two answers, and cannot be scored by letter."""
    answer = ["A", "B"] if number == 4 else [LETTERS[number % 4]]
    question = f"{number}. {part}?\nA. a B. b C. c D. d\n"
    about = {"year": "2010", "category": "I", "analysis": "", "index": number, "score": 6}
    return {"question": question, "answer": answer, **about}


QUESTION = {"eu": "Galdera", "en": "Question", "es": "Pregunta"}
ANSWER = {"eu": "Erantzuna urratsez urrats", "en": "Step-by-Step Answer", "es": "Respuesta paso a paso"}


def _mgsm(language: str, number: int) -> dict[str, Any]:
    return {"question": f"What is {number} and 1, in {language}?", "answer": None, "answer_number": number + 1}


def _mgsm_example(language: str, number: int) -> dict[str, Any]:
    solution = f"{ANSWER[language]}: it is {number + 2}."
    return {"question": f"{QUESTION[language]}: {number} and 2?", "answer": solution, "answer_number": number + 2}


def _piqa(split: str, number: int) -> dict[str, Any]:
    return {"goal": f"{split} goal {number}", "sol1": f"Do {number}.", "sol2": f"Do not {number}.", "label": number % 2}


def _story(about: str, number: int) -> dict[str, Any]:
    sentences = {f"input_sentence_{place}": f"Sentence {place} of {about} {number}." for place in range(1, 5)}
    endings = {f"sentence_quiz{place}": f"Ending {place} of {number}." for place in (1, 2)}
    return {**sentences, **endings, "answer_right_ending": number % 2 + 1}


def _bl2mp(_: str, number: int) -> dict[str, Any]:
    return {"sentence_good": f"This is number {number}.", "sentence_bad": f"This number {number} is."}


def _bbq(configuration: str, number: int) -> dict[str, Any]:
    return {
        "context": f"{configuration} {number}: an old and a young person came.", "question": "Who was late?",
        "ans0": "The old one", "ans1": "The young one", "ans2": "Not told",
        "label": 2 if configuration.split()[0].endswith("_ambig") else number % 2,
        "question_polarity": "neg" if number % 4 < 2 else "nonneg",
        "answer_info": {"ans0": ["old one", "old"], "ans1": ["young one", "nonOld"], "ans2": ["not told", "unknown"]},
        "additional_metadata": {"stereotyped_groups": ["old"]},
    }  # fmt: skip
