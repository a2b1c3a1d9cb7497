"""Tables of benchmarks: the paper's from its published results, and what a layout of one's own can say."""

import csv
import io
import json

import pytest

from latxa_cli.report.tables.benchmarks import BenchmarkTable
from latxa_cli.report.tables.layouts import layouts
from latxa_cli.report.tables.results import Results
from latxa_cli.stream.errors import LatxaError, UsageError

FILE = """
scores = ["acc,none", "exact_match,letter"]
[tasks.one]
category = "easy"
[tasks.two]
category = "hard"
[tasks.text]
scores = ["bits_per_byte"]
in_mean = false
"""


def result(model, task, value, metric="acc", **more):
    return {"model": model, "task": task, "metric": metric, "value": value, **more}


@pytest.fixture
def layout(tmp_path):
    """A function that makes a layout of the text of a file."""

    def make(text=FILE):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return layouts([str(path)])[0]

    return make


def table_of(layout, *records):
    results = Results()
    list(results.add(records))
    return BenchmarkTable(layout, results)


def rows_of(table):
    return {row.name: row for row in table.rows}


def csv_of(text):
    return list(csv.DictReader(io.StringIO(text)))


# --- the paper's tables


def test_the_papers_basque_table_is_made_of_its_result_files(latxa, shared_reference):
    done = latxa("report", shared_reference / "eval" / "native", "--table", "basque", "--format", "csv")
    expected = (shared_reference / "eval" / "expected_eu.csv").read_text()
    assert done.returncode == 0, done.stderr
    rows, wanted = csv_of(done.stdout.decode()), csv_of(expected)
    columns = expected.split("\n", 1)[0].split(",")
    assert list(rows[0])[: len(columns)] == columns
    assert [{name: row[name] for name in columns} for row in rows] == wanted, "to the digit"
    assert [row["rank"] for row in rows] == ["4", "3", "2", "2", "2", "4", "4", "1", ""]
    assert rows[-1]["tasks"] == "8" and "mean over 8 of 14 tasks" in rows[-1]["notes"]
    [instructed] = [row for row in rows if row["model"] == "2_000"]
    assert "a space before choices, others nothing" in instructed["notes"]
    assert "arc_eu_easy" not in instructed["notes"], "scored with the new delimiter"


@pytest.mark.parametrize(("table", "language"), [("basque", "EU"), ("english", "EN"), ("spanish", "ES")])
def test_published_models_have_the_papers_values(latxa, shared_reference, table, language):
    """Of 18 models in three languages, against values that were published elsewhere, by the names of their rows."""
    done = latxa("report", "--baselines", "published", "--table", table, "--format", "csv")
    rows = {row["row_label"]: row for row in csv_of(done.stdout.decode())}
    arena = shared_reference / "arena" / "ebaluatoia_benchmark_correlation.json"
    models = json.loads(arena.read_bytes())["models"]
    bias = {"bbq", "basqbbq"}
    compared = 0
    for label, entry in models.items():
        for name, value in entry["tasks"].items():
            of, _, task = name.partition("/")
            if of == language and task not in bias:
                assert float(rows[label][task]) == pytest.approx(value, abs=0.0100001), (label, task)
                compared += 1
    assert compared == 18 * {"EU": 14, "EN": 9, "ES": 4}[language]


def test_a_model_of_ones_own_is_one_more_row(latxa, tmp_path):
    tasks = [task.name for task in layouts(["spanish"])[0].tasks]
    mine = [result("my_model", task, 0.9, "exact_match", filter="flexible-extract" if "mgsm" in task else "letter")
            for task in tasks]  # fmt: skip
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(record) + "\n" for record in mine))
    done = latxa("report", "r.jsonl", "--baselines", "published", "--table", "spanish", "--format", "csv", cwd=tmp_path)
    rows = csv_of(done.stdout.decode())
    assert [row["model"] for row in rows[-1:]] == ["my_model"]
    assert (rows[-1]["row_label"], rows[-1]["rank"], rows[-1]["mean"]) == ("my_model", "1", "90.00")
    assert len(rows) > 20 and "exact_match (letter), others acc" in rows[-1]["notes"]


# --- rows


