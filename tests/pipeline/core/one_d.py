"""One-dimensional spectra with known truth: a star, an atmosphere and a response of their own."""

from __future__ import annotations

from importlib import resources

import numpy as np
from astropy.io.fits import Header
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from goodman_live.pipeline.core.spectrum import Spectrum
from goodman_live.pipeline.core.standards import standards

GAIN = 1.48
STARS = {star.name: star for star in standards()}
_RESPONSE = np.array(
    [(3000, 13.0), (3500, 15.1), (3900, 16.5), (4400, 17.2), (5200, 17.4), (6200, 17.35),
     (7200, 17.0), (8200, 16.6), (9200, 15.6), (10000, 14.4)]
)  # fmt: skip
_CTIO = np.loadtxt(
    str(resources.files("goodman_live.pipeline") / "data" / "standards" / "extinction.csv"),
    delimiter=",",
    skiprows=2,
)
"""The published curve, as measured at CTIO."""
BANDS = ((6868, 6930, 0.35), (7165, 7320, 0.12), (7594, 7612, 1.3), (7616, 7680, 0.9),
         (8120, 8330, 0.1), (8960, 9780, 0.4))  # fmt: skip
"""Edges of telluric bands and their optical depth."""


def response(wavelength, edge=None):
    """Electrons per second and Angstrom of a star of AB magnitude 0 above the atmosphere."""
    smooth = PchipInterpolator(*_RESPONSE.T)(wavelength)
    rate = 10 ** (0.4 * smooth) * (1 + 0.02 * np.sin(wavelength / 350))
    return rate if edge is None else rate * 0.92 / (1 + np.exp(-(wavelength - edge) / 25))


def star_magnitude(name):
    """The star's AB magnitude as a function, smooth across the telluric bands."""
    star = STARS[name]
    keep = np.ones(len(star.wavelength), dtype=bool)
    for low, high, _ in BANDS:
        keep &= (star.wavelength < low - 60) | (star.wavelength > high + 60)
    return PchipInterpolator(star.wavelength[keep], star.ab[keep], extrapolate=True)


def target_magnitude(wavelength):
    """A supernova-like target."""
    return 14.5 + 0.2 * (wavelength - 5500) / 1000 + 0.3 * np.sin(wavelength / 400)


def air(wavelength, airmass, *, off=1.0, curve=None):
    """Transmission without the telluric bands; `off` times the extinction measured at CTIO."""
    mean = np.interp(wavelength, *_CTIO.T) if curve is None else curve(wavelength)
    return 10 ** (-0.4 * off * mean * airmass)


def bands(wavelength, airmass):
    """Transmission of the telluric bands, blurred by the spectrograph."""
    depth = np.zeros_like(wavelength)
    for low, high, tau in BANDS:
        u = (wavelength - low) / (high - low)
        shape = np.clip(u * 12, 0, 1) * np.clip(1 - u, 0, 1)
        depth += tau * np.where((u > 0) & (u < 1), shape, 0)
    return gaussian_filter1d(np.exp(-depth * airmass**0.6), 2.5 / np.diff(wavelength)[0])


def observe(magnitude, rng, *, low, high, exptime_s, airmass, grey=1.0, edge=None, off=1.0,
            curve=None, pixels=2000, sky=0.02):  # fmt: skip
    """Return an observed spectrum in ADU per pixel; no noise where `rng` is None."""
    fine = np.linspace(low, high, pixels * 10 + 1)
    middle = (fine[1:] + fine[:-1]) / 2
    rate = response(middle, edge) * 10 ** (-0.4 * magnitude(middle)) * grey
    rate *= air(middle, airmass, off=off, curve=curve) * bands(middle, airmass)
    electrons = (rate * np.diff(fine) * exptime_s).reshape(pixels, 10).sum(axis=1)
    sigma = np.sqrt(electrons + 30 + sky * exptime_s)
    noise = 0 if rng is None else rng.normal(0, sigma)
    edges = fine[::10]
    return Spectrum(
        flux=(electrons + noise) / GAIN,
        uncertainty=sigma / GAIN,
        flags=np.zeros(pixels, np.uint8),
        sky=np.zeros(pixels),
        column=np.arange(pixels, dtype=float),
        trace=np.zeros(pixels),
        header=Header(),
        wavelength=(edges[1:] + edges[:-1]) / 2,
    )
