"""A judge beside people: its votes and theirs on the same pairs (`judge --against VOTES`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from latxa_cli.judging.curves import Ratings
from latxa_cli.judging.matching import asked, key_of
from latxa_cli.judging.merits import Merits, Pair, Vote
from latxa_cli.judging.panel import family_of
from latxa_cli.judging.rubric import Rubric
from latxa_cli.stream.checks import checker
from latxa_cli.stream.records import Outcome, Record, Reject
from latxa_cli.stream.spellings import field_text, spelled

SHARE = {"model_b": 0, "tie": 1, "tie (bothbad)": 1, "model_a": 2}  # twice the share of a win that `model_a` has
NOBODY = (0, 0, 0)
_CODE = re.compile(r"([A-Za-z]{2,3})(?![A-Za-z])")  # of a language (BCP-47), and not its name


class Asked(NamedTuple):
    """In which language something is asked (its code, else ""), and in which turns (a hash), if a battle says."""

    language: str
    turns: int | None

    @classmethod
    def of(cls, battle: Record) -> Asked:
        """Return what a battle says."""
        code, conversation = _CODE.match(str(battle.get("language") or "")), {"messages": battle.get("conversation_a")}
        turns: int | None = None
        with suppress(ValueError):  # arenas publish conversations in forms of their own too
            checker("conversation")(conversation)
            turns = key_of(tuple(turn.strip() for turn in asked(conversation)))
        return cls(code[1].lower() if code else "", turns)

    def may_be(self, other: Asked) -> bool:
        """Whether neither says that it is something else than the other."""
        return all(one == two or not one or not two for one, two in zip(self, other, strict=True))


@dataclass
class HumanVotes:
    """Votes of people by pair, and by what is asked: how often each share was the verdict, for the model whose name
    comes first.

    `unused`: votes that name no prompt or no winner.
    """

    by_pair: dict[Pair, dict[Asked, list[int]]] = field(default_factory=dict)
    unused: int = 0

    @classmethod
    def of(cls, battles: Iterable[Record]) -> HumanVotes:
        """Count the votes of battles."""
        votes = cls()
        for battle in battles:
            share, prompt = SHARE.get(str(battle.get("winner"))), field_text(spelled(battle, "prompt_id")[1])
            if share is None or prompt is None:
                votes.unused += 1
                continue
            pair, turned = pair_of(battle, prompt)
            counts = votes.by_pair.setdefault(pair, {}).setdefault(Asked.of(battle), [0, 0, 0])
            counts[2 - share if turned else share] += 1
        return votes

    def on(self, pair: Pair, question: Asked) -> list[int] | None:
        """Return the votes on a pair where the same is asked: prompts in several languages often share their ids."""
        found = [counts for one, counts in self.by_pair.get(pair, {}).items() if one.may_be(question)]
        return [sum(some) for some in zip(*found, strict=True)] if found else None


def pair_of(battle: Record, prompt: str) -> tuple[Pair, bool]:
    """Return the pair that a battle is about, whichever model comes first, and whether the two were turned."""
    a, b = battle["model_a"], battle["model_b"]
    return ((prompt, b, a), True) if b < a else ((prompt, a, b), False)


@dataclass
class Examination:
    """The votes of judges beside those of people, noted as they are written."""

    human: HumanVotes
    rubric: Rubric
    votes: dict[str, list[Vote]] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    elsewhere: set[Pair] = field(default_factory=set)  # pairs whose votes are all on something else that is asked

    def watched(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes of `Panel.ask` on pairs, each noted."""
        for outcome in outcomes:
            assert isinstance(outcome, list)
            for one in outcome:
                self.note(one)
            yield outcome

    def note(self, one: Record | Reject) -> None:
        """Note a vote, or that a judge has none on a pair that people voted on."""
        battle = one.record if isinstance(one, Reject) else one
        if "judge" not in battle or "model_b" not in battle:  # a response that nobody was asked about
            return
        pair, turned = pair_of(battle, battle["prompt_id"])
        judge, human = battle["judge"], self.human.on(pair, Asked.of(battle))
        if human is None and pair in self.human.by_pair:
            self.elsewhere.add(pair)
        if isinstance(one, Reject):
            self.failed[judge] = self.failed.get(judge, 0) + (human is not None)
            return
        scores, orders = (battle["metadata"].get(name) for name in ("scores", "orders"))
        if decides := (self.rubric.verdicts or {}).get("winner"):  # else there is one score of each, by a measure
            scores = {side: of_side[decides] for side, of_side in scores.items()}
        gap = scores["model_a"] - scores["model_b"]
        longer = _length(battle["conversation_a"]) - _length(battle["conversation_b"])
        winners = [(order["first"], order["winner"]) for order in orders or ()]
        share, sign = SHARE[battle["winner"]], -1 if turned else 1
        self.votes.setdefault(judge, []).append(
            Vote(
                pair,
                2 - share if turned else share,
                sign * gap,
                sign * ((longer > 0) - (longer < 0)),
                sum((winner == first) - (winner not in ("tie", first)) for first, winner in winners),
                len(winners),
                tuple(human) if human else NOBODY,  # type: ignore[arg-type]
            )
        )

    def findings(self, seed: int, ratings: Ratings | None = None) -> Iterator[Record]:
        """Yield the findings about every judge; `ratings`: rates models by their battles."""
        for judge, votes in self.votes.items():
            yield from Merits(judge, votes, self.failed.get(judge, 0), seed).findings(family_of, ratings)


def _length(conversation: list[dict[str, Any]]) -> int:
    return len(conversation[-1]["content"])
