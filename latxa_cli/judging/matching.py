"""Which responses answer the same prompt: those of one id, or of the same user turns where ids differ.

The first file decides what is judged, and is read as a stream; all others are held in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import Record, Reject, content_id, user_turns

Turns = tuple[str, ...]
SHOWN = 60  # characters of a turn in a message


@dataclass(frozen=True, slots=True)
class Meeting:
    """Responses to one prompt, each by another model, with the prompt's `reference`; and who could not be there."""

    prompt_id: str
    responses: tuple[Record, ...]
    reference: str | None = None
    rejects: tuple[Reject, ...] = ()


@dataclass
class Contender:
    """The responses of one file by id, their ids by user turns, and in `met` the ids that the first file has too."""

    name: str
    responses: dict[str, Record]
    by_turns: dict[Turns, list[str]] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)
    missed: Turns | None = None  # what the first file asks that this one does not, first of all

    @classmethod
    def of(cls, name: str, records: Iterable[Record]) -> Contender:
        """Index `records` by id and by user turns; raises LatxaError for a repeated id."""
        responses: dict[str, Record] = {}
        by_turns: dict[Turns, list[str]] = {}
        for record in records:
            if record["id"] in responses:
                raise _repeated(name, record)
            responses[record["id"]] = record
            by_turns.setdefault(asked(record), []).append(record["id"])
        return cls(name, responses, by_turns)

    def partner(self, record: Record) -> Record | Reject:
        """Return the response to the same prompt as `record`, or a Reject with the reason why none fits."""
        turns, partner = asked(record), self.responses.get(record["id"])
        if partner is not None:
            self.met.add(record["id"])
            if asked(partner) == turns:
                return partner
            return Reject(record, "different prompts", f"{self.name}: {difference(turns, asked(partner))}")
        alike = self.by_turns.get(turns, [])
        if len(alike) == 1:
            self.met.add(alike[0])
            return self.responses[alike[0]]
        if alike:
            return Reject(record, "no partner", f"{self.name} has no such id, and {len(alike)} responses to its prompt")
        self.missed = self.missed or turns
        return Reject(record, "no partner", f"{self.name} has no such id, and no such prompt")


def asked(record: Record) -> Turns:
    """Return the user turns of a conversation."""
    return tuple(user_turns(record["messages"]))


def difference(ours: Turns, theirs: Turns) -> str:
    """Say in which turn two conversations differ first."""
    place = next((n for n, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other), -1)
    if place < 0:
        return f"{len(ours)} user turns, and {len(theirs)} there"
    start = next((n for n, (a, b) in enumerate(zip(ours[place], theirs[place], strict=False)) if a != b), 0)
    start = max(0, start - SHOWN // 2)
    shown = [repr(turns[place][start : start + SHOWN]) for turns in (ours, theirs)]
    return f"user turn {place + 1} is {shown[0]}, and {shown[1]} there"


def meetings(
    first: Iterable[Record], others: list[Contender], references: Mapping[str, object], *, needs_reference: bool = True
) -> Iterator[Meeting]:
    """Yield, for each response of `first`, its meeting with its partners in the other files.

    `references`: by prompt id; they win over those of the records. Without any partner, or the reference that it needs,
    a meeting has no responses.

    Raises:
        UsageError: two files hold responses of the same model.
        LatxaError: an id comes twice.
    """
    seen: set[str] = set()
    for record in first:
        if record["id"] in seen:
            raise _repeated("the first file", record)
        seen.add(record["id"])
        matches = [other.partner(record) for other in others]
        rejects = tuple(match for match in matches if isinstance(match, Reject))
        partners = [match for match in matches if not isinstance(match, Reject)]
        responses = (record, *partners) if partners else ()
        reference = _reference(responses, references)
        if partners and needs_reference and reference is None:
            rejects, responses = (*rejects, Reject(record, "no reference")), ()
        _check_models(responses)
        same = all(partner["id"] == record["id"] for partner in partners)
        prompt_id = record["id"] if same else content_id({"prompt": list(asked(record))})
        yield Meeting(prompt_id, responses, reference, rejects)


def alone(records: Iterable[Record], references: Mapping[str, object], *, needs_reference: bool) -> Iterator[Meeting]:
    """Yield a meeting of each record with nobody, for rubrics that look at one response at a time."""
    for record in records:
        reference = _reference((record,), references)
        if record["messages"][-1]["role"] != "assistant":
            yield Meeting(record["id"], (), rejects=(Reject(record, "no response", "the assistant is not the last"),))
        elif needs_reference and reference is None:
            yield Meeting(record["id"], (), rejects=(Reject(record, "no reference"),))
        else:
            yield Meeting(record["id"], (record,), reference)


def begun(meetings: Iterator[Meeting]) -> tuple[Iterator[Meeting], bool]:
    """Return the meetings, and whether there is any to be judged: models are not loaded for nothing."""
    read: list[Meeting] = []
    for meeting in meetings:
        read.append(meeting)
        if meeting.responses:
            return chain(read, meetings), True
    return iter(read), False


def _reference(responses: Iterable[Record], references: Mapping[str, object]) -> str | None:
    records = list(responses)
    texts = [*(references.get(record["id"]) for record in records), *(record.get("reference") for record in records)]
    return next((text for text in texts if isinstance(text, str) and text.strip()), None)


def _check_models(responses: tuple[Record, ...]) -> None:
    models = [record["model"] for record in responses]
    if twice := next((model for model in models if models.count(model) > 1), None):
        raise UsageError(
            f"two files hold responses of `{twice}`",
            hint="a battle needs two models: give the responses of one file another `model`",
        )


def _repeated(name: str, record: Record) -> LatxaError:
    return LatxaError(
        f"{name}: two responses have the id `{record['id']}`",
        hint="a file holds one response to each prompt; give each model a file of its own",
    )
