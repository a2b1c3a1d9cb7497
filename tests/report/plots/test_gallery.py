"""Which figures records give, and the numbers in them."""

from typing import get_args

import pytest

from latxa_cli.commands.report import Figure
from latxa_cli.report.pages.report_page import TITLES
from latxa_cli.report.plots import gallery as gallery_module
from latxa_cli.report.plots.gallery import baselines_of, chosen, gallery
from latxa_cli.report.report import Report
from latxa_cli.stream.errors import UsageError


def result(model, task, value, language="eu", **more):
    return {"model": model, "task": task, "metric": "acc", "value": value, "language": language, **more}


@pytest.fixture
def drawn(drawing, monkeypatch):
    """`drawn(records, name)` returns the panels of a figure of rows."""
    kept = []
    monkeypatch.setattr(gallery_module, "draw_rows", lambda panels, layout, **how: kept.append(panels) or b"")

    def figure(records, name):
        report = Report()
        assert list(report.take(records, run="r", count=lambda battles: ())) == []
        gallery(report)[name]("svg")
        return kept[-1]

    return figure


def test_results_have_intervals_in_percent(drawn):
    (panel,) = drawn([result("m", "t", 0.5, stderr=0.1), result("n", "t", 0.25)], "results")
    assert (panel.title, panel.unit) == ("t", "acc, %")
    m, n = panel.points["m"], panel.points["n"]
    assert (m.value, m.low, m.high) == pytest.approx((50, 30.4, 69.6)) and (n.value, n.low) == (25, None)


def test_a_trade_off_is_over_the_tasks_that_both_have(drawn):
    records = [result("base", "a", 0.2), result("base", "b", 0.4), result("base", "c", 0.9, "en")]
    records += [result("new", "a", 0.5), result("new", "c", 0.8, "en"), result("new", "d", 0.1)]
    eu, en = drawn(records, "tradeoff")
    assert (eu.title, en.title) == ("eu, mean of 1", "en, mean of 1")
    assert (eu.points["new"].value, eu.points["new"].baseline) == (50, 20)
    assert (en.points["new"].value, en.points["new"].baseline) == (80, 90)


@pytest.mark.parametrize(
    ("models", "pairs"),
    [
        (["a", "b", "c"], {"b": "a", "c": "a"}),
        (["x_2_101", "exp_2_000", "exp_1_000", "exp_1_011"], {"x_2_101": "exp_2_000", "exp_1_011": "exp_1_000"}),
        (["a"], {}),
        (["v_2_101", "llama-3_100"], {"llama-3_100": "v_2_101"}),
    ],
)
def test_the_baseline_of_a_variant_is_its_backbone(models, pairs):
    assert baselines_of(models) == pairs


def test_correlations_of_tasks_need_five_models(drawing):
    report = Report()
    list(report.take([result(m, t, n) for n, m in enumerate("abcd") for t in "st"], run="r", count=lambda battles: ()))
    assert "correlations" not in gallery(report)
    list(report.take([result("e", t, n) for n, t in enumerate("st")], run="r", count=lambda battles: ()))
    assert b"Spearman" in gallery(report)["correlations"]("svg")


def test_differences_and_correlations_of_ratings(drawn):
    both = {"model": "m", "baseline": "b", "metric": "acc", "value": 0.6, "baseline_value": 0.5, "difference": 0.1}
    records = [both | {"task": "t", "lower": 0.05, "upper": 0.15, "verdict": "better"}]
    records += [both | {"tasks": 2, "language": "eu", "lower": None, "upper": 0.2, "verdict": "no difference shown"}]
    (panel,) = drawn(records, "differences")
    assert panel.title == "m − b" and list(panel.points) == ["t", "mean of 2 tasks eu"]
    assert panel.points["t"].value == pytest.approx(10) and panel.points["t"].stands
    assert not panel.points["mean of 2 tasks eu"].stands
    (panel,) = drawn([{"benchmark": "t", "correlation": 0.5, "lower": 0.1, "upper": 0.9}], "correlations")
    assert panel.points["t"].high == 0.9


def test_a_funnel_is_of_all_sources(drawn):
    steps = {"read": {"documents": 5}, "near": {"documents": 3}}
    manifest = {"argv": [], "verb": "corpus", "version": "0", "funnel": {"a": steps, "b": steps}}
    left, lost = drawn([manifest | {"counts": {"rejected": {"x": 1, "y": 3}}}], "funnel")
    assert {name: point.value for name, point in left.points.items()} == {"read": 10, "near": 6}
    assert list(lost.points) == ["y", "x"]


@pytest.mark.parametrize("funnel", [None, 3, {}, {"a": 1}, {"a": {"read": 1}}, {"a": {"read": {"documents": "x"}}}])
def test_a_manifest_of_another_form_gives_no_figure_or_an_empty_one(drawing, funnel):
    report = Report()
    list(report.take([{"argv": [], "verb": "x", "version": "0", "funnel": funnel}], run="r", count=lambda battles: ()))
    for draw in gallery(report).values():
        assert draw("svg")


def test_every_figure_can_be_asked_for_and_has_a_title():
    names = set(get_args(Figure))
    assert names == set(TITLES)


def test_factors_of_the_published_variants(drawing, latxa, tmp_path):
    done = latxa("report", "--baselines", "published", "--plot", "f.svg", "--figure", "factors", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = (tmp_path / "f.svg").read_text()
    assert all(f"<!-- {words} -->" in drawn for words in ("corpus: yes, not no", "+5.7", "english"))


def test_what_is_not_there_is_named():
    with pytest.raises(UsageError, match="nothing to draw in"):
        chosen({}, None, "a.svg")
    with pytest.raises(UsageError, match="do not give the figure `losses`"):
        chosen({"results": lambda layout: b""}, "losses", "a.svg")
