"""Measure the flexure between an arc and a science frame from the lines of the night sky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.lineshape import LineFits, fit_lines, line_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.spectrum import Spectrum

SKY_LINES = (
    (4358.33, "Hg I"),
    (5460.74, "Hg I"),
    (5577.338, "O I"),
    (6300.304, "O I"),
    (6363.776, "O I"),
    (6923.220, "OH"),
    (7316.282, "OH"),
    (7340.885, "OH"),
    (7794.112, "OH"),
    (7821.503, "OH"),
    (7964.650, "OH"),
    (7993.332, "OH"),
    (8399.170, "OH"),
    (8430.174, "OH"),
    (8885.850, "OH"),
    (8919.641, "OH"),
)
"""Air wavelengths of lonely night-sky lines (Osterbrock+ 1996 PASP 108, 277; Hanuschik 2003
A&A 407, 1157)."""

DOUBLETS = ((5889.951, 5895.924, "Na I"),)
"""Pairs that most settings do not part; they are fitted as two lines with one shift."""

_LEAST_SNR = 12.0
_FURTHEST_PX = 3.0
_SCAN_STEP = 0.05
_FLOOR_PX = 0.05
"""Lines of the sky are blends at the resolution of the instrument: no better than this."""


@dataclass(frozen=True, slots=True)
class SkyLine:
    """One line of the sky in a spectrum."""

    wavelength: float
    """Laboratory wavelength in air, Angstrom."""
    species: str
    shift_px: float
    """Observed less expected place, binned pixels."""
    sigma_px: float
    """One standard deviation of it."""
    snr: float
    used: bool


@dataclass(frozen=True, slots=True)
class Flexure:
    """Shift of a science frame against its arc."""

    shift_px: float
    """Sky lines fall this many binned pixels right of where the arc puts them."""
    sigma_px: float
    """One standard deviation."""
    lines: tuple[SkyLine, ...]

    @property
    def n_used(self) -> int:
        """Number of lines that it rests on."""
        return sum(line.used for line in self.lines)


def measure_flexure(spectrum: Spectrum, *, fwhm_px: float) -> Flexure | None:
    """Compare the sky lines of a spectrum with its wavelengths.

    Parameters
    ----------
    spectrum : Spectrum
        With wavelengths and sky.
    fwhm_px : float
        Width of a line, binned pixels.

    Returns
    -------
    Flexure or None
        None if no sky line is bright enough to tell.
    """
    wavelength = spectrum.wavelength
    if wavelength is None or not np.any(np.isfinite(spectrum.sky) & (spectrum.sky != 0)):
        return None
    index = np.arange(len(wavelength), dtype=float)
    low, high = wavelength[0] + 20, wavelength[-1] - 20
    inside = [line for line in SKY_LINES if low < line[0] < high]
    pairs = [pair for pair in DOUBLETS if low < pair[0] and pair[1] < high]
    if not inside and not pairs:
        return None
    shift, sigma, snr = np.zeros((3, 0))
    if inside:
        expected = np.interp([line[0] for line in inside], wavelength, index)
        fits, snr = _fit(spectrum.sky, expected, fwhm_px)
        shift, sigma = fits.centre - expected, fits.centre_sigma
    for first, second, _ in pairs:
        places = np.interp([first, second], wavelength, index)
        found = _fit_doublet(spectrum.sky, places, fwhm_px)
        shift, sigma, snr = (
            np.append(a, b) for a, b in zip((shift, sigma, snr), found, strict=True)
        )
    names = inside + [((a + b) / 2, name) for a, b, name in pairs]
    lines = _judge(names, shift, sigma, snr)
    used = [line for line in lines if line.used]
    if not used:
        return None
    shift = np.array([line.shift_px for line in used])
    sigma = np.array([line.sigma_px for line in used])
    weight = 1 / sigma**2
    mean = float(np.sum(weight * shift) / weight.sum())
    error = float(1 / np.sqrt(weight.sum()))
    if len(used) > 1:
        chi2 = float(np.sum(weight * (shift - mean) ** 2)) / (len(used) - 1)
        error *= np.sqrt(max(chi2, 1.0))
    return Flexure(mean, error, tuple(lines))


def _fit(
    sky: NDArray[np.float64], expected: NDArray[np.float64], fwhm_px: float
) -> tuple[LineFits, NDArray[np.float64]]:
    reach = int(np.ceil(1.3 * fwhm_px + _FURTHEST_PX + 2))
    place = np.round(expected).astype(int)[:, None] + np.arange(-reach, reach + 1)
    inside = (place >= 0) & (place < len(sky))
    safe = np.clip(place, 0, len(sky) - 1)
    data = np.where(np.isfinite(sky[safe]), sky[safe], 0.0)
    noise = _noise(sky)
    error = np.where(inside & np.isfinite(sky[safe]), noise, np.inf)
    start = place[np.arange(len(place)), np.argmax(np.where(inside, data, -np.inf), axis=1)]
    near = np.abs(start - expected) <= _FURTHEST_PX
    begin = np.where(near, start, expected).astype(float)
    widths = np.full(len(expected), fwhm_px)
    fits = fit_lines(
        data, error, place[:, 0].astype(float), (begin, 0.3 * widths, 0.75 * widths),
        free_shape=False,
    )  # fmt: skip
    peak = fits.total / (1.06 * fwhm_px)
    return fits, peak / noise * np.sqrt(fwhm_px)


def _noise(sky: NDArray[np.float64]) -> float:
    """Return the noise of a pixel from second differences of the quiet ones."""
    jump = np.diff(sky[np.isfinite(sky)], 2)
    return max(float(np.quantile(np.abs(jump), 0.4)) / 0.524 / np.sqrt(6), 1e-9)


def _fit_doublet(
    sky: NDArray[np.float64], places: NDArray[np.float64], fwhm_px: float
) -> tuple[float, float, float]:
    """Return shift, its error and significance of two lines whose brightness is free.

    The sum of squares is followed over all shifts; where the pair is so blended that ratio and
    shift trade, its curvature says so in the error.
    """
    reach = 2.0 * fwhm_px + _FURTHEST_PX
    low, high = int(places[0] - reach), int(places[1] + reach) + 1
    place = np.arange(max(low, 0), min(high, len(sky)))
    place = place[np.isfinite(sky[place])]
    shifts = np.arange(-_FURTHEST_PX, _FURTHEST_PX + 1e-9, _SCAN_STEP)
    if len(place) < 8:
        return 0.0, np.inf, 0.0
    noise = _noise(sky)
    width = np.array(0.3 * fwhm_px), np.array(0.75 * fwhm_px)
    chi2, total = np.empty(len(shifts)), np.empty(len(shifts))
    for k, shift in enumerate(shifts):
        light = [line_image(place - p - shift, *width) for p in places]
        design = np.stack([*light, np.ones(len(place)), place - place.mean()], axis=1)
        amounts = np.linalg.lstsq(design, sky[place], rcond=None)[0]
        total[k] = amounts[:2].sum() if np.all(amounts[:2] > 0) else 0.0
        chi2[k] = np.sum((sky[place] - design @ amounts) ** 2) / noise**2
    chi2[total <= 0] = np.inf
    best = int(np.argmin(chi2))
    if not 0 < best < len(shifts) - 1 or not np.all(np.isfinite(chi2[best - 1 : best + 2])):
        return 0.0, np.inf, 0.0
    before, here, after = chi2[best - 1 : best + 2]
    curvature = (before - 2 * here + after) / _SCAN_STEP**2
    shift = shifts[best] + (before - after) / 2 / curvature / _SCAN_STEP
    # lines that are not quite of the assumed shape misfit: the error grows with the misfit
    misfit = max(here / (len(place) - 5), 1.0)
    snr = total[best] / (1.06 * fwhm_px) / noise * np.sqrt(fwhm_px)
    return float(shift), float(np.sqrt(2 * misfit / curvature)), float(snr)


def _judge(
    lines: list[tuple[float, str]],
    shift: NDArray[np.float64],
    sigma: NDArray[np.float64],
    snr: NDArray[np.float64],
) -> list[SkyLine]:
    error = np.hypot(sigma, _FLOOR_PX)
    good = (snr > _LEAST_SNR) & (np.abs(shift) < _FURTHEST_PX) & (error < 0.5)
    if good.sum() >= 3:
        middle = float(np.median(shift[good]))
        spread = 1.4826 * float(np.median(np.abs(shift[good] - middle)))
        good &= np.abs(shift - middle) < 4 * np.maximum(spread, error)
    return [
        SkyLine(w, species, float(shift[k]), float(error[k]), float(snr[k]), bool(good[k]))
        for k, (w, species) in enumerate(lines)
    ]
