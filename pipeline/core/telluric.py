"""Absorption of oxygen and water in the air: measured on a standard, divided out on request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.atmosphere import extinction
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.resample import pixel_edges
from goodman_live.pipeline.core.sensitivity import TELLURIC

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.sensitivity import Observed, Sensitivity
    from goodman_live.pipeline.core.spectrum import Spectrum

GROWTH = 0.55
"""Optical depth of the saturated bands grows as this power of the airmass (between 0.5 for
strong lines and 1 for weak ones; Wade & Horne 1988, ApJ 324, 411, use 0.55 to 0.6)."""
_MARGIN = 40.0
"""Width of the continuum looked at on either side of a band, Angstrom."""
_WIDEST_SHIFT = 8.0
_FAINTEST_SNR = 15.0
"""Below this in the continuum, shift and strength are taken from the standard and airmass."""
_DARKEST = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Absorption:
    """Transmission of the air in the telluric bands, one elsewhere."""

    wavelength: NDArray[np.float64]
    """Of the standard's pixels, Angstrom, shape (n,)."""
    transmission: NDArray[np.float64]
    """0 to 1, shape (n,)."""
    uncertainty: NDArray[np.float64]
    """One standard deviation, shape (n,)."""
    airmass: float
    """Of the standard."""


@dataclass(frozen=True, slots=True)
class Correction:
    """How the absorption was fitted to one spectrum."""

    shift_aa: float
    """Angstrom by which it was moved."""
    strength: float
    """Power to which it was raised."""
    fitted: bool
    """False if the spectrum was too faint to tell, and airmass alone decided."""


def measure_absorption(observed: Observed, sensitivity: Sensitivity) -> Absorption:
    """Return the transmission of the air in the bands from an exposure of a standard.

    The published spectra hold the absorption of another night, so the star is interpolated
    across each band from both sides, and so is the level.

    Parameters
    ----------
    observed : Observed
        The standard.
    sensitivity : Sensitivity
        Fitted with the bands masked.

    Raises
    ------
    ValueError
        If the spectrum has no wavelengths.
    """
    spectrum = observed.spectrum
    if spectrum.wavelength is None:
        raise ValueError("the spectrum has no wavelengths")
    wave = spectrum.wavelength
    step = np.diff(pixel_edges(wave)) * observed.exptime_s / observed.gain
    magnitude = sensitivity.magnitude(wave) - extinction(wave) * observed.airmass
    star = observed.standard
    table = ~_inside(star.wavelength, margin=float(np.median(star.band)))
    light = np.exp(np.interp(wave, star.wavelength[table], np.log(star.flux()[table])))
    expected = light * 10 ** (0.4 * magnitude) * step
    ratio, error = spectrum.flux / expected, spectrum.uncertainty / expected
    good = ~spectrum.mask & np.isfinite(ratio) & np.isfinite(error)
    transmission, uncertainty = np.ones_like(wave), np.zeros_like(wave)
    for first, last in TELLURIC:
        band = (wave > first) & (wave < last)
        level = _level(wave, ratio, good, first, last)
        if level is None or not (band & good).any():
            continue
        inside = band & good
        transmission[band] = np.interp(wave[band], wave[inside], (ratio / level)[inside])
        uncertainty[band] = np.interp(wave[band], wave[inside], (error / level)[inside])
    return Absorption(wave, np.clip(transmission, _DARKEST, 1.0), uncertainty, observed.airmass)


def correct(
    spectrum: Spectrum, absorption: Absorption, *, airmass: float
) -> tuple[Spectrum, Correction]:
    """Return a spectrum with the absorption divided out, and how.

    Shift and strength are those that leave the O2 A band least rough, where the spectrum is
    bright enough to tell; else no shift, and the strength that the airmass asks for.

    Parameters
    ----------
    spectrum : Spectrum
        With wavelengths, in any unit.
    absorption : Absorption
        From a standard in the same set-up, through the same slit.
    airmass : float
        Of the spectrum.

    Raises
    ------
    ValueError
        If the spectrum has no wavelengths.
    """
    if spectrum.wavelength is None:
        raise ValueError("the spectrum has no wavelengths")
    fit = _fit(spectrum, absorption, (airmass / absorption.airmass) ** GROWTH)
    wave = spectrum.wavelength - fit.shift_aa
    clear = np.interp(wave, absorption.wavelength, absorption.transmission, left=1, right=1)
    doubt = np.interp(wave, absorption.wavelength, absorption.uncertainty, left=0, right=0)
    divisor = np.clip(clear**fit.strength, _DARKEST, None)
    flux = spectrum.flux / divisor
    share = fit.strength * doubt / clear
    flags = spectrum.flags.copy()
    flags[divisor <= 2 * _DARKEST] |= np.uint8(Flag.NO_DATA)
    corrected = replace(
        spectrum,
        flux=flux,
        uncertainty=np.hypot(spectrum.uncertainty / divisor, np.abs(flux) * share),
        flags=flags,
    )
    return corrected, fit


def _inside(wave: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.bool_]:
    inside = np.zeros(len(wave), dtype=bool)
    for first, last in TELLURIC:
        inside |= (wave > first - margin) & (wave < last + margin)
    return inside


def _level(
    wave: NDArray[np.float64],
    ratio: NDArray[np.float64],
    good: NDArray[np.bool_],
    first: float,
    last: float,
) -> NDArray[np.float64] | None:
    """Return the straight line through both sides of a band, None where a side is missing."""
    left = good & (wave > first - _MARGIN) & (wave < first)
    right = good & (wave > last) & (wave < last + _MARGIN)
    if left.sum() < 3 or right.sum() < 3:
        return None
    ends = np.median(wave[left]), np.median(wave[right])
    values = np.median(ratio[left]), np.median(ratio[right])
    slope = (values[1] - values[0]) / (ends[1] - ends[0])
    return np.asarray(values[0] + slope * (wave - ends[0]))


def _fit(spectrum: Spectrum, absorption: Absorption, expected: float) -> Correction:
    """Return the shift and strength that make the A band smooth."""
    wave = np.asarray(spectrum.wavelength)
    first, last = TELLURIC[2]
    good = ~spectrum.mask & np.isfinite(spectrum.flux)
    window = good & (wave > first - _MARGIN) & (wave < last + _MARGIN)
    level = _level(wave, spectrum.flux, good, first, last)
    if level is None or window.sum() < 10:
        return Correction(0.0, expected, fitted=False)
    error = np.median(spectrum.uncertainty[window])
    if not np.median(level[window]) > _FAINTEST_SNR * error:
        return Correction(0.0, expected, fitted=False)
    ratio = spectrum.flux[window] / level[window]
    sigma = spectrum.uncertainty[window] / level[window]

    def misfit(shift: float, strength: float) -> float:
        clear = np.interp(wave[window] - shift, absorption.wavelength, absorption.transmission)
        return float(np.sum(((ratio - clear**strength) / np.hypot(sigma, 0.01)) ** 2))

    shift, strength = 0.0, expected
    for reach, power in ((_WIDEST_SHIFT, 0.4), (2.0, 0.1), (0.5, 0.03), (0.1, 0.01)):
        shifts = shift + np.linspace(-reach, reach, 17)
        powers = strength * (1 + np.linspace(-power, power, 9))
        tried = [(misfit(s, p), s, p) for s in shifts for p in powers]
        _, shift, strength = min(tried)
    if abs(shift) > _WIDEST_SHIFT:
        return Correction(0.0, expected, fitted=False)
    return Correction(float(shift), float(strength), fitted=True)
