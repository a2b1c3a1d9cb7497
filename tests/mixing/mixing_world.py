"""Records in every spelling, and mixes of them made in every way, for the tests of this room."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from hypothesis import strategies as st

from latxa_cli.mixing.choose import Wishes
from latxa_cli.mixing.mix import Mix, Options, build, diversifier, planned
from latxa_cli.stages import Work, open_executor
from latxa_cli.stream.parts import cut
from latxa_cli.stream.sources import parse_sources

Record = dict[str, Any]

# --- spellings -------------------------------------------------------------------------------------------------------

TEXTS = st.text(
    st.one_of(
        st.sampled_from(' \n\t\r"\\/\b\f\x00\x0b\x1c\x1fñé–\u0085\u00a0\u1680\u2003\u2028\u202f\u205f\u3000\u0640€😀'),
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("abc  "),
    ),
    max_size=80,
)
NAMES = st.text("abcdef019-/ñ", min_size=1, max_size=40)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 0.1, 1e-5, 0.0001, 123456.25, 1e22, 0.1234567890123456]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
METADATA = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {}, optional={"split": st.sampled_from(["train", "valid"]), "epoch": st.just(7), "a": VALUES}
    ),
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": TEXTS}),
    min_size=1,
    max_size=3,
)
USUAL_CONTENTS = st.one_of(st.fixed_dictionaries({"text": TEXTS}), st.fixed_dictionaries({"messages": MESSAGES}))
CONTENTS = st.one_of(USUAL_CONTENTS, st.fixed_dictionaries({"instruction": TEXTS, "output": TEXTS}))
IDS = st.one_of(NAMES, st.integers(0, 99), st.sampled_from(["0123456789abcdef", "0123456789abcdef-2", "a"]), st.none())


USUAL = {
    "id": NAMES, "source": NAMES, "licence": TEXTS, "n": st.integers(-(10**15), 10**15),
    "more": st.lists(TEXTS, max_size=2),
    "metadata": st.fixed_dictionaries({}, optional={"split": st.sampled_from(["train", "valid"]), "a": TEXTS}),
}  # fmt: skip
ODD = {"id": IDS, "source": st.one_of(NAMES, TEXTS, st.none()), "metadata": METADATA, "licence": TEXTS, "more": VALUES}


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record that a mix takes, its fields in any order; half of them have nothing odd about them."""
    if draw(st.booleans()):
        more = {name: fields for name, fields in USUAL.items() if name != "id"}
        fields = draw(USUAL_CONTENTS) | draw(st.fixed_dictionaries({"id": NAMES}, optional=more))
    else:
        fields = draw(CONTENTS) | draw(st.fixed_dictionaries({}, optional=ODD))
    return dict(draw(st.permutations(list(fields.items()))))


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A record's line as somebody may have written it."""
    record = draw(records())
    spelling = draw(st.integers(0, 3))
    if spelling == 0:
        return orjson.dumps(record)
    line = json.dumps(record, ensure_ascii=spelling == 1, separators=(", ", ": ") if spelling < 3 else (",", ":"))
    if draw(st.booleans()):
        line = draw(st.sampled_from(["", " ", "\t"])) + line.replace("{", "{ ", 1) + draw(st.sampled_from(["", " \r"]))
    return line.encode()


# --- mixes -----------------------------------------------------------------------------------------------------------


def document(name: str, **fields: Any) -> Record:
    return {"id": name, "text": f"text of {name}", **fields}


def documents(*names: str, **fields: Any) -> list[Record]:
    return [document(name, **fields) for name in names]


def conversation(name: str, *contents: str, **fields: Any) -> Record:
    roles = ("user", "assistant") * len(contents)
    turns = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    return {"id": name, "messages": turns, **fields}


def write(path: Path, records: Sequence[Record | bytes]) -> Path:
    whole = [record if isinstance(record, bytes) else orjson.dumps(record) for record in records]
    path.write_bytes(b"".join(line + b"\n" for line in whole))
    return path


@dataclass
class Made:
    """What a mix came to: its bytes, the entries for `--rejects`, the records held out, how many by reason there were
    (`""`: in the mix), and the mix itself."""

    data: bytes
    rejects: list[Record]
    held: list[Record]
    counts: Counter[str]
    mix: Mix

    @property
    def records(self) -> list[Record]:
        return parsed(self.data)

    @property
    def keys(self) -> list[tuple[str, str]]:
        return [(record["source"], record["id"]) for record in self.records]


NOTHING = Wishes()


class Collector:
    """Stands where the file for what is held out does."""

    def __init__(self) -> None:
        self.data = b""

    def write_lines(self, data: bytes) -> None:
        self.data += data


def parsed(data: bytes) -> list[Record]:
    return [orjson.loads(line) for line in data.split(b"\n")[:-1]]


def mix(
    folder: Path, inputs: dict[str, Sequence[Record | bytes] | Path], *, in_memory: bool = True,
    part_bytes: int = 1 << 20, wishes: Wishes = NOTHING, **options: Any,
) -> Made:  # fmt: skip
    """Mix records, or files, by the names of the inputs."""
    given = {"memory": 1 << 30, "workers": 1, "set_aside": True} | options
    number = len(list(folder.iterdir()))
    arguments = [
        f"{name}={found if isinstance(found, Path) else write(folder / f'{number}-{name}.jsonl', found)}"
        for name, found in inputs.items()
    ]
    chosen = Options(**given)
    held = Collector()
    with (
        open_executor("local", chosen.processes) as pool,
        Work(folder / f"{number}.work", {}, pool) as work,
    ):
        parts, _ = cut(parse_sources(arguments), work, part_bytes=part_bytes)
        plan = planned(chosen, wishes, list(inputs), work.folder)
        made = build(plan, parts, work, in_memory=in_memory, diversify=diversifier(chosen, work.folder, print))
        outcomes = [(bytes(lines.data), lines.count, lines.reason) for lines in made.outcomes(held)]  # type: ignore
    for data, count, _ in outcomes:
        assert not data or data.count(b"\n") == count
    data = b"".join(data for data, _, reason in outcomes if not reason)
    rejects = [entry for data, _, reason in outcomes if reason for entry in parsed(data)]
    counts: Counter[str] = Counter()
    for _, count, reason in outcomes:
        counts[reason] += count
    return Made(data, rejects, parsed(held.data), counts, made)
