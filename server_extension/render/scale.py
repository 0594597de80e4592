"""From pixel values to brightness: limits, stretch, and fewer pixels for a smaller picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy.visualization import ZScaleInterval

if TYPE_CHECKING:
    from numpy.typing import NDArray

Method = Literal["zscale", "percentile", "minmax", "manual"]
Stretch = Literal["linear", "log", "asinh"]

SAMPLE = 100_000
"""Pixels that limits are computed from."""
LOG_RANGE = 1000.0
"""The log stretch shows this range of values above the lower limit."""
ASINH_KNEE = 0.1
"""Part of the range below which the asinh stretch is nearly linear."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The values shown darkest and brightest."""

    low: float
    high: float
    method: Method


def find_limits(
    values: NDArray[np.float32],
    method: Method,
    *,
    percentile: float = 99.5,
    low: float | None = None,
    high: float | None = None,
) -> Limits:
    """Return the limits to show `values` between.

    Parameters
    ----------
    values : ndarray
        Pixels, of any shape; what is not finite is left out.
    method : {'zscale', 'percentile', 'minmax', 'manual'}
        How to find what `low` and `high` do not give.
    percentile : float, optional
        Percent of the pixels between the limits, for ``percentile``.
    low, high : float, optional
        Limits given by hand; each wins over the method.
    """
    found_low, found_high = _found(_sample(values, whole=method == "minmax"), method, percentile)
    lowest = found_low if low is None else low
    highest = found_high if high is None else high
    if not highest > lowest:
        # A flat image, or limits that cross: show something instead of dividing by nothing.
        highest = lowest + max(abs(lowest) * 1e-6, 1.0)
    return Limits(float(lowest), float(highest), method)


def _sample(values: NDArray[np.float32], *, whole: bool) -> NDArray[np.float32]:
    flat = values.reshape(-1)
    if not whole:
        # An odd step does not fall onto the same column of every row.
        flat = flat[:: max(1, flat.size // SAMPLE) | 1]
    return flat[np.isfinite(flat)]


def _found(sample: NDArray[np.float32], method: Method, percentile: float) -> tuple[float, float]:
    if sample.size == 0:
        return 0.0, 1.0
    if method == "percentile":
        tail = (100.0 - percentile) / 2
        low, high = np.percentile(sample, [tail, 100.0 - tail])
        return float(low), float(high)
    if method == "minmax":
        return float(sample.min()), float(sample.max())
    low, high = ZScaleInterval(n_samples=10_000).get_limits(sample)
    return float(low), float(high)


def apply_stretch(
    values: NDArray[np.float32], limits: Limits, stretch: Stretch
) -> NDArray[np.uint8]:
    """Return `values` as brightness from 0 to 255; what is not finite is 0."""
    with np.errstate(invalid="ignore"):
        part = (values - limits.low) / (limits.high - limits.low)
        bright = stretched(np.clip(part, 0.0, 1.0), stretch)
    return np.nan_to_num(bright * 255.0 + 0.5, nan=0.0, copy=False).astype(np.uint8)


def stretched(part: NDArray[np.floating], stretch: Stretch) -> NDArray[np.floating]:
    """Return where on the range from dark to bright the part 0 to 1 of the values lies."""
    if stretch == "log":
        return np.asarray(np.log1p(LOG_RANGE * part) / np.log1p(LOG_RANGE))
    if stretch == "asinh":
        return np.asarray(np.arcsinh(part / ASINH_KNEE) / np.arcsinh(1 / ASINH_KNEE))
    return part


def unstretched(bright: NDArray[np.floating], stretch: Stretch) -> NDArray[np.floating]:
    """Return the part 0 to 1 of the values that `stretched` shows as `bright`."""
    if stretch == "log":
        return np.asarray(np.expm1(bright * np.log1p(LOG_RANGE)) / LOG_RANGE)
    if stretch == "asinh":
        return np.asarray(ASINH_KNEE * np.sinh(bright * np.arcsinh(1 / ASINH_KNEE)))
    return bright


def shrink_mean(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return `values` with at most `shape` rows and columns, each the mean of what it covers."""
    starts = _starts(values.shape, shape)
    total = _reduce(np.add, values, starts)
    sizes = [np.diff(np.append(s, n)) for s, n in zip(starts, values.shape, strict=True)]
    return np.asarray(total / np.outer(*sizes).astype(np.float32))


def shrink_any(mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return `mask` with at most `shape` rows and columns: a single pixel stays visible.

    Where the mask shrinks, a set pixel is drawn with its neighbours, or it could not be seen.
    """
    small = np.asarray(_reduce(np.logical_or, mask, _starts(mask.shape, shape)))
    if small.shape == mask.shape or not small.any():
        return small
    wide = np.pad(small, 1)
    return np.logical_or.reduce(
        [wide[1:-1, 1:-1], wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]]
    )


def shrink_bits(flags: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return `flags` with at most `shape` rows and columns: every bit that any pixel has."""
    return np.asarray(_reduce(np.bitwise_or, flags, _starts(flags.shape, shape)))


def _starts(whole: tuple[int, ...], shape: tuple[int, int]) -> list[NDArray[np.int64]]:
    """Return the first row and column of each block; every pixel lies in exactly one."""
    return [np.arange(min(n, m)) * n // min(n, m) for n, m in zip(whole, shape, strict=True)]


def _reduce(
    operator: np.ufunc, values: NDArray[np.generic], starts: list[NDArray[np.int64]]
) -> NDArray[np.generic]:
    for axis, first in enumerate(starts):
        if first.size < values.shape[axis]:
            values = operator.reduceat(values, first, axis=axis)
    return values
