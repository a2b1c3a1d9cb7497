"""The island of the quickstart: the same bytes every time, valid records, and both languages saying the same."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from latxa_cli.stream.checks import checker

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]
QUICKSTART = Path(__file__).resolve().parents[2] / "recipes" / "quickstart"
sys.path.append(str(QUICKSTART))

import basque  # noqa: E402
import facts  # noqa: E402
import words  # noqa: E402
import world  # noqa: E402

ENGLISH, BASQUE = facts.ENGLISH, facts.BASQUE
EVERYTHING = ("both", "english", "instructions", "local", "skill")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("island")
    world.write_world(folder, 0)
    return folder


@pytest.fixture(scope="module")
def island() -> facts.World:
    return facts.make_world(0)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(path)]


def readable(path: Path) -> list[dict[str, Any]]:
    """Return the records of a file that may hold broken lines."""
    records = []
    for line in lines(path):
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


@pytest.fixture(scope="module")
def cleaned(latxa: Run, directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the quickstart's command makes of the crawl: corpus_eu.jsonl and rejects.jsonl."""
    recipe = (QUICKSTART.parent / "quickstart.sh").read_text(encoding="utf-8").replace("\\\n", "")
    command = re.search(r"^latxa (corpus .*)$", recipe, re.MULTILINE)
    assert command is not None
    folder = tmp_path_factory.mktemp("text")
    words = command[1].replace("$recipe", str(QUICKSTART)).replace("data/", f"{directory}/").replace("text/", "")
    result = latxa(*shlex.split(words), cwd=folder)
    assert result.returncode == 0, result.stderr.decode()
    return folder


@pytest.fixture(scope="module")
def kept(cleaned: Path) -> list[str]:
    return [record["text"] for record in read(cleaned / "corpus_eu.jsonl")]


# --- files -----------------------------------------------------------------------------------------------------------


def test_same_seed_same_bytes_in_another_process(directory: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, QUICKSTART / "world.py", tmp_path, "--seed", "0"],
        env=os.environ | {"PYTHONHASHSEED": "12"}, check=True, timeout=60,
    )  # fmt: skip
    assert contents(tmp_path) == contents(directory)


def test_another_seed_makes_another_world(island: facts.World) -> None:
    other = facts.make_world(1)
    same = [fact for fact in other.facts if fact.answer in {fact.answer for fact in island.facts}]
    assert len(other.facts) == len(island.facts) and len(same) < len(island.facts) / 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("corpus_en.jsonl", "document"),
        ("instructions_en.jsonl", "conversation"),
        ("shots.jsonl", "pair"),
        ("prompts_eu.jsonl", "prompt"),
    ],
)
def test_records_are_valid(directory: Path, name: str, kind: str) -> None:
    records = read(directory / name)
    check: Callable[[dict[str, Any]], None] = checker(kind)
    for record in records:
        check(record)
    assert len({record["id"] for record in records}) == len(records) > 0


def test_the_crawl_holds_what_a_cleaner_must_find(directory: Path, cleaned: Path) -> None:
    records = readable(directory / "corpus_eu_raw.jsonl")
    assert len(lines(directory / "corpus_eu_raw.jsonl")) - len(records) == 2
    assert len(records) > world.BASQUE_PAGES
    for record in records:
        checker("document")(record)
    rejects = Counter(reject["reason"] for reject in read(cleaned / "rejects.jsonl"))
    assert rejects == {
        "malformed": 2,
        "exact duplicate": 140,
        "wrong language": 60,
        "uncertain language": 25,
        "too short": 5,
    }


def test_the_crawl_keeps_its_pages_of_both_kinds(kept: list[str]) -> None:
    assert len(kept) == world.BASQUE_PAGES
    bilingual = sum("English: " in text for text in kept)
    assert 0.4 <= bilingual / len(kept) <= 0.55


def test_some_duplicates_show_only_in_clean_form(directory: Path) -> None:
    texts = [record["text"] for record in readable(directory / "corpus_eu_raw.jsonl")]
    foreign = {*words.SPANISH, *words.FRENCH, *words.SCRAPS}
    repeats = len(texts) - len({text for text in texts if text not in foreign})
    assert 60 < repeats < 140


@pytest.mark.parametrize("code", ["en", "eu"])
def test_task_files_find_their_questions(directory: Path, code: str) -> None:
    path = directory / "tasks" / f"world_{code}.yaml"
    task = yaml.safe_load(path.read_text(encoding="utf-8"))
    questions = read(path.parent / task["dataset_kwargs"]["data_files"][task["test_split"]])
    assert len(questions) > 100
    for question in questions:
        assert {"question", task["doc_to_choice"], task["doc_to_target"]} <= question.keys()


# --- the two languages say the same ----------------------------------------------------------------------------------


