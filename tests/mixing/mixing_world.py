"""Mixes of records made in every way, for the tests of this room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from latxa_cli.mixing.inputs import InputFlags
from latxa_cli.mixing.mix import Mix, build, diversifier, make_plan
from latxa_cli.mixing.options import MixOptions
from latxa_cli.stages import Work, open_executor
from latxa_cli.stream.cutting import cut
from latxa_cli.stream.sources import parse_sources

Record = dict[str, Any]

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


NOTHING = InputFlags()


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
    part_bytes: int = 1 << 20, input_flags: InputFlags = NOTHING, **options: Any,
) -> Made:  # fmt: skip
    """Mix records, or files, by the names of the inputs."""
    given = {"memory": 1 << 30, "workers": 1, "set_aside": True} | options
    number = len(list(folder.iterdir()))
    arguments = [
        f"{name}={found if isinstance(found, Path) else write(folder / f'{number}-{name}.jsonl', found)}"
        for name, found in inputs.items()
    ]
    chosen = MixOptions(**given)
    held = Collector()
    with (
        open_executor("local", chosen.processes) as pool,
        Work(folder / f"{number}.work", {}, pool) as work,
    ):
        parts, _ = cut(parse_sources(arguments), work, part_bytes=part_bytes)
        plan = make_plan(chosen, input_flags, list(inputs), work.folder)
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
