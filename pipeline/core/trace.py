"""Where a source runs along the detector: a polynomial with the points it was fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import legendre, polynomial

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from goodman_live.pipeline.core.frame import Window
    from goodman_live.pipeline.core.spectrum import Spectrum


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A trace in unbinned readout coordinates, so that it holds for any binning and window."""

    coefficients: NDArray[np.float64]
    """Legendre coefficients of the unbinned row, lowest order first."""
    domain: tuple[float, float]
    """Unbinned columns that map to -1 and 1."""
    rms: float
    """Scatter of the points about the polynomial, binned pixels; NaN without points."""
    columns: NDArray[np.float64]
    """Unbinned columns of the points, shape (n,)."""
    rows: NDArray[np.float64]
    """Unbinned rows of the points, shape (n,)."""
    sigma: NDArray[np.float64]
    """Standard deviations of the points, unbinned rows, shape (n,)."""
    keep: NDArray[np.bool_]
    """Points that the fit used, shape (n,)."""
    borrowed: bool = False
    """Whether its shape comes from another source."""

    @property
    def order(self) -> int:
        """Order of the polynomial."""
        return int(self.coefficients.size - 1)

    def at(self, columns: ArrayLike) -> NDArray[np.float64]:
        """Return the unbinned row at unbinned columns."""
        x = np.asarray(columns, dtype=float)
        low, high = self.domain
        return np.asarray(legendre.legval((2 * x - low - high) / (high - low), self.coefficients))

    def power_series(self, window: Window) -> NDArray[np.float64]:
        """Return coefficients of the row in powers of the column, both 0-based and binned.

        This is the form of ``GSP_TC00`` and following.
        """
        low, high = self.domain
        series = legendre.Legendre(self.coefficients, domain=[low, high])
        power = series.convert(kind=polynomial.Polynomial, domain=[-1, 1], window=[-1, 1])
        start = window.x0 + (window.xbin - 1) / 2
        pixel = polynomial.Polynomial([start, window.xbin])
        rows = power(pixel) - (window.y0 + (window.ybin - 1) / 2)
        coefficients = np.zeros(self.coefficients.size)
        found = np.asarray(rows.coef, float) / window.ybin
        coefficients[: found.size] = found[: coefficients.size]
        return coefficients


def trace_of(spectrum: Spectrum) -> Trace:
    """Return the trace that an extracted spectrum keeps, as a polynomial through its columns.

    Raises
    ------
    ValueError
        If the spectrum has no trace.
    """
    good = np.isfinite(spectrum.trace) & np.isfinite(spectrum.column)
    if good.sum() < 2:
        raise ValueError("the spectrum keeps no trace")
    order = int(np.clip(spectrum.header.get("GSP_TORD", 3), 0, 8))
    columns, rows = spectrum.column[good], spectrum.trace[good]
    domain = (float(columns[0]), float(columns[-1]))
    series = legendre.Legendre.fit(columns, rows, min(order, columns.size - 1), domain=domain)
    nothing = np.zeros(0)
    return Trace(
        coefficients=np.asarray(series.coef, dtype=float),
        domain=domain,
        rms=float("nan"),
        columns=nothing,
        rows=nothing,
        sigma=nothing,
        keep=np.zeros(0, dtype=bool),
        borrowed=True,
    )
