"""Pictures: what must be seen is seen, at its place."""

import io

import numpy as np
import pytest
from PIL import Image

from goodman_live.pipeline.draw.ticks import round_ticks, tick_labels
from goodman_live.server_extension.render.choices import Choices
from goodman_live.server_extension.render.colormaps import NAMES, table
from goodman_live.server_extension.render.image import (
    SATURATED_COLOUR,
    Picture,
    RegionError,
    image_json,
    image_png,
)
from goodman_live.server_extension.render.scale import (
    Limits,
    apply_stretch,
    find_limits,
    shrink_any,
    shrink_mean,
    stretched,
    unstretched,
)
from goodman_live.server_extension.render.spectrum import Curve, spectrum_json, spectrum_png


def picture_of(data, saturated=None):
    return Picture(
        np.asarray(data, np.float32),
        np.zeros(np.shape(data), bool) if saturated is None else saturated,
        ("ARC Ne", "SOAR2026A-001"),
        "Intensity (ADU)",
    )


def curve_of(flux, **changes):
    n = len(flux)
    values = {
        "x": np.linspace(5000, 6000, n), "y": np.asarray(flux, float), "uncertainty": np.ones(n),
        "flags": np.zeros(n, np.uint8), "sky": np.zeros(n), "saturated": np.zeros(n, bool),
        "title": ("SPECTRUM x", "p"), "x_name": "Wavelength (Angstrom)", "x_unit": "Angstrom",
        "y_name": "Intensity (ADU)", "y_unit": "adu",
    }  # fmt: skip
    return Curve(**(values | changes))


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


@pytest.mark.parametrize("name", NAMES)
def test_each_colour_map_has_256_colours_from_dark_to_light_or_back(name):
    colours = table(name)
    assert colours.shape == (256, 3)
    assert colours.dtype == np.uint8
    assert len(np.unique(colours, axis=0)) > 100


def test_known_ends_of_published_maps():
    assert table("viridis")[0].tolist() == [68, 1, 84]
    assert table("viridis")[255].tolist() == [253, 231, 37]
    assert table("gray_r")[0].tolist() == [255, 255, 255]
    assert table("cubehelix")[0].tolist() == [0, 0, 0]
    assert table("cubehelix")[255].tolist() == [255, 255, 255]


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (50, 33), (200, 400)])
def test_shrinking_counts_every_pixel_once(shape):
    data = np.random.default_rng(1).normal(100, 5, (97, 211)).astype(np.float32)
    small = shrink_mean(data, shape)
    assert small.shape == tuple(np.minimum(shape, data.shape))
    starts = [np.arange(m) * n // m for n, m in zip(data.shape, small.shape, strict=True)]
    sizes = [np.diff(np.append(s, n)) for s, n in zip(starts, data.shape, strict=True)]
    assert (small * np.outer(*sizes)).sum() == pytest.approx(data.sum(), rel=1e-5)


@pytest.mark.parametrize("row", [0, 50, 96])
@pytest.mark.parametrize("column", [0, 3, 100, 210])
def test_a_single_saturated_pixel_stays_visible(row, column):
    saturated = np.zeros((97, 211), bool)
    saturated[row, column] = True
    assert shrink_any(saturated, (20, 30)).any()
    image = pixels(image_png(picture_of(np.zeros((97, 211)), saturated), Choices(width=300)))
    assert (image == SATURATED_COLOUR).all(axis=2).any()


def test_saturated_pixels_are_marked_only_if_asked():
    saturated = np.ones((20, 20), bool)
    image = pixels(image_png(picture_of(np.zeros((20, 20)), saturated), Choices(saturated=False)))
    assert not (image == SATURATED_COLOUR).all(axis=2).any()


def test_the_first_row_is_at_the_bottom_and_the_first_column_at_the_left():
    data = np.zeros((40, 60))
    data[:10, :10] = 1000
    bare = Choices(axes=False, limits="minmax", saturated=False)
    image = pixels(image_png(picture_of(data), bare))[:, :, 0]
    assert image.shape == (40, 60)
    assert image[-10:, :10].min() == 255
    assert image[:30].max() == 0


def test_a_region_is_cut_to_the_image_and_outside_of_it_is_an_error():
    view = image_json(picture_of(np.zeros((40, 60))), Choices(x0=50, x1=500, y0=5))
    assert view["region"] == [50, 60, 5, 40]
    with pytest.raises(RegionError):
        image_json(picture_of(np.zeros((40, 60))), Choices(x0=60))


@pytest.mark.parametrize("method", ["zscale", "percentile", "minmax", "manual"])
@pytest.mark.parametrize("value", [0.0, 5.0, np.nan])
def test_limits_of_a_flat_or_empty_image_can_be_divided_by(method, value):
    limits = find_limits(np.full((30, 30), value, np.float32), method)
    assert limits.high > limits.low
    assert np.isfinite([limits.low, limits.high]).all()


def test_limits_by_hand_win():
    data = np.arange(10_000, dtype=np.float32)
    limits = find_limits(data, "percentile", percentile=98, low=-5)
    assert limits.low == -5
    assert limits.high == pytest.approx(9899, abs=2)


def test_zscale_is_not_misled_by_a_few_bright_pixels():
    data = np.random.default_rng(2).normal(500, 5, 100_000).astype(np.float32)
    data[::997] = 60_000
    limits = find_limits(data, "zscale")
    assert 470 < limits.low < 500 < limits.high < 550


@pytest.mark.parametrize("stretch", ["linear", "log", "asinh"])
def test_a_stretch_rises_from_end_to_end_and_has_its_inverse(stretch):
    part = np.linspace(0, 1, 101)
    bright = stretched(part, stretch)
    assert bright[0] == pytest.approx(0)
    assert bright[-1] == pytest.approx(1)
    assert (np.diff(bright) > 0).all()
    np.testing.assert_allclose(unstretched(bright, stretch), part, atol=1e-12)


def test_what_is_not_finite_is_dark_and_not_an_error():
    values = np.array([[np.nan, np.inf, -np.inf, 1.0]], np.float32)
    assert apply_stretch(values, Limits(0, 1, "manual"), "linear").tolist() == [[0, 255, 0, 255]]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [64, 200, 1000])
