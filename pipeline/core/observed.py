"""What is known of the observed lines of an arc, before and after they have names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNCERTAIN = 0.06
"""Binned pixels beyond which a centre is uncertain."""
_SHARE_OF_ALLOWANCE = 0.62
"""Width of (measured less true) / stated of the centres of 7700 simulated lines: 0.58 unbinned,
0.70 and 0.80 binned."""
_SHARE_OF_FAINT = 2.0
"""The same of centres that are uncertain by more than `UNCERTAIN`."""
_SLIGHT, _HIDDEN = 2e-3, 0.01
"""Share of the brightest line below which a line may hide others as faint that no list expects,
and how far these may pull it, in line widths: long exposures and wide slits show them."""


@dataclass(frozen=True, slots=True)
class LineRecord:
    """One observed line in the table of an arc."""

    column: float
    """Centre, unbinned readout columns."""
    sigma: float
    """One standard deviation of the centre from noise, unbinned columns."""
    wavelength: float | None
    """Laboratory wavelength in air, Angstrom; None if it is no line of the lamps."""
    element: str
    """Species such as ``Ne I``, or empty."""
    lamp: str
    """Lamp that it comes from, or empty."""
    residual_px: float | None
    """Observed minus fitted column."""
    left_out_px: float | None
    """Residual from the fit to all other lines; None if it was not used."""
    fwhm_px: float
    """Full width at half maximum, unbinned columns; 0 if not measured."""
    snr: float
    """Significance in sigma; NaN if not measured."""
    status: str
    """``used``, or why it was not."""

    @property
    def used(self) -> bool:
        """True if the axis rests on this line."""
        return self.status == "used"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Observed lines with all that is known of them, unbinned columns, shape (n,) each."""

    column: NDArray[np.float64]
    sigma: NDArray[np.float64]
    flux: NDArray[np.float64] | None
    """Flux of the lines, None if it was not measured."""
    fwhm: NDArray[np.float64]
    """Widths, 0 if not measured."""
    snr: NDArray[np.float64]
    """Significance, NaN if not measured."""
    trouble: NDArray[np.str_]
    """Why a centre is not to be trusted; empty for a good line."""
    binning: int = 1

    def likely_error(self, index: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the expected error of centres for the fit.

        Centres of measured lines carry an allowance for the shape of a line, which is more than
        they need; what they do need the fit finds as their common scatter. Faint ones need
        more: lines that no list holds lie beside them.
        """
        sigma = self.sigma[index]
        if self.flux is None:
            return sigma
        faint = np.clip(sigma / (UNCERTAIN * max(self.binning, 1)) - 0.5, 0, 1)
        result: NDArray[np.float64] = (
            _SHARE_OF_ALLOWANCE + (_SHARE_OF_FAINT - _SHARE_OF_ALLOWANCE) * faint
        ) * sigma
        slight = self.flux[index] < _SLIGHT * np.max(self.flux)
        return np.hypot(result, np.where(slight, _HIDDEN * self.fwhm[index], 0.0))

    def brightness(self) -> NDArray[np.intp]:
        """Return 0, 1 or 2 for faint, middling and bright lines."""
        if self.flux is None:
            return np.ones(len(self.column), dtype=np.intp)
        rank = np.argsort(np.argsort(-self.flux, kind="stable"), kind="stable")
        count = len(self.column)
        bright = rank < max(0.4 * count, 8)
        middling = rank < max(0.7 * count, 14)
        return np.where(bright, 2, np.where(middling, 1, 0)).astype(np.intp)
