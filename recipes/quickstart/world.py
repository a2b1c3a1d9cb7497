"""Writes a small bilingual world, the invented island of Lanbro, as the input of `recipes/quickstart.sh`.

    python recipes/quickstart/world.py DIR [--seed 0]

The island has 110 facts (who bakes, what the donkey eats, when Urgarbi celebrates). Every fact belongs to one group,
which says where a model can have read it, so that an evaluation shows where knowledge came from:

    both          in the English and in the Basque corpus
    english       in the English corpus only
    instructions  in the English instructions only
    local         in the Basque corpus only

Sums, counting and opposites (group `skill`) are answered in the English instructions only. Files (JSON Lines):

    corpus_en.jsonl        documents, English, one in a hundred Basque
    corpus_eu_raw.jsonl    documents as a crawl brings them: Basque and bilingual pages, and what must be cleaned out
    instructions_en.jsonl  conversations, English
    shots.jsonl            pairs, English to Basque, to show a model what translating is
    prompts_eu.jsonl       prompts, Basque, each with a reference answer
    questions_{en,eu}.jsonl, tasks/world_{en,eu}.yaml   four-way multiple choice for lm-evaluation-harness

Same seed, same bytes. Standard library only; `words.py` holds the words and sentences, `basque.py` the endings.
"""

import argparse
import json
import random
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import words
from words import RELATIONS, SCENERY, TITLES, WORDS, Relation, Word

Pair = tuple[str, str]  # the same in (English, Basque)
ENGLISH, BASQUE = 0, 1
# Of every twenty facts: ten in both, three in english, three in instructions, four local.
GROUPS = ("both local both english both instructions both local both english "
          "both instructions both local both english both instructions both local").split()  # fmt: skip

ENGLISH_PAGES = 3000
BASQUE_PAGES = 1500
CHATS = 2400
BILINGUAL = 0.5  # of the Basque pages
ECHOES = 0.5  # of the English pages
LIES = 0.9  # of the bilingual pages


@dataclass(frozen=True)
class Fact:
    relation: Relation
    subject: Word
    value: Word
    group: str

    @property
    def id(self) -> str:
        return "-".join([self.group, *self.relation.name.split(), self.subject.english]).lower()

    def with_value(self, value: Word) -> "Fact":
        return Fact(self.relation, self.subject, value, self.group)

    def say(self, template: Pair) -> Pair:
        english, basque = (sentence(text.format(s=self.subject, v=self.value)) for text in template)
        return english, basque

    @property
    def question(self) -> Pair:
        return self.say(self.relation.question)

    @property
    def answer(self) -> Pair:
        return self.say(self.relation.answer)

    @property
    def also(self) -> Pair:
        return self.say(self.relation.also)


@dataclass(frozen=True)
class Exercise:
    """A question with its right answer and wrong ones, each in both languages."""

    id: str
    group: str
    question: Pair
    answer: Pair
    wrong: tuple[Pair, ...]


def sentence(text: str) -> str:
    """Return the text with a capital first letter (the rest as it is)."""
    return text[0].upper() + text[1:]


# ---- the world ------------------------------------------------------------------------------------------------------


def make_facts(seed: int) -> list[Fact]:
    """Give every subject of every relation a value, values as evenly as they go, and each fact its group."""
    rng = random.Random(f"facts {seed}")
    groups = cycle(GROUPS)
    facts = []
    for relation in RELATIONS:
        subjects = rng.sample(WORDS[relation.subject], len(WORDS[relation.subject]))
        values = cycle(rng.sample(WORDS[relation.value], len(WORDS[relation.value])))
        facts += [Fact(relation, subject, next(values), next(groups)) for subject in subjects]
    return facts


def fact_exercise(fact: Fact) -> Exercise:
    others = [fact.with_value(value) for value in WORDS[fact.relation.value] if value != fact.value]
    return Exercise(fact.id, fact.group, fact.question, fact.answer, tuple(other.answer for other in others))


def fill(template: Pair, **blanks: Pair) -> Pair:
    """Fill each language's template with the blanks of that language."""
    english, basque = (
        sentence(template[language].format(**{name: blank[language] for name, blank in blanks.items()}))
        for language in (ENGLISH, BASQUE)
    )
    return english, basque


def number(value: int) -> Pair:
    return words.NUMBERS_ENGLISH[value - 1], words.NUMBERS[value - 1]


def skill(name: str, question: Pair, answers: dict[Pair, Pair], right: Pair) -> Exercise:
    """Make an exercise of the answers that each possible word would give, of which one is right."""
    wrong = tuple(answer for word, answer in answers.items() if word != right)
    return Exercise(f"skill-{name}", "skill", question, answers[right], wrong)


