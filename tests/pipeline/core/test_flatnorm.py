from __future__ import annotations

import numpy as np
import pytest

from goodman_live.pipeline.core.badpix import bad_in_flat
from goodman_live.pipeline.core.flatnorm import fit_rows, fit_spectrum, normalise
from goodman_live.pipeline.core.lamptilt import measure_shift

SHAPE = (120, 900)


def lamp(columns=SHAPE[1]):
    u = np.linspace(-1, 1, columns)
    return 20000 * np.exp(-((u - 0.3) ** 2) / 0.5) * (1 + 0.1 * np.sin(4 * u))


def flat(rng, *, response=0.006, illumination=True):
    pixels = rng.normal(1, response, SHAPE)
    along = 1 + 0.05 * np.linspace(-1, 1, SHAPE[0]) ** 2 if illumination else np.ones(SHAPE[0])
    mean = lamp() * pixels * along[:, None]
    error = np.sqrt(mean / 15)
    return (
        (mean + rng.normal(0, 1, SHAPE) * error).astype(np.float32),
        error.astype(np.float32),
        pixels,
        along,
    )


@pytest.mark.parametrize("method", ["simple", "full"])
def test_the_lamp_is_divided_out_and_the_response_stays(method):
    counts, error, pixels, along = flat(np.random.default_rng(1))
    result = normalise(counts, error, np.ones(SHAPE, bool), method=method, order=15)
    middle = along[SHAPE[0] // 4 : -SHAPE[0] // 4]
    truth = pixels * (along[:, None] / np.median(middle) if method == "simple" else 1)
    pulls = ((result.data - truth) / result.uncertainty)[~result.low]
    assert pulls.std() == pytest.approx(1, abs=0.05)
    assert abs((result.data - truth).mean()) < 2e-3


def slanted(rng, tilt, bow):
    """Return a flat whose lamp is displaced along the slit, and what it should become."""
    counts, error, pixels, along = flat(rng)
    u = np.linspace(-1, 1, SHAPE[0])
    columns = np.arange(SHAPE[1])
    moved = [np.interp(columns - tilt * y - bow * y**2, columns, lamp()) for y in u]
    mean = np.array(moved) * pixels * along[:, None]
    counts = (mean + rng.normal(0, 1, SHAPE) * np.sqrt(mean / 15)).astype(np.float32)
    return counts, error, pixels * along[:, None]


@pytest.mark.parametrize(("tilt", "bow"), [(3.0, 1.5), (-4.0, 0.0), (0.0, 2.0)])
def test_a_slanted_slit_leaves_no_slope_of_the_lamp(tilt, bow):
    left = []
    for seed in range(3):
        counts, error, response = slanted(np.random.default_rng(seed), tilt, bow)
        result = normalise(counts, error, np.ones(SHAPE, bool), method="simple", order=15)
        ratio = result.data / response
        ratio /= np.median(ratio)
        blue, red = ratio[:, 60:160], ratio[:, -160:-60]
        left.append(
            [part[rows].mean() for part in (blue, red) for rows in (slice(15), slice(-15, None))]
        )
    assert np.abs(np.mean(left, axis=0) - 1).max() < 1.5e-3


@pytest.mark.parametrize("seed", range(3))
def test_an_upright_slit_is_not_slanted(seed):
    counts, *_ = flat(np.random.default_rng(seed))
    shift = measure_shift(counts, np.ones(SHAPE, bool), lamp(), xbin=2)
    assert np.abs(shift).max() < 0.15


def test_an_even_lamp_tells_no_slant():
    counts = np.random.default_rng(1).normal(20000, 40, SHAPE).astype(np.float32)
    shift = measure_shift(counts, np.ones(SHAPE, bool), np.full(SHAPE[1], 2e4), xbin=2)
    assert (shift == 0).all()


def test_mean_keeps_the_lamp():
    counts, error, *_ = flat(np.random.default_rng(2))
    result = normalise(counts, error, np.ones(SHAPE, bool), method="mean", order=15)
    ratio = result.data[60] / lamp()
    assert ratio.std() / ratio.mean() < 0.02
    assert result.order == 0


@pytest.mark.parametrize("method", ["mean", "simple", "full"])
def test_a_dead_column_costs_that_column_only(method):
    counts, error, pixels, _ = flat(np.random.default_rng(3), illumination=False)
    counts[:, 400] = 0
    result = normalise(counts, error, np.ones(SHAPE, bool), method=method, order=15)
    assert (result.data[:, 400] == 1).all()
    assert result.low[:, 400].all()
    others = np.arange(SHAPE[1]) != 400
    assert result.low[:, others].mean() < 0.01
    bad = bad_in_flat(counts / result.lamp, np.ones(SHAPE, bool))
    assert bad[:, 400].all()
    if method != "mean":
        near = np.abs(np.arange(SHAPE[1]) - 400) < 20
        assert np.abs((result.data / pixels)[:, near & others].mean() - 1) < 2e-3
        assert bad[:, others].mean() < 1e-3


def test_pixels_without_signal_are_one_and_marked():
    counts, error, *_ = flat(np.random.default_rng(4))
    counts[:, :60] = np.random.default_rng(5).normal(3, 3, (SHAPE[0], 60))
    error[:, :60] = 3
    result = normalise(counts, error, np.ones(SHAPE, bool), method="simple", order=15)
    assert result.low[:, :60].all()
    assert (result.data[:, :60] == 1).all()
    assert (result.uncertainty[:, :60] > 1e-3).all()
    assert np.abs(result.data[:, 80:].mean() - 1) < 0.03


def test_unlit_rows_do_not_pull_the_fit():
    counts, error, _, _ = flat(np.random.default_rng(6), illumination=False)
    lit = np.ones(SHAPE, bool)
    lit[:70] = False
    counts[:70] = 80
    result = normalise(counts, error, lit, method="simple", order=15)
    assert result.data[70:].mean() == pytest.approx(1, abs=2e-3)
    assert (result.data[:70] == 1).all()
    assert not result.low[:70].any()


def test_a_flat_without_light_is_refused():
    with pytest.raises(ValueError, match="no lit pixel"):
        normalise(
            np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32), np.ones(SHAPE, bool),
            method="simple", order=15,
        )  # fmt: skip


@pytest.mark.parametrize("order", [1, 15, 60])
def test_any_order_is_well_conditioned(order):
    spectrum = lamp(2030)
    curve, used = fit_spectrum(spectrum, np.sqrt(spectrum), order)
    assert used == order
    assert np.isfinite(curve).all()
    if order >= 15:
        assert np.abs(curve / spectrum - 1).max() < 0.01


def test_rows_fitted_together_equal_rows_fitted_alone():
    rng = np.random.default_rng(7)
    u = np.linspace(-1, 1, 600)
    shapes = 1 + rng.normal(0, 0.05, (8, 4)) @ np.array([u, u**2, u**3, u**4])
    rows = (shapes + rng.normal(0, 0.005, shapes.shape)).astype(np.float32)
    together = fit_rows(rows, 8)
    for row, curve in zip(rows, together, strict=True):
        alone = np.polynomial.legendre.legval(u, np.polynomial.legendre.legfit(u, row, 8))
        np.testing.assert_allclose(curve, alone, atol=1e-3)
