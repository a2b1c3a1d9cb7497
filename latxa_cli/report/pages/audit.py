"""The page of an audit: one HTML file with counts by reason, where faults lie, and examples side by side.

Texts of models and ids are untrusted: all is escaped, control characters are replaced, each text has its own direction
of writing, and the page may load and run nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from latxa_cli.report.pages.shell import document, printable, table, text

Pieces = Sequence[tuple[str, bool]]  # (text, whether it is marked)

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --mark: #ffd54a99; --bar: #3b7dd8; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; } 
td, th { padding: .3rem .6rem; text-align: start; vertical-align: top; }
tr { border-bottom: 1px solid var(--line); } .figure { text-align: end; font-variant-numeric: tabular-nums; }
.bar { display: inline-block; height: .7rem; min-width: 1px; background: var(--bar); border-radius: 2px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); padding: .6rem; }
mark { background: var(--mark); color: inherit; border-radius: 2px; }
.example { margin: 1rem 0 1.6rem; } .example p { margin: .3rem 0; overflow-wrap: anywhere; } code { font-size: .95em; }
summary { cursor: pointer; } @media (max-width: 50rem) { .pair { grid-template-columns: 1fr; } }
"""


@dataclass(frozen=True, slots=True)
class ShownFault:
    """One example: the record's id, which of its texts, what is wrong, and both texts in pieces."""

    id: str
    name: str
    detail: str
    source: Pieces
    translation: Pieces


@dataclass(frozen=True)
class AuditPage:
    """What a page shows.

    - title: what was audited; facts: sentences about the whole.
    - records: how many were judged; reasons: how many of them are at fault, for each reason.
    - runs, scores: rows of a table each, the first one with the heads of its columns.
    - examples: by reason.
    """

    title: str
    facts: Sequence[str]
    records: int
    reasons: Mapping[str, int]
    runs: Sequence[Sequence[str]] = ()
    scores: Sequence[Sequence[str]] = ()
    examples: Mapping[str, Sequence[ShownFault]] = field(default_factory=dict)

    def html(self) -> str:
        """Return the page."""
        reasons = sorted(self.reasons, key=lambda reason: (-self.reasons[reason], reason))
        parts = [
            f"<h1>{text(self.title)}</h1>",
            *(f"<p>{text(fact)}</p>" for fact in self.facts),
            *(("<h2>Reasons</h2>", self._counts(reasons)) if reasons else ()),
            *(("<h2>Runs of faults</h2>", table(self.runs)) if self.runs else ()),
            *(("<h2>Scores</h2>", table(self.scores)) if self.scores else ()),
            *(self._examples(reason) for reason in reasons if self.examples.get(reason)),
        ]
        body = "\n".join(parts)
        return document(self.title, body, style=_STYLE)

    def _counts(self, reasons: Sequence[str]) -> str:
        most = max(self.reasons.values(), default=1)
        rows = [
            f'<tr><td><a href="#{_anchor(reasons, reason)}">{text(reason)}</a>'
            f'<td class="figure">{self.reasons[reason]:,}<td class="figure">{self.reasons[reason] / self.records:.1%}'
            f'<td style="width: 40%"><span class="bar" style="width: {100 * self.reasons[reason] / most:.1f}%"></span>'
            for reason in reasons
        ]
        head = '<tr><th>reason<th class="figure">records<th class="figure">of all<th>'
        return f"<table>{head}{''.join(rows)}</table>"

    def _examples(self, reason: str) -> str:
        reasons = sorted(self.reasons, key=lambda reason: (-self.reasons[reason], reason))
        shown, total = self.examples[reason], self.reasons[reason]
        count = f"{len(shown):,} of {total:,}" if len(shown) < total else f"{total:,}"
        items = "".join(map(_example, shown))
        return (
            f'<h2 id="{_anchor(reasons, reason)}">{text(reason)}</h2>'
            f"<details open><summary>{count} shown</summary>{items}</details>"
        )


def _example(fault: ShownFault) -> str:
    where = f" · {text(fault.name)}" if fault.name else ""
    detail = f"<p>{text(fault.detail)}</p>" if fault.detail else ""
    both = (fault.source, fault.translation)
    texts = "".join(f'<div class="text" dir="auto">{_marked(pieces)}</div>' for pieces in both)
    pair = f'<div class="pair">{texts}</div>' if fault.source or fault.translation else ""
    return f'<div class="example"><p><code>{text(fault.id)}</code>{where}</p>{detail}{pair}</div>'


def _marked(pieces: Pieces) -> str:
    return "".join(f"<mark>{_lines(words)}</mark>" if mark else _lines(words) for words, mark in pieces)


def _anchor(reasons: Sequence[str], reason: str) -> str:
    return f"reason-{list(reasons).index(reason) + 1}"


def _lines(words: str) -> str:
    return escape(printable(words))
