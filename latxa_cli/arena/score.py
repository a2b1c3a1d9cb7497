"""What `arena-score` says of votes: rating records, differences between rankings, and what a reader must know of them.

`latxa arena-score battles.jsonl`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from latxa_cli.arena.control import LENGTH, STYLE, controlled
from latxa_cli.arena.davidson import fit_davidson, likelihood
from latxa_cli.arena.differences import differences
from latxa_cli.arena.finding import finding, percent, several
from latxa_cli.arena.intervals import Core, How, covariance_by, drawn_normal, rate
from latxa_cli.arena.ranking import Interval, Ranking, rank
from latxa_cli.arena.separation import separating
from latxa_cli.arena.soundness import findings
from latxa_cli.arena.votes import NONE, Column, Votes, count
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record

NAMED = 5  # how many models a line names before it only counts
MUCH_WIDER = 1.2  # design effect from which intervals by vote are too narrow
MANY_ROUNDS = 0.01
FEW_CLUSTERS = 20
WEAK = 2.0  # a difference of AIC that says little (Burnham & Anderson, 2002)
Unit = Literal["vote", "user", "prompt"]
Control = Literal["length", "style", "position"]
FIELDS = {"user": "user", "prompt": "prompt_id"}


@dataclass(frozen=True)
class Wanted:
    """What to say.

    criteria: a ranking by each; by, least: fields whose values get rankings too, where they have so many votes. unit:
    what is redrawn together (None: users where votes name them); interval: how rounds are made; control: what is held
    equal. paper: records as `Ranking.paper_records` makes them.
    """

    criteria: tuple[str, ...] = ("winner",)
    by: tuple[str, ...] = ()
    least: int = 1
    unit: Unit | None = None
    interval: Interval = "bootstrap"
    control: tuple[Control, ...] = ()
    paper: bool = False
    how: How = field(default_factory=How)


@dataclass(frozen=True)
class Scores:
    """Rankings, of all votes first; with what they were redrawn by; and findings about all of them."""

    rankings: list[Ranking]
    unit: Unit
    findings: list[Record]
    paper: bool = False

    def records(self) -> Iterator[Record]:
        """Yield ratings, differences, and findings."""
        yield from self.ratings()
        if not self.paper:
            yield from differences(self.rankings)
        yield from self.findings

    def ratings(self) -> Iterator[Record]:
        for ranking in self.rankings:
            yield from ranking.paper_records() if self.paper else ranking.records()

    @property
    def is_sound(self) -> bool:
        """Whether all models with votes can be compared and have finite ratings."""
        whole = [one for one in self.rankings if not one.group]
        return all(len(one.islands) < 2 and np.isfinite(one.theta[one.counts.battles > 0]).all() for one in whole)


def score(votes: Votes, wanted: Wanted) -> Scores:
    """Rate models by their votes. Raises UsageError for what the votes cannot give, LatxaError where control fails."""
    if not len(votes):
        return Scores([], "vote", [])
    unit = wanted.unit or ("user" if _says(votes, "user") else "vote")
    if unit != "vote" and not _says(votes, unit):
        raise UsageError(f"`--resample {unit}`: no battle has a `{FIELDS[unit]}`")
    if wanted.how.anchor and wanted.how.anchor[0] not in votes.models:
        raise UsageError(f"`--anchor`: there is no battle of `{wanted.how.anchor[0]}`")
    if wanted.control:
        rankings, said = _controlled(votes, wanted, unit)
    else:
        rankings = rank(
            votes, wanted.criteria, wanted.how, by=wanted.by, least=wanted.least, clusters=_clusters(votes, unit),
            interval=wanted.interval,
        )  # fmt: skip
        said = [*_small_groups(votes, wanted, rankings[0]), *_unanchored(rankings)]
    for ranking in rankings:
        if not ranking.group:
            said += _without_verdict(ranking)
        if not ranking.group and ranking.counts.cells.any():
            said += _limits(ranking, unit)
            said += findings(ranking.votes, ranking.criterion, ranking.counts, ranking.place, wanted.how.prior)
            said += _separation(ranking)
    return Scores(rankings, unit, said, wanted.paper)


def proposals(votes: Votes, wanted: Wanted, how_many: int, newcomers: Sequence[str]) -> list[Record]:
    """Return the battles whose votes would tell most, as `pairing.next_battles` does."""
    from latxa_cli.arena.pairing import next_battles

    counts, _ = count(votes, wanted.criteria[0])
    return next_battles(counts, how_many, newcomers=newcomers, seed=wanted.how.seed)


def correlations(scores: Scores, results: Iterable[Record]) -> Iterator[Record]:
    """Yield how the ratings of each ranking of all votes go with results, with `criterion`."""
    from latxa_cli.arena.correlation import correlate

    results = list(results)
    for ranking in scores.rankings:
        if not ranking.group:
            ratings = dict(zip(ranking.counts.models, ranking.ratings.tolist(), strict=True))
            confidence = ranking.how.confidence
            found = correlate(ratings, results, ranking.drawn_ratings, confidence=confidence, paper=scores.paper)
            yield from (record | {"criterion": ranking.criterion} for record in found)


def _clusters(votes: Votes, unit: Unit) -> Column | None:
    return None if unit == "vote" else votes.columns[FIELDS[unit]]


def _says(votes: Votes, unit: Unit) -> bool:
    column = votes.columns.get(FIELDS[unit])
    return column is not None and bool(column.given.any())


# --- with style held equal --------------------------------------------------------------------------------------------


def features_of(control: Sequence[Control]) -> tuple[str, ...]:
    """Return the names of what must be measured of the responses."""
    return STYLE if "style" in control else LENGTH if "length" in control else ()


def _controlled(votes: Votes, wanted: Wanted, unit: Unit) -> tuple[list[Ranking], list[Record]]:
    """Return rankings with everything in `control` held equal, and the effects of it.

    They are of those votes alone whose responses could be measured.
    """
    names = features_of(wanted.control)
    known = np.isfinite([votes.features[name].sum(axis=1) for name in names]).all(axis=0) & np.ones(len(votes), bool)
    measured = votes.where(known)
    clusters = _clusters(measured, unit)
    rankings, said = [], []
    for plain in rank(measured, wanted.criteria, replace(wanted.how, rounds=0), clusters=clusters):
        if not plain.counts.cells.any():
            raise UsageError(f"no battle with a `{plain.criterion}` holds two conversations to be controlled")
        fitted = controlled(
            measured, plain.criterion, names, position="position" in wanted.control,
            clusters=None if clusters is None else clusters.codes, prior=wanted.how.prior,
        )  # fmt: skip
        theta = np.where(plain.counts.battles > 0, fitted.theta, np.nan)
        cores = [Core(0, one, *plain.counts.among(one), theta[one]) for one in plain.islands]
        drawn = drawn_normal(theta, fitted.covariance, wanted.how)
        ranking = replace(plain, theta=theta, drawn=drawn, cores=cores, how=wanted.how)
        ranking.covariance = fitted.covariance
        rankings.append(ranking)
        left_out = int((votes.verdicts[plain.criterion][~known] != NONE).sum())
        text = f"{several(left_out, 'vote')} without two conversations left out"
        said += fitted.findings(plain.criterion)
        said.append(finding(ranking.criterion, "votes without conversations", left_out, left_out > 0, text))
    return rankings, [*said, *_unanchored(rankings)]


# --- what bounds a ranking -----------------------------------------------------------------------------------------


def _small_groups(votes: Votes, wanted: Wanted, ranking: Ranking) -> Iterator[Record]:
    """Say which values of the fields of `by` have no ranking, since they have too few votes."""
    for name in wanted.by:
        column = votes.columns[name]
        small = np.flatnonzero((column.votes > 0) & (column.votes < wanted.least))
        text = f"values of `{name}` with fewer than {several(wanted.least, 'vote')}, without a ranking: {len(small):,}"
        if len(small):
            text += f" ({_named(sorted(column.names[code] for code in small), range(len(small)))})"
        yield finding(ranking.criterion, "groups of few votes", len(small), len(small) > 0, text, field=name)


def _unanchored(rankings: Sequence[Ranking]) -> Iterator[Record]:
    """Say where the anchor has no finite rating, so that the scale is another one."""
    for ranking in rankings:
        if ranking.how.anchor and ranking.counts.cells.any():
            text, held = f"the anchor {ranking.how.anchor[0]} holds the ratings", ranking.anchored
            if not held:
                where = "".join(f" in {name} {value}" for name, value in ranking.group.items())
                text = f"the anchor {ranking.how.anchor[0]} has no finite rating{where}, where the mean is 1000"
            group = {"group": ranking.group} if ranking.group else {}
            yield finding(ranking.criterion, "anchor", float(held), not held, text, **group)


def _without_verdict(ranking: Ranking) -> Iterator[Record]:
    """Say how many votes have no verdict by this criterion: they have one by another, or there are no ratings."""
    if len(ranking.place):
        lacking = int((ranking.place < 0).sum())
        text = f"{lacking:,} of {len(ranking.place):,} votes have no `{ranking.criterion}`"
        yield finding(ranking.criterion, "votes without a verdict", lacking, lacking > 0, text)


def _limits(ranking: Ranking, unit: Unit) -> Iterator[Record]:
    """Yield findings about what the votes can carry: islands, infinite ratings, rounds without ratings, clusters."""
    models = ranking.counts.models
    apart = ranking.islands[1:]
    if apart:
        text = f"models fall into {len(ranking.islands)} islands that never met, each with a ranking of its own: "
        text += "; ".join(_named(models, island) for island in apart)
    yield finding(
        ranking.criterion, "islands", len(ranking.islands), bool(apart), text if apart else "all models are connected"
    )

    above, below = (np.flatnonzero(ranking.theta == sign * np.inf) for sign in (1, -1))
    unknown = np.flatnonzero(np.isnan(ranking.theta) & (ranking.counts.battles > 0))
    words = [
        f"{_named(models, who)} {what}"
        for who, what in ((above, "never lost to the others"), (below, "never won"), (unknown, "cannot be placed"))
        if len(who)
    ]
    number = len(above) + len(below) + len(unknown)
    text = "; ".join(words) + " (`--prior 1` gives them a rating)" if number else "all ratings are finite"
    yield finding(ranking.criterion, "infinite ratings", number, number > 0, text)

    share = ranking.non_finite
    text = f"in {percent(share)} of the rounds some model that has a finite rating has none"
    yield finding(ranking.criterion, "rounds without finite ratings", share, share > MANY_ROUNDS, text)
    yield _design_effect(ranking, unit)
    if ranking.how.ties == "davidson":
        yield from _model_of_ties(ranking)


def _model_of_ties(ranking: Ranking) -> Iterator[Record]:
    """Say how well Davidson's model fits the ties, beside one in which they come equally often in every pair."""
    for core in ranking.cores:
        counts, prior = core.counts, ranking.how.prior
        theta, nu = fit_davidson(counts, counts.cells[None], prior)
        log_likelihood, aic = likelihood(counts, theta[0], float(nu[0]))
        decided = replace(ranking.how, ties="drop")
        even = likelihood(counts, rate(counts, counts.cells[None], decided)[0])[1]
        text = f"ties come as Davidson's model has them (nu {nu[0]:.3f}, AIC {aic:,.0f})"
        matters = even < aic - WEAK
        if matters:
            text = f"ties come equally often in every pair rather than as Davidson's model has them (AIC {even:,.0f}"
            text += f" against {aic:,.0f})"
        more = {"log_likelihood": log_likelihood, "aic": aic, "aic_even": even if np.isfinite(even) else None}
        yield finding(ranking.criterion, "model of ties", float(nu[0]), matters, text, **more)


