"""What `arena-score` says of votes: rating records, differences between rankings, and what a reader must know of them.

`latxa arena-score battles.jsonl`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.clusters import Dependence
from latxa_cli.arena.control import LENGTH, STYLE, fit_controlled, style_measure, with_preference
from latxa_cli.arena.filters import Filter, odd_preference
from latxa_cli.arena.findings.evidence import finding, several
from latxa_cli.arena.findings.limits import limits, separation, similar_names, small_groups, unanchored, without_verdict
from latxa_cli.arena.findings.soundness import findings
from latxa_cli.arena.groups import with_copies
from latxa_cli.arena.rankings.differences import differences
from latxa_cli.arena.rankings.intervals import Core, RatingMethod, normal_replicates
from latxa_cli.arena.rankings.ranking import Interval, Ranking, rank
from latxa_cli.arena.units import NOBODY, SAID, Unit, Units
from latxa_cli.arena.votes import NONE, PREFERENCE, Votes
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record
from latxa_cli.variants import equals


@dataclass(frozen=True)
class ScoreRequest:
    """What is asked of votes.

    - criteria: a ranking by each.
    - by, least: fields whose values get rankings too, where they have so many votes.
    - unit: what is resampled together (None: what gives the widest intervals, of users, prompts and both).
    - interval: how rounds are made.
    - control: what is held equal.
    - preference: `winner` is taken in the shares of `preference`, where a vote has it.
    - paper: records as `Ranking.paper_records` makes them.
    """

    criteria: tuple[str, ...] = ("winner",)
    by: tuple[str, ...] = ()
    least: int = 1
    unit: Unit | None = None
    interval: Interval = "bootstrap"
    control: tuple[str, ...] = ()  # length, style, position
    preference: bool = False
    paper: bool = False
    method: RatingMethod = field(default_factory=RatingMethod)

    @classmethod
    def of(
        cls, method: RatingMethod, criteria: Iterable[str] | None, by: Iterable[str] | None, least: int,
        unit: Unit | None, interval: Interval, control: Iterable[str] | None, *, preference: bool, paper: bool,
    ) -> ScoreRequest:  # fmt: skip
        """Return the request that the flags of `arena-score` make; what is named twice counts once."""
        named, fields = tuple(dict.fromkeys(map(str, criteria or ["winner"]))), tuple(dict.fromkeys(by or ()))
        unit = "vote" if paper else unit
        controlled = tuple(map(str, control or ()))
        return cls(named, fields, least, unit, interval, controlled, preference, paper, method)

    def tally(self, filters: Sequence[Filter], *, collapse: bool, pseudonyms: bool = False) -> Tally:
        """Return what counts battles for this request; raises UsageError where there is no use for `collapse`.

        pseudonyms: stand for the names of users.
        """
        for flag in ("collapse",) * collapse + ("preference",) * self.preference:
            if "winner" not in self.criteria:
                raise UsageError(f"`--{flag}` is about `winner`, which is not among the criteria")
        fields, features = tuple(dict.fromkeys(("user", "prompt_id", *self.by))), features_of(self.control)
        measure = style_measure(features) if features else None
        if self.preference:
            filters, features, measure = [*filters, odd_preference], (*features, PREFERENCE), with_preference(measure)
        return Tally(
            self.criteria, fields, collapse=collapse, filters=filters, features=features, measure=measure,
            pseudonyms=pseudonyms,
        )  # fmt: skip

    @property
    def gives_differences(self) -> bool:
        """Whether all rankings are of the same resampled votes, so that their differences have intervals."""
        return self.interval == "bootstrap" and not self.control and not self.paper


@dataclass(frozen=True)
class Scores:
    """Rankings, of all votes first; with what they were resampled by; and findings about all of them."""

    rankings: list[Ranking]
    unit: str
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
    def intervals(self) -> str:
        """By what unit intervals are, in words."""
        nobody = self.request.unit is None and self.unit == "vote"
        return NOBODY if nobody else SAID[self.unit]

    @property
    def is_sound(self) -> bool:
        """Whether all models with votes can be compared and have finite ratings."""
        whole = [one for one in self.rankings if not one.group]
        voted = bool(whole) and any(one.counts.cells.any() for one in whole)
        return voted and all(
            len(one.islands) < 2 and np.isfinite(one.theta[one.counts.battles > 0]).all() for one in whole
        )


def score(votes: Votes, request: ScoreRequest) -> Scores:
    """Rate models by their votes. Raises UsageError for what the votes cannot give, LatxaError where control fails."""
    if not len(votes):
        return Scores([], "vote", [], request)
    method = request.method
    if method.anchor and method.anchor[0] not in votes.models:
        raise UsageError(f"`--anchor`: there is no battle of `{method.anchor[0]}`")
    fitted = _measured(votes, request) if request.control else votes
    units = Units.of(fitted, paper=request.paper)  # of the same votes as the rankings, since clusters go with them
    unit = request.unit or units.widest(fitted, request.criteria[0], method)
    rankings, remarks = _rankings(fitted, request, units.dependence(unit))
    remarks += [
        similar_names(votes, request.criteria[0]),
        *small_groups(rankings[0], request.by, request.least),
        *unanchored(rankings),
    ]
    for ranking in rankings:
        if not ranking.group:
            remarks += [_left_out(votes, fitted, ranking.criterion)] if request.control else []
            remarks += without_verdict(ranking)
        if not ranking.group and ranking.counts.cells.any():
            remarks += limits(ranking, units, unit)
            remarks += findings(ranking.votes, ranking.criterion, ranking.verdicts, ranking.place, method.prior)
            remarks += separation(ranking)
    return Scores(rankings, unit, remarks, request)


def _rankings(votes: Votes, request: ScoreRequest, dependence: Dependence | None) -> tuple[list[Ranking], list[Record]]:
    if request.control:
        return _controlled(votes, request, dependence)
    method, by, least, interval = request.method, request.by, request.least, request.interval
    return rank(votes, request.criteria, method, by=by, least=least, dependence=dependence, interval=interval), []


def records_of(scores: Scores, results: Sequence[Sequence[Record]], copies: bool) -> list[Record]:
    """Return the records of scores, with correlations where there are files of `results`, and perhaps with copies."""
    records = list(scores.records())
    if results:
        records += correlations(scores, chain.from_iterable(results))
    return list(with_copies(records, equals())) if copies else records


def correlations(scores: Scores, results: Iterable[Record]) -> Iterator[Record]:
    """Yield how the ratings of each ranking of all votes go with results, with `criterion`."""
    from latxa_cli.arena.correlation import correlate

    results = list(results)
    for ranking in scores.rankings:
        if not ranking.group:
            ratings = dict(zip(ranking.counts.models, ranking.ratings.tolist(), strict=True))
            confidence = ranking.method.confidence
            coefficients = correlate(
                ratings, results, ranking.rounds_for(confidence), confidence=confidence, paper=scores.request.paper
            )
            yield from (record | {"criterion": ranking.criterion} for record in coefficients)


# --- with style held equal --------------------------------------------------------------------------------------------


def features_of(control: Sequence[str]) -> tuple[str, ...]:
    """Return the names of what must be measured of the responses."""
    return STYLE if "style" in control else LENGTH if "length" in control else ()


def _measured(votes: Votes, request: ScoreRequest) -> Votes:
    """Return those of the votes both of whose responses could be measured. Raises UsageError where there is none."""
    sizes = [votes.features[name].sum(axis=1) for name in features_of(request.control)]
    measured = votes.where(np.isfinite(sizes).all(axis=0) & np.ones(len(votes), bool))
    if not len(measured):
        raise UsageError(f"no battle with a `{request.criteria[0]}` holds two conversations to be controlled")
    return measured


def _left_out(votes: Votes, fitted: Votes, criterion: str) -> Record:
    """Say how many votes have a verdict, and no two conversations to be controlled."""
    left_out = sum(int(sign * (some.verdicts[criterion] != NONE).sum()) for sign, some in ((1, votes), (-1, fitted)))
    text = f"{several(left_out, 'vote')} without two conversations left out"
    return finding(criterion, "votes without conversations", left_out, left_out > 0, text)


def _controlled(
    votes: Votes, request: ScoreRequest, dependence: Dependence | None
) -> tuple[list[Ranking], list[Record]]:
    """Return rankings of measurable votes with everything in `control` held equal, and the effects of it."""
    names, method = features_of(request.control), request.method
    rankings, remarks = [], []
    bare = replace(method, rounds=0)
    for plain in rank(votes, request.criteria, bare, by=request.by, least=request.least, dependence=dependence):
        if not plain.counts.cells.any():
            if plain.group:
                continue
            raise UsageError(f"no battle with a `{plain.criterion}` holds two conversations to be controlled")
        position = "position" in request.control
        fit = fit_controlled(
            plain.votes, plain.criterion, names, position=position, dependence=dependence, prior=method.prior
        )
        theta = np.where(plain.counts.battles > 0, fit.theta, np.nan)
        cores = [Core(0, one, *plain.counts.among(one), theta[one]) for one in plain.islands]
        replicates = normal_replicates(theta, fit.covariance, method)
        ranking = replace(plain, theta=theta, replicates=replicates, cores=cores, method=method, interval="sandwich")
        ranking.covariance = fit.covariance
        rankings.append(ranking)
        if not plain.group:
            remarks += fit.findings(plain.criterion)
    return rankings, remarks
