"""Votes as columns, and as a table of counts.

`Votes` keeps a few numbers of each battle, so that every question (who voted, on which prompt, in which order) is asked
of arrays. Nearly all answers need less: `PairCounts`, the table of who beat whom, whose size depends on the models
alone.
Models are in the order of their names, so that the order of the battles changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.integer[Any]]
Booleans = NDArray[np.bool_]
Floats = NDArray[np.float64]
Numbers = Integers | Floats  # counts as they are, or with shares of a vote

CRITERIA = ("winner", "winner_content", "winner_language")  # what a vote may say: of all, of what is said, and how
VERDICTS = ("model_a", "model_b", "tie", "tie (bothbad)")
A_WON, B_WON, TIE, BOTH_BAD = range(4)
SCORES = np.array([1.0, 0.0, 0.5, 0.5])  # of a pair's first model, by verdict
PREFERENCE = "preference"  # the feature that says which share of a vote either side has, in place of a verdict
NONE = -1  # no verdict, or a field that is not there


@dataclass(frozen=True)
class Column:
    """A field of n votes. codes: (n,) indices into `names`, `NONE` where a vote does not say."""

    codes: Integers
    names: list[str]

    @property
    def given(self) -> Booleans:
        """(n,) which votes have the field."""
        return self.codes >= 0

    def filled(self, other: Column) -> Column:
        """Return the column with the values of another where a vote does not say its own; names are in order."""
        names = sorted({*self.names, *other.names})
        place = {name: number for number, name in enumerate(names)}
        ours, theirs = (
            np.array([*(place[name] for name in column.names), NONE], np.int32)[column.codes]
            for column in (self, other)
        )
        return Column(np.where(ours == NONE, theirs, ours), names)

    @property
    def votes(self) -> Integers:
        """How many votes have each of `names`."""
        return np.bincount(self.codes[self.given], minlength=len(self.names))


@dataclass(frozen=True)
class Votes:
    """n votes, in the order in which they came.

    models: p names, sorted. a, b: (n,) indices into `models`: who was shown first, and second.
    verdicts: by criterion, (n,) `A_WON`, `B_WON`, `TIE`, `BOTH_BAD` or `NONE`.
    columns: other fields by name (`user`, `prompt_id`, what `--by` names).
    features: by name, (n, 2) what control takes account of, of the two responses; nan where it is not known.
    """

    models: list[str]
    a: Integers
    b: Integers
    verdicts: Mapping[str, Integers]
    columns: Mapping[str, Column] = field(default_factory=dict)
    features: Mapping[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.a)

    def where(self, kept: Booleans) -> Votes:
        """Return those of the votes that are `kept` (n,); all models stay."""
        return replace(
            self,
            a=self.a[kept],
            b=self.b[kept],
            verdicts={name: verdict[kept] for name, verdict in self.verdicts.items()},
            columns={name: Column(column.codes[kept], column.names) for name, column in self.columns.items()},
            features={name: values[kept] for name, values in self.features.items()},
        )


@dataclass(frozen=True)
class PairCounts:
    """Votes counted by the P pairs of models that met.

    models: p names. first, second: (P,) indices into `models`, first < second, in order.
    cells: (P, 4) how often first won, second won, they tied, and both were bad; numbers with shares of votes, perhaps.
    """

    models: list[str]
    first: Integers
    second: Integers
    cells: Numbers

    @property
    def battles(self) -> Integers:
        """(p,) in how many battles each model stood."""
        played, size = self.cells.sum(axis=1), len(self.models)
        both = np.bincount(self.first, played, size) + np.bincount(self.second, played, size)
        return np.rint(both).astype(np.int64)

    def among(self, members: Integers) -> tuple[PairCounts, Integers]:
        """Return the counts of battles among some models (indices, rising), and which of the pairs these are.

        Pairs without a battle are left out.
        """
        place = np.full(len(self.models), NONE)
        place[members] = np.arange(len(members))
        met = self.cells.any(axis=1)
        pairs = np.flatnonzero(met & (place[self.first] >= 0) & (place[self.second] >= 0))
        first, second = place[self.first[pairs]], place[self.second[pairs]]
        return PairCounts([self.models[model] for model in members], first, second, self.cells[pairs]), pairs

    def matrices(self) -> tuple[Floats, Floats]:
        """Return (p, p) how often the row won against the column, and how often the two met."""
        met = self.cells.sum(axis=1).astype(float)
        won = self.matrix(self.cells[:, A_WON].astype(float), self.cells[:, B_WON].astype(float))
        return won, self.matrix(met, met)

    def matrix(self, of_first: NDArray[Any], of_second: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return (…, p, p) the (…, P) values of the first models against the second ones, and the other way round."""
        size, rounds = len(self.models), of_first.shape[:-1]
        flat = np.zeros((*rounds, size * size), of_first.dtype)
        flat[..., self.first * size + self.second] = of_first
        if of_second is not None:
            flat[..., self.second * size + self.first] = of_second
        return flat.reshape(*rounds, size, size)


