"""What a panel draws is where the data are."""

import numpy as np
import pytest

from goodman_live.pipeline.draw.canvas import Box, Canvas
from goodman_live.pipeline.draw.panel import Panel

RED = (255, 0, 0)


@pytest.fixture
def panel():
    return Panel(Canvas(300, 200, "light"), Box(60, 20, 280, 150), (0.0, 10.0), (-1.0, 1.0))


def pixels(panel):
    return np.asarray(panel.canvas.image)


def red(panel):
    """Return the x and y of red pixels."""
    y, x = np.nonzero((pixels(panel) == RED).all(axis=-1))
    return x, y


def test_a_dot_is_at_its_place_with_its_error_bar(panel):
    panel.dot(5.0, 0.0, 0.5, RED)
    x, y = red(panel)
    assert x.mean() == pytest.approx(170, abs=1)
    assert (y.min(), y.max()) == pytest.approx((52.5, 117.5), abs=1.5)


def test_a_curve_leaves_a_gap_where_there_is_no_number(panel):
    panel.curve(np.arange(11.0), [0, 0, 0, 0, np.nan, np.nan, np.nan, 0, 0, 0, 0], RED)
    x, _ = red(panel)
    assert not np.any((x > 127) & (x < 213))
    assert x.min() == 60
    assert x.max() == 280


def test_what_is_too_high_stays_inside_the_box(panel):
    panel.dot(5.0, 40.0, 1.0, RED)
    _, y = red(panel)
    assert y.min() >= 20 - 3


def test_labels_do_not_cover_each_other(panel):
    first = panel.mark(5.0, "5000.0 Hg I", RED)
    assert panel.mark(5.1, "5001.0 Hg I", RED, taken=first) == first
    assert panel.mark(7.0, "5200.0 Hg I", RED, taken=first) > first
