"""Focus and acquisition frames of the telescope: what headers say, and what is there."""

import numpy as np
import pytest

from goodman_live.pipeline.blocks.measure_focus import lit_frame
from goodman_live.pipeline.core.focus import measure_width
from goodman_live.pipeline.core.slitimage import find_slit


def test_the_slit_of_a_focus_strip_is_seen(real_frames):
    frame, info = lit_frame(real_frames / "im_g_SDSS.fits")
    slit = find_slit(frame, info.slit_arcsec)
    peak = frame.window.x0 + np.argmax(np.median(frame.data, axis=0))
    assert slit.column == pytest.approx(peak, abs=1.0)
    assert slit.lean == pytest.approx(-0.005, abs=0.001)
    width = measure_width(frame, info)
    assert (width.what, width.count) == ("slit", 12)
    assert width.fwhm_px == pytest.approx(0.45 / 0.15, abs=0.5)


def test_the_lines_of_a_focus_arc_are_measured(real_frames):
    frame, info = lit_frame(real_frames / "sp_400m1.fits")
    width = measure_width(frame, info)
    assert width.what == "lines"
    assert width.count > 30
    # from 2.7 px in the blue to 6 in the red
    assert 2.7 < width.fwhm_px < 6.0


def test_a_slit_in_the_header_alone_is_not_seen(real_frames):
    frame, info = lit_frame(real_frames / "goodman_blue_acq.fits")
    assert info.kind == "acquisition"
    assert info.slit_arcsec == 0.45
    assert find_slit(frame, info.slit_arcsec) is None
