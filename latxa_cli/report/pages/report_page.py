"""The page of a report: one HTML file with tables, figures, and the items that models did not answer alike.

`latxa report results.jsonl answers.jsonl --html report.html`
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from latxa_cli.report.pages.answers import Answers
from latxa_cli.report.pages.shell import document, printable, text
from latxa_cli.report.plots.gallery import gallery

if TYPE_CHECKING:
    from latxa_cli.report.report import Report
    from latxa_cli.report.tables.table import Table

_COMMENT = re.compile(r"<!--.*?-->|<\?xml.*?\?>|<!DOCTYPE[^>]*>|<metadata>.*?</metadata>", re.DOTALL)
TITLES = {
    "losses": "Losses",
    "battles": "Battles",
    "ratings": "Ratings",
    "differences": "Differences between models",
    "funnel": "Documents of the corpus",
    "results": "Results",
    "tradeoff": "Means by language, of models and their baselines",
    "factors": "What each factor does",
    "correlations": "Rank correlations",
}
_BROWSER = """<p id="unlike" class="said" role="status" hidden></p><p id="failed" class="said" role="alert" hidden></p>
<noscript><p class="said">The items need JavaScript; tables and figures do not.</p></noscript>
<form id="browse" hidden>
<label>Model A <select id="model-a"></select></label>
<label>Model B <select id="model-b"></select></label>
<label>Task <select id="task"></select></label>
<label>Show <select id="kind"></select></label>
<label>With these words <input id="words" type="search" autocomplete="off"></label>
</form>
<div id="tasks" class="scroll" role="region" aria-label="Tasks" tabindex="0"></div>
<p>Keys: <kbd>n</kbd> next page, <kbd>p</kbd> page before, <kbd>/</kbd> words.</p>
"""
_PAGES = """<div class="pages"><button type="button" id="before-{0}">← before</button>
<span id="where-{0}"{1}></span><button type="button" id="after-{0}">next →</button></div>
"""


@dataclass(frozen=True)
class ReportPage:
    """What a page shows.

    - facts: sentences about the whole.
    - tables: HTML of a table, by its title; figures: SVG, by their titles.
    - answers: what can be browsed.
    """

    title: str
    facts: Sequence[str] = ()
    tables: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, bytes] = field(default_factory=dict)
    answers: Answers | None = None

    def html(self) -> str:
        """Return the page."""
        sections = dict(self._sections())
        links = "".join(f'<a href="#{_anchor(title)}">{text(title)}</a>' for title in sections)
        parts = [f"<main><h1>{text(self.title)}</h1>", *(f"<p>{text(fact)}</p>" for fact in self.facts)]
        parts += [f"<nav>{links}</nav>"] if len(sections) > 1 else []
        for title, body in sections.items():
            parts += [f'<h2 id="{_anchor(title)}">{text(title)}</h2>', body]
        script = _asset("browse.js") if "Items" in sections else ""
        return document(
            self.title, "\n".join([*parts, "</main>"]), style=_asset("report.css"), script=script, images=True
        )

    def _sections(self) -> Iterator[tuple[str, str]]:
        for title, table in self.tables.items():
            yield title, f'<div class="scroll" role="region" aria-label="{_label(title)}" tabindex="0">{table}</div>'
        if self.figures:
            yield "Figures", "\n".join(_figure(title, drawing) for title, drawing in self.figures.items())
        if self.answers is not None and self.answers.count:
            top, bottom = _PAGES.format("top", ' aria-live="polite"'), _PAGES.format("bottom", "")
            names = ["outline", *(f"task-{number}" for number in range(len(self.answers.tasks)))]
            data = (
                f'<script type="application/octet-stream" id="{name}">{blob}</script>'
                for name, blob in zip(names, self.answers.blobs(), strict=True)
            )
            yield "Items", "\n".join([_BROWSER, top, '<div id="list"></div>', bottom, *data])


def page_of(report: Report, tables: Sequence[Table]) -> str:
    """Return the page of a report and its tables, with all figures; with none where matplotlib is missing."""
    shown = {table.title: table.text("html") for table in tables if table.texts[0]}
    models = len(report.table.models())
    answers = report.answers
    facts = [f"{models:,} models."] if models else []
    if answers is not None and answers.count:
        items = sum(len(task.places) for task in answers.tasks.values())
        facts.append(f"{answers.count:,} answers to {items:,} items.")
    figures = gallery(report) if find_spec("matplotlib") else {}
    drawn = {TITLES[name]: draw("svg") for name, draw in figures.items()}
    return ReportPage("Report", facts, shown, drawn, answers).html()


def _figure(title: str, drawing: bytes) -> str:
    """Return an SVG as a part of the page, without the comments in which names stand."""
    svg = _COMMENT.sub("", drawing.decode()).strip()
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{_label(title)}" ', 1)
    return f'<figure><figcaption>{text(title)}</figcaption><div class="drawing">{svg}</div></figure>'


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z]+", "-", title.lower())


def _label(title: str) -> str:
    return escape(printable(title))


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
