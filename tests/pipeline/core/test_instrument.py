"""Cameras, readout modes and columns, against the published tables."""

from __future__ import annotations

import math

import pytest

from goodman_live.pipeline.core import instrument
from goodman_live.pipeline.core.frame import Window


def spectroscopic(binning):
    return Window(0, 1100, 4142 // binning, 1896 // binning, binning, binning)


@pytest.mark.parametrize(
    ("camera", "binning", "fits_columns"),
    # the public service uses 6:49, 3:24, 2:16 on Red; ours leaves out the glowing first four
    [
        ("Red", 1, (5, 49)),
        ("Red", 2, (3, 24)),
        ("Red", 3, (3, 16)),
        ("Blue", 1, (1, 16)),
        ("Blue", 2, (1, 8)),
        ("Blue", 3, (1, 5)),
    ],
)
def test_overscan_columns(camera, binning, fits_columns):
    columns = instrument.overscan_columns(camera, spectroscopic(binning))
    assert (columns.start + 1, columns.stop) == fits_columns


def test_overscan_never_holds_light_or_glow():
    for camera in instrument.CAMERAS.values():
        for binning in range(1, 9):
            for x0 in range(60):
                window = Window(x0, 0, 300, 10, binning, binning)
                columns = instrument.overscan_columns(camera.name, window)
                if columns is not None:
                    assert x0 + columns.start * binning >= camera.overscan[0]
                    assert x0 + columns.stop * binning <= camera.overscan[1] < camera.prescan + 1


def test_window_past_the_prescan_has_no_overscan():
    assert instrument.overscan_columns("Red", Window(530, 388, 1548, 1548, 2, 2)) is None
    assert instrument.overscan_columns("Blue", Window(16, 0, 100, 100)) is None


@pytest.mark.parametrize(
    ("binning", "section"),
    [(1, "[51:4110,2:1896]"), (2, "[26:2055,2:948]"), (3, "[18:1370,2:632]")],
)
def test_light_window(binning, section):
    window = spectroscopic(binning)
    assert instrument.section(instrument.light_window(window), window) == section


def test_image_keeps_its_whole_window():
    window = Window(530, 388, 1548, 1548, 2, 2)
    assert instrument.light_window(window, spectrum=False) == window


def test_window_in_the_prescan_sees_no_light():
    with pytest.raises(ValueError, match="sees light"):
        instrument.light_window(Window(0, 0, 20, 100))


def test_every_row_of_the_saturation_table_is_half_of_the_full_well():
    """The rule for unlisted pairs is the rule that the table itself follows."""
    for mode in instrument.readouts():
        well = instrument.CAMERAS[mode.camera].half_well_e
        assert math.isclose(mode.saturation * mode.gain, well, rel_tol=0.015)


@pytest.mark.parametrize(
    ("camera", "gain", "rdnoise", "published", "clip"),
    [
        ("Red", 1.48, 3.89, 69257, 65535),
        ("Blue", 1.40, 4.74, 49928, 49928),
        ("Red", 1.45, 5.27, 69728, 65535),
        ("Blue", 5.67, 8.62, 12328, 12328),
    ],
)
def test_saturation(camera, gain, rdnoise, published, clip):
    value = instrument.saturation_adu(camera, gain, rdnoise)
    assert (value, instrument.clip_adu(value)) == (published, clip)


def test_readout_pairs_never_coincide_between_cameras():
    red, blue = (
        {(mode.gain, mode.rdnoise) for mode in instrument.readouts() if mode.camera == camera}
        for camera in ("Red", "Blue")
    )
    assert not red & blue
    assert len(red) == 8
    assert len(blue) == 9


def test_named_modes():
    assert len(instrument.modes()) == 24
    assert instrument.find_mode(400, 11.6, 5.8).name == "400_M1"
    assert instrument.find_mode(400, 11.6101, 5.8) is None
    assert instrument.find_mode(600, 11.6, 5.8) is None
    assert instrument.find_mode(1200, 60.2, 30.1, "1200_CANIR").name == "1200_CANIR"
    assert instrument.find_mode(1200, 60.2, 30.1, "1200_RALC_RED").name == "1200_M7"
