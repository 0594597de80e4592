"""The sensitivity function: how many counts a standard star gives for the flux it has.

Sensitivity is in magnitudes, 2.5 log10 of (e/s/A) / (erg/s/cm2/A), corrected to no atmosphere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg import cho_factor, cho_solve

from goodman_live.pipeline.core.atmosphere import EXTINCTION_ERROR, extinction
from goodman_live.pipeline.core.bandpass import average
from goodman_live.pipeline.core.errors import UntrustedSolutionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.spectrum import Spectrum
    from goodman_live.pipeline.core.standards import Standard

MAGNITUDE = 2.5 / np.log(10)

TELLURIC = (
    (6860.0, 6960.0),
    (7150.0, 7340.0),
    (7590.0, 7700.0),
    (8100.0, 8350.0),
    (8950.0, 9800.0),
)
"""Absorption of O2 and H2O, Angstrom (Hamuy et al. 1994, PASP 106, 566)."""
BALMER = (6562.79, 4861.35, 4340.47, 4101.73, 3970.07, 3889.06)
"""Lines of hydrogen in hot standards, air, Angstrom."""
BALMER_CORE = 15.0
"""Bands that reach this near to a line's centre are left out, Angstrom."""
WIDE_BAND = 30.0
"""Bands as wide as this hold a whole line, and count with a larger error instead, Angstrom."""

TABLE_ERROR = 0.01
"""Error of one band of the published spectra, magnitudes (Hamuy et al. 1992 give 0.01 to 0.02)."""
BLUR = 0.4
"""Error added to a band, as a share of what it differs from its neighbours: in a line, the blur
of star and table differ."""
GREY_ERROR = 0.05
"""Error of the level from a single standard, magnitudes: slit losses and clouds."""
NARROWEST_BAND = 10.0
"""Narrower bands of a table are merged, so that the seeing's blur does not matter, Angstrom."""

