"""Focus: how sharp a frame is, and where along a run of focus settings it would be sharpest.

A frame of stars, of the slit, or of an arc gives a width. Blur adds in squares, and that of
defocus grows in proportion to the way from focus: the square of the width is a parabola of the
setting, whatever slit and seeing add to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.choose import flat_key
from goodman_live.pipeline.core.info import Technique
from goodman_live.pipeline.core.peaks import find_peaks, slit_pixels
from goodman_live.pipeline.core.slitimage import BLUR_PX, find_slit
from goodman_live.pipeline.core.sources import find_sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from numpy.typing import ArrayLike, NDArray

    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.core.info import FrameInfo

CARDS: Mapping[str, float] = {"CAM_FOC": 2.5, "COLL_FOC": 2.5, "FOCUS": 15.0}
"""Cards of camera, collimator and telescope focus, and how much each wanders by itself."""
PAUSE = timedelta(minutes=30)
"""A longer pause ends a focus run."""
_BAND_ROWS = 60
"""Unbinned rows that are averaged of an arc: lines lean by less than a pixel over them."""
_FLOOR = 0.015
"""Part of a width that changes from frame to frame for other reasons, such as the seeing."""
_BLURS_PX = (BLUR_PX, 5.0, 11.0)
"""Blurs of the slit's image that are tried, FWHM in unbinned pixels."""
_LEAST_SETTINGS = 3
_ROBUST_FROM = 5
"""With fewer frames than these nothing tells which of them is wrong."""
_HUBER = 1.5
_CURVED = 3.0
"""Sigma by which the widths must bend upwards before a sharpest setting is named."""

_INSIDE = 2.0
"""Errors by which the sharpest setting must be inside the run: then widths rise on both sides."""


@dataclass(frozen=True, slots=True)
class Width:
    """How wide what should be narrow is in one frame."""

    fwhm_px: float
    """Full width at half maximum, unbinned pixels; NaN where nothing tells."""
    error_px: float
    """One sigma."""
    count: int
    """Stars or lines, or stretches of the slit, that tell it."""
    what: str
    """``stars``, ``slit`` or ``lines``."""


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """What a run of focus settings tells."""

    best: float
    """Sharpest setting; NaN where the run does not tell it."""
    error: float
    """One sigma of it."""
    fwhm_px: float
    """Width expected there, unbinned pixels."""
    bracketed: bool
    """True where the run has the sharpest setting between its settings."""
    reason: str
    """What the run tells or lacks, in a sentence."""
    curve: tuple[float, float, float] | None
    """Square of the width: coefficients of 1, z, z² with z from `centre`."""
    centre: float
    """Setting from which the curve counts."""
    used: NDArray[np.bool_]
    """Frames that agree with the curve, shape (n,)."""

    def widths(self, setting: ArrayLike) -> NDArray[np.float64]:
        """Return the expected width at settings, unbinned pixels; NaN without a curve."""
        z = np.asarray(setting, dtype=float) - self.centre
        if self.curve is None:
            return np.full(z.shape, np.nan)
        square = np.polynomial.polynomial.polyval(z, self.curve)
        return np.sqrt(np.where(square > 0, square, np.nan))


def measure_width(frame: Frame, info: FrameInfo) -> Width:
    """Return how sharp a frame is.

    Parameters
    ----------
    frame : Frame
        Without bias level, with uncertainty.
    info : FrameInfo
        Facts of its header: dispersed light is measured on lines, direct light on the slit where
        the slit limits it, else on stars.
    """
    if info.technique is Technique.SPECTROSCOPY:
        return _of_lines(frame, info)
    for blur in _BLURS_PX:
        slit = find_slit(frame, info.slit_arcsec, blur_px=blur)
        if slit is None:
            continue
        return Width(slit.fwhm_px, max(slit.fwhm_error_px, 1e-3), slit.stretches, "slit")
    return _of_stars(frame)


