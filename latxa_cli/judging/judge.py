"""Battles out of responses: for every prompt, every two models, whose last answer does the rubric prefer?

`latxa judge ours.jsonl theirs.jsonl --rubric reference`

The rubric `reference` prefers the answer nearer to the prompt's reference by chrF.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from latxa_cli.judging.chrf import ChrF
from latxa_cli.stream.errors import LatxaError, UsageError, nearest
from latxa_cli.stream.records import Record, Reject, content_id

RUBRICS = {"reference": ChrF}


def rubric_named(name: str) -> ChrF:
    """Return the rubric; raises UsageError for an unknown name."""
    if name not in RUBRICS:
        raise UsageError(f"no rubric `{name}`", hint=nearest(name, list(RUBRICS)))
    return RUBRICS[name]()


@dataclass
class Contender:
    """The responses of one file, by id; `met` gathers the ids that the first file has too."""

    name: str
    responses: dict[str, Record]
    met: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, name: str, records: Iterable[Record]) -> Contender:
        """Index `records`; raises LatxaError where an id comes twice."""
        responses: dict[str, Record] = {}
        for record in records:
            if record["id"] in responses:
                raise LatxaError(
                    f"{name}: two responses have the id `{record['id']}`",
                    hint="a file holds one response to each prompt; give each model a file of its own",
                )
            responses[record["id"]] = record
        return cls(name, responses)


@dataclass(frozen=True)
class Judge:
    """A rubric, how near two scores must be to tie, and the references by id that come before the records' own."""

    rubric: ChrF
    margin: float = 0.0
    references: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.margin < math.inf:
            raise UsageError(f"the margin {self.margin} is not a finite number from 0")

    def battles(self, first: Iterable[Record], others: list[Contender]) -> Iterator[list[Any]]:
        """Yield, for each response of `first`, its battles and those of its partners, and a Reject for each partner
        that cannot stand against it.

        Raises UsageError when two files hold responses of the same model.
        """
        for record in first:
            partners: list[Record] = []
            outcomes: list[Record | Reject] = []
            for other in others:
                partner = _partner(record, other)
                (outcomes if isinstance(partner, Reject) else partners).append(partner)  # type: ignore[arg-type]
            if not partners:
                yield outcomes
                continue
            reference = self._reference([record, *partners])
            if reference is None:
                yield [*outcomes, Reject(record, "no reference")]
                continue
            scored = [(response, self._score(response, reference)) for response in (record, *partners)]
            yield [*outcomes, *(self._battle(*one, *two) for one, two in combinations(scored, 2))]

    def _reference(self, responses: list[Record]) -> str | None:
        given = [(self.references or {}).get(responses[0]["id"]), *(record.get("reference") for record in responses)]
        return next((text for text in given if type(text) is str and text.strip()), None)

    def _score(self, response: Record, reference: str) -> float:
        return self.rubric.score(response["messages"][-1]["content"], reference)

    def _battle(self, a: Record, score_a: float, b: Record, score_b: float) -> Record:
        if a["model"] == b["model"]:
            raise UsageError(
                f"two files hold responses of `{a['model']}`",
                hint="a battle needs two models: give the responses of one file another `model`",
            )
        winner = "tie" if abs(score_a - score_b) <= self.margin else "model_a" if score_a > score_b else "model_b"
        named = {"prompt_id": a["id"], "model_a": a["model"], "model_b": b["model"], "winner": winner}
        language = a.get("language") or b.get("language")
        return {
            "id": content_id(named | {"judge": self.rubric.name, "winner": None}),  # the same whoever wins
            **named,
            "judge": self.rubric.name,
            **({"language": language} if language else {}),
            "conversation_a": a["messages"],
            "conversation_b": b["messages"],
            "metadata": {"scores": {"model_a": round(score_a, 4), "model_b": round(score_b, 4)}},
        }


def _partner(record: Record, other: Contender) -> Record | Reject:
    """Return the response in `other` to the same prompt as `record`, or why there is none."""
    partner = other.responses.get(record["id"])
    if partner is None:
        return Reject(record, "no partner", f"{other.name} has no such id")
    other.met.add(record["id"])
    if _asked(partner) != _asked(record):
        return Reject(record, "different prompts", f"{other.name} has the id with other user turns")
    return partner


def _asked(record: Record) -> list[str]:
    return [message["content"] for message in record["messages"] if message["role"] == "user"]
