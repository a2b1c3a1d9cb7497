"""Results and ratings as one table: rows and their order, columns and their names, values and their errors."""

import csv
import io

from latxa_cli.report.tables.model_table import ModelTable
from latxa_cli.stream.display import render


def result(model, task, value, metric="acc", stderr=0.01, **more):
    return {"model": model, "task": task, "metric": metric, "value": value, "stderr": stderr, "n": 100, **more}


def rating(model, value, **more):
    return {"model": model, "rating": value, "lower": value - 10, "upper": value + 10, "rank": 1, "battles": 5, **more}


def table_of(*records):
    shown = ModelTable()
    assert list(shown.add(records)) == []
    return shown


def test_a_row_a_model_and_a_column_a_task():
    rows, columns = (
        table_of(result("m", "arc", 0.5), result("n", "arc", 0.25), result("m", "belebele", 0.75)).table().texts
    )
    assert columns == ["model", "arc acc ↑", "belebele acc ↑"]
    assert rows == [
        {"model": "m", "arc acc ↑": "50.0 ± 1.0", "belebele acc ↑": "75.0 ± 1.0"},
        {"model": "n", "arc acc ↑": "25.0 ± 1.0"},
    ]


def test_only_shares_are_percentages_and_a_missing_error_is_left_out():
    rows, _ = (
        table_of(result("m", "text", 12.3456, "bits_per_byte", None), result("m", "qa", 0.5, "exact_match"))
        .table()
        .texts
    )
    assert rows == [{"model": "m", "text bits_per_byte ↓": "12.346", "qa exact_match ↑": "50.0 ± 1.0"}]


def test_variants_of_a_task_have_columns_named_by_what_differs():
    shown = table_of(
        result("m", "arc", 0.1, num_fewshot=0),
        result("m", "arc", 0.2, num_fewshot=5),
        result("m", "arc", 0.3, "acc_norm", num_fewshot=5),
        result("m", "xnli", 0.4, num_fewshot=5),
    )
    assert shown.table().texts[1] == [
        "model", "arc acc 0-shot ↑", "arc acc 5-shot ↑", "arc acc_norm ↑", "xnli acc ↑",
    ]  # fmt: skip
    assert list(shown.table().records[0]["results"]) == ["arc acc 0-shot", "arc acc 5-shot", "arc acc_norm", "xnli"]


def test_a_filter_or_a_language_that_differs_is_named_and_one_that_is_not_known_is_left_out():
    shown = table_of(
        result("m", "mgsm", 0.1, "exact_match", filter="strict-match", language="eu"),
        result("m", "mgsm", 0.2, "exact_match", filter="flexible-extract", language="eu"),
        result("m", "mgsm", 0.3, "exact_match", filter="flexible-extract", language="es"),
        result("m", "mgsm", 0.4, "exact_match", language="es"),
        result("m", "arc", 0.5, filter="none", language="eu"),
    )
    assert shown.table().texts[1] == [
        "model", "mgsm exact_match strict-match ↑", "mgsm exact_match flexible-extract eu ↑",
        "mgsm exact_match flexible-extract es ↑", "mgsm exact_match ↑", "arc acc ↑",
    ]  # fmt: skip
    with_shots = table_of(result("m", "arc", 0.1), result("m", "arc", 0.2, num_fewshot=0))
    assert with_shots.table().texts[1] == ["model", "arc acc ↑", "arc acc 0-shot ↑"]


def test_the_first_board_orders_the_models_and_the_rated_come_before_the_rest():
    shown = table_of(
        result("x", "arc", 0.5), rating("m", 990.0), rating("n", 1010.0),
        rating("m", 1500.0, criterion="winner_language"), rating("y", 2000.0, criterion="winner_language"),
        rating("n", 500.0, criterion="winner_language"), result("m", "arc", 0.1),
    )  # fmt: skip
    assert shown.models() == ["n", "m", "y", "x"]
    assert [row["model"] for row in shown.table().records] == ["n", "m", "y", "x"]


def test_ratings_with_ties_counted_in_another_way_are_a_board_of_their_own():
    shown = table_of(
        rating("m", 990.0), rating("m", 980.0, ties_as="half"), rating("m", 970.0, ties_as="half", island=2)
    )
    assert list(shown.by_board()) == ["winner", "ties half", "ties half island 2"]


def test_a_rating_that_is_not_known_is_shown_as_missing_and_comes_last():
    unknown = {"model": "u", "rating": None, "infinite": "unknown", "lower": None, "upper": None}
    shown = table_of(unknown, {"model": "l", "rating": None, "infinite": "below"}, rating("m", 990.0))
    rows, columns = shown.table().texts
    assert columns == ["model", "rating ↑", "interval", "ranks"]
    assert render(rows, columns, "csv").split("\n")[1:] == ["m,990.0,980 – 1000,1", "l,-inf,,", "u,,,", ""]
    assert [line.split()[1] for line in render(rows, columns, "table").split("\n")[1:-1]] == ["990.0", "-∞", "-"]


