"""Fluxes of stars weighted by their profile: neighbours are fitted together.

The profile of a frame is one round Moffat function, fitted to its bright stars; what it lacks (a
little elongation, wings) is common to all stars and is taken out against their aperture fluxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.optimize import least_squares
from scipy.sparse.linalg import spsolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

REACH = 2.5
"""Radius of the pixels that are fitted, in FWHM."""
_FINE = 3
"""Points across a pixel over which the profile is averaged."""
_LARGEST_GROUP = 400
"""Stars that are solved with all their correlations; denser groups state the error without."""


@dataclass(frozen=True, slots=True)
class MoffatStar:
    """A round profile of volume one (Moffat 1969, A&A 3, 455)."""

    alpha: float
    """Scale, binned pixels."""
    beta: float
    """Exponent of the wings."""

    @property
    def fwhm(self) -> float:
        """Width at half height, binned pixels."""
        return float(2 * self.alpha * np.sqrt(2 ** (1 / self.beta) - 1))

    def at(self, dx: NDArray[np.float64], dy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of the light in pixels whose centres are displaced by (dx, dy)."""
        steps = (np.arange(_FINE) - (_FINE - 1) / 2) / _FINE
        total = np.zeros(np.broadcast(dx, dy).shape)
        for step_x in steps:
            for step_y in steps:
                square = (dx + step_x) ** 2 + (dy + step_y) ** 2
                total += (1 + square / self.alpha**2) ** -self.beta
        return total * (self.beta - 1) / (np.pi * self.alpha**2) / _FINE**2


def fit_profile(
    level: NDArray[np.float32],
    masked: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    width: float,
) -> MoffatStar | None:
    """Fit the profile to bright, lonely stars.

    Parameters
    ----------
    level : ndarray, shape (ny, nx)
        The image less its background.
    masked : ndarray of bool, shape (ny, nx)
        Pixels that are not used.
    x, y : ndarray, shape (n,)
        Their centroids, 0-based binned pixels.
    width : float
        First guess of the FWHM, binned pixels.

    Returns
    -------
    MoffatStar or None
        None if they do not tell it.
    """
    distance, share = [], []
    for column, row in zip(x, y, strict=True):
        dx, dy, value, good = _stamp(level, masked, column, row, REACH * width)
        total = value[good].sum()
        if good.sum() < 20 or total <= 0:
            continue
        distance.append(np.hypot(dx, dy)[good])
        share.append(value[good] / total)
    if not distance:
        return None
    radius, seen = np.concatenate(distance), np.concatenate(share)

    def residual(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        fwhm, beta, scale = parameters
        star = _of_width(fwhm, beta)
        return np.asarray(scale * star.at(radius, np.zeros_like(radius)) - seen)

    found = least_squares(
        residual,
        (width, 3.0, 1.0),
        bounds=((0.8, 1.6, 0.3), (10 * width, 12.0, 3.0)),
        loss="soft_l1",
        f_scale=0.2 * float(np.percentile(seen, 99)),
    )
    return _of_width(float(found.x[0]), float(found.x[1])) if found.success else None


def psf_counts(
    level: NDArray[np.float32],
    sigma: NDArray[np.float64],
    masked: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    profile: MoffatStar,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the counts of stars and their errors, all fitted together.

    Every pixel weighs by the noise of the background alone: weights that follow the light of a
    star would bias its flux.

    Parameters
    ----------
    level : ndarray, shape (ny, nx)
        The image less its background.
    sigma : ndarray, shape (ny, nx)
        One standard deviation of each pixel, the star's light included.
    masked : ndarray of bool, shape (ny, nx)
        Pixels that are not used.
    x, y : ndarray, shape (n,)
        Centroids, 0-based binned pixels.
    profile : MoffatStar
        From `fit_profile`.

    Returns
    -------
    counts, errors : ndarray, shape (n,)
        In units of `level`; NaN for a star without good pixels.
    """
    count, width = len(x), level.shape[1]
    stars, pixels, shares = [], [], []
    for number, (column, row) in enumerate(zip(x, y, strict=True)):
        dx, dy, _, good = _stamp(level, masked, column, row, REACH * profile.fwhm)
        at = np.rint(row + dy[good]).astype(int) * width + np.rint(column + dx[good]).astype(int)
        stars.append(np.full(at.size, number))
        pixels.append(at)
        shares.append(profile.at(dx[good], dy[good]))
    if not count:
        return np.zeros(0), np.zeros(0)
    which, inverse = np.unique(np.concatenate(pixels), return_inverse=True)
    entries = (np.concatenate(shares), (inverse, np.concatenate(stars)))
    model = sparse.csr_array(entries, shape=(len(which), count))
    value = level.ravel()[which].astype(float)
    variance = sigma.ravel()[which].astype(float) ** 2
    normal = (model.T @ model).tocsr()
    right = model.T @ value
    noise = (model.T @ sparse.diags_array(variance) @ model).tocsr()
    return _solve(normal, right, noise)


def _solve(
    normal: sparse.csr_array, right: NDArray[np.float64], noise: sparse.csr_array
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve the normal equations group by group of stars that share pixels."""
    counts = np.full(len(right), np.nan)
    errors = np.full(len(right), np.nan)
    number, label = sparse.csgraph.connected_components(normal, directed=False)
    order = np.argsort(label, kind="stable")
    seen = normal.diagonal() > 0
    for group in np.split(order, np.searchsorted(label[order], np.arange(1, number))):
        members = group[seen[group]]
        if not len(members):
            continue
        power, spread = normal[members][:, members], noise[members][:, members]
        # Two detections of one star would make it singular: a whisper of damping shares its light.
        power = power + sparse.diags_array(1e-6 * power.diagonal())
        if len(members) <= _LARGEST_GROUP:
            inverse = np.linalg.inv(power.toarray())
            counts[members] = inverse @ right[members]
            errors[members] = np.sqrt(np.diag(inverse @ spread.toarray() @ inverse))
        else:
            counts[members] = spsolve(power.tocsc(), right[members])
            errors[members] = np.sqrt(spread.diagonal()) / power.diagonal()
    return counts, errors


def _stamp(
    level: NDArray[np.float32], masked: NDArray[np.bool_], x: float, y: float, reach: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return displacements, values and goodness of the pixels about a place."""
    ny, nx = level.shape
    first_x, last_x = max(0, int(np.ceil(x - reach))), min(nx - 1, int(np.floor(x + reach)))
    first_y, last_y = max(0, int(np.ceil(y - reach))), min(ny - 1, int(np.floor(y + reach)))
    rows, columns = np.mgrid[first_y : last_y + 1, first_x : last_x + 1]
    dx, dy = columns - x, rows - y
    cut = slice(first_y, last_y + 1), slice(first_x, last_x + 1)
    good = ~masked[cut] & (np.hypot(dx, dy) <= reach)
    return dx, dy, np.asarray(level[cut], dtype=float), good


def _of_width(fwhm: float, beta: float) -> MoffatStar:
    return MoffatStar(fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1)), beta)
