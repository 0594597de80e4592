"""The edges of the long slit on the detector, traced on a flat.

Both edges bow and tilt by a few pixels over the detector, so each is a polynomial, in unbinned
readout coordinates: the same for every binning and window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from goodman_live.pipeline.core.smooth import block_medians

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Window

CENTRE_COLUMN = 2079.5
"""Unbinned column at which the polynomials have their origin."""
HALF_COLUMNS = 2030.0
"""Unbinned columns that make one unit of the polynomials."""
SOFT_ROWS = 3.0
"""Unbinned rows inside an edge that are not fully lit."""
_PIECES = 32
"""Pieces of the dispersion in which an edge is looked for."""
_LEAST_STEP = 0.3
"""An edge is a step of at least this share of the light beside it."""
_LEAST_SNR = 8.0
"""Step over noise that an edge needs in a piece."""
_REACH = 60
"""Unbinned rows beside an edge over which light and dark are measured."""


@dataclass(frozen=True, slots=True)
class SlitEdges:
    """Where the light through the slit begins and ends."""

    lower: tuple[float, ...] | None
    """Unbinned row of the lower edge as a power series in (column - 2079.5) / 2030; None where
    the light reaches the edge of the window."""
    upper: tuple[float, ...] | None
    """The same for the upper edge."""
    scatter: float
    """Departure of the traced points from the polynomials, unbinned rows, rms."""

    def rows_at(
        self, column: NDArray[np.float64], window: Window
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the first and last fully lit unbinned row at unbinned columns."""
        u = (column - CENTRE_COLUMN) / HALF_COLUMNS
        first = np.full(u.shape, float(window.y0))
        last = np.full(u.shape, float(window.y0 + window.ny * window.ybin - 1))
        if self.lower is not None:
            first = np.polynomial.polynomial.polyval(u, self.lower) + SOFT_ROWS
        if self.upper is not None:
            last = np.polynomial.polynomial.polyval(u, self.upper) - SOFT_ROWS
        return first, last

    def lit(self, window: Window) -> NDArray[np.bool_]:
        """Return the pixels that the slit lights fully, shape of `window`."""
        first, last = self.rows_at(window.columns_unbinned(), window)
        half = (window.ybin - 1) / 2
        row = window.rows_unbinned()[:, None]
        return np.asarray((row - half >= first) & (row + half <= last))

    def bounds(self, window: Window) -> slice:
        """Return the binned rows of `window` that hold any fully lit pixel."""
        rows = np.flatnonzero(self.lit(window).any(axis=1))
        return slice(int(rows[0]), int(rows[-1]) + 1) if rows.size else slice(0, window.ny)


def trace_edges(
    flat: NDArray[np.float32], noise: NDArray[np.float32], window: Window, order: int = 2
) -> SlitEdges:
    """Trace both edges of the slit on a master flat.

    Parameters
    ----------
    flat : ndarray of float32, shape (ny, nx)
        Counts above bias; NaN is ignored.
    noise : ndarray of float32, shape (ny, nx)
        Uncertainty of `flat`.
    window : Window
        Place of the flat on the detector.
    order : int
        Degree of the polynomials.

    Returns
    -------
    SlitEdges
        An edge is None where fewer than a quarter of the lit pieces show it.
    """
    block = max(window.nx // _PIECES, 1)
    centre, profiles = block_medians(np.ascontiguousarray(flat.T), block)
    _, errors = block_medians(np.ascontiguousarray(noise.T), block)
    errors *= np.float32(1.25 / np.sqrt(block))
    columns = window.x0 + centre * window.xbin + (window.xbin - 1) / 2
    points: list[list[tuple[float, float]]] = [[], []]
    lit = 0
    for column, profile, error in zip(columns, profiles, errors, strict=True):
        level = float(np.percentile(profile, 75))
        if level < _LEAST_SNR * float(np.median(error)):
            continue
        lit += 1
        for side in (0, 1):
            row = _edge(profile, error, window.ybin, upper=bool(side))
            if row is not None:
                unbinned = window.y0 + row * window.ybin + (window.ybin - 1) / 2
                points[side].append((float(column), unbinned))
    fits = [_fit(side, lit, order) for side in points]
    scatter = [rms for fit in fits if fit is not None for rms in [fit[1]]]
    return SlitEdges(
        lower=fits[0][0] if fits[0] else None,
        upper=fits[1][0] if fits[1] else None,
        scatter=float(np.sqrt(np.mean(np.square(scatter)))) if scatter else 0.0,
    )


def _edge(
    profile: NDArray[np.float32], error: NDArray[np.float32], ybin: int, *, upper: bool
) -> float | None:
    """Return the row at which the light falls to half, coming from the middle, or None."""
    values = profile[::-1] if upper else profile
    noise = error[::-1] if upper else error
    half = len(values) // 2
    reach = max(_REACH // ybin, 6)
    slope = gaussian_filter1d(values[: half + reach].astype(float), 1.2, order=1, mode="nearest")
    at = int(np.argmax(slope[: half or 1]))
    gap = max(8 // ybin, 3)
    dark_rows = values[max(at - reach, 0) : max(at - gap + 1, 0)]
    light_rows = values[at + gap : at + reach]
    if dark_rows.size < 2 or light_rows.size < 2:
        return None
    dark, light = float(np.median(dark_rows)), float(np.median(light_rows))
    step = light - dark
    if step < _LEAST_STEP * light or step < _LEAST_SNR * float(np.median(noise)):
        return None
    middle = (light + dark) / 2
    start, stop = max(at - gap, 0), min(at + gap + 1, len(values))
    above = np.flatnonzero(values[start:stop] >= middle)
    if above.size == 0 or above[0] == 0:
        return None
    j = start + int(above[0])
    share = (middle - values[j - 1]) / max(float(values[j] - values[j - 1]), 1e-9)
    row = j - 1 + float(share)
    return len(values) - 1 - row if upper else row


def _fit(
    points: list[tuple[float, float]], lit: int, order: int
) -> tuple[tuple[float, ...], float] | None:
    """Fit a polynomial to traced points, wild ones left out."""
    if len(points) < max(lit / 4, 3):
        return None
    column, row = np.array(points).T
    u = (column - CENTRE_COLUMN) / HALF_COLUMNS
    degree = min(order, len(points) // 3)
    use = np.abs(row - np.median(row)) < 40
    series = np.array([np.median(row)])
    for _ in range(5):
        if use.sum() <= degree + 1:
            return None
        series = np.polynomial.polynomial.polyfit(u[use], row[use], degree)
        off = np.abs(row - np.polynomial.polynomial.polyval(u, series))
        use = off <= max(4 * 1.4826 * float(np.median(off[use])), 0.5)
    if use.sum() < max(lit / 4, 3):
        return None
    rms = float(np.sqrt(np.mean(off[use] ** 2)))
    return tuple(float(c) for c in series), rms
