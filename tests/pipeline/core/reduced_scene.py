"""Simulated frames through the whole reduce block: masters once, then as many as are asked for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from goodman_live.pipeline.blocks.masters import build_master_bias, build_master_flat
from goodman_live.pipeline.blocks.reduce import reduce
from goodman_live.pipeline.products.fits import read_frame
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.detector import detector
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import ARCSEC_PER_PIXEL, setup
from goodman_live.pipeline.simulate.law import random_law
from goodman_live.pipeline.simulate.optics import slit_illumination
from goodman_live.pipeline.simulate.render import bin_rows
from goodman_live.pipeline.simulate.scene import Sky, Source
from tests.pipeline.core.slit_scene import moffat_share

MODES = {"Red": "400_M1", "Blue": "600_BLUE"}
SETTINGS = ReductionSettings()


def log_of(number, **facts):
    start = datetime(2026, 8, 15, 22, 0, tzinfo=UTC)
    return Log(start=start, number=number, file_name=f"{number:04d}_frame.fits", **facts)


class Bench:
    """One camera and binning with its masters."""

    def __init__(self, folder, camera, binning):
        self.folder, self.binning = folder, binning
        self.set_up = setup(camera, MODES[camera], binning=(binning, binning))
        self.law = random_law(self.set_up.mode, np.random.default_rng(5))
        biases, flats = [], []
        for i in range(10):
            biases.append(folder / f"{i:04d}_bias.fits")
            frames.bias(self.set_up, seed=i, log=log_of(i, object_name="ZERO")).write(biases[-1])
            flats.append(folder / f"{i + 10:04d}_flat.fits")
            frames.flat(
                self.set_up,
                seed=100 + i,
                law=self.law,
                log=log_of(i + 10, object_name="DFLAT", exptime_s=5.0),
            ).write(flats[-1])
        made = build_master_bias(biases, out_dir=folder, settings=SETTINGS)
        self.bias = made.products[0].path
        made = build_master_flat(flats, bias=self.bias, out_dir=folder, settings=SETTINGS)
        self.flat = made.products[-1].path
        for path in (*biases, *flats):
            path.unlink()
        self.zero = flat_zero(self.set_up, self.law)

    def frame(self, seed, sources=(), *, exptime_s=900.0, sky=21.3, flat=True):
        """Return a reduced frame and its truth."""
        flexure = float(np.random.default_rng(seed).normal(0, 0.3))
        made = frames.spectrum(
            self.set_up,
            sources,
            seed=seed,
            exptime_s=exptime_s,
            law=self.law.shifted(flexure),
            sky=Sky(magnitude=sky),
            log=log_of(50, object_name="T"),
        )
        raw = self.folder / "0050_science.fits"
        made.write(raw)
        try:
            result = reduce(
                raw,
                bias=self.bias,
                flat=self.flat if flat else None,
                out_dir=self.folder / "out",
                settings=SETTINGS,
            )
            reduced = read_frame(result.products[0].path)
        finally:
            raw.unlink()
            for product in (self.folder / "out").glob("*"):
                product.unlink()
        return reduced, made.truth


def flat_zero(set_up, law):
    """Return what one divided by a flat without noise becomes in the middle of the slit, (nx,).

    A flat is one where the slit is lit as in the median of its rows: frames that were divided by
    it are in units of that row, where the truth counts light before slit and jaws.
    """
    made = frames.flat(set_up, seed=0, law=law).truth.exposure
    through = bin_rows(set_up, slit_illumination(set_up)) / set_up.ybin
    with np.errstate(divide="ignore", invalid="ignore"):
        light = (made.expected - made.bias) / detector(set_up).response
    light[~np.isfinite(light)] = np.nan
    dark = (through == 0).all(axis=1)
    light -= np.nanmedian(light[dark])
    rows = set_up.region.y0 + set_up.ybin * np.arange(light.shape[0])
    middle = np.abs(rows - 2095) < 250
    lit = np.where(through > 0.8, light, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the prescan has no light at all
        return np.nanmedian(lit, axis=0) / np.nanmedian((light / through)[middle], axis=0)


def random_star(rng, magnitude, **facts):
    return Source(
        2095 + rng.uniform(-250, 250),
        magnitude,
        fwhm_arcsec=rng.uniform(0.7, 1.4),
        beta=rng.choice([2.5, 3.0, 4.0]),
        slope=rng.normal(0, 0.003),
        curve=rng.normal(0, 1.5),
        **facts,
    )


@dataclass
class Measurement:
    """One spectrum against its truth, in ADU and on the columns that are whole."""

    bias: float
    drift: float
    efficiency: float
    """Ideal noise over the scatter of fluxes, a common factor taken out."""
    width: float
    within: float
    trace_rms: float


def measured(bench, frame, truth, target, which=0):
    """Compare a target with the source it should be."""
    b, window, source = bench.binning, frame.window, truth.sources[which]
    first = window.x0 // b
    cut = slice(first, first + window.nx)
    gain = float(frame.header["GAIN"])
    flux = source.electrons[cut] * bench.zero[cut] / gain
    path = (source.trace[cut] - window.y0 - (b - 1) / 2) / b
    spectrum = target.spectrum
    off = spectrum.flux - flux
    ok = (spectrum.flags == 0) & np.isfinite(off) & (flux > 0.3 * np.median(flux))
    rows = np.rint(path).astype(int) + np.arange(-50 // b, 50 // b + 1)[:, None]
    fwhm = source.source.fwhm_arcsec / ARCSEC_PER_PIXEL / b
    share = moffat_share(rows - path, fwhm, source.source.beta)
    light = truth.sky_electrons[cut] * b + flux * gain * share
    best = 1 / np.sqrt(
        (share**2 * gain**2 / (light + float(frame.header["GSP_RNOI"]) ** 2)).sum(axis=0)
    )
    bias = off[ok].mean() / flux[ok].mean()
    pulls = off[ok] / spectrum.uncertainty[ok]
    core = np.abs(pulls) < 6
    rest = (off - bias * flux)[ok]
    third = rest.size // 3
    ends = [
        rest[part].mean() / flux[ok][part].mean() for part in (slice(-third, None), slice(third))
    ]
    return Measurement(
        bias=bias,
        drift=ends[0] - ends[1],
        efficiency=1 / np.sqrt(np.mean((rest / best[ok])[core] ** 2)),
        width=pulls[core].std(),
        within=np.mean(np.abs(pulls) < 3),
        trace_rms=np.sqrt(np.mean((spectrum.trace - source.trace[cut]) ** 2)) / b,
    )
