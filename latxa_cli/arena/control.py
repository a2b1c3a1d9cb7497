"""Control: what ratings would be if both responses had the same length and style, and none were shown first.

P(a wins against b) = sigma(theta_a - theta_b + gamma' z), with one z for each feature f of the two responses,
z = (f_a - f_b) / (f_a + f_b + 1) in units of its root mean square, and perhaps a constant for being shown first.
z changes its sign when the responses change places, so nothing is centred: a centred z would let style stand for
position. Ties are half wins.

The method is that of Li, Angelopoulos & Chiang, 2024, "Does style matter?" (LMSYS). Length-controlled AlpacaEval
(Dubois et al., 2024) needs a baseline that all are compared with; here there is none.

The fit (see `comparisons`) takes about a second for 1.3 million votes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from latxa_cli.arena.clusters import Clusters, Dependence
from latxa_cli.arena.findings.evidence import QUANTILE, finding
from latxa_cli.arena.fits.comparisons import Comparisons
from latxa_cli.arena.fits.sandwich import two_way
from latxa_cli.arena.votes import NONE, PREFERENCE, Floats, Votes
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record

STYLE = ("characters", "headers", "list_items", "bold")
LENGTH = ("characters",)
POSITION = "position"

# Patterns begin with a character that is searched for fast, and are possessive, so that no text takes long.
FENCE = re.compile(r"\n {0,3}(?:```[^`\n]*+|~~~[^\n]*+)(?![^\n])")  # opens or ends a block of code
HEADER = re.compile(r"\n {0,3}#{1,6}+[ \t]")
ITEM = re.compile(r"\n[ \t]*+(?:[-*+]|[0-9]{1,9}[.)])[ \t]")
STARS = re.compile(r"\*\*[^*\n]++\*\*")
UNDERSCORES = re.compile(r"__(?<!\w__)[^_\n]++__(?!\w)")


def style_of(messages: object) -> tuple[float, ...]:
    """Return the features `STYLE` of all assistant's turns of a conversation together.

    Markdown inside of code blocks does not count. nan where there is no turn of the assistant's, or no text in one.
    """
    turns = [turn for turn in messages if _is_assistant(turn)] if isinstance(messages, list) else []
    texts = [turn.get("content") for turn in turns]
    if not texts or not all(isinstance(text, str) for text in texts):
        return (np.nan,) * len(STYLE)
    counts = [_style_of_text(text) for text in texts]
    return tuple(float(sum(column)) for column in zip(*counts, strict=True))


def style_measure(names: Sequence[str]) -> Callable[[Record], list[list[float]]]:
    """Return what measures the style of both responses: for each name, [of the first, of the second]."""
    places = [STYLE.index(name) for name in names]

    def measure(battle: Record) -> list[list[float]]:
        a, b = style_of(battle.get("conversation_a")), style_of(battle.get("conversation_b"))
        return [[a[place], b[place]] for place in places]

    return measure


def with_preference(measure: Callable[[Record], list[list[float]]] | None) -> Callable[[Record], list[list[float]]]:
    """Return what measures the same, and then the share of the vote that either side has; nan where it is not said."""

    def measured(battle: Record) -> list[list[float]]:
        share = battle.get(PREFERENCE)
        share = np.nan if share is None else float(share)
        return [*(measure(battle) if measure else []), [share, 1 - share]]

    return measured


def _is_assistant(turn: object) -> bool:
    return isinstance(turn, dict) and turn.get("role") == "assistant"


def _style_of_text(text: str) -> tuple[int, int, int, int]:
    prose = "\n" + text
    if "```" in prose or "~~~" in prose:
        prose = "".join(FENCE.split(prose)[::2])  # every second piece is code
    headers = len(HEADER.findall(prose)) if "#" in prose else 0
    bold = len(STARS.findall(prose)) if "**" in prose else 0
    bold += len(UNDERSCORES.findall(prose)) if "__" in prose else 0
    return len(text), headers, len(ITEM.findall(prose)), bold


@dataclass(frozen=True)
class ControlledFit:
    """Strengths with everything else held equal, in natural units.

    theta: (p,) mean 0; covariance: (p, p). names: what was controlled, F of them; gamma: (F,) the change of the log
    odds by one unit of each; gamma_covariance: (F, F); unit: (F,) root mean square of the raw z (1 for position).
    votes, left_out: how many have a verdict and known features, and how many have a verdict alone.
    """

    theta: Floats
    covariance: Floats
    names: tuple[str, ...]
    gamma: Floats
    gamma_covariance: Floats
    unit: Floats
    votes: int
    left_out: int

    @property
    def gamma_error(self) -> Floats:
        """(F,) standard errors of gamma; nan where a feature is the same in both responses of every vote."""
        return np.where(self.unit > 0, np.sqrt(np.diag(self.gamma_covariance)), np.nan)

    def findings(self, criterion: str) -> list[Record]:
        """Return a finding for each of `names`: by how much it changes the odds of winning, with a 99 % interval."""
        return [
            _effect(name, criterion, float(gamma), float(error))
            for name, gamma, error in zip(self.names, self.gamma, self.gamma_error, strict=True)
        ]


def _effect(name: str, criterion: str, gamma: float, error: float) -> Record:
    is_known = bool(np.isfinite(error))
    value, lower, upper = np.exp([gamma, gamma - QUANTILE * error, gamma + QUANTILE * error]).tolist()
    cause = "being shown first" if name == POSITION else f"one standard deviation more of {name.replace('_', ' ')}"
    effect = f"multiplies the odds of winning by {value:.2f} (99 % interval {lower:.2f} to {upper:.2f})"
    same = f"{name.replace('_', ' ')}: never differ between the two responses, nothing to control"
    text = f"{cause} {effect}" if is_known else same
    matters = is_known and not lower <= 1 <= upper
    shown = {"lower": lower, "upper": upper} if is_known else {"lower": None, "upper": None}
    return finding(criterion, f"effect of {name}", value if is_known else None, matters, text, **shown)


def fit_controlled(
    votes: Votes,
    criterion: str,
    names: Sequence[str],
    *,
    position: bool = False,
    dependence: Dependence | None = None,
    prior: float = 0.0,
) -> ControlledFit:
    """Rate models with the features `names` of `votes.features`, and perhaps the position, controlled.

    dependence: which votes depend on each other; none where None. prior: that many tied battles of like style for
    every pair.
    Raises LatxaError where the votes do not determine the strengths or the effects.
    """
    size, voted = len(votes.models), votes.verdicts[criterion] != NONE
    raw = _differences(votes, names)
    used = np.flatnonzero(voted & np.isfinite(raw).all(axis=0))
    used = used[np.argsort(votes.a[used].astype(np.int64) * size + votes.b[used], kind="stable")]
    z, unit = _in_units(raw[:, used], position)
    labels = (*names, *([POSITION] if position else []))
    data = Comparisons.of(votes, criterion, used, z)
    estimate = data.fit(prior)
    for column, name in enumerate(labels):
        if unit[column] and not estimate.determines(size + column):
            raise LatxaError(f"the effect of {name} cannot be told from the other effects and the strengths")
    kinds = [Clusters(kind.codes[used], kind.number) for kind in dependence.kinds] if dependence else [None]
    by_kind = [estimate.inverse @ data.spread(estimate.at, kind) @ estimate.inverse for kind in kinds]
    covariance = by_kind[0] if len(by_kind) == 1 else two_way(by_kind[:2], by_kind[2])
    return ControlledFit(
        theta=estimate.at[:size] - estimate.at[:size].sum() / max(1, size),
        covariance=covariance[:size, :size],
        names=labels,
        gamma=estimate.at[size:],
        gamma_covariance=covariance[size:, size:],
        unit=unit,
        votes=len(used),
        left_out=int(voted.sum()) - len(used),
    )


def _differences(votes: Votes, names: Sequence[str]) -> Floats:
    """Return (F, n) the raw z of each feature; nan where either response's is not known."""
    z = np.empty((len(names), len(votes)))
    for row, name in zip(z, names, strict=True):
        ours, theirs = votes.features[name].T
        row[:] = (ours - theirs) / (ours + theirs + 1)
    return z


def _in_units(z: Floats, position: bool) -> tuple[Floats, Floats]:
    """Return z in units of its root mean square, with a row of ones for the position, and (F,) the units."""
    unit = np.sqrt((z**2).sum(axis=1) / max(1, z.shape[1]))
    z /= np.where(unit > 0, unit, 1)[:, None]
    return (np.vstack([z, np.ones(z.shape[1])]), np.append(unit, 1.0)) if position else (z, unit)
