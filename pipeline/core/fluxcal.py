"""From counts to erg/s/cm2/A, with what limits it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.atmosphere import extinction
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.resample import pixel_edges
from goodman_live.pipeline.core.sensitivity import MAGNITUDE, extinction_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.sensitivity import Sensitivity
    from goodman_live.pipeline.core.spectrum import Spectrum

FLUX_UNIT = "erg / (s cm2 Angstrom)"
"""Unit of a calibrated spectrum, as astropy reads it."""
ATMOSPHERE_EDGE = 3200.0
"""No starlight bluer than this arrives, so no second order redder than twice it, Angstrom."""
_BLOCKERS = {"GG385": 3850.0, "GG395": 3950.0, "GG455": 4550.0, "GG495": 4950.0, "OG570": 5700.0}
"""Half-transmission of the order-blocking filters, Angstrom."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the level and the ends of a calibrated spectrum are worth."""

    second_order_from: float
    """Wavelength beyond which second-order light may be mixed in, Angstrom."""
    grey_error: float
    """Error of the level, magnitudes, the same at all wavelengths."""
    slit_loss: str
    """A sentence on light that the slit keeps out."""


def calibrate(
    spectrum: Spectrum, sensitivity: Sensitivity, *, airmass: float, exptime_s: float, gain: float
) -> Spectrum:
    """Return a spectrum above the atmosphere in erg/s/cm2/A.

    Its uncertainty holds photons, the shape of the sensitivity function and that of the
    extinction; the error of the level (`Sensitivity.grey_error`) is the same for all pixels and
    stays out of it.

    Parameters
    ----------
    spectrum : Spectrum
        ADU per pixel, with wavelengths.
    sensitivity : Sensitivity
        Of this set-up.
    airmass : float
        Mean over the exposure.
    exptime_s : float
        Exposure time, seconds.
    gain : float
        Electrons per ADU.

    Raises
    ------
    ValueError
        If the spectrum has no wavelengths or the exposure took no time.
    """
    if spectrum.wavelength is None:
        raise ValueError("the spectrum has no wavelengths")
    if not exptime_s > 0:
        raise ValueError("an exposure of no time has no flux")
    wave = spectrum.wavelength
    magnitude = sensitivity.magnitude(wave) - extinction(wave) * airmass
    scale = gain * 10 ** (-0.4 * magnitude) / (np.diff(pixel_edges(wave)) * exptime_s)
    shape = np.hypot(sensitivity.error(wave), extinction_error(wave, airmass, sensitivity))
    flux = spectrum.flux * scale
    flags = spectrum.flags.copy()
    flags[~sensitivity.covers(wave)] |= np.uint8(Flag.EXTRAPOLATED)
    return replace(
        spectrum,
        flux=flux,
        uncertainty=np.hypot(spectrum.uncertainty * scale, np.abs(flux) * shape / MAGNITUDE),
        sky=spectrum.sky * scale,
        flags=flags,
        unit=FLUX_UNIT,
    )


def limits(filters: tuple[str, str], slit_arcsec: float | None, grey_error: float) -> Limits:
    """Return what limits a calibrated spectrum of a set-up.

    Parameters
    ----------
    filters : tuple of str
        The two filter wheels; an order blocker moves the second order to the red.
    slit_arcsec : float or None
        Width of the slit.
    grey_error : float
        Magnitudes, of the sensitivity function.
    """
    edges = [_BLOCKERS[name[:5]] for name in filters if name[:5] in _BLOCKERS]
    bluest = max([ATMOSPHERE_EDGE, *edges])
    if slit_arcsec is None:
        text = "No slit: no light was kept out."
    else:
        text = (
            f"A {slit_arcsec:g} arcsec slit keeps out a share of the light that depends on seeing "
            f"and centring; the level is good to {grey_error:.2f} mag at best."
        )
    return Limits(2 * bluest, grey_error, text)


def ab_magnitude(
    spectrum: Spectrum, centre: NDArray[np.float64], transmission: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the synthetic AB magnitude of a calibrated spectrum through a filter and its error.

    A photon-weighted mean (Bessell & Murphy 2012, PASP 124, 140); NaN unless good pixels hold
    at least 98 per cent of the filter's response.

    Parameters
    ----------
    spectrum : Spectrum
        In erg/s/cm2/A.
    centre, transmission : ndarray of float64
        The filter: wavelengths in Angstrom, rising, and transmission, shape (n,).
    """
    if spectrum.wavelength is None:
        raise ValueError("the spectrum has no wavelengths")
    wave = spectrum.wavelength
    step = np.diff(pixel_edges(wave))
    response = np.interp(wave, centre, transmission, left=0, right=0) * step
    good = ~spectrum.mask & np.isfinite(spectrum.flux)
    whole = np.trapezoid(transmission / centre, centre)
    seen = float(np.sum((response / wave)[good]))
    if whole <= 0 or seen < 0.98 * whole:
        return float("nan"), float("nan")
    photons = float(np.sum((spectrum.flux * response * wave)[good]))
    noise = float(np.sqrt(np.sum((spectrum.uncertainty * response * wave)[good] ** 2)))
    if photons <= 0:
        return float("nan"), float("nan")
    density = photons / (seen * 2.99792458e18)
    return -2.5 * float(np.log10(density)) - 48.60, MAGNITUDE * noise / photons
