"""Writes a small bilingual world, the invented island of Lanbro, as the input of `recipes/quickstart.sh`.

    python recipes/quickstart/world.py DIR [--seed 0] [--chats 2000]

The island has 98 facts (who is the baker, what the donkey eats, when Urgarbi celebrates). Every fact belongs to one
group, which says where a model can have read it, so that an evaluation shows where knowledge came from:

    both          in the English and in the Basque corpus
    english       in the English corpus only
    instructions  in the English instructions only
    local         in the Basque corpus only

Sums, counting and opposites (group `skill`) are answered in the English instructions only. Files (JSON Lines):

    corpus_en.jsonl        documents, English, one in a hundred Basque
    corpus_eu_raw.jsonl    documents as a crawl brings them: Basque and bilingual pages, and what must be cleaned out
    instructions_en.jsonl  conversations, English
    shots.jsonl            pairs, English to Basque, to show a model what translating is
    chats_{en,eu}.jsonl    conversations to validate on, in each language
    prompts_eu.jsonl       prompts, Basque, each with a reference answer
    questions_{en,eu}.jsonl, tasks/world_{en,eu}.yaml   four-way multiple choice for lm-evaluation-harness
    tasks/world_{en,eu}_written.yaml                    the same questions, to be answered in writing

Same seed, same bytes. Standard library only. `words.py` holds the words and sentences, `basque.py` the endings,
`facts.py` what is true, `pages.py` the documents.
"""

import argparse
import json
import random
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import words
from facts import BASQUE, ENGLISH, Exercise, World, make_world
from pages import echo, greeted, lesson, portrait, quiz, walk

ENGLISH_PAGES = 3000
ECHOES = 0.5  # share of the English pages
FOREIGN = 0.01  # share of the English pages that are Basque
BASQUE_PAGES = 1500
BILINGUAL = 0.5  # share of the Basque pages
CHATS = 2000
VALIDATION_CHATS = 100

Record = dict[str, Any]


def corpus_en(seed: int, world: World) -> Iterator[Record]:
    rng = random.Random(f"corpus_en {seed}")
    for n in range(ENGLISH_PAGES):
        language, groups = (BASQUE, ["both"]) if rng.random() < FOREIGN else (ENGLISH, ["both", "english"])
        if language == ENGLISH and rng.random() < ECHOES:
            text = echo(rng, world)
        else:
            text = rng.choice((walk, quiz, portrait))(rng, world.facts_of(*groups), language)
        yield {"id": f"en-{n:04}", "text": text}


def basque_page(rng: random.Random, world: World) -> str:
    if rng.random() < BILINGUAL:
        return lesson(rng, world)
    return rng.choice((walk, quiz, portrait))(rng, world.facts_of("both", "local"), BASQUE)


def decomposed(text: str) -> str:
    """Write each accented letter as letter and accent apart (Unicode NFD), as some systems store file names."""
    return unicodedata.normalize("NFD", text)


def oddly_spaced(text: str) -> str:
    """Return the text with the spaces that copying from a web page leaves behind."""
    return "  " + text.replace(", ", ",\u00a0").replace(". ", ".  ").replace("\n", " \r\n") + "\t\n"


def mess(rng: random.Random, pages: Sequence[str], world: World) -> Iterator[str]:
    """Yield what a crawl brings besides new pages: repeats of the given ones, other languages, scraps."""
    yield from rng.sample(pages, 60)
    yield from (decomposed(text) for text in rng.sample([text for text in pages if "ñ" in text], 40))
    yield from (oddly_spaced(text) for text in rng.sample(pages, 40))
    for foreign in (words.SPANISH, words.FRENCH):
        yield from (" ".join(rng.sample(foreign, 6)) for _ in range(20))
    yield from (walk(rng, world.facts_of("both"), ENGLISH) for _ in range(20))
    yield from (rng.choice(words.SCRAPS) for _ in range(30))


