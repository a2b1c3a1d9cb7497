"""Rows as text: tables, CSV, Markdown, LaTeX and HTML, whatever names they hold."""

import json
from html.parser import HTMLParser

import pytest

from latxa_cli.stream.display import render

ROWS = [{"model": "a", "rating": 1000.04, "lower": None}, {"model": "a longer name", "rating": 990.0, "lower": 980.0}]
COLUMNS = ["model", "rating", "lower"]


def test_a_table_is_aligned_and_shows_what_is_missing():
    assert render(ROWS, COLUMNS, "table").split("\n") == [
        "model          rating  lower",
        "a              1000.0      -",
        "a longer name   990.0  980.0",
        "",
    ]


def test_a_column_stands_at_the_right_where_all_of_it_is_figures():
    rows = [{"a": 1, "b": "1", "c": "1000 votes", "d": float("nan")}, {"a": 2.5, "b": "one", "c": "2", "d": 2}]
    table = render(rows, ["a", "b", "c", "d"], "latex")
    assert table.startswith(r"\begin{tabular}{rllr}")
    assert r"1 & 1 & 1000 votes & - \\" in table


def test_ranges_and_infinities_stand_at_the_right():
    text = render(
        [{"model": "a", "ranks": "1–12", "upper": float("inf")}, {"model": "b", "ranks": "2"}],
        ["ranks", "upper"],
        "latex",
    )
    assert text.startswith(r"\begin{tabular}{rr}")


def test_markdown_csv_and_jsonl():
    assert render(ROWS, COLUMNS, "markdown") == (
        "| model | rating | lower |\n| --- | ---: | ---: |\n| a | 1000.0 | - |\n| a longer name | 990.0 | 980.0 |\n"
    )
    assert render(ROWS, COLUMNS, "csv") == "model,rating,lower\na,1000.04,\na longer name,990.0,980.0\n"
    assert [json.loads(line) for line in render(ROWS, COLUMNS, "jsonl").splitlines()] == ROWS


def test_latex_has_rules_and_numbers_at_the_right():
    assert render(ROWS, COLUMNS, "latex") == (
        "\\begin{tabular}{lrr}\n\\toprule\nmodel & rating & lower \\\\\n\\midrule\n"
        "a & 1000.0 & - \\\\\na longer name & 990.0 & 980.0 \\\\\n\\bottomrule\n\\end{tabular}\n"
    )
    assert r"50.0 $\pm$ 1.0 \\" in render([{"arc": "50.0 ± 1.0"}], ["arc"], "latex")


# What each character of a hostile name has to become, so that TeX sets it and does nothing else.
LATEX = {
    'say "hi"': r"say {\char34}hi{\char34}",
    r"\input{/etc/passwd}": r"\textbackslash{}input\{/etc/passwd\}",
    "50% $x_1$ & #2": r"50\% \$x\_1\$ \& \#2",
    "[2em]": "{[}2em{]}",  # `\\` and `\toprule` would take it for a length
    "*": "{*}",
    "~^<>|": r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}",
    "a--b ``c''": r"a-{}-b \textasciigrave{}\textasciigrave{}c'{}'",
    "exp_2_111": r"exp\_2\_111",
}


@pytest.mark.parametrize("name", LATEX)
def test_latex_sets_names_as_they_are(name):
    text = render([{name: name}], [name], "latex")
    assert [line for line in text.split("\n") if line.endswith(r" \\")] == [LATEX[name] + r" \\"] * 2


class Reader(HTMLParser):
    """Reads a table: the tags in order, and the text of each cell."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if data.strip():
            self.cells.append(data)


def test_html_is_a_table_whose_headers_name_rows_and_columns():
    table = Reader(render([{"rank": 1} | ROWS[0], {"rank": 2} | ROWS[1]], ["rank", *COLUMNS], "html"))
    assert table.cells == [
        "rank", "model", "rating", "lower", "1", "a", "1000.0", "-", "2", "a longer name", "990.0", "980.0",
    ]  # fmt: skip
    headers = [attributes["scope"] for tag, attributes in table.tags if tag == "th"]
    assert headers == ["col"] * 4 + ["row"] * 2
    assert sum("right" in attributes.get("style", "") for _, attributes in table.tags) == 9


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", 'a" onload="x', "&lt;b&gt;", "</td></table><b>", "{{x}}"]
)
def test_html_shows_names_as_they_are(name):
    table = Reader(render([{name: name}], [name], "html"))
    assert "".join(table.cells) == name * 2
    assert {tag for tag, _ in table.tags} == {"table", "thead", "tbody", "tr", "th"}


@pytest.mark.parametrize("layout", ["table", "markdown", "csv", "latex", "html"])
@pytest.mark.parametrize("harm", ["\x1b[31m", "\x9b31m", "\n", "\r", "\u202e", "\u2028", "\x00", "\x08"])
def test_names_command_no_terminal_and_break_no_line(layout, harm):
    text = render([{f"model{harm}": f"good{harm}bad"}], [f"model{harm}"], layout)
    assert "good" in text and "bad" in text
    assert harm.strip("\n") not in text or harm == "\n"
    assert len(text.split("\n")) == len(render([{"model": "good bad"}], ["model"], layout).split("\n"))


def test_names_are_not_markup():
    assert "[bold]x[/bold]" in render([{"model": "[bold]x[/bold]"}], ["model"], "table")
    line = render([{"model": "a|b_c *d* _e_ <i>"}], ["model"], "markdown").split("\n")[2]
    assert line == r"| a\|b_c \*d\* \_e\_ \<i\> |"
    assert render([{"model": "__init__ a__b"}], ["model"], "markdown").split("\n")[2] == r"| \_\_init\_\_ a\_\_b |"


def test_a_wide_table_is_not_cut():
    columns = [f"task number {number}" for number in range(60)]
    text = render([dict.fromkeys(columns, "12.3 ± 4.5")], columns, "table")
    assert len(text.splitlines()) == 2
    assert "task number 59" in text