def test_every_size_can_be_drawn(theme, width):
    choices = Choices(width=width, height=width, theme=theme)
    assert pixels(image_png(picture_of(np.eye(30)), choices)).shape[1] == width
    assert pixels(spectrum_png(curve_of(np.arange(30)), choices)).shape[1] == width


def test_names_from_outside_are_drawn_as_text_whatever_is_in_them():
    curve = curve_of(np.arange(30), title=("<b>\x00\n" + "W" * 10_000, "\u202e\U0001f4a9"))
    assert spectrum_png(curve, Choices()).startswith(b"\x89PNG")


def test_an_emission_line_is_where_it_belongs():
    flux = np.zeros(1000)
    flux[250] = 100
    curve = curve_of(flux)
    image = pixels(spectrum_png(curve, Choices(uncertainty=False, title=False, width=1000)))
    line = np.abs(image - np.array([128, 216, 195])).sum(axis=2) < 60
    top = line[20:200].any(axis=0).nonzero()[0]
    left, right = 92, 1000 - 26
    assert top.mean() == pytest.approx(left + (right - left) * 250 / 999, abs=1.5)


def test_plot_data_of_a_spectrum_have_null_where_there_is_nothing():
    flux = np.arange(100.0)
    flux[3] = np.nan
    view = spectrum_json(curve_of(flux), Choices(wmin=5000, wmax=5500))
    assert view["y"]["values"][3] is None
    assert len(view["x"]["values"]) == len(view["flags"]) == 50
    assert max(view["x"]["values"]) <= 5500


def test_nothing_of_a_spectrum_in_range_is_an_error():
    with pytest.raises(RegionError, match="5000 to 6000"):
        spectrum_json(curve_of(np.arange(100.0)), Choices(wmin=7000))


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 10, ["0", "2", "4", "6", "8", "10"]), (-0.5, 0.5, ["-0.4", "-0.2", "0.0", "0.2", "0.4"])],
)
def test_ticks_are_round(low, high, ticks):
    assert tick_labels(round_ticks(low, high, 5)) == ticks


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (np.nan, 1), (0, np.inf)])
def test_no_ticks_where_there_is_no_axis(low, high):
    assert round_ticks(low, high, 5) == []
