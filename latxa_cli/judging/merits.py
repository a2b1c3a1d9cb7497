"""What a judge's votes say beside those of people: agreement, biases, the scale of its scores, corrected win rates.

Every interval is of 90 %. It is that of a bootstrap that draws prompts, since votes on one prompt are alike; that of
the scale is a sandwich by prompt, that of corrected win rates follows from prediction-powered inference (Angelopoulos
et al. 2023, arXiv 2301.09633).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from latxa_cli.stream.records import Record

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CONFIDENCE, ROUNDS = 0.9, 1000
FEWEST = 5  # pairs with votes, for a corrected win rate
STEPS = (25, 50, 100, 200, 400, 800, 1600, 3200)  # human votes of the learning curve
DRAWS = 200  # of so many votes each
Pair = tuple[str, str, str]  # prompt id, and two models in the order of their names
Interval = tuple[float, float | None, float | None]  # a value and its bounds


class Vote(NamedTuple):
    """A judge's verdict on a pair (twice the first model's share of a win), the difference of its scores, the sign of
    that of lengths, and in how many orders more the first shown won than the second; `human`: votes of people."""

    pair: Pair
    verdict: int
    gap: float
    longer: int
    first: int
    human: tuple[int, int, int]


class Merits:
    """The findings about one judge. Its votes become columns; `cells`: (pairs, 3) votes of people by verdict."""

    def __init__(self, name: str, votes: list[Vote], failed: int, seed: int) -> None:
        """`failed`: pairs with votes of people that the judge gave no verdict on."""
        import numpy as np

        self.name, self.failed = name, failed
        self.pairs = [vote.pair for vote in votes]
        columns = np.array([[vote.verdict, vote.gap, vote.longer, vote.first] for vote in votes], float)
        self.verdict, self.gap, self.longer, self.first = columns.T
        self.cells = np.array([vote.human for vote in votes], float)
        prompts = {prompt: n for n, prompt in enumerate(dict.fromkeys(pair[0] for pair in self.pairs))}
        self.prompt = np.array([prompts[pair[0]] for pair in self.pairs])
        self.models = sorted({model for pair in self.pairs for model in pair[1:]})
        self.sides = np.array([[self.models.index(model) for model in pair[1:]] for pair in self.pairs])
        draw = np.random.default_rng(seed)
        count = len(prompts)
        # Every round draws prompts; the factor makes up for what a sample of few prompts varies too little.
        self.weights = draw.multinomial(count, np.full(count, 1 / count), ROUNDS).astype(float)
        self.stretch = (count / max(1, count - 1)) ** 0.5
        self.random = draw

    def findings(self, family_of: Callable[[str], str]) -> Iterator[Record]:
        """Yield all findings; only that of its position bias where people voted on none of its pairs."""
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
        yield from self._ranks()

    # --- intervals

    def _interval(self, of: Callable[[Array], Array], columns: Array) -> tuple[float, float | None, float | None]:
        """Return a statistic of sums over prompts with its interval.

        columns: (pairs, k); of: (…, k) sums → (…) values, NaN where there is none.
        """
        import numpy as np

        sums = np.zeros((self.weights.shape[1], columns.shape[1]))
        np.add.at(sums, self.prompt, columns)
        value = float(of(sums.sum(0)[None])[0])
        drawn = of(self.weights @ sums)
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn) < ROUNDS // 2 or not np.isfinite(value):
            return value, None, None
        tail = (1 - CONFIDENCE) / 2
        lower, upper = (value + (end - value) * self.stretch for end in np.quantile(drawn, (tail, 1 - tail)))
        return value, float(lower), float(upper)

    def _told(self, name: str, found: tuple[float, float | None, float | None], text: str, **more: Any) -> Record:
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

        columns = np.stack([self.first, np.full(len(self.first), 2.0)], 1)
        found = self._interval(_ratio, columns)
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

        yield self._told("judge accuracy", self._interval(accuracy, tables), "share of votes with its verdict", n=votes)
        yield self._told(
            "judge accuracy without ties", self._interval(decided, tables), "the same where neither ties", n=votes
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
        from scipy.stats import t

        width = float(t.ppf((1 + CONFIDENCE) / 2, max(1, len(set(self.prompt[use])) - 1))) * error
        scale, lower, upper = (1 / end if end > 0 else inf for end in (slope, slope + width, slope - width))
        found = scale, lower, upper
        yield self._told("preference scale", found, "`preference_scale` that fits votes", n=int(votes[use].sum()))

    def _win_rates(self) -> Iterator[Record]:
        """Yield the win rate of each pair of models by all verdicts, corrected by what people say where they voted.

        Prediction-powered: the mean of the judge's verdicts, less its mean error on the pairs with votes.
        """
        import numpy as np
        from scipy.stats import t

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
            width = float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
            found = value, max(0.0, value - width), min(1.0, value + width)
            one, other = self.models[a], self.models[b]
            yield self._told("corrected win rate", found, f"{one} wins against {other}, its error taken away",
                             model=one, against=other, uncorrected=round(float(judge[mine].mean()), 4),
                             n=int(mine.sum()), voted=int(labelled.sum()))  # fmt: skip

    def _ranks(self) -> Iterator[Record]:
        """Yield the rank correlation of win shares by the judge and by people, with all votes and with fewer."""
        import numpy as np

        if len(self.models) < 3:
            return
        votes = self.cells.sum(1)
        share = self.cells @ [0.0, 0.5, 1.0]
        columns = np.zeros((len(votes), 3, len(self.models)))
        rows = np.arange(len(votes))
        for side, sign in ((0, 1), (1, -1)):
            won = share if sign == 1 else votes - share
            said = self.verdict / 2 if sign == 1 else 1 - self.verdict / 2
            for row, values in enumerate((won, said * votes, votes)):
                columns[rows, row, self.sides[:, side]] += values

        def correlation(sums: Array) -> Array:
            won, said, of = np.moveaxis(sums.reshape(len(sums), 3, -1), 1, 0)
            return _spearman(won / np.maximum(of, 1e-12), said / np.maximum(of, 1e-12))

        flat = columns.reshape(len(votes), -1)
        total = int(votes.sum())
        found = self._interval(correlation, flat)
        yield self._told("judge rank correlation", found, "Spearman of win shares by it and by people", n=total)
        by_judge = columns[:, 1].sum(0) / np.maximum(columns[:, 2].sum(0), 1e-12)
        for few in (step for step in STEPS if step <= total):
            yield self._with_votes(few, by_judge)

    def _with_votes(self, few: int, by_judge: Array) -> Record:
        """Return how far a `few` votes of people, drawn again and again, give the judge's win shares: (models,)."""
        import numpy as np

        cast = np.repeat(np.arange(self.cells.size), self.cells.reshape(-1).astype(int))  # 3 * pair + share
        correlations, errors = [], []
        for _ in range(DRAWS):
            some = self.random.choice(cast, few, replace=False)
            won, of = np.zeros(len(self.models)), np.zeros(len(self.models))
            for side, wins in ((0, some % 3 / 2), (1, 1 - some % 3 / 2)):
                np.add.at(won, self.sides[some // 3, side], wins)
                np.add.at(of, self.sides[some // 3, side], 1)
            shares = won / np.maximum(of, 1)
            correlations.append(_spearman(shares[None], by_judge[None])[0])
            errors.append(float(np.sqrt(np.mean((shares - by_judge)[of > 0] ** 2))))
        tail = (1 - CONFIDENCE) / 2
        lower, upper = np.nanquantile(correlations, (tail, 1 - tail))
        found = float(np.nanmean(correlations)), float(lower), float(upper)
        text = f"Spearman of its win shares and those of {few:,} votes"
        return self._told("learning curve", found, text, votes=few, error=round(float(np.mean(errors)), 4))


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


def _spearman(one: Array, other: Array) -> Array:
    """Return Spearman's correlation of the rows of two arrays."""
    import numpy as np
    from scipy.stats import rankdata

    a, b = (rankdata(values, axis=1) for values in (one, other))
    a, b = (ranks - ranks.mean(1, keepdims=True) for ranks in (a, b))
    products = np.stack([(a * b).sum(1), np.sqrt((a**2).sum(1) * (b**2).sum(1))], 1)
    return _ratio(products)


def _number(value: float | None) -> float | None:
    from math import isfinite

    return None if value is None or not isfinite(value) else round(value, 4)
