"""How near a judge's ratings come to those by votes of people, beside how near few votes come to all of them.

Both are ratings (Bradley-Terry) of all models, in points; the judge's are of all its verdicts. The figures are the rank
correlation (Spearman) with the ratings by all votes, and the root mean square of the differences. Few votes are drawn
from all, without replacement: where nearly all are drawn, they come near for that reason alone.

Errors of both ratings hide a part of the correlation, and models near in strength swap their ranks by chance: a
bootstrap of the correlation itself held the truth in 64 % among 20 models. Its interval is therefore of correlations
between the strengths that may lie behind the ratings (`strengths`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

ROUNDS = 500  # of the bootstrap by prompt, and of strengths that are drawn
BEFORE = 100  # rounds that are not used: the first ones depend on where the draws began
DEGREES = 3  # of freedom of what is taken for known about the spread of strengths: next to nothing
STEPS = (25, 50, 100, 200, 400, 800, 1600, 3200, 6400)  # votes of people
DRAWS = 200  # of so many votes each
# From the number of models, (P, 2) pairs, (rounds, P) wins of the first and (rounds, P) battles to (rounds, models).
Ratings = Callable[[int, "Array", "Array", "Array"], "Array"]
Correlation = tuple[float, float | None, float | None]  # a value and its bounds


class Curve:
    """Votes of people and verdicts of a judge on the same pairs, by the pair of models."""

    def __init__(
        self, models: int, sides: Array, prompt: Array, won: Array, cells: Array, judge: Array, ratings: Ratings,
        seed: int,
    ) -> None:  # fmt: skip
        """sides: (n, 2) models of each pair; prompt: (n,) its prompt; won: (n,) wins of the first model by people, ties
        as halves; cells: (n, 3) their votes by verdict; judge: (n,) the share of the first by the judge."""
        import numpy as np

        self.pairs, pair = np.unique(sides, axis=0, return_inverse=True)
        self.random, size = np.random.default_rng(seed), len(self.pairs)
        self.rate = lambda won, played: ratings(models, self.pairs, won, played)
        self.prompt, self.pair = prompt, pair.reshape(-1)
        self.columns = np.stack([won, cells.sum(axis=1), judge, np.ones(len(judge))])
        self.cells = np.zeros((size, 3), np.int64)
        np.add.at(self.cells, self.pair, cells.astype(np.int64))
        self.total = int(self.cells.sum())
        [self.human] = self.rate((self.cells @ [0.0, 0.5, 1.0])[None], self.cells.sum(axis=1)[None].astype(float))
        self.voted = np.zeros(models, bool)
        self.voted[self.pairs[self.cells.any(axis=1)]] = True

    def of_judge(self, confidence: float) -> tuple[Correlation, float]:
        """Return the rank correlation, with percentiles of those between the strengths behind it, and the error."""
        import numpy as np

        [by_judge] = self.rate(*(np.bincount(self.pair, row)[None] for row in self.columns[2:]))
        [value] = self._correlations(self.human[None], by_judge[None])
        [error] = self._errors(by_judge[None])
        tables = self._redrawn()
        redrawn = np.stack([self.rate(tables[:, place], tables[:, place + 1])[:, self.voted] for place in (0, 2)], 1)
        behind = strengths(np.stack([self.human, by_judge])[:, self.voted], redrawn, self.random)
        low, high = _percentiles(_correlations(behind[:, 0], behind[:, 1]), confidence)
        return (float(value), low, high), float(error)

    def of_people(self, confidence: float) -> Iterator[tuple[int, Correlation, float]]:
        """Yield (votes, their median rank correlation with all, with percentiles of the draws, their mean error)."""
        import numpy as np

        for votes in (step for step in STEPS if step <= self.total):
            drawn = self.random.multivariate_hypergeometric(self.cells.reshape(-1), votes, DRAWS, method="marginals")
            cells = drawn.reshape(DRAWS, -1, 3).astype(float)
            rated = self.rate(cells @ [0.0, 0.5, 1.0], cells.sum(axis=2))
            found = self._correlations(np.repeat(self.human[None], DRAWS, axis=0), rated)
            yield (
                votes,
                (float(np.nanmedian(found)), *_percentiles(found, confidence)),
                float(self._errors(rated).mean()),
            )

    def _redrawn(self) -> Array:
        """Return (rounds, 4, P) the sums of `columns` by pair of models, of prompts drawn with replacement."""
        import numpy as np
        from scipy.sparse import csr_array

        count, size = int(self.prompt.max()) + 1, len(self.pairs)
        draws = self.random.multinomial(count, np.full(count, 1 / count), ROUNDS).astype(float)
        shape = (count, size)
        parts = [draws @ csr_array((row, (self.prompt, self.pair)), shape=shape) for row in self.columns]
        return np.stack(parts, axis=1)

    def _correlations(self, one: Array, other: Array) -> Array:
        return _correlations(one[:, self.voted], other[:, self.voted])

    def _errors(self, rated: Array) -> Array:
        """Return (rounds,) root mean squares of differences from the ratings by people, in points."""
        import numpy as np

        gap = (rated - self.human)[:, self.voted]
        gap -= gap.mean(axis=1, keepdims=True)
        return np.asarray(np.sqrt((gap**2).mean(axis=1)))


def strengths(ratings: Array, redrawn: Array, random: np.random.Generator) -> Array:
    """Return (rounds, 2, models) strengths by people and by the judge that may lie behind their ratings.

    ratings: (2, models). redrawn: (rounds, 2, models), whose covariance is that of the errors. A model's two strengths
    are taken for a draw from a normal distribution, whose covariance is drawn too, in turn with the strengths (Gibbs
    sampling: Gelfand & Smith 1990, Journal of the American Statistical Association 85).
    """
    import numpy as np
    from scipy.stats import invwishart

    models = ratings.shape[1]
    errors = np.cov(redrawn.reshape(len(redrawn), -1).T)
    # All ratings have the mean 0, so that their sum has no error; a little more than none can be inverted.
    known = np.linalg.inv(errors + np.eye(2 * models) * (1e-3 * errors.trace() / (2 * models) + 1e-6))
    told, spread = known @ ratings.reshape(-1), np.cov(ratings)
    least = DEGREES * (np.diag(np.diag(spread)) / 10 + np.eye(2) * 1e-6)
    spread = spread + least / DEGREES
    drawn = np.empty((BEFORE + ROUNDS, 2, models))
    for place in range(len(drawn)):
        root = np.linalg.cholesky(known + np.kron(np.linalg.inv(spread), np.eye(models)))
        mean = np.linalg.solve(root, told)
        drawn[place] = np.linalg.solve(root.T, mean + random.standard_normal(2 * models)).reshape(2, models)
        spread = invwishart.rvs(DEGREES + models, least + drawn[place] @ drawn[place].T, random_state=random)
    return drawn[BEFORE:]


def _correlations(one: Array, other: Array) -> Array:
    """Return (rounds,) Spearman's correlations of (rounds, models); NaN where all are equal."""
    import numpy as np
    from scipy.stats import rankdata

    a, b = (rankdata(values.round(6), axis=1) for values in (one, other))
    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (a, b))
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.full(len(a), np.nan), where=scale > 0)


def _percentiles(values: Array, confidence: float) -> tuple[float | None, float | None]:
    import numpy as np

    known = values[np.isfinite(values)]
    if len(known) < len(values) / 2:
        return None, None
    low, high = np.quantile(known, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)
