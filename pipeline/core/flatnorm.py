"""The lamp's own light, divided out of a master flat: by its mean, one curve, or a curve per row.

Curves are Legendre series on the mapped range of the lit columns: the same family as the Chebyshev
series of the public service, well conditioned at any order. Rows are fitted all at once, with one
matrix.

The series is fitted to the logarithm, as lamps fade exponentially to the blue, and what it leaves
of structure wider than `FINER` columns is divided out too. At the customary order of 15 a series
leaves ripples of 2 to 4 per cent rms in 400_M1 and 600_UV flats, and up to 25 per cent at the
cut-off of an order blocker (simulated; from the ring of the quartz's coating and from the series
itself). Neither is in the detector nor on the way of a target's light, so left in the flat they
would be printed on every spectrum. Fringes and single columns are narrower, and stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import bottleneck as bn
import numpy as np
from scipy.ndimage import median_filter

from goodman_live.pipeline.core.lamptilt import displaced, measure_shift
from goodman_live.pipeline.core.smooth import along_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_SNR = 20.0
"""Signal over noise below which a pixel of the flat is set to one."""
_CLIP = 4.0
_ROUNDS = 6
_SHAPE_ERROR = 0.003
"""Relative structure of the lamp below which columns weigh alike in a fit."""
_FOLLOWS = 0.2
"""Departure from the running median, relative, beyond which the series is not believed."""
_NEIGHBOURS = 25
"""Columns of that running median."""
_WILD = 7
"""Columns of the running median that tells a dead column from the steep end of a lamp."""
FINER = 200
"""Unbinned columns over which the structure that a series leaves is smoothed: at least three
times the period of fringes (20 to 60 Angstrom), a third of that of the quartz's ring."""
_FAINT = 0.15
"""Share of the brightest column below which a lamp is cut off."""
_FAINT_END = 0.3
"""The same for the ends of the spectrum, where a series is loose."""
_LEAST_LIGHT = 1e-4
"""Share of the brightest column below which a column is dark."""


@dataclass(frozen=True, slots=True, eq=False)
class Normalised:
    """A flat without its lamp."""

    data: NDArray[np.float32]
    """Relative response, about one; one where the flat does not tell, shape (ny, nx)."""
    uncertainty: NDArray[np.float32]
    """One standard deviation of `data`."""
    low: NDArray[np.bool_]
    """Lit pixels set to one for want of signal."""
    lamp: NDArray[np.float32]
    """What was divided out, ADU, shape (ny, nx)."""
    order: int
    """Order of the series that was fitted; 0 for a mean."""


def normalise(
    flat: NDArray[np.float32],
    uncertainty: NDArray[np.float32],
    lit: NDArray[np.bool_],
    *,
    method: Literal["mean", "simple", "full"],
    order: int,
    xbin: int = 2,
) -> Normalised:
    """Divide the lamp's own light out of a master flat.

    Parameters
    ----------
    flat, uncertainty : ndarray of float32, shape (ny, nx)
        Master flat above bias, and its standard deviation; NaN where there is no value.
    lit : ndarray of bool, shape (ny, nx)
        Pixels that the slit or the field lights.
    method : {'mean', 'simple', 'full'}
        ``mean``: one number. ``simple``: a series along the dispersion, fitted to the median of
        the middle rows and displaced with the slit's image; slit illumination stays in the flat,
        one in the middle of the slit. ``full``: such a series for each row;
        the pixels' response alone stays.
    order : int
        Order of the series.
    xbin : int
        Binning along the dispersion.

    Returns
    -------
    Normalised
        Response, its uncertainty, and which pixels were set to one.

    Raises
    ------
    ValueError
        If no lit pixel has signal.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        good = lit & np.isfinite(flat) & (flat > 0) & (flat >= LEAST_SNR * uncertainty)
    if good.sum() < max(1e-3 * lit.sum(), 10):
        raise ValueError("no lit pixel of the flat has signal")
    lamp, used = _lamp(flat, uncertainty, good, method, order, xbin)
    with np.errstate(invalid="ignore", divide="ignore"):
        response = flat / lamp
        error = uncertainty / lamp
    good &= np.isfinite(response) & (lamp > 0)
    spread = _pixel_spread(response, good)
    data = np.where(good, response, np.float32(1))
    noise = np.where(good, error, spread)
    return Normalised(
        data.astype(np.float32), noise.astype(np.float32), lit & ~good, lamp, used
    )  # fmt: skip


def _lamp(
    flat: NDArray[np.float32],
    uncertainty: NDArray[np.float32],
    good: NDArray[np.bool_],
    method: str,
    order: int,
    xbin: int,
) -> tuple[NDArray[np.float32], int]:
    if method == "mean":
        return np.full(flat.shape, np.float32(_clipped_mean(flat[good]))), 0
    spectrum, error = _spectrum(flat, uncertainty, _middle_rows(good))
    curve, used = fit_spectrum(spectrum, error, order)
    curve *= _left_over(spectrum, curve, FINER // xbin)
    lamp = displaced(curve, measure_shift(flat, good, curve, xbin=xbin))
    if method == "simple":
        return lamp, used
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(good, flat / lamp, np.nan)
    return lamp * fit_rows(relative, used), used


def _middle_rows(good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return `good` in the middle half of the lit rows, where targets are put, alone.

    There the flat is one, so that it keeps the level of a target's light.
    """
    lit = np.flatnonzero(good.any(axis=1))
    quarter = len(lit) // 4
    middle = np.zeros_like(good)
    part = slice(int(lit[quarter]), int(lit[-1 - quarter]) + 1)
    middle[part] = good[part]
    return middle


