from __future__ import annotations

import numpy as np
import pytest

from goodman_live.pipeline.core.frame import Window
from goodman_live.pipeline.core.slit import trace_edges
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.optics import slit_edges


def traced(binning, region, mode="930_M4"):
    chosen = setup("Red", mode, binning=binning, region=region)
    sim = frames.flat(chosen, seed=5)
    exposure = sim.truth.exposure
    x = -(-50 // binning[0])
    window = Window(
        region.x0 + x * binning[0], region.y0, region.nx - x, region.ny, *binning
    )  # fmt: skip
    light = (sim.data - exposure.bias)[:, x:].astype(np.float32)
    return trace_edges(light, np.sqrt(np.abs(light) / 1.48 + 7).astype(np.float32), window), window


@pytest.mark.parametrize("binning", [(2, 2), (1, 2), (3, 3)])
def test_both_edges_are_found_to_a_fraction_of_a_pixel(binning):
    xbin, ybin = binning
    edges, window = traced(binning, Region("user-defined", 0, 1100, 1400 // xbin, 1896 // ybin))
    column = window.columns_unbinned()
    truth = slit_edges(column)
    u = (column - 2079.5) / 2030
    for found, true in zip((edges.lower, edges.upper), truth, strict=True):
        assert found is not None
        # the half-light row of a pixel-wide penumbra
        assert np.abs(np.polynomial.polynomial.polyval(u, found) - true).max() < 1.0
    lit = edges.lit(window)
    row = window.rows_unbinned()[:, None]
    assert not lit[(row < truth[0]) | (row > truth[1])].any()
    assert lit[(row > truth[0] + 8) & (row < truth[1] - 8)].all()


def test_a_window_inside_the_slit_has_no_edge():
    edges, window = traced((2, 2), Region("user-defined", 0, 1800, 600, 200))
    assert edges.lower is None
    assert edges.upper is None
    assert edges.lit(window).all()
    assert edges.bounds(window) == slice(0, 200)


def test_a_window_over_one_edge_has_that_edge():
    edges, window = traced((2, 2), Region("user-defined", 0, 1200, 600, 300))
    assert edges.lower is not None
    assert edges.upper is None
    assert edges.bounds(window).stop == 300


def test_dust_on_the_jaws_is_no_edge():
    profile = np.full((400, 300), 1000.0, np.float32)
    profile[:40] = 2
    profile[90:100] = 750  # a speck that takes a quarter of the light
    edges = trace_edges(profile, np.full(profile.shape, 5, np.float32), Window(50, 0, 300, 400))
    assert edges.lower is not None
    assert edges.lower[0] == pytest.approx(39.5, abs=0.6)
    assert edges.upper is None


def test_a_dark_frame_has_no_edge():
    noise = np.random.default_rng(1).normal(0, 3, (300, 300)).astype(np.float32)
    edges = trace_edges(noise, np.full(noise.shape, 3, np.float32), Window(50, 0, 300, 300))
    assert edges.lower is None
    assert edges.upper is None
