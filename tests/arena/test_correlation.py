"""Rank correlation of ratings with results: against scipy, and the study's published coefficients."""

import json

import numpy as np
import pytest
from scipy import stats

from latxa_cli.arena import correlation as module
from latxa_cli.arena.correlation import correlate, spearman


def result(model, task, value, metric="acc", **more):
    return {"model": model, "task": task, "metric": metric, "value": value, **more}


def results_of(task, values, metric="acc", **more):
    return [result(model, task, value, metric, **more) for model, value in values.items()]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("size", [3, 4, 10, 60])
def test_it_agrees_with_scipy_with_and_without_equal_values(seed, size):
    random = np.random.default_rng([seed, size])
    first = random.normal(size=size).round(seed % 2 + 1)  # some values are equal
    second = first + random.normal(size=size)
    ours, theirs = spearman(first, second), stats.spearmanr(first, second)
    assert (ours.rho, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-12)


def test_perfect_order_and_disorder():
    rising = np.arange(5.0)
    assert (spearman(rising, rising**3).rho, spearman(rising, -rising).rho) == (1.0, -1.0)
    assert spearman(rising, rising).p == 0.0
    assert spearman(np.array([1, 2, np.inf]), np.array([1.0, 2, 3])).rho == 1.0, "an infinite rating is the highest"


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [1.0, 1.0, 1.0]])
def test_without_an_order_there_is_no_coefficient(values):
    found = spearman(np.array(values), np.arange(float(len(values))))
    assert np.isnan(found.rho) and np.isnan(found.p)
    ratings = {f"m{number}": value for number, value in enumerate(values)}
    [record] = correlate(ratings, results_of("t", dict.fromkeys([*ratings, "other"], 0.5)))
    assert (record["correlation"], record["p"], record["models"]) == (None, None, len(values))


RATINGS = {"a": 1100.0, "b": 1000.0, "c": 900.0, "d": 800.0}


