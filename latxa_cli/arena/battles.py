"""Reading battles: a stream of records becomes columns of votes, and what cannot be counted is set aside with a reason.

Nearly all lines are sound, and of each only a few fields are of use: msgspec takes these out of many lines at once,
without making records of them. Where anything is odd, and where whole records are looked at, each is read for itself.
What a vote says (who stood first, who second, the verdicts) comes in few combinations, each of which is checked once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, Union

import msgspec
import numpy as np

from latxa_cli.arena.filters import SUSPICION, Filter, rejection, suspicion_of
from latxa_cli.arena.pseudonyms import pseudonym
from latxa_cli.arena.votes import CRITERIA, NONE, VERDICTS, Column, Integers, Votes, collapsed
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.fields import Type
from latxa_cli.stream.kinds import KINDS
from latxa_cli.stream.reader import Block
from latxa_cli.stream.records import Record, Reject
from latxa_cli.stream.spellings import ALIASES, JUDGE, field_text, spelled

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run

MOST_MODELS = 2000  # a fit holds a matrix of models x models: at 2,000, 32 MB
VERDICT: Any = Literal[(*VERDICTS, None)]  # type: ignore[valid-type]
KNOWN = frozenset((*VERDICTS, None))
NO_ID = hash(None)
MARK = f'"{SUSPICION}"'.encode()
OTHER_NAMES = {field: [b'"%s"' % name.encode() for name in names] for field, names in ALIASES.items()}
Stance = tuple[str, ...]  # first model, second model, a verdict (or None) by each question
OWN = frozenset(("model_a", "model_b", "id", "metadata", "source", *CRITERIA))  # what is read of every line


class Tally:
    """Counts battles, of which `criteria` and `fields` are of use.

    collapse: `winner` is made of the answers to three questions, as `collapsed` does. filters: what may leave whole
    records out. features: by name, what is measured of a battle's conversations; it gives (names) x (first, second).
    pseudonyms: stand for the names of users.
    """

    def __init__(
        self,
        criteria: Sequence[str] = ("winner",),
        fields: Sequence[str] = (),
        *,
        collapse: bool = False,
        filters: Sequence[Filter] = (),
        features: Sequence[str] = (),
        measure: Callable[[Record], list[list[float]]] | None = None,
        pseudonyms: bool = False,
    ) -> None:
        self.criteria = tuple(criteria)
        self.questions = CRITERIA if collapse else self.criteria
        self.asked_fields = tuple(fields)
        self.fields = tuple(dict.fromkeys((*fields, JUDGE) if "user" in fields else fields))
        self.collapse, self.filters = collapse, filters
        self.features, self.measure, self.pseudonyms = features, measure, pseudonyms
        self.stances = _Stances(len(self.questions))
        self.names = [_Names() for _ in self.fields]
        self._buffers = [bytearray() for _ in range(2 + len(self.fields))]  # of stances, ids, fields: grows in place
        self._kinds = (np.int32, np.int64, *[np.int32] * len(self.fields))
        self._measurements: list[list[list[float]]] = []
        self.suspicion: Counter[str] = Counter()  # how many battles each reason casts doubt on, left out or not
        self._files: list[tuple[str, int]] = []  # and the first of the votes of each
        self._decode = _decoder(self.questions, self.fields)
        self._stance = attrgetter("model_a", "model_b", *self.questions)

    # --- taking battles in

    def take(self, blocks: Iterable[Block]) -> Iterator[Reject]:
        """Count the battles of `blocks`; yield those that cannot be counted.

        Raises LatxaError for more than `MOST_MODELS` models.
        """
        whole = bool(self.filters or self.measure)
        for block in blocks:
            if not self._files or self._files[-1][0] != block.label:
                self._files.append((block.label, len(self._buffers[0]) // np.dtype(self._kinds[0]).itemsize))
            doubted = isinstance(block.entries, bytes) and MARK in block.entries
            battles = None if whole or doubted or self._decode is None else block.decoded(self._decode)
            if battles is None:
                yield from self.count(block.records())
                continue
            stances = np.fromiter(map(self.stances.__getitem__, map(self._stance, battles)), np.int32, len(battles))
            columns = [
                _column(field, battles, names.__getitem__, np.int32)
                for field, names in zip(self.fields, self.names, strict=True)
            ]
            if self._has_other_names(block, columns):
                block.count = 0
                yield from self.count(block.records())
                continue
            ids = _column("id", battles, hash, np.int64)
            if stances.min() < 0:
                odd = np.flatnonzero(stances < 0)
                records = ((block.record(place), stances[place]) for place in odd.tolist())
                yield from (_reject(record, code, self.questions) for record, code in records if record is not None)
                kept = stances >= 0
                stances, columns, ids = stances[kept], [column[kept] for column in columns], ids[kept]
            self._keep(stances, ids, *columns)

    def count(self, battles: Iterable[Record]) -> Iterator[Reject]:
        """Count checked records, and yield those that cannot be counted."""
        rows: list[tuple[int, ...]] = []
        for battle in battles:
            self.suspicion.update(set(suspicion_of(battle)))
            reject = rejection(self.filters, battle) or self._odd_field(battle)
            if reject is None:
                stance = self.stances[self._stance_of(battle)]
                if stance >= 0:
                    identity = battle.get("id")
                    code_of_id = NO_ID if identity is None else hash(str(identity))
                    fields = zip(self.fields, self.names, strict=True)
                    rows.append(
                        (stance, code_of_id, *(names[field_text(spelled(battle, field)[1])] for field, names in fields))
                    )
                    if self.measure:
                        self._measurements.append(self.measure(battle))
                    continue
                reject = _reject(battle, stance, self.questions)
            yield reject
        if rows:
            columns = zip(*rows, strict=True)
            self._keep(*(np.array(column, kind) for column, kind in zip(columns, self._kinds, strict=True)))

    def _has_other_names(self, block: Block, columns: Sequence[np.ndarray]) -> bool:
        """Say whether a field that some battle lacks may be there under another name."""
        lines = block.entries
        for field, column in zip(self.fields, columns, strict=True):
            names = OTHER_NAMES.get(field, ())
            if names and (column < 0).any() and isinstance(lines, bytes) and any(name in lines for name in names):
                return True
        return False

    def _keep(self, *columns: np.ndarray) -> None:
        for buffer, column in zip(self._buffers, columns, strict=True):
            buffer += column.data

    def _stance_of(self, battle: Record) -> Stance:
        verdicts = (battle.get(criterion) for criterion in self.questions)
        return (battle["model_a"], battle["model_b"], *(v if _is_text(v) else str(v) for v in verdicts))

    def _odd_field(self, battle: Record) -> Reject | None:
        for field in self.fields:
            name, value = spelled(battle, field)
            if isinstance(value, dict | list):
                return Reject(battle, "odd field", f"`{name}` is neither a name nor a number")
        return None

    # --- what was taken

    def votes(self) -> tuple[Votes, list[Reject]]:
        """Return the votes, and those left out since a vote before has the same id (as they would be written again).

        Files may number their votes alike: of another file, that vote is a repetition if it says the same. A field that
        no vote has is no column.
        """
        buffers = zip(self._buffers, self._kinds, strict=True)
        stances, ids, *fields = (np.frombuffer(buffer, kind) for buffer, kind in buffers)
        repeats = _repeats(ids, [first for _, first in self._files], [stances, *fields])
        del ids
        self._buffers[:] = [bytearray() for _ in self._buffers]
        table = self._table()
        measured = np.array(self._measurements, dtype=np.float64).reshape(len(stances), len(self.features), 2)
        votes = Votes(
            sorted(self.stances.models),
            table[0][stances],
            table[1][stances],
            {name: verdicts[stances] for name, verdicts in zip(self.criteria, table[2:], strict=True)},
            {field: column for field, column in self._columns(fields).items() if column.given.any()},
            {name: measured[:, place] for place, name in enumerate(self.features)},
        )
        records = (_record_of(votes, place) for place in repeats.tolist())
        rejects = [Reject(record, "same id", "a battle before has its id") for record in records]
        if len(repeats):
            kept = np.ones(len(votes), dtype=bool)
            kept[repeats] = False
            votes = votes.where(kept)
        return votes, rejects

    def _columns(self, fields: Sequence[Integers]) -> dict[str, Column]:
        """Return the columns of the fields that were asked for; several judges are users, where no user is named."""
        columns = {
            field: _sorted(codes, names.texts)
            for field, codes, names in zip(self.fields, fields, self.names, strict=True)
            if names.texts or field == "user"
        }
        judges = columns.get(JUDGE)
        if judges is not None and "user" in columns and np.count_nonzero(judges.votes) > 1:
            columns["user"] = columns["user"].filled(judges)
        if self.pseudonyms and "user" in columns:
            users = columns["user"]
            columns["user"] = Column(users.codes, [pseudonym(name) for name in users.names])
        return {field: columns[field] for field in self.asked_fields if field in columns}

    def _table(self) -> list[np.ndarray]:
        """Return the columns of the distinct stances: first and second model, then the verdict by each criterion."""
        order = {name: place for place, name in enumerate(sorted(self.stances.models))}
        combinations = self.stances.combinations
        models = [np.array([order[stance[side]] for stance in combinations], np.int16) for side in (0, 1)]
        questions = {
            name: np.array([_code_of(stance[2 + place]) for stance in combinations], np.int8)
            for place, name in enumerate(self.questions)
        }
        if self.collapse:
            questions["winner"] = collapsed(*(questions[name] for name in CRITERIA))
        return models + [questions[name] for name in self.criteria]


class _Stances(dict[Stance, int]):
    """Codes of (model a, model b, verdicts …) as they come: from 0, or which of `ODD` one is."""

    def __init__(self, criteria: int) -> None:
        super().__init__()
        self.combinations: list[Stance] = []
        self.models: set[str] = set()
        self.silent = (None,) * criteria

    def __missing__(self, stance: Stance) -> int:
        code = self._odd(stance)
        if code == 0:
            code = len(self.combinations)
            self.combinations.append(stance)
            self.models.update(stance[:2])
            if len(self.models) > MOST_MODELS:
                raise LatxaError(
                    f"the battles name more than {MOST_MODELS} models",
                    hint="is `model_a` a name of a model everywhere?",
                )
        self[stance] = code
        return code

    def _odd(self, stance: Stance) -> int:
        if not KNOWN.issuperset(stance[2:]):
            return -2
        if not (stance[0].strip() and stance[1].strip()):
            return -4
        if stance[2:] == self.silent:
            return -1
        return -3 if stance[0] == stance[1] else 0


SKIPPED = "skipped"  # by a voter who could not judge
ODD = {-1: "no verdict", -2: "unknown verdict", -3: "self battle", -4: "no name of a model"}


class _Names(dict[str | None, int]):
    """Codes of texts, from 0 as they come; `NONE` for None."""

    def __init__(self) -> None:
        super().__init__({None: NONE})
        self.texts: list[str] = []

    def __missing__(self, text: str) -> int:
        self[text] = len(self.texts)
        self.texts.append(text)
        return self[text]


def _sorted(codes: Integers, names: list[str]) -> Column:
    """Return the column with its names in order, so that the order of the battles changes nothing."""
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.append(np.argsort(order), NONE).astype(np.int32)  # the last is that of `NONE`
    codes[:] = place[codes]
    return Column(codes, [names[number] for number in order])


def check_once(files: Sequence[str] | None) -> None:
    """Raise UsageError for a file that is given twice, whose votes would count twice."""
    seen: dict[str, str] = {}
    for name in files or ():
        if (path := os.path.realpath(name)) in seen:
            raise UsageError(f"{name}: this file is given twice", hint="its votes would count twice")
        seen[path] = name


def read_votes(run: Run, files: list[str] | None, tally: Tally) -> Votes:
    """Return the votes of `files` (default: stdin), counted by `tally`; what cannot be counted is set aside."""
    check_once(files)
    run.write(tally.take(run.read_blocks(files, "battle")))
    for one, other in run.intake.same_content():
        run.say(f"{other} holds what {one} does: its votes count twice")
    votes, repeats = tally.votes()
    run.write(repeats)
    if tally.suspicion:
        run.note(suspicion=dict(sorted(tally.suspicion.items())))
        counted = ", ".join(f"{reason} {number:,}" for reason, number in tally.suspicion.most_common())
        run.say(f"battles under suspicion, by reason: {counted} (`--exclude suspicion=REASON` leaves them out)")
    return votes


def _decoder(questions: Sequence[str], fields: Sequence[str]) -> Callable[[bytes], list[Any]] | None:
    """Return what takes battles out of lines; None where `fields` are no names that a type can have besides its own."""
    plain = all(field.isidentifier() and not field.startswith("_") for field in fields)
    if not plain or OWN.intersection(fields):
        return None
    return msgspec.json.Decoder(_struct(questions, fields)).decode_lines


def _struct(questions: Sequence[str], fields: Sequence[str]) -> type[msgspec.Struct]:
    """Return the type of what is taken of a line; a line that does not fit is read as a record."""
    # The reader checks these too.
    declared = {field.name: _decoded_type(field.type) for field in KINDS["battle"].optional}
    asked_for = dict.fromkeys(("winner", *questions), VERDICT) | dict.fromkeys((*fields, "id"), str | None)
    optional = [(name, type_, None) for name, type_ in (declared | asked_for).items()]
    return msgspec.defstruct("Battle", [("model_a", str), ("model_b", str), *optional], gc=False)


def _decoded_type(wanted: Type) -> Any:
    """Return what msgspec takes a field for that may hold `wanted` or null; what is inside of it is passed over."""
    raw: dict[type, Any] = {dict: dict[str, msgspec.Raw], list: list[msgspec.Raw]}
    return Union[*(raw.get(type_, type_) for type_ in wanted.types if not issubclass(type_, date)), None]


def _column(field: str, battles: list[Any], code: Callable[[Any], int], kind: Any) -> np.ndarray:
    values = tuple(map(attrgetter(field), battles))
    if values[0] is None and values.count(None) == len(values):
        return np.full(len(values), code(None), kind)
    return np.fromiter(map(code, values), kind, len(values))


def _code_of(verdict: str | None) -> int:
    return NONE if verdict is None else VERDICTS.index(verdict)


def _is_text(value: object) -> bool:
    return value is None or type(value) is str


def _reject(battle: Record, code: int, questions: Sequence[str]) -> Reject:
    if code == -2:
        unknown = next(name for name in questions if battle.get(name) is not None and not _is_known(battle[name]))
        return Reject(battle, ODD[code], f"`{unknown}` is {str(battle[unknown])[:40]!r}")
    if code == -1 and battle.get("skipped") is True:
        return Reject(battle, SKIPPED)
    return Reject(battle, ODD[int(code)])


def _is_known(verdict: object) -> bool:
    return type(verdict) is str and verdict in KNOWN


def _repeats(ids: np.ndarray, files: Sequence[int], said: Sequence[np.ndarray]) -> np.ndarray:
    """Return the places of the votes whose id a vote before has, in order.

    files: the first of the votes of each file; said: what votes say, which is to be the same across files.
    """
    rising = np.sort(ids)
    if not ((rising[1:] == rising[:-1]) & (rising[1:] != NO_ID)).any():
        return np.zeros(0, np.int64)
    del rising
    order = np.argsort(ids, kind="stable")
    alike = (ids[order][1:] == ids[order][:-1]) & (ids[order][1:] != NO_ID)
    places = np.sort(order[np.append(alike, False) | np.append(False, alike)])
    number = np.searchsorted(files, places, side="right").tolist()
    contents = zip(*(column[places].tolist() for column in said), strict=True)
    seen: set[tuple[object, ...]] = set()
    repeats = []
    for place, identity, file, content in zip(places.tolist(), ids[places].tolist(), number, contents, strict=True):
        keys = {(identity, file), (identity, *content, None)}
        if keys & seen:
            repeats.append(place)
        seen |= keys
    return np.array(repeats, np.int64)


def _record_of(votes: Votes, place: int) -> Record:
    verdicts = {name: int(verdict[place]) for name, verdict in votes.verdicts.items()}
    columns = {name: column.names[code] for name, column in votes.columns.items() if (code := column.codes[place]) >= 0}
    return {
        "model_a": votes.models[votes.a[place]],
        "model_b": votes.models[votes.b[place]],
        **{name: VERDICTS[verdict] for name, verdict in verdicts.items() if verdict != NONE},
        **columns,
    }