def count(votes: Votes, criterion: str = "winner") -> tuple[PairCounts, Integers]:
    """Return the counts of the votes that have a verdict, and (n,) each vote's place in `PairCounts.cells.reshape(-1)`.

    Pairs are those that met in any vote; a vote without a verdict has the place `NONE`. Models: 23,000 at the most.
    """
    size = len(votes.models)
    pair = np.minimum(votes.a, votes.b).astype(np.int32)
    pair *= size
    pair += np.maximum(votes.a, votes.b)
    pairs = np.flatnonzero(np.bincount(pair, minlength=size * size))
    number = np.zeros(size * size, np.int32)  # of each pair that met
    number[pairs] = np.arange(len(pairs))
    place = number[pair]
    del pair
    place *= 4
    verdict = votes.verdicts[criterion]
    place += np.where((votes.a > votes.b) & (verdict <= B_WON), 1 - verdict, verdict)
    place[verdict == NONE] = NONE
    counted = place if (verdict != NONE).all() else place[place >= 0]
    cells = np.bincount(counted, minlength=4 * len(pairs)).reshape(-1, 4)
    return PairCounts(votes.models, pairs // max(1, size), pairs % max(1, size), cells), place


def preferred(votes: Votes, criterion: str) -> Floats | None:
    """Return (n,) the share of each vote that goes to the model shown first, nan where its verdict decides; None where
    all verdicts do."""
    if criterion != "winner" or PREFERENCE not in votes.features:
        return None
    share = np.where(votes.verdicts[criterion] == NONE, np.nan, votes.features[PREFERENCE][:, 0])
    return share if np.isfinite(share).any() else None


def shares_of(votes: Votes, criterion: str) -> Floats | None:
    """Return (n,) what `preferred` does, for the first model of each pair."""
    share = preferred(votes, criterion)
    return None if share is None else np.where(votes.a < votes.b, share, 1 - share)


def with_shares(counts: PairCounts, place: Integers, shares: Floats) -> PairCounts:
    """Return the counts where each vote with a share (n,) is no verdict: it is a win for either model, in part."""
    soft = np.flatnonzero(np.isfinite(shares))
    pair, share, size = 4 * (place[soft] // 4), shares[soft], counts.cells.size
    won = np.bincount(pair + A_WON, share, size) + np.bincount(pair + B_WON, 1 - share, size)
    cells = counts.cells + (won - np.bincount(place[soft], minlength=size)).reshape(-1, 4)
    return replace(counts, cells=cells)


def collapsed(overall: np.ndarray, content: np.ndarray, language: np.ndarray) -> np.ndarray:
    """Return the verdicts made of three answers, as the arena of *Instructing LLMs for Low-Resource Languages* did.

    What is said of content and language where both say the same; else who is better on the whole, if that was asked;
    else the one of the two that is no tie. Where they contradict each other and nothing else is said, there is none.
    A tie of both kinds is a tie. One that was not answered leaves the other.
    """
    one_sided = np.where(content == NONE, language, content)
    decided_content, decided_language = content <= 1, language <= 1
    kinder = np.where(decided_content, content, np.where(decided_language, language, TIE))
    contradicts = decided_content & decided_language & (content != language)
    differ = np.where(contradicts, NONE, kinder)
    made = np.where((content == NONE) | (language == NONE) | (content == language), one_sided, differ)
    asked = (content != language) | (content == NONE)
    return np.where(asked & (overall != NONE), overall, made).astype(np.int8)
