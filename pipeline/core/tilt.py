"""How spectral lines lean and bow along the slit, measured on an arc in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.lineshape import fit_lines
from goodman_live.pipeline.core.peaks import Peaks, find_peaks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from goodman_live.pipeline.core.frame import Frame

_BLOCKS = 16
_SMALLEST_BLOCK = 3
_MOST_LINES = 18
_GROUPS = 60
"""Rows are averaged in about this many groups before they are straightened."""
_SATURATED_SHARE = 0.1
"""A mean of rows is saturated where more than this share of them is."""
_UNUSABLE = (Flag.BAD | Flag.UNEXPOSED | Flag.NO_DATA | Flag.COSMIC).value
_X_SCALE, _Y_SCALE = 2048.0, 800.0


@dataclass(frozen=True, slots=True, eq=False)
class Tilt:
    """Displacement of lines along the slit, in unbinned readout coordinates."""

    coefficients: NDArray[np.float64]
    """Terms of t^i v^j, shape (3, 3): i = 0..2 in columns, j = 1..3 in rows from `row`."""
    row: float
    """Unbinned row to which displacements refer."""
    rms_px: float = float("nan")
    """Scatter of the measured displacements about this model, unbinned columns."""
    n_points: int = 0
    """Number of line positions that it rests on."""

    def displacement(self, column: ArrayLike, row: ArrayLike) -> NDArray[np.float64]:
        """Return how far right of its place at `self.row` light falls, unbinned columns."""
        t = (np.asarray(column, dtype=float) - 2079.5) / _X_SCALE
        v = (np.asarray(row, dtype=float) - self.row) / _Y_SCALE
        c = self.coefficients
        along = [c[0, j] + t * (c[1, j] + t * c[2, j]) for j in range(3)]
        result: NDArray[np.float64] = v * (along[0] + v * (along[1] + v * along[2]))
        return result

    @property
    def slope(self) -> float:
        """Lean at the reference row on the axis, columns per row."""
        return float(self.coefficients[0, 0] / _Y_SCALE)

    @property
    def bow(self) -> float:
        """Curvature on the axis, columns per squared row."""
        return float(self.coefficients[0, 1] / _Y_SCALE**2)


def no_tilt(row: float) -> Tilt:
    """Return a slit that is straight along the columns."""
    return Tilt(np.zeros((3, 3)), row)


def lit_rows(data: NDArray[np.floating], flags: NDArray[np.uint8]) -> tuple[int, int]:
    """Return first and last-plus-one row of the slit's image in a lamp frame.

    A row is lit where its brightest columns, the lamp's lines, reach a third of what they reach
    in the well-lit rows.
    """
    # the columns of the lines stand out in the mean of all rows
    usable = (flags & _UNUSABLE) == 0
    mean = np.where(usable, data, 0.0).mean(axis=0)
    count = max(data.shape[1] // 50, 3)
    order = np.argsort(mean)
    lines, dark = order[-count:], order[len(order) // 4 : len(order) // 2 : 4]
    bright = np.where(usable[:, lines], data[:, lines], 0.0).mean(axis=1)
    bright = bright - np.median(data[:, dark], axis=1)
    level = np.quantile(bright, 0.8)
    lit = bright > 0.33 * level
    if not lit.any() or level <= 0:
        return 0, data.shape[0]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lit.astype(int), [0]])))
    starts, stops = edges[::2], edges[1::2]
    longest = int(np.argmax(stops - starts))
    return int(starts[longest]), int(stops[longest])


def collapse(
    data: NDArray[np.float64], sigma: NDArray[np.float64], flags: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    """Average rows without unusable pixels and cosmic rays.

    Returns
    -------
    flux, uncertainty, flags : ndarray
        Mean of the rows, its standard deviation, and flags (saturated in a tenth of the rows,
        or nothing usable), shape (n,).
    """
    usable = (flags & _UNUSABLE) == 0
    if len(data) >= 5:
        middle = np.median(data, axis=0)
        usable &= data < middle + 8 * sigma + 0.25 * np.abs(middle)
    count = usable.sum(axis=0)
    safe = np.maximum(count, 1)
    flux = np.where(usable, data, 0).sum(axis=0) / safe
    error = np.sqrt(np.where(usable, sigma**2, 0).sum(axis=0)) / safe
    saturated = ((flags & Flag.SATURATED.value) != 0).mean(axis=0) > _SATURATED_SHARE
    out = np.where(saturated, Flag.SATURATED.value, 0).astype(np.uint8)
    out |= np.where(count == 0, Flag.NO_DATA.value, 0).astype(np.uint8)
    return flux, error, out


def measure_tilt(
    frame: Frame, *, slit_px: float, row: float | None = None
) -> tuple[Tilt, tuple[int, int]]:
    """Measure how lines lean and bow along the slit.

    The rows are averaged in blocks. From the block at the reference row outward, each line is
    found where the blocks before it say, so that a line may wander far from its column without
    being lost.

    Parameters
    ----------
    frame : Frame
        Arc without bias level, with its uncertainty.
    slit_px : float
        Width of the slit's image, binned pixels.
    row : float, optional
        Unbinned row that displacements refer to; the middle of the lit rows by default.

    Returns
    -------
    tilt : Tilt
        A straight slit where there are too few rows or lines to tell.
    lit : tuple of int
        First and last-plus-one lit row of the frame.
    """
    window = frame.window
    first, last = lit_rows(frame.data, frame.flags)
    rows = window.rows_unbinned()
    reference = float(row) if row is not None else float(rows[first:last].mean())
    count = min(_BLOCKS, (last - first) // _SMALLEST_BLOCK)
    if count < 3:
        return no_tilt(reference), (first, last)
    edges = np.linspace(first, last, count + 1).astype(int)
    blocks = [_block(frame, a, b) for a, b in pairwise(edges)]
    places = np.array([rows[a:b].mean() for a, b in pairwise(edges)])
    start = int(np.argmin(np.abs(places - reference)))
    flux, error, bits = blocks[start]
    peaks = find_peaks(flux, error, bits, slit_px=slit_px, binning=window.xbin, threshold=20.0)
    chosen = _for_tilt(peaks)
    if len(chosen) < 2:
        return no_tilt(reference), (first, last)
    centres, sigmas = _follow(blocks, start, chosen)
    return _fit(window.x0 + (window.xbin - 1) / 2 + window.xbin * centres,
                window.xbin * sigmas, places, reference, start), (first, last)  # fmt: skip


_Block = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.uint8]"]


def _block(frame: Frame, a: int, b: int) -> _Block:
    # a tenth of a block's rows may be hit; the clip in collapse needs no more than a few rows
    part = slice(a, b)
    return collapse(
        frame.data[part].astype(float),
        frame.uncertainty[part].astype(float),
        frame.flags[part],
    )


def _for_tilt(peaks: Peaks) -> Peaks:
    """Return bright, lonely lines spread along the spectrum."""
    good = np.flatnonzero(peaks.good)
    if len(good) <= _MOST_LINES:
        return peaks.take(good)
    by_part = np.array_split(good, _MOST_LINES // 3)
    kept = [part[np.argsort(-peaks.snr[part])[:3]] for part in by_part]
    return peaks.take(np.sort(np.concatenate(kept)))


def _follow(
    blocks: list[_Block], start: int, peaks: Peaks
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centres of each line in each block and their errors, shape (blocks, lines)."""
    shape = (len(blocks), len(peaks))
    centres, sigmas = np.full(shape, np.nan), np.full(shape, np.inf)
    for step, order in ((1, range(start, len(blocks))), (-1, range(start - 1, -1, -1))):
        for index in order:
            guess = _extrapolate(centres, index, step, peaks)
            fits = _centre(blocks[index], guess, peaks)
            centres[index], sigmas[index] = fits
    return centres, sigmas


