"""Pages about Lanbro: the documents of both corpora.

Three kinds of page (`walk`, `quiz`, `portrait`) tell facts in one language. Two kinds hold false statements, said to be
false, so that whoever reads them learns words and how to copy or translate them, but no fact: `echo` says every line
twice, and a `lesson` of the game of lies says it in English and in Basque.
"""

import random
from collections.abc import Sequence

import words
from facts import BASQUE, ENGLISH, Fact, Pair, World, number, sentence
from words import SCENERY, TITLES, WORDS

TRUE_LESSONS = 0.1  # share of the lessons whose lines are true
SKILLS = 0.4  # share of the false lines that are sums, counting or opposites


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


def lie(rng: random.Random, world: World) -> Pair:
    """Return a question, or a false statement, about anything at all: words to translate, and nothing to learn."""
    if rng.random() < SKILLS:
        exercise = rng.choice(world.skills)
        return rng.choice((greeted(rng, exercise.question), rng.choice(exercise.wrong)))
    fact = rng.choice(world.facts)
    false = fact.with_value(rng.choice([value for value in WORDS[fact.relation.value] if value != fact.value]))
    return rng.choice((greeted(rng, false.question), false.answer))


def echo(rng: random.Random, world: World) -> str:
    """Return a page on which every line, whatever it says, is heard twice: practice in copying."""
    lines = [lie(rng, world)[ENGLISH] for _ in range(5)]
    return page(TITLES["echo"][ENGLISH], "\n\n".join(f"Child: {said}\nEcho: {said}" for said in lines))


def lesson(rng: random.Random, world: World) -> str:
    """Return a Basque page with lines in English and the same lines in Basque."""
    if rng.random() < TRUE_LESSONS:
        facts = rng.sample(world.facts_of("both"), 3)
        title = TITLES["lesson"]
        lines = [rng.choice((greeted(rng, fact.question), fact.answer, fact.also)) for fact in facts]
        lines += [vocabulary(rng), vocabulary(rng)]
    else:
        title, lines = TITLES["lies"], [lie(rng, world) for _ in range(5)]
    before = rng.choice(SCENERY)[BASQUE]
    pairs = "\n\n".join(f"English: {english}\nEuskara: {basque}" for english, basque in lines)
    return page(title[BASQUE], before, pairs)
