"""The image of a spectral line: a slit of some width, blurred, integrated over each pixel.

Fits of many lines run side by side as one batch of small least-squares problems.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROOT_2PI = np.sqrt(2 * np.pi)
_SMALLEST_SIGMA, _SMALLEST_BOX = 0.22, 0.05


def _ramp(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the integral of the normal distribution function."""
    result: NDArray[np.float64] = z * ndtr(z) + np.exp(-0.5 * z * z) / _ROOT_2PI
    return result


def line_image(
    offset: NDArray[np.float64], sigma: NDArray[np.float64], box: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of a line's light in pixels centred `offset` from it.

    Parameters
    ----------
    offset : ndarray of float64
        Pixel centre minus line centre, pixels.
    sigma, box : ndarray of float64
        Gaussian blur and full width of the slit's image, pixels; broadcast against `offset`.

    Returns
    -------
    ndarray of float64
        A box convolved with a Gaussian, integrated over the pixel; sums to one over all pixels.
    """
    outer, inner = (box + 1) / 2, (box - 1) / 2
    total = _ramp((offset + outer) / sigma) - _ramp((offset + inner) / sigma)
    total -= _ramp((offset - inner) / sigma) - _ramp((offset - outer) / sigma)
    return total * sigma / box


def _image_and_changes(
    offset: NDArray[np.float64], sigma: NDArray[np.float64], box: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], ...]]:
    """Return `line_image` and its derivatives by centre, sigma and box."""
    outer, inner = (box + 1) / 2, (box - 1) / 2
    z = np.stack([offset + outer, offset + inner, offset - inner, offset - outer]) / sigma
    up = ndtr(z)
    bell = np.exp(-0.5 * z * z) / _ROOT_2PI
    ramp = z * up + bell
    image = (ramp[0] - ramp[1] - ramp[2] + ramp[3]) * sigma / box
    by_centre = -(up[0] - up[1] - up[2] + up[3]) / box
    by_sigma = (bell[0] - bell[1] - bell[2] + bell[3]) / box
    by_box = ((up[0] - up[1] + up[2] - up[3]) / 2 - image) / box
    return image, (by_centre, by_sigma, by_box)


def full_width(sigma: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the FWHM in pixels of a box of width `box` blurred by `sigma`."""
    half = np.maximum(box / 2, 1.1774 * sigma)
    top = np.maximum(2 * ndtr(box / 2 / sigma) - 1, 1e-12)
    for _ in range(12):
        up, down = (half + box / 2) / sigma, (half - box / 2) / sigma
        value = (ndtr(up) - ndtr(down)) / top
        slope = (np.exp(-0.5 * up**2) - np.exp(-0.5 * down**2)) / (_ROOT_2PI * sigma) / top
        step = np.where(slope < -1e-9, (value - 0.5) / np.minimum(slope, -1e-9), 0.0)
        half = np.clip(half - np.clip(step, -0.5 * half, 0.5 * half), 0.05, None)
    result: NDArray[np.float64] = 2 * half
    return result


@dataclass(frozen=True, slots=True, eq=False)
class LineFits:
    """Fitted lines, each in a row of every array of shape (n,)."""

    centre: NDArray[np.float64]
    """Pixel index (0-based) of the centre."""
    centre_sigma: NDArray[np.float64]
    """One standard deviation of the centre from the noise, pixels."""
    total: NDArray[np.float64]
    """Light in the line, in the unit of the data times pixels."""
    sigma: NDArray[np.float64]
    """Gaussian blur, pixels."""
    box: NDArray[np.float64]
    """Width of the slit's image, pixels."""
    chi2: NDArray[np.float64]
    """Reduced chi-square."""

    @property
    def fwhm(self) -> NDArray[np.float64]:
        """Full width at half maximum, pixels."""
        return full_width(self.sigma, self.box)

    def take(self, chosen: NDArray[np.bool_]) -> LineFits:
        """Return the chosen lines."""
        return LineFits(*(getattr(self, item.name)[chosen] for item in fields(self)))

    def put(self, chosen: NDArray[np.bool_], new: LineFits) -> LineFits:
        """Return a copy with the chosen lines replaced by `new`."""
        merged = []
        for item in fields(self):
            values = getattr(self, item.name).copy()
            values[chosen] = getattr(new, item.name)
            merged.append(values)
        return LineFits(*merged)


def fit_lines(
    samples: NDArray[np.float64],
    noise: NDArray[np.float64],
    first: NDArray[np.float64],
    start: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    *,
    free_shape: bool,
    iterations: int = 12,
    photon: NDArray[np.float64] | None = None,
) -> LineFits:
    """Fit one line on a sloping background in each row of `samples`.

    Parameters
    ----------
    samples, noise : ndarray of float64
        Data and their standard deviation, shape (n, m); infinite noise excludes a sample.
    first : ndarray of float64
        Pixel index of the first sample of each row, shape (n,).
    start : tuple of ndarray
        Centre (pixel index), sigma and box to begin with, each of shape (n,).
    free_shape : bool
        Fit sigma and box too; otherwise they stay as given.
    iterations : int
        Levenberg-Marquardt steps at most.
    photon : ndarray of float64, optional
        The part of `noise` that is random from pixel to pixel, shape (n, m). The error of the
        centre follows from it, while `noise` sets the weights; by default they are the same.
    """
    batch = _Batch.of(samples, noise)
    shape = np.stack([start[0] - first, start[1], start[2]], axis=1)
    begin = shape[:, 0].copy()
    count = 3 if free_shape else 1
    damping = np.full(len(samples), 1e-3)
    linear, cost = batch.linear_part(shape)
    for _ in range(iterations):
        step = batch.step(shape, linear, damping, count)
        trial = shape.copy()
        trial[:, :count] += step
        trial = _bounded(trial, begin, samples.shape[1])
        new_linear, new_cost = batch.linear_part(trial)
        better = new_cost <= cost
        shape = np.where(better[:, None], trial, shape)
        linear = np.where(better[:, None], new_linear, linear)
        cost = np.where(better, new_cost, cost)
        damping = np.where(better, damping / 6, damping * 8)
        if np.all((better & (np.abs(step[:, 0]) < 5e-4)) | (damping > 1e6)):
            break
    variance, freedom = batch.centre_variance(shape, linear, count, photon)
    return LineFits(
        centre=shape[:, 0] + first,
        centre_sigma=np.sqrt(np.clip(variance, 0, None)),
        total=linear[:, 0],
        sigma=shape[:, 1],
        box=shape[:, 2],
        chi2=cost / freedom,
    )


def _bounded(
    shape: NDArray[np.float64], begin: NDArray[np.float64], samples: int
) -> NDArray[np.float64]:
    reach = np.maximum(0.6 * (shape[:, 1] * 2 + shape[:, 2]), 1.0)
    shape[:, 0] = np.clip(shape[:, 0], begin - reach, begin + reach)
    shape[:, 1] = np.clip(shape[:, 1], _SMALLEST_SIGMA, samples)
    shape[:, 2] = np.clip(shape[:, 2], _SMALLEST_BOX, samples)
    return shape


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Windows of data, one line in each."""

    data: NDArray[np.float64]
    weight: NDArray[np.float64]
    offsets: NDArray[np.float64]
    ramp: NDArray[np.float64]

    @classmethod
    def of(cls, samples: NDArray[np.float64], noise: NDArray[np.float64]) -> _Batch:
        offsets = np.arange(samples.shape[1], dtype=float)
        weight = np.where(np.isfinite(noise), 1 / np.maximum(noise, 1e-9), 0.0)
        ramp = (offsets - offsets.mean()) / max(len(offsets), 1)
        return cls(np.where(weight > 0, samples, 0.0), weight, offsets, ramp)

    def image(self, shape: NDArray[np.float64]) -> NDArray[np.float64]:
        return line_image(self.offsets - shape[:, :1], shape[:, 1:2], shape[:, 2:3])

    def linear_part(
        self, shape: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the best amount, background and slope for each shape, and chi-square."""
        basis = self._basis(self.image(shape), [])
        normal = basis.transpose(0, 2, 1) @ basis
        normal += np.eye(3) * (1e-10 * np.einsum("nii->n", normal) + 1e-30)[:, None, None]
        data = self.data * self.weight
        pull = (basis.transpose(0, 2, 1) @ data[:, :, None])[:, :, 0]
        solved = np.linalg.solve(normal, pull[:, :, None])[:, :, 0]
        linear: NDArray[np.float64] = np.asarray(solved, dtype=float)
        residual: NDArray[np.float64] = data - (basis @ linear[:, :, None])[:, :, 0]
        return linear, (residual**2).sum(axis=1)

    def _basis(
        self, image: NDArray[np.float64], before: list[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        ones, ramp = np.ones_like(image), np.broadcast_to(self.ramp, image.shape)
        return np.stack([*before, image, ones, ramp], axis=2) * self.weight[:, :, None]

    def _jacobian(
        self, shape: NDArray[np.float64], linear: NDArray[np.float64], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the weighted derivatives, and the image of each line."""
        image, changes = _image_and_changes(
            self.offsets - shape[:, :1], shape[:, 1:2], shape[:, 2:3]
        )
        amount = linear[:, :1]
        return self._basis(image, [change * amount for change in changes[:count]]), image

    def step(
        self,
        shape: NDArray[np.float64],
        linear: NDArray[np.float64],
        damping: NDArray[np.float64],
        count: int,
    ) -> NDArray[np.float64]:
        jacobian, image = self._jacobian(shape, linear, count)
        model = linear[:, :1] * image + linear[:, 1:2] + linear[:, 2:3] * self.ramp
        residual = (self.data - model) * self.weight
        normal = jacobian.transpose(0, 2, 1) @ jacobian
        pull = (jacobian.transpose(0, 2, 1) @ residual[:, :, None])[:, :, 0]
        scale = np.einsum("nii->ni", normal) * damping[:, None] + 1e-12
        normal = normal + np.eye(scale.shape[1]) * scale[:, None, :]
        result: NDArray[np.float64] = np.linalg.solve(normal, pull[:, :, None])[:, :count, 0]
        return result

    def centre_variance(
        self,
        shape: NDArray[np.float64],
        linear: NDArray[np.float64],
        count: int,
        photon: NDArray[np.float64] | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        jacobian, _ = self._jacobian(shape, linear, count)
        normal = jacobian.transpose(0, 2, 1) @ jacobian
        scale = 1e-9 * np.einsum("nii->ni", normal) + 1e-12
        normal = normal + np.eye(normal.shape[1]) * scale[:, None, :]
        freedom = np.maximum((self.weight > 0).sum(axis=1) - normal.shape[1], 1)
        inverse: NDArray[np.float64] = np.linalg.inv(normal)
        if photon is None:
            return inverse[:, 0, 0], freedom
        # how much each sample moves the centre, times the random error of that sample
        lever = np.einsum("nj,nmj->nm", inverse[:, 0], jacobian) * self.weight
        random = np.where(self.weight > 0, photon, 0.0)
        return np.sum((lever * random) ** 2, axis=1), freedom