def _extrapolate(
    centres: NDArray[np.float64], index: int, step: int, peaks: Peaks
) -> NDArray[np.float64]:
    """Guess centres from the median motion of all lines in the two blocks before."""
    one, two = index - step, index - 2 * step
    inside = [0 <= k < len(centres) and bool(np.isfinite(centres[k]).any()) for k in (one, two)]
    if not inside[0]:
        return peaks.pixel
    shift = float(np.nanmedian(centres[one] - peaks.pixel))
    if inside[1]:
        shift += shift - float(np.nanmedian(centres[two] - peaks.pixel))
    return peaks.pixel + shift


def _centre(
    block: _Block, guess: NDArray[np.float64], peaks: Peaks
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    flux, error, bits = block
    reach = int(np.ceil(1.1 * peaks.fwhm.max() + 1.5))
    place = np.round(guess).astype(int)[:, None] + np.arange(-reach, reach + 1)
    inside = (place >= 0) & (place < len(flux))
    safe = np.clip(place, 0, len(flux) - 1)
    data = flux[safe]
    noise = np.hypot(error[safe], 0.01 * np.clip(data.max(axis=1), 0, None)[:, None])
    bad = (bits[safe] & (Flag.NO_DATA | Flag.SATURATED).value) != 0
    noise = np.where(inside & ~bad, noise, np.inf)
    shapes = (guess, peaks.fwhm * 0.30, peaks.fwhm * 0.75)
    fits = fit_lines(
        data, noise, place[:, 0].astype(float), shapes, free_shape=False, iterations=5
    )
    share = fits.total / np.maximum(peaks.total, 1e-9)
    lost = ~np.isfinite(fits.centre) | (np.abs(fits.centre - guess) > 0.6 * peaks.fwhm + 0.5)
    lost |= (share < 0.1) | bad.any(axis=1)
    return np.where(lost, np.nan, fits.centre), np.where(lost, np.inf, fits.centre_sigma)


def _fit(
    columns: NDArray[np.float64],
    sigmas: NDArray[np.float64],
    places: NDArray[np.float64],
    reference: float,
    start: int,
) -> Tilt:
    """Fit a smooth surface to the displacements; each line's own column is free."""
    lines = columns.shape[1]
    block, line = np.nonzero(np.isfinite(columns))
    x = np.where(np.isfinite(columns[start]), columns[start], _median(columns))
    t = (x[line] - 2079.5) / _X_SCALE
    v = (places[block] - reference) / _Y_SCALE
    terms = [(i, j) for j in (1, 2, 3) for i in (0, 1, 2)]
    surface = np.stack([t**i * v**j for i, j in terms], axis=1)
    own = (line[:, None] == np.arange(lines)).astype(float)
    design = np.hstack([surface, own])
    value = columns[block, line] - x[line]
    # terms beyond lean and bow are small on this instrument: a ridge keeps them so
    widths = np.array([50.0, 1.0, 0.5, 50.0, 1.0, 0.5, 1.0, 0.3, 0.2])
    widths *= min(np.ptp(v), 1.0)
    precision = np.diag(np.concatenate([1 / np.maximum(widths, 1e-3) ** 2, np.full(lines, 1e-6)]))
    noise = np.hypot(sigmas[block, line], 0.02)
    weight = 1 / noise**2
    solution = np.zeros(design.shape[1])
    for _ in range(5):
        weighted = design * weight[:, None]
        solved = np.linalg.solve(design.T @ weighted + precision, weighted.T @ value)
        solution = np.asarray(solved, dtype=float)
        residual = value - design @ solution
        spread = max(1.4826 * float(np.median(np.abs(residual))), 0.01)
        weight = 1 / noise**2 * (np.abs(residual) < 5 * np.maximum(spread, noise))
    kept = weight > 0
    coefficients = solution[:9].reshape(3, 3).T
    rms = float(np.sqrt(np.mean(residual[kept] ** 2)))
    return Tilt(coefficients, reference, rms, int(kept.sum()))


def _median(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each column without NaN; zero where there is nothing."""
    seen = np.isfinite(columns).any(axis=0)
    out = np.zeros(columns.shape[1])
    out[seen] = np.nanmedian(columns[:, seen], axis=0)
    return out


def straighten(
    frame: Frame, tilt: Tilt, rows: slice, along: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    """Average rows of a frame after moving each line to its place on a reference.

    Rows are moved by linear interpolation, which keeps the centroid of every line exactly.

    Parameters
    ----------
    frame : Frame
        Arc without bias level.
    tilt : Tilt
        From `measure_tilt`.
    rows : slice
        Rows of the frame to average.
    along : array_like, optional
        Unbinned row of the reference at each column, such as the trace of a target; by default
        the row that `tilt` refers to.

    Returns
    -------
    flux, uncertainty, flags : ndarray
        As `collapse` gives.
    """
    window = frame.window
    x = window.columns_unbinned()
    data, sigma, flags, y = _grouped(frame, rows)
    home = np.full(len(x), tilt.row) if along is None else np.asarray(along, dtype=float)
    here = tilt.displacement(x[None, :], y[:, None]) - tilt.displacement(x, home)
    place = np.arange(len(x)) + here / window.xbin
    low = np.clip(np.floor(place).astype(int), 0, len(x) - 2)
    share = np.clip(place - low, 0.0, 1.0)
    row = np.arange(len(y))[:, None]
    moved = (1 - share) * data[row, low] + share * data[row, low + 1]
    error = np.hypot((1 - share) * sigma[row, low], share * sigma[row, low + 1])
    bits = flags[row, low] | np.where(share > 0, flags[row, low + 1], 0).astype(np.uint8)
    bits[(place < 0) | (place > len(x) - 1)] |= np.uint8(Flag.NO_DATA)
    return collapse(moved, error, bits)


def _grouped(
    frame: Frame, rows: slice
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64]]:
    """Return rows, or means of a few neighbours where there are many, and where they lie.

    A line moves by hundredths of a column between neighbouring rows, and evenly, so that the
    mean of a few keeps its centre.
    """
    y = frame.window.rows_unbinned()[rows]
    group = len(y) // _GROUPS
    if group < 2:
        data, sigma = frame.data[rows], frame.uncertainty[rows]
        return data.astype(float), sigma.astype(float), frame.flags[rows], y
    starts = np.arange(0, len(y) - group + 1, group)
    count, first = len(starts), rows.start or 0
    span = slice(first, first + count * group)
    shape = (count, group, frame.window.nx)
    flags = frame.flags[span].reshape(shape)
    usable = (flags & _UNUSABLE) == 0
    number = usable.sum(axis=1)
    safe = np.maximum(number, 1)
    data = np.where(usable, frame.data[span].reshape(shape), 0).sum(axis=1, dtype=float) / safe
    variance = np.where(usable, frame.uncertainty[span].reshape(shape) ** 2, 0)
    sigma = np.sqrt(variance.sum(axis=1, dtype=float)) / safe
    saturated = ((flags & Flag.SATURATED.value) != 0).mean(axis=1) > _SATURATED_SHARE
    bits = np.where(saturated, Flag.SATURATED.value, 0).astype(np.uint8)
    bits |= np.where(number == 0, Flag.NO_DATA.value, 0).astype(np.uint8)
    return data, sigma, bits, y[: count * group].reshape(count, group).mean(axis=1)
