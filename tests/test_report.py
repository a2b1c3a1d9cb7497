"""The report's pivot, and rows as tables, CSV, Markdown, LaTeX and HTML."""

import csv
import io
import json
from html.parser import HTMLParser

import pytest

from latxa_cli.evaluation.tables import Pivot
from latxa_cli.stream.table import render


def result(model, task, value, metric="acc", stderr=0.01, **more):
    return {"model": model, "task": task, "metric": metric, "value": value, "stderr": stderr, "n": 100, **more}


def rating(model, value, **more):
    return {"model": model, "rating": value, "lower": value - 10, "upper": value + 10, "rank": 1, "battles": 5, **more}


def pivot_of(*records):
    pivot = Pivot()
    assert list(pivot.add(records)) == []
    return pivot


def test_a_row_a_model_and_a_column_a_task():
    rows, columns = pivot_of(result("m", "arc", 0.5), result("n", "arc", 0.25), result("m", "belebele", 0.75)).texts()
    assert columns == ["model", "arc", "belebele"]
    assert rows == [
        {"model": "m", "arc": "50.0 ± 1.0", "belebele": "75.0 ± 1.0"},
        {"model": "n", "arc": "25.0 ± 1.0"},
    ]


def test_only_shares_are_percentages_and_a_missing_error_is_left_out():
    rows, _ = pivot_of(
        result("m", "text", 12.3456, "bits_per_byte", None), result("m", "qa", 0.5, "exact_match")
    ).texts()
    assert rows == [{"model": "m", "text": "12.346", "qa": "50.0 ± 1.0"}]


def test_variants_of_a_task_have_columns_named_by_what_differs():
    pivot = pivot_of(
        result("m", "arc", 0.1, num_fewshot=0),
        result("m", "arc", 0.2, num_fewshot=5),
        result("m", "arc", 0.3, "acc_norm", num_fewshot=5),
        result("m", "xnli", 0.4, num_fewshot=5),
    )
    assert pivot.texts()[1] == ["model", "arc acc 0-shot", "arc acc 5-shot", "arc acc_norm 5-shot", "xnli"]


def test_a_filter_or_a_language_that_differs_is_named_and_one_that_is_not_known_is_left_out():
    pivot = pivot_of(
        result("m", "mgsm", 0.1, "exact_match", filter="strict-match", language="eu"),
        result("m", "mgsm", 0.2, "exact_match", filter="flexible-extract", language="eu"),
        result("m", "mgsm", 0.3, "exact_match", filter="flexible-extract", language="es"),
        result("m", "mgsm", 0.4, "exact_match", language="es"),
        result("m", "arc", 0.5, filter="none", language="eu"),
    )
    assert pivot.texts()[1] == [
        "model", "mgsm strict-match eu", "mgsm flexible-extract eu", "mgsm flexible-extract es", "mgsm es", "arc",
    ]  # fmt: skip
    with_shots = pivot_of(result("m", "arc", 0.1), result("m", "arc", 0.2, num_fewshot=0))
    assert with_shots.texts()[1] == ["model", "arc", "arc 0-shot"]


def test_the_first_board_orders_the_models_and_the_rated_come_before_the_rest():
    pivot = pivot_of(
        result("x", "arc", 0.5), rating("m", 990.0), rating("n", 1010.0),
        rating("m", 1500.0, criterion="winner_language"), rating("y", 2000.0, criterion="winner_language"),
        rating("n", 500.0, criterion="winner_language"), result("m", "arc", 0.1),
    )  # fmt: skip
    assert pivot.models() == ["n", "m", "y", "x"]
    assert [row["model"] for row in pivot.rows()] == ["n", "m", "y", "x"]


def test_ratings_with_ties_counted_in_another_way_are_a_board_of_their_own():
    pivot = pivot_of(
        rating("m", 990.0), rating("m", 980.0, ties_as="half"), rating("m", 970.0, ties_as="half", island=2)
    )
    assert list(pivot.by_board()) == ["winner", "ties half", "ties half island 2"]


def test_a_rating_that_is_not_known_is_shown_as_missing_and_comes_last():
    unknown = {"model": "u", "rating": None, "infinite": "unknown", "lower": None, "upper": None}
    pivot = pivot_of({"model": "l", "rating": None, "infinite": "below"}, unknown, rating("m", 990.0))
    rows, columns = pivot.texts()
    assert render(rows, columns, "csv") == "model,rating\nm,990.0\nl,-inf\nu,\n"
    assert [line.split()[1] for line in render(rows, columns, "table").split("\n")[1:-1]] == ["990.0", "-∞", "-"]


