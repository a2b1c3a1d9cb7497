"""The shares of a mix: the records, bytes, words and tokens that each input gave, and the records that it did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from latxa_cli.mixing.draw import PartDecision, Picks
from latxa_cli.stream.records import JsonObject

LEFT_OUT = ("not taken", "held out", "same as held out", "other split")
UNITS = ("records", "bytes", "words", "tokens")


def tally(rows: np.ndarray, part_decision: PartDecision, picks: Picks, tokens: np.ndarray | None) -> dict[str, int]:
    """Return the counts of one part: its picks in each unit, its copies, and the records left out by reason."""
    distinct = int(np.count_nonzero(np.diff(picks.rows, prepend=-1)))  # picks are sorted by row
    return {
        "records": len(picks.rows),
        "bytes": int(rows["bytes"][picks.rows].sum(dtype=np.int64)),
        "words": int(rows["words"][picks.rows].sum(dtype=np.int64)),
        "tokens": int(tokens[picks.rows].sum(dtype=np.int64)) if tokens is not None else 0,
        "copies": len(picks.rows) - distinct,
        "held out": int(part_decision.held.sum()),
        "same as held out": int((part_decision.withheld & ~part_decision.first).sum()),
        "not taken": int((part_decision.distinct & ~part_decision.withheld).sum()) - distinct,
    }


@dataclass
class InputShare:
    """The share of one input: its weight, and the sums of what `tally` counts.

    Records include copies. Bytes are those of the text in UTF-8, and words are counted as by `wc -w`.
    """

    weight: float = 1.0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def left_out(self) -> dict[str, int]:
        return {name: self.counts[name] for name in LEFT_OUT if self.counts[name]}

    @property
    def fertility(self) -> dict[str, float]:
        """What the tokenizer makes of the text; empty where no tokens were counted."""
        words, size, tokens = (self.counts[unit] for unit in ("words", "bytes", "tokens"))
        if not words or not tokens:
            return {}
        return {"tokens_per_word": round(tokens / words, 4), "bytes_per_token": round(size / tokens, 4)}


class Shares:
    """The shares of a mix by the names of its inputs; `tokens`: they are counted too.

    The text of a conversation is the content of its messages, without what a chat template adds.
    """

    def __init__(self, weights: Mapping[str, float], *, tokens: bool = False) -> None:
        self.by_name = {name: InputShare(weight) for name, weight in weights.items()}
        self.units = UNITS if tokens else UNITS[:-1]

    def add(self, name: str, counts: Mapping[str, int]) -> None:
        """Add the counts of `tally` for one part."""
        self.by_name[name].counts.update(counts)

    def total(self, count: str) -> int:
        """Return the sum of a count over all inputs."""
        return sum(share.counts[count] for share in self.by_name.values())

    def totals(self) -> dict[str, int]:
        """Return for the manifest the numbers of records that were left out, by reason, and of copies."""
        return {name: total for name in (*LEFT_OUT, "copies") if (total := self.total(name))}

    def as_dict(self) -> dict[str, JsonObject]:
        """Return for the manifest {name: {unit: amount, …, `share`: {unit: part of the whole, from 0 to 1}}}."""
        return {
            name: {unit: share.counts[unit] for unit in self.units}
            | {"share": {unit: round(self._part(share, unit), 4) for unit in self.units}}
            | share.fertility
            | ({"weight": share.weight, "copies": share.counts["copies"]} if share.weight != 1 else {})
            | share.left_out
            for name, share in self.by_name.items()
        }

    def lines(self) -> Iterable[str]:
        """Yield one line for people per input."""
        for name, share in self.by_name.items():
            amounts = [f"{share.counts[unit]:,} {unit} ({self._part(share, unit):.1%})" for unit in self.units]
            left = [f"{count:,} {reason}" for reason, count in share.left_out.items()]
            weight = f"; weight {share.weight:g}" if share.weight != 1 else ""
            yield f"{name}: {', '.join(amounts)}" + _cost(share) + weight + (f"; {', '.join(left)}" if left else "")

    def _part(self, share: InputShare, unit: str) -> float:
        whole = self.total(unit)
        return share.counts[unit] / whole if whole else 0.0


def _cost(share: InputShare) -> str:
    """Return what words cost, for people: a tokenizer that has seen little of a language needs more tokens."""
    of = share.fertility
    return f"; {of['tokens_per_word']:.2f} tokens a word, {of['bytes_per_token']:.2f} bytes a token" if of else ""
