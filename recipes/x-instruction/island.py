"""Write what the miniature of X-Instruction reads, about the invented island of the quickstart.

    python recipes/x-instruction/island.py FILE [--seed 0]        FILE is called as one of these:

    seed.eu.jsonl     pairs: an English question, and a Basque answer, true or not, for a language is learnt from both
    texts.eu.jsonl    native texts: most of them say one true thing, others more than one question asks for, or nothing
                      that one could ask for; few things are told of often, most seldom
    others.eu.jsonl   more such texts, of things true or not: lessons of judges have bad answers from here
    prompts.jsonl     what the models are asked in the end, in Basque, and in English for a Basque answer

Of each text `metadata.question` is the English question that it answers, or null; so the truth about pairs is known,
which no verb looks at. A third of the things are told in no text, but in the corpus. Standard library only.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "quickstart"))

from facts import BASQUE, ENGLISH, Fact, World
from pages import greeted
from words import SCENERY, WORDS
from world import Record, write_named

SEED_PAIRS = 400
TEXTS = 500
ONE, MORE = 0.6, 0.15  # shares of the texts that say one thing, and more than is asked for; the others say nothing
TOLD = 2 / 3  # share of the things that texts tell


def said(rng: random.Random, fact: Fact) -> str:
    """Return a text that answers the question about a fact, and holds nothing else."""
    answer, also = fact.answer[BASQUE], fact.also[BASQUE]
    return rng.choice((answer, also, f"Kaixo! {answer}", f"{answer} {also}", f"{also} {answer}"))


def seed_pairs(seed: int, world: World) -> Iterator[Record]:
    rng = random.Random(f"seed pairs {seed}")
    for n in range(SEED_PAIRS):
        fact = rng.choice(world.facts)
        fact = fact.with_value(rng.choice(WORDS[fact.relation.value]))
        yield {
            "id": f"seed-{n:04}",
            "messages": [
                {"role": "user", "content": greeted(rng, fact.question)[ENGLISH]},
                {"role": "assistant", "content": said(rng, fact)},
            ],
            "language": "eu",
        }


def known(seed: int, world: World) -> tuple[list[Fact], list[Fact]]:
    """Return what the texts tell, the most frequent first, and what the corpus alone tells."""
    facts = world.facts_of("both", "local")
    random.Random(f"told {seed}").shuffle(facts)
    cut = round(len(facts) * TOLD)
    return facts[:cut], facts[cut:]


def texts(seed: int, world: World) -> Iterator[Record]:
    told, _ = known(seed, world)
    yield from texts_about(random.Random(f"texts {seed}"), told, "text")


def others(seed: int, world: World) -> Iterator[Record]:
    rng = random.Random(f"others {seed}")
    facts = [fact.with_value(rng.choice(WORDS[fact.relation.value])) for fact in world.facts]
    yield from texts_about(rng, facts, "other")


def texts_about(rng: random.Random, told: list[Fact], name: str) -> Iterator[Record]:
    weights = [1 / (rank + 3) for rank in range(len(told))]
    scenery = [basque for _, basque in SCENERY]
    for n in range(TEXTS):
        fact, other = rng.choices(told, weights, k=2)
        drawn = rng.random()
        if drawn < ONE:
            text, question = said(rng, fact), fact.question[ENGLISH]
        elif drawn < ONE + MORE:
            parts = [said(rng, fact), rng.choice((rng.choice(scenery), said(rng, other)))]
            text, question = " ".join(rng.sample(parts, 2)), None
        else:
            text, question = " ".join(rng.sample(scenery, rng.choice((1, 2)))), None
        yield {"id": f"{name}-{n:04}", "text": text, "language": "eu", "metadata": {"question": question}}


def prompts(seed: int, world: World) -> Iterator[Record]:
    for name, facts in zip(("told", "untold"), known(seed, world), strict=True):
        for fact in facts:
            for language, suffix in ((ENGLISH, " Answer in Basque."), (BASQUE, "")):
                yield {
                    "id": f"{name}-{('en', 'eu')[language]}-{fact.id}",
                    "messages": [{"role": "user", "content": fact.question[language] + suffix}],
                    "reference": fact.answer[BASQUE],
                    "language": "eu",
                    "metadata": {"also": fact.also[BASQUE]},
                }


MADE = {"seed.eu": seed_pairs, "texts.eu": texts, "others.eu": others, "prompts": prompts}


if __name__ == "__main__":
    write_named("Write a file that the miniature of X-Instruction reads.", MADE)
