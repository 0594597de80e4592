"""An image arrives where a star catalogue is configured: coordinates follow by themselves."""

import pytest
from astropy.wcs import WCS

from goodman_live.pipeline.products.fits import read_header
from goodman_live.pipeline.settings import STAR_CATALOGUE
from tests.pipeline.blocks.star_field import DEC, RA, field

from .test_night import begun


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sky")
    _, catalogue, _ = field(folder, 5)
    return folder / "image5.fits", catalogue


async def test_an_image_is_solved_by_itself(tmp_path, monkeypatch, sky):
    image, catalogue = sky
    monkeypatch.setenv(STAR_CATALOGUE, str(catalogue))
    async with begun(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path) as night:
        night.place([image])
        await night.rest()
        (solved,) = night.products(2, "image")
        assert solved.block == "solve_astrometry"
        assert solved.quality["rms_arcsec"] <= 0.05
        wcs = WCS(read_header(solved.path), fix=False)
        assert wcs.wcs.crval == pytest.approx([RA, DEC], abs=0.1)
        assert len(night.products(2, "image", current=False)) == 2  # the reduced one is kept
        assert night.raws("image")[0].state == "done"


async def test_a_field_that_cannot_be_solved_is_reduced_and_says_why(tmp_path, monkeypatch, sky):
    image, _ = sky
    (tmp_path / "other").mkdir()
    _, foreign, _ = field(tmp_path / "other", 6)
    monkeypatch.setenv(STAR_CATALOGUE, str(foreign))
    async with begun(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path) as night:
        night.place([image])
        await night.rest()
        (reduced,) = night.products(2, "image")
        assert reduced.block == "reduce"
        raw = night.raws("image")[0]
        assert raw.state == "done"
        assert "Solve astrometry failed" in raw.waits_for
