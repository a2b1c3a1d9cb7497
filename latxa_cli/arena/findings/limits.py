"""What bounds a ranking: islands, infinite ratings, rounds without ratings, clusters, neighbours that are not apart."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from latxa_cli.arena.clusters import Dependence
from latxa_cli.arena.findings.evidence import finding, percent, several
from latxa_cli.arena.findings.separation import separating
from latxa_cli.arena.fits.davidson import fit_davidson, likelihood
from latxa_cli.arena.rankings.intervals import rate
from latxa_cli.arena.rankings.ranking import Ranking
from latxa_cli.arena.units import NAMES, Unit, Units, widths_of
from latxa_cli.arena.votes import Votes
from latxa_cli.stream.records import Record

NAMED = 5  # how many models a line names before it only counts
MUCH_WIDER = 1.2  # design effect from which intervals by vote are too narrow
MANY_ROUNDS = 0.01
FEW_CLUSTERS = 20
WEAK = 2.0  # a difference of AIC that says little (Burnham & Anderson, 2002)


def small_groups(ranking: Ranking, by: Sequence[str], least: int) -> Iterator[Record]:
    """Say which values of the fields `by` have no ranking, since fewer than `least` votes have them."""
    for name in by:
        column = ranking.votes.columns[name]
        small = np.flatnonzero((column.votes > 0) & (column.votes < least))
        text = f"values of `{name}` with fewer than {several(least, 'vote')}, without a ranking: {len(small):,}"
        if len(small):
            text += f" ({_named(sorted(column.names[code] for code in small), range(len(small)))})"
        yield finding(ranking.criterion, "groups of few votes", len(small), len(small) > 0, text, field=name)


def similar_names(votes: Votes, criterion: str) -> Record:
    """Say which names of models differ in case, spaces or Unicode form alone: they may be one model."""
    alike: dict[str, list[str]] = {}
    for name in votes.models:
        alike.setdefault("".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    groups = [names for names in alike.values() if len(names) > 1]
    shown = "; ".join(" and ".join(f"`{name}`" for name in names) for names in groups[:NAMED])
    text = f"names of models that differ in case, spaces or Unicode form alone: {shown}" if groups else "no names alike"
    return finding(criterion, "names alike", len(groups), bool(groups), text, names=groups)


def unanchored(rankings: Sequence[Ranking]) -> Iterator[Record]:
    """Say where the anchor has no finite rating, so that the scale is another one."""
    for ranking in rankings:
        if ranking.method.anchor and ranking.counts.cells.any():
            text, held = f"the anchor {ranking.method.anchor[0]} holds the ratings", ranking.anchored
            if not held:
                where = "".join(f" in {name} {value}" for name, value in ranking.group.items())
                text = f"the anchor {ranking.method.anchor[0]} has no finite rating{where}, where the mean is 1000"
            group = {"group": ranking.group} if ranking.group else {}
            yield finding(ranking.criterion, "anchor", float(held), not held, text, **group)


def without_verdict(ranking: Ranking) -> Iterator[Record]:
    """Say how many votes have no verdict by this criterion: they have one by another, or there are no ratings."""
    if len(ranking.place):
        lacking = int((ranking.place < 0).sum())
        text = f"{lacking:,} of {len(ranking.place):,} votes have no `{ranking.criterion}`"
        yield finding(ranking.criterion, "votes without a verdict", lacking, lacking > 0, text)


def limits(ranking: Ranking, units: Units, unit: Unit) -> Iterator[Record]:
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
        for who, what in (
            (above, "never lost to the others"),
            (below, "never won against the others"),
            (unknown, "cannot be placed"),
        )
        if len(who)
    ]
    number = len(above) + len(below) + len(unknown)
    text = "; ".join(words) + " (`--prior 1` gives them a rating)" if number else "all ratings are finite"
    yield finding(ranking.criterion, "infinite ratings", number, number > 0, text)

    share = ranking.non_finite
    text = f"in {percent(share)} of the rounds some model that has a finite rating has none"
    yield finding(ranking.criterion, "rounds without finite ratings", share, share > MANY_ROUNDS, text)
    yield _design_effect(ranking, unit)
    yield _wider_unit(ranking, units, unit)
    if ranking.method.ties == "davidson":
        yield from _model_of_ties(ranking)


def _model_of_ties(ranking: Ranking) -> Iterator[Record]:
    """Say how well Davidson's model fits the ties, beside one in which they come equally often in every pair."""
    for core in ranking.cores:
        counts, prior = core.counts, ranking.method.prior
        theta, nu = fit_davidson(counts, counts.cells[None], prior)
        log_likelihood, aic = likelihood(counts, theta[0], float(nu[0]))
        decided = replace(ranking.method, ties="drop")
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

    Kish, 1965, "Survey sampling". It matters where intervals are by vote, and where clusters are few, or as good as few
    since some of them gave most of the votes. clusters, effective: how many there are, and as how many of one size.
    """
    name, what = "design effect", "user" if unit == "vote" else unit
    users = ranking.votes.columns.get("user")
    dependence = ranking.dependence if unit != "vote" else Dependence.of(users) if users else None

    def unknown(text: str) -> Record:
        nothing = {"clusters": None, "effective": None}
        return finding(ranking.criterion, name, None, False, f"design effect: {text}", **nothing)

    if not ranking.cores:
        return unknown("not known, no rating is finite")
    if dependence is None or not (unit != "vote" or (users and (users.given & (ranking.place >= 0)).any())):
        return unknown("votes do not say whose they are")
    if ranking.method.ties != "half":
        return unknown("known where ties are half wins")
    own = ranking.covariance if dependence is ranking.dependence else ranking.covariance_by(dependence)
    by_vote, by_cluster = float(np.trace(ranking.covariance_by(None))), float(np.trace(own))
    value = by_cluster / by_vote if by_vote > 0 else 1.0
    numbers = [len(np.unique(way.codes[ranking.place >= 0])) for way in dependence.ways]
    number, effective = min(numbers), dependence.effective(ranking.place >= 0)
    more = {"clusters": number, "effective": effective}
    if unit == "vote":
        text = f"the votes of a {what} hang together (design effect {value:.2f}): intervals by vote are too narrow,"
        return finding(ranking.criterion, name, value, value > MUCH_WIDER, f"{text} `--resample user`", **more)
    kinds = [what] if len(numbers) == 1 else ["user", "prompt"]
    text = " and ".join(several(one, kind) for one, kind in zip(numbers, kinds, strict=True))
    text = f"intervals by {NAMES[unit]} rest on {text} alone"
    if effective < 0.9 * number:
        text += f", as good as {effective:.1f} who vote as often"
    text += f" (design effect {value:.2f})"
    return finding(ranking.criterion, name, value, effective < FEW_CLUSTERS, text, **more)


def _wider_unit(ranking: Ranking, units: Units, unit: Unit) -> Record:
    """Say by what unit that the votes name intervals would be wider. value: how many times; it matters above a tenth.

    By vote, the design effect speaks of users.
    """
    name, rivals = "wider intervals", [one for one in units.kinds if one != unit and one != "vote"]
    if unit == "vote" and "user" in rivals:
        rivals.remove("user")
    if not rivals or not ranking.cores:
        return finding(ranking.criterion, name, None, False, f"no other unit than the {NAMES[unit]}", unit=None)
    widths = widths_of(ranking, units, [unit, *rivals], ranking.method.confidence)
    widest = max(rivals, key=lambda one: widths[one])
    if not 0 < widths[unit] < np.inf or widths[widest] == np.inf:
        text = f"intervals by {NAMES[unit]} cannot be compared with others"
        return finding(ranking.criterion, name, None, False, text, unit=widest)
    value = widths[widest] / widths[unit]
    text = f"intervals by {NAMES[widest]} would be {value:.2f} times as wide (`--resample {widest}`)"
    return finding(ranking.criterion, name, value, value > MUCH_WIDER**0.5, text, unit=widest)


def separation(ranking: Ranking) -> Iterator[Record]:
    """Say which neighbours are told apart, and about how many more votes would separate the others."""
    for number, core in enumerate(ranking.cores, 1):
        covariance = ranking.covariance[np.ix_(core.models, core.models)]
        neighbours = separating(core.counts, core.theta, covariance, ranking.method.confidence, ranking.reach.clusters)
        close = [record for record in neighbours if not record["separated"]]
        if not neighbours:
            continue
        text = f"neighbours not separated at {ranking.method.confidence:.0%}: {len(close)} of {len(neighbours)}"
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
