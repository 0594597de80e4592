"""Extract a frame along a known trace, such as a lamp along the trace of its target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.aperture import fractions
from goodman_live.pipeline.core.errors import NoTargetError
from goodman_live.pipeline.core.frame import Flag, Frame
from goodman_live.pipeline.core.spectrum import Spectrum

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

UNUSABLE = (Flag.BAD | Flag.COSMIC | Flag.UNEXPOSED | Flag.NO_DATA).value
"""Pixels whose value says nothing about the light that fell on them."""
LOSS = 0.5
"""An output pixel is flagged when this share of its aperture is unusable."""


def extract_along(
    frame: Frame,
    columns: ArrayLike,
    rows: ArrayLike,
    lower: float,
    upper: float,
) -> Spectrum:
    """Sum a frame between two edges that follow a trace, without background.

    Unusable pixels are made up for by the mean of the rest of the aperture, which is right for
    light that fills the slit. Saturated pixels stay in the sum and flag it.

    Parameters
    ----------
    frame : Frame
        A reduced 2-D frame of any binning and window.
    columns, rows : array_like of float
        The trace in unbinned readout columns and rows, such as ``spectrum.column`` and
        ``spectrum.trace`` of the extracted target; it is interpolated to the frame's columns,
        and continued straight beyond its ends.
    lower, upper : float
        Edges relative to the trace in unbinned rows, such as -3.5 and 3.5.

    Returns
    -------
    Spectrum
        Flux summed over the aperture at every column of the frame; sky is zero. Columns
        without any usable pixel are NaN with ``Flag.NO_DATA``.

    Raises
    ------
    NoTargetError
        If the aperture lies wholly outside the frame.
    ValueError
        If the edges are upside down or the trace has no finite point.
    """
    if not lower < upper:
        raise ValueError(f"lower edge {lower} is not below upper edge {upper}")
    column = frame.window.columns_unbinned()
    trace = interpolate_trace(np.asarray(columns, float), np.asarray(rows, float), column)
    centre = to_pixels(frame, trace)
    low, high = centre + lower / frame.window.ybin, centre + upper / frame.window.ybin
    first = max(int(np.floor(low.min())), 0)
    last = min(int(np.ceil(high.max())) + 1, frame.window.ny)
    if first >= last:
        raise NoTargetError(
            f"The aperture at rows {trace.min():.0f} to {trace.max():.0f} lies outside the frame.",
            remedy="Place the aperture inside the slit.",
            field="aperture",
        )
    weight = fractions(np.arange(first, last, dtype=float), low, high)
    return _sum(frame, slice(first, last), weight, (upper - lower) / frame.window.ybin, trace)


def interpolate_trace(
    columns: NDArray[np.float64], rows: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the rows of a sampled trace at other columns, straight beyond its ends."""
    good = np.isfinite(columns) & np.isfinite(rows)
    if not good.any():
        raise ValueError("the trace has no finite point")
    order = np.argsort(columns[good])
    x, y = columns[good][order], rows[good][order]
    out = np.interp(at, x, y)
    if x.size > 1:
        reach = min(max(x.size // 20, 2), x.size)
        for edge, part in ((x[0], slice(0, reach)), (x[-1], slice(-reach, None))):
            slope = np.polynomial.polynomial.polyfit(x[part] - edge, y[part], 1)[1]
            beyond = at < edge if edge == x[0] else at > edge
            out[beyond] += slope * (at[beyond] - edge)
    return out


def to_pixels(frame: Frame, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unbinned readout rows as 0-based binned row indices of the frame."""
    window = frame.window
    return (rows - window.y0 - (window.ybin - 1) / 2) / window.ybin


def _sum(
    frame: Frame,
    rows: slice,
    weight: NDArray[np.float64],
    width: float,
    trace: NDArray[np.float64],
) -> Spectrum:
    data = frame.data[rows].astype(float)
    variance = frame.uncertainty[rows].astype(float) ** 2
    flags = frame.flags[rows]
    lost = ((flags & UNUSABLE) != 0) | ~np.isfinite(data) | ~np.isfinite(variance)
    kept = np.where(lost, 0.0, weight)
    share = kept.sum(axis=0) / width
    with np.errstate(divide="ignore", invalid="ignore"):
        flux = (kept * np.where(lost, 0.0, data)).sum(axis=0) / share
        sigma = np.sqrt((kept**2 * np.where(lost, 0.0, variance)).sum(axis=0)) / share
    empty = share <= 0
    flux[empty] = sigma[empty] = np.nan
    return Spectrum(
        flux=flux,
        uncertainty=sigma,
        flags=_flags(flags, weight, lost, share),
        sky=np.zeros_like(flux),
        column=frame.window.columns_unbinned(),
        trace=trace,
        header=frame.header.copy(),
        unit=frame.unit,
    )


def _flags(
    flags: NDArray[np.uint8],
    weight: NDArray[np.float64],
    lost: NDArray[np.bool_],
    share: NDArray[np.float64],
) -> NDArray[np.uint8]:
    inside = weight > 0
    out = np.zeros(flags.shape[1], dtype=np.uint8)
    saturated = (inside & ((flags & Flag.SATURATED.value) != 0)).any(axis=0)
    out[saturated] |= Flag.SATURATED.value
    poor = share < LOSS
    out[poor] |= np.bitwise_or.reduce(np.where(inside & lost, flags, 0), axis=0)[poor]
    total = weight.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        unflat = (weight * ((flags & Flag.LOW_FLAT.value) != 0)).sum(axis=0) / total > LOSS
    out[unflat] |= Flag.LOW_FLAT.value
    out[share <= 0] |= Flag.NO_DATA.value
    return out
