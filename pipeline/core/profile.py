"""The shape of a source along the slit: pixel-integrated Moffat and Gaussian, fitted jointly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import digamma, gammaln, ndtr

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
BETA_PRIOR = 0.25
"""Standard deviation of its natural logarithm from one exposure to the next."""
LOOSE = 3.0
"""Standard deviations beyond which a point is an outlier."""
MOST_STEPS = 20
"""Steps of a fit."""


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
    are searched, with a loss that lets outliers go. A faint source says little of its exponent,
    which then stays near that of long exposures.

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
    start = np.clip(start, lower, upper)
    if tolerance:
        job.loosen(start, tolerance)
    return job.result(job.descend(start, lower, upper))


class _Job:
    """The problem behind `fit_profiles`: areas and background are solved inside each step."""

    def __init__(
        self,
        profile: NDArray[np.float64],
        sigma: NDArray[np.float64],
        count: int,
        name: ShapeName,
        own_width: Sequence[bool],
    ) -> None:
        good = np.isfinite(profile) & np.isfinite(sigma) & (sigma > 0)
        self.pixels = np.arange(profile.size, dtype=float)
        self.profile = np.where(good, profile, 0.0)
        self.weight = np.where(good, 1 / np.where(good, sigma, 1.0), 0.0)
        self.count, self.name = count, name
        self.own = [i for i in range(count) if i == 0 or own_width[i]]
        ramp = (self.pixels - self.pixels.mean()) / max(self.pixels.size, 1)
        self.under = np.stack([np.ones_like(ramp), ramp], axis=1)

    @property
    def shaped(self) -> bool:
        """Whether the family has an exponent to search."""
        return self.name == "moffat"

    def pack(self, centres: Sequence[float], fwhms: Sequence[float]) -> NDArray[np.float64]:
        widths = [np.log(fwhms[i]) for i in self.own]
        return np.array([*centres, *widths, *([np.log(START_BETA)] if self.shaped else [])])

    def bounds(
        self, centres: Sequence[float], fwhms: Sequence[float]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        reach = np.array([max(1.0, fwhms[i]) for i in range(self.count)])
        widths = np.array([np.log(fwhms[i]) for i in self.own])
        beta = np.log(BETA_RANGE) if self.shaped else np.zeros((2, 0))
        lower = [np.asarray(centres) - reach, np.maximum(widths - 1.4, np.log(0.6)), beta[:1]]
        upper = [np.asarray(centres) + reach, widths + 1.4, beta[1:]]
        low, high = (
            np.concatenate([np.ravel(v) for v in lower]),
            np.concatenate([np.ravel(v) for v in upper]),
        )
        return low, np.maximum(high, low + 0.1)

    def shapes(self, x: NDArray[np.float64]) -> tuple[Shape, ...]:
        beta = float(np.exp(x[-1])) if self.shaped else START_BETA
        width = dict(
            zip(self.own, np.exp(x[self.count : self.count + len(self.own)]), strict=True)
        )
        return tuple(
            Shape(self.name, float(width.get(i, width[0])), beta) for i in range(self.count)
        )

    def model(self, x: NDArray[np.float64]) -> _Model:
        """Return the linear part solved at `x`, with the prior's pull on the exponent."""
        parts = [
            slopes_of(shape, self.pixels - centre)
            for shape, centre in zip(self.shapes(x), x[: self.count], strict=True)
        ]
        design = np.concatenate([np.stack([p[0] for p in parts], axis=1), self.under], axis=1)
        weight = self.weight
        for _ in range(2):
            weighted = design * weight[:, None]
            normal = weighted.T @ weighted
            normal[np.diag_indices_from(normal)] *= 1 + 1e-12
            inverse = np.asarray(np.linalg.pinv(normal, hermitian=True), float)
            areas = inverse @ (weighted.T @ (self.profile * weight))
            residual = (self.profile - design @ areas) * self.weight
            # Outliers count as with a loss that grows linearly beyond three sigma.
            weight = self.weight * (1 + (residual / LOOSE) ** 2) ** -0.25
        pull = (x[-1] - np.log(START_BETA)) / BETA_PRIOR if self.shaped else 0.0
        cost = 2 * LOOSE**2 * float((np.sqrt(1 + (residual / LOOSE) ** 2) - 1).sum()) + pull**2
        return _Model(parts, design, areas, inverse, residual, weight, cost)

    def descend(
        self, x: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Search centres, widths and exponent (Levenberg 1944, Marquardt 1963)."""
        model, damping = self.model(x), 1e-3
        for _ in range(MOST_STEPS):
            slopes = self.slopes(model)
            whole = np.concatenate([slopes, model.design], axis=1) * model.weight[:, None]
            normal = whole.T @ whole
            residual = (self.profile - model.design @ model.areas) * model.weight
            side = whole.T @ residual
            if self.shaped:
                k = x.size - 1
                normal[k, k] += BETA_PRIOR**-2
                side[k] -= (x[-1] - np.log(START_BETA)) / BETA_PRIOR**2
            diagonal = np.diag(normal).copy()
            moved = False
            for _ in range(6):
                damped = normal + np.diag(damping * diagonal + 1e-12 * max(diagonal.max(), 1e-30))
                step = np.linalg.solve(damped, side)[: x.size]
                step[self.count :] = np.clip(step[self.count :], -0.5, 0.5)
                trial = np.clip(x + step, lower, upper)
                fresh = self.model(trial)
                if fresh.cost <= model.cost:
                    moved = True
                    break
                damping = max(damping, 1e-3) * 10
            if not moved:
                break
            gain, change = model.cost - fresh.cost, np.abs(trial - x).max()
            x, model, damping = trial, fresh, damping / 10
            if gain < 1e-3 or change < 1e-4:
                break
        return x

    def slopes(self, model: _Model) -> NDArray[np.float64]:
        """Return the change of the model with centres, widths and exponent."""
        out = np.zeros((self.pixels.size, self.count + len(self.own) + int(self.shaped)))
        for i, (part, area) in enumerate(zip(model.parts, model.areas, strict=False)):
            out[:, i] = area * part[1]
            width = self.own.index(i) if i in self.own else 0
            out[:, self.count + width] += area * part[2]
            if self.shaped:
                out[:, -1] += area * part[3]
        return out

    def loosen(self, x: NDArray[np.float64], tolerance: float) -> None:
        model = self.model(x)
        error = tolerance * np.abs(model.design[:, 0] * model.areas[0])
        inside = self.weight > 0
        variance = 1 / self.weight[inside] ** 2 + error[inside] ** 2
        self.weight[inside] = 1 / np.sqrt(variance)

    def result(self, x: NDArray[np.float64]) -> ProfileFit:
        model = self.model(x)
        return ProfileFit(
            centre=x[: self.count].copy(),
            flux=model.areas[: self.count],
            flux_sigma=np.sqrt(np.clip(np.diag(model.inverse)[: self.count], 0, None)),
            shapes=self.shapes(x),
            model=model.design @ model.areas,
            background=model.design[:, self.count :] @ model.areas[self.count :],
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """The state of a fit at one place."""

    parts: list[tuple[NDArray[np.float64], ...]]
    design: NDArray[np.float64]
    areas: NDArray[np.float64]
    inverse: NDArray[np.float64]
    residual: NDArray[np.float64]
    weight: NDArray[np.float64]
    cost: float


def slopes_of(shape: Shape, offset: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return a shape's share and its change with centre, log width and log exponent.

    Parameters
    ----------
    shape : Shape
        The shape.
    offset : ndarray of float64
        Pixels from its centre, shape (n,).

    Returns
    -------
    tuple of ndarray
        Four arrays of shape (n,).
    """
    if shape.name == "gaussian":
        sigma = shape.fwhm / FWHM_PER_SIGMA
        high, low = (offset + 0.5) / sigma, (offset - 0.5) / sigma
        top, bottom = (np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) for z in (high, low))
        share = ndtr(high) - ndtr(low)
        return share, (bottom - top) / sigma, low * bottom - high * top, np.zeros_like(share)
    beta = shape.beta
    power = 2 ** (1 / beta)
    a = shape.fwhm / (2 * np.sqrt(power - 1))
    stretch = 0.5 * np.log(2) * power / (beta**2 * (power - 1))
    norm = np.exp(gammaln(beta) - gammaln(beta - 0.5)) / np.sqrt(np.pi) / a
    t = (offset + _NODES[:, None] / 2) / a
    bend = np.log1p(t**2)
    value = norm * np.exp(-beta * bend) * (_WEIGHTS[:, None] / 2)
    pull = 2 * beta / (1 + t**2)
    wider = value * (pull * t**2 - 1)
    own = value * (float(digamma(beta) - digamma(beta - 0.5)) - bend) + stretch * wider
    return (
        value.sum(axis=0),
        (value * pull * t).sum(axis=0) / a,
        wider.sum(axis=0),
        beta * own.sum(axis=0),
    )
