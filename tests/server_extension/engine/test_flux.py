"""A standard star arrives, before or after its science frames: flux follows by itself."""

from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import select

from goodman_live.pipeline.products.fits import read_spectrum
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.law import random_law
from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.plan import STANDARD, SUPERNOVA_TARGET, Clock, visit
from goodman_live.server_extension.catalogue.models import Frame

from .test_night import begun


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    rng = np.random.default_rng(12)
    clock = Clock(datetime(2026, 8, 16, 0, 10, tzinfo=UTC))
    set_up = setup("Red", "400_M1", region=Region("user-defined", 0, 1895, 2071, 200))
    law = random_law(set_up.mode, rng)
    folder = tmp_path_factory.mktemp("flux")
    return {
        target.name: write_night(folder / target.name, visit(set_up, clock, rng, law, target))
        for target in (STANDARD, SUPERNOVA_TARGET)
    }


def sensitivities(night):
    with night.catalogue.read() as session:
        query = select(Frame).where(Frame.role == "sensitivity", Frame.is_current)
        return session.scalars(query).all()


async def test_a_standard_that_comes_late_gives_every_spectrum_its_flux(tmp_path, visits):
    async with begun(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path) as night:
        night.place(visits["SN2026abc"])
        await night.rest()
        assert len(night.products(4, "spectrum")) == 1
        assert night.products(5, "spectrum") == []  # no standard yet, and that is no failure
        assert {job.state for job in night.jobs("calibrate_wavelength")} == {"done"}

        night.place(visits["LTT7379"])
        await night.rest()
        (master,) = sensitivities(night)
        assert master.data_type == 1
        assert master.quality["standards"] == "LTT 7379"
        fluxes = night.products(5, "spectrum")
        assert sorted(frame.object_name for frame in fluxes) == ["LTT7379", "SN2026abc"]
        assert {night.inputs(frame)["sensitivity"] for frame in fluxes} == {master.file_name}
        spectrum = read_spectrum(fluxes[0].path)
        assert spectrum.unit == "erg / (s cm2 Angstrom)"
        assert {job.state for job in night.jobs("calibrate_flux")} == {"done"}
        assert all(raw.state == "done" for raw in night.raws("spectrum"))

        named = misnamed(visits["SN2026abc"], tmp_path / "0099_EG274.fits")
        night.place([named])
        await night.rest()
        (raw,) = (raw for raw in night.raws("spectrum") if raw.file_name == named.name)
        assert raw.state == "done"
        assert "OBJECT says EG 274, but the telescope pointed" in raw.waits_for
        assert len(sensitivities(night)) == 1, "it is calibrated, and calibrates nothing"


def misnamed(paths, copy):
    """Return a spectrum of another place on the sky that bears a standard's name."""
    (spectrum,) = (path for path in paths if fits.getval(path, "OBSTYPE") == "SPECTRUM")
    copy.write_bytes(spectrum.read_bytes())
    fits.setval(copy, "OBJECT", value="EG 274")
    return copy
