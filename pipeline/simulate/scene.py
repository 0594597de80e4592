"""What the telescope looks at: spectra of objects and sky, and the system's throughput."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.simulate.air import star_magnitude

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ZERO_POINT = np.array(
    [
        (3000, 12.6), (3300, 14.0), (3600, 15.33), (4000, 17.13), (4400, 17.29), (5000, 17.38),
        (5400, 17.38), (6000, 17.36), (6600, 17.21), (7000, 17.08), (7600, 16.9), (8200, 16.6),
        (8800, 16.1), (9500, 15.2), (10500, 13.5),
    ]
)  # fmt: skip
"""AB magnitude that gives 1 e/s/A (median of standard-star nights, 1 arcsec slit)."""

SKY_LINES = np.array(
    [
        (5577.338, 60.0), (5889.951, 10.0), (5895.924, 6.0), (6300.304, 18.0), (6363.776, 6.0),
        (4358.335, 2.0), (5460.750, 3.0), (6923.220, 5.0), (7316.282, 12.0), (7340.885, 9.0),
        (7794.112, 14.0), (7821.503, 11.0), (7964.650, 14.0), (7993.332, 16.0),
        (8399.170, 18.0), (8430.174, 16.0), (8885.850, 22.0), (8919.641, 20.0),
    ]
)  # fmt: skip
"""Night-sky emission: air wavelength in A, relative photon rate (Osterbrock+ 1996; brightness
invented)."""


def throughput(wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rate of a source of AB magnitude 0 in e/s/A."""
    return 10 ** (0.4 * np.interp(wavelength, *_ZERO_POINT.T))


def filter_transmission(name: str, wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the transmission of an order blocker such as GG455; one for others."""
    if name[:2] in {"GG", "OG"} and name[2:].isdigit():
        edge = float(name[2:]) * 10
        return 0.92 / (1 + np.exp(-(wavelength - edge) / 25))
    return np.ones_like(wavelength)


@dataclass(frozen=True, slots=True)
class Feature:
    """A Gaussian line relative to the continuum: absorption has a negative equivalent width."""

    wavelength: float
    equivalent_width: float
    """Angstrom; positive for emission."""
    fwhm: float
    """Angstrom."""


@dataclass(frozen=True, slots=True)
class Source:
    """One object in the slit."""

    row: float
    """Unbinned readout row at the optical axis."""
    magnitude: float = 18.0
    """AB magnitude at 5500 A; infinity for an object seen in its lines alone."""
    colour: float = 0.0
    """AB magnitudes per 1000 A: positive is redder-faint (blue object)."""
    features: tuple[Feature, ...] = ()
    lines: tuple[tuple[float, float], ...] = ()
    """Emission lines without a continuum: air wavelength in A, e/s."""
    fwhm_arcsec: float = 0.9
    beta: float = 3.0
    """Moffat exponent of the seeing."""
    slope: float = 0.002
    """Rows per column by which the trace leans."""
    curve: float = 1.5
    """Rows by which the trace bends from axis to edge."""
    name: str = "target"
    star: str = ""
    """Name of a published standard, whose spectrum stands for magnitude, colour and features."""


BALMER = tuple(
    Feature(wave, -ew, fwhm)
    for wave, ew, fwhm in (
        (6562.79, 9.0, 22.0), (4861.35, 10.0, 24.0), (4340.472, 9.0, 24.0),
        (4101.734, 8.0, 24.0), (3970.075, 6.5, 22.0), (3889.064, 5.0, 18.0),
    )
)  # fmt: skip
"""Absorption of a hot standard star."""

SUPERNOVA = (
    Feature(6150.0, -75.0, 160.0),
    Feature(5450.0, -40.0, 140.0),
    Feature(4850.0, 60.0, 220.0),
    Feature(3750.0, -60.0, 150.0),
)
"""Broad troughs and bumps of a young thermonuclear supernova."""

NEBULA = (
    (3727.5, 1.6), (4861.35, 1.0), (4958.911, 1.2), (5006.843, 3.6), (6562.79, 3.0),
    (6583.45, 0.6), (6716.44, 0.4), (6730.82, 0.35),
)  # fmt: skip
"""Lines of an H II region: air wavelength in A, e/s."""


def source_photons(source: Source, wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the continuum of a source, with its features, in e/s/A."""
    if source.star:
        return throughput(wavelength) * 10 ** (-0.4 * star_magnitude(source.star, wavelength))
    if not np.isfinite(source.magnitude):
        return np.zeros_like(wavelength)
    magnitude = source.magnitude + source.colour * (wavelength - 5500) / 1000
    flux = throughput(wavelength) * 10 ** (-0.4 * magnitude)
    relative = np.ones_like(wavelength)
    for line in source.features:
        sigma = line.fwhm / 2.3548
        height = line.equivalent_width / (sigma * np.sqrt(2 * np.pi))
        relative += height * np.exp(-(((wavelength - line.wavelength) / sigma) ** 2) / 2)
    return flux * np.clip(relative, 0.02, None)


def source_flux(source: Source, wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the continuum of a source above the atmosphere, erg/s/cm2/A."""
    rate = source_photons(source, wavelength) / throughput(wavelength)
    return np.asarray(rate * 10 ** (-0.4 * 48.6) * 2.99792458e18 / wavelength**2)


@dataclass(frozen=True, slots=True)
class Sky:
    """The night sky in the slit."""

    magnitude: float = 21.3
    """AB magnitudes per square arcsec of the continuum."""
    line_rate: float = 0.012
    """Scale of `SKY_LINES`: e/s per arcsec of slit width and per unbinned row."""
    lines: NDArray[np.float64] = field(default_factory=SKY_LINES.copy)

    def photons(self, wavelength: NDArray[np.float64], area_arcsec2: float) -> NDArray[np.float64]:
        """Return the continuum of the sky over an area of slit, in e/s/A."""
        return throughput(wavelength) * 10 ** (-0.4 * self.magnitude) * area_arcsec2


def lamp_continuum(wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a quartz lamp through the spectrograph, relative photons per A.

    A 3200 K black body times the throughput, with the weak ring of its ultraviolet coating.
    """
    micron = wavelength / 1e4
    planck = micron**-4 / (np.exp(14388 / (micron * 3200)) - 1)
    ring = 1 + 0.03 * np.sin(wavelength / 90) * np.exp(-(((wavelength - 4000) / 500) ** 2))
    return planck * throughput(wavelength) / throughput(np.array(5500.0)) * ring
