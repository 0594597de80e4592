"""Apertures and background zones over an image: where the header says, and seen."""

import io
import json

import numpy as np
import pytest
from astropy.io.fits import Header
from PIL import Image

from goodman_live.pipeline.core.frame import Window
from goodman_live.pipeline.core.spectrum import Spectrum
from goodman_live.server_extension.apertures import overlay_of
from goodman_live.server_extension.render.choices import Choices
from goodman_live.server_extension.render.image import Picture, image_json, image_png
from goodman_live.server_extension.render.overlay import (
    APERTURE_COLOUR,
    BACKGROUND_COLOUR,
    Overlay,
)
from goodman_live.server_extension.render.spectrum import Curve, spectrum_png


def spectrum(window, row, **cards):
    """Return a spectrum whose trace is straight, at a row of the frame (binned, from 0)."""
    n = window.nx
    return Spectrum(
        flux=np.ones(n), uncertainty=np.ones(n), flags=np.zeros(n, np.uint8), sky=np.zeros(n),
        column=window.x0 + window.xbin * np.arange(n) + (window.xbin - 1) / 2,
        trace=np.full(n, window.y0 + window.ybin * row + (window.ybin - 1) / 2),
        header=Header(list(cards.items())),
    )  # fmt: skip


@pytest.mark.parametrize("window", [Window(0, 0, 60, 40), Window(110, 220, 60, 40, 2, 2)])
def test_an_aperture_lies_where_the_product_says(window):
    b = window.ybin
    made = spectrum(
        window,
        row=12.0,
        GSP_APLO=-3.0 * b,
        GSP_APHI=4.0 * b,
        GSP_EXTR="9.00:16.00",
        GSP_BKG1="2.00:5.50 column 1",
        GSP_BKG2="none",
    )
    found = overlay_of("1", made, window)
    np.testing.assert_allclose(found.column, np.arange(60), atol=1e-9)
    np.testing.assert_allclose(found.centre, 12.0)
    assert found.aperture == (-3.0, 4.0)
    assert found.zones == ((pytest.approx(-10.0), pytest.approx(-6.5)),)


def test_on_a_frame_with_another_window_it_lies_on_the_same_detector_rows():
    cut, raw = Window(110, 200, 60, 40, 2, 2), Window(100, 0, 80, 200, 2, 2)
    found = overlay_of("1", spectrum(cut, row=12.0, GSP_APLO=-4.0, GSP_APHI=4.0), raw)
    np.testing.assert_allclose(found.centre, 112.0)
    assert found.column[0] == 5.0


def picture(**more):
    shape = (100, 200)
    return Picture(
        data=np.zeros(shape, np.float32), saturated=np.zeros(shape, bool), title=(), unit="ADU",
        **more,
    )  # fmt: skip


OVER = Overlay("1", np.arange(200.0), np.full(200, 40.0), (-5.0, 5.0), ((10.0, 20.0),))
BARE = Choices(axes=False, width=200)


def rows_of(png, colour):
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    hit = (np.abs(image[:, 20:150] - colour).sum(axis=2) < 30).all(axis=1)
    return sorted(image.shape[0] - 1 - np.flatnonzero(hit))  # from the bottom


def test_edges_are_drawn_at_their_rows():
    png = image_png(picture(overlays=(OVER,)), BARE)
    np.testing.assert_allclose(rows_of(png, APERTURE_COLOUR), [35, 45], atol=1)
    np.testing.assert_allclose(rows_of(png, BACKGROUND_COLOUR), [50, 60], atol=1)
    assert rows_of(image_png(picture(), BARE), APERTURE_COLOUR) == []


def test_a_region_and_a_scale_move_them():
    choices = Choices(axes=False, width=200, height=64, y0=20, y1=84)
    png = image_png(picture(overlays=(OVER,)), choices)
    np.testing.assert_allclose(rows_of(png, APERTURE_COLOUR), [15, 25], atol=1)


def test_far_outside_of_the_picture_is_no_error():
    far = Overlay("9", np.arange(200.0), np.full(200, 1e30), (-5.0, 5.0), ((1e30, 2e30),))
    assert image_png(picture(overlays=(far,)), BARE).startswith(b"\x89PNG")


def test_the_numbers_travel_as_json():
    answer = image_json(picture(overlays=(OVER,)), Choices(format="json"))
    [found] = json.loads(json.dumps(answer, allow_nan=False))["apertures"]
    assert (found["name"], found["aperture"], found["zones"]) == ("1", [-5, 5], [[10, 20]])
    assert len(found["column"]) == len(found["centre"]) == 200


def test_fluxes_of_1e_13_are_labelled_without_rounding_steps_away():
    n = 100
    values = {name: np.zeros(n) for name in ("uncertainty", "sky")}
    one = Curve(
        x=np.arange(n), y=np.linspace(1.7e-13, 3.4e-13, n), flags=np.zeros(n, np.uint8),
        saturated=np.zeros(n, bool), title=(), x_name="x", x_unit="", y_unit="", **values,
        y_name="Intensity (erg / s)",
    )  # fmt: skip
    scaled = Curve(
        x=one.x, y=one.y * 1e13, flags=one.flags, saturated=one.saturated, title=(), x_name="x",
        x_unit="", y_unit="", **values, y_name="Intensity (1e-13 erg / s)",
    )  # fmt: skip
    assert spectrum_png(one, Choices()) == spectrum_png(scaled, Choices())
