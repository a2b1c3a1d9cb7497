"""Findings about those who voted: do they agree, and are the votes those of many? (Who does not: `outliers`.)"""

from __future__ import annotations

import numpy as np

from latxa_cli.arena.findings.evidence import QUANTILE, Evidence, percent, several
from latxa_cli.arena.fits.comparisons import sums
from latxa_cli.arena.votes import Column, Floats
from latxa_cli.stream.records import Record

MUCH_BY_ONE = 0.1  # of all votes
SLIGHT = 0.2  # Landis & Koch, 1977: agreement up to here is slight


def agreement(evidence: Evidence) -> Record:
    """Krippendorff's alpha for nominal data, over prompts on which several users judged the same pair of models.

    A user's verdict on a unit counts once, and not at all where they gave several. value: alpha, None where it is
    not defined; units: how many; standard_error: by jackknife over units. It matters where alpha is below `SLIGHT`
    at 1 %.
    """
    name = "annotator agreement"
    user, prompt = evidence.column("user"), evidence.column("prompt_id")
    table = _units(evidence, user, prompt) if user and prompt else np.zeros((0, 4))
    alpha, error = krippendorff(table)
    if alpha is None:
        unknown = "annotator agreement: not known, no prompt and pair was judged by two users"
        if len(table):
            unknown = f"annotator agreement: not defined, all verdicts on {several(len(table), 'unit')} are the same"
        return evidence.finding(name, None, False, unknown, units=len(table), standard_error=None)
    slight = error is not None and alpha + QUANTILE * error < SLIGHT
    text = f"annotators agree little: Krippendorff's alpha is {alpha:.2f} on {several(len(table), 'unit')}"
    if not slight:
        text = f"annotator agreement: Krippendorff's alpha is {alpha:.2f} on {several(len(table), 'unit')}"
    return evidence.finding(name, alpha, slight, text, units=len(table), standard_error=error)


def _units(evidence: Evidence, user: Column, prompt: Column) -> Floats:
    """Return (units, 4) how many users gave each verdict, of the units judged by two users or more."""
    kept = (evidence.place >= 0) & user.given & prompt.given
    unit = prompt.codes[kept] * np.int64(len(evidence.counts.first))
    unit += evidence.place[kept] // 4
    repeated = np.sort(unit)
    repeated = np.unique(repeated[1:][repeated[1:] == repeated[:-1]])
    if not len(repeated):
        return np.zeros((0, 4))
    number = np.minimum(np.searchsorted(repeated, unit), len(repeated) - 1)
    again = repeated[number] == unit
    judgement = number[again] * len(user.names) + user.codes[kept][again]
    verdicts_of_units = np.unique(judgement * 4 + evidence.place[kept][again] % 4)
    judgement, verdict = np.divmod(verdicts_of_units, 4)
    _, which, verdicts = np.unique(judgement, return_index=True, return_counts=True)
    once = which[verdicts == 1]
    cells = judgement[once] // len(user.names) * 4 + verdict[once]
    table = sums(cells, np.ones(len(cells)), 4 * len(repeated)).reshape(-1, 4)
    return table[table.sum(axis=1) >= 2]


def krippendorff(table: Floats) -> tuple[float | None, float | None]:
    """Return alpha of (units, values) counts, each unit of two or more, and its standard error by jackknife.

    None where all values are the same, or for the error where one unit decides that.
    Krippendorff, 2011, "Computing Krippendorff's alpha-reliability".
    """
    sizes, values = table.sum(axis=1), table.sum(axis=0)
    disagreeing = (sizes**2 - (table**2).sum(axis=1)) / np.maximum(1, sizes - 1)
    total, chance = sizes.sum(), sizes.sum() ** 2 - (values**2).sum()
    if chance <= 0:
        return None, None
    alpha = float(1 - (total - 1) * disagreeing.sum() / chance)
    rest = total - sizes
    chances = rest**2 - ((values - table) ** 2).sum(axis=1)
    if len(table) < 2 or chances.min() <= 0:
        return alpha, None
    each = 1 - (rest - 1) * (disagreeing.sum() - disagreeing) / chances
    return alpha, float(np.sqrt((len(table) - 1) * each.var()))


def concentration(evidence: Evidence) -> Record:
    """Say how many of the votes are one user's. It matters above `MUCH_BY_ONE`; value: that share."""
    name, column = "votes by one user", evidence.column("user")
    if column is None:
        text = "votes by one user: not known, the votes have no `user`"
        return evidence.finding(name, None, False, text, user=None, users=None)
    votes = np.bincount(column.codes[(evidence.place >= 0) & column.given], minlength=len(column.names))
    most, users = int(votes.argmax()), int((votes > 0).sum())
    share = float(votes[most] / evidence.total)
    text = f"one user of {users:,}, {column.names[most]}, gave {percent(share)} of the votes"
    return evidence.finding(name, share, share > MUCH_BY_ONE, text, user=column.names[most], users=users)
