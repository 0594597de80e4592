"""The background of one target: zones beside it, fitted column by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np

from goodman_live.pipeline.core.series import fit_series
from goodman_live.pipeline.core.source import cut_strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.source import Source, Strip
    from goodman_live.pipeline.core.working import Working

INNER = 3.0
"""Where automatic zones begin, in FWHM from the trace."""
LENGTH = 24.0
"""Length of an automatic zone in FWHM: long enough that its noise costs two per cent of S/N."""
LONGEST = 160.0
"""Longest automatic zone in unbinned rows, unless the source is wide."""
CLIP = 4.5
"""Pixels further off than this many standard deviations are left out."""
LEAST_ROWS = 12
"""Rows on either side without which no bend is taken across the target."""
MOST_BEND = 6
"""Highest order of the bend."""
FAR = 2.5
"""FWHM from a source beyond which its wings are straight within a row."""
SAMPLE = 40
"""Rows from which a first level and scatter are taken."""
Zones = tuple[tuple[float, float], ...]
"""Zones as (lower, upper) rows relative to the trace, binned."""


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The background under a target, on top of the sky of the whole slit."""

    level: NDArray[np.float64]
    """At the trace, per row, shape (n,)."""
    slope: NDArray[np.float64]
    """Change per row along the slit, shape (n,)."""
    variance: NDArray[np.float64]
    """Variance of `level`, shape (n,)."""
    pixel_variance: NDArray[np.float64]
    """Variance of one sky pixel, shape (n,)."""
    zones: Zones
    """Zones used, binned rows relative to the trace."""


def automatic_zones(source: Source, work: Working, others: Sequence[Source]) -> Zones:
    """Return zones on both sides that stay in the slit; neighbours are masked later.

    A zone that neighbours would cover by more than half is moved outwards past them.
    """
    ybin = work.window.ybin
    u = np.linspace(-1, 1, 9)
    fwhm = float(source.fwhm(u).max())
    inner = INNER * fwhm + 1.5
    length = max(min(LENGTH * fwhm, LONGEST / ybin), 5 * fwhm, 12.0)
    path = source.path(u)
    places = [(float((o.path(u) - path).mean()), 3 * float(o.fwhm(u).max())) for o in others]
    zones = []
    for side in (-1, 1):
        start = inner
        for place, radius in sorted(places, key=lambda p: abs(p[0])):
            near, far = side * place - radius, side * place + radius
            if near < start + 0.3 * length and far > start and far - start < length:
                start = far if near < start + 2 * fwhm else start
        zone = sorted((side * start, side * (start + length)))
        zones.append((zone[0], zone[1]))
    return tuple(zones)


def fit_background(
    work: Working,
    source: Source,
    flux: NDArray[np.float64],
    others: Sequence[tuple[Source, NDArray[np.float64]]],
    zones: Zones,
    u: NDArray[np.float64],
) -> Background:
    """Fit a straight line along the slit in every column, robustly.

    The target's own wings and its neighbours are taken out by their models; the cores of
    neighbours are left out.

    Parameters
    ----------
    work : Working
        The frame.
    source : Source
        The target.
    flux : ndarray of float64
        Its flux so far, shape (n,).
    others : sequence of (Source, ndarray)
        Other sources and their fluxes.
    zones : tuple of (float, float)
        Rows relative to the trace.
    u : ndarray of float64
        Scaled columns, shape (n,).

    Returns
    -------
    Background
        Zero with the noise of one pixel where a column has no usable zone pixel.
    """
    path = source.path(u)
    offsets = _offsets(zones, work.shape[0])
    strip = cut_strip(work, path, offsets)
    rest, good = strip.data, strip.good.copy()
    if flux.any():
        rest = rest - flux * _wings(source, strip, offsets, u)
    for other, other_flux in others:
        distance = strip.rows - other.path(u)
        if np.abs(distance).min() > other.reach:
            continue
        model = other_flux * other.profile(distance, u)
        rest = rest - model
        bright = np.abs(model) > 2.0 * np.sqrt(np.maximum(strip.variance, 1e-30))
        good &= ~((np.abs(distance) < 2.5 * other.fwhm(u)) | bright)
    return _line(strip, rest, good, zones)


