"""Sharpen a source on the pixels themselves: its path, its width, and its profile's shape.

Each step is one Gauss-Newton step of the model against the pixels, in bins along the
dispersion long enough to measure something; polynomials through the bins choose their own
order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import legendre
from scipy.ndimage import gaussian_filter1d

from goodman_live.pipeline.core.optimal import steady
from goodman_live.pipeline.core.profile import BETA_RANGE, Shape
from goodman_live.pipeline.core.series import Series, fit_series
from goodman_live.pipeline.core.source import STEP, Source, table_grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.source import Strip
    from goodman_live.pipeline.core.working import Working

MOST_ORDER = 6
"""Highest order of a trace."""
BIN_SNR = 8.0
"""Significance that a bin must have for its centroid to count."""
FLOOR_ROWS = 0.008
"""Centroid error that no star beats, binned rows."""
EMPIRICAL_SNR = (150.0, 1500.0)
"""Significance from which the profile's table is corrected, and from which in three places."""
WIDEST_CHANGE = 1.0
"""Largest change (natural logarithm) of a width against where it was found; more is a runaway."""
TABLE_PRIOR = 0.04
"""Expected departure of a profile from its analytic shape, as a share of its peak."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Centroids along a trace; rows and columns binned, 0-based."""

    column: NDArray[np.float64]
    row: NDArray[np.float64]
    sigma: NDArray[np.float64]
    keep: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """A source's light in its strip, ready for a Gauss-Newton step; arrays (m, n) or (n,)."""

    residual: NDArray[np.float64]
    weight: NDArray[np.float64]
    flux: NDArray[np.float64]
    snr: NDArray[np.float64]
    """Significance in each column, from the smoothed flux."""
    profile: NDArray[np.float64]


def measure_light(
    work: Working,
    strip: Strip,
    value: NDArray[np.float64],
    source: Source,
    u: NDArray[np.float64],
    slack: float,
) -> Light:
    """Return fluxes and residuals of a source, with pixels that deviate left out.

    Parameters
    ----------
    work : Working
        The frame, for its noise model.
    strip : Strip
        Pixels around the source, shape (m, n).
    value : ndarray of float64
        Signal of this source alone (sky, background and neighbours subtracted), shape (m, n).
    source : Source
        The source.
    u : ndarray of float64
        Scaled columns, shape (n,).
    slack : float
        Error of the model as a share of its peak that is not an outlier.

    Returns
    -------
    Light
        Fluxes are smoothed along the dispersion where they are mostly noise.
    """
    profile = source.profile(strip.offset, u)
    # Sky, background and neighbours, as their models have them.
    base = np.where(strip.good, strip.data + strip.sky - value, strip.sky)
    noise = work.noise.at(base, strip.rows)
    weight = np.where(strip.good, 1 / np.maximum(noise, 1e-12), 0.0)
    flux, power = _flux(value, weight, profile)
    for _ in range(2):
        expected = np.maximum(flux, 0) * profile
        noise = work.noise.at(base + expected, strip.rows)
        limit = 25 * (noise + (slack * expected.max(axis=0)) ** 2)
        fits = (value - expected) ** 2 < limit
        weight = np.where(strip.good & fits, 1 / np.maximum(noise, 1e-12), 0.0)
        flux, power = _flux(value, weight, profile)
    flux = steady(flux, power, goal=5.0)
    return Light(value - flux * profile, weight, flux, flux * np.sqrt(power), profile)


