"""The shape of a source along the slit: pixel-integrated Moffat and Gaussian, fitted jointly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.optimize import least_squares
from scipy.special import gammaln, ndtr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

ShapeName = Literal["moffat", "gaussian"]

FWHM_PER_SIGMA = 2.3548200450309493
"""Full width at half maximum of a Gaussian over its standard deviation."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
BETA_RANGE = (1.6, 9.0)
"""Moffat exponents that a fit may reach; beyond 9 a Moffat is a Gaussian in practice."""
START_BETA = 3.0
"""Moffat exponent of long exposures, where a fit begins."""


def gaussian(offset: ArrayLike, fwhm: ArrayLike) -> NDArray[np.float64]:
    """Return the share of a Gaussian of unit area in pixels centred at `offset` (pixels)."""
    x = np.asarray(offset, dtype=float)
    sigma = np.asarray(fwhm, dtype=float) / FWHM_PER_SIGMA
    share: NDArray[np.float64] = ndtr((x + 0.5) / sigma) - ndtr((x - 0.5) / sigma)
    return share


def moffat(offset: ArrayLike, fwhm: ArrayLike, beta: float) -> NDArray[np.float64]:
    """Return the share of a one-dimensional Moffat of unit area in pixels at `offset`.

    The profile is (1 + (x/a)^2)^-beta, integrated over each pixel by Gauss-Legendre quadrature.
    """
    x = np.asarray(offset, dtype=float)
    a = np.asarray(fwhm, dtype=float) / (2 * np.sqrt(2 ** (1 / beta) - 1))
    norm = np.exp(gammaln(beta) - gammaln(beta - 0.5)) / np.sqrt(np.pi) / a
    total = np.zeros(np.broadcast_shapes(x.shape, a.shape))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        total += weight / 2 * np.exp(-beta * np.log1p(((x + node / 2) / a) ** 2))
    return total * norm