_KNOT_SPACING = 60.0
_DEGREE = 3
_FEWEST_BANDS = 8
_FAINTEST = 4.0
"""Bands that lie this many magnitudes below the best response say nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One exposure of a standard star."""

    name: str
    """File name of the spectrum, for the record."""
    spectrum: Spectrum
    """Wavelength calibrated, on native pixels, ADU per pixel."""
    standard: Standard
    airmass: float
    """Mean over the exposure."""
    exptime_s: float
    gain: float
    """Electrons per ADU, so that a standard in another readout mode serves."""


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """What one exposure says, band by band."""

    name: str
    wavelength: NDArray[np.float64]
    """Angstrom, shape (n,)."""
    magnitude: NDArray[np.float64]
    """Sensitivity corrected to no atmosphere, shape (n,)."""
    uncertainty: NDArray[np.float64]
    """Magnitudes, photons and table together, shape (n,)."""
    used: NDArray[np.bool_]
    """False in masked bands and for outliers, shape (n,)."""
    grey: float
    """Magnitudes by which this exposure lies below the best one."""


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivity:
    """A smooth sensitivity function with its uncertainty."""

    knots: NDArray[np.float64]
    """Knots of a cubic B-spline, Angstrom, shape (m + 4,)."""
    coefficients: NDArray[np.float64]
    """Magnitudes, shape (m,)."""
    covariance: NDArray[np.float64]
    """Of the coefficients, shape (m, m)."""
    low: float
    """First wavelength that a band constrains, Angstrom."""
    high: float
    """Last wavelength that a band constrains, Angstrom."""
    airmass: float
    """Mean airmass of the standards."""
    grey_error: float
    """Error of the level, magnitudes; the same at all wavelengths."""
    rms: float
    """Scatter of the bands used about the curve, magnitudes."""
    bands: tuple[Bands, ...] = ()
    """What it was fitted to, one entry per exposure."""

    def magnitude(self, wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sensitivity at wavelengths in Angstrom; held in slope beyond its ends."""
        inside = np.clip(wavelength, self.low, self.high)
        spline = BSpline(self.knots, self.coefficients, _DEGREE)
        slope = spline.derivative()(inside)
        value: NDArray[np.float64] = spline(inside) + slope * (wavelength - inside)
        return value

    def error(self, wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the error of its shape in magnitudes; it grows beyond the ends."""
        inside = np.clip(wavelength, self.low, self.high)
        basis = _basis(self.knots, inside)
        variance = np.einsum("ij,jk,ik->i", basis, self.covariance, basis)
        beyond = np.abs(wavelength - inside)
        # a response falls without warning: half a magnitude per 500 A beyond what was seen
        return np.sqrt(np.maximum(variance, 0) + (beyond / 1000.0) ** 2)

    def covers(self, wavelength: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return where bands constrain it."""
        return (wavelength >= self.low) & (wavelength <= self.high)


def telluric(wavelength: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which bands touch telluric absorption."""
    low, high = wavelength - width / 2, wavelength + width / 2
    touched = np.zeros(len(wavelength), dtype=bool)
    for first, last in TELLURIC:
        touched |= (high > first) & (low < last)
    return touched


def _hydrogen(wavelength: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.bool_]:
    distance = np.abs(wavelength[:, None] - np.array(BALMER)).min(axis=1)
    return np.asarray(distance < BALMER_CORE + width / 2)


def fit_sensitivity(exposures: Sequence[Observed]) -> Sensitivity:
    """Fit one smooth curve to all exposures of standards in one set-up.

    Each exposure has a level of its own (slit losses, clouds), and the curve's level is that of
    the best of them. The curve is a penalised spline whose smoothness the data choose
    (generalised cross-validation: Eilers & Marx 1996, Stat. Sci. 11, 89); its covariance is the
    Bayesian one (Wahba 1983, J. R. Stat. Soc. B 45, 133). Outlying bands lose their weight.

    Parameters
    ----------
    exposures : sequence of Observed
        At least one.

    Returns
    -------
    Sensitivity

    Raises
    ------
    UntrustedSolutionError
        If too few bands of the published spectra lie in what was observed.
    """
    seen = [_bands(exposure) for exposure in exposures]
    counts = [int(bands.used.sum()) for bands in seen]
    if not seen or max(counts) < _FEWEST_BANDS:
        raise UntrustedSolutionError(
            f"{max(counts, default=0)} bands of the standard's published spectrum lie in what was "
            f"observed; {_FEWEST_BANDS} are needed.",
            remedy="Use a standard whose table covers this set-up.",
        )
    kept = [one for one, count in zip(exposures, counts, strict=True) if count >= _FEWEST_BANDS]
    seen = [bands for bands, count in zip(seen, counts, strict=True) if count >= _FEWEST_BANDS]
    low = min(float(bands.wavelength.min()) for bands in seen)
    high = max(float(bands.wavelength.max()) for bands in seen)
    knots = _knots(low, high)
    fitted = _fit(seen, knots)
    # bands are wide: how the response changes within one is known only after a first fit
    seen = [
        _within_bands(bands, exposure.standard, knots, fitted[1])
        for bands, exposure in zip(seen, kept, strict=True)
    ]
    seen, coefficients, covariance, rms = _fit(seen, knots)
    grey = np.array([bands.grey for bands in seen])
    error = GREY_ERROR if len(grey) == 1 else max(float(np.std(grey, ddof=1)), 0.01)
    return Sensitivity(
        knots=knots,
        coefficients=coefficients,
        covariance=covariance,
        low=low,
        high=high,
        airmass=float(np.mean([exposure.airmass for exposure in exposures])),
        grey_error=error,
        rms=rms,
        bands=tuple(seen),
    )


def _bands(exposure: Observed) -> Bands:
    """Return what one exposure says in each band of the published spectrum."""
    star = exposure.standard
    wavelength, flux, width = _merged(star.wavelength, star.flux(), star.band)
    found = average(exposure.spectrum, wavelength, width)
    rate = found.mean * exposure.gain / exposure.exptime_s
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = 2.5 * np.log10(rate / flux) + extinction(wavelength) * exposure.airmass
        photons = MAGNITUDE * found.uncertainty / found.mean
    known = np.isfinite(magnitude) & np.isfinite(photons) & (found.good > 0.7)
    bend = _bend(-2.5 * np.log10(flux))
    lines = _hydrogen(wavelength, width) & (width < WIDE_BAND)
    used = known & ~telluric(wavelength, width) & ~lines & (photons < 0.2)
    if used.any():
        used &= magnitude > magnitude[used].max() - _FAINTEST
    error = np.sqrt(np.where(known, photons, 1.0) ** 2 + TABLE_ERROR**2 + (BLUR * bend) ** 2)
    return Bands(
        exposure.name, wavelength[known], magnitude[known], error[known], used[known], 0.0
    )


def _bend(magnitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much each band differs from the mean of its neighbours, magnitudes."""
    bend = np.zeros_like(magnitude)
    bend[1:-1] = np.abs(magnitude[1:-1] - (magnitude[:-2] + magnitude[2:]) / 2)
    return bend


def _within_bands(
    bands: Bands, star: Standard, knots: NDArray[np.float64], coefficients: NDArray[np.float64]
) -> Bands:
    """Return bands corrected for how star and response change within each.

    The table holds the star's mean over a band, the exposure that of star times response; the
    sensitivity at the middle of the band is neither's ratio where both are steep.
    """
    wavelength, flux, width = _merged(star.wavelength, star.flux(), star.band)
    parts = np.linspace(-0.5, 0.5, 12)[1::2]
    at = (
        bands.wavelength[:, None] + parts * np.interp(bands.wavelength, wavelength, width)[:, None]
    )
    light = np.exp(np.interp(at, wavelength, np.log(flux)))
    spline = BSpline(knots, coefficients, _DEGREE)
    low, high = knots[_DEGREE], knots[-_DEGREE - 1]
    relative = (
        spline(np.clip(at, low, high)) - spline(np.clip(bands.wavelength, low, high))[:, None]
    )
    gained = (light * 10 ** (0.4 * relative)).mean(axis=1) / light.mean(axis=1)
    return replace(bands, magnitude=bands.magnitude - 2.5 * np.log10(gained))


def _merged(
    wavelength: NDArray[np.float64], flux: NDArray[np.float64], width: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return bands of at least `NARROWEST_BAND`, neighbours averaged."""
    several = int(np.ceil(NARROWEST_BAND / float(np.median(width)) - 1e-6))
    if several <= 1:
        return wavelength, flux, width
    count = len(wavelength) // several * several

    def grouped(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values[:count].reshape(-1, several)

    return grouped(wavelength).mean(1), grouped(flux).mean(1), grouped(width).sum(1)


def _knots(low: float, high: float) -> NDArray[np.float64]:
    count = max(4, round((high - low) / _KNOT_SPACING))
    step = (high - low) / count
    return np.asarray(low + step * np.arange(-_DEGREE, count + _DEGREE + 1), dtype=np.float64)


def _basis(knots: NDArray[np.float64], wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(wavelength, knots[_DEGREE], np.nextafter(knots[-_DEGREE - 1], -np.inf))
    basis: NDArray[np.float64] = BSpline.design_matrix(inside, knots, _DEGREE).toarray()
    return basis


def _fit(
    seen: list[Bands], knots: NDArray[np.float64]
) -> tuple[list[Bands], NDArray[np.float64], NDArray[np.float64], float]:
    """Return the bands with their levels and outliers, the curve and its scatter."""
    which = np.concatenate([np.full(int(b.used.sum()), i) for i, b in enumerate(seen)])
    wave = np.concatenate([b.wavelength[b.used] for b in seen])
    value = np.concatenate([b.magnitude[b.used] for b in seen])
    error = np.concatenate([b.uncertainty[b.used] for b in seen])
    spline = _basis(knots, wave)
    level = np.eye(len(seen))[which][:, 1:]  # relative to the first exposure
    design = np.hstack([spline, level])
    roughness = np.diff(np.eye(spline.shape[1]), 2, axis=0)
    penalty = np.zeros((design.shape[1],) * 2)
    penalty[: spline.shape[1], : spline.shape[1]] = roughness.T @ roughness
    robust = np.ones_like(wave)
    for _ in range(6):  # the first fit trusts all: a bend of the response is no outlier
        weight = robust / error**2
        solution, inverse, freedom = _smoothest(design, value, weight, penalty)
        residual = value - design @ solution
        scatter = max(float(1.4826 * np.median(np.abs(residual / error))), 1.0)
        robust = np.clip(1 - (residual / error / scatter / 5) ** 2, 0, None) ** 2  # biweight
    kept = robust > 0.1
    chi2 = float(np.sum(weight * residual**2) / max(kept.sum() - freedom, 1))
    covariance = inverse * max(chi2, 0.25)
    grey = np.concatenate([[0.0], solution[spline.shape[1] :]])
    best = grey.max()
    coefficients = solution[: spline.shape[1]] + best
    done = []
    for i, bands in enumerate(seen):
        used = bands.used.copy()
        used[np.flatnonzero(used)] = kept[which == i]
        done.append(
            Bands(
                bands.name,
                bands.wavelength,
                bands.magnitude,
                bands.uncertainty,
                used,
                float(best - grey[i]),
            )
        )
    size = spline.shape[1]
    rms = float(np.sqrt(np.mean(residual[kept] ** 2)))
    return done, coefficients, covariance[:size, :size], rms


def _smoothest(
    design: NDArray[np.float64],
    value: NDArray[np.float64],
    weight: NDArray[np.float64],
    penalty: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return the solution of least cross-validation, its covariance and its free parameters."""
    normal = design.T @ (weight[:, None] * design)
    right = design.T @ (weight * value)
    count = int(np.sum(weight > 0))
    scale = np.trace(normal) / len(normal)
    tried = []
    for exponent in np.arange(-5.0, 4.1, 0.5):
        factor = cho_factor(
            normal + scale * (10**exponent * penalty + 1e-10 * np.eye(len(normal)))
        )
        inverse = cho_solve(factor, np.eye(len(normal)))
        solution = inverse @ right
        freedom = float(np.trace(inverse @ normal))
        misfit = float(np.sum(weight * (value - design @ solution) ** 2))
        # a parameter counts 1.4 times: plain cross-validation follows the noise (Wood 2017)
        score = misfit / max(count - 1.4 * freedom, 1e-3) ** 2
        tried.append((score, solution, inverse, freedom))
    _, solution, inverse, freedom = min(tried, key=lambda entry: entry[0])
    return solution, inverse, freedom


def extinction_error(
    wavelength: NDArray[np.float64], airmass: float, sensitivity: Sensitivity
) -> NDArray[np.float64]:
    """Return the error of a spectrum's shape, magnitudes, because tonight's air is not the mean.

    Only the airmass between target and standards matters, and only what is not grey.
    """
    curve = extinction(wavelength)
    return np.asarray(
        EXTINCTION_ERROR * abs(airmass - sensitivity.airmass) * (curve - np.median(curve))
    )
