"""The page of an audit: one HTML file with counts by reason, where faults lie, and examples side by side.

Texts of models and ids are untrusted: all is escaped, control characters are replaced, each text has its own direction
of writing, and the page may load and run nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

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
            f"<h1>{_text(self.title)}</h1>",
            *(f"<p>{_text(fact)}</p>" for fact in self.facts),
            *(("<h2>Reasons</h2>", self._counts(reasons)) if reasons else ()),
            *(("<h2>Runs of faults</h2>", _table(self.runs)) if self.runs else ()),
            *(("<h2>Scores</h2>", _table(self.scores)) if self.scores else ()),
            *(self._examples(reason) for reason in reasons if self.examples.get(reason)),
        ]
        body = "\n".join(parts)
        return (
            '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{_text(self.title)}</title>\n<style>{_STYLE}</style>\n{body}\n</html>\n"
        )

    def _counts(self, reasons: Sequence[str]) -> str:
        most = max(self.reasons.values(), default=1)
        rows = [
            f'<tr><td><a href="#{_anchor(reasons, reason)}">{_text(reason)}</a>'
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
            f'<h2 id="{_anchor(reasons, reason)}">{_text(reason)}</h2>'
            f"<details open><summary>{count} shown</summary>{items}</details>"
        )


def _example(fault: ShownFault) -> str:
    where = f" · {_text(fault.name)}" if fault.name else ""
    detail = f"<p>{_text(fault.detail)}</p>" if fault.detail else ""
    both = (fault.source, fault.translation)
    texts = "".join(f'<div class="text" dir="auto">{_marked(pieces)}</div>' for pieces in both)
    pair = f'<div class="pair">{texts}</div>' if fault.source or fault.translation else ""
    return f'<div class="example"><p><code>{_text(fault.id)}</code>{where}</p>{detail}{pair}</div>'


def _marked(pieces: Pieces) -> str:
    return "".join(f"<mark>{_lines(text)}</mark>" if mark else _lines(text) for text, mark in pieces)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = ["".join(f"<th>{_text(cell)}" for cell in head)]
    lines += ["".join(f"<td>{_text(cell)}" for cell in row) for row in body]
    return "<table>" + "".join(f"<tr>{line}" for line in lines) + "</table>"


def _anchor(reasons: Sequence[str], reason: str) -> str:
    return f"reason-{list(reasons).index(reason) + 1}"


def _text(text: str) -> str:
    """Return a text on one line for HTML, in its own direction of writing."""
    return f"<bdi>{escape(_printable(' '.join(text.split())))}</bdi>"


def _lines(text: str) -> str:
    return escape(_printable(text))


def _printable(text: str) -> str:
    """Return a text in which characters that cannot be seen, such as those that reverse it, are replaced."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)