def _of_lines(frame: Frame, info: FrameInfo) -> Width:
    half = max(2, _BAND_ROWS // frame.window.ybin // 2)
    middle = frame.data.shape[0] // 2
    rows = slice(max(0, middle - half), middle + half + 1)
    good = (frame.flags[rows] == 0) & np.isfinite(frame.data[rows])
    count = np.maximum(good.sum(axis=0), 1)
    flux = np.where(good, frame.data[rows], 0).sum(axis=0, dtype=float) / count
    noise = np.where(good, frame.uncertainty[rows], 0).astype(float)
    sigma = np.sqrt((noise**2).sum(axis=0)) / count
    binning = frame.window.xbin
    lines = find_peaks(
        flux, sigma, slit_px=slit_pixels(info.slit_arcsec, binning), binning=binning
    )
    clean = (lines.trouble == "") & (lines.snr > 20)
    return _typical(lines.fwhm[clean] * binning, "lines")


def _of_stars(frame: Frame) -> Width:
    stars = find_sources(frame)
    good = stars.clean & (stars.elongation < 2.0) & (stars.peak > 10 * stars.noise)
    side = float(np.sqrt(frame.window.xbin * frame.window.ybin))
    return _typical(stars.fwhm[good] * side, "stars")


def _typical(widths: NDArray[np.float64], what: str) -> Width:
    """Return the median width with its error."""
    widths = widths[np.isfinite(widths) & (widths > 0)]
    if not widths.size:
        return Width(float("nan"), float("nan"), 0, what)
    middle = float(np.median(widths))
    spread = 1.4826 * float(np.median(np.abs(widths - middle))) if widths.size > 2 else middle / 3
    error = 1.2533 * max(spread, 0.01 * middle) / np.sqrt(widths.size)
    return Width(middle, float(error), int(widths.size), what)


def focus_key(info: FrameInfo) -> tuple[object, ...]:
    """Return what is equal among the frames of a run: read noise and gain change no width."""
    return flat_key(info)[4:]


def split_runs(times: Sequence[datetime | None]) -> list[list[int]]:
    """Return the places of the frames of each run: a pause longer than `PAUSE` ends one.

    Parameters
    ----------
    times : sequence of datetime or None
        Beginnings of exposures of one set-up, in their order; None ends no run.
    """
    runs: list[list[int]] = []
    for place, now in enumerate(times):
        before = times[place - 1] if place else None
        if not runs or (now and before and now - before > PAUSE):
            runs.append([])
        runs[-1].append(place)
    return runs


def moved_card(settings: Sequence[Mapping[str, float]]) -> str:
    """Return the card that a run varies: that with the most settings which truly differ.

    Parameters
    ----------
    settings : sequence of mapping
        Values of `CARDS` of each frame, as far as its header has them.
    """
    known = [name for name in CARDS if all(name in one for one in settings)]

    def steps(name: str) -> int:
        values = sorted(one[name] for one in settings)
        return sum(b - a > CARDS[name] for a, b in pairwise(values))

    # Of cards that move alike the first: the telescope follows the temperature by itself.
    return max(known, key=steps) if known else next(iter(CARDS))


def best_focus(
    settings: ArrayLike, fwhm_px: ArrayLike, error_px: ArrayLike, *, step: float = 2.5
) -> Focus:
    """Return the sharpest setting of a run.

    A parabola through the squares of the widths, fitted robustly (Huber 1964, Ann. Math. Stat.
    35, 73). A setting is named only if the run has it between its settings.

    Parameters
    ----------
    settings, fwhm_px, error_px : array_like, shape (n,)
        Focus setting, width and its error (unbinned pixels) of each frame; widths that are not
        finite are left out.
    step : float
        Settings closer than this are the same.
    """
    z, width = np.asarray(settings, float), np.asarray(fwhm_px, float)
    sigma = np.hypot(np.asarray(error_px, float), _FLOOR * width)
    known = np.isfinite(z) & np.isfinite(width) & (width > 0) & np.isfinite(sigma)
    if not known.any():
        return _untold("No frame shows anything whose width tells the focus.", known)
    there = np.sort(z[known])
    different = 1 + int(np.sum(np.diff(there) > step))
    if different < _LEAST_SETTINGS:
        return _untold(
            f"{different} focus setting{'s' * (different > 1)} so far; "
            f"{_LEAST_SETTINGS} tell a curve.",
            known,
        )
    centre, scale = float(there.mean()), max(float(np.ptp(there)) / 2, 1e-9)
    t = (z - centre) / scale
    weights = _weights(t, width**2, 2 * width * sigma, known)
    terms, covariance = _parabola(t, width**2, 2 * width * sigma, known * weights)
    used = known & (weights > 0.4)
    curve = terms / scale ** np.arange(3)
    if terms[2] <= _CURVED * np.sqrt(covariance[2, 2]):
        return _no_minimum(z, width, used, curve, centre)
    place = -terms[1] / (2 * terms[2])
    slope = np.array([0.0, -1 / (2 * terms[2]), -place / terms[2]])
    best = centre + scale * place
    error = scale * float(np.sqrt(slope @ covariance @ slope))
    low, high = z[used].min(), z[used].max()
    if not low + _INSIDE * error < best < high - _INSIDE * error:
        return _no_minimum(z, width, used, curve, centre)
    lowest = float(terms @ [1, place, place**2])
    fwhm = float(np.sqrt(lowest)) if lowest > 0 else float(width[used].min())
    said = f"Sharpest at {best:.0f} ± {error:.0f}, where the width would be {fwhm:.2f} px."
    return Focus(best, error, fwhm, True, said, tuple(curve), centre, used)


def _weights(
    t: NDArray[np.float64],
    square: NDArray[np.float64],
    sigma: NDArray[np.float64],
    known: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Return Huber's weights; ones where there are too few frames to doubt any."""
    weights = np.ones(t.shape)
    if known.sum() < _ROBUST_FROM:
        return weights
    for _ in range(30):
        terms, _ = _parabola(t, square, sigma, known * weights)
        away = np.abs(square - np.polynomial.polynomial.polyval(t, terms)) / sigma
        spread = max(1.0, 1.4826 * float(np.median(away[known])))
        limit = _HUBER * spread
        weights = np.where(away > limit, limit / np.maximum(away, 1e-9), 1.0)
    return np.where(away > 4 * spread, 0.0, weights)


def _parabola(
    t: NDArray[np.float64],
    square: NDArray[np.float64],
    sigma: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return coefficients of 1, t, t² and their covariance, never better than the scatter."""
    kept = weights > 0
    design = np.vander(t[kept], 3, increasing=True)
    weight = weights[kept] / sigma[kept] ** 2
    inverse = np.linalg.pinv(design.T @ (weight[:, None] * design))
    terms = inverse @ (design.T @ (weight * square[kept]))
    spare = int(kept.sum()) - 3
    if spare > 0:
        chi2 = float(np.sum(weight * (square[kept] - design @ terms) ** 2))
        inverse = inverse * max(1.0, chi2 / spare)
    return np.asarray(terms, dtype=float), np.asarray(inverse, dtype=float)


def _untold(reason: str, used: NDArray[np.bool_]) -> Focus:
    nan = float("nan")
    return Focus(nan, nan, nan, False, reason, None, 0.0, used)


def _no_minimum(
    z: NDArray[np.float64],
    width: NDArray[np.float64],
    used: NDArray[np.bool_],
    curve: NDArray[np.float64],
    centre: float,
) -> Focus:
    """Say that the minimum is not between the settings, and where to go on."""
    nan = float("nan")
    sharpest = z[used][int(np.argmin(width[used]))]
    ends = {"below": z[used].min(), "above": z[used].max()}
    side = next((name for name, end in ends.items() if end == sharpest), "")
    on = f"go on {side} it" if side else "the widths do not bend enough to tell a best setting"
    reason = f"Not bracketed: the sharpest frame is that at {sharpest:.0f}; {on}."
    return Focus(nan, nan, nan, False, reason, (curve[0], curve[1], curve[2]), centre, used)
