"""What is true on Lanbro: facts and exercises, each in English and Basque.

The seed decides which value goes with which subject (what the donkey eats) and which group a fact belongs to.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

import words
from words import RELATIONS, WORDS, Relation, Word

Pair = tuple[str, str]  # the same in (English, Basque)
ENGLISH, BASQUE = 0, 1
# Of every twenty facts: ten in both corpora, three in english, three in instructions, four local.
GROUPS = ["both", "local", "both", "english", "both", "instructions"] * 3 + ["both", "local"]


@dataclass(frozen=True)
class Fact:
    """One thing that is true: `value` of `subject`; `group` says where it can be read (see world.py)."""

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
    for a, b in ((small, large) for small in range(1, 6) for large in range(small, 11 - small)):
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
