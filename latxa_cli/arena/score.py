"""What `arena-score` says of votes: rating records, differences between rankings, and what a reader must know of them.

`latxa arena-score battles.jsonl`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Literal

import numpy as np

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.control import LENGTH, STYLE, fit_controlled, style_measure
from latxa_cli.arena.filters import Filter
from latxa_cli.arena.findings.evidence import finding, several
from latxa_cli.arena.findings.limits import limits, separation, small_groups, unanchored, without_verdict
from latxa_cli.arena.findings.soundness import findings
from latxa_cli.arena.groups import with_copies
from latxa_cli.arena.rankings.differences import differences
from latxa_cli.arena.rankings.intervals import Core, RatingMethod, normal_replicates
from latxa_cli.arena.rankings.ranking import Interval, Ranking, rank
from latxa_cli.arena.votes import NONE, Column, Votes
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record
from latxa_cli.variants import EQUALS

Unit = Literal["vote", "user", "prompt"]
FIELDS = {"user": "user", "prompt": "prompt_id"}


@dataclass(frozen=True)
class ScoreRequest:
    """What is asked of votes.

    criteria: a ranking by each; by, least: fields whose values get rankings too, where they have so many votes. unit:
    what is resampled together (None: users where votes name them); interval: how rounds are made; control: what is
    held equal. paper: records as `Ranking.paper_records` makes them.
    """

    criteria: tuple[str, ...] = ("winner",)
    by: tuple[str, ...] = ()
    least: int = 1
    unit: Unit | None = None
    interval: Interval = "bootstrap"
    control: tuple[str, ...] = ()  # length, style, position
    paper: bool = False
    method: RatingMethod = field(default_factory=RatingMethod)

    @classmethod
    def of(
        cls, method: RatingMethod, criteria: Iterable[str] | None, by: Iterable[str] | None, least: int,
        unit: Unit | None, interval: Interval, control: Iterable[str] | None, *, paper: bool,
    ) -> ScoreRequest:  # fmt: skip
        """Return the request that the flags of `arena-score` make; what is named twice counts once."""
        named, fields = tuple(dict.fromkeys(map(str, criteria or ["winner"]))), tuple(dict.fromkeys(by or ()))
        unit = "vote" if paper else unit
        return cls(named, fields, least, unit, interval, tuple(map(str, control or ())), paper, method)

    def tally(self, filters: Sequence[Filter], *, collapse: bool) -> Tally:
        """Return what counts battles for this request; raises UsageError where there is no use for `collapse`."""
        if collapse and "winner" not in self.criteria:
            raise UsageError("`--collapse` makes `winner`, which is not among the criteria")
        fields, features = tuple(dict.fromkeys(("user", "prompt_id", *self.by))), features_of(self.control)
        measure = style_measure(features) if features else None
        return Tally(self.criteria, fields, collapse=collapse, filters=filters, features=features, measure=measure)

    @property
    def gives_differences(self) -> bool:
        """Whether all rankings are of the same resampled votes, so that their differences have intervals."""
        return self.interval == "bootstrap" and not self.control and not self.paper


@dataclass(frozen=True)
class Scores:
    """Rankings, of all votes first; with what they were resampled by; and findings about all of them."""

    rankings: list[Ranking]
    unit: Unit
    findings: list[Record]
    request: ScoreRequest

    def records(self) -> Iterator[Record]:
        """Yield ratings, differences, and findings."""
        for ranking in self.rankings:
            yield from ranking.paper_records() if self.request.paper else ranking.records()
        if self.request.gives_differences:
            yield from differences(self.rankings)
        yield from self.findings

    @property
    def is_sound(self) -> bool:
        """Whether all models with votes can be compared and have finite ratings."""
        whole = [one for one in self.rankings if not one.group]
        return all(len(one.islands) < 2 and np.isfinite(one.theta[one.counts.battles > 0]).all() for one in whole)


def score(votes: Votes, request: ScoreRequest) -> Scores:
    """Rate models by their votes. Raises UsageError for what the votes cannot give, LatxaError where control fails."""
    if not len(votes):
        return Scores([], "vote", [], request)
    unit, method = _unit(votes, request), request.method
    if method.anchor and method.anchor[0] not in votes.models:
        raise UsageError(f"`--anchor`: there is no battle of `{method.anchor[0]}`")
    rankings, said = _rankings(votes, request, unit)
    said += [*small_groups(rankings[0], request.by, request.least), *unanchored(rankings)]
    for ranking in rankings:
        if not ranking.group:
            said += without_verdict(ranking)
        if not ranking.group and ranking.counts.cells.any():
            said += limits(ranking, unit)
            said += findings(ranking.votes, ranking.criterion, ranking.counts, ranking.place, method.prior)
            said += separation(ranking)
    return Scores(rankings, unit, said, request)


def _unit(votes: Votes, request: ScoreRequest) -> Unit:
    unit: Unit = request.unit or ("user" if _says(votes, "user") else "vote")
    if unit != "vote" and not _says(votes, unit):
        raise UsageError(f"`--resample {unit}`: no battle has a `{FIELDS[unit]}`")
    return unit


def _rankings(votes: Votes, request: ScoreRequest, unit: Unit) -> tuple[list[Ranking], list[Record]]:
    if request.control:
        return _controlled(votes, request, unit)
    clusters, interval = _clusters(votes, unit), request.interval
    method, by, least = request.method, request.by, request.least
    return rank(votes, request.criteria, method, by=by, least=least, clusters=clusters, interval=interval), []


def records_of(scores: Scores, results: Sequence[Sequence[Record]], copies: bool) -> list[Record]:
    """Return the records of scores, with correlations where there are files of `results`, and perhaps with copies."""
    records = list(scores.records())
    if results:
        records += correlations(scores, chain.from_iterable(results))
    return list(with_copies(records, EQUALS)) if copies else records


def correlations(scores: Scores, results: Iterable[Record]) -> Iterator[Record]:
    """Yield how the ratings of each ranking of all votes go with results, with `criterion`."""
    from latxa_cli.arena.correlation import correlate

    results = list(results)
    for ranking in scores.rankings:
        if not ranking.group:
            ratings = dict(zip(ranking.counts.models, ranking.ratings.tolist(), strict=True))
            confidence = ranking.method.confidence
            found = correlate(
                ratings, results, ranking.replicate_ratings, confidence=confidence, paper=scores.request.paper
            )
            yield from (record | {"criterion": ranking.criterion} for record in found)


def _clusters(votes: Votes, unit: Unit) -> Column | None:
    return None if unit == "vote" else votes.columns[FIELDS[unit]]


def _says(votes: Votes, unit: Unit) -> bool:
    column = votes.columns.get(FIELDS[unit])
    return column is not None and bool(column.given.any())


# --- with style held equal --------------------------------------------------------------------------------------------


def features_of(control: Sequence[str]) -> tuple[str, ...]:
    """Return the names of what must be measured of the responses."""
    return STYLE if "style" in control else LENGTH if "length" in control else ()


def _controlled(votes: Votes, request: ScoreRequest, unit: Unit) -> tuple[list[Ranking], list[Record]]:
    """Return rankings with everything in `control` held equal, and the effects of it.

    They are of those votes alone whose responses could be measured.
    """
    names, method = features_of(request.control), request.method
    known = np.isfinite([votes.features[name].sum(axis=1) for name in names]).all(axis=0) & np.ones(len(votes), bool)
    measured = votes.where(known)
    clusters = _clusters(measured, unit)
    codes = None if clusters is None else clusters.codes
    rankings, said = [], []
    bare = replace(method, rounds=0)
    for plain in rank(measured, request.criteria, bare, by=request.by, least=request.least, clusters=clusters):
        if not plain.counts.cells.any():
            if plain.group:
                continue
            raise UsageError(f"no battle with a `{plain.criterion}` holds two conversations to be controlled")
        position = "position" in request.control
        fit = fit_controlled(plain.votes, plain.criterion, names, position=position, clusters=codes, prior=method.prior)
        theta = np.where(plain.counts.battles > 0, fit.theta, np.nan)
        cores = [Core(0, one, *plain.counts.among(one), theta[one]) for one in plain.islands]
        replicates = normal_replicates(theta, fit.covariance, method)
        ranking = replace(plain, theta=theta, replicates=replicates, cores=cores, method=method)
        ranking.covariance = fit.covariance
        rankings.append(ranking)
        if not plain.group:
            left_out = int((votes.verdicts[plain.criterion][~known] != NONE).sum())
            text = f"{several(left_out, 'vote')} without two conversations left out"
            said += fit.findings(plain.criterion)
            said.append(finding(ranking.criterion, "votes without conversations", left_out, left_out > 0, text))
    return rankings, said