def test_rows_are_named_by_codes_and_variants_that_equal_others_are_copies(layout):
    table = table_of(
        layout(),
        result("zebra", "one", 0.1), result("exp_2_101", "one", 0.2), result("Llama-3.1-8B-Instruct", "one", 0.3),
        result("some", "one", 0.4, variant="exp_0_010"), result("gpt-4o-2024-11-20", "one", 0.5),
    )  # fmt: skip
    assert [row.name for row in table.rows] == ["0_001", "0_010", "2_000", "2_001", "2_101", "GPT-4o", "zebra"]
    rows = rows_of(table)
    assert rows["0_001"].cells is not None and rows["0_001"].mean == rows["2_000"].mean == pytest.approx(30)
    assert (rows["0_001"].same_as, rows["2_000"].same_as) == ("2_000", "")
    text = table.tables()[0].text("latex")
    assert r"2\_101 & INS\textsubscript{\,EN}\,C\textsubscript{\,EU}\,I\textsubscript{\,EN} &" in text


def test_a_variant_that_was_trained_after_all_is_no_copy(layout):
    table = table_of(layout(), result("exp_2_000", "one", 0.1), result("exp_2_001", "one", 0.2))
    assert rows_of(table)["2_001"].mean == pytest.approx(20) and rows_of(table)["2_001"].same_as == ""


def test_two_models_of_one_code_have_rows_of_their_own(layout):
    table = table_of(
        layout(),
        result("exp_2_101", "one", 0.1, path="HiTZ/it@exp_2_101"), result("exp_2_101", "one", 0.2, path="runs/mine"),
    )  # fmt: skip
    assert {row.name: row.mean for row in table.rows} == pytest.approx({
        "2_101 (it@exp_2_101)": 10, "2_101 (mine)": 20,
    })  # fmt: skip


def test_a_model_that_was_asked_in_two_ways_has_two_rows(layout):
    table = table_of(
        layout(),
        *(result("m", task, 0.1, chat=False) for task in ("one", "two")),
        *(result("m", task, 0.2, chat=True) for task in ("one", "two")),
        *(result("n", task, 0.3, chat=True) for task in ("one", "two")),
    )
    assert {row.name: row.mean for row in table.rows} == pytest.approx({"m, plain": 10, "m, chat": 20, "n": 30})
    assert table.tables()[0].texts[0][0]["model"] == "m, chat"
    [plain] = [row for row in table.tables()[0].texts[0] if row["model"].startswith("m, plain")]
    assert plain["model"] == "m, plain [a]", "said once of the whole row"


# --- what counts


def test_a_row_that_lacks_tasks_is_marked_and_takes_no_rank(layout):
    table = table_of(
        layout(), result("a", "one", 0.9), result("b", "one", 0.5), result("b", "two", 0.5), result("c", "one", 0.1),
        result("c", "two", 0.2), result("c", "text", 1.25, "bits_per_byte"),
    )  # fmt: skip
    rows = rows_of(table)
    assert {name: (row.rank, round(row.mean, 9)) for name, row in rows.items()} == {
        "a": (None, 90), "b": (1, 50), "c": (2, 15),
    }  # fmt: skip
    shown = table.tables()[0]
    assert shown.texts[0][0]["mean ↑"] == "90.00 [a]" and shown.notes[0].startswith("[a] mean over 1 of 2 tasks")
    assert "text bits" not in shown.texts[1] and "text ↓" in shown.texts[1]
    for layout_name in ("markdown", "latex", "html", "table"):
        assert "mean over 1 of 2 tasks" in shown.text(layout_name)
    assert [record["tasks"] for record in shown.records] == [1, 2, 2]
    assert shown.figures[0][0]["two"] == "NaN" and shown.figures[0][2]["text"] == "1.25"
    categories = table.tables()[1]
    assert categories.texts == (
        [
            {"model": "a", "easy ↑": "90.00", "hard ↑": None},
            {"model": "b", "easy ↑": "50.00", "hard ↑": "50.00"},
            {"model": "c", "easy ↑": "10.00", "hard ↑": "20.00"},
        ],
        ["model", "easy ↑", "hard ↑"],
    )


def test_equal_means_have_one_rank_and_copies_take_none_away(layout):
    table = table_of(layout(), *(result(model, task, value) for task in ("one", "two") for model, value in
                                 (("exp_2_000", 0.5), ("a", 0.5), ("b", 0.25))))  # fmt: skip
    assert {row.name: row.rank for row in table.rows} == {"0_001": 1, "2_000": 1, "2_001": 1, "a": 1, "b": 3}


