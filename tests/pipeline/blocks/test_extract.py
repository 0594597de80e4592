"""The extract block: what stands on disk, what it says, and what it refuses."""

import json

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from goodman_live.pipeline.blocks.extract import extract
from goodman_live.pipeline.core.aperture import Aperture
from goodman_live.pipeline.core.errors import BadFrameError, NoTargetError
from goodman_live.pipeline.products.fits import read_spectrum, write_frame
from goodman_live.pipeline.settings import ReductionSettings
from tests.pipeline.core.slit_scene import Star, scene


@pytest.fixture
def reduced(tmp_path, raw_header):
    """Return a function that writes a reduced frame of some stars."""

    def write(*stars, seed=1, **header):
        frame = scene(seed, stars, ny=200, nx=500).frame
        frame.header.extend(raw_header(GSP_TECH="Spectroscopy"), update=True)
        frame.header.update(header)
        path = tmp_path / "cfzst_0001_star.fits"
        write_frame(path, frame, data_type=2)
        return path

    return write


def test_one_target_has_a_plain_name_and_its_record(reduced, tmp_path):
    path = reduced(Star(90, 3000.0))
    result = extract(path, out_dir=tmp_path / "out", settings=ReductionSettings())
    (product,) = result.products
    assert "_target_" not in product.path.name
    assert product.path.name.startswith("e")
    assert product.parents == (path,)
    header = fits.getheader(product.path)
    for key in ("GSP_TMOD", "GSP_TORD", "GSP_TC00", "GSP_EXTR", "GSP_BKG1", "GSP_SNR", "APNUM1"):
        assert key in header
    assert header["GSP_XMET"] == "optimal"
    spectrum = read_spectrum(product.path)
    assert np.median(spectrum.flux) == pytest.approx(3000 / 1.48, rel=0.01)
    assert np.all(spectrum.uncertainty > 0)
    assert np.all(spectrum.sky > 0)


def test_several_targets_are_numbered_and_the_rest_is_said(reduced, tmp_path):
    path = reduced(Star(40, 900.0), Star(100, 3000.0), Star(160, 500.0))
    settings = ReductionSettings(max_targets=2)
    result = extract(path, out_dir=tmp_path / "out", settings=settings)
    names = [p.path.name for p in result.products]
    assert [name.partition("_target_")[2] for name in names] == ["1.fits", "2.fits"]
    assert any("1 more source" in message for message in result.messages)


def test_no_target_names_the_file_and_leaves_nothing(reduced, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(NoTargetError, match=r"cfzst_0001_star\.fits.*No target") as caught:
        extract(reduced(), out_dir=out, settings=ReductionSettings())
    assert "by hand" in caught.value.remedy
    assert not out.exists()


def test_aperture_by_hand_on_a_frame_without_targets(reduced, tmp_path):
    aperture = Aperture(row=1500.0, lower=-8, upper=8, follow="straight")
    result = extract(
        reduced(), out_dir=tmp_path / "out", settings=ReductionSettings(), apertures=[aperture]
    )
    spectrum = read_spectrum(result.products[0].path)
    assert np.all(spectrum.trace == pytest.approx(1500.0))
    assert abs(np.mean(spectrum.flux / spectrum.uncertainty)) < 0.3
    assert spectrum.header["GSP_APLO"] == pytest.approx(-8)


def test_diagnostics_are_plain_json(reduced, tmp_path):
    result = extract(
        reduced(Star(90, 3000.0)),
        out_dir=tmp_path / "out",
        settings=ReductionSettings(),
        diagnostics=True,
    )
    drawn = {product.role: product.path for product in result.products if product.role}
    assert set(drawn) == {"diagnostics", "profile", "trace", "sky"}
    data = json.loads(drawn["diagnostics"].read_text())
    (target,) = data["targets"]
    assert np.median(target["spectrum"]["flux"]) == pytest.approx(3000 / 1.48, rel=0.01)
    assert data["profile"]["sources"][0]["row"] == pytest.approx(1300.5 + 2 * 90, abs=1)
    for role in ("profile", "trace", "sky"):
        picture = np.asarray(Image.open(drawn[role]).convert("RGB"))
        assert picture.shape == (760, 1400, 3)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3, "curves, not a blank sheet"


def test_a_direct_image_is_refused(reduced, tmp_path):
    path = reduced(Star(90, 3000.0), GSP_TECH="Imaging")
    with pytest.raises(BadFrameError, match="direct image"):
        extract(path, out_dir=tmp_path, settings=ReductionSettings())
