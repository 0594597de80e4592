"""The one-dimensional spectrum: flux, uncertainty, flags, sky and wavelength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.frame import Flag

if TYPE_CHECKING:
    from astropy.io.fits import Header
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """A spectrum on the native pixels of the detector, or on a linear grid."""

    flux: NDArray[np.float64]
    """Flux per pixel, shape (n,), in `unit`."""
    uncertainty: NDArray[np.float64]
    """One standard deviation, shape (n,), in `unit`."""
    flags: NDArray[np.uint8]
    """Bits of `Flag`, shape (n,)."""
    sky: NDArray[np.float64]
    """Sky under the aperture, shape (n,), in `unit`; zeros for a lamp."""
    column: NDArray[np.float64]
    """Centre of each pixel in unbinned readout columns, shape (n,)."""
    trace: NDArray[np.float64]
    """Centre of the aperture in unbinned readout rows at each pixel, shape (n,)."""
    header: Header
    """FITS header with the ``GSP_*`` record of what was done."""
    unit: str = "adu"
    """Unit of flux, uncertainty and sky, in FITS notation."""
    wavelength: NDArray[np.float64] | None = None
    """Wavelength in air, Angstrom, shape (n,); None before calibration."""
    wavelength_uncertainty: NDArray[np.float64] | None = None
    """One standard deviation of the wavelength, Angstrom, shape (n,)."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """True where the flux is not to be used, shape (n,).

        A pixel beyond the outermost lamp lines is no worse in flux: its wavelength has a larger
        stated uncertainty, so `Flag.EXTRAPOLATED` alone does not mask it.
        """
        return (self.flags & ~np.uint8(Flag.EXTRAPOLATED)) != 0