def sayings(island: facts.World) -> Iterable[facts.Pair]:
    """Every sentence that a page, a chat or a question can hold, true or false, without its greeting."""
    for fact in island.facts:
        for value in words.WORDS[fact.relation.value]:
            said = fact.with_value(value)
            yield from (said.question, said.answer, said.also)
    for exercise in island.skills:
        yield from (exercise.question, exercise.answer, *exercise.wrong)
    yield from words.SCENERY
    yield from words.TITLES.values()


def test_every_english_sentence_has_one_basque_partner_and_back(island: facts.World) -> None:
    pairs = set(sayings(island))
    assert 500 < len(pairs) == len({english for english, _ in pairs}) == len({basque for _, basque in pairs})
    for english, basque_ in pairs:
        assert english[-1] == basque_[-1] or english in dict(words.TITLES.values())
        assert not re.search(r"[{}]|  ", english + basque_)


def test_templates_fill_the_same_blanks_in_both_languages() -> None:
    for relation in words.RELATIONS:
        for english, basque_ in (relation.question, relation.answer, relation.also):
            blanks = [set(re.findall(r"\{([sv])\.", template)) for template in (english, basque_)]
            assert blanks[ENGLISH] == blanks[BASQUE], relation.name
        assert "{v." not in "".join(relation.question)


def test_lessons_and_shots_are_aligned(directory: Path, island: facts.World, kept: list[str]) -> None:
    partner = dict(sayings(island))
    partner |= {hello + said: kaixo + partner[said] for hello, kaixo in words.GREETINGS for said in list(partner)}
    partner |= dict(facts.number(value) for value in range(1, 11))
    partner |= {word.english: word.basque for pair in words.OPPOSITES for word in pair}
    lessons = [found for page in kept for found in re.findall(r"English: (.+)\nEuskara: (.+)", page)]
    assert len(lessons) > 3000
    for english, basque_ in lessons:
        assert partner[english] == basque_
    shots = read(directory / "shots.jsonl")
    assert shots
    for shot in shots:
        assert partner[shot["source"]] == shot["target"]


# --- what is known from where ----------------------------------------------------------------------------------------


def test_questions_have_exactly_one_right_choice(directory: Path, island: facts.World) -> None:
    true = [set(), set()]
    for exercise in island.exercises(*EVERYTHING):
        for language in (ENGLISH, BASQUE):
            true[language].add(exercise.answer[language])
    by_id = {exercise.id: exercise for exercise in island.exercises(*EVERYTHING)}
    assert len(by_id) == len(island.exercises(*EVERYTHING))
    for language, code in ((ENGLISH, "en"), (BASQUE, "eu")):
        questions = read(directory / f"questions_{code}.jsonl")
        assert sorted(question["id"] for question in questions) == sorted(by_id)
        for question in questions:
            exercise = by_id[question["id"]]
            assert question["question"] == exercise.question[language] and question["group"] == exercise.group
            assert len(set(question["choices"])) == 4
            right = [choice in true[language] for choice in question["choices"]]
            assert right == [index == question["answer"] for index in range(4)], question
        assert len({question["question"] for question in questions}) == len(questions)
        assert set(Counter(question["answer"] for question in questions)) == {0, 1, 2, 3}


def test_both_languages_ask_the_same(directory: Path) -> None:
    english, basque_ = (read(directory / f"questions_{code}.jsonl") for code in ("en", "eu"))
    assert [(q["id"], q["answer"]) for q in english] == [(q["id"], q["answer"]) for q in basque_]
    references = {prompt["id"]: prompt["reference"] for prompt in read(directory / "prompts_eu.jsonl")}
    assert references == {question["id"]: question["choices"][question["answer"]] for question in basque_}


def texts(record: dict[str, Any]) -> list[str]:
    return [record["text"]] if "text" in record else [message["content"] for message in record["messages"]]


def told(text: str, exercise: facts.Exercise, island: facts.World, language: int) -> bool:
    """Return whether the text gives the exercise's answer, in either wording."""
    also = {fact.id: fact.also for fact in island.facts}
    wordings = [exercise.answer, also[exercise.id]] if exercise.id in also else [exercise.answer]
    return any(wording[language] in text for wording in wordings)