def _flux(
    value: NDArray[np.float64], weight: NDArray[np.float64], profile: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    weighted = weight * profile
    power = (weighted * profile).sum(axis=0)
    return (weighted * value).sum(axis=0) / np.maximum(power, 1e-30), power


def total_snr(light: Light) -> float:
    """Return the significance of a source in all columns together."""
    return float(np.sqrt((light.snr**2).sum()))


def step_path(
    strip: Strip,
    light: Light,
    source: Source,
    reference: Series | None,
    u: NDArray[np.float64],
    *,
    most: int,
) -> tuple[Source, Points]:
    """Move a path onto the centroids of its source.

    Parameters
    ----------
    strip : Strip
        Pixels around the source.
    light : Light
        From `measure_light`.
    source : Source
        The source.
    reference : Series, optional
        Shape of a trace to which an own polynomial is added only as far as the points ask.
    u : ndarray of float64
        Scaled columns, shape (n,).
    most : int
        Highest order.

    Returns
    -------
    Source, Points
        The source on its new path, and the centroids.
    """
    slope = _along_slit(strip, source, u) * light.flux * _covered(light)
    top = (light.weight * light.residual * slope).sum(axis=0)
    power = (light.weight * slope**2).sum(axis=0)
    edges = _bin_edges(light, total_snr(light))
    points = _binned(top, power, edges, np.arange(u.size, dtype=float))
    widest = 0.7 * source.shape.fwhm
    move = np.clip(points[1], -widest, widest)
    nx = u.size
    place = 2 * points[0] / max(nx - 1, 1) - 1
    base = source.path(place) + move
    sigma = np.hypot(points[2], FLOOR_ROWS)
    usable = (points[2] < 0.4 * source.shape.fwhm) & (np.abs(points[1]) < 3 * source.shape.fwhm)
    if usable.sum() < 1:
        return source, Points(points[0], base, sigma, np.zeros(base.size, dtype=bool))
    shape = np.zeros_like(base) if reference is None else reference(place)
    series = fit_series(
        place[usable], (base - shape)[usable], sigma[usable], most=_most(place[usable], most)
    )
    keep = np.zeros(base.size, dtype=bool)
    keep[np.flatnonzero(usable)[series.keep]] = True
    path = series if reference is None else _added(reference, series)
    return source.moved(path), Points(points[0], base, sigma, keep)


def _covered(light: Light) -> NDArray[np.bool_]:
    """Return columns in which nearly all of the profile is on usable pixels.

    Half a star on the edge of the slit pulls its own centroid.
    """
    there = (light.profile * (light.weight > 0)).sum(axis=0)
    return np.asarray(there > 0.85 * np.maximum(light.profile.sum(axis=0), 0.8))


def _most(place: NDArray[np.float64], most: int) -> int:
    """Limit the order where points cover little of the spectrum: it would be extrapolated."""
    cover = float(np.ptp(place)) / 2
    return most if cover > 0.6 else 2 if cover > 0.35 else 0


def _added(reference: Series, series: Series) -> Series:
    size = max(reference.coefficients.size, series.coefficients.size)
    total = np.zeros(size)
    total[: reference.coefficients.size] += reference.coefficients
    total[: series.coefficients.size] += series.coefficients
    return Series(total, series.keep, series.loo)


def _along_slit(strip: Strip, source: Source, u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the change of the profile per row by which its centre moves up."""
    step = 0.2
    after = source.profile(strip.offset - step, u)
    return (after - source.profile(strip.offset + step, u)) / (2 * step)


def _bin_edges(light: Light, snr: float) -> NDArray[np.intp]:
    """Return edges of bins with equal shares of significance and not too few columns."""
    nx = light.flux.size
    number = int(np.clip((snr / BIN_SNR) ** 2, 1, max(min(nx // 12, 100), 1)))
    even = np.linspace(0, nx, number + 1)
    return np.unique(np.rint(even).astype(np.intp))


def _binned(
    top: NDArray[np.float64],
    power: NDArray[np.float64],
    edges: NDArray[np.intp],
    columns: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (weighted column, step, standard deviation) of each bin."""
    tops = np.add.reduceat(top, edges[:-1])
    powers = np.add.reduceat(power, edges[:-1])
    places = np.add.reduceat(power * columns, edges[:-1])
    middles = (edges[:-1] + edges[1:] - 1) / 2
    some = powers > 0
    safe = np.where(some, powers, 1.0)
    return (
        np.where(some, places / safe, middles),
        np.where(some, tops / safe, 0.0),
        np.where(some, 1 / np.sqrt(safe), np.inf),
    )


def step_width(
    strip: Strip,
    light: Light,
    source: Source,
    prior: Series | None,
    u: NDArray[np.float64],
) -> Source:
    """Adjust the width, and its change along the spectrum, to the pixels.

    Parameters
    ----------
    strip, light, source, u
        As for `step_path`.
    prior : Series, optional
        Logarithmic width relative to the shape's own that is known to about 15 per cent.

    Returns
    -------
    Source
        With a new width.
    """
    step = 0.05
    fuller = replace(source, width=_offset(source.width, step))
    slimmer = replace(source, width=_offset(source.width, -step))
    change = fuller.profile(strip.offset, u) - slimmer.profile(strip.offset, u)
    slope = light.flux * change / (2 * step)
    # What a change of flux explains is not a change of width.
    weighted = light.weight * light.profile
    share = (weighted * slope).sum(axis=0) / np.maximum(
        (weighted * light.profile).sum(axis=0), 1e-30
    )
    slope = slope - share * light.profile
    top = (light.weight * light.residual * slope).sum(axis=0)
    power = (light.weight * slope**2).sum(axis=0)
    snr = total_snr(light)
    number = int(np.clip((snr / 40) ** 2, 1, 16))
    edges = np.unique(np.rint(np.linspace(0, u.size, number + 1)).astype(np.intp))
    column, move, sigma = _binned(top, power, edges, np.arange(u.size, dtype=float))
    place = 2 * column / max(u.size - 1, 1) - 1
    value = source.width(place) + np.clip(move, -0.25, 0.25)
    if prior is not None:
        expected = prior(place)
        trust = 0.15**-2 / number
        value = (value / sigma**2 + expected * trust) / (sigma**-2 + trust)
        sigma = 1 / np.sqrt(sigma**-2 + trust)
    usable = np.isfinite(sigma) & (sigma < 1)
    if not usable.any():
        return source
    series = fit_series(
        place[usable], value[usable], np.hypot(sigma[usable], 0.004), most=_most(place[usable], 3)
    )
    if np.abs(series(np.linspace(-1, 1, 9))).max() > WIDEST_CHANGE:
        return source
    return replace(source, width=series)


def _offset(series: Series, amount: float) -> Series:
    coefficients = series.coefficients.copy()
    coefficients[0] += amount
    return Series(coefficients, series.keep, series.loo)


def step_beta(strip: Strip, light: Light, source: Source, u: NDArray[np.float64]) -> Source:
    """Adjust the Moffat exponent together with the mean width."""
    shape = source.shape
    if shape.name != "moffat":
        return source
    steeper = replace(source, shape=Shape(shape.name, shape.fwhm, shape.beta * 1.05))
    fuller = replace(source, width=_offset(source.width, 0.05))
    weighted = light.weight * light.profile
    norm = np.maximum((weighted * light.profile).sum(axis=0), 1e-30)
    slopes = []
    for other in (steeper, fuller):
        slope = light.flux * (other.profile(strip.offset, u) - light.profile) / 0.05
        slopes.append(slope - (weighted * slope).sum(axis=0) / norm * light.profile)
    normal = np.array([[(light.weight * a * b).sum() for b in slopes] for a in slopes])
    side = np.array([(light.weight * light.residual * a).sum() for a in slopes])
    # The exponent is known beforehand to some 30 per cent.
    normal[0, 0] += 0.3**-2
    side[0] += 0.3**-2 * np.log(3.0 / shape.beta)
    normal[1, 1] += 1e-6
    move = np.linalg.solve(normal, side)
    beta = float(np.clip(shape.beta * np.exp(np.clip(move[0], -0.3, 0.3)), *BETA_RANGE))
    return replace(
        source,
        shape=Shape(shape.name, shape.fwhm, beta),
        width=_offset(source.width, float(np.clip(move[1], -0.2, 0.2))),
    )


def correct_table(strip: Strip, light: Light, source: Source, u: NDArray[np.float64]) -> Source:
    """Add to the analytic profile what the pixels consistently show.

    Residuals are averaged at their offsets from the path, drawn towards zero by what is
    expected of them, smoothed over a quarter of the width, and made to hold no flux.
    """
    snr = total_snr(light)
    if snr < EMPIRICAL_SNR[0]:
        return source
    bare = replace(source, correction=None)
    scale = np.exp(-source.width(u))
    residual = light.residual + light.flux * (light.profile - bare.profile(strip.offset, u))
    grid = table_grid(source.reach)
    analytic = source.shape(grid)
    # Share of light per pixel at the table's scale: value = residual / (flux * scale).
    gain = light.flux * scale
    precision = light.weight * gain**2
    place = np.rint(((strip.offset * scale) - grid[0]) / (4 * STEP)).astype(np.intp)
    cells = grid.size // 4 + 1
    inside = (place >= 0) & (place < cells) & (light.weight > 0)
    nodes = 3 if snr > EMPIRICAL_SNR[1] else 1
    centre = (u + 1) / 2 * (nodes - 1)
    tables = []
    for k in range(nodes):
        near = np.clip(1 - np.abs(centre - k), 0, 1) if nodes > 1 else np.ones_like(u)
        weight = precision * near
        index = place[inside]
        total = np.bincount(index, weight[inside], cells).astype(float)
        top = np.bincount(index, (light.weight * gain * near * residual)[inside], cells).astype(
            float
        )
        tables.append(_smooth_table(total, top, analytic, grid, source.shape.fwhm))
    return replace(source, correction=np.stack(tables))


def _smooth_table(
    total: NDArray[np.float64],
    top: NDArray[np.float64],
    analytic: NDArray[np.float64],
    grid: NDArray[np.float64],
    fwhm: float,
) -> NDArray[np.float64]:
    width = max(0.12 * fwhm, 0.2) / (4 * STEP)
    peak = float(analytic.max())
    prior = (TABLE_PRIOR * (analytic[::4][: total.size] + 0.01 * peak)) ** -2
    # The prior counts once per smoothing length, whatever the cells' size.
    spread = 2.5 * width
    smooth_total = gaussian_filter1d(total, width, mode="constant") * spread
    smooth_top = gaussian_filter1d(top, width, mode="constant") * spread
    prior = np.pad(prior, (0, total.size - prior.size), mode="edge")
    value = smooth_top / (smooth_total + prior)
    correction = np.interp(grid, grid[0] + 4 * STEP * np.arange(total.size), value)
    return np.asarray(correction - analytic * correction.sum() / max(analytic.sum(), 1e-30))


def line_series(level: float) -> Series:
    """Return a constant series."""
    return Series(np.array([level]), np.zeros(0, dtype=bool), 0.0)


def resampled(series: Series, to_u: NDArray[np.float64], u: NDArray[np.float64]) -> Series:
    """Return a series given on one scaling of columns on another.

    Parameters
    ----------
    series : Series
        Series on the old scale.
    to_u : ndarray of float64
        New scale at sample columns, shape (k,).
    u : ndarray of float64
        Old scale at the same columns, shape (k,).
    """
    order = series.coefficients.size - 1
    return Series(
        np.asarray(legendre.legfit(to_u, series(u), order), float), series.keep, series.loo
    )
