"""Battles from responses: for every prompt and every two models, the rubric picks the better last answer.

`latxa judge ours.jsonl theirs.jsonl --rubric reference`

The rubric `reference` prefers the answer that is nearer to the prompt's reference by chrF.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations

from latxa_cli.stream.errors import LatxaError, UsageError, nearest
from latxa_cli.stream.records import Record, Reject, content_id
from latxa_cli.text.chrf import ChrF

RUBRICS = {"reference": ChrF}


def rubric_named(name: str) -> ChrF:
    """Return the rubric of this name; raises UsageError for an unknown one."""
    if name not in RUBRICS:
        raise UsageError(f"no rubric `{name}`", hint=nearest(name, list(RUBRICS)))
    return RUBRICS[name]()


@dataclass
class Contender:
    """The responses of one file by id, and in `met` the ids that the first file has too."""

    name: str
    responses: dict[str, Record]
    met: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, name: str, records: Iterable[Record]) -> Contender:
        """Index `records` by id; raises LatxaError for a repeated id."""
        responses: dict[str, Record] = {}
        for record in records:
            if record["id"] in responses:
                raise _repeated(name, record)
            responses[record["id"]] = record
        return cls(name, responses)


@dataclass(frozen=True)
class Judge:
    """A rubric and its settings.

    Attributes:
        rubric: scores an answer against a reference.
        margin: the largest difference of two scores that is a tie.
        references: references by id; they win over those of the records.
    """

    rubric: ChrF
    margin: float = 0.0
    references: dict[str, object] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.margin < math.inf:
            raise UsageError(f"the margin {self.margin} is not a finite number from 0")

    def battles(self, first: Iterable[Record], others: list[Contender]) -> Iterator[list[Record | Reject]]:
        """Yield, for each response of `first`, the battles among it and its partners, and its Rejects.

        A partner is a response to the same prompt in another file. A Reject stands for each file without one.

        Raises:
            UsageError: two files hold responses of the same model.
            LatxaError: an id comes twice.
        """
        seen: set[str] = set()
        for record in first:
            if record["id"] in seen:
                raise _repeated("the first file", record)
            seen.add(record["id"])
            matches = [_partner(record, other) for other in others]
            rejects: list[Record | Reject] = [match for match in matches if isinstance(match, Reject)]
            partners = [match for match in matches if not isinstance(match, Reject)]
            if not partners:
                yield rejects
                continue
            reference = self._reference([record, *partners])
            if reference is None:
                yield [*rejects, Reject(record, "no reference")]
                continue
            scores = [(response, self._score(response, reference)) for response in (record, *partners)]
            yield [*rejects, *(self._battle(*one, *two) for one, two in combinations(scores, 2))]

    def _reference(self, responses: list[Record]) -> str | None:
        texts = [(self.references or {}).get(responses[0]["id"]), *(record.get("reference") for record in responses)]
        return next((text for text in texts if isinstance(text, str) and text.strip()), None)

    def _score(self, response: Record, reference: str) -> float:
        return self.rubric.score(response["messages"][-1]["content"], reference)

    def _battle(self, a: Record, score_a: float, b: Record, score_b: float) -> Record:
        if a["model"] == b["model"]:
            raise UsageError(
                f"two files hold responses of `{a['model']}`",
                hint="a battle needs two models: give the responses of one file another `model`",
            )
        winner = "tie" if abs(score_a - score_b) <= self.margin else "model_a" if score_a > score_b else "model_b"
        meeting = {"prompt_id": a["id"], "model_a": a["model"], "model_b": b["model"], "winner": winner}
        language = a.get("language") or b.get("language")
        return {
            "id": content_id(meeting | {"judge": self.rubric.name, "winner": None}),  # the same whoever wins
            **meeting,
            "judge": self.rubric.name,
            **({"language": language} if language else {}),
            "conversation_a": a["messages"],
            "conversation_b": b["messages"],
            "metadata": {"scores": {"model_a": round(score_a, 4), "model_b": round(score_b, 4)}},
        }


def _repeated(name: str, record: Record) -> LatxaError:
    return LatxaError(
        f"{name}: two responses have the id `{record['id']}`",
        hint="a file holds one response to each prompt; give each model a file of its own",
    )


def _partner(record: Record, other: Contender) -> Record | Reject:
    """Return the response in `other` to the same prompt as `record`, or a Reject with the reason why none fits."""
    partner = other.responses.get(record["id"])
    if partner is None:
        return Reject(record, "no partner", f"{other.name} has no such id")
    other.met.add(record["id"])
    if _questions(partner) != _questions(record):
        return Reject(record, "different prompts", f"{other.name} has the id with other user turns")
    return partner


def _questions(record: Record) -> list[str]:
    return [message["content"] for message in record["messages"] if message["role"] == "user"]
