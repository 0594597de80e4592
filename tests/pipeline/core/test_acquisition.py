"""Slits and targets in direct images: their places are known."""

import numpy as np
import pytest

from goodman_live.pipeline.blocks.measure_focus import lit_frame
from goodman_live.pipeline.core.acquisition import cut_centroid, locate
from goodman_live.pipeline.core.slitimage import find_slit
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import SLIT_CENTRE_ROW, Region, setup
from goodman_live.pipeline.simulate.optics import SlitPlace

ROW = 2150.0
STRIP = {
    (1, 1): Region("Slit Imaging/Alignment", 1850, 1600, 400, 900),
    (2, 2): Region("Slit Imaging/Alignment", 1850, 1600, 200, 450),
}


def shot(folder, *, slit, target=0.0, binning=(1, 1), seed=1, stars=(), exptime_s=20.0, rate=4e3):
    """Write an image with a target `target` px across from `SlitPlace` at ROW; return it read."""
    here = setup("Blue", None, binning=binning, region=STRIP[binning])
    place = SlitPlace(1.0, 2071.3, -0.005)
    column = place.column + place.lean * (ROW - SLIT_CENTRE_ROW) + target

    def binned(unbinned, start, by):
        return (unbinned - start - (by - 1) / 2) / by

    put = [
        [binned(x, here.region.x0, binning[0]), binned(y, here.region.y0, binning[1]), e]
        for x, y, e in [(column, ROW, rate), *stars]
    ]
    image = frames.image(
        here, seed=seed, exptime_s=exptime_s, placed=np.array(put), slit=place if slit else None,
        log=Log(object_name="target_acq"),
    )  # fmt: skip
    path = folder / f"{slit}{target}{binning[0]}{seed}.fits"
    image.write(path)
    frame, info = lit_frame(path)
    return frame, info, place


@pytest.mark.parametrize("binning", [(1, 1), (2, 2)])
def test_the_slit_is_where_it_is(tmp_path, binning):
    frame, info, place = shot(tmp_path, slit=True, binning=binning)
    found = find_slit(frame, info.slit_arcsec)
    assert info.kind == "acquisition"
    assert found is not None
    rows = np.array([1650.0, ROW, 2450.0])
    truth = place.column + place.lean * (rows - SLIT_CENTRE_ROW)
    np.testing.assert_allclose(found.at(rows), truth, atol=0.35)
    assert found.fwhm_px == pytest.approx(1.0 / 0.15, abs=0.8)


def test_an_image_without_slit_has_none(tmp_path):
    frame, _, _ = shot(tmp_path, slit=False, seed=3)
    assert find_slit(frame, 1.0) is None
    assert find_slit(frame, 0.45) is None
    assert find_slit(frame, None) is None


@pytest.mark.parametrize("target", [-12.0, 0.4, 30.0])
def test_the_offset_of_a_target_beside_the_slit(tmp_path, target):
    through, info, place = shot(tmp_path, slit=True, seed=4)
    slit = find_slit(through, info.slit_arcsec)
    away = (place.column + 90.0, 1800.0, 900.0)
    far = (place.column + 160.0, 1900.0, 90000.0)
    frame, _, _ = shot(tmp_path, slit=False, target=target, seed=5, stars=(away, far))
    found = locate(frame, slit, through=False, slit_arcsec=1.0)
    assert found.target.across_px == pytest.approx(target, abs=0.4)
    assert found.target.row == pytest.approx(ROW, abs=0.3)
    assert found.target.error_px < 0.3
    assert any(abs(one.row - 1800) < 1 for one in found.others)
    assert all(abs(one.across_px) < 140 for one in found.others)


@pytest.mark.parametrize("binning", [(1, 1), (2, 2)])
@pytest.mark.parametrize("target", [-2.5, 0.0, 1.8])
def test_the_offset_of_a_target_in_the_slit(tmp_path, target, binning):
    for seed, rate in enumerate((400.0, 4e3, 4e4)):
        frame, info, _ = shot(
            tmp_path, slit=True, target=target, seed=10 + seed, rate=rate, binning=binning
        )
        slit = find_slit(frame, info.slit_arcsec)
        found = locate(frame, slit, through=True, slit_arcsec=1.0).target
        assert found.row == pytest.approx(ROW, abs=1.5 if rate < 1e3 else 0.5)
        assert abs(found.across_px - target) < 3.5 * found.error_px
        assert found.error_px < 0.5  # 0.08 arcsec


def test_an_empty_slit_says_so(tmp_path):
    frame, info, _ = shot(tmp_path, slit=True, rate=0.0, seed=6)
    slit = find_slit(frame, info.slit_arcsec)
    found = locate(frame, slit, through=True, slit_arcsec=1.0)
    assert found.target is None
    assert "No target" in found.remarks[0]


def test_the_jaws_hold_the_centroid_back():
    assert cut_centroid(0.0, 3.0, 3.0) == pytest.approx(0.0, abs=1e-12)
    places = np.linspace(-8, 8, 33)
    seen = np.array([cut_centroid(place, 3.0, 3.0) for place in places])
    assert np.all(np.diff(seen) > 0)
    assert np.all(np.abs(seen) < 3.0)
    assert cut_centroid(4.0, 0.5, 100.0) == pytest.approx(4.0)
