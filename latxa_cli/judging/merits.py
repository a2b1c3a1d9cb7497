"""What a judge's votes say beside those of people: agreement, biases, the scale of its scores, corrected win rates.

Every interval is of 90 % and takes votes on one prompt together, since they are alike. Errors are those of a jackknife
that leaves out a prompt, with Student's distribution (Efron & Stein, 1981, "The jackknife estimate of variance", Annals
of Statistics 9). The error of the scale is a sandwich by prompt, that of corrected win rates follows from
prediction-powered inference (Angelopoulos et al. 2023, arXiv 2301.09633). Rank correlations: see `curves`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from latxa_cli.judging.curves import Curve, Ratings
from latxa_cli.stream.records import Record

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CONFIDENCE = 0.9
FEWEST = 5  # pairs with votes, for a corrected win rate
Pair = tuple[str, str, str]  # prompt id, and two models in the order of their names
Interval = tuple[float, float | None, float | None]  # a value and its bounds


class Vote(NamedTuple):
    """A judge's verdict on a pair (twice the first model's share of a win), the difference of its scores, the sign of
    that of lengths, in how many orders more the first shown won than the second, and in how many orders it was asked;
    `human`: votes of people."""

    pair: Pair
    verdict: int
    gap: float
    longer: int
    first: int
    shown: int
    human: tuple[int, int, int]


class Merits:
    """The findings about one judge. Its votes become columns; `cells`: (pairs, 3) votes of people by verdict."""

    def __init__(self, name: str, votes: list[Vote], failed: int, seed: int = 0) -> None:
        """`failed`: pairs with votes of people that the judge gave no verdict on."""
        import numpy as np

        self.name, self.failed = name, failed
        self.pairs = [vote.pair for vote in votes]
        columns = np.array([[vote.verdict, vote.gap, vote.longer, vote.first, vote.shown] for vote in votes], float)
        self.verdict, self.gap, self.longer, self.first, self.shown = columns.T
        self.cells = np.array([vote.human for vote in votes], float)
        prompts = {prompt: n for n, prompt in enumerate(dict.fromkeys(pair[0] for pair in self.pairs))}
        self.prompt = np.array([prompts[pair[0]] for pair in self.pairs])
        self.models = sorted({model for pair in self.pairs for model in pair[1:]})
        self.sides = np.array([[self.models.index(model) for model in pair[1:]] for pair in self.pairs])
        self.seed = seed

    def findings(self, family_of: Callable[[str], str], ratings: Ratings | None = None) -> Iterator[Record]:
        """Yield all findings; only that of its position bias where people voted on none of its pairs.

        `ratings`: rates models by their battles; without it, nothing is said of ratings.
        """
        if self.shown.any():
            yield self._position()
        if not self.cells.any():
            return
        yield from self._agreement()
        yield self._coverage()
        yield from self._bias("length bias", self.longer, "the longer response")
        kin = [n for n, model in enumerate(self.models) if family_of(model) == family_of(self.name)]
        own = sum((self.sides[:, 0] == n) * 1.0 - (self.sides[:, 1] == n) * 1.0 for n in kin)
        if kin and own.any():  # type: ignore[union-attr]
            yield from self._bias("self bias", own, "responses of its own family")  # type: ignore[arg-type]
        yield from self._scale()
        yield from self._win_rates()
        if ratings is not None and len(self.models) > 2:
            yield from self._curve(ratings)

    # --- intervals

    def _interval(self, of: Callable[[Array], Array], columns: Array, lowest: float = -1.0) -> Interval:
        """Return a statistic of sums over prompts with its interval, which ends at `lowest` and 1.

        columns: (pairs, k); of: (…, k) sums → (…) values, NaN where there is none.
        """
        import numpy as np
        from scipy.special import stdtrit

        sums = np.zeros((int(self.prompt.max()) + 1, columns.shape[1]))
        np.add.at(sums, self.prompt, columns)
        value = float(of(sums.sum(0)[None])[0])
        told = sums[(sums != 0).any(axis=1)]  # prompts without votes of people say nothing here
        without, count = of(told.sum(0) - told), len(told)
        if count < 2 or not (np.isfinite(without).all() and np.isfinite(value)):
            return value, None, None
        error = float(np.sqrt((count - 1) / count * np.square(without - without.mean()).sum()))
        width = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * error
        return value, max(lowest, value - width), min(1.0, value + width)

    def _told(self, name: str, found: Interval, text: str, **more: Any) -> Record:
        value, lower, upper = found
        ends = "" if lower is None else f" ({lower:.3f} to {upper:.3f})"
        return {
            "finding": name,
            "judge": self.name,
            "value": _number(value),
            "lower": _number(lower),
            "upper": _number(upper),
            "text": f"{self.name}: {text} {value:.3f}{ends}",
            **more,
        }

    # --- the findings

    def _position(self) -> Record:
        import numpy as np

        found = self._interval(_ratio, np.stack([self.first, self.shown], 1))
        return self._told(
            "judge position bias", found, "the first shown wins more orders than the second, by", n=len(self.first)
        )

    def _agreement(self) -> Iterator[Record]:
        import numpy as np

        tables = np.zeros((len(self.verdict), 9))
        for judge in range(3):
            tables[self.verdict == judge, 3 * judge : 3 * judge + 3] = self.cells[self.verdict == judge]
        votes = int(self.cells.sum())

        def accuracy(sums: Array) -> Array:
            return _ratio(np.stack([sums[:, ::4].sum(1), sums.sum(1)], 1))

        def decided(sums: Array) -> Array:
            return _ratio(np.stack([sums[:, 0] + sums[:, 8], sums[:, [0, 2, 6, 8]].sum(1)], 1))

        def kappa(sums: Array) -> Array:
            table = sums.reshape(-1, 3, 3) / np.maximum(sums.sum(1), 1e-12)[:, None, None]
            chance = (table.sum(1) * table.sum(2)).sum(1)
            return _ratio(np.stack([np.einsum("rii->r", table) - chance, 1 - chance], 1))

        yield self._told(
            "judge accuracy", self._interval(accuracy, tables, 0.0), "share of votes with its verdict", n=votes
        )
        yield self._told(
            "judge accuracy without ties", self._interval(decided, tables, 0.0), "the same where neither ties", n=votes
        )
        yield self._told("judge kappa", self._interval(kappa, tables), "Cohen's kappa with votes", n=votes)

    def _coverage(self) -> Record:
        judged = int((self.cells.sum(1) > 0).sum())
        share = judged / (judged + self.failed)
        return self._told("judge coverage", (share, None, None), "share of pairs with votes that it has a verdict on",
                          n=judged + self.failed)  # fmt: skip

    def _bias(self, name: str, side: Array, what: str) -> Iterator[Record]:
        """Yield by how much the judge prefers a side more than people do, on the same pairs. side: 1, 0 or -1."""
        import numpy as np

        voted = self.cells.sum(1) * (side != 0)
        if not voted.any():
            return
        human = (self.cells @ np.array([-0.5, 0.0, 0.5])) * side
        judge = (self.verdict - 1) / 2 * side * voted
        found = self._interval(_ratio, np.stack([judge - human, voted], 1))
        yield self._told(f"judge {name}", found, f"it prefers {what} more often than people, by", n=int(voted.sum()))

    def _scale(self) -> Iterator[Record]:
        """Yield the scale of `preference`: p = 1 / (1 + exp(-gap / scale)) by maximum likelihood, ties half a win."""
        from math import inf

        share, votes = self.cells @ [0.0, 0.5, 1.0], self.cells.sum(1)
        use = (votes > 0) & (self.gap != 0)
        if not use.any():
            return
        slope, error = _slope(self.gap[use], share[use], votes[use], self.prompt[use])
        if slope is None:
            return
        from scipy.special import stdtrit

        width = float(stdtrit(max(1, len(set(self.prompt[use])) - 1), (1 + CONFIDENCE) / 2)) * error
        scale, lower, upper = (1 / end if end > 0 else inf for end in (slope, slope + width, slope - width))
        found = scale, lower, upper
        yield self._told("preference scale", found, "`preference_scale` that fits votes", n=int(votes[use].sum()))

    def _win_rates(self) -> Iterator[Record]:
        """Yield the win rate of each pair of models by all verdicts, corrected by what people say where they voted.

        Prediction-powered: the mean of the judge's verdicts, less its mean error on the pairs with votes.
        """
        import numpy as np
        from scipy.special import stdtrit

        votes, judge = self.cells.sum(1), self.verdict / 2
        human = np.divide(self.cells @ [0.0, 0.5, 1.0], votes, out=np.zeros(len(votes)), where=votes > 0)
        for a, b in sorted({tuple(sides) for sides in self.sides.tolist()}):
            mine = (self.sides == (a, b)).all(1)
            labelled = mine & (votes > 0)
            if labelled.sum() < FEWEST:
                continue
            value, error, freedom = corrected(
                judge[mine], (judge - human)[labelled], self.prompt[mine], self.prompt[labelled]
            )
            width = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
            found = value, max(0.0, value - width), min(1.0, value + width)
            one, other = self.models[a], self.models[b]
            yield self._told("corrected win rate", found, f"{one} wins against {other}, its error taken away",
                             model=one, against=other, uncorrected=round(float(judge[mine].mean()), 4),
                             n=int(mine.sum()), voted=int(labelled.sum()))  # fmt: skip

    def _curve(self, ratings: Ratings) -> Iterator[Record]:
        """Yield how near the judge's ratings are to those by all votes of people, and how near few votes come."""
        human, judge = self.cells @ [0.0, 0.5, 1.0], self.verdict / 2
        curve = Curve(len(self.models), self.sides, self.prompt, human, self.cells, judge, ratings, self.seed)
        correlation, error = curve.of_judge(CONFIDENCE)
        text = f"ratings are {error:.0f} points from those by people, with a rank correlation of"
        yield self._told("judge rank correlation", correlation, text, n=int(self.cells.sum()), error=_number(error))
        for votes, correlation, error in curve.of_people(CONFIDENCE):
            text = f"those by {votes:,} votes of people are {error:.0f} points from those by all, with"
            yield self._told("learning curve", correlation, text, votes=votes, error=_number(error))


