"""The Bradley-Terry model with covariates: P(a wins against b) = sigma(theta_a - theta_b + gamma' z).

Where z differs from vote to vote, no table of counts holds what the fit needs, so Newton's method goes over the votes.
Yet its matrix, and that of the sandwich (see `bradley_terry`), are sums over pairs of models: there is no matrix of
votes by models.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from latxa_cli.arena.clusters import Clusters
from latxa_cli.arena.fits.arithmetic import climb, laplacian, logistic, pseudo_inverse, shortened
from latxa_cli.arena.votes import A_WON, B_WON, Booleans, Floats, Integers, Votes, preferred

MOST_STEPS = 25  # each changes a logit by 1 at most: odds beyond e^25 are infinite
CONVERGED = 1e-8  # the last step's reach, whose square is what remains
UNSETTLED = "the controlled ratings do not settle: some are infinite"
BLOCK = 1 << 22  # (clusters x parameters) of the sandwich at a time


def sums(codes: Integers, values: Floats, size: int) -> Floats:
    """Return (size,) the sum of the `values` of each code."""
    return np.bincount(codes, values, size).astype(float, copy=False)


@dataclass(frozen=True)
class Fit:
    """Most probable parameters `at` (p + F,), the Hessian there and its pseudo-inverse."""

    at: Floats
    hessian: Floats
    inverse: Floats

    def determines(self, parameter: int) -> bool:
        """Say whether the votes tell a parameter apart from all the others."""
        unit = np.zeros(len(self.at))
        unit[parameter] = 1
        return bool(np.abs(self.hessian @ self.inverse[:, parameter] - unit).max() < 1e-6)


@dataclass(frozen=True)
class Comparisons:
    """m kinds of votes: the model `a` got `score` (0 to 1) against `b`, `weight` times; z: (F, m) covariates.

    Parameters are (p + F,): strengths theta, then effects gamma. `of` sorts by the pair (a, b), so that sums over
    pairs are sums of slices; any order gives the same.
    """

    size: int  # p
    a: Integers
    b: Integers
    score: Floats
    weight: Floats
    z: Floats

    @classmethod
    def of(cls, votes: Votes, criterion: str, used: Integers, z: Floats) -> Comparisons:
        """Take the votes at `used` one by one, with their covariates."""
        verdict = votes.verdicts[criterion][used]
        score = np.where(verdict == A_WON, 1.0, np.where(verdict == B_WON, 0.0, 0.5))
        if (share := preferred(votes, criterion)) is not None:
            score = np.where(np.isnan(share[used]), score, share[used])
        a, b = votes.a[used].astype(np.int64), votes.b[used].astype(np.int64)
        return cls(len(votes.models), a, b, score, np.ones(len(score)), z)

    def where(self, kept: Booleans) -> Comparisons:
        """Return those that are `kept` (m,)."""
        z = self.z[:, kept]
        return Comparisons(self.size, self.a[kept], self.b[kept], self.score[kept], self.weight[kept], z)

    @cached_property
    def starts(self) -> Integers:
        """Where runs of one pair (a, b) begin."""
        pair = self.a * self.size + self.b
        return np.flatnonzero(np.append(True, pair[1:] != pair[:-1])[: len(pair)])

    def logit(self, at: Floats) -> Floats:
        """Return (m,) the log odds that a wins, for parameters `at`."""
        difference = at[self.a[self.starts]] - at[self.b[self.starts]]
        lengths = np.diff(np.append(self.starts, len(self.a)))
        logit: Floats = np.repeat(difference, lengths) + at[self.size :] @ self.z
        return logit

    def residual(self, at: Floats) -> Floats:
        """Return (m,) score less chance."""
        residual: Floats = self.score - logistic(self.logit(at))
        return residual

    def project(self, values: Floats) -> Floats:
        """Return (p + F,) the sum of `values` (m,) times the design's rows, x = (e_a - e_b, z)."""
        return np.concatenate([self._by_model(values), self.z @ values])

    def outer(self, values: Floats) -> Floats:
        """Return (p + F, p + F) the sum of `values` (m,) times x x'."""
        pair = self.a[self.starts] * self.size + self.b[self.starts]
        met = sums(pair, np.add.reduceat(values, self.starts), self.size**2).reshape(self.size, self.size)
        met += met.T
        weighted = self.z * values
        side = np.array([self._by_model(row) for row in weighted]).reshape(len(self.z), self.size)
        return np.block([[laplacian(met), side.T], [side, weighted @ self.z.T]])

    def _by_model(self, values: Floats) -> Floats:
        total: Floats = np.add.reduceat(values, self.starts)
        a, b = self.a[self.starts], self.b[self.starts]
        return sums(a, total, self.size) - sums(b, total, self.size)

    def fit(self, prior: float = 0.0) -> Fit:
        """Return the most probable parameters. Raises LatxaError where they are infinite."""
        data = self._with_ties(prior) if prior else self
        logit, hessian, inverse = np.zeros((1, len(data.a))), np.zeros((0, 0)), np.zeros((0, 0))

        def newton(_at: Floats) -> tuple[Floats, Floats]:
            nonlocal logit, hessian, inverse
            [chance] = logistic(logit)
            hessian = data.outer(data.weight * chance * (1 - chance))
            inverse = pseudo_inverse(hessian)
            step = inverse @ data.project(data.weight * (data.score - chance))
            change = data.logit(step)[None]
            reach = np.abs(change).max(axis=1, initial=0)
            logit = logit + shortened(change, reach)  # cheaper than the logits of what was reached
            return step[None], reach

        start = np.zeros((1, self.size + len(self.z)))
        [at] = climb(start, newton, most_steps=MOST_STEPS, converged=CONVERGED, unsettled=UNSETTLED)
        return Fit(at, hessian, inverse)

    def _with_ties(self, prior: float) -> Comparisons:
        """Add `prior` tied battles to every pair that met."""
        pairs = np.unique(np.minimum(self.a, self.b) * self.size + np.maximum(self.a, self.b))
        return Comparisons(
            self.size,
            np.concatenate([self.a, pairs // self.size]),
            np.concatenate([self.b, pairs % self.size]),
            np.concatenate([self.score, np.full(len(pairs), 0.5)]),
            np.concatenate([self.weight, np.full(len(pairs), prior)]),
            np.hstack([self.z, np.zeros((len(self.z), len(pairs)))]),
        )

    def spread(self, at: Floats, clusters: Clusters | None = None) -> Floats:
        """Return (p + F, p + F) the sum over independent votes, or clusters, of their gradients' outer products.

        A cluster's gradient is larger by its share of the votes (see `sandwich`), which here stands for its leverage.
        """
        residual = self.weight * self.residual(at)
        if clusters is None:
            return self.outer(residual**2 / self.weight)
        votes = np.bincount(clusters.codes, minlength=clusters.number)
        number = max(1, int(np.count_nonzero(votes)))
        residual *= (1 / np.maximum(1 - votes / max(1, votes.sum()), 1 / (number + 1)))[clusters.codes]
        alone = votes[clusters.codes] == 1
        spread = self.where(alone).outer(residual[alone] ** 2)
        groups, codes = np.unique(clusters.codes[~alone], return_inverse=True)
        shared, residual = self.where(~alone), residual[~alone]
        each = max(1, BLOCK // len(at))
        for start in range(0, len(groups), each):
            here = (codes >= start) & (codes < start + each)
            gradients = shared.where(here)._sums(codes[here] - start, residual[here])
            spread += gradients.T @ gradients
        return spread * ((number - 1) / number)

    def _sums(self, groups: Integers, values: Floats) -> Floats:
        """Return (G, p + F) what `project` gives, for each group apart."""
        number = int(groups.max(initial=-1)) + 1
        models = np.bincount(groups * self.size + self.a, values, number * self.size)
        models -= np.bincount(groups * self.size + self.b, values, number * self.size)
        others = [np.bincount(groups, values * row, number) for row in self.z]
        return np.column_stack([models.reshape(number, self.size), *others])
