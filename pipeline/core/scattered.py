"""Light of a lamp that did not come through the slit: measured beyond its edges.

Light scattered in the spectrograph lies on the slit's image too, where it would lower the contrast
of the flat: most where the lamp itself is faint. The dark rows below and above the slit show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Window
    from goodman_live.pipeline.core.slit import SlitEdges

GAP = 12.0
"""Unbinned rows beyond an edge that the blur of the slit's image still reaches."""
ORDER = 5
"""Order of the series along the dispersion: ghosts and halos are wide."""
_LEAST_ROWS = 4
"""Binned dark rows that a side must have to be believed."""
_CLIP = 4.0
_ROUNDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Scattered:
    """Scattered light over a window."""

    surface: NDArray[np.float32]
    """ADU, shape (ny, nx)."""
    uncertainty: float
    """One standard deviation of the surface, ADU."""
    sides: int
    """Sides of the slit that showed it: two are joined linearly, one is taken for all rows."""

    @property
    def typical(self) -> float:
        """Median, ADU."""
        return float(np.median(self.surface[::7, ::7]))


def measure_scattered(
    flat: NDArray[np.float32], edges: SlitEdges, window: Window
) -> Scattered | None:
    """Measure scattered light in the dark rows beyond the slit.

    Parameters
    ----------
    flat : ndarray of float32, shape (ny, nx)
        Counts above bias, ADU; NaN is ignored.
    edges : SlitEdges
        Edges of the slit.
    window : Window
        Place of the flat on the detector.

    Returns
    -------
    Scattered or None
        None where the window shows no dark rows.
    """
    column = window.columns_unbinned()
    first, last = edges.rows_at(column, window)
    half = (window.ybin - 1) / 2
    row = window.rows_unbinned()[:, None]
    sides = []
    if edges.lower is not None:
        sides.append(_side(flat, row + half < first - GAP, row))
    if edges.upper is not None:
        sides.append(_side(flat, row - half > last + GAP, row))
    seen = [side for side in sides if side is not None]
    if not seen:
        return None
    lower, upper = seen[0], seen[-1]
    surface = np.repeat(lower.light[None, :], window.ny, axis=0)
    if len(seen) == 2:
        share = np.clip((row - lower.row) / (upper.row - lower.row), 0, 1).astype(np.float32)
        surface += share * (upper.light - lower.light)
    return Scattered(surface, max(side.uncertainty for side in seen), len(seen))


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    row: float
    light: NDArray[np.float32]
    uncertainty: float


def _side(
    flat: NDArray[np.float32], dark: NDArray[np.bool_], row: NDArray[np.float64]
) -> _Side | None:
    """Fit the light of the dark rows on one side of the slit along the dispersion."""
    rows = np.flatnonzero(dark.any(axis=1))
    if rows.size == 0:
        return None
    part = slice(int(rows[0]), int(rows[-1]) + 1)
    values = np.where(dark[part], flat[part], np.nan).astype(np.float32)
    enough = np.isfinite(values).sum(axis=0) >= _LEAST_ROWS
    if enough.mean() < 0.5:
        return None
    light = np.full(flat.shape[1], np.nan)
    light[enough] = bn.nanmedian(np.ascontiguousarray(values[:, enough].T), axis=1)
    curve, error = _fit(light)
    return _Side(float(row[rows].mean()), curve.astype(np.float32), error)


def _fit(light: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Fit a series to the columns, wild ones left out; return it and its typical error."""
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, light.size), ORDER)
    use = known = np.isfinite(light)
    curve, scatter = light, 0.0
    for _ in range(_ROUNDS):
        curve = basis @ np.linalg.lstsq(basis[use], light[use], rcond=None)[0]
        off = np.abs(light - curve)
        scatter = 1.4826 * float(np.median(off[use]))
        now = known & (off <= _CLIP * max(scatter, 1e-6))
        if now.sum() < 4 * ORDER or (now == use).all():
            break
        use = now
    return curve, scatter * float(np.sqrt((ORDER + 1) / max(int(use.sum()), 1)))
