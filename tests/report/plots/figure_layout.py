"""What any figure is held to: no text cut at its edge, none laid over another, whatever names it has to show."""

import numpy as np
import pytest

Text = pytest.importorskip("matplotlib.text", reason="needs matplotlib (the extra `plots`)").Text

HOSTILE = ["evil\x1b[31m", "$\\frac{1}{0}$", "x" * 300, "\u202eabc", "<script>", "a\nb", "W" * 48, "漢字"]


def texts_of(figure):
    """Return the texts of a figure that can be seen, with their boxes."""
    figure.draw_without_rendering()
    found = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    hidden = {id(text) for axis in figure.axes if not axis.get_visible() for text in axis.findobj(Text)}
    hidden |= {
        id(label)
        for axis in figure.axes
        for tick in (*axis.xaxis.get_major_ticks(), *axis.yaxis.get_major_ticks())
        for label in (tick.label1, tick.label2)
        if not inside(axis, tick.get_loc(), tick in axis.xaxis.get_major_ticks())
    }
    return [(text.get_text(), text.get_window_extent()) for text in found if id(text) not in hidden]


def inside(axis, place, is_x):
    low, high = sorted(axis.get_xlim() if is_x else axis.get_ylim())
    return low <= place <= high


def check_layout(figure):
    """Check that no text reaches out of the figure or into another text."""
    texts = texts_of(figure)
    frame = figure.bbox
    for text, box in texts:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= frame.x1 + 1 and box.y1 <= frame.y1 + 1, text
    boxes = np.array([box.extents for _, box in texts])
    low, high = np.maximum(boxes[:, None, :2], boxes[:, :2]), np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    width, height = np.moveaxis(high - low, 2, 0)
    heights = boxes[:, 3] - boxes[:, 1]
    laid_over = (width > 1) & (height > 0.25 * np.minimum(heights[:, None], heights))
    np.fill_diagonal(laid_over, False)
    assert [(texts[one][0], texts[other][0]) for one, other in np.argwhere(laid_over)] == []
