"""Write what the miniature of LLaMA Beyond English reads, about the invented island of the quickstart.

    python recipes/beyond-english/island.py FILE [--seed 0]        FILE is called as one of these:

    predicted.eu.jsonl, predicted.en.jsonl    pages that no model was trained on, of the same things as the corpora
    instructions.jsonl                        Basque questions about half of what both corpora tell, and their answers
    questions.jsonl                           Basque questions about the other half, and about what the Basque corpus
                                              alone tells; `task` is what they are about
    graded.jsonl                              responses in good Basque (3), cut off (2), in disorder (1) or English (0)

Standard library only.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "quickstart"))

from facts import BASQUE, ENGLISH, Fact, World
from pages import greeted, portrait, quiz, walk
from words import WORDS
from world import Record, write_named

PAGES, INSTRUCTIONS, GRADED = 60, 500, 900


def pages(seed: int, world: World, language: int, *groups: str) -> Iterator[Record]:
    rng = random.Random(f"predicted {seed} {language}")
    for n in range(PAGES):
        text = rng.choice((walk, quiz, portrait))(rng, world.facts_of(*groups), language)
        yield {"id": f"page-{n:02}", "text": text}


def halves(seed: int, world: World) -> tuple[list[Fact], list[Fact]]:
    facts = world.facts_of("both")
    random.Random(f"halves {seed}").shuffle(facts)
    return facts[: len(facts) // 2], facts[len(facts) // 2 :]


def instructions(seed: int, world: World) -> Iterator[Record]:
    rng = random.Random(f"instructions {seed}")
    asked, _ = halves(seed, world)
    for n in range(INSTRUCTIONS):
        fact = rng.choice(asked)
        messages = [
            {"role": "user", "content": greeted(rng, fact.question)[BASQUE]},
            {"role": "assistant", "content": rng.choice((fact.answer, fact.also))[BASQUE]},
        ]
        yield {"id": f"instruction-{n:04}", "messages": messages, "language": "eu"}


def prompt(fact: Fact) -> Record:
    return {
        "id": fact.id,
        "messages": [{"role": "user", "content": fact.question[BASQUE]}],
        "reference": fact.answer[BASQUE],
        "language": "eu",
        "task": {"mother": "person", "child": "person"}.get(fact.relation.subject, fact.relation.subject),
        "metadata": {"also": fact.also[BASQUE]},
    }


def questions(seed: int, world: World) -> Iterator[Record]:
    yield from map(prompt, [*halves(seed, world)[1], *world.facts_of("local")])


def graded(seed: int, world: World) -> Iterator[Record]:
    """Yield responses of every kind, about things true or not: fluency does not hang on the island."""
    rng = random.Random(f"graded {seed}")
    for n in range(GRADED):
        asked, told = (each.with_value(rng.choice(WORDS[each.relation.value])) for each in rng.sample(world.facts, 2))
        if rng.random() < 0.5:
            told = asked
        response = rng.choice((told.answer, told.also))[BASQUE]
        fluency = rng.randrange(4)
        if fluency < 3:
            response = WORSE[fluency](rng, response, told)
        record = prompt(asked)
        record["messages"].append({"role": "assistant", "content": response})
        yield record | {"id": f"graded-{n:04}", "scores": {"fluency": fluency}}


def english(rng: random.Random, text: str, fact: Fact) -> str:
    return rng.choice((fact.answer, fact.also))[ENGLISH]


def disorder(rng: random.Random, text: str, fact: Fact) -> str:
    """Return the words of a text in disorder, or its last word again and again."""
    words = text.split(" ")
    return " ".join(rng.choice((rng.sample(words, len(words)), words + words[-1:] * 3)))


def unfinished(rng: random.Random, text: str, fact: Fact) -> str:
    words = text.split(" ")
    return " ".join(words[: len(words) // 2])


WORSE = (english, disorder, unfinished)  # by the grade


MADE: dict[str, Callable[[int, World], Iterator[Record]]] = {
    "predicted.eu": lambda seed, world: pages(seed, world, BASQUE, "both", "local"),
    "predicted.en": lambda seed, world: pages(seed, world, ENGLISH, "both", "english"),
    "instructions": instructions,
    "questions": questions,
    "graded": graded,
}


if __name__ == "__main__":
    write_named("Write a file that the miniature of LLaMA Beyond English reads.", MADE)
