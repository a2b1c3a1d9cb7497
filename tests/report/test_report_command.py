"""Figures, as files and in their parts; and `latxa report` on the metrics of training."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest

from latxa_cli.report.plots import lines, style
from latxa_cli.stream.errors import UsageError

SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.fixture
def drawing():
    """Skips where matplotlib is missing: it comes with the extra `plots`."""
    return pytest.importorskip("matplotlib", reason="needs matplotlib (the extra `plots`)")


def metrics(steps, floor, sets=(), seed=0):
    """Return the lines of a run: its loss falls towards `floor`, with noise."""
    noise = np.random.default_rng(seed).normal(0, 0.05, steps)
    records = []
    for step in range(1, steps + 1):
        loss = floor + math.exp(-5 * step / steps)
        records.append({"step": step, "loss": loss + float(noise[step - 1]), "learning_rate": 1e-5, "tokens": 64})
        if step % 10 == 0:
            records += [{"step": step, "validation": name, "loss": loss + 0.1, "perplexity": 1.0} for name in sets]
    return records


def panel(*names, steps=50, title="Loss", noisy=False):
    """Return a panel of falling lines, the later ones above the earlier."""
    x = range(1, steps + 1)
    return lines.Panel(title, {name: (x, [place + 1 / step for step in x]) for place, name in enumerate(names)}, noisy)


@pytest.fixture
def runs(tmp_path):
    """Two folders, each with the metrics of a run."""
    for number, name in enumerate(("exp_2_111", "exp_2_101")):
        (tmp_path / name).mkdir()
        lines = metrics(100, 1.5 + number / 10, ("eu", "en"), seed=number)
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


# --- parts


@pytest.mark.parametrize("places", [[], [0.5], [0.1, 0.9], [0.5, 0.5, 0.5], [0.0, 0.01, 0.98, 1.0, 1.0], [1.4, 1.5]])
def test_names_keep_apart_move_little_and_stay_in_the_panel(places):
    moved = lines.spread(places, 0.1)
    assert len(moved) == len(places)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(moved))
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in moved)
    assert lines.spread(moved, 0.1) == pytest.approx(moved), "what is apart stays where it is"


def test_names_make_room_on_both_sides():
    assert lines.spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])
    assert lines.spread([0.2, 0.5, 0.5, 0.9], 0.1) == pytest.approx([0.2, 0.45, 0.55, 0.9])


def test_names_without_room_still_keep_apart():
    assert lines.spread([0.5] * 11, 0.2) == pytest.approx([0.2 * place for place in range(11)])


def test_a_smoothed_line_is_the_mean_around_each_value():
    values = np.random.default_rng(0).normal(size=400)
    smooth = lines.smoothed(values)
    assert smooth[200] == pytest.approx(values[195:206].mean())
    assert smooth[0] == pytest.approx(values[:6].mean()) and smooth[-1] == pytest.approx(values[-6:].mean())
    assert list(lines.smoothed([3.0, 1.0, 2.0])) == [3.0, 1.0, 2.0], "too few to smooth"


def test_a_thinned_line_keeps_its_ends_and_extremes():
    x, y = np.arange(100_000.0), np.random.default_rng(0).normal(size=100_000)
    few_x, few_y = lines.thinned(x, y)
    assert len(few_x) <= lines.MOST_POINTS + 2
    assert (few_x[0], few_x[-1]) == (x[0], x[-1]) and (np.diff(few_x) > 0).all()
    assert (few_y.min(), few_y.max()) == (y.min(), y.max())


def test_no_two_of_thirty_lines_look_alike_without_colour():
    styles = list(lines.islice(lines._styles(), 35))
    assert len({(str(style["linestyle"]), style["marker"]) for style in styles[:30]}) == 30
    assert len({(style["color"], str(style["linestyle"])) for style in styles}) == 35


@pytest.mark.parametrize("name", ["loss", "loss.jpg", "loss.svg.gz"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(UsageError, match="is not the name of a figure"):
        style.check(tmp_path / name)


def test_without_matplotlib_one_line_says_what_to_install(tmp_path):
    if style.find_spec("matplotlib"):
        pytest.skip("matplotlib is here")
    with pytest.raises(UsageError, match="matplotlib, which is not installed"):
        style.check(tmp_path / "loss.svg")


# --- figures


@pytest.mark.parametrize("layout", style.FORMATS)
def test_a_figure_has_its_format_and_the_same_bytes_again(drawing, layout):
    panels = [panel("a", "b", steps=200, noisy=True), panel("a", "b", title="eu")]
    first = lines.draw_lines(panels, layout, x="step", y="loss")
    assert first.startswith(SIGNATURES[layout])
    drawing.rcParams["lines.linewidth"] = 9  # a user's own setting
    try:
        assert lines.draw_lines(panels, layout, x="step", y="loss") == first
    finally:
        drawing.rcdefaults()


@pytest.mark.parametrize("panels", [1, 2, 3, 4, 5])
def test_panels_do_not_overlap_and_lines_end_at_their_names(drawing, monkeypatch, panels):
    figures = []
    monkeypatch.setattr(lines, "saved", lambda figure, layout: figures.append(figure) or b"")
    names = ["exp_2_111", "exp_2_101", "$a_b$", "evil\x1b[31m"]
    lines.draw_lines([panel(*names, title=f"p{n}", noisy=not n) for n in range(panels)], "svg", x="step", y="loss")
    (figure,) = figures
    figure.draw_without_rendering()
    boxes = [axis.get_tightbbox() for axis in figure.axes]
    assert len(boxes) == panels
    assert not any(a.overlaps(b) for number, a in enumerate(boxes) for b in boxes[:number])
    texts = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert sorted(texts) == sorted(["exp_2_111", "exp_2_101", "$a_b$", "evil�[31m"])
    heights = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts if text.get_text()}
    assert heights["exp_2_111"] < heights["exp_2_101"] < heights["$a_b$"], "as the lines end"


def test_a_run_of_one_step_is_a_point(drawing):
    assert lines.draw_lines([lines.Panel("Loss", {"a": ([1], [2.0])}, noisy=True)], "svg", x="x", y="y")


# --- the command


@pytest.mark.parametrize("layout", style.FORMATS)
def test_report_draws_the_curves_of_runs(drawing, latxa, runs, layout):
    files = ["exp_2_111/metrics.jsonl", "exp_2_101/metrics.jsonl"]
    done = latxa("report", *files, "--plot", f"loss.{layout}", "--format", "csv", cwd=runs)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert (runs / f"loss.{layout}").read_bytes().startswith(SIGNATURES[layout])
    assert done.stdout.startswith(b"model,last training loss,")


def test_report_says_what_it_cannot_draw(drawing, latxa, runs):
    (runs / "results.jsonl").write_text('{"model": "m", "task": "t", "metric": "acc", "value": 0.5}\n')
    done = latxa("report", "results.jsonl", "--plot", "loss.svg", cwd=runs)
    assert done.returncode == 2 and b"there is nothing to draw in `loss.svg`" in done.stderr
    done = latxa("report", "results.jsonl", "--plot", "loss.jpg", cwd=runs)
    assert done.returncode == 2 and b"`.png`, `.svg` or `.pdf`" in done.stderr
    assert [path.name for path in runs.glob("loss*")] == []


def test_report_shows_runs_beside_results(latxa, runs):
    (runs / "results.jsonl").write_text('{"model": "exp_2_111", "task": "t", "metric": "acc", "value": 0.5}\n')
    done = latxa("report", "results.jsonl", "exp_2_111/metrics.jsonl", "exp_2_101/metrics.jsonl", cwd=runs)
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert (first["model"], second["model"]) == ("exp_2_111", "exp_2_101")
    assert list(first["results"]) == ["t", "last training loss", "best validation loss eu", "best validation loss en"]
    lines = metrics(100, 1.5, ("eu", "en"), seed=0)
    assert first["results"]["last training loss"]["value"] == [line for line in lines if "tokens" in line][-1]["loss"]
    best = min(line["loss"] for line in lines if line.get("validation") == "eu")
    assert first["results"]["best validation loss eu"]["value"] == best
    table = latxa("report", "exp_2_111/metrics.jsonl", "--format", "table", cwd=runs).stdout.decode()
    assert f"{best:.3f}" in table


@pytest.fixture
def arena(tmp_path):
    """A folder with battles, and ratings of which one is infinite, with all else that stands beside them."""
    votes = [
        ("a", "b", "model_a"),
        ("a", "b", "tie"),
        ("b", "c", "model_a"),
        ("c", "b", "model_a"),
        ("d", "a", "model_a"),
    ]
    battles = [{"model_a": a, "model_b": b, "winner": winner} for a, b, winner in votes]
    ratings = [
        {"model": "d", "rating": None, "infinite": "above", "lower": 1100, "upper": None, "tier": 1},
        {"model": "b", "rating": 1010.0, "lower": 990, "upper": None, "tier": 1},
        {"model": "a", "rating": 990.0, "lower": 970, "upper": 1010, "tier": 2},
    ]
    ratings += [rating | {"group": {"user_language": "C1-C2"}} for rating in ratings[1:]]
    ratings += [
        {"difference": 20.0, "lower": -5, "upper": 45, "model": "a", "criterion": "winner", "against": "b"},
        {"finding": "position bias", "criterion": "winner", "value": 0.1, "matters": False, "text": "none"},
        {"correlation": None, "p": None, "benchmark": "t", "models": 2, "left_out": 1},
    ]
    for name, records in {"battles": battles, "ratings": ratings}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path


@pytest.mark.parametrize("files", [["ratings.jsonl"], ["battles.jsonl"], ["battles.jsonl", "ratings.jsonl"]])
def test_report_draws_ratings_and_battles(drawing, latxa, arena, files):
    done = latxa("report", *files, "--plot", "arena.svg", "--format", "csv", cwd=arena)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    drawn = (arena / "arena.svg").read_bytes()
    assert (b"Win rate" in drawn) == ("battles.jsonl" in files) and b"<svg" in drawn
    again = latxa("report", *files[::-1], "--plot", "again.svg", cwd=arena)
    assert again.returncode == 0 and (arena / "again.svg").read_bytes() == drawn


def test_heat_maps_are_in_the_order_of_ratings(drawing, latxa, arena):
    def order(*files):
        assert latxa("report", *files, "--plot", "heat.svg", cwd=arena).returncode == 0
        drawn = (arena / "heat.svg").read_text()
        names = [line.strip(" -<>!") for line in drawn.split("\n") if line.strip(" -<>!") in {"a", "b", "c", "d"}]
        return names[:4]

    assert order("battles.jsonl") == ["d", "a", "c", "b"], "by the share of battles won"
    assert order("battles.jsonl", "ratings.jsonl") == ["d", "b", "a", "c"]


def test_report_shows_ratings_and_battles_as_a_table(latxa, arena):
    done = latxa("report", "ratings.jsonl", "battles.jsonl", "--format", "table", cwd=arena)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().split("\n") == [
        "model  rating  user_language C1-C2 rating  win rate",
        "d           ∞                           -     100.0",
        "b      1010.0                      1010.0      37.5",
        "a       990.0                       990.0      50.0",
        "c           -                           -      50.0",
        "",
    ]
    rows = [json.loads(line) for line in latxa("report", "ratings.jsonl", cwd=arena).stdout.splitlines()]
    assert rows[0]["ratings"]["winner"]["infinite"] == "above" and rows[0]["ratings"]["winner"]["rating"] is None
    table = latxa("report", "ratings.jsonl", "--format", "csv", cwd=arena).stdout.decode().split("\n")
    assert table[1] == "d,inf,1100,,,,"


def test_losses_share_no_figure_with_ratings_or_battles(drawing, latxa, arena, runs):
    for other in ("battles", "ratings"):
        done = latxa("report", "exp_2_111/metrics.jsonl", f"{other}.jsonl", "--plot", "x.svg", cwd=arena)
        assert done.returncode == 2 and f"training losses and {other} at once".encode() in done.stderr
        assert len(done.stderr.splitlines()) == 2 and not (arena / "x.svg").exists()


def test_report_counts_the_battles_that_it_cannot_show(latxa, arena):
    with (arena / "battles.jsonl").open("a") as file:
        file.write('{"model_a": "a", "model_b": "a", "winner": "tie"}\n')
    done = latxa("report", "battles.jsonl", "--rejects", "no.jsonl", cwd=arena)
    assert done.returncode == 0 and b"1 rejected (1 self battle)" in done.stderr
    with (arena / "battles.jsonl").open("a") as file:
        file.write('{"model_a": "a", "model_b": "b", "winner": "a"}\n')
    done = latxa("report", "battles.jsonl", cwd=arena)
    assert done.returncode == 1 and b"battles.jsonl:7: the winner `a`" in done.stderr