def test_ratings_are_a_column_and_order_the_models():
    shown = table_of(result("m", "arc", 0.5), rating("m", 990.0), rating("n", 1010.0), result("o", "arc", 0.1))
    rows, columns = shown.table().texts
    assert columns == ["model", "rating ↑", "interval", "ranks", "arc acc ↑"]
    assert [row["model"] for row in rows] == ["n", "m", "o"]
    two = table_of(rating("m", 990.0), rating("m", 980.0, criterion="winner_language"), rating("m", 970.0, group="eu"))
    parts = ("rating ↑", "interval", "ranks")
    assert two.table().texts[1] == [
        "model",
        *(board + part for board in ("", "winner_language ", "eu ") for part in parts),
    ]


def test_groups_and_islands_are_boards_of_their_own():
    shown = table_of(
        rating("m", 990.0, group={"user_language": "C1-C2"}),
        rating("m", 980.0, criterion="winner_content", group={"user_language": "C1-C2", "month": 3}),
        rating("m", 970.0, island=1),
        rating("n", 970.0, island=2),
    )
    boards = ["user_language C1-C2", "winner_content user_language C1-C2 month 3", "island 1", "island 2"]
    parts = ("rating ↑", "interval", "ranks")
    assert shown.table().texts[1] == ["model", *(f"{board} {part}" for board in boards for part in parts)]
    assert {board: [record["model"] for record in records] for board, records in shown.by_board().items()} == dict(
        zip(boards, [["m"], ["m"], ["m"], ["n"]], strict=True)
    )


def test_infinite_ratings_come_first_and_last():
    winless = {"model": "winless", "rating": None, "infinite": "below", "lower": None, "upper": 900.0}
    unbeaten = {"model": "unbeaten", "rating": None, "infinite": "above", "lower": 1100.0, "upper": None}
    shown = table_of(winless, result("other", "arc", 0.5), rating("m", 990.0), unbeaten)
    rows, columns = shown.table().texts
    assert render(rows, columns[:2], "csv") == "model,rating ↑\nunbeaten,inf\nm,990.0\nwinless,-inf\nother,\n"
    table = render(rows, columns[:2], "table").split("\n")
    assert [line.split() for line in table[1:-1]] == [
        ["unbeaten", "∞"],
        ["m", "990.0"],
        ["winless", "-∞"],
        ["other", "-"],
    ]
    assert r"unbeaten & $\infty$ \\" in render(rows, columns[:2], "latex")


def test_rows_for_programs_keep_what_was_measured():
    [row] = table_of(result("m", "arc", 0.123456), rating("m", 990.5)).table().records
    assert row["results"]["arc"] == {
        "value": 0.123456, "stderr": 0.01, "n": 100, "metric": "acc", "higher_is_better": True,
    }  # fmt: skip
    assert row["ratings"]["winner"] == {"rating": 990.5, "lower": 980.5, "upper": 1000.5, "rank": 1, "battles": 5}
    rows, columns = table_of(result("m", "arc", 0.123456), rating("m", 990.5)).table().figures
    assert columns == ["model", "rating", "lower", "upper", "rank", "battles", "arc", "arc stderr"]
    [line] = csv.DictReader(io.StringIO(render(rows, columns, "csv")))
    assert list(line.values()) == ["m", "990.5", "980.5", "1000.5", "1", "5", "0.123456", "0.01"]


def test_what_comes_twice_or_is_no_number_is_rejected():
    shown = ModelTable()
    records = [
        result("m", "arc", 0.5), result("m", "arc", 0.6), rating("m", 1000.0), rating("m", 1000.0),
        result("m", "xnli", float("nan")),
    ]  # fmt: skip
    rejects = list(shown.add(records))
    assert [reject.reason for reject in rejects] == [
        "repeated result with another value",
        "repeated rating",
        "no finite value",
    ]
    for value in (float("inf"), float("nan")):
        [reject] = shown.add([rating("x", value)])
        assert reject.reason == "no finite value"
    assert "x" not in shown.models()
    assert shown.table().records[0]["results"]["arc"]["value"] == 0.5


def test_a_task_called_model_does_not_hide_the_model():
    rows, columns = table_of(result("m", "model", 0.5), result("m", "rating", 0.5), rating("m", 990.0)).table().texts
    assert columns == ["model", "rating ↑", "interval", "ranks", "model acc (task) ↑", "rating acc (task) ↑"]
    assert list(table_of(result("m", "model", 0.5)).table().records[0]["results"]) == ["model (task)"]
    assert rows[0]["model"] == "m"
    rows, columns = table_of(result("m", "model", 0.5), result("m", "model (task)", 0.25)).table().texts
    assert columns == ["model", "model acc (task) ↑", "model (task) acc (task) ↑"]
    assert [rows[0][column] for column in columns] == ["m", "50.0 ± 1.0", "25.0 ± 1.0"]


