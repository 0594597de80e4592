"""Magnitudes of the stars of a solved image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import sep

from goodman_live.pipeline.core.psf import fit_profile, psf_counts
from goodman_live.pipeline.core.sensitivity import MAGNITUDE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.astrometry import Solution, StarList
    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.core.sources import Sources

_APERTURE = 1.0
"""Radius of the aperture in FWHM: near the best signal to noise of a faint star."""
_WHOLE = 4.0
"""Radius that holds all light of a star, in FWHM."""
_RING = (5.0, 8.0)
_COLOUR_STARS = 12
_BLUEST, _REDDEST = 0.3, 2.5
_FAINTEST_ZERO = 20.0

COLOURS: Mapping[str, tuple[float, tuple[float, ...]]] = {
    "g": (0.0745, (0.2199, -0.6365, -0.1548, 0.0064)),
    "r": (0.0378, (-0.09837, 0.08592, 0.1907, -0.1701, 0.02263)),
    "i": (0.0409, (-0.293, 0.6404, -0.09609, -0.002104)),
    "z": (0.0512, (-0.4619, 0.8992, -0.08271, 0.005029)),
    "B": (0.0633, (0.01448, -0.6874, -0.3604, 0.06718, -0.006061)),
    "V": (0.0302, (-0.02704, 0.01424, -0.2156, 0.01426)),
    "R": (0.0317, (-0.02275, 0.3961, -0.1243, -0.01396, 0.003775)),
    "I": (0.0377, (0.01753, 0.76, -0.0991)),
}
"""G minus the magnitude in a filter as a polynomial of BP - RP, with its scatter (Riello et al.
2021, A&A 649, A3; Gaia DR3 documentation, section 5.5.1)."""


@dataclass(frozen=True, slots=True, eq=False)
class Photometry:
    """Magnitudes of all sources, and what they hang on."""

    magnitude: NDArray[np.float64]
    """In the filter's system; instrumental (25 - 2.5 log10 e/s) without a zero point, shape (n,).
    NaN where there is no positive flux."""
    error: NDArray[np.float64]
    """Of the source's own counts, magnitudes, shape (n,)."""
    electrons_s: NDArray[np.float64]
    """All light of the star, shape (n,)."""
    psf_magnitude: NDArray[np.float64]
    """As `magnitude`, weighted by the profile and fitted together with neighbours, shape (n,): the
    better one for faint and for crowded stars. NaN where the frame's profile is not known."""
    psf_error: NDArray[np.float64]
    """Of the source's own counts, magnitudes, shape (n,)."""
    background: NDArray[np.float64]
    """Local background taken off, in the image's unit per pixel, shape (n,)."""
    aperture_correction: float
    """Magnitudes from the aperture to all light."""
    fwhm_px: float
    """Median width of stars, binned pixels."""
    zero_point: float | None
    """Magnitude of 1 e/s, None if too few catalogue stars matched."""
    zero_error: float | None
    zero_stars: int
    """Stars that it hangs on."""
    colour_term: float | None
    """Magnitudes per BP - RP beyond the published relation, None if not fitted."""
    limit: float | None
    """Magnitude of a point source at five sigma."""
    sky: float | None
    """Magnitudes per square arcsec of the background."""
    system: str
    """What the magnitudes are in: a filter's name, Gaia ``G`` for lack of a relation, or
    ``instrumental``."""


def band_of(filter_name: str) -> str | None:
    """Return the band of a filter's name such as ``g-SDSS``, ``V-Bessel`` or ``SDSS r``."""
    words = filter_name.replace("_", " ").replace("-", " ").replace("'", " ").split()
    return next((word for word in words if word in COLOURS), None)