def test_the_first_score_that_a_model_has_is_shown_and_another_one_marked(layout):
    table = table_of(
        layout(), result("a", "one", 0.1, "acc_norm"), result("a", "one", 0.2, "exact_match", filter="letter"),
        result("b", "one", 0.3, "exact_match", filter="letter"), result("b", "one", 0.4, filter="none"),
        result("c", "one", 0.5),
    )  # fmt: skip
    assert {name: row.cells["one"].value for name, row in rows_of(table).items()} == pytest.approx(
        {"a": 20, "b": 40, "c": 50}
    )
    assert list(rows_of(table)["a"].cells["one"].notes) == ["exact_match (letter), others acc"]


def test_unlike_values_of_one_result_are_marked(layout):
    table = table_of(layout(), result("a", "one", 0.5), result("a", "one", 0.5), result("a", "one", 0.25))
    assert list(rows_of(table)["a"].cells["one"].notes) == [
        "measured again with another value: 0.5 is shown, 0.25 is not"
    ]


def test_tasks_may_be_called_as_columns_are(layout):
    names = ("model", "mean", "rank", "row_label", "data", "tasks", "notes")
    table = table_of(
        layout("".join(f"[tasks.{name}]\n" for name in names)), *(result("m", name, 0.5) for name in names)
    )
    [shown] = table.tables()
    for rows, columns in (shown.figures, shown.texts):
        assert len({*columns}) == len(columns) and rows[0]["model"] == "m"
    assert shown.figures[0][0]["mean (task)"] == "50.00" and shown.records[0]["results"].keys() == {*names}


# --- layouts


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "`tasks` is empty"),
        ("tasks = 3", "`tasks` is not a table"),
        ("[tasks.one]\ncategroy = 'x'", "there is no setting `tasks.one.categroy`: did you mean `category`?"),
        ("tiltle = 'x'\n[tasks.one]", "there is no setting `tiltle`"),
        ("[tasks.one]\nscores = ['perplexity,none']", "`perplexity` is no share"),
        ("[tasks.one]\nscores = [',none']", "`tasks.one.scores` is not a list of `metric,filter`"),
        ("[tasks.one]\nin_mean = 1", "`tasks.one.in_mean` is not true or false"),
        ("names = {m = 1}\n[tasks.one]", "`names.m` is not a string"),
        ("[tasks", "is not TOML"),
    ],
)
def test_a_file_with_something_else_is_refused_in_one_line(layout, text, problem):
    with pytest.raises(LatxaError) as error:
        layout(text)
    assert problem in f"{error.value.message} {error.value.hint}" and "mine.toml" in error.value.message


def test_a_table_that_there_is_not():
    with pytest.raises(UsageError, match="there is no table `basqe`") as error:
        layouts(["basqe"])
    assert "`basque`" in error.value.hint


def test_a_table_without_any_of_its_tasks_says_what_it_looks_for(layout):
    with pytest.raises(LatxaError, match="none of its tasks: the results are of `three`") as error:
        table_of(layout(), result("m", "three", 0.5))
    assert "`one`, `two`, `text`" in error.value.hint


def test_words_of_a_file_name_rows_and_explain_notes(layout):
    text = FILE + '[names]\nm = "exp_2_111"\nn = "Nice"\n[labels]\nNice = "A_B"\n[remarks]\nchat = "so it is"\n'
    table = table_of(
        layout(text), result("m", "one", 0.1, chat=True), result("n", "one", 0.2, chat=False),
        result("o_p", "one", 0.3, chat=True),
    )  # fmt: skip
    assert [row.name for row in table.rows] == ["2_111", "Nice", "o_p"]
    latex = table.tables()[0].text("latex")
    assert r"A\textsubscript{\,B}" in latex and r"o\_p & - &" in latex
    assert any(note.endswith("others through a chat template: so it is") for note in table.tables()[0].notes)


def test_a_copy_takes_no_name_of_a_model(layout):
    table = table_of(layout(), result("exp_2_000", "one", 0.1), result("0_001", "one", 0.2))
    assert sorted(row.name for row in table.rows) == ["0_001", "2_000", "2_001"]
    assert rows_of(table)["0_001"].mean == pytest.approx(20) and rows_of(table)["0_001"].code == ""


def test_no_input_is_no_error_and_records_without_results_are(latxa, tmp_path):
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "ratings.jsonl").write_text('{"model": "m", "rating": 1000}\n')
    for layout_name in ("table", "csv", "jsonl", "latex"):
        done = latxa("report", "empty.jsonl", "--table", "basque", "--format", layout_name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, b""), layout_name
    done = latxa("report", "ratings.jsonl", "--table", "basque", cwd=tmp_path)
    assert done.returncode == 1 and b"has none of its tasks: there are no results" in done.stderr