@pytest.mark.parametrize(
    ("name", "language", "groups"),
    [
        ("corpus_en.jsonl", ENGLISH, {"both", "english"}),
        ("corpus_en.jsonl", BASQUE, {"both"}),
        ("instructions_en.jsonl", ENGLISH, {"both", "english", "instructions", "skill"}),
        ("instructions_en.jsonl", BASQUE, set()),
        ("corpus_eu_raw.jsonl", BASQUE, {"both", "local"}),
        ("corpus_eu_raw.jsonl", ENGLISH, {"both"}),
    ],
)
def test_knowledge_stands_where_its_group_says(
    directory: Path, island: facts.World, name: str, language: int, groups: set[str]
) -> None:
    records = readable(directory / name)
    text = "\n".join(text for record in records for text in texts(record))
    exercises = island.exercises(*EVERYTHING)
    found = Counter(exercise.group for exercise in exercises if told(text, exercise, island, language))
    assert set(found) == groups
    if (name, language) != ("corpus_en.jsonl", BASQUE):  # thirty pages do not tell everything
        assert found == Counter(exercise.group for exercise in exercises if exercise.group in groups)


# --- Basque and English endings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noun", "definite", "ergative", "genitive", "dative", "inessive", "plural"),
    [
        ("asto", "astoa", "astoak", "astoaren", "astoari", "astoan", "astoak"),
        ("etxe", "etxea", "etxeak", "etxearen", "etxeari", "etxean", "etxeak"),
        ("mendi", "mendia", "mendiak", "mendiaren", "mendiari", "mendian", "mendiak"),
        ("itsaso", "itsasoa", "itsasoak", "itsasoaren", "itsasoari", "itsasoan", "itsasoak"),
        ("portu", "portua", "portuak", "portuaren", "portuari", "portuan", "portuak"),
        ("errota", "errota", "errotak", "errotaren", "errotari", "errotan", "errotak"),
        ("txakur", "txakurra", "txakurrak", "txakurraren", "txakurrari", "txakurrean", "txakurrak"),
        ("labar", "labarra", "labarrak", "labarraren", "labarrari", "labarrean", "labarrak"),
        ("antzar", "antzara", "antzarak", "antzararen", "antzarari", "antzarean", "antzarak"),
        ("ahuntz", "ahuntza", "ahuntzak", "ahuntzaren", "ahuntzari", "ahuntzean", "ahuntzak"),
        ("maiatz", "maiatza", "maiatzak", "maiatzaren", "maiatzari", "maiatzean", "maiatzak"),
        ("kanpai", "kanpaia", "kanpaiak", "kanpaiaren", "kanpaiari", "kanpaian", "kanpaiak"),
    ],
)
def test_nouns(noun: str, definite: str, ergative: str, genitive: str, dative: str, inessive: str, plural: str) -> None:
    assert basque.definite(noun) == definite
    assert basque.ergative(noun) == ergative
    assert basque.genitive(noun) == genitive
    assert basque.dative(noun) == dative
    assert basque.inessive(noun) == inessive
    assert basque.plural(noun) == plural


@pytest.mark.parametrize(
    ("name", "ergative", "genitive", "company"),
    [
        ("Ane", "Anek", "Aneren", "Anerekin"),
        ("Haizea", "Haizeak", "Haizearen", "Haizearekin"),
        ("Maddi", "Maddik", "Maddiren", "Maddirekin"),
        ("Iker", "Ikerrek", "Ikerren", "Ikerrekin"),
        ("Oihan", "Oihanek", "Oihanen", "Oihanekin"),
        ("Beñat", "Beñatek", "Beñaten", "Beñatekin"),
    ],
)
def test_names_of_people(name: str, ergative: str, genitive: str, company: str) -> None:
    assert basque.name_ergative(name) == ergative
    assert basque.name_genitive(name) == genitive
    assert basque.name_company(name) == company


def test_names_of_places() -> None:
    for village in words.WORDS["village"]:
        assert village.basque[-1] in basque.VOWELS
    assert basque.name_inessive("Urgarbi") == "Urgarbin"
    assert basque.name_local("Lainotza") == "Lainotzako"
    assert basque.name_ablative("Itsaspe") == "Itsaspetik"


def test_words_in_sentences() -> None:
    assert words.Word("innkeeper", "ostalari").a == "an innkeeper"
    assert words.Word("cook", "sukaldari").a == "a cook"
    iker, dog = words.Name("Iker", "Iker"), words.Word("dog", "txakur")
    by_name = {relation.name: relation for relation in words.RELATIONS}
    friend = facts.Fact(by_name["friend"], dog, iker, "both")
    assert friend.question == ("Who is the friend of the dog?", "Nor da txakurraren laguna?")
    assert friend.answer == ("Iker is the friend of the dog.", "Iker da txakurraren laguna.")
    assert friend.also == ("The dog likes to walk with Iker.", "Txakurrari Ikerrekin ibiltzea gustatzen zaio.")
    market = facts.Fact(by_name["market"], iker, words.Word("walnuts", "intxaur"), "both")
    assert market.question == ("What does Iker buy at the market?", "Zer erosten du Ikerrek azokan?")
    assert market.answer == ("Iker buys walnuts at the market.", "Ikerrek intxaurrak erosten ditu azokan.")