def corrected(judge: Array, error: Array, prompts: Array, labelled: Array) -> tuple[float, float, int]:
    """Return a mean by prediction-powered inference, its standard error by prompt, and the degrees of freedom.

    judge: (N,) what the judge says; error: (n,) the judge less people, where people voted; prompts, labelled: their
    prompts. The pairs with votes must be a random part of all.
    """
    import numpy as np

    value = float(judge.mean() - error.mean())
    # What each prompt adds to the estimate; both means are over prompts that partly are the same.
    parts: dict[int, float] = {}
    for prompt, residual in zip(prompts.tolist(), (judge - judge.mean()) / len(judge), strict=True):
        parts[prompt] = parts.get(prompt, 0.0) + residual
    for prompt, residual in zip(labelled.tolist(), (error - error.mean()) / len(error), strict=True):
        parts[prompt] = parts.get(prompt, 0.0) - residual
    clusters = len(set(labelled.tolist()))
    variance = float(np.square(list(parts.values())).sum()) * clusters / max(1, clusters - 1)
    return value, variance**0.5, max(1, clusters - 1)


def _slope(gap: Array, share: Array, votes: Array, prompt: Array) -> tuple[float | None, float]:
    """Return the slope of a logistic curve through 0 and its standard error, clustered by prompt (a sandwich)."""
    import numpy as np
    from scipy.special import expit

    slope = 0.0
    for _ in range(100):
        p = expit(slope * gap)
        information = float((votes * p * (1 - p) * gap**2).sum())
        if information < 1e-9:  # votes are all as the gaps say
            return None, 0.0
        step = float((gap * (share - votes * p)).sum()) / information
        slope += max(-1.0, min(1.0, step))
        if abs(step) < 1e-10:
            break
    scores: dict[int, float] = {}
    for name, score in zip(prompt.tolist(), gap * (share - votes * expit(slope * gap)), strict=True):
        scores[name] = scores.get(name, 0.0) + score
    count = len(scores)
    meat = float(np.square(list(scores.values())).sum()) * count / max(1, count - 1)
    return slope, meat**0.5 / information


def _ratio(sums: Array) -> Array:
    """Return the first column over the second, NaN where that is 0."""
    import numpy as np

    return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] != 0)


def _number(value: float | None) -> float | None:
    from math import isfinite

    return None if value is None or not isfinite(value) else round(value, 4)