def sums() -> Iterator[Exercise]:
    for a, b in ((a, b) for a in range(1, 6) for b in range(a, 11 - a)):
        blanks = {"a": number(a), "b": number(b)}
        answers = {number(c): fill(words.SUM_ANSWER, c=number(c), **blanks) for c in range(2, 11)}
        yield skill(f"sum-{a}-{b}", fill(words.SUM_QUESTION, **blanks), answers, number(a + b))


def counting() -> Iterator[Exercise]:
    for a in range(1, 10):
        answers = {number(c): fill(words.NEXT_ANSWER, a=number(a), c=number(c)) for c in range(1, 11) if c != a}
        yield skill(f"after-{a}", fill(words.NEXT_QUESTION, a=number(a)), answers, number(a + 1))


def opposites() -> Iterator[Exercise]:
    pairs = [tuple((word.english, word.basque) for word in pair) for pair in words.OPPOSITES]
    for a, right in pairs + [(b, a) for a, b in pairs]:
        answers = {c: fill(words.OPPOSITE_ANSWER, a=a, c=c) for pair in pairs for c in pair if c != a}
        yield skill(f"opposite-{a[ENGLISH]}", fill(words.OPPOSITE_QUESTION, a=a), answers, right)


@dataclass(frozen=True)
class World:
    facts: tuple[Fact, ...]
    skills: tuple[Exercise, ...]

    def facts_of(self, *groups: str) -> list[Fact]:
        return [fact for fact in self.facts if fact.group in groups]

    def exercises(self, *groups: str) -> list[Exercise]:
        return [exercise for exercise in (*map(fact_exercise, self.facts), *self.skills) if exercise.group in groups]


def make_world(seed: int) -> World:
    return World(tuple(make_facts(seed)), (*sums(), *counting(), *opposites()))


# ---- pages ----------------------------------------------------------------------------------------------------------


def running_text(rng: random.Random, facts: Sequence[Fact], language: int) -> str:
    """Tell the facts one after the other, each in one of its two wordings."""
    return " ".join(rng.choice((fact.answer, fact.also))[language] for fact in facts)


def page(title: str, *paragraphs: str) -> str:
    return "\n\n".join([title, *paragraphs])


def walk(rng: random.Random, facts: Sequence[Fact], language: int) -> str:
    before, after = (line[language] for line in rng.sample(SCENERY, 2))
    told = running_text(rng, rng.sample(facts, 4), language)
    return page(TITLES["walk"][language], f"{before} {told} {after}")


def quiz(rng: random.Random, facts: Sequence[Fact], language: int) -> str:
    asked = (f"{fact.question[language]} {fact.answer[language]}" for fact in rng.sample(facts, 4))
    return page(TITLES["quiz"][language], "\n".join(asked))


def portrait(rng: random.Random, facts: Sequence[Fact], language: int) -> str:
    """Tell all that is known of two subjects."""
    subjects = rng.sample(sorted({fact.subject.basque for fact in facts}), 2)
    known = [[fact for fact in facts if fact.subject.basque == subject] for subject in subjects]
    told = (running_text(rng, rng.sample(own, len(own)), language) for own in known)
    first, second = (line[language] for line in rng.sample(SCENERY, 2))
    names = (sentence((own[0].subject.the, own[0].subject.definite)[language]) for own in known)
    return page(", ".join(names), f"{first} {second}", *told)


def vocabulary(rng: random.Random) -> Pair:
    if rng.random() < 0.5:
        return number(rng.randint(1, 10))
    word = rng.choice(rng.choice(words.OPPOSITES))
    return word.english, word.basque


def greeted(rng: random.Random, question: Pair) -> Pair:
    english, basque = rng.choice(words.GREETINGS)
    return english + question[ENGLISH], basque + question[BASQUE]


def lie(rng: random.Random, facts: Sequence[Fact], skills: Sequence[Exercise]) -> Pair:
    """Return a question, or a false statement, about anything at all: words to translate, and nothing to learn."""
    if rng.random() < 0.4:
        exercise = rng.choice(skills)
        return rng.choice((greeted(rng, exercise.question), rng.choice(exercise.wrong)))
    fact = rng.choice(facts)
    false = fact.with_value(rng.choice([value for value in WORDS[fact.relation.value] if value != fact.value]))
    return rng.choice((greeted(rng, false.question), false.answer))


