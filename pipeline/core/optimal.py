"""Optimal extraction (Horne 1986, PASP 98, 609), blended sources solved together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter1d

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.background import Background
    from goodman_live.pipeline.core.source import Strip
    from goodman_live.pipeline.core.working import Working

REJECT = 5.0
"""A pixel this many standard deviations from the model is a cosmic ray or a defect."""
SHAPE_ERROR = 0.06
"""Error of the profile as a share of its peak that is not taken for a cosmic ray."""
MOST_REJECTED = 6
"""Pixels that may be rejected in one column."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Flux of one source in every column."""

    flux: NDArray[np.float64]
    """Flux, shape (n,)."""
    variance: NDArray[np.float64]
    """Its variance, background included, shape (n,)."""
    kept: NDArray[np.float64]
    """Share of the profile within the strip that good pixels cover, shape (n,)."""
    rejected: NDArray[np.bool_]
    """Pixels that were rejected here, shape (m, n)."""
    used: NDArray[np.bool_]
    """Pixels that were used, shape (m, n)."""
    model: NDArray[np.float64]
    """All sources in the strip, without background, shape (m, n)."""
    noise: NDArray[np.float64]
    """Variance of each pixel from the model, shape (m, n)."""


def extract_optimal(
    work: Working,
    strip: Strip,
    background: Background,
    profiles: Sequence[NDArray[np.float64]],
    usable: NDArray[np.bool_],
) -> Measured:
    """Measure the first of several overlapping sources with optimal weights.

    Parameters
    ----------
    work : Working
        The frame, for its noise model.
    strip : Strip
        Pixels around the first source, shape (m, n).
    background : Background
        Its background.
    profiles : sequence of ndarray
        Shares of light of each source, the one to measure first, each of shape (m, n).
    usable : ndarray of bool
        Pixels to use, shape (m, n).

    Returns
    -------
    Measured
        NaN where too little of the profile is left.
    """
    under = background.level + background.slope * strip.offset
    value = strip.data - under
    base = strip.sky + under
    own = profiles[0]
    use = usable.copy()
    rejected = np.zeros_like(use)
    noise = work.noise.at(base, strip.rows)
    total = np.zeros_like(value)
    for turn in range(MOST_REJECTED + 3):
        flux, variance = _solve(value, noise, use, profiles)
        total = _sum(flux, profiles)
        if turn < 2:
            expected = [steady(f, 1 / np.maximum(variance, 1e-30), goal=20.0) for f in flux]
            noise = work.noise.at(base + _sum(expected, profiles), strip.rows)
            continue
        worst = _worst(value - total, noise, use, flux[0], own)
        if not worst.any():
            break
        if turn < MOST_REJECTED + 2:
            use &= ~worst
            rejected |= worst
    flux, variance = _solve(value, noise, use, profiles)
    kept = (own * use).sum(axis=0) / np.maximum(own.sum(axis=0), 1e-12)
    weight = np.where(use, own / np.maximum(noise, 1e-30), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = weight.sum(axis=0) / (weight * own).sum(axis=0)
        total_variance = variance + np.nan_to_num(rows) ** 2 * background.variance
    return Measured(flux[0], total_variance, kept, rejected, use, total, noise)


def _sum(
    flux: Sequence[NDArray[np.float64]] | NDArray[np.float64],
    profiles: Sequence[NDArray[np.float64]],
) -> NDArray[np.float64]:
    total = flux[0] * profiles[0]
    for f, p in zip(flux[1:], profiles[1:], strict=True):
        total = total + f * p
    return np.asarray(total)


def steady(
    flux: NDArray[np.float64], power: NDArray[np.float64], *, goal: float
) -> NDArray[np.float64]:
    """Smooth a noisy flux along the dispersion; columns that stand out keep their own.

    Photon noise that is computed from a column's own noisy flux makes low fluxes look better
    measured than high ones.

    Parameters
    ----------
    flux, power : ndarray of float64
        Flux and the inverse of its variance, shape (n,).
    goal : float
        Significance that a smoothed column should have.

    Returns
    -------
    ndarray of float64
        Flux of zero or more, shape (n,).
    """
    error = np.sqrt(np.maximum(power, 0))
    typical = max(float(np.median(np.abs(flux * error))), 0.1)
    size = int(np.clip((goal / typical) ** 2, 1, max(flux.size // 8, 1)))
    if size <= 1:
        return np.maximum(flux, 0)
    # Smoothed twice, so that one bright line does not make a box.
    top, bottom = flux * power, power
    for _ in range(2):
        top = uniform_filter1d(top, size, mode="nearest")
        bottom = uniform_filter1d(bottom, size, mode="nearest")
    smooth = top / np.maximum(bottom, 1e-30)
    return np.maximum(np.where((flux - smooth) * error > 4, flux, smooth), 0)


def _solve(
    value: NDArray[np.float64],
    noise: NDArray[np.float64],
    use: NDArray[np.bool_],
    profiles: Sequence[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return fluxes of all sources, shape (k, n), and the variance of the first, shape (n,)."""
    weight = np.where(use, 1 / np.where(noise > 0, noise, np.inf), 0.0)
    k, n = len(profiles), value.shape[1]
    weighted = [weight * p for p in profiles]
    side = np.stack([(w * value).sum(axis=0) for w in weighted])
    if k == 1:
        power = (weighted[0] * profiles[0]).sum(axis=0)
        safe = np.where(power > 0, power, 1.0)
        single = np.where(power > 0, side[0] / safe, 0.0)
        return single[None], np.where(power > 0, 1 / safe, np.inf)
    normal = np.empty((n, k, k))
    for i in range(k):
        for j in range(i, k):
            normal[:, i, j] = normal[:, j, i] = (weighted[i] * profiles[j]).sum(axis=0)
    # A source without a good pixel must not make the others' equations singular.
    scale = np.einsum("nii->n", normal)
    ridge = 1e-9 * np.where(scale > 0, scale, 1.0)
    normal[:, np.arange(k), np.arange(k)] += ridge[:, None]
    inverse = np.linalg.inv(normal)
    flux = np.einsum("nij,jn->in", inverse, side)
    empty = normal[:, 0, 0] <= 2 * ridge
    return flux, np.where(empty, np.inf, inverse[:, 0, 0])


def _worst(
    residual: NDArray[np.float64],
    noise: NDArray[np.float64],
    use: NDArray[np.bool_],
    flux: NDArray[np.float64],
    own: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return the worst pixel of each column where it exceeds the limit, shape (m, n)."""
    slack = SHAPE_ERROR * np.abs(flux) * own.max(axis=0)
    deviation = np.where(use, residual**2 / np.maximum(noise + slack**2, 1e-30), 0.0)
    row = deviation.argmax(axis=0)
    out = np.zeros_like(use)
    columns = np.arange(use.shape[1])
    out[row, columns] = deviation[row, columns] > REJECT**2
    return out