def test_means_of_languages_then_tasks():
    records = correlate(
        RATINGS,
        [
            *results_of("one", {"a": 0.9, "b": 0.5, "c": 0.4, "d": 0.1}, language="eu"),
            *results_of("two", {"a": 0.2, "b": 0.3, "c": 0.1}, language="eu"),
            *results_of("one", {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}, "acc_norm", language="eu"),
            *results_of("bits", {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, "bits_per_byte", language="eu"),
            *results_of("other", {"a": 0.5, "b": 0.6, "c": 0.7, "d": 0.8}, language="en"),
        ],
    )
    assert [(record["benchmark"], record.get("metric")) for record in records] == [
        ("mean of 2 tasks", None), ("one", "acc"), ("two", "acc"), ("one", "acc_norm"), ("bits", "bits_per_byte"),
        ("other", "acc"),
    ]  # fmt: skip
    assert [record["correlation"] for record in records] == pytest.approx([1.0, 1.0, 0.5, -1.0, -1.0, -1.0])
    assert [record["left_out"] for record in records] == [1, 0, 1, 0, 0, 0], "`d` lacks `two`, so its mean as well"
    assert [record["models"] for record in records] == [3, 4, 3, 4, 4, 4]


def test_results_of_models_without_a_rating_do_not_count():
    values = {"a": 0.9, "b": 0.5, "c": 0.4, "d": 0.1}
    assert correlate(RATINGS, results_of("t", values)) == correlate(RATINGS, results_of("t", {"x": 0.0, **values}))
    assert correlate(RATINGS, []) == [] and correlate({}, results_of("t", values))[0]["correlation"] is None


def test_of_a_result_that_comes_twice_the_first_counts_and_what_is_no_number_not_at_all():
    values = {"a": 0.9, "b": 0.5, "c": 0.4, "d": 0.1}
    again = results_of("t", dict(zip("abcd", (0.1, 0.2, 0.3, 0.4), strict=True)))
    assert correlate(RATINGS, [*results_of("t", values), *again])[0]["correlation"] == 1.0
    odd = [result("a", "t", float("nan")), result("b", "t", float("inf")), *results_of("t", values)]
    [record] = correlate(RATINGS, odd)
    assert (record["correlation"], record["models"], record["left_out"]) == (1.0, 4, 0)


def test_two_models_have_no_correlation_and_three_have_one():
    values = {"a": 0.9, "b": 0.5, "c": 0.4}
    assert correlate(RATINGS, results_of("t", values))[0]["correlation"] == 1.0
    del values["c"]
    [record] = correlate(RATINGS, results_of("t", values), np.ones((5, 4)) * [4, 3, 2, 1])
    assert [record[name] for name in ("correlation", "p", "lower", "upper")] == [None] * 4


def test_the_notebooks_mean_counts_equal_means_by_the_last_of_their_ranks(monkeypatch):
    """Per cent over two tasks, with the mean and the rank as two rows more: b and c tie, and both have rank 3."""
    results = [*results_of("one", {"a": 0.9, "b": 0.5, "c": 0.4, "d": 0.1}),
               *results_of("two", {"a": 0.7, "b": 0.3, "c": 0.4, "d": 0.41})]  # fmt: skip
    expected = [(3 * 100 * mean + place) / 4 for mean, place in ((0.8, 1), (0.4, 3), (0.4, 3), (0.255, 4))]
    seen, original = [], module.spearman
    monkeypatch.setattr(module, "spearman", lambda *pair: (seen.append(pair[1].tolist()), original(*pair))[1])
    correlate(RATINGS, results, paper=True)
    assert seen[0] == pytest.approx(expected)


def test_the_interval_is_over_the_rounds():
    results = results_of("t", {"a": 0.9, "b": 0.5, "c": 0.4})  # nothing of `d`
    drawn = np.array([[3.0, 2, 1, 9]] * 90 + [[1.0, 2, 3, 9]] * 10 + [[np.nan, 1, 1, 1]] * 50)
    [record] = correlate(RATINGS, results, drawn)
    assert (record["correlation"], record["lower"], record["upper"]) == (1.0, -1.0, 1.0)
    [record] = correlate(RATINGS, results, drawn, confidence=0.5)
    assert (record["lower"], record["upper"]) == (1.0, 1.0)
    [record] = correlate(RATINGS, results, drawn[:, [0, 0, 0, 0]])
    assert (record["lower"], record["upper"]) == (None, None), "rounds without an order"
    assert correlate(RATINGS, results)[0]["lower"] is None


@pytest.fixture(scope="module")
def published(shared_reference):
    return json.loads((shared_reference / "arena" / "ebaluatoia_benchmark_correlation.json").read_bytes())


# The notebook's means hold two rows too many, the mean and the rank. It ranked base models too, which have no rating.
# The published file lacks their results, but its Spanish coefficients tell where one of them stood: 65.66 to 65.96.
@pytest.mark.parametrize(("column", "name"), [("elo", "Global"), ("elo_cont", "Content"), ("elo_lang", "Language")])
def test_the_published_coefficients(published, column, name):
    models = published["models"]
    ratings = {model: entry["arena"][column] for model, entry in models.items()}
    results = [
        result(model, task, value / 100, language=task.split("/")[0])
        for model, entry in models.items()
        for task, value in entry["tasks"].items()
    ]
    spanish = dict.fromkeys(record["task"] for record in results if record["language"] == "ES")
    base = [result("base", task, 0.6575, language="ES") for task in spanish]
    means = [record for record in correlate(ratings, [*results, *base], paper=True) if "metric" not in record]
    found = {record["language"]: (record["correlation"], record["p"]) for record in means}
    for language in ("EU", "EN", "ES"):
        assert found[language] == pytest.approx(published["published_rank_rho"][language][name], abs=1e-6)
    if name == "Global":
        exact = {record["language"]: record["correlation"] for record in correlate(ratings, results)[:3]}
        assert exact == pytest.approx({"EU": 0.848141, "EN": 0.246901, "ES": -0.007231}, abs=1e-6)
