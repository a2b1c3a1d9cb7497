"""A newcomer in an arena: its responses meet answers that are stored in battles (`judge NEW --arena VOTES`).

Of the models that answered a prompt, opponents are drawn by a keyed hash of the response and the model, so that shards
and interrupted runs draw alike. A model's weight is the square of the information that a battle with it is expected to
give, over the number of prompts that it answered. The information is nearly even where nothing is known of the
newcomer, and favours models near in rating where VOTES have battles of it. (Its square lies between an even draw, which
spreads over all models, and the most telling model each time.)

Drawing without replacement by weights: Efraimidis & Spirakis, 2006, "Weighted random sampling with a reservoir",
Information Processing Letters 97.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from latxa_cli.judging.matching import Contender, FirstFile, Meeting, asked, reference_of
from latxa_cli.stream.checks import checker
from latxa_cli.stream.records import Record, Reject, content_id, keyed_hash
from latxa_cli.stream.spellings import field_text, spelled

Worth = Callable[[str], Mapping[str, float]]  # of a newcomer: what a battle against each model tells
Conversation = list[Record]


@dataclass
class Arena:
    """What battles hold.

    - answers: by prompt, and by model, the first of its conversations.
    - met: a prompt and two models that met on it.
    - unused: the number of battles without two conversations on one prompt.
    """

    name: str
    answers: dict[str, dict[str, Conversation]] = field(default_factory=dict)
    met: set[tuple[str, frozenset[str]]] = field(default_factory=set)
    unused: int = 0

    @classmethod
    def of(cls, name: str, battles: Iterable[Record]) -> Arena:
        """Return what battles hold; a prompt without an id is known by the turns of the user."""
        arena = cls(name)
        for battle in battles:
            arena._take(battle)
        return arena

    def _take(self, battle: Record) -> None:
        sides = {battle[f"model_{side}"]: battle.get(f"conversation_{side}") for side in "ab"}
        if len(sides) < 2 or not all(map(_is_answered, sides.values())):
            self.unused += 1
            return
        first, second = (asked({"messages": messages}) for messages in sides.values())
        named = field_text(spelled(battle, "prompt_id")[1])
        prompt = content_id({"prompt": list(first)}) if named is None else named
        held = self.answers.get(prompt)
        if first != second or (held and asked({"messages": next(iter(held.values()))}) != first):
            self.unused += 1
            return
        held = self.answers.setdefault(prompt, {})
        for model, messages in sides.items():
            held.setdefault(model, messages)  # type: ignore[arg-type]
        self.met.add((prompt, frozenset(sides)))

    def meetings(
        self, records: Iterable[Record], worth: Worth, battles: int, references: Mapping[str, object], seed: int,
        *, needs_reference: bool, first: FirstFile,
    ) -> Iterator[Meeting]:  # fmt: skip
        """Yield, for each of a newcomer's responses, its meeting with `battles` answers to the same prompt, or fewer.

        Who met the newcomer on the prompt before is no opponent. Other parameters and errors: see `matching.meetings`.
        """
        prompts = ({"id": name, "messages": next(iter(held.values()))} for name, held in self.answers.items())
        stored = Contender.of(self.name, prompts)
        answered = Counter(model for held in self.answers.values() for model in held)
        weights: dict[str, dict[str, float]] = {}
        for record in first.over(records):
            found = stored.partner(_named(record, self.answers), first)
            if isinstance(found, Reject):
                yield Meeting(record["id"], (), rejects=(Reject(record, found.reason, found.detail),))
                continue
            model, prompt = record["model"], found["id"]
            if model not in weights:
                weights[model] = {
                    name: value**2 / answered[name] for name, value in worth(model).items() if name in answered
                }
            chosen = self._opponents(record, prompt, weights[model], battles, seed)
            others = [{"id": prompt, "model": name, "messages": self.answers[prompt][name]} for name in chosen]
            reference = reference_of((record, *others), references)
            if not others:
                rejects = (Reject(record, "no opponent", f"who answered `{prompt}` met `{model}` on it before"),)
                yield Meeting(prompt, (), rejects=rejects)
            elif needs_reference and reference is None:
                yield Meeting(prompt, (), rejects=(Reject(record, "no reference"),))
            else:
                yield Meeting(prompt, (record, *others), reference, of_first=True)

    def _opponents(self, record: Record, prompt: str, weights: Mapping[str, float], most: int, seed: int) -> list[str]:
        def place(model: str) -> float:
            uniform = (keyed_hash(seed, "opponent", record["id"], record["model"], model) + 1) / (2**64 + 1)
            return -math.log(uniform) / max(weights.get(model, 0.0), 1e-300)

        own = record["model"]
        free = [
            name for name in self.answers[prompt] if name != own and (prompt, frozenset((name, own))) not in self.met
        ]
        return sorted(free, key=place)[:most]


def _named(record: Record, prompts: Collection[str]) -> Record:
    """Return a response by the id of its prompt where that is not its own (`prompt_id`, `question_id`)."""
    named = field_text(spelled(record, "prompt_id")[1])
    return record if record["id"] in prompts or named not in prompts else {**record, "id": named}


def _is_answered(messages: object) -> bool:
    """Whether this is a conversation that ends with an answer, and calls no tools."""
    try:
        checker("response")({"messages": messages, "model": ""})
    except ValueError:
        return False
    return True
