"""What a run says of its judges: votes, how far both orders and several judges agree, answers that were no verdict.

{"judges": {judge: {"votes", "both orders agree", "orders", "first shown wins", "second shown wins", "asked again",
"alike": the scores of all votes (null where they differ), "invalid": {kind: count}}}, "panel": {"pairs", "all agree"}};
the panel's pairs are those on which two judges or more voted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from latxa_cli.judging.panel import family_of
from latxa_cli.judging.verdict import KINDS
from latxa_cli.stream.records import Outcome, Record, Reject

TELLING = 5  # votes that give the same numbers
REASONS = {f"judge: {kind}": kind for kind in KINDS}


class Tally:
    """Counts outcomes as they are written. `facts`: the counts so far, those of an interrupted run included."""

    def __init__(self, before: dict[str, Any] | None, say: Callable[[str], None]) -> None:
        self.facts: dict[str, Any] = before or {"judges": {}, "panel": {"pairs": 0, "all agree": 0}}
        self.say = say
        self._kin: set[tuple[str, str]] = set()

    def counted(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes of `Panel.ask`, each counted before it is written."""
        for outcome in outcomes:
            assert isinstance(outcome, list)
            by_pair: dict[tuple[str, str], list[str]] = defaultdict(list)
            for one in outcome:
                if isinstance(one, Reject):
                    self._count_reject(one)
                else:
                    self._count(one)
                    if "winner" in one:
                        by_pair[one["model_a"], one["model_b"]].append(one["winner"])
            for winners in by_pair.values():
                if len(winners) > 1:
                    self.facts["panel"]["pairs"] += 1
                    self.facts["panel"]["all agree"] += len(set(winners)) == 1
            yield outcome

    def _of(self, judge: str) -> dict[str, Any]:
        empty = {"votes": 0, "both orders agree": 0, "orders": 0, "first shown wins": 0, "second shown wins": 0,
                 "asked again": 0, "alike": None}  # fmt: skip
        found: dict[str, Any] = self.facts["judges"].setdefault(judge, {**empty, "invalid": {}})
        return found

    def _count(self, vote: Record) -> None:
        counts = self._of(vote["judge"])
        counts["votes"] += 1
        told = vote.get("metadata") or {}
        orders, scores = (told.get("orders"), told["scores"]) if "winner" in vote else (None, vote["scores"])
        counts["asked again"] += vote.get("asked_again", False)
        counts["alike"] = scores if counts["votes"] == 1 or scores == counts["alike"] else None
        if orders:
            counts["both orders agree"] += orders[0]["winner"] == orders[1]["winner"]
            counts["orders"] += len(orders)
            counts["first shown wins"] += sum(order["winner"] == order["first"] for order in orders)
            counts["second shown wins"] += sum(order["winner"] not in ("tie", order["first"]) for order in orders)
        for model in filter(None, (vote.get(name) for name in ("model_a", "model_b", "model"))):
            kin = vote["judge"], model
            if kin not in self._kin and family_of(vote["judge"]) == family_of(model):
                self.say(f"the judge `{kin[0]}` and `{model}` may be of one family: judges favour their own")
            self._kin.add(kin)

    def _count_reject(self, reject: Reject) -> None:
        if kind := REASONS.get(reject.reason):
            judge = reject.record.get("judge") or reject.detail.partition(":")[0]
            invalid = self._of(judge)["invalid"]
            invalid[kind] = invalid.get(kind, 0) + 1

    def sentences(self) -> Iterator[str]:
        """Yield what is to be said at the end, a sentence a judge."""
        for judge, counts in self.facts["judges"].items():
            said = f"{judge}: {counts['votes']:,} votes"
            if counts["orders"]:
                said += (
                    f"; both orders agree in {counts['both orders agree'] / counts['votes']:.0%}; the first shown wins "
                    f"{counts['first shown wins'] / counts['orders']:.0%} of the orders, "
                    f"the second {counts['second shown wins'] / counts['orders']:.0%}"
                )
            if counts["asked again"]:
                said += f"; {counts['asked again']:,} of them only when asked again"
            if counts["alike"] and counts["votes"] >= TELLING:
                said += "; all of them give the same numbers"
            if counts["invalid"]:
                kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts["invalid"].items()))
                said += f"; no verdict in {sum(counts['invalid'].values()):,} ({kinds})"
            yield said
        if pairs := self.facts["panel"]["pairs"]:
            yield f"all judges of a pair agree on {self.facts['panel']['all agree']:,} of {pairs:,}"
