"""The shares of a mix: what each input gave, and what became of the rest of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latxa_cli.mixing.draw import PartDecision, Picks

LEFT_OUT = ("not taken", "held out", "same as held out", "other split")
UNITS = ("records", "bytes", "words", "tokens")


def tally(rows: np.ndarray, look: PartDecision, picks: Picks, tokens: np.ndarray | None) -> dict[str, int]:
    """Return what the picks of one part amount to, and how many records are left out for which reason."""
    distinct = int(np.count_nonzero(np.diff(picks.rows, prepend=-1)))  # they are in order
    return {
        "records": len(picks.rows),
        "bytes": int(rows["bytes"][picks.rows].sum(dtype=np.int64)),
        "words": int(rows["words"][picks.rows].sum(dtype=np.int64)),
        "tokens": int(tokens[picks.rows].sum(dtype=np.int64)) if tokens is not None else 0,
        "copies": len(picks.rows) - distinct,
        "held out": int(look.held.sum()),
        "same as held out": int((look.withheld & ~look.first).sum()),
        "not taken": int((look.distinct & ~look.withheld).sum()) - distinct,
    }


@dataclass
class InputShare:
    """What one input gave: records (each copy counts), and the bytes (UTF-8), words (as `wc -w` counts) and tokens of
    their text. Then, of these, the copies after the first; and its records that are not in the mix."""

    weight: float = 1.0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def left_out(self) -> dict[str, int]:
        return {name: self.counts[name] for name in LEFT_OUT if self.counts[name]}


class Shares:
    """The shares of a mix by the names of its inputs, each with its weight. Tokens are there only where counted.

    The text of a conversation is the content of its messages; what a chat template adds is not counted.
    """

    def __init__(self, weights: Mapping[str, float], *, tokens: bool = False) -> None:
        self.by_name = {name: InputShare(weight) for name, weight in weights.items()}
        self.units = UNITS if tokens else UNITS[:-1]

    def add(self, name: str, counts: Mapping[str, int]) -> None:
        """Add what `tally` gives."""
        self.by_name[name].counts.update(counts)

    def total(self, what: str) -> int:
        """Return the sum over all inputs."""
        return sum(share.counts[what] for share in self.by_name.values())

    def totals(self) -> dict[str, int]:
        """Return for the manifest how many records are not in the mix, and how many copies are beyond the first."""
        return {what: count for what in (*LEFT_OUT, "copies") if (count := self.total(what))}

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return for the manifest {name: {unit: amount, …, `share`: {unit: part of the whole in [0, 1]}}}."""
        return {
            name: {unit: share.counts[unit] for unit in self.units}
            | {"share": {unit: round(self._part(share, unit), 4) for unit in self.units}}
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
            yield f"{name}: {', '.join(amounts)}" + weight + (f"; {', '.join(left)}" if left else "")

    def _part(self, share: InputShare, unit: str) -> float:
        whole = self.total(unit)
        return share.counts[unit] / whole if whole else 0.0
