"""What `arena-score` says, laid out for people: one ranking, several side by side, and what stands below them."""

from latxa_cli.report.tables.boards import every_column, further_tables, important_findings, rows


def rating(model, value, criterion="winner", **more):
    lower, upper = (None, None) if value is None else (value - 10, value + 10)
    return {"model": model, "criterion": criterion, "rating": value, "lower": lower, "upper": upper, "rank": 1, **more}


def test_one_ranking_in_full():
    records = [
        rating("a", 1010.0, rank_lower=1, rank_upper=1, tier=1, battles=9),
        rating("b", 990.0, rank_lower=2, rank_upper=5, tier=2, battles=8),
    ]
    found, columns = rows(records)
    assert columns == ["rank", "ranks", "model", "rating", "lower", "upper", "tier", "battles"]
    assert [[row[column] for column in columns] for row in found] == [
        [1, "1", "a", 1010.0, 1000.0, 1020.0, 1, 9],
        [1, "2–5", "b", 990.0, 980.0, 1000.0, 2, 8],
    ]


def test_what_is_infinite_and_what_is_not_known():
    above = rating("a", None, infinite="above") | {"lower": 1080.0}
    below = rating("b", None, infinite="below") | {"upper": 900.0}
    unknown, unbounded = rating("c", None, infinite="unknown"), rating("d", 1000.0) | {"lower": None, "upper": None}
    found, _ = rows([above, below, unknown, unbounded])
    assert [(row["rating"], row["lower"], row["upper"], row["interval"]) for row in found] == [
        ("∞", 1080.0, None, None), ("-∞", None, 900.0, None), (None, None, None, None),
        (1000.0, "-∞", "∞", "-∞ – ∞"),
    ]  # fmt: skip
    assert found[0]["ranks"] is None


def test_the_papers_table_is_its_own():
    found, columns = rows([rating("a", 1010, interval="±9", battles=3)])
    assert columns == ["rank", "model", "rating", "interval", "battles"] and found[0]["interval"] == "±9"


def test_several_rankings_stand_side_by_side():
    records = [
        rating("a", 1010.0, rank=1), rating("b", 990.0, rank=2),
        rating("b", 1100.0, "winner_language", rank=1, group={"user_language": "C1", "month": 3}),
    ]  # fmt: skip
    found, columns = rows(records)
    label = "language C1, 3"
    kinds = ("rank", "rating", "interval")
    assert columns == ["model", *kinds, *(f"{kind} {label}" for kind in kinds)]
    assert [[row.get(column) for column in columns] for row in found] == [
        ["a", 1, 1010.0, "1000 – 1020", None, None, None],
        ["b", 2, 990.0, "980 – 1000", 1, 1100.0, "1090 – 1110"],
    ]


def test_islands_are_named_where_any_rating_has_one():
    one = [rating("a", 1000.0, island=1), rating("b", 1000.0)]
    assert rows(one)[1][0] == "island"
    several = [*one, rating("a", 1000.0, "winner_content", island=1)]
    found, columns = rows(several)
    assert columns[:2] == ["island", "model"] and [row["island"] for row in found] == [1, None]
    assert "island" not in rows([rating("a", 1000.0)])[1]


def difference(lower, upper, **more):
    return {"difference": 20.0, "lower": lower, "upper": upper, "model": "a", "criterion": "winner_content", **more}


def test_differences_below_are_those_whose_interval_leaves_out_zero():
    bounds = [(1, 40), (-40, -1), (-1, 40), (0, 40), (-40, 0), (None, 40), (5, None), (None, -5), (None, None)]
    [(title, found, columns)] = further_tables([difference(*pair) for pair in bounds])
    assert [(row["lower"], row["upper"]) for row in found] == [(1, 40), (-40, -1), (5, None), (None, -5)]
    assert "leaves out zero" in title and columns == ["ranking", "model", "difference", "lower", "upper"]
    assert {row["ranking"] for row in found} == {"content"}
    [(_, [plain], _)] = further_tables([difference(1, 40, criterion="winner")])
    assert plain["ranking"] == "winner"
    assert list(further_tables([difference(-1, 1), rating("a", 1000.0)])) == []


def test_correlations_below_in_digits_that_carry_meaning():
    record = {"correlation": 0.98765, "lower": 0.5, "upper": None, "p": 0.00123, "benchmark": "t", "models": 9}
    [(_, [found], columns)] = further_tables([record])
    assert (found["correlation"], found["lower"], found["upper"], found["p"]) == ("0.988", "0.500", None, "0.0012")
    assert columns == ["criterion", "benchmark", "language", "correlation", "lower", "upper", "p", "models"]


def test_findings_that_matter_are_lines_that_name_their_criterion_where_there_are_several():
    def finding(text, matters, criterion="winner"):
        return {"finding": "f", "criterion": criterion, "text": text, "matters": matters}

    assert important_findings([finding("one", True), finding("two", False)]) == ["one"]
    assert important_findings([finding("one", True), finding("two", False, "winner_content")]) == ["winner: one"]


def test_every_field_of_every_rating_is_a_column_for_a_spreadsheet():
    found, columns = every_column([rating("a", 1.0), rating("b", 2.0, group={"user": "x", "month": 3}, tier=2)])
    assert columns == ["model", "criterion", "rating", "lower", "upper", "rank", "group", "tier"]
    assert found[1]["group"] == "user=x, month=3" and "group" not in found[0]


def test_a_group_of_anything_is_named():
    records = [rating("a", 1.0, group={"x": {"deep": [1]}}), rating("a", 2.0, group="eu"), rating("a", 3.0, group=None)]
    _, columns = rows(records)
    assert columns[0] == "model" and any("deep" in column for column in columns) and any("eu" in c for c in columns)
    bare = [{"difference": 1.0, "model": "a"}, {"correlation": None, "benchmark": "t"}]
    assert [title.split(" ")[0] for title, _, _ in further_tables(bare)] == ["Rank"], (
        "no bounds: nothing is shown to be"
    )