def catalogue_magnitude(
    stars: StarList, band: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the magnitudes of catalogue stars in a band, and their errors.

    Stars whose colour is unknown or outside the relation's range are NaN.

    Parameters
    ----------
    stars : StarList
        With G and BP - RP.
    band : str or None
        Key of `COLOURS`; None gives G.
    """
    if band is None:
        return stars.g.copy(), np.full(len(stars), 0.01)
    scatter, terms = COLOURS[band]
    valid = (stars.bp_rp > _BLUEST) & (stars.bp_rp < _REDDEST)
    colour = np.where(valid, stars.bp_rp, np.nan)
    return stars.g - np.polynomial.polynomial.polyval(colour, terms), np.full(len(stars), scatter)


def measure(
    frame: Frame,
    sources: Sources,
    *,
    solution: Solution | None,
    stars: StarList | None,
    filter_name: str,
    exptime_s: float,
    gain: float,
    pixel_arcsec2: float,
) -> Photometry:
    """Measure the magnitudes of all sources of an image.

    Apertures of one FWHM radius about the centroid, less the median of a ring; what they miss is
    measured on the brightest clean stars. The zero point is the weighted, robust mean over
    matched stars of the catalogue's magnitude less the instrumental one, both of the same
    aperture and exposure time; a colour term is fitted where the stars show one.

    Parameters
    ----------
    frame : Frame
        The reduced image.
    sources : Sources
        Its stars.
    solution : Solution or None
        With the pairs of source and star; None leaves the magnitudes instrumental.
    stars : StarList or None
        The catalogue that the solution's pairs point into.
    filter_name : str
        Filter of the header.
    exptime_s : float
        Exposure time, seconds.
    gain : float
        Electrons per unit of the image.
    pixel_arcsec2 : float
        Solid angle of a pixel.

    Raises
    ------
    ValueError
        If the exposure took no time.
    """
    if not exptime_s > 0:
        raise ValueError("an exposure of no time has no magnitudes")
    width = sources.seeing()
    if not np.isfinite(width):
        width = 4.0
    level = np.ascontiguousarray(frame.data - sources.background, dtype=np.float32)
    masked = np.ascontiguousarray((frame.flags != 0) | ~np.isfinite(level))
    error = np.where(frame.uncertainty > 0, frame.uncertainty, sources.noise).astype(np.float32)
    counts, spread, ring = _aperture(level, error, masked, sources, _APERTURE * width, width)
    bright = _bright(sources, width)
    correction = _correction(level, error, masked, sources, width, bright)
    rate = counts * correction * gain / exptime_s
    weighted, weighted_error = _weighted(level, error, masked, sources, width, bright)
    scale = _same_level(counts * correction, weighted, bright) * gain / exptime_s
    with np.errstate(divide="ignore", invalid="ignore"):
        instrumental = np.where(rate > 0, -2.5 * np.log10(rate), np.nan)
        own = np.where(rate > 0, MAGNITUDE * spread / counts, np.nan)
        psf = np.where(weighted > 0, -2.5 * np.log10(weighted * scale), np.nan)
        psf_own = np.where(weighted > 0, MAGNITUDE * weighted_error / weighted, np.nan)
    band = band_of(filter_name)
    zero = (
        None
        if solution is None or stars is None
        else _zero_point(instrumental, own, sources, solution, stars, band)
    )
    faintest = _faintest(error, masked, width, correction, gain, exptime_s)
    sky_rate = float(np.median(sources.background)) * gain / exptime_s / pixel_arcsec2
    add = 25.0 if zero is None else zero[0]
    return Photometry(
        magnitude=instrumental + add,
        error=own,
        electrons_s=rate,
        psf_magnitude=psf + add,
        psf_error=psf_own,
        background=ring,
        aperture_correction=float(-2.5 * np.log10(correction)),
        fwhm_px=float(width),
        zero_point=None if zero is None else zero[0],
        zero_error=None if zero is None else zero[1],
        zero_stars=0 if zero is None else zero[2],
        colour_term=None if zero is None else zero[3],
        limit=None if zero is None else zero[0] + faintest,
        sky=None if zero is None or sky_rate <= 0 else zero[0] - 2.5 * float(np.log10(sky_rate)),
        system="instrumental" if zero is None else (band or "G"),
    )


def _aperture(
    level: NDArray[np.float32],
    error: NDArray[np.float32],
    masked: NDArray[np.bool_],
    sources: Sources,
    radius: float,
    width: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return counts, their errors and the local background of apertures."""
    x, y = sources.x, sources.y
    total, spread, _ = sep.sum_circle(level, x, y, radius, err=error, mask=masked, subpix=7)
    ring = _ring(level, masked, x, y, width)
    area = np.pi * radius**2
    return (
        np.asarray(total - ring * area, dtype=float),
        np.asarray(spread, dtype=float),
        ring,
    )


def _ring(
    level: NDArray[np.float32],
    masked: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    width: float,
) -> NDArray[np.float64]:
    """Return the median of the ring about each source, clipped once."""
    inner, outer = (edge * width for edge in _RING)
    reach = int(np.ceil(outer))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(rows, columns)
    inside = (distance >= inner) & (distance <= outer)
    dy, dx = rows[inside], columns[inside]
    ny, nx = level.shape
    out = np.zeros(len(x))
    for k, (column, row) in enumerate(zip(np.rint(x), np.rint(y), strict=True)):
        at_y, at_x = dy + int(row), dx + int(column)
        there = (at_y >= 0) & (at_y < ny) & (at_x >= 0) & (at_x < nx)
        at_y, at_x = at_y[there], at_x[there]
        values = level[at_y, at_x][~masked[at_y, at_x]]
        if len(values) < 20:
            continue
        middle = np.median(values)
        spread = 1.4826 * np.median(np.abs(values - middle)) + 1e-9
        kept = values[np.abs(values - middle) < 3 * spread]
        out[k] = float(np.mean(kept))
    return out


def _correction(
    level: NDArray[np.float32],
    error: NDArray[np.float32],
    masked: NDArray[np.bool_],
    sources: Sources,
    width: float,
    chosen: NDArray[np.intp],
) -> float:
    """Return the factor from the aperture's counts to all light, from bright lonely stars."""
    if len(chosen) < 3:
        return 1.0
    x, y = sources.x[chosen], sources.y[chosen]
    ring = _ring(level, masked, x, y, width)
    small, _, _ = sep.sum_circle(level, x, y, _APERTURE * width, err=error, mask=masked, subpix=7)
    large, _, _ = sep.sum_circle(level, x, y, _WHOLE * width, err=error, mask=masked, subpix=7)
    small = small - ring * np.pi * (_APERTURE * width) ** 2
    large = large - ring * np.pi * (_WHOLE * width) ** 2
    ratio = large / np.maximum(small, 1e-9)
    sane = (small > 0) & (ratio > 0.9) & (ratio < 3)
    return float(np.median(ratio[sane])) if sane.any() else 1.0


def _bright(sources: Sources, width: float) -> NDArray[np.intp]:
    """Return the bright lonely stars that tell the profile, at most 40."""
    good = sources.clean & (sources.peak > 20 * sources.noise) & (sources.elongation < 1.4)
    lonely = good & _alone(sources, 2 * _WHOLE * width)
    return np.flatnonzero(lonely if lonely.sum() >= 3 else good)[:40]


def _weighted(
    level: NDArray[np.float32],
    error: NDArray[np.float32],
    masked: NDArray[np.bool_],
    sources: Sources,
    width: float,
    bright: NDArray[np.intp],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return counts weighted by the frame's profile and their errors, NaN if it is not known."""
    x, y = sources.x, sources.y
    profile = fit_profile(level, masked, x[bright], y[bright], width) if len(bright) >= 3 else None
    if profile is None:
        nothing = np.full(len(x), np.nan)
        return nothing, nothing.copy()
    return psf_counts(level, error.astype(float), masked, x, y, profile)


def _same_level(
    whole: NDArray[np.float64], weighted: NDArray[np.float64], bright: NDArray[np.intp]
) -> float:
    """Return the factor from weighted counts to all light, the median of the bright stars."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = whole[bright] / weighted[bright]
    sane = np.isfinite(ratio) & (ratio > 0.5) & (ratio < 2)
    return float(np.median(ratio[sane])) if sane.any() else 1.0


def _alone(sources: Sources, reach: float) -> NDArray[np.bool_]:
    from scipy.spatial import cKDTree  # noqa: PLC0415 (images alone need it)

    points = np.column_stack([sources.x, sources.y])
    distance, _ = cKDTree(points).query(points, k=min(2, len(points)))
    if len(points) < 2:
        return np.ones(len(points), dtype=bool)
    return np.asarray(distance[:, 1] > reach)


def _zero_point(
    instrumental: NDArray[np.float64],
    own: NDArray[np.float64],
    sources: Sources,
    solution: Solution,
    stars: StarList,
    band: str | None,
) -> tuple[float, float, int, float | None] | None:
    """Return zero point, error, stars and colour term; None with fewer than three stars."""
    known, scatter = catalogue_magnitude(stars, band)
    i, k = solution.source, solution.star
    difference = known[k] - instrumental[i]
    error = np.hypot(own[i], scatter[k])
    use = np.isfinite(difference) & np.isfinite(error) & sources.clean[i]
    use &= (own[i] < 0.1) & (stars.g[k] < _FAINTEST_ZERO)
    if use.sum() < 3:
        return None
    difference, error, colour = difference[use], error[use], stars.bp_rp[k][use]
    zero, mean_error, weight = _robust_mean(difference, error)
    term = None
    span = np.ptp(colour[np.isfinite(colour)]) if np.isfinite(colour).any() else 0.0
    if use.sum() >= _COLOUR_STARS and span > 0.4:
        pivot = float(np.nanmedian(colour))
        design = np.column_stack([np.ones_like(colour), np.nan_to_num(colour - pivot)])
        root = np.sqrt(weight)[:, None]
        solved, *_ = np.linalg.lstsq(design * root, difference * root[:, 0], rcond=None)
        doubt = float(np.sqrt(np.linalg.inv(design.T @ (weight[:, None] * design))[1, 1]))
        if abs(solved[1]) > 4 * doubt:
            term, zero = float(solved[1]), float(solved[0])
    return zero, mean_error, int((weight > 0).sum()), term


def _robust_mean(
    value: NDArray[np.float64], error: NDArray[np.float64]
) -> tuple[float, float, NDArray[np.float64]]:
    """Return the biweight mean, its error and the weights."""
    middle = float(np.median(value))
    robust = np.ones_like(value)
    for _ in range(8):
        spread = max(1.4826 * float(np.median(np.abs(value - middle))), 0.01)
        robust = np.clip(1 - ((value - middle) / (5 * spread)) ** 2, 0, None) ** 2
        weight = robust / (error**2 + 0.01**2)
        middle = float(np.sum(weight * value) / np.sum(weight))
    weight = robust / (error**2 + 0.01**2)
    residual = (value - middle) ** 2
    excess = max(float(np.sum(weight * residual) / max(np.sum(robust) - 1, 1)), 0.25)
    return middle, float(np.sqrt(excess / np.sum(weight))), weight


def _faintest(
    error: NDArray[np.float32],
    masked: NDArray[np.bool_],
    width: float,
    correction: float,
    gain: float,
    exptime_s: float,
) -> float:
    """Return the instrumental magnitude of a point source at five sigma."""
    pixel = float(np.median(error[~masked])) if not masked.all() else float(np.median(error))
    noise = pixel * np.sqrt(np.pi) * _APERTURE * width
    return float(-2.5 * np.log10(5 * noise * correction * gain / exptime_s))