def test_an_error_that_is_no_finite_number_is_left_out():
    for stderr in (float("nan"), float("inf"), None):
        assert table_of(result("m", "arc", 0.5, stderr=stderr)).table().texts[0] == [
            {"model": "m", "arc acc ↑": "50.0"}
        ]


def test_two_models_of_one_name_have_rows_of_their_own():
    shown = table_of(
        result("step-500", "arc", 0.5, path="runs/one/step-500", weights="aa"),
        result("step-500", "arc", 0.25, path="runs/two/step-500", weights="bb"),
        result("step-500", "belebele", 0.75, path="elsewhere/one/step-500", weights="aa"),
    )
    assert shown.models() == ["one/step-500", "two/step-500"]
    rows, _ = shown.table().texts
    assert rows == [
        {"model": "one/step-500", "arc acc ↑": "50.0 ± 1.0", "belebele acc ↑": "75.0 ± 1.0"},
        {"model": "two/step-500", "arc acc ↑": "25.0 ± 1.0"},
    ]


def test_two_models_of_one_path_are_told_apart_by_their_weights():
    shown = table_of(
        result("m", "arc", 0.5, path="m", weights="aaaaaaaaaaaa"), result("m", "arc", 0.25, path="m", weights="bbbb")
    )
    assert shown.models() == ["m (aaaaaaaa)", "m (bbbb)"]


def test_one_model_keeps_its_name():
    shown = table_of(
        result("m", "arc", 0.5, path="a/m", weights="aa"),
        result("m", "qa", 0.5, path="b/m", weights="aa"),
        rating("m", 1000),
    )
    assert shown.models() == ["m"]
    assert table_of(result("m", "arc", 0.5, path="a/m"), result("m", "qa", 0.5, path="b/m")).models() == ["a/m", "b/m"]


def test_plain_and_chat_results_have_columns_of_their_own():
    rows, columns = (
        table_of(
            result("m", "arc", 0.5, chat=False, fingerprint="a"),
            result("m", "arc", 0.25, chat=True, fingerprint="b"),
            result("n", "arc", 0.75, chat=True, fingerprint="c"),
        )
        .table()
        .texts
    )
    assert columns == ["model", "arc acc plain ↑", "arc acc chat ↑"]
    assert rows == [
        {"model": "m", "arc acc plain ↑": "50.0 ± 1.0", "arc acc chat ↑": "25.0 ± 1.0"},
        {"model": "n", "arc acc chat ↑": "75.0 ± 1.0 [a]"},
    ]
    _, columns = table_of(result("m", "arc", 0.5, chat=True), result("n", "arc", 0.5, chat=True)).table().texts
    assert columns == ["model", "arc acc ↑"]


def test_results_that_cannot_be_compared_are_not_repeated_ones():
    shown = ModelTable()
    first, other = result("m", "arc", 0.5, fingerprint="aaaa"), result("m", "arc", 0.25, fingerprint="bbbbbbbbbbbb")
    rejects = list(shown.add([first, other, dict(other), dict(first)]))
    assert [(reject.record["value"], reject.reason) for reject in rejects] == [
        (0.25, "repeated result"),
        (0.5, "repeated result"),
    ]
    assert shown.table().texts[0] == [
        {"model": "m", "arc acc [aaaa] ↑": "50.0 ± 1.0", "arc acc [bbbbbbbb] ↑": "25.0 ± 1.0"}
    ]


def test_ratings_losses_and_win_rates_meet_the_results_of_the_one_model_of_that_name():
    shown = table_of(result("m", "arc", 0.5, path="runs/m", weights="aa"), rating("m", 990.0), result("n", "arc", 0.25))
    won = {"task": "win rate", "metric": "win_rate"}
    assert list(shown.named.add([{"model": "m", "value": 0.25, **won}, {"model": "n", "value": 0.75, **won}])) == []
    rows, _ = shown.table().texts
    assert [(row["model"], row["arc acc ↑"], row["win rate ↑"], row.get("rating ↑")) for row in rows] == [
        ("m", "50.0 ± 1.0", "25.0", 990.0), ("n", "25.0 ± 1.0", "75.0", None),
    ]  # fmt: skip


def test_what_is_known_of_a_name_alone_is_no_one_of_two_models_of_that_name():
    shown = table_of(result("m", "arc", 0.5, path="one/m"), result("m", "arc", 0.25, path="two/m"), rating("m", 990.0))
    assert list(shown.named.add([{"model": "m", "value": 0.25, "task": "win rate", "metric": "win_rate"}])) == []
    assert [(row["model"], row.get("arc acc ↑"), row.get("win rate ↑")) for row in shown.table().texts[0]] == [
        ("m", None, "25.0"), ("one/m", "50.0 ± 1.0", None), ("two/m", "25.0 ± 1.0", None),
    ]  # fmt: skip
