"""Acquisition images: where the target is with respect to the slit.

The target is what shines through the slit or, in an image without it, the star that is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from goodman_live.pipeline.core.slitimage import PIXEL_ARCSEC
from goodman_live.pipeline.core.sources import find_sources

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.core.slitimage import SlitImage

_NAMED = re.compile(r"(?:^|[^a-z])(?:re)?acq(?:uisition)?(?:[^a-z]|$)", re.IGNORECASE)
_CLEAR = 8.0
"""Sigma at which light through the slit is believed to be a target."""
_SKY_ROWS = 80.0
"""Unbinned rows on either side of a target in the slit that tell the sky."""
_MODEL_PX, _MODEL_SHARE = 0.1, 0.06
"""Error of a place behind the jaws, pixels and share of it, that no light removes."""
REACH_ARCSEC = 20.0
"""A target is looked for within this distance of the slit, across it."""
_MOST_OTHERS = 10


@dataclass(frozen=True, slots=True)
class Place:
    """A star beside or in the slit."""

    column: float
    """Unbinned readout column."""
    row: float
    """Unbinned readout row."""
    across_px: float
    """Its column less the slit's at that row, unbinned pixels."""
    error_px: float
    """Error of `across_px`, the slit's included."""
    along_px: float
    """Its row less the middle of the slit, unbinned pixels."""
    flux: float
    """Counts above the sky."""
    fwhm_px: float
    """Width along the slit, unbinned pixels."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What an acquisition image shows."""

    slit: SlitImage
    """The slit, of this image or another."""
    through: bool
    """True where the slit is in the light of this very image."""
    target: Place | None
    """What is taken for the target; None where nothing is seen."""
    others: tuple[Place, ...] = ()
    """Further stars near the slit, the brightest first."""
    remarks: tuple[str, ...] = ()
    """What the reader should know."""


def names_acquisition(*texts: str) -> bool:
    """Tell whether the name of an object or a file says that a frame was taken to point."""
    return any(_NAMED.search(text) for text in texts)


def locate(frame: Frame, slit: SlitImage, *, through: bool, slit_arcsec: float) -> Acquisition:
    """Return where the target is with respect to the slit.

    Parameters
    ----------
    frame : Frame
        Acquisition image without bias level, with uncertainty.
    slit : SlitImage
        From `find_slit`, of this image or of one of the same camera and slit.
    through : bool
        True where the slit is in the light of `frame`.
    slit_arcsec : float
        Its width.
    """
    if through:
        return _through(frame, slit, slit_arcsec)
    return _beside(frame, slit)


def _beside(frame: Frame, slit: SlitImage) -> Acquisition:
    """Look among the stars of an image that no slit limits."""
    window, stars = frame.window, find_sources(frame)
    places = []
    for k in range(len(stars)):
        column = window.x0 + window.xbin * stars.x[k] + (window.xbin - 1) / 2
        row = window.y0 + window.ybin * stars.y[k] + (window.ybin - 1) / 2
        across = float(column - slit.at(row))
        error = float(np.hypot(stars.sigma[k] * window.xbin, slit.error_px))
        if abs(across) <= REACH_ARCSEC / PIXEL_ARCSEC and stars.elongation[k] < 2.5:
            fwhm = float(stars.fwhm[k]) * window.xbin
            flux = float(stars.flux[k])
            place = Place(
                float(column), float(row), across, error, float(row - slit.row), flux, fwhm
            )
            places.append(place)
    places.sort(key=lambda one: -one.flux)
    if not places:
        said = f"No star within {REACH_ARCSEC:.0f} arcsec of the slit."
        return Acquisition(slit, False, None, (), (said,))
    said = "The brightest star near the slit is taken for the target."
    return Acquisition(
        slit, False, places[0], tuple(places[1 : 1 + _MOST_OTHERS]), (said,) if places[1:] else ()
    )


