"""Apertures moved by hand: undone, added, and said in the numbers that the service takes."""

import numpy as np
import pytest

from goodman_live.pipeline.core.aperture import Aperture
from goodman_live.pipeline.core.frame import Window
from goodman_live.widgets.pages.hand import Hand, between, request

DRAWN = [
    {
        "name": "1",
        "column": [0.0, 500.0, 1000.0],
        "centre": [100.0, 102.0, 106.0],
        "aperture": [-6.0, 5.0],
        "zones": [[-40.0, -12.0], [12.0, 40.0]],
    }
]


def test_every_change_can_be_undone_and_no_more():
    hand = Hand(DRAWN)
    assert not hand.changed
    moved = [{**DRAWN[0], "aperture": [-9.0, 5.0]}]
    hand.move(moved)
    hand.move([{**DRAWN[0], "aperture": [-11.0, 5.0]}])
    hand.undo()
    assert hand.changed
    assert hand.now == moved
    for _ in range(3):
        hand.undo()
    assert hand.now == DRAWN
    assert not hand.changed


def test_a_new_aperture_has_the_trace_of_the_one_before():
    hand = Hand(DRAWN)
    hand.place(500.0, 300.0, (400, 1001))
    first, second = hand.now
    assert first == DRAWN[0]
    assert second["name"] == "2"
    assert second["centre"] == [298.0, 300.0, 304.0]
    assert second["zones"] == []  # the service chooses
    hand.remove()
    assert hand.now == DRAWN
    hand.remove()
    assert hand.now == DRAWN  # one stays
    alone = Hand([])
    alone.place(10.0, 30.0, (400, 1001))
    assert alone.now[0]["centre"] == [30.0, 30.0]


@pytest.mark.parametrize("binning", [(1, 1), (2, 2), (1, 3)])
def test_what_is_asked_for_lies_on_the_pixels_that_were_drawn(binning):
    xbin, ybin = binning
    window = Window(x0=50, y0=1102, nx=1001, ny=400, xbin=xbin, ybin=ybin)
    told = {name: getattr(window, name) for name in ("x0", "y0", "xbin", "ybin")}
    (asked,) = request(DRAWN, told)
    aperture = Aperture(**asked)  # the pipeline takes it as it is
    rows = window.rows_unbinned()
    assert aperture.row == pytest.approx(rows[102])
    assert aperture.column == pytest.approx(window.columns_unbinned()[500])
    assert (aperture.lower, aperture.upper) == (-6 * ybin, 5 * ybin)
    np.testing.assert_allclose(aperture.zones, np.array(DRAWN[0]["zones"]) * ybin)


def test_a_trace_is_read_between_its_points():
    columns, rows = [0.0, 10.0, 20.0], [1.0, 3.0, 3.0]
    found = [between(columns, rows, at) for at in (-5.0, 0.0, 5.0, 10.0, 15.0, 99.0)]
    assert found == [1.0, 1.0, 2.0, 3.0, 3.0, 3.0]
