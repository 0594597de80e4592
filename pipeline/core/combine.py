"""Robust combination of many raw frames into one, with the noise of the result.

Frames stay in their 16 bits until a piece of them is worked on: levels, bias and scale are applied
piece by piece, in threads, so ten full frames need little more memory than the result. Of frames
that stay in their files a band of rows is read at a time, so that two hundred need no more.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from goodman_live.pipeline.core.network import ragged_median, stack_median

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PIECE_VALUES = 2**18
"""Values worked on at once by one thread: about a processor's second-level cache."""
BAND_VALUES = 2**24
"""Values of all frames together that are read from files at once, 64 MB in single precision."""
MAD_TO_SIGMA = 1.4826
"""Standard deviation of normal noise over its median absolute deviation."""
MEDIAN_NOISE = 1.2533
"""Noise of a median over noise of a mean (square root of pi/2)."""


class Pixels(Protocol):
    """A frame whose rows can be had: an array, or a file that is read as rows are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (ny, nx)."""

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        """Return some rows, raw counts of any real dtype."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One frame of a stack, with what is to be done to it before it is combined."""

    data: Pixels
    """Raw counts, shape (ny, nx)."""
    offset: NDArray[np.float32]
    """Level of each row, subtracted first, ADU, shape (ny,)."""
    scale: float = 1.0
    """Factor applied after the offset and the bias."""
    ceiling: float = np.inf
    """Raw counts at or above this are masked (saturated)."""
    missing: NDArray[np.bool_] | None = None
    """Pixels without data, shape (ny, nx); None where all have some."""

    def band(self, rows: slice) -> Layer:
        """Return some rows of the layer, in memory."""
        return replace(
            self,
            data=self.data[rows],
            offset=self.offset[rows],
            missing=None if self.missing is None else self.missing[rows],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    """What a stack combines to."""

    data: NDArray[np.float32]
    """Combined value, shape (ny, nx); NaN where every frame is masked."""
    uncertainty: NDArray[np.float32]
    """One standard deviation of `data`."""
    count: NDArray[np.uint16]
    """Frames that entered each pixel."""
    scatter: NDArray[np.float32]
    """Standard deviation of the kept values over what noise alone explains, 1 where normal."""

    def band(self, rows: slice) -> Combined:
        """Return some rows, as views."""
        return Combined(
            self.data[rows], self.uncertainty[rows], self.count[rows], self.scatter[rows]
        )


def combine(
    layers: Sequence[Layer],
    *,
    rdnoise_adu: float,
    gain: float | None = None,
    bias: NDArray[np.float32] | None = None,
    method: Literal["mean", "median"] = "mean",
    clip: float = 4.0,
    threads: int = 2,
) -> Combined:
    """Combine frames pixel by pixel after clipping what departs from their median.

    A value is clipped where it departs from the median of its pixel by more than `clip` times
    the larger of two noises: 1.4826 times the median absolute deviation of the pixel, and what
    read noise (and photons, if `gain` is given) must give. The second keeps a chance agreement
    of few values from clipping good ones. Of two that noise does not explain the lower is kept.

    Parameters
    ----------
    layers : sequence of Layer
        Two or more frames of one shape.
    rdnoise_adu : float
        Read noise, ADU.
    gain : float, optional
        Electrons per ADU; given, the counts are taken as photons and their noise is added.
    bias : ndarray of float32, shape (ny, nx), optional
        Subtracted from every frame after its offset, ADU.
    method : {'mean', 'median'}
        How the surviving values are combined; the mean is 25 per cent less noisy.
    clip : float
        Clipping limit in standard deviations.
    threads : int
        Pieces worked on at the same time.

    Returns
    -------
    Combined
        Value, uncertainty, count and scatter.

    Raises
    ------
    ValueError
        If there are fewer than two frames, or shapes differ.
    """
    if len(layers) < 2:
        raise ValueError("a combination needs at least two frames")
    shape = layers[0].data.shape
    if any(layer.data.shape != shape for layer in layers):
        raise ValueError(f"frames differ in shape: {sorted({la.data.shape for la in layers})}")
    out = Combined(
        np.empty(shape, np.float32),
        np.empty(shape, np.float32),
        np.empty(shape, np.uint16),
        np.empty(shape, np.float32),
    )
    scale = float(np.mean([layer.scale for layer in layers]))
    across = len(layers) * shape[1]
    with ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        for band in _parts(shape[0], BAND_VALUES // across):
            held = tuple(pool.map(lambda layer, rows=band: layer.band(rows), layers))
            below = None if bias is None else bias[band]
            job = _Job(held, below, rdnoise_adu, gain, method, clip, scale, out.band(band))
            list(pool.map(job.piece, _parts(band.stop - band.start, PIECE_VALUES // across)))
    return out


def _parts(number: int, size: int) -> list[slice]:
    """Return slices that cover `number` rows, each of at most `size` and at least one."""
    size = max(size, 1)
    return [slice(start, min(start + size, number)) for start in range(0, number, size)]


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    layers: tuple[Layer, ...]
    bias: NDArray[np.float32] | None
    rdnoise_adu: float
    gain: float | None
    method: str
    clip: float
    scale: float
    out: Combined

    def load(self, rows: slice) -> tuple[NDArray[np.float32], bool]:
        """Return the values of some rows, shape (n, m), and whether any is masked (+inf)."""
        width = self.layers[0].data.shape[1]
        stack = np.empty((len(self.layers), (rows.stop - rows.start), width), np.float32)
        masked = False
        for i, layer in enumerate(self.layers):
            plane, raw = stack[i], layer.data[rows]
            np.subtract(raw, layer.offset[rows, None], out=plane, casting="unsafe")
            if self.bias is not None:
                np.subtract(plane, self.bias[rows], out=plane)
            if layer.scale != 1.0:
                np.multiply(plane, np.float32(layer.scale), out=plane)
            bad = ~np.isfinite(plane)
            if layer.ceiling < np.inf:
                bad |= raw >= layer.ceiling
            if layer.missing is not None:
                bad |= layer.missing[rows]
            if bad.any():
                plane[bad] = np.inf
                masked = True
        return stack.reshape(len(stack), -1), masked

    def piece(self, rows: slice) -> None:
        """Combine some rows and put them in their place."""
        stack, masked = self.load(rows)
        with np.errstate(invalid="ignore"):  # inf - inf of masked values
            median, deviation = _median_and_deviation(stack, masked=masked)
            if len(stack) == 2:
                self.prefer_lower(stack, median, deviation)
            noise2 = self.noise2(median)
            limit = self.clip * np.sqrt(np.maximum((MAD_TO_SIGMA * deviation) ** 2, noise2))
            stack -= median
            keep = np.abs(stack) <= limit
        count = keep.sum(axis=0, dtype=np.float32)
        stack[~keep] = 0.0
        safe = np.maximum(count, 1)
        mean = stack.sum(axis=0) / safe
        squares = np.einsum("ij,ij->j", stack, stack)
        variance = np.maximum(squares - safe * mean**2, 0) / np.maximum(count - 1, 1)
        scatter2 = np.where(count > 1, variance / noise2, 1)
        # beyond five deviations of chi-square the pixel is noisier than its noise model
        unruly = scatter2 > 1 + 5 * np.sqrt(2 / np.maximum(count - 1, 1))
        error2 = np.where(unruly, variance, noise2) / safe
        value = median + mean if self.method == "mean" else median
        factor = MEDIAN_NOISE if self.method == "median" and len(self.layers) > 2 else 1.0
        lost = count == 0
        shape = (rows.stop - rows.start, -1)
        out = self.out
        out.data[rows] = np.where(lost, np.nan, value).reshape(shape)
        out.uncertainty[rows] = np.where(lost, np.nan, factor * np.sqrt(error2)).reshape(shape)
        out.count[rows] = count.reshape(shape)
        out.scatter[rows] = np.sqrt(scatter2).reshape(shape)

    def prefer_lower(
        self,
        stack: NDArray[np.float32],
        median: NDArray[np.float32],
        deviation: NDArray[np.float32],
    ) -> None:
        """Put the lower of two values in the place of their median where they cannot agree.

        Of two no deviation tells the wild one; cosmic rays only add.
        """
        low, high = stack.min(axis=0), stack.max(axis=0)
        apart = high - low > self.clip * np.sqrt(2 * self.noise2(low))
        median[apart] = low[apart]
        deviation[apart] = 0

    def noise2(self, median: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the variance that noise alone gives one value, in scaled ADU."""
        scale = self.scale
        base = np.float32((scale * self.rdnoise_adu) ** 2 + scale**2 / 12)
        if self.gain is None:
            return np.full_like(median, base)
        return base + np.maximum(np.nan_to_num(median), 0) * np.float32(scale / self.gain)


def _median_and_deviation(
    stack: NDArray[np.float32], *, masked: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the median and the median absolute deviation over the first axis, both (m,)."""
    if not masked:
        median = stack_median(stack.copy())
        return median, stack_median(np.abs(stack - median))
    count = np.isfinite(stack).sum(axis=0)
    median = ragged_median(stack, count)
    deviation = np.abs(stack - median)
    deviation[~np.isfinite(deviation)] = np.inf
    return median, ragged_median(deviation, count)
