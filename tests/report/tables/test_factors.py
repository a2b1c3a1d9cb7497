"""What each factor does and what a language costs: the paper's numbers, and worked examples."""

import json
import math

import pytest
from scipy import stats

from latxa_cli.report.tables.benchmarks import BenchmarkTable
from latxa_cli.report.tables.choice import chosen
from latxa_cli.report.tables.factors import effects, made_of, trade_off
from latxa_cli.report.tables.layouts import layouts
from latxa_cli.report.tables.results import Results
from latxa_cli.stream.errors import LatxaError, UsageError

BASQUE = "language = 'Basque'\n[tasks.one_eu]\nfamily = 'one'\n[tasks.two_eu]\n"
ENGLISH = "language = 'English'\n[tasks.one_en]\nfamily = 'one'\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "eu.toml").write_text(BASQUE)
    (tmp_path / "en.toml").write_text(ENGLISH)
    return [str(tmp_path / "eu.toml"), str(tmp_path / "en.toml")]


def results_of(values, stderr=None):
    """Return the results of {model: value of one_eu, two_eu, one_en}, in per cent."""
    results = Results()
    for model, numbers in values.items():
        for task, number in zip(("one_eu", "two_eu", "one_en"), numbers, strict=True):
            if number is not None:
                record = {"model": model, "task": task, "metric": "acc", "value": number / 100, "stderr": stderr}
                assert list(results.add([record])) == []
    return results


def tables_of(files, values, stderr=None):
    return [BenchmarkTable(layout, results_of(values, stderr)) for layout in layouts(files)]


def effect_of(table, factor, level, name="eu"):
    key = {"factor": factor, "level": level, "table": name}
    [record] = [record for record in table.records if key.items() <= record.items()]
    return record


def test_the_papers_effect_of_the_corpus(latxa, shared_reference):
    done = latxa("report", "--baselines", "published", "--table", "factors")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    of_corpus = [record for record in records if (record["factor"], record["table"]) == ("corpus", "basque")]
    found = {record["level"]: record for record in of_corpus}
    assert [round(found[level]["mean"], 2) for level in ("no", "yes")] == [55.84, 61.56]
    assert [found[level]["models"] for level in ("no", "yes")] == [10, 10], "18 models, and INS_EN under two more codes"
    assert found["yes"]["change"] == pytest.approx(found["yes"]["mean"] - found["no"]["mean"])
    assert (found["yes"]["pairs"], found["yes"]["clusters"]) == (10, 8), "INS_EN stands in three pairs"
    assert found["yes"]["lower"] > 0 and {record["table"] for record in records} == {"basque", "english", "spanish"}


def test_an_effect_is_the_mean_over_pairs_that_differ_in_one_factor(files):
    tables = tables_of(files, {
        "exp_0_010": (10, 20, 50), "exp_0_110": (20, 40, 45),  # 15 more
        "exp_1_010": (10, 10, 50), "exp_1_110": (11, 11, 55),  # 1 more
        "exp_2_010": (20, 20, 50), "exp_2_110": (25, 25, 50),  # 5 more
        "exp_2_011": (99, 99, 99),  # stands in no pair of the corpus
        "exp_1_000": (0, 0, 0),  # follows no instructions
    })  # fmt: skip
    table = effects(tables, made_of(tables[0].rows))
    found = effect_of(table, "corpus", "yes")
    assert (found["models"], found["pairs"], found["clusters"]) == (3, 3, 3)
    assert found["change"] == pytest.approx(7)
    half = stats.t.ppf(0.95, 2) * stats.sem([15, 1, 5])
    assert (found["lower"], found["upper"]) == pytest.approx((7 - half, 7 + half))
    assert effect_of(table, "corpus", "yes", "en")["change"] == pytest.approx(0)
    assert effect_of(table, "corpus", "no")["mean"] == pytest.approx((15 + 10 + 20 + 99) / 4)
    assert effect_of(table, "instructions", "EN+EU")["change"] == pytest.approx(79)
    text = table.text("table")
    assert "+7.00 (" in text and "left out" in text and "1_000" in text.split("left out")[1]


def test_pairs_that_share_a_model_are_one_cluster(files):
    values = {"exp_2_000": (10, 10, 0), "exp_2_100": (20, 20, 0), "exp_2_101": (22, 22, 0), "exp_0_101": (30, 30, 0),
              "exp_1_010": (10, 10, 0), "exp_1_110": (15, 15, 0), "exp_1_011": (10, 10, 0),
              "exp_1_111": (11, 11, 0)}  # fmt: skip
    tables = tables_of(files[:1], values)
    found = effect_of(effects(tables, made_of(tables[0].rows)), "corpus", "yes")
    changes = {"2_000": [10, 12, 20], "1_010": [5], "1_011": [1]}  # 2_000 is 2_001 and 0_001 too
    mean = sum(sum(of) for of in changes.values()) / 5
    error = math.sqrt(3 / 2 * sum(sum(value - mean for value in of) ** 2 for of in changes.values())) / 5
    half = stats.t.ppf(0.95, 2) * error
    assert (found["pairs"], found["clusters"], found["change"]) == (5, 3, pytest.approx(mean))
    assert (found["lower"], found["upper"]) == pytest.approx((mean - half, mean + half))