def corpus_eu_raw(seed: int, world: World) -> list[str]:
    """Return the lines of the Basque crawl; two of them are no JSON, as when a download breaks off."""
    rng = random.Random(f"corpus_eu {seed}")
    pages = [basque_page(rng, world) for _ in range(BASQUE_PAGES)]
    repeats = list(mess(rng, pages, world))
    clean = [rng.choice((decomposed, oddly_spaced))(text) if rng.random() < 0.05 else text for text in pages]
    texts = clean + repeats
    rng.shuffle(texts)
    lines = [line({"id": f"eu-{n:04}", "text": text}) for n, text in enumerate(texts)]
    for n in (len(lines) // 3, 2 * len(lines) // 3):
        lines.insert(n, lines[n][: len(lines[n]) // 2])
    return lines


def instructions_en(seed: int, world: World, count: int) -> Iterator[Record]:
    rng = random.Random(f"instructions {seed}")
    yield from chats(rng, world.exercises("both", "english", "instructions", "skill"), ENGLISH, "en", count)


def validation(seed: int, world: World, language: int, code: str) -> Iterator[Record]:
    rng = random.Random(f"validation {seed} {code}")
    exercises = world.exercises("both", "english", "instructions", "local", "skill")
    yield from chats(rng, exercises, language, code, VALIDATION_CHATS)


def chats(rng: random.Random, exercises: Sequence[Exercise], language: int, code: str, count: int) -> Iterator[Record]:
    """Yield conversations of one to three questions and their answers."""
    for n in range(count):
        messages: list[Record] = []
        for exercise in rng.sample(exercises, rng.choice((1, 1, 2, 3))):
            question = exercise.question if messages else greeted(rng, exercise.question)
            messages += [
                {"role": "user", "content": question[language]},
                {"role": "assistant", "content": exercise.answer[language]},
            ]
        yield {"id": f"chat-{n:04}", "messages": messages, "language": code}


def shots(seed: int, world: World) -> Iterator[Record]:
    """Yield one pair for each of several shapes of line: first what a user says, then what an assistant answers."""
    rng = random.Random(f"shots {seed}")
    facts = {fact.relation.name: fact for fact in world.facts_of("both")}
    shown = [facts[name] for name in ("animal colour", "market", "thing place", "job")]
    skills = [rng.choice([each for each in world.skills if each.id.startswith(f"skill-{name}")])
              for name in ("sum", "opposite")]  # fmt: skip
    questions = [greeted(rng, fact.question) for fact in shown] + [each.question for each in skills]
    answers = [fact.answer for fact in shown] + [each.answer for each in skills]
    for n, (english, basque) in enumerate(pair for both in zip(questions, answers, strict=True) for pair in both):
        yield {"id": f"shot-{n}", "source": english, "target": basque}


def questions(seed: int, exercises: Sequence[Exercise], language: int) -> Iterator[Record]:
    for exercise in exercises:
        rng = random.Random(f"choices {seed} {exercise.id}")  # the same in both languages
        choices = [exercise.answer, *rng.sample(exercise.wrong, 3)]
        rng.shuffle(choices)
        yield {
            "id": exercise.id,
            "group": exercise.group,
            "question": exercise.question[language],
            "choices": [choice[language] for choice in choices],
            "right": exercise.answer[language],
            "answer": choices.index(exercise.answer),
        }


def prompts(exercises: Sequence[Exercise], language: int, code: str) -> Iterator[Record]:
    for exercise in exercises:
        messages = [{"role": "user", "content": exercise.question[language]}]
        yield {"id": exercise.id, "messages": messages, "language": code, "reference": exercise.answer[language]}


TASK = """\
task: world_{code}{suffix}
dataset_path: json
dataset_kwargs:
  data_files:
    test: ../questions_{code}.jsonl
test_split: test
doc_to_text: "{{{{question}}}}"
target_delimiter: " "
num_fewshot: 0
metadata:
  version: 1.0
  language: {code}
"""
CHOSEN = """\
# Multiple choice on the island of Lanbro, written by recipes/quickstart/world.py. The options are whole sentences, as
# in running text and in chats, so that base models and chat models can be asked alike.
output_type: multiple_choice
doc_to_choice: choices
doc_to_target: answer
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""
WRITTEN = """\
# Questions on the island of Lanbro, written by recipes/quickstart/world.py. An answer is right when it is the expected
# one to the letter, and the model ends there.
output_type: generate_until
doc_to_target: right
generation_kwargs:
  until: []
  max_gen_toks: 60
  do_sample: false
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
"""


def line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False)


def write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{each}\n" for each in lines), encoding="utf-8", newline="\n")


def write_named(description: str, made: dict[str, Callable[[int, World], Iterable[Record]]]) -> None:
    """Write the file that the command line names, of records that `made` gives by its name for a seed and its world."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("file", type=Path, metavar="FILE", help=", ".join(f"{name}.jsonl" for name in made))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    write(given.file, map(line, made[given.file.stem](given.seed, make_world(given.seed))))


def write_world(directory: Path, seed: int, instructions: int = CHATS) -> None:
    world = make_world(seed)
    exercises = world.exercises("both", "english", "instructions", "local", "skill")
    write(directory / "corpus_en.jsonl", map(line, corpus_en(seed, world)))
    write(directory / "corpus_eu_raw.jsonl", corpus_eu_raw(seed, world))
    write(directory / "instructions_en.jsonl", map(line, instructions_en(seed, world, instructions)))
    write(directory / "shots.jsonl", map(line, shots(seed, world)))
    write(directory / "prompts_eu.jsonl", map(line, prompts(exercises, BASQUE, "eu")))
    for language, code in ((ENGLISH, "en"), (BASQUE, "eu")):
        write(directory / f"questions_{code}.jsonl", map(line, questions(seed, exercises, language)))
        write(directory / f"chats_{code}.jsonl", map(line, validation(seed, world, language, code)))
        for suffix, form in (("", CHOSEN), ("_written", WRITTEN)):
            task = form + TASK.format(code=code, suffix=suffix)
            write(directory / "tasks" / f"world_{code}{suffix}.yaml", task.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the small bilingual world of the quickstart.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chats", type=int, default=CHATS, help="English instructions")
    arguments = parser.parse_args()
    write_world(arguments.directory, arguments.seed, arguments.chats)


if __name__ == "__main__":
    main()