def _wings(
    source: Source, strip: Strip, offsets: NDArray[np.intp], u: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a source's profile in its own zones, shape (m, n); far from it, to first order."""
    fwhm = float(source.fwhm(u[:: max(u.size // 16, 1)]).max())
    if np.abs(offsets).min() < FAR * fwhm:
        return source.profile(strip.offset, u)
    steps = (offsets[:, None] + np.array([-0.5, 0.0, 0.5])).astype(float)
    share = source.profile(steps, np.zeros(3))
    phase = strip.offset[0] - offsets[0]
    return np.asarray(share[:, 1:2] + (share[:, 2:] - share[:, :1]) * phase)


def _offsets(zones: Zones, rows: int) -> NDArray[np.intp]:
    """Return the whole rows of all zones relative to the trace, none beyond the frame's height.

    Two just outside where a frame is lower than that: no column then has a background.
    """
    clipped = [(max(a, -rows), min(b, rows)) for a, b in zones]
    runs = [np.arange(np.ceil(a - 0.5), np.floor(b + 0.5) + 1) for a, b in clipped]
    found = np.unique(np.concatenate(runs)).astype(np.intp)
    return found if found.size else np.array([-rows, rows], np.intp)


def _line(
    strip: Strip,
    rest: NDArray[np.float64],
    good: NDArray[np.bool_],
    zones: Zones,
) -> Background:
    variance = _mean(strip.variance, good)
    # A sample of rows starts the search for outliers; all rows make the line.
    pick = slice(None, None, max(good.shape[0] // SAMPLE, 1))
    part, there = rest[pick], good[pick]
    level = np.nan_to_num(bn.nanmedian(np.where(there, part, np.nan), axis=0))
    # The noise may exceed the photons' (residuals of sky lines), never fall below it.
    off = np.where(there, np.abs(part - level), np.nan)
    limit = CLIP * np.maximum(np.sqrt(variance), 1.4826 * np.nan_to_num(bn.nanmedian(off, axis=0)))
    slope = np.zeros_like(level)
    for _ in range(2):
        line = rest - level
        if slope.any():
            line -= slope * strip.offset
        keep = good & (np.abs(line) <= limit)
        level, slope, spread = _least_squares(strip.offset, rest, keep)
    variance = _mean(strip.variance, keep)
    variance = np.where(keep.any(axis=0), variance, _mean(strip.variance, strip.good))
    bump, error = _common_bend(strip.offset, rest - level - slope * strip.offset, keep, variance)
    return Background(level + bump, slope, variance * spread + error**2, variance, zones)


def _common_bend(
    offset: NDArray[np.float64],
    residual: NDArray[np.float64],
    keep: NDArray[np.bool_],
    variance: NDArray[np.float64],
) -> tuple[float, float]:
    """Return what all columns together show at the trace beyond their straight lines, and error.

    The zero level of rows wanders along the slit, since the overscan that tells it is noisy. All
    columns share it, so that its bend can be measured where one column's cannot.
    """
    weight = np.where(variance > 0, 1 / np.where(variance > 0, variance, 1.0), 0.0)
    power = keep @ weight
    used = power > 0.3 * max(float(power.max(initial=0.0)), 1e-30)
    place = offset.mean(axis=1)
    if min((used & (place > 0)).sum(), (used & (place < 0)).sum()) < LEAST_ROWS:
        return 0.0, 0.0
    value = ((residual * keep) @ weight)[used] / power[used]
    u, sigma = place[used] / np.abs(place[used]).max(), 1 / np.sqrt(power[used])
    scatter = 1.05 * float(bn.median(np.abs(np.diff(value))))
    sigma = sigma * max(1.0, scatter / float(np.median(sigma)))
    series = fit_series(u, value, sigma, most=MOST_BEND)
    order = series.coefficients.size - 1
    if order < 2:
        return 0.0, 0.0
    design = np.polynomial.legendre.legvander(u[series.keep], order) / sigma[series.keep, None]
    at = np.polynomial.legendre.legvander(np.zeros(1), order)[0]
    spread = float(at @ np.linalg.solve(design.T @ design, at))
    return float(series(np.zeros(1))[0]), float(np.sqrt(max(spread, 0.0)))


def _mean(values: NDArray[np.float64], keep: NDArray[np.bool_]) -> NDArray[np.float64]:
    total = np.einsum("yx,yx->x", values, keep)
    return np.asarray(total / np.maximum(keep.sum(axis=0), 1))


def _least_squares(
    y: NDArray[np.float64], value: NDArray[np.float64], keep: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return level and slope at y = 0 in each column, and the level's variance per unit noise.

    A slope is fitted only where both sides of the target hold at least a fifth of the pixels:
    elsewhere it would extrapolate noise.
    """
    one = keep.astype(float)
    n = one.sum(axis=0)
    above = np.einsum("yx,yx->x", one, y > 0)
    both = (np.minimum(above, n - above) >= 0.2 * n) & (n >= 6)
    arm = one * y
    s1, s2 = arm.sum(axis=0), np.einsum("yx,yx->x", arm, y)
    v0, v1 = np.einsum("yx,yx->x", one, value), np.einsum("yx,yx->x", arm, value)
    determinant = np.where(both, n * s2 - s1**2, 1.0)
    slope = np.where(both, (n * v1 - s1 * v0) / determinant, 0.0)
    safe = np.maximum(n, 1)
    level = np.where(both, (s2 * v0 - s1 * v1) / determinant, v0 / safe)
    spread = np.where(both, s2 / determinant, 1 / safe)
    return level, slope, np.where(n > 0, spread, 1.0)