def test_ratings_are_a_column_and_order_the_models():
    pivot = pivot_of(result("m", "arc", 0.5), rating("m", 990.0), rating("n", 1010.0), result("o", "arc", 0.1))
    rows, columns = pivot.texts()
    assert columns == ["model", "rating", "arc"]
    assert [row["model"] for row in rows] == ["n", "m", "o"]
    two = pivot_of(rating("m", 990.0), rating("m", 980.0, criterion="winner_language"), rating("m", 970.0, group="eu"))
    assert two.texts()[1] == ["model", "rating", "winner_language rating", "eu rating"]


def test_groups_and_islands_are_boards_of_their_own():
    pivot = pivot_of(
        rating("m", 990.0, group={"user_language": "C1-C2"}),
        rating("m", 980.0, criterion="winner_content", group={"user_language": "C1-C2", "month": 3}),
        rating("m", 970.0, island=1),
        rating("n", 970.0, island=2),
    )
    boards = ["user_language C1-C2", "winner_content user_language C1-C2 month 3", "island 1", "island 2"]
    assert pivot.texts()[1] == ["model", *(f"{board} rating" for board in boards)]
    assert {board: [record["model"] for record in records] for board, records in pivot.by_board().items()} == dict(
        zip(boards, [["m"], ["m"], ["m"], ["n"]], strict=True)
    )


def test_infinite_ratings_come_first_and_last():
    winless = {"model": "winless", "rating": None, "infinite": "below", "lower": None, "upper": 900.0}
    unbeaten = {"model": "unbeaten", "rating": None, "infinite": "above", "lower": 1100.0, "upper": None}
    pivot = pivot_of(winless, result("other", "arc", 0.5), rating("m", 990.0), unbeaten)
    rows, columns = pivot.texts()
    assert render(rows, columns[:2], "csv") == "model,rating\nunbeaten,inf\nm,990.0\nwinless,-inf\nother,\n"
    table = render(rows, columns[:2], "table").split("\n")
    assert [line.split() for line in table[1:-1]] == [
        ["unbeaten", "∞"],
        ["m", "990.0"],
        ["winless", "-∞"],
        ["other", "-"],
    ]
    assert r"unbeaten & $\infty$ \\" in render(rows, columns[:2], "latex")


def test_rows_for_programs_keep_what_was_measured():
    [row] = pivot_of(result("m", "arc", 0.123456), rating("m", 990.5)).rows()
    assert row["results"]["arc"] == {"value": 0.123456, "stderr": 0.01, "n": 100, "metric": "acc"}
    assert row["ratings"]["winner"] == {"rating": 990.5, "lower": 980.5, "upper": 1000.5, "rank": 1, "battles": 5}
    rows, columns = pivot_of(result("m", "arc", 0.123456), rating("m", 990.5)).figures()
    assert columns == ["model", "rating", "lower", "upper", "arc", "arc stderr"]
    assert list(csv.DictReader(io.StringIO(render(rows, columns, "csv")))) == [
        {"model": "m", "rating": "990.5", "lower": "980.5", "upper": "1000.5", "arc": "0.123456", "arc stderr": "0.01"}
    ]


def test_what_comes_twice_or_is_no_number_is_rejected():
    pivot = Pivot()
    records = [
        result("m", "arc", 0.5), result("m", "arc", 0.6), rating("m", 1000.0), rating("m", 1000.0),
        result("m", "xnli", float("nan")),
    ]  # fmt: skip
    rejects = list(pivot.add(records))
    assert [reject.reason for reject in rejects] == ["repeated result", "repeated rating", "no finite value"]
    for value in (float("inf"), float("nan")):
        [reject] = pivot.add([rating("x", value)])
        assert reject.reason == "no finite value"
    assert "x" not in pivot.models()
    assert pivot.rows()[0]["results"]["arc"]["value"] == 0.5


def test_a_task_called_model_does_not_hide_the_model():
    rows, columns = pivot_of(result("m", "model", 0.5), result("m", "rating", 0.5), rating("m", 990.0)).texts()
    assert columns == ["model", "rating", "model (task)", "rating (task)"]
    assert rows[0]["model"] == "m"
    rows, columns = pivot_of(result("m", "model", 0.5), result("m", "model (task)", 0.25)).texts()
    assert columns == ["model", "model (task)", "model (task) (task)"]
    assert [rows[0][column] for column in columns] == ["m", "50.0 ± 1.0", "25.0 ± 1.0"]


def test_an_error_that_is_no_finite_number_is_left_out():
    for stderr in (float("nan"), float("inf"), None):
        assert pivot_of(result("m", "arc", 0.5, stderr=stderr)).texts()[0] == [{"model": "m", "arc": "50.0"}]


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
