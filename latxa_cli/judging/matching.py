"""Which responses answer the same prompt: those of one id, or of the same user turns where ids differ.

The first file decides what is judged, and is read as a stream; all others are held in memory. Where a response is to
meet one of another id, the rest of the first file is read before: the other one may belong to an id further below, and
a response meets others under one prompt alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, combinations

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import Record, Reject, content_id, keyed_hash, not_shown, user_turns

Turns = tuple[str, ...]
SHOWN = 60  # characters of a turn in a message


@dataclass(frozen=True, slots=True)
class Meeting:
    """Responses to one prompt, each by another model, with the prompt's `reference`; and who could not be there.

    `of_first`: the first one meets each of the others, and these do not meet.
    """

    prompt_id: str
    responses: tuple[Record, ...]
    reference: str | None = None
    rejects: tuple[Reject, ...] = ()
    of_first: bool = False

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Who meets, by their places in `responses`."""
        pairs = combinations(range(len(self.responses)), 2)
        return [(a, b) for a, b in pairs if a == 0 or not self.of_first]


class FirstFile:
    """The records of the first file, as a stream, and what is asked under each id, as far as it is known.

    `prompts`: a hash of the user turns by id, also of the records of other shards and of an interrupted run (`note`).
    """

    def __init__(self) -> None:
        self.prompts: dict[str, int] = {}
        self._records: Iterator[Record] = iter(())
        self._ahead: deque[Record] = deque()

    def over(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records, each noted; raises LatxaError for a repeated id."""
        self._records = iter(records)
        while True:
            if not self._ahead:
                if (record := next(self._records, None)) is None:
                    return
                self.note(record)
                self._ahead.append(record)
            yield self._ahead.popleft()

    def note(self, record: Record) -> None:
        """Note what is asked under an id; raises LatxaError for a repeated id."""
        if record["id"] in self.prompts:
            raise _repeated("the first file", record)
        self.prompts[record["id"]] = key_of(asked(record))

    @cached_property
    def by_turns(self) -> dict[int, list[str]]:
        """All ids of the file by a hash of their user turns; the rest of the file is read for it, and held."""
        for record in self._records:
            self.note(record)
            self._ahead.append(record)
        found: dict[int, list[str]] = {}
        for name, key in self.prompts.items():
            found.setdefault(key, []).append(name)
        return found


@dataclass
class Contender:
    """The responses of one file by id, their ids by user turns, and in `met` the ids that the first file has too.

    `missed`: what the first file asks that this one does not, first of all; `differs`: the first id under which the two
    ask something else, and what.
    """

    name: str
    responses: dict[str, Record]
    by_turns: dict[Turns, list[str]] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)
    missed: Turns | None = None
    differs: tuple[str, str] | None = None

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

    def partner(self, record: Record, first: FirstFile) -> Record | Reject:
        """Return the response to the same prompt as `record` of the first file, or a Reject that says why none fits.

        It has the same id; else it is the only one with the same user turns that no record of the first file names, and
        `record` is the only one there that lacks it.
        """
        turns, partner = asked(record), self.responses.get(record["id"])
        if partner is not None:
            self.met.add(record["id"])
            if asked(partner) == turns:
                return partner
            found = difference(turns, asked(partner))
            self.differs = self.differs or (record["id"], found)
            return Reject(record, "different prompts", f"{self.name}: {found}")
        if turns not in self.by_turns:
            self.missed = self.missed or turns
            return Reject(record, "no partner", f"{self.name} has no such id, and no such prompt")
        waiting = [name for name in first.by_turns[key_of(turns)] if name not in self.responses]
        free = [name for name in self.by_turns[turns] if name not in first.prompts]
        if len(free) == len(waiting) == 1:
            self.met.add(free[0])
            return self.responses[free[0]]
        others = f" for {len(waiting):,}" * (len(waiting) > 1)
        return Reject(
            record, "no partner", f"{self.name} has no such id, and {len(free)} free responses{others} to its prompt"
        )


def asked(record: Record) -> Turns:
    """Return the user turns of a conversation."""
    return tuple(user_turns(record["messages"]))


def key_of(turns: Turns) -> int:
    """Return a hash of user turns."""
    return keyed_hash(0, "turns", *turns)


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
    records: Iterable[Record],
    others: list[Contender],
    references: Mapping[str, object],
    *,
    needs_reference: bool = True,
    first: FirstFile | None = None,
) -> Iterator[Meeting]:
    """Yield, for each response in `records` of the first file, its meeting with its partners in the other files.

    `references`: by prompt id; they win over those of the records. `first`: what is known of the first file already.
    Without any partner, or the reference that it needs, a meeting has no responses.

    Raises:
        UsageError: two files hold responses of the same model.
        LatxaError: an id comes twice.
    """
    first = first or FirstFile()
    for record in first.over(records):
        matches = [other.partner(record, first) for other in others]
        rejects = tuple(match for match in matches if isinstance(match, Reject))
        partners = [match for match in matches if not isinstance(match, Reject)]
        responses = (record, *partners) if partners else ()
        reference = reference_of(responses, references)
        if partners and needs_reference and reference is None:
            rejects, responses = (*rejects, Reject(record, "no reference")), ()
        _check_models(responses)
        same = all(partner["id"] == record["id"] for partner in partners)
        prompt_id = record["id"] if same else content_id({"prompt": list(asked(record))})
        yield Meeting(prompt_id, responses, reference, rejects)


def alone(records: Iterable[Record], references: Mapping[str, object], *, needs_reference: bool) -> Iterator[Meeting]:
    """Yield a meeting of each record with nobody, for rubrics that look at one response at a time."""
    for record in records:
        reference = reference_of((record,), references)
        if record["messages"][-1]["role"] != "assistant":
            yield Meeting(record["id"], (), rejects=(Reject(record, "no response", "the assistant is not the last"),))
        elif beside := not_shown(record):
            yield Meeting(record["id"], (), rejects=(Reject(record, beside, "of which a judge is shown nothing"),))
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


def reference_of(responses: Iterable[Record], references: Mapping[str, object]) -> str | None:
    """Return the reference of a prompt: that of `references`, by id, else the first that a response has."""
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
