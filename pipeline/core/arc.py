"""From a two-dimensional arc to the wavelength at every column and row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.errors import UntrustedSolutionError
from goodman_live.pipeline.core.grating import predict_for
from goodman_live.pipeline.core.lamps import from_name
from goodman_live.pipeline.core.peaks import Peaks, find_peaks, slit_pixels
from goodman_live.pipeline.core.tilt import Tilt, measure_tilt, straighten
from goodman_live.pipeline.core.unnamed import with_unnamed
from goodman_live.pipeline.core.wavelength import WavelengthSolution, solve_peaks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.core.grating import Dispersion
    from goodman_live.pipeline.core.info import FrameInfo

_USUAL_LAMPS = (("HGA", "NE"), ("HGA",), ("NE",), ("AR",), ("CU",), ("FE",))
"""Sets of lamps that observers switch on."""
_TRACE_REACH = 40.0
"""Unbinned rows beside a trace that are averaged for its arc."""


@dataclass(frozen=True, slots=True, eq=False)
class ArcSolution:
    """The solution of one arc frame, in two dimensions."""

    axis: WavelengthSolution
    """Wavelengths along the reference: mid slit, or a target's trace."""
    tilt: Tilt
    """How lines lean and bow."""
    along: NDArray[np.float64]
    """Unbinned row of the reference at each column, shape (nx,)."""
    column: NDArray[np.float64]
    """Unbinned column of each pixel, shape (nx,)."""
    flux: NDArray[np.float64]
    """Spectrum of the arc along the reference, shape (nx,)."""
    peaks: Peaks
    """Lines that were found in it."""
    rows: tuple[int, int]
    """First and last-plus-one row of the frame that were averaged."""
    fitted_along: NDArray[np.float64]
    """Unbinned row at each column along which the lines were measured, shape (nx,)."""

    def wavelength(self, column: ArrayLike, row: ArrayLike) -> NDArray[np.float64]:
        """Return the air wavelength in Angstrom at unbinned columns and rows."""
        x = np.asarray(column, dtype=float)
        home = np.interp(x, self.column, self.along)
        moved = self.tilt.displacement(x, row) - self.tilt.displacement(x, home)
        return self.axis.wavelength(x - moved)

    def along_trace(self, along: ArrayLike) -> ArcSolution:
        """Return the solution along another line across the detector, such as a trace.

        Parameters
        ----------
        along : array_like
            Unbinned row at each column of the arc, or one row for all.
        """
        home = np.broadcast_to(np.asarray(along, dtype=float), self.column.shape).copy()
        shift = self.tilt.displacement(self.column, home)
        shift = shift - self.tilt.displacement(self.column, self.fitted_along)
        before = self.column - shift
        return replace(
            self,
            axis=self.axis.along(self.column, shift),
            along=home,
            flux=np.interp(before, self.column, self.flux),
        )


def solve_arc(
    frame: Frame,
    info: FrameInfo,
    *,
    along: ArrayLike | None = None,
    lamps: Iterable[str] | None = None,
) -> ArcSolution:
    """Solve an arc frame from its header and its lines.

    Parameters
    ----------
    frame : Frame
        Arc without bias level, with uncertainty.
    info : FrameInfo
        Facts of its header.
    along : array_like, optional
        Unbinned row at each column of the frame (a target's trace); mid slit by default.
    lamps : iterable of str, optional
        Lamps that were on; those of the header by default, or of OBJECT. Where neither tells,
        the usual ones are tried.

    Returns
    -------
    ArcSolution
        Check ``axis.trusted``.

    Raises
    ------
    BadHeaderError
        If grating or angles make no sense.
    UntrustedSolutionError
        If the lines cannot be identified at all.
    """
    prior = predict_for(info)
    names = frozenset(lamps) if lamps is not None else known_lamps(info)
    measured = _measure(frame, info, along)
    if names:
        return measured.with_axis(_solve_named(measured, prior, names))
    return measured.with_axis(_try_lamps(measured, prior, info))


def _solve_named(
    measured: _Measured, prior: Dispersion, names: frozenset[str]
) -> WavelengthSolution:
    """Return the solution with the named lamps, and with one that nobody named if it burned."""
    axis: WavelengthSolution | None
    try:
        axis, declined = measured.solve(prior, names), None
    except UntrustedSolutionError as error:
        axis, declined = None, error
    axis = with_unnamed(axis, names, lambda lamps: measured.solve(prior, lamps))
    if axis is None:
        assert declined is not None  # noqa: S101 (there is either)
        raise declined
    return axis


def known_lamps(info: FrameInfo) -> frozenset[str]:
    """Return the lamps that the header's switches or OBJECT tell; empty where neither does."""
    return info.lamps or from_name(info.object_name, any_case=True)


def _try_lamps(measured: _Measured, prior: Dispersion, info: FrameInfo) -> WavelengthSolution:
    """Return the likeliest solution of all usual sets of lamps."""
    found = []
    for names in _USUAL_LAMPS:
        try:
            found.append(measured.solve(prior, frozenset(names)))
        except UntrustedSolutionError:
            continue
    if not any(axis.trusted for axis in found):
        raise UntrustedSolutionError(
            f"The header of {info.file_name} names no lamp, and its lines are those of none of "
            f"{', '.join('+'.join(names) for names in _USUAL_LAMPS)} for certain.",
            remedy="Say which lamps were on.",
            field="LAMP_HGA",
        )
    return max(found, key=lambda axis: (axis.trusted, axis.gap))


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Lines of an arc, before it is known what they are."""

    tilt: Tilt
    along: NDArray[np.float64]
    column: NDArray[np.float64]
    flux: NDArray[np.float64]
    peaks: Peaks
    rows: tuple[int, int]
    binning: int

    def solve(self, prior: Dispersion, lamps: Iterable[str]) -> WavelengthSolution:
        return solve_peaks(
            self.peaks,
            self.column,
            lamps=lamps,
            prior=prior,
            binning=self.binning,
            limits=(float(self.column[0]), float(self.column[-1])),
        )

    def with_axis(self, axis: WavelengthSolution) -> ArcSolution:
        return ArcSolution(
            axis, self.tilt, self.along, self.column, self.flux, self.peaks, self.rows, self.along
        )


def _measure(frame: Frame, info: FrameInfo, along: ArrayLike | None) -> _Measured:
    window = frame.window
    slit = slit_pixels(info.slit_arcsec, window.xbin)
    tilt, lit = measure_tilt(frame, slit_px=slit)
    rows, home = _reference(frame, tilt, lit, along)
    flux, error, bits = straighten(frame, tilt, slice(*rows), home)
    peaks = find_peaks(flux, error, bits, slit_px=slit, binning=window.xbin)
    return _Measured(tilt, home, window.columns_unbinned(), flux, peaks, rows, window.xbin)


def _reference(
    frame: Frame, tilt: Tilt, lit: tuple[int, int], along: ArrayLike | None
) -> tuple[tuple[int, int], NDArray[np.float64]]:
    """Return the rows to average and the reference row at each column."""
    if along is None:
        return lit, np.full(frame.window.nx, tilt.row)
    home = np.broadcast_to(np.asarray(along, dtype=float), (frame.window.nx,)).copy()
    rows = frame.window.rows_unbinned()
    near = (rows > home.min() - _TRACE_REACH) & (rows < home.max() + _TRACE_REACH)
    near &= (np.arange(len(rows)) >= lit[0]) & (np.arange(len(rows)) < lit[1])
    chosen = np.flatnonzero(near)
    if len(chosen) == 0:
        return lit, home
    return (int(chosen[0]), int(chosen[-1]) + 1), home
