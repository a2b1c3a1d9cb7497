"""Reading battles: a stream of records becomes columns of votes, and what cannot be counted is set aside with a reason.

Nearly all lines are sound, and of each only a few fields are of use: msgspec takes these out of many lines at once,
without making records of them. Where anything is odd, and where whole records are looked at, each is read for itself.
What a vote says (who stood first, who second, the verdicts) comes in few combinations, each of which is checked once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, Union

import msgspec
import numpy as np

from latxa_cli.arena.filters import Filter, rejection
from latxa_cli.arena.votes import CRITERIA, NONE, VERDICTS, Column, Votes, collapsed
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.kinds import KINDS, Type
from latxa_cli.stream.reader import Block
from latxa_cli.stream.records import Record, Reject

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run

MOST_MODELS = 2000  # a fit holds a matrix of models x models
VERDICT: Any = Literal[(*VERDICTS, None)]  # type: ignore[valid-type]
KNOWN = frozenset((*VERDICTS, None))
NO_ID = hash(None)
OWN = frozenset(("model_a", "model_b", "id", "metadata", "source", *CRITERIA))  # what is read of every line


class Tally:
    """Counts battles, of which `criteria` and `fields` are of use.

    collapse: `winner` is made of the answers to three questions, as `collapsed` does. filters: what may leave whole
    records out. features: by name, what is measured of a battle's conversations; it gives (names) x (first, second).
    """

    def __init__(
        self,
        criteria: Sequence[str] = ("winner",),
        fields: Sequence[str] = (),
        *,
        collapse: bool = False,
        filters: Sequence[Filter] = (),
        features: Sequence[str] = (),
        measure: Callable[[Record], Any] | None = None,
    ) -> None:
        self.criteria = tuple(criteria)
        self.asked = CRITERIA if collapse else self.criteria
        self.fields = tuple(fields)
        self.collapse, self.filters = collapse, filters
        self.features, self.measure = features, measure
        self.stances = _Stances(len(self.asked))
        self.names = [_Names() for _ in self.fields]
        self._held = [bytearray() for _ in range(2 + len(self.fields))]  # of stances, ids, fields: grows in place
        self._kinds = (np.int32, np.int64, *[np.int32] * len(self.fields))
        self._measured: list[Any] = []
        self._decode = _decoder(self.asked, self.fields)
        self._stance = attrgetter("model_a", "model_b", *self.asked)

    # --- taking battles in

    def take(self, blocks: Iterable[Block]) -> Iterator[Reject]:
        """Count the battles of `blocks`; yield those that cannot be counted.

        Raises LatxaError for more than `MOST_MODELS` models.
        """
        whole = bool(self.filters or self.measure)
        for block in blocks:
            battles = None if whole or self._decode is None else block.decoded(self._decode)
            if battles is None:
                yield from self.count(block.records())
                continue
            stances = np.fromiter(map(self.stances.__getitem__, map(self._stance, battles)), np.int32, len(battles))
            columns = [
                _column(field, battles, names.__getitem__, np.int32)
                for field, names in zip(self.fields, self.names, strict=True)
            ]
            ids = _column("id", battles, hash, np.int64)
            if stances.min() < 0:
                odd = np.flatnonzero(stances < 0)
                records = ((block.record(place), stances[place]) for place in odd.tolist())
                yield from (_reject(record, code, self.asked) for record, code in records if record is not None)
                kept = stances >= 0
                stances, columns, ids = stances[kept], [column[kept] for column in columns], ids[kept]
            self._keep(stances, ids, *columns)

    def count(self, battles: Iterable[Record]) -> Iterator[Reject]:
        """Count checked records, and yield those that cannot be counted."""
        rows: list[tuple[int, ...]] = []
        for battle in battles:
            reject = rejection(self.filters, battle) or self._odd_field(battle)
            if reject is None:
                stance = self.stances[self._said(battle)]
                if stance >= 0:
                    given = battle.get("id")
                    named = NO_ID if given is None else hash(str(given))
                    fields = zip(self.fields, self.names, strict=True)
                    rows.append((stance, named, *(names[_text(battle.get(field))] for field, names in fields)))
                    if self.measure:
                        self._measured.append(self.measure(battle))
                    continue
                reject = _reject(battle, stance, self.asked)
            yield reject
        if rows:
            columns = zip(*rows, strict=True)
            self._keep(*(np.array(column, kind) for column, kind in zip(columns, self._kinds, strict=True)))

    def _keep(self, *columns: np.ndarray) -> None:
        for held, column in zip(self._held, columns, strict=True):
            held += column.data

    def _said(self, battle: Record) -> tuple[Any, ...]:
        verdicts = (battle.get(criterion) for criterion in self.asked)
        return (battle["model_a"], battle["model_b"], *(v if _is_text(v) else str(v) for v in verdicts))

    def _odd_field(self, battle: Record) -> Reject | None:
        for field in self.fields:
            value = battle.get(field)
            if isinstance(value, dict | list):
                return Reject(battle, "odd field", f"`{field}` is neither a name nor a number")
        return None

    # --- what was taken

    def votes(self) -> tuple[Votes, list[Reject]]:
        """Return the votes, and those left out since a vote before has the same id (as they would be written again).

        A field that no vote has is no column.
        """
        stances, ids, *fields = (np.frombuffer(held, kind) for held, kind in zip(self._held, self._kinds, strict=True))
        again = _again(ids)
        del ids
        self._held[:] = [bytearray() for _ in self._held]
        table = self._table()
        measured = np.array(self._measured, dtype=np.float64).reshape(len(stances), len(self.features), 2)
        votes = Votes(
            sorted(self.stances.models),
            table[0][stances],
            table[1][stances],
            {name: verdicts[stances] for name, verdicts in zip(self.criteria, table[2:], strict=True)},
            {
                field: Column(codes, names.texts)
                for field, codes, names in zip(self.fields, fields, self.names, strict=True)
                if names.texts
            },
            {name: measured[:, place] for place, name in enumerate(self.features)},
        )
        rejects = [Reject(_written(votes, place), "same id", "a battle before has its id") for place in again.tolist()]
        if len(again):
            kept = np.ones(len(votes), dtype=bool)
            kept[again] = False
            votes = votes.where(kept)
        return votes, rejects

    def _table(self) -> list[np.ndarray]:
        """Return the columns of the distinct stances: first and second model, then the verdict by each criterion."""
        order = {name: place for place, name in enumerate(sorted(self.stances.models))}
        said = self.stances.said
        models = [np.array([order[stance[side]] for stance in said], np.int16) for side in (0, 1)]
        asked = {
            name: np.array([_verdict(stance[2 + place]) for stance in said], np.int8)
            for place, name in enumerate(self.asked)
        }
        if self.collapse:
            asked["winner"] = collapsed(*(asked[name] for name in CRITERIA))
        return models + [asked[name] for name in self.criteria]


class _Stances(dict[Any, int]):
    """Codes of (model a, model b, verdicts …) as they come: from 0, or which of `ODD` one is."""

    def __init__(self, criteria: int) -> None:
        super().__init__()
        self.said: list[tuple[Any, ...]] = []
        self.models: set[str] = set()
        self.silent = (None,) * criteria

    def __missing__(self, stance: tuple[Any, ...]) -> int:
        code = self._odd(stance)
        if code == 0:
            code = len(self.said)
            self.said.append(stance)
            self.models.update(stance[:2])
            if len(self.models) > MOST_MODELS:
                raise LatxaError(
                    f"the battles name more than {MOST_MODELS} models",
                    hint="is `model_a` a name of a model everywhere?",
                )
        self[stance] = code
        return code

    def _odd(self, stance: tuple[Any, ...]) -> int:
        if not KNOWN.issuperset(stance[2:]):
            return -2
        if stance[2:] == self.silent:
            return -1
        return -3 if stance[0] == stance[1] else 0


ODD = {-1: "no verdict", -2: "unknown verdict", -3: "self battle"}


class _Names(dict[Any, int]):
    """Codes of texts, from 0 as they come; `NONE` for None."""

    def __init__(self) -> None:
        super().__init__({None: NONE})
        self.texts: list[str] = []

    def __missing__(self, text: str) -> int:
        self[text] = len(self.texts)
        self.texts.append(text)
        return self[text]


def read_votes(run: Run, files: list[str] | None, tally: Tally) -> Votes:
    """Return the votes of `files` (default: stdin), counted by `tally`; what cannot be counted is set aside."""
    run.write(tally.take(run.read_blocks(files, "battle")))
    votes, again = tally.votes()
    run.write(again)
    return votes


def _decoder(asked: Sequence[str], fields: Sequence[str]) -> Callable[[bytes], list[Any]] | None:
    """Return what takes battles out of lines; None where `fields` are no names that a type can have besides its own."""
    plain = all(field.isidentifier() and not field.startswith("_") for field in fields)
    if not plain or OWN.intersection(fields):
        return None
    return msgspec.json.Decoder(_struct(asked, fields)).decode_lines


def _struct(asked: Sequence[str], fields: Sequence[str]) -> type[msgspec.Struct]:
    """Return the type of what is taken of a line; a line that does not fit is read as a record."""
    declared = {field.name: _decoded(field.type) for field in KINDS["battle"].optional}  # which the reader checks too
    asked_for = dict.fromkeys(("winner", *asked), VERDICT) | dict.fromkeys((*fields, "id"), str | None)
    optional = [(name, type_, None) for name, type_ in (declared | asked_for).items()]
    return msgspec.defstruct("Battle", [("model_a", str), ("model_b", str), *optional], gc=False)


def _decoded(wanted: Type) -> Any:
    """Return what msgspec takes a field for that may hold `wanted` or null; what is inside of it is passed over."""
    raw: dict[type, Any] = {dict: dict[str, msgspec.Raw], list: list[msgspec.Raw]}
    return Union[*(raw.get(type_, type_) for type_ in wanted.types if not issubclass(type_, date)), None]


def _column(field: str, battles: list[Any], code: Callable[[Any], int], kind: Any) -> np.ndarray:
    values = tuple(map(attrgetter(field), battles))
    if values[0] is None and values.count(None) == len(values):
        return np.full(len(values), code(None), kind)
    return np.fromiter(map(code, values), kind, len(values))


def _verdict(said: str | None) -> int:
    return NONE if said is None else VERDICTS.index(said)


def _text(value: Any) -> str | None:
    return value if _is_text(value) else str(value)


def _is_text(value: Any) -> bool:
    return value is None or type(value) is str


def _reject(battle: Record, code: int, asked: Sequence[str]) -> Reject:
    if code == -2:
        unknown = next(name for name in asked if battle.get(name) is not None and not _is_known(battle[name]))
        return Reject(battle, ODD[code], f"`{unknown}` is {str(battle[unknown])[:40]!r}")
    return Reject(battle, ODD[int(code)])


def _is_known(verdict: Any) -> bool:
    return type(verdict) is str and verdict in KNOWN


def _again(ids: np.ndarray) -> np.ndarray:
    """Return the places of the votes whose id a vote before has, in order."""
    given = np.sort(ids)
    if not ((given[1:] == given[:-1]) & (given[1:] != NO_ID)).any():
        return np.zeros(0, np.int64)
    order = np.argsort(ids, kind="stable")
    repeated = (ids[order][1:] == ids[order][:-1]) & (ids[order][1:] != NO_ID)
    return np.sort(order[1:][repeated])


def _written(votes: Votes, place: int) -> Record:
    said = {name: int(verdict[place]) for name, verdict in votes.verdicts.items()}
    columns = {name: column.names[code] for name, column in votes.columns.items() if (code := column.codes[place]) >= 0}
    return {
        "model_a": votes.models[votes.a[place]],
        "model_b": votes.models[votes.b[place]],
        **{name: VERDICTS[verdict] for name, verdict in said.items() if verdict != NONE},
        **columns,
    }