def _through(frame: Frame, slit: SlitImage, slit_arcsec: float) -> Acquisition:
    """Look at the light that passes the slit."""
    window = frame.window
    rows = window.rows_unbinned()
    columns = window.columns_unbinned()
    half = slit.fwhm_px * 0.75 + 1.5
    near = np.abs(columns[None, :] - slit.at(rows)[:, None]) <= half
    good = near & (frame.flags == 0)
    count = np.maximum(good.sum(axis=1), 1)
    light = np.where(good, frame.data, 0).sum(axis=1, dtype=float) * near.sum(axis=1) / count
    known = good.sum(axis=1) > 0.6 * near.sum(axis=1)
    sky = float(np.median(light[known])) if known.any() else 0.0
    away = np.where(known, light - sky, 0.0)
    noise = 1.4826 * float(np.median(np.abs(away[known]))) if known.any() else 0.0
    wide = max(3, round(6.0 / window.ybin))
    kernel = np.ones(wide) / np.sqrt(wide)
    score = np.convolve(away, kernel, mode="same") / max(noise, 1e-9)
    peak = int(np.argmax(score))
    if score[peak] < _CLEAR:
        said = "No target shines through the slit."
        return Acquisition(slit, True, None, (), (said,))
    reach = max(4, round(20.0 / window.ybin))
    cut = slice(max(0, peak - reach), peak + reach + 1)
    weight = np.clip(away[cut], 0, None)
    weight = np.where(weight > 0.05 * weight.max(), weight, 0)
    row = float((weight * rows[cut]).sum() / weight.sum())
    fwhm = _width_of(rows[cut], away[cut])
    across, error = _displaced(frame, slit, good, row, fwhm, slit_arcsec)
    said = (
        "The target is seen through the slit: where it would be without it follows from how "
        "unevenly it fills the slit, and from its width along it."
    )
    place = Place(
        float(slit.at(row)) + across,
        row,
        across,
        error,
        row - slit.row,
        float(weight.sum()),
        fwhm,
    )
    return Acquisition(slit, True, place, (), (said,))


def _displaced(
    frame: Frame,
    slit: SlitImage,
    good: NDArray[np.bool_],
    row: float,
    fwhm: float,
    slit_arcsec: float,
) -> tuple[float, float]:
    """Return the place across the slit of what shines through it, and its error, pixels.

    The light that passes is a Gaussian cut by the jaws: its centroid moves less than the star.
    """
    window = frame.window
    away = np.abs(window.rows_unbinned() - row)
    rows = away <= max(0.6 * fwhm, window.ybin)
    # the sky of each column from the rows beside: the jaws leave some pixels half in the light
    beside = (away > 2.5 * fwhm) & (away < 2.5 * fwhm + _SKY_ROWS)
    seen_there = np.where(good[beside], frame.data[beside], np.nan)
    empty = ~np.isfinite(seen_there).any(axis=0)
    seen_there[:, empty] = 0.0
    sky = np.nanmedian(seen_there, axis=0)
    light = np.where(good[rows], frame.data[rows] - sky, 0.0).astype(float)
    noise = np.where(good[rows], frame.uncertainty[rows], 0.0).astype(float)
    middle = slit.at(window.rows_unbinned()[rows])
    away = window.columns_unbinned()[None, :] - middle[:, None]
    total = max(float(light.sum()), 1e-9)
    centroid = float((light * away).sum()) / total
    error = float(np.sqrt(((noise * (away - centroid)) ** 2).sum())) / total
    sigma = max(fwhm / 2.3548, 0.3)
    half = slit_arcsec / PIXEL_ARCSEC / 2
    limit = 0.98 * cut_centroid(half + 2.5 * sigma, sigma, half)
    seen = float(np.clip(centroid, -limit, limit))
    span = half + 2.5 * sigma
    place = float(brentq(lambda d: cut_centroid(d, sigma, half) - seen, -span, span))
    step = 0.02 * sigma
    rate = (cut_centroid(place + step, sigma, half) - cut_centroid(place - step, sigma, half)) / (
        2 * step
    )
    error = float(np.hypot(error, slit.error_px) / max(rate, 0.02))
    # a real star is no Gaussian
    return place, float(np.hypot(error, _MODEL_PX + _MODEL_SHARE * abs(place)))


def cut_centroid(place: float, sigma: float, half: float) -> float:
    """Return the centroid of a Gaussian at `place` of which only -`half` to `half` is seen."""
    a, b = (-half - place) / sigma, (half - place) / sigma
    seen = ndtr(b) - ndtr(a)
    if seen < 1e-12:
        return float(np.clip(place, -half, half))
    bell = (np.exp(-(a**2) / 2) - np.exp(-(b**2) / 2)) / np.sqrt(2 * np.pi)
    return float(place + sigma * bell / seen)


def _width_of(rows: NDArray[np.float64], light: NDArray[np.float64]) -> float:
    """Return the FWHM along the slit from the places of half height, unbinned pixels."""
    peak = int(np.argmax(light))
    half = light[peak] / 2
    above = light > half
    left, right = peak, peak
    while left > 0 and above[left - 1]:
        left -= 1
    while right < light.size - 1 and above[right + 1]:
        right += 1
    step = float(rows[1] - rows[0]) if rows.size > 1 else 1.0
    low = (light[left] - half) / max(light[left] - light[max(left - 1, 0)], 1e-9)
    high = (light[right] - half) / max(light[right] - light[min(right + 1, light.size - 1)], 1e-9)
    return step * float(right - left + min(low, 1.0) + min(high, 1.0))