@dataclass(frozen=True, slots=True)
class Shape:
    """A source's shape along the slit."""

    name: ShapeName
    """Family."""
    fwhm: float
    """Full width at half maximum before pixel integration, pixels."""
    beta: float = START_BETA
    """Moffat exponent; unused by the Gaussian."""

    def __call__(self, offset: ArrayLike, fwhm: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the share of light in pixels centred at `offset` from the source.

        `fwhm`, broadcast against `offset`, replaces the shape's own where it varies.
        """
        width = self.fwhm if fwhm is None else fwhm
        if self.name == "gaussian":
            return gaussian(offset, width)
        return moffat(offset, width, self.beta)


@dataclass(frozen=True, slots=True, eq=False)
class ProfileFit:
    """Several sources fitted together to one profile."""

    centre: NDArray[np.float64]
    """Centres in pixels, shape (k,)."""
    flux: NDArray[np.float64]
    """Areas, shape (k,)."""
    flux_sigma: NDArray[np.float64]
    """Standard deviations of the areas, shape (k,)."""
    shapes: tuple[Shape, ...]
    """Shape of each source."""
    model: NDArray[np.float64]
    """The fitted profile with its background, shape (n,)."""
    background: NDArray[np.float64]
    """The background alone, shape (n,)."""


def fit_profiles(
    profile: NDArray[np.float64],
    sigma: NDArray[np.float64],
    centres: Sequence[float],
    fwhms: Sequence[float],
    *,
    name: ShapeName,
    own_width: Sequence[bool] | None = None,
    tolerance: float = 0.0,
) -> ProfileFit:
    """Fit sources and a straight background to one profile, all together.

    Areas and background are linear and solved inside; centres, widths and one Moffat exponent
    are searched (variable projection), with a loss that lets outliers go.

    Parameters
    ----------
    profile, sigma : ndarray of float64
        Profile and its standard deviation, shape (n,); points of infinite sigma are left out.
    centres, fwhms : sequence of float
        Where to begin, pixels; the first source is the brightest.
    name : {"moffat", "gaussian"}
        Family of shapes.
    own_width : sequence of bool, optional
        Which sources have a width of their own; the others share the first one's. By default
        the first alone.
    tolerance : float
        Error of the shape itself as a share of the first source's peak model.

    Returns
    -------
    ProfileFit
        With areas in the unit of `profile` times pixels.
    """
    job = _Job(profile, sigma, len(centres), name, own_width or [True] + [False] * len(centres))
    start = job.pack(centres, fwhms)
    lower, upper = job.bounds(centres, fwhms)
    if tolerance:
        job.loosen(start, tolerance)
    found = least_squares(
        job.residuals,
        np.clip(start, lower + 1e-9, upper - 1e-9),
        bounds=(lower, upper),
        loss="soft_l1",
        f_scale=3.0,
        max_nfev=60,
        x_scale=job.scales(fwhms),
    )
    return job.result(found.x)


class _Job:
    """The variable-projection problem behind `fit_profiles`."""

    def __init__(
        self,
        profile: NDArray[np.float64],
        sigma: NDArray[np.float64],
        count: int,
        name: ShapeName,
        own_width: Sequence[bool],
    ) -> None:
        self.good = np.isfinite(profile) & np.isfinite(sigma) & (sigma > 0)
        self.pixels = np.arange(profile.size, dtype=float)
        self.profile = np.where(self.good, profile, 0.0)
        self.weight = np.where(self.good, 1 / np.where(self.good, sigma, 1.0), 0.0)
        self.count, self.name = count, name
        self.own = [i for i in range(count) if i == 0 or own_width[i]]
        self.ramp = (self.pixels - self.pixels.mean()) / max(self.pixels.size, 1)

    def pack(self, centres: Sequence[float], fwhms: Sequence[float]) -> NDArray[np.float64]:
        widths = [np.log(fwhms[i]) for i in self.own]
        beta = [np.log(START_BETA)] if self.name == "moffat" else []
        return np.array([*centres, *widths, *beta])

    def bounds(
        self, centres: Sequence[float], fwhms: Sequence[float]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        reach = np.array([max(1.0, fwhms[i]) for i in range(self.count)])
        widths = np.array([np.log(fwhms[i]) for i in self.own])
        lower = [*(np.asarray(centres) - reach), *np.maximum(widths - 1.4, np.log(0.6))]
        upper = [*(np.asarray(centres) + reach), *(widths + 1.4)]
        if self.name == "moffat":
            lower.append(np.log(BETA_RANGE[0]))
            upper.append(np.log(BETA_RANGE[1]))
        return np.array(lower), np.maximum(np.array(upper), np.array(lower) + 0.1)

    def scales(self, fwhms: Sequence[float]) -> NDArray[np.float64]:
        beta = [0.3] if self.name == "moffat" else []
        return np.array([*(0.1 * np.asarray(fwhms)), *[0.1] * len(self.own), *beta])

    def shapes(self, x: NDArray[np.float64]) -> tuple[Shape, ...]:
        beta = float(np.exp(x[-1])) if self.name == "moffat" else START_BETA
        width = dict(
            zip(self.own, np.exp(x[self.count : self.count + len(self.own)]), strict=True)
        )
        return tuple(
            Shape(self.name, float(width.get(i, width[0])), beta) for i in range(self.count)
        )

    def design(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = [
            shape(self.pixels - centre)
            for shape, centre in zip(self.shapes(x), x[: self.count], strict=True)
        ]
        return np.stack([*columns, np.ones_like(self.pixels), self.ramp], axis=1)

    def solve(
        self, x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        design = self.design(x)
        weighted = design * self.weight[:, None]
        normal = weighted.T @ weighted
        normal[np.diag_indices_from(normal)] *= 1 + 1e-12
        inverse = np.asarray(np.linalg.pinv(normal, hermitian=True), float)
        return design, inverse @ (weighted.T @ (self.profile * self.weight)), inverse

    def residuals(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        design, areas, _ = self.solve(x)
        residual: NDArray[np.float64] = (self.profile - design @ areas) * self.weight
        return residual

    def loosen(self, x: NDArray[np.float64], tolerance: float) -> None:
        design, areas, _ = self.solve(x)
        error = tolerance * np.abs(design[:, 0] * areas[0])
        inside = self.weight > 0
        variance = 1 / self.weight[inside] ** 2 + error[inside] ** 2
        self.weight[inside] = 1 / np.sqrt(variance)

    def result(self, x: NDArray[np.float64]) -> ProfileFit:
        design, areas, inverse = self.solve(x)
        return ProfileFit(
            centre=x[: self.count].copy(),
            flux=areas[: self.count],
            flux_sigma=np.sqrt(np.clip(np.diag(inverse)[: self.count], 0, None)),
            shapes=self.shapes(x),
            model=design @ areas,
            background=design[:, self.count :] @ areas[self.count :],
        )
