"""The stack block from raw frames, against the light that was put in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits
from specutils import Spectrum as Specutils

from goodman_live.pipeline.blocks.calibrate_wavelength import calibrate_wavelength
from goodman_live.pipeline.blocks.extract import extract
from goodman_live.pipeline.blocks.reduce import reduce
from goodman_live.pipeline.blocks.stack import stack
from goodman_live.pipeline.core.errors import BadFrameError, MissingCalibrationError
from goodman_live.pipeline.products.fits import read_spectrum, write_spectrum
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.scene import Source

PLAIN = ReductionSettings(ignore_bias=True, ignore_flats=True)
COUNT = 5


@pytest.fixture(scope="module")
def exposures(tmp_path_factory):
    """Calibrated spectra of five exposures of one star, and the electrons that it sent."""
    folder = tmp_path_factory.mktemp("stack")
    here = setup("Red", "400_M1", region=Region("user-defined", 0, 1500, 2071, 120))
    start = datetime(2026, 8, 16, 1, tzinfo=UTC)
    options = {"out_dir": folder, "settings": PLAIN}
    arc = folder / "arc.fits"
    frames.arc(here, seed=1, log=Log(start=start, exptime_s=30.0, object_name="t")).write(arc)
    lamp = reduce(arc, bias=None, flat=None, **options).products[0].path
    spectra, truths = [], []
    for number in range(COUNT):
        log = Log(start=start + timedelta(minutes=6 * (number + 1)), exptime_s=300.0)
        log = replace(log, object_name="SN2026abc")
        # As a telescope guides: a pixel or so along the slit between exposures.
        star = Source(1550.0 + 3 * number, magnitude=19.0)
        shot = frames.spectrum(here, [star], seed=10 + number, exptime_s=300.0, log=log)
        raw = folder / f"{number:04d}_SN2026abc.fits"
        shot.write(raw)
        reduced = reduce(raw, bias=None, flat=None, **options).products[0].path
        extracted = extract(reduced, **options).products[0].path
        done = calibrate_wavelength(extracted, arcs=[lamp], **options)
        spectra.append(done.products[0].path)
        truths.append(shot.truth.sources[0])
    return spectra, truths


def ratio(spectrum):
    good = ~spectrum.mask & np.isfinite(spectrum.uncertainty)
    return np.where(good, spectrum.flux / np.where(good, spectrum.uncertainty, 1), np.nan)


def test_five_exposures_reach_the_sum_of_their_signals(exposures, tmp_path):
    spectra, _ = exposures
    result = stack(spectra[::-1], out_dir=tmp_path, settings=PLAIN)
    [product] = result.products
    assert (product.data_type, product.role) == (4, "stack")
    combined = read_spectrum(product.path)
    singles = [ratio(read_spectrum(path)) for path in spectra]
    ideal = np.sqrt(np.nansum(np.array(singles) ** 2, axis=0))
    middle = slice(300, 1700)
    assert np.nanmedian(ratio(combined)[middle] / ideal[middle]) > 0.98
    # What it states is what it scatters by, against the smooth continuum of all of them.
    header = fits.getheader(product.path)
    assert header["GSP_STKN"] == COUNT
    assert header["GSP_STKT"] == COUNT * 300.0
    assert header["GSP_SK01"] == spectra[-1].name
    assert header["GSP_FNAM"] == product.path.name


def test_its_numbers_say_how_many_more_reach_the_goal(exposures, tmp_path):
    spectra, _ = exposures
    settings = ReductionSettings(signal_to_noise_goal=200.0)
    two = stack(spectra[:2], out_dir=tmp_path, settings=settings).products[0].quality
    five = stack(spectra, out_dir=tmp_path, settings=settings).products[0].quality
    assert five["snr_resolution"] / two["snr_resolution"] == pytest.approx(2.5**0.5, rel=0.06)
    needed = 5 * (200.0 / five["snr_resolution"]) ** 2
    assert five["exposures_to_goal"] == pytest.approx(needed - 5, abs=1)
    assert two["exposures_to_goal"] == pytest.approx(needed - 2, rel=0.2)
    easy = ReductionSettings(signal_to_noise_goal=1.0)
    assert stack(spectra, out_dir=tmp_path, settings=easy).products[0].quality[
        "exposures_to_goal"
    ] == 0  # fmt: skip


def test_a_cosmic_ray_in_one_of_them_is_left_out(exposures, tmp_path):
    spectra, _ = exposures
    clean = read_spectrum(stack(spectra, out_dir=tmp_path, settings=PLAIN).products[0].path)
    hit = read_spectrum(spectra[2])
    flux = hit.flux.copy()
    flux[800:802] += 5000.0
    write_spectrum(tmp_path / "hit.fits", replace(hit, flux=flux), data_type=4)
    mixed = [*spectra[:2], tmp_path / "hit.fits", *spectra[3:]]
    result = stack(mixed, out_dir=tmp_path / "b", settings=PLAIN)
    assert result.products[0].quality["rejected_pixels"] >= 2
    found = read_spectrum(result.products[0].path)
    assert np.abs(found.flux - clean.flux)[796:806].max() < 4 * clean.uncertainty[796:806].max()


def test_the_product_opens_in_specutils(exposures, tmp_path):
    path = stack(exposures[0], out_dir=tmp_path, settings=PLAIN).products[0].path
    opened = Specutils.read(path)
    assert opened.spectral_axis.unit == "Angstrom"
    assert opened.uncertainty is not None


def test_what_cannot_be_stacked_is_refused_and_nothing_is_written(exposures, tmp_path):
    spectra, _ = exposures
    with pytest.raises(MissingCalibrationError, match="is no stack"):
        stack(spectra[:1], out_dir=tmp_path, settings=PLAIN)
    one = read_spectrum(spectra[0])
    write_spectrum(tmp_path / "raw.fits", replace(one, wavelength=None), data_type=3)
    with pytest.raises(BadFrameError, match="no wavelengths"):
        stack([spectra[0], tmp_path / "raw.fits"], out_dir=tmp_path, settings=PLAIN)
    other = replace(one, wavelength=one.wavelength + 9000)
    write_spectrum(tmp_path / "red.fits", other, data_type=4)
    with pytest.raises(BadFrameError, match="another set-up"):
        stack([spectra[0], tmp_path / "red.fits"], out_dir=tmp_path, settings=PLAIN)
    write_spectrum(tmp_path / "flux.fits", replace(one, unit="erg/s/cm2/Angstrom"), data_type=5)
    with pytest.raises(BadFrameError, match="Stack spectra of one kind"):
        stack([spectra[0], tmp_path / "flux.fits"], out_dir=tmp_path, settings=PLAIN)
    assert not list(tmp_path.glob("*stack*"))
