"""What the organiser of a poll sees: how many votes came, hour by hour, on which pairs, and how many look careless.

Its address holds a token that is made with the key of the run, since this page names models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from itertools import combinations
from math import sqrt

from latxa_cli.voting.live import LiveBallots
from latxa_cli.voting.poll import Poll

HOURS_SHOWN = 24
Z = 1.6449  # of an interval of 90 %


def organiser_page(poll: Poll) -> bytes:
    """Return the page as HTML, in which all that others wrote is escaped."""
    tally, seen = poll.tally, poll.seen
    pairs = list(combinations(poll.ballots.models, 2))
    fewest = min(seen.pairs[pair] for pair in pairs)
    facts = [
        ("votes", f"{tally.votes:,}"),
        ("skipped pairs", f"{tally.skipped:,}"),
        ("voters", f"{len(seen.votes):,}"),
        ("votes of the busiest voter", f"{max(seen.votes.values(), default=0):,}"),
        ("votes of the pair with the fewest", f"{fewest:,}"),
        ("votes still wanted", f"{len(seen.wanted):,}"),
        *((f"votes that look careless: {reason}", f"{count:,}") for reason, count in sorted(tally.suspicion.items())),
    ]
    wanted = Counter(seen.wanted)
    met = [
        (
            one, other, f"{seen.pairs[one, other]:,}", f"{wanted[one, other]:,}",
            _share(tally.won[one, other], tally.won[other, one], seen.pairs[one, other]),
            f"{seen.orders[one, other]:,}", f"{seen.orders[other, one]:,}",
        )
        for one, other in sorted(pairs, key=lambda pair: (-wanted[pair], seen.pairs[pair]))
    ]  # fmt: skip
    answers = [
        (
            one.name,
            f"{one.answers:,}",
            "; ".join(f"{kind}: {count:,}" for kind, count in one.failures.items()),
            one.last,
        )
        for one in (poll.ballots.contestants.values() if isinstance(poll.ballots, LiveBallots) else ())
    ]
    hours = [(hour.replace("T", " ") + ":00 UTC", f"{tally.hours[hour]:,}") for hour in sorted(tally.hours)]
    tables = [
        _table("The poll", ("what", "number"), facts),
        _table(
            "Pairs, those that need votes most first",
            ("model", "other", "votes", "still wanted", "model wins (90 %)", "model first", "other first"),
            met,
        ),
        *([_table("Answers", ("model", "answers", "failures", "the last one"), answers)] if answers else []),
        _table(f"Votes by hour, the last {HOURS_SHOWN} with any", ("hour", "votes"), hours[-HOURS_SHOWN:]),
    ]
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="robots" content="noindex">'
    style = '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="../vote.css">'
    return f"{head}{style}<title>Votes</title><main><h1>Votes</h1>{''.join(tables)}</main></html>".encode()


def _share(won: int, lost: int, votes: int) -> str:
    """Return the share of wins, ties as half of one, with its interval.

    It is that of Wilson (1927, "Probable inference, the law of succession, and statistical inference", JASA 22). Votes
    of one person are taken for independent; `arena-score` does better.
    """
    if not votes:
        return "-"
    share = (won + (votes - won - lost) / 2) / votes
    middle = share + Z**2 / (2 * votes)
    width = Z * sqrt(share * (1 - share) / votes + (Z / (2 * votes)) ** 2)
    low, high = ((middle + sign * width) / (1 + Z**2 / votes) for sign in (-1, 1))
    return f"{share:.0%} ({low:.0%} to {high:.0%})"


def _table(title: str, heads: tuple[str, ...], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}' for cell in heads)
    lines = "".join("<tr>" + "".join(f'<td dir="auto">{escape(cell)}' for cell in row) for row in rows)
    wide = f'<div class="wide" tabindex="0" role="group" aria-label="{escape(title)}">'
    return f"<h2>{escape(title)}</h2>{wide}<table><tr>{head}{lines}</table></div>"
