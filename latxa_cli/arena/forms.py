"""Votes as web forms and spreadsheets write them: CSV and TSV, columns and labels of any names, dates, responses apart.

`latxa arena-score votes.csv --column model_a="Left model" --label tie="Both good"`

Columns and labels that are common are known. Flags name others, also for JSON lines. Conversations come from files of
responses, by the prompt and the model.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import TYPE_CHECKING, Any

import orjson

from latxa_cli.arena.votes import CRITERIA, VERDICTS
from latxa_cli.stream.errors import LatxaError, UsageError, nearest
from latxa_cli.stream.inputs import LONGEST_LINE, EntryError, Input
from latxa_cli.stream.named import named_value, named_values
from latxa_cli.stream.records import Record, user_turns
from latxa_cli.stream.spellings import ALIASES

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run

DELIMITERS = ",;\t"
# Names of columns and labels are compared without case, spaces and marks.
COLUMNS = {
    "model_a": ("modela", "modelleft", "leftmodel", "left", "model1", "firstmodel", "a"),
    "model_b": ("modelb", "modelright", "rightmodel", "right", "model2", "secondmodel", "b"),
    "winner": ("winner", "vote", "choice", "verdict", "better", "preferred"),
    "user": ("user", "email", "emailaddress", *(name.replace("_", "") for name in ALIASES["user"])),
    "prompt_id": ("promptid", "questionid", "itemid"),
    "timestamp": ("timestamp", "time", "date", "submittedat", "createdat"),
    **{name: (name.replace("_", ""),) for name in CRITERIA[1:]},
}
LABELS = {
    "model_a": ("modela", "a", "left", "first", "1", "leftisbetter", "aisbetter"),
    "model_b": ("modelb", "b", "right", "second", "2", "rightisbetter", "bisbetter"),
    "tie": ("tie", "both", "bothgood", "botharegood", "equal", "same", "draw"),
    "tie (bothbad)": ("tiebothbad", "bothbad", "botharebad", "neither", "none"),
}
_MARKS = re.compile(r"[\W_]+")
_DATE = re.compile(
    r"(\d{1,4})[/.-](\d{1,2})[/.-](\d{1,4})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([AaPp]\.?[Mm]\.?)?)?"
)


@dataclass(frozen=True)
class VoteForm:
    """How votes are written.

    - columns: by field, the column that holds it; labels: by plain label, the verdict.
    - responses: what was answered.
    - seen: the columns of `columns` that some battle has.
    """

    columns: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    responses: Responses | None = None
    seen: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls, columns: Iterable[str] | None, labels: Iterable[str] | None, responses: Responses | None = None
    ) -> VoteForm:
        """Return the form that texts `FIELD=COLUMN` and `VERDICT=LABEL` describe; raises UsageError."""
        found: dict[str, str] = {}
        for text in labels or ():
            verdict, label = named_value("--label", text, "VERDICT=LABEL", str)
            if verdict not in VERDICTS:
                raise UsageError(f"`--label {text}`: no verdict `{verdict}`", hint=nearest(verdict, list(VERDICTS)))
            if (other := found.setdefault(_plain(label) or label, verdict)) != verdict:
                raise UsageError(f"`--label {text}`: `{label}` stands for `{other}` already", hint="leave one out")
        return cls(named_values("--column", list(columns or ()), "FIELD=COLUMN", str), found, responses)

    def source(self, name: str) -> Input:
        """Return the input of this name."""
        return FormInput(name, self) if self or _is_sheet(name) else Input(name)

    def remarks(self) -> list[str]:
        """Return what is to be said once battles were read."""
        lacking = [f"`--column {name}={of}`: no battle has `{of}`" for name, of in self.columns.items()
                   if of not in self.seen]  # fmt: skip
        remark = self.responses.remark if self.responses is not None else ""
        return [*lacking, *([remark] if remark else [])]

    def __bool__(self) -> bool:
        return bool(self.columns or self.labels or self.responses is not None)

    def battle(self, row: Record, *, sheet: bool) -> Record:
        """Return the battle of a row. sheet: its values are texts, and common labels are known."""
        taken = set(self.columns.values())
        battle = {name: value for name, value in row.items() if name not in taken or name in self.columns}
        named = {name: row[column] for name, column in self.columns.items() if row.get(column) is not None}
        self.seen.update(self.columns[name] for name in named)
        battle |= named
        for criterion in CRITERIA:
            if isinstance(said := battle.get(criterion), str):
                battle[criterion] = self._verdict(said, battle, sheet)
        if self.responses is not None:
            self.responses.join(battle)
        return battle

    def _verdict(self, said: str, battle: Record, sheet: bool) -> str:
        plain = _plain(said) or said
        if plain in self.labels:
            return self.labels[plain]
        if said in VERDICTS or not (sheet or self.labels):
            return said
        for side in ("model_a", "model_b"):
            if said == battle.get(side):
                return side
        return next((verdict for verdict, labels in LABELS.items() if sheet and plain in labels), said)


class FormInput(Input):
    """An input whose entries are made into battles by a form."""

    def __init__(self, name: str, form: VoteForm) -> None:
        super().__init__(name)
        self.form, self.is_sheet = form, _is_sheet(name)
        self.first_row = 2 if self.is_sheet else 1  # the first line of a sheet names the columns

    @property
    def is_table(self) -> bool:
        """Whether the input gives records: always."""
        return True

    def rows(self) -> Iterator[Record | bytes | EntryError]:  # type: ignore[override]
        """Yield battles, and lines that are no battles as they are; raises LatxaError."""
        if self.is_sheet:
            for row in self._sheet():
                yield self.form.battle(row, sheet=True) if isinstance(row, dict) else row
        elif super().is_table:
            yield from (self.form.battle(row, sheet=False) for row in super().rows())
        else:
            for _, entry in Input.entries(_Lines(self.name, owner=self)):
                record = _parsed(entry)
                yield entry if record is None else self.form.battle(record, sheet=False)  # type: ignore[misc]

    def _sheet(self) -> Iterator[Record | bytes | EntryError]:
        """Yield a record for each line of the sheet but the first; b"" for a line that is blank, or goes on."""
        text = _text(b"".join(self.blocks()), self.label)
        head = text.partition("\n")[0]
        separator = "\t" if ".tsv" in self.name.lower() else max(DELIMITERS, key=head.count)
        csv.field_size_limit(LONGEST_LINE)
        lines = self._lines(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
        _, header = next(lines, (1, []))
        if not header:
            return
        names = self._names([name.strip() for name in header])
        rows = [(line, self._record(names, cells)) for line, cells in lines]
        read = date_reader(row["timestamp"] for _, row in rows if isinstance(row, dict) and "timestamp" in row)
        following = self.first_row
        for line, row in rows:
            yield from repeat(b"", line - following)
            following = line + 1
            if isinstance(row, dict) and "timestamp" in row:
                row["timestamp"] = read(row["timestamp"])
            yield row

    def _lines(self, reader: Any) -> Iterator[tuple[int, list[str]]]:
        """Yield (number of its first line, cells) of all rows that are not blank; raises LatxaError."""
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise LatxaError(f"{self.label}:{line}: {error}") from error
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield line, cells

    def _record(self, names: Sequence[str], cells: Sequence[str]) -> Record | EntryError:
        if any(cell.strip() for cell in cells[len(names) :]):
            problem = f"the row has {len(cells)} cells, and the first one names {len(names)} columns"
            return EntryError(problem, ",".join(cells).encode())
        return {name: value.strip() for name, value in zip(names, cells, strict=False) if name and value.strip()}

    def _names(self, header: list[str]) -> list[str]:
        """Return what the columns are called in battles: as they are, but for common names of our fields."""
        named = set(self.form.columns.values())
        if twice := [name for name, times in Counter(header).items() if name and times > 1]:
            raise LatxaError(f"{self.label}: two columns are called `{twice[0]}`", hint="give one another name")
        if lacking := sorted(named.difference(header)):
            shown = ", ".join(f"`{name}`" for name in header)
            raise LatxaError(f"{self.label}: no column `{lacking[0]}`", hint=f"the columns are {shown}")
        names, given = list(header), {*self.form.columns, *header}
        for ours, spellings in COLUMNS.items():
            if ours not in given:
                place = next(
                    (n for n, name in enumerate(header) if name not in named and _plain(name) in spellings), -1
                )
                if place >= 0:
                    names[place] = ours
        if lacking := [name for name in ("model_a", "model_b") if name not in {*names, *self.form.columns}]:
            shown = ", ".join(f"`{name}`" for name in header)
            hint = f"`--column {lacking[0]}=NAME`; the columns are {shown}"
            raise LatxaError(f"{self.label}: no column is `{lacking[0]}`", hint=hint)
        return names


class _Lines(Input):
    """The lines of a text input, read on behalf of a form, which holds the file for the manifest."""

    def __init__(self, name: str, owner: Input) -> None:
        super().__init__(name)
        self.owner = owner

    def blocks(self) -> Iterator[bytes]:
        return self.owner.blocks()


class Responses:
    """Conversations by prompt and model, and how many sides of battles got one (`joined`), or none (`lacking`).

    unclear: how many of those without one have a prompt that their model answered in several ways.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.by_id: dict[tuple[str, str], list[Record]] = {}
        self.by_text: dict[tuple[str, str], list[Record]] = {}
        self.joined = self.lacking = self.unclear = 0
        for record in records:
            key = str(record["id"]), record["model"]
            if key in self.by_id and self.by_id[key] != record["messages"]:
                raise LatxaError(f"two responses of `{key[1]}` have the id `{key[0]}`")
            self.by_id[key] = record["messages"]
            asked = user_turns(record["messages"])
            by_text = asked[-1].strip() if asked else "", record["model"]
            if self.by_text.setdefault(by_text, record["messages"]) != record["messages"]:
                self.by_text[by_text] = []  # nothing says which of them is meant

    def join(self, battle: Record) -> None:
        """Put conversations into a battle that has none."""
        for side in ("a", "b"):
            if battle.get(f"conversation_{side}") is None:
                messages = self._of(battle, battle.get(f"model_{side}"))
                self.joined, self.lacking = self.joined + bool(messages), self.lacking + (not messages)
                if messages:
                    battle[f"conversation_{side}"] = messages

    def _of(self, battle: Record, model: object) -> list[Record] | None:
        if not isinstance(model, str):
            return None
        prompt, text = battle.get("prompt_id", battle.get("question_id")), battle.get("prompt")
        found = self.by_id.get((str(prompt), model)) if prompt is not None else None
        if found is None and isinstance(text, str):
            found = self.by_text.get((text.strip(), model))
            self.unclear += found == []
        return found

    @property
    def remark(self) -> str:
        """What is to be said once battles were read; empty where all have their responses."""
        if not self.lacking:
            return ""
        why = "not in `--responses`"
        if self.unclear:
            why += f", or one of several answers of a model to the same prompt ({self.unclear:,}): name the `prompt_id`"
        elif not self.joined:
            return "no response joins a battle: none has its `prompt_id` as `id`, or its `prompt`, and its model"
        return f"{self.lacking:,} of {self.lacking + self.joined:,} responses to battles are {why}"