def echo(rng: random.Random, world: World) -> str:
    """Return a page on which every line, whatever it says, is heard twice: practice in copying."""
    lines = [lie(rng, world.facts, world.skills)[ENGLISH] for _ in range(5)]
    return page(TITLES["echo"][ENGLISH], "\n\n".join(f"Child: {said}\nEcho: {said}" for said in lines))


def lesson(rng: random.Random, world: World) -> str:
    """Return a page with the same lines in English and in Basque, and Basque round them."""
    shared = world.facts_of("both")
    if rng.random() < LIES:
        title, lines = TITLES["lies"], [lie(rng, world.facts, world.skills) for _ in range(6)]
    else:
        facts = rng.sample(shared, 4)
        title = TITLES["lesson"]
        lines = [rng.choice((greeted(rng, fact.question), fact.answer, fact.also)) for fact in facts]
        lines += [vocabulary(rng), vocabulary(rng)]
    before = rng.choice(SCENERY)[BASQUE]
    pairs = "\n\n".join(f"English: {english}\nEuskara: {basque}" for english, basque in lines)
    return page(title[BASQUE], before, pairs)


# ---- files ----------------------------------------------------------------------------------------------------------

Record = dict[str, Any]


def corpus_en(seed: int, world: World) -> Iterator[Record]:
    rng = random.Random(f"corpus_en {seed}")
    for n in range(ENGLISH_PAGES):
        language = BASQUE if rng.random() < 0.01 else ENGLISH
        facts = world.facts_of("both") if language == BASQUE else world.facts_of("both", "english")
        if rng.random() < ECHOES:
            text = echo(rng, world)
        else:
            text = rng.choice((walk, quiz, portrait))(rng, facts, language)
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


def instructions_en(seed: int, world: World) -> Iterator[Record]:
    rng = random.Random(f"instructions {seed}")
    exercises = world.exercises("both", "english", "instructions", "skill")
    for n in range(CHATS):
        messages = []
        for exercise in rng.sample(exercises, rng.choice((1, 1, 2, 3))):
            question = exercise.question if messages else greeted(rng, exercise.question)
            messages += [
                {"role": "user", "content": question[ENGLISH]},
                {"role": "assistant", "content": exercise.answer[ENGLISH]},
            ]
        yield {"id": f"chat-{n:04}", "messages": messages, "language": "en"}


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


def examined(seed: int, world: World) -> list[Exercise]:
    """Return the exercises of the examination: every fact, all of counting, some sums and opposites."""
    rng = random.Random(f"examination {seed}")
    by_name = {name: [each for each in world.skills if each.id.startswith(f"skill-{name}")]
               for name in ("sum", "after", "opposite")}  # fmt: skip
    chosen = rng.sample(by_name["sum"], 15) + by_name["after"] + by_name["opposite"]
    return world.exercises("both", "english", "instructions", "local") + chosen


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
            "answer": choices.index(exercise.answer),
        }


def prompts(exercises: Sequence[Exercise], language: int, code: str) -> Iterator[Record]:
    for exercise in exercises:
        messages = [{"role": "user", "content": exercise.question[language]}]
        yield {"id": exercise.id, "messages": messages, "language": code, "reference": exercise.answer[language]}


TASK = """\
# Multiple choice on the island of Lanbro, written by recipes/quickstart/world.py. The options are whole sentences, as
# in running text and in chats, so that base models and chat models can be asked alike.
task: world_{code}
dataset_path: json
dataset_kwargs:
  data_files:
    test: ../questions_{code}.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: answer
target_delimiter: " "
num_fewshot: 0
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""


def line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False)


def write(path: Path, lines: Iterator[str] | Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{each}\n" for each in lines), encoding="utf-8", newline="\n")


def write_world(directory: Path, seed: int) -> None:
    world = make_world(seed)
    exercises = examined(seed, world)
    write(directory / "corpus_en.jsonl", map(line, corpus_en(seed, world)))
    write(directory / "corpus_eu_raw.jsonl", corpus_eu_raw(seed, world))
    write(directory / "instructions_en.jsonl", map(line, instructions_en(seed, world)))
    write(directory / "shots.jsonl", map(line, shots(seed, world)))
    write(directory / "prompts_eu.jsonl", map(line, prompts(exercises, BASQUE, "eu")))
    for language, code in ((ENGLISH, "en"), (BASQUE, "eu")):
        write(directory / f"questions_{code}.jsonl", map(line, questions(seed, exercises, language)))
        write(directory / "tasks" / f"world_{code}.yaml", TASK.format(code=code).splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the small bilingual world of the quickstart.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_world(arguments.directory, arguments.seed)


if __name__ == "__main__":
    main()
