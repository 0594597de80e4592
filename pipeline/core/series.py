"""Robust polynomials whose order the points themselves choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np
from numpy.polynomial import legendre

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = 4.0
"""Points further off than this many times the scatter are left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A Legendre series on -1 to 1, fitted to points."""

    coefficients: NDArray[np.float64]
    """Legendre coefficients, lowest order first."""
    keep: NDArray[np.bool_]
    """Points that the fit used, shape (n,)."""
    loo: float
    """Leave-one-out error in units of the points' standard deviation."""

    def __call__(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the series at `u`."""
        return np.asarray(legendre.legval(u, self.coefficients))


def fit_series(
    u: NDArray[np.float64],
    value: NDArray[np.float64],
    sigma: NDArray[np.float64],
    *,
    most: int,
    lowest: int = 0,
) -> Series:
    """Fit a series robustly; the order is the least that predicts points it was not fitted to.

    Parameters
    ----------
    u : ndarray of float64
        Places, scaled to -1 to 1, shape (n,).
    value, sigma : ndarray of float64
        Points and their standard deviations, shape (n,).
    most, lowest : int
        Largest and smallest order to try.

    Returns
    -------
    Series
        Of the smallest order whose leave-one-out error is as good as the best one's.
    """
    keep = np.isfinite(value) & np.isfinite(sigma) & (sigma > 0)
    # A first look with the median of differences keeps a high order from chasing outliers.
    fits = [_fit(u, value, sigma, keep, k) for k in _orders(keep.sum(), lowest, most)]
    best = _choose(fits, int(keep.sum()))
    for _ in range(6):
        off = np.abs(value - best(u)) / sigma
        scatter = max(1.0, 1.4826 * float(bn.median(off[best.keep])))
        fresh = np.isfinite(off) & (off < CLIP * scatter)
        if fresh.sum() < max(lowest + 2, 0.4 * keep.sum()) or np.array_equal(fresh, best.keep):
            break
        fits = [_fit(u, value, sigma, fresh, k) for k in _orders(fresh.sum(), lowest, most)]
        best = _choose(fits, int(fresh.sum()))
    return best


def _orders(count: int, lowest: int, most: int) -> range:
    return range(lowest, max(min(most, (count - 1) // 3), lowest) + 1)


def _choose(fits: list[Series], count: int) -> Series:
    limit = min(fit.loo for fit in fits) * (1 + 0.3 / np.sqrt(max(count, 1)))
    return next(fit for fit in fits if fit.loo <= limit)


def _fit(
    u: NDArray[np.float64],
    value: NDArray[np.float64],
    sigma: NDArray[np.float64],
    keep: NDArray[np.bool_],
    order: int,
) -> Series:
    """Fit one order by weights that fall with the residual, then its leave-one-out error."""
    design = legendre.legvander(u[keep], order) / sigma[keep, None]
    target = value[keep] / sigma[keep]
    weight = np.ones(target.size)
    solution: NDArray[np.float64] = np.zeros(order + 1)
    ridge = 1e-12 * float((design**2).sum()) * np.eye(order + 1)
    for _ in range(5):
        weighted = design.T * weight
        normal = weighted @ design + ridge
        solution = np.asarray(np.linalg.solve(normal, weighted @ target), float)
        off = np.abs(target - design @ solution)
        scatter = max(1.4826 * float(bn.median(off)) if off.size else 1.0, 1e-9)
        weight = 1 / (1 + (off / (3 * scatter)) ** 2)
    q, _ = np.linalg.qr(design * np.sqrt(weight)[:, None])
    hat = np.clip((q**2).sum(axis=1), 0, 0.98)
    residual = np.sqrt(weight) * (target - design @ solution) / (1 - hat)
    loo = float(np.sqrt(np.mean(residual**2))) if target.size else np.inf
    return Series(solution, keep, loo if target.size > order + 1 or order == 0 else np.inf)