def test_two_pairs_have_no_interval(files):
    tables = tables_of(files[:1], {"exp_0_010": (1, 1, 0), "exp_0_110": (2, 2, 0), "exp_1_010": (1, 1, 0),
                                   "exp_1_110": (4, 4, 0)})  # fmt: skip
    found = effect_of(effects(tables, made_of(tables[0].rows)), "corpus", "yes")
    assert (found["pairs"], found["change"], found["lower"]) == (2, pytest.approx(2), None)


# --- factors of one's own


def test_factors_of_a_file(files, tmp_path):
    (tmp_path / "made.tsv").write_text(
        "model\tbackbone\tsize of the mix\nmine\tllama\tsmall\nyours\tllama\tlarge\nllama\t\tnone\n"
    )
    values = {"mine": (20, 30, 50), "yours": (40, 50, 40), "llama": (10, 10, 60), "exp_2_101": (1, 1, 1)}
    made, changes = chosen([*files, "factors", "tradeoff"], results_of(values), tmp_path / "made.tsv")[-2:]
    assert effect_of(made, "size of the mix", "large")["from"] == "none", "wherever it stands in the file"
    assert effect_of(made, "size of the mix", "small")["mean"] == pytest.approx(25)
    assert changes.texts[0] == [
        {"model": "mine", "backbone": "llama", "Basque": "+10.00", "Basque, all tasks": "+15.00",
         "English": "-10.00", "English, all tasks": "-10.00"},
        {"model": "yours", "backbone": "llama", "Basque": "+30.00", "Basque, all tasks": "+35.00",
         "English": "-20.00", "English, all tasks": "-20.00"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", ":1: is not `model` and the names of factors"),
        ("model\n", ":1: is not `model`"),
        ("model\ta\ta\n", ":1: is not `model`"),
        ("model\ta\nmine\n", ":2: has 1 cells, and the first line has 2"),
        ("model\ta\nmine\tx\nmine\ty\n", ":3: `mine` stands there twice"),
        ("model\ta\nother\tx\n", "names none of the models"),
        ("model\ta\nmine\tx\n", "all models have the same level of every factor"),
    ],
)
def test_a_file_that_says_nothing_is_refused_in_one_line(files, tmp_path, text, problem):
    (tmp_path / "made.tsv").write_text(text)
    with pytest.raises(LatxaError, match=r"made.tsv|same level") as error:
        chosen([files[0], "factors"], results_of({"mine": (1, 2, 3)}), tmp_path / "made.tsv")
    assert problem in error.value.message


def test_factors_without_a_table_for_them(files, tmp_path):
    with pytest.raises(UsageError, match="`--factors` has no effect"):
        chosen(files[:1], results_of({"mine": (1, 2, 3)}), tmp_path / "made.tsv")
    with pytest.raises(LatxaError, match="no model is called after a variant") as error:
        chosen([*files, "factors"], results_of({"mine": (1, 2, 3)}))
    assert "--factors" in error.value.hint


# --- what a language costs


def test_changes_are_from_the_own_backbone(files):
    tables = tables_of(files, {"exp_0_000": (10, 20, 60), "exp_0_110": (30, 30, 50), "exp_2_000": (20, 30, 70),
                               "exp_2_101": (50, 70, 65), "exp_1_010": (1, 1, 1), "other": (1, 1, 1)},
                       stderr=0.01)  # fmt: skip
    table = trade_off(tables, made_of(tables[0].rows))
    spread = math.sqrt(2)
    assert table.texts[0][0] == {
        "model": "0_001", "backbone": "0_000", "Basque": f"+10.00 ± {spread:.2f}", "English": f"+10.00 ± {spread:.2f}",
        "Basque, all tasks": "+10.00 ± 1.00", "English, all tasks": f"+10.00 ± {spread:.2f}",
    }  # fmt: skip
    assert [row["model"] for row in table.texts[0]] == ["0_001", "0_110", "2_101"]
    assert [row["English"].split()[0] for row in table.texts[0]] == ["+10.00", "-10.00", "-5.00"]
    assert "1_010" in table.notes[-1] and "other" in table.notes[-1], "nothing is left out in silence"


def test_a_trade_off_needs_two_languages_and_a_backbone(files):
    tables = tables_of(files, {"exp_2_101": (1, 2, 3)})
    with pytest.raises(LatxaError, match="no model stands beside its own backbone"):
        trade_off(tables, made_of(tables[0].rows))
    with pytest.raises(LatxaError, match="results in two languages"):
        trade_off(tables[:1], made_of(tables[0].rows))


def test_what_is_not_there_has_no_change(files):
    tables = tables_of(files, {"exp_2_000": (20, None, 70), "exp_2_101": (50, 70, 65)})
    [row] = trade_off(tables, made_of(tables[0].rows)).texts[0]
    assert (row["Basque"], row.get("Basque, all tasks")) == ("+30.00", None)


def test_no_table_of_the_shipped_ones_fits(files):
    with pytest.raises(LatxaError, match="has none of its tasks"):
        chosen(["factors"], results_of({"exp_2_101": (1, 2, 3)}))
