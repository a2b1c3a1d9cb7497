"""Small multiples of lines: names beside them, smoothing, looks that differ in grey, a layout without overlaps."""

from itertools import pairwise

import numpy as np
import pytest

from latxa_cli.report.plots import lines, style
from latxa_cli.stream.errors import UsageError


def panel(*names, steps=50, title="Loss", noisy=False):
    """Return a panel of falling lines, the later ones above the earlier."""
    x = range(1, steps + 1)
    return lines.Panel(title, {name: (x, [place + 1 / step for step in x]) for place, name in enumerate(names)}, noisy)


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
def test_a_figure_has_its_format_and_the_same_bytes_again(drawing, signatures, layout):
    panels = [panel("a", "b", steps=200, noisy=True), panel("a", "b", title="eu")]
    first = lines.draw_lines(panels, layout, x="step", y="loss")
    assert first.startswith(signatures[layout])
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