def _clipped_mean(values: NDArray[np.float32]) -> float:
    low, high = np.percentile(values, [2, 98])
    inside = values[(values >= low) & (values <= high)]
    return float(inside.mean()) if inside.size else float(values.mean())


def _spectrum(
    flat: NDArray[np.float32], uncertainty: NDArray[np.float32], good: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the median of the good rows in each column, and its noise, each shape (nx,)."""
    count = good.sum(axis=0)
    enough = count >= max(0.1 * count.max(), 1)
    spectrum = np.full(flat.shape[1], np.nan)
    error = np.full(flat.shape[1], np.nan)
    columns = np.flatnonzero(enough)
    values = np.where(good, flat, np.nan).T[columns]
    spectrum[columns] = bn.nanmedian(np.ascontiguousarray(values), axis=1)
    noise = np.where(good, uncertainty, np.nan).T[columns]
    error[columns] = 1.25 * bn.nanmedian(np.ascontiguousarray(noise), axis=1)
    error /= np.sqrt(np.maximum(count, 1))
    return spectrum, error


def fit_spectrum(
    spectrum: NDArray[np.float64], error: NDArray[np.float64], order: int
) -> tuple[NDArray[np.float64], int]:
    """Fit a smooth positive curve to the lamp's spectrum, wild columns left out.

    Parameters
    ----------
    spectrum, error : ndarray of float64, shape (nx,)
        Counts and noise of each column; NaN where dark.
    order : int
        Order of the Legendre series.

    Returns
    -------
    curve : ndarray of float64, shape (nx,)
        The fit; the running median of the spectrum where the two disagree.
    order : int
        The order that the number of columns allowed.
    """
    lit = np.isfinite(spectrum) & (spectrum > _LEAST_LIGHT * np.nanmax(spectrum))
    first, last = np.flatnonzero(lit)[[0, -1]]
    used = int(min(order, max(lit.sum() // 4, 1)))
    column = np.arange(len(spectrum))
    u = np.clip(2 * (column - first) / max(last - first, 1) - 1, -1, 1)
    basis = np.polynomial.legendre.legvander(u, used)
    weight = np.zeros(len(spectrum))
    weight[lit] = 1 / np.hypot(_SHAPE_ERROR, error[lit] / spectrum[lit])
    target = np.log(np.where(lit, spectrum, 1.0))
    keep = lit.copy()
    curve = target
    for _ in range(_ROUNDS):
        weighted = basis[keep] * weight[keep, None]
        series = np.linalg.lstsq(weighted, target[keep] * weight[keep], rcond=None)[0]
        curve = basis @ series
        off = np.abs(target - curve) * weight
        limit = _CLIP * max(1.4826 * float(np.median(off[keep])), 1.0)
        now = lit & (off <= limit)
        if now.sum() <= 2 * used or (now == keep).all():
            break
        keep = now
    curve = np.exp(np.clip(curve, target[lit].min() - 1, target[lit].max() + 1))
    near = _running_median(np.where(lit, spectrum, np.nan))
    # where the lamp falls off steeply no series follows it
    follows = np.abs(curve - near) <= _FOLLOWS * near
    return np.where(follows, curve, near), used


def _left_over(
    spectrum: NDArray[np.float64], curve: NDArray[np.float64], width: int
) -> NDArray[np.float64]:
    """Return what is wide in the ratio of spectrum and curve, about one, shape (nx,)."""
    known = np.flatnonzero(np.isfinite(spectrum) & (curve > 0))
    width = min(width, known.size // 4) // 2 * 2 + 1
    if width < _NEIGHBOURS:
        return np.ones(len(spectrum))
    ratio = spectrum[known] / curve[known]
    near = median_filter(ratio, size=_WILD, mode="nearest")
    off = np.abs(ratio - near)
    ratio = np.where(off > _CLIP * max(1.4826 * float(np.median(off)), 1e-4), near, ratio)
    share = spectrum[known] / spectrum[known].max()
    at_end = np.minimum(np.arange(known.size), np.arange(known.size)[::-1]) < width // 2
    faint = (share < _FAINT) | (at_end & (share < _FAINT_END))
    fall = _parabolas(ratio, _NEIGHBOURS)  # a cut-off is steeper, and shows no fringes
    smooth = np.clip(np.where(faint, fall, _parabolas(ratio, width)), 0.5, 2.0)
    return np.interp(np.arange(len(spectrum)), known, smooth)


def _parabolas(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the middles of parabolas fitted to `width` values each, an odd number (n,).

    The filter of Savitzky and Golay 1964, Anal. Chem. 36, 1627; importing SciPy's takes longer
    than the whole flat.
    """
    half = width // 2
    basis = np.vander(np.linspace(-1, 1, width), 3)
    fit = np.linalg.pinv(basis)
    smooth = np.convolve(values, fit[2], mode="same")
    smooth[:half] = basis[:half] @ fit @ values[:width]
    smooth[-half:] = basis[-half:] @ fit @ values[-width:]
    return smooth


def _running_median(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the running median of the lit columns, continued over the dark ones."""
    known = np.flatnonzero(np.isfinite(spectrum))
    smooth = median_filter(spectrum[known], size=min(_NEIGHBOURS, known.size), mode="nearest")
    return np.maximum(np.interp(np.arange(len(spectrum)), known, smooth), 1e-6)


def fit_rows(relative: NDArray[np.float32], order: int) -> NDArray[np.float32]:
    """Fit a Legendre series to every row at once, wild and missing pixels left out.

    Pixels that are left out are filled with the fit and the fit repeated, so that one
    pseudo-inverse serves all rows and rounds.

    Parameters
    ----------
    relative : ndarray of float32, shape (ny, nx)
        Rows, about one; NaN where there is no value.
    order : int
        Order of the series.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
        The curves, limited to between a twentieth and twenty times the row's median.
    """
    ny, nx = relative.shape
    have = np.isfinite(relative)
    count = have.sum(axis=1)
    level = np.ones(ny, np.float32)
    rows = count > 0
    level[rows] = bn.nanmedian(relative[rows], axis=1)
    level = np.where(level > 0, level, np.float32(1))
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, nx), order).astype(np.float32)
    inverse = np.linalg.pinv(basis.astype(np.float64)).astype(np.float32)
    curve = np.repeat(level[:, None], nx, axis=1)
    values = np.where(have, relative, curve)
    keep = have
    for _ in range(_ROUNDS):
        curve = (np.where(keep, values, curve) @ inverse.T) @ basis.T
        off = np.abs(values - curve)
        deviation = np.where(have, off, np.nan)
        usual = np.full(ny, 1e-3, np.float32)
        usual[rows] = np.maximum(1.4826 * bn.nanmedian(deviation[rows], axis=1), 1e-3)
        keep = have & (off <= _CLIP * usual[:, None])
    few = count <= 2 * order
    curve[few] = level[few, None]
    return np.clip(curve, level[:, None] / 20, level[:, None] * 20).astype(np.float32)


def _pixel_spread(response: NDArray[np.float32], good: NDArray[np.bool_]) -> float:
    """Return the pixel-to-pixel scatter of the response, at least one per mille."""
    some, fair = response[::7], good[::7]
    off = (some[:, 1:] - some[:, :-1])[fair[:, 1:] & fair[:, :-1]]
    return max(float(1.4826 * np.median(np.abs(off)) / np.sqrt(2)), 1e-3) if off.size else 0.02


def odd_response(response: NDArray[np.float32], lit: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return each lit pixel's response over that of its row's neighbours; one elsewhere.

    A dead column is compared with the columns beside it, so that it is seen as such.
    """
    near = along_columns(np.where(lit, response, np.nan).astype(np.float32))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = response / near
    return np.where(lit & (near > 0) & np.isfinite(ratio), ratio, np.float32(1))