def _design_effect(ranking: Ranking, unit: Unit) -> Record:
    """By how much the variance of ratings by user (or prompt) is larger than by vote, over all models.

    Kish, 1965, "Survey sampling". It matters where intervals are by vote, and where clusters are few.
    """
    column = ranking.clusters or ranking.votes.columns.get("user")
    name, what = "design effect", "user" if unit == "vote" else unit
    if not ranking.cores:
        return finding(
            ranking.criterion, name, None, False, "design effect: not known, no rating is finite", clusters=None
        )
    if column is None or not (column.given & (ranking.place >= 0)).any():
        return finding(
            ranking.criterion, name, None, False, "design effect: votes do not say whose they are", clusters=None
        )
    if ranking.how.ties != "half":
        return finding(
            ranking.criterion, name, None, False, "design effect: known where ties are half wins", clusters=None
        )
    clustered = ranking.clustered or ranking.clustered_by(column)
    other = [covariance_by(core, clustered if ranking.clusters is None else None) for core in ranking.cores]
    traces = float(np.trace(ranking.covariance)), sum(float(np.trace(one)) for one in other)
    by_vote, by_cluster = traces if ranking.clusters is None else traces[::-1]
    value = by_cluster / by_vote if by_vote > 0 else 1.0
    number = int(np.count_nonzero(np.bincount(clustered.cluster)))
    text = f"the votes of a {what} hang together (design effect {value:.2f})"
    if unit == "vote":
        text += ": intervals by vote are too narrow, `--resample user`"
        return finding(ranking.criterion, name, value, value > MUCH_WIDER, text, clusters=number)
    text = f"intervals by {what} rest on {several(number, what)} alone (design effect {value:.2f})"
    return finding(ranking.criterion, name, value, number < FEW_CLUSTERS, text, clusters=number)


def _separation(ranking: Ranking) -> Iterator[Record]:
    """Say which neighbours are told apart, and about how many more votes would separate the others."""
    for number, core in enumerate(ranking.cores, 1):
        covariance = ranking.covariance[np.ix_(core.models, core.models)]
        neighbours = separating(core.counts, core.theta, covariance, ranking.how.confidence)
        close = [record for record in neighbours if not record["separated"]]
        if not neighbours:
            continue
        text = f"neighbours not separated at {ranking.how.confidence:.0%}: {len(close)} of {len(neighbours)}"
        needed = [record for record in close if record["votes_spread"] is not None]
        if needed:
            least = min(needed, key=lambda record: record["votes_spread"])
            text += (
                f"; the next, {least['model']} over {least['against']}, would take about"
                f" {least['votes_between']:,} more votes between the two, or {least['votes_spread']:,} spread as now"
            )
        island = {"island": number} if len(ranking.islands) > 1 else {}
        separated = len(neighbours) - len(close)
        yield finding(ranking.criterion, "neighbours", separated, bool(close), text, neighbours=neighbours, **island)


def _named(models: Sequence[str], chosen: Sequence[int] | np.ndarray) -> str:
    names = [models[number] for number in chosen[:NAMED]]
    more = len(chosen) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