def date_reader(texts: Iterable[str]) -> Callable[[str], str]:
    """Return what makes dates of one column ISO 8601; what it cannot read stays as it is.

    Whether days or months come first is seen from all: where no first number, and no second, is above 12, it stays.
    """
    parts = [match for text in texts if (match := _DATE.match(text))]
    day_first = any(len(m[1]) < 3 and int(m[1]) > 12 for m in parts)
    month_first = any(len(m[1]) < 3 and int(m[2]) > 12 for m in parts)

    def read(text: str) -> str:
        match = _DATE.match(text)
        if match is None:
            return text
        one, two, three = (int(part) for part in match.groups()[:3])
        if len(match[1]) == 4:
            year, month, day = one, two, three
        elif len(match[3]) == 4 and day_first != month_first:
            year, month, day = (three, two, one) if day_first else (three, one, two)
        else:
            return text
        hour, minute, second = (int(part or 0) for part in match.groups()[3:6])
        if half := match[7]:
            hour = hour % 12 + (12 if half[0] in "Pp" else 0)
        try:
            return datetime(year, month, day, hour, minute, second).isoformat()
        except ValueError:
            return text

    def keep_iso(text: str) -> str:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return read(text)
        return text

    return keep_iso


def _parsed(entry: bytes | Record) -> Record | None:
    try:
        record = orjson.loads(entry) if isinstance(entry, bytes) else entry
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _text(data: bytes, label: str) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LatxaError(
            f"{label}:{line}: this is not UTF-8", hint="`iconv -f WINDOWS-1252 -t UTF-8`, perhaps"
        ) from error


def _is_sheet(name: str) -> bool:
    return name.lower().removesuffix(".gz").removesuffix(".zst").endswith((".csv", ".tsv"))


def _plain(text: str) -> str:
    return _MARKS.sub("", text.casefold())


def form_of(
    run: Run, columns: Iterable[str] | None, labels: Iterable[str] | None, responses: Iterable[str] | None
) -> VoteForm:
    """Return the form of the flags of a verb, whose inputs are then read by it."""
    records = [record for name in responses or () for record in run.read_all(name, "response")]
    form = VoteForm.of(columns, labels, Responses(records) if responses else None)
    run.intake.open = form.source
    return form
