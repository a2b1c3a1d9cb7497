"""The steps of `latxa mix`: named inputs, the choice that a variant makes among them, one shuffled mix, its shares.

latxa mix corpus=eu.jsonl eu=eu_inst.jsonl en=en_inst.jsonl --variant exp_2_111 > mix.jsonl

The mix is the union of its inputs in their natural proportions, as in *Instructing Large Language Models for
Low-Resource Languages* (arXiv 2506.07597).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from latxa_cli.mixing.shuffle import Key, drawn, shuffled
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record, Reject
from latxa_cli.variants import Variant

CORPUS, ENGLISH = "corpus", "en"  # the two names that a variant knows; the third is the target language's own
STDIN = "-"
BATCH = 256  # records whose tokens are counted together

# Texts -> the number of tokens of each.
CountTokens = Callable[[list[str]], list[int]]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MISSING = {
    "corpus": f"the corpus: add `{CORPUS}=FILE`",
    "target": "the instructions in the target language: add `CODE=FILE` with its code, for example `cy=FILE`",
    "english": f"the English instructions: add `{ENGLISH}=FILE`",
}


# --- which inputs ----------------------------------------------------------------------------------------------------


def parse_inputs(arguments: Iterable[str]) -> dict[str, str]:
    """Return {name: file} for arguments written `NAME=FILE`; raises UsageError, before anything is read."""
    inputs: dict[str, str] = {}
    for argument in arguments:
        name, equals, file = argument.partition("=")
        if not equals or not file or not _NAME.fullmatch(name):
            raise UsageError(
                f"`{argument}` is not `NAME=FILE`",
                hint="give every input a name, for example `corpus=eu.jsonl eu=eu_inst.jsonl en=en_inst.jsonl`",
            )
        if name in inputs:
            raise UsageError(f"two inputs are named `{name}`", hint=f"join them: `cat A B | latxa mix {name}=- …`")
        inputs[name] = file
    if list(inputs.values()).count(STDIN) > 1:
        raise UsageError("stdin (`-`) can be one input only")
    if not inputs:
        raise UsageError("nothing to mix", hint="name inputs as `NAME=FILE`, for example `corpus=eu.jsonl`")
    return inputs


def choose(inputs: Mapping[str, str], variant: Variant) -> tuple[dict[str, str], list[str]]:
    """Return the inputs that `variant` is trained on, in the order of its digits, and the names that it leaves out.

    `corpus` and `en` are the corpus and the English instructions; the one other name is the target language.
    Raises UsageError for a missing input, for more than one other name, and for a variant that is trained on nothing.
    """
    if not variant.inputs:
        raise UsageError(f"`{variant.code}` is the {variant.backbone} model untouched: there is nothing to mix")
    others = [name for name in inputs if name not in (CORPUS, ENGLISH)]
    if len(others) > 1:
        named = " and ".join(f"`{name}`" for name in others)
        raise UsageError(
            f"`{variant.code}` takes one target language, but {named} are named",
            hint=f"with `--variant`, name one input besides `{CORPUS}` and `{ENGLISH}`",
        )
    names = {"corpus": CORPUS, "target": others[0] if others else "", "english": ENGLISH}
    chosen: dict[str, str] = {}
    for role in variant.inputs:
        if names[role] not in inputs:
            raise UsageError(f"`{variant.code}` needs {_MISSING[role]}")
        chosen[names[role]] = inputs[names[role]]
    return chosen, [name for name in inputs if name not in chosen]


# --- the mix ---------------------------------------------------------------------------------------------------------


def mix(sources: Mapping[str, Iterable[Record]], seed: int, take: int | None = None) -> Iterator[Record | Reject]:
    """Yield the records of all `sources` in one random order, `take` of them drawn at random when given.

    Every record's `source` becomes the name of its input, or `NAME/its own source`; the second record with one
    (`source`, `id`) is rejected. The order depends on the seed and these keys alone. Holds all records in memory.
    """
    held: dict[Key, Record] = {}
    for name, records in sources.items():
        for record in records:
            source = f"{name}/{record['source']}" if record.get("source") else name
            key = (source, record["id"])
            if key in held:
                yield Reject(record, "duplicate id", f"{source}: {record['id']}")
            else:
                held[key] = record | {"source": source}
    keys = held if take is None else drawn(held, seed, take)
    for key in shuffled(keys, seed):
        yield held[key]


# --- its shares ------------------------------------------------------------------------------------------------------


@dataclass
class Share:
    """What one input gave: records, and the bytes (UTF-8), words (as `wc -w` counts) and tokens of their text."""

    records: int = 0
    bytes: int = 0
    words: int = 0
    tokens: int = 0


@dataclass
class Shares:
    """The shares of a mix by input, summed up while its records pass through `counted`.

    The text of a conversation is the content of its messages; what a chat template adds is not counted. Tokens are
    counted only where `count_tokens` is given.
    """

    names: Iterable[str]
    count_tokens: CountTokens | None = None
    by_name: dict[str, Share] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {name: Share() for name in self.names}

    def counted(self, outcomes: Iterable[Record | Reject]) -> Iterator[Record | Reject]:
        """Yield `outcomes` unchanged and count the records among them."""
        outcomes = iter(outcomes)
        while batch := list(islice(outcomes, BATCH)):
            self._add([outcome for outcome in batch if not isinstance(outcome, Reject)])
            yield from batch

    def _add(self, records: list[Record]) -> None:
        texts = [_text(record) for record in records]
        tokens = self.count_tokens(texts) if self.count_tokens and texts else [0] * len(texts)
        for record, text, count in zip(records, texts, tokens, strict=True):
            share = self.by_name[record["source"].partition("/")[0]]
            share.records += 1
            share.bytes += len(text.encode("utf-8"))
            share.words += len(text.split())
            share.tokens += count

    @property
    def units(self) -> list[str]:
        """What was counted."""
        return ["records", "bytes", "words", *(["tokens"] if self.count_tokens else [])]

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return {name: {unit: amount, `share`: {unit: part of the whole in [0, 1]}}} for the manifest."""
        return {
            name: {unit: getattr(share, unit) for unit in self.units}
            | {"share": {unit: round(self._part(share, unit), 4) for unit in self.units}}
            for name, share in self.by_name.items()
        }

    def lines(self) -> list[str]:
        """Return one line for people per input."""
        return [
            f"{name}: "
            + ", ".join(f"{getattr(share, unit):,} {unit} ({self._part(share, unit):.1%})" for unit in self.units)
            for name, share in self.by_name.items()
        ]

    def _part(self, share: Share, unit: str) -> float:
        whole = sum(getattr(other, unit) for other in self.by_name.values())
        return getattr(share, unit) / whole if whole else 0.0


def _text(record: Record) -> str:
    if "messages" in record:
        return "\n".join(message["content"] for message in record["messages"])
    return record["text"]
