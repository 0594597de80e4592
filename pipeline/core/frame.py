"""The two-dimensional frame: pixels with uncertainty, flags, header and place on the detector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.io.fits import Header
    from numpy.typing import NDArray


class Flag(IntFlag):
    """Why a pixel is not to be trusted; any bit set masks the pixel."""

    BAD = 1
    """Bad pixel of the detector (from the masters)."""
    SATURATED = 2
    """At or above the saturation level of the readout mode."""
    COSMIC = 4
    """Hit by a cosmic ray; the value, if replaced, is an estimate."""
    LOW_FLAT = 8
    """The flat has too few counts here; the flat was set to one."""
    UNEXPOSED = 16
    """Outside the slit image, in the prescan, or otherwise without light."""
    NO_DATA = 32
    """Not a number in the file, or outside the window."""
    EXTRAPOLATED = 64
    """Outside the range that the calibration constrains (wavelength, flux)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of the detector in unbinned readout coordinates.

    Serial coordinates count from the first clocked column, so the prescan (50 columns on Red,
    16 on Blue) is at the start of the full window.
    """

    x0: int
    """First unbinned serial column, 0-based."""
    y0: int
    """First unbinned parallel row, 0-based."""
    nx: int
    """Width in binned pixels."""
    ny: int
    """Height in binned pixels."""
    xbin: int = 1
    """Serial (dispersion) binning."""
    ybin: int = 1
    """Parallel (spatial) binning."""

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (rows, columns) of the array in binned pixels."""
        return self.ny, self.nx

    def sub(self, columns: slice, rows: slice) -> Window:
        """Return the window of ``array[rows, columns]``, both in binned pixels."""
        x_start, x_stop, _ = columns.indices(self.nx)
        y_start, y_stop, _ = rows.indices(self.ny)
        return replace(
            self,
            x0=self.x0 + x_start * self.xbin,
            y0=self.y0 + y_start * self.ybin,
            nx=max(x_stop - x_start, 0),
            ny=max(y_stop - y_start, 0),
        )

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """Return (rows, columns) that cut this window out of an array of `outer`.

        Raises
        ------
        ValueError
            If binnings differ or this window is not inside `outer` on its pixel grid.
        """
        if (self.xbin, self.ybin) != (outer.xbin, outer.ybin):
            msg = f"binning {self.xbin}x{self.ybin} is not {outer.xbin}x{outer.ybin}"
            raise ValueError(msg)
        dx, rx = divmod(self.x0 - outer.x0, self.xbin)
        dy, ry = divmod(self.y0 - outer.y0, self.ybin)
        inside = 0 <= dx <= outer.nx - self.nx and 0 <= dy <= outer.ny - self.ny
        if rx or ry or not inside:
            msg = f"window {self} is not on the pixels of {outer}"
            raise ValueError(msg)
        return slice(dy, dy + self.ny), slice(dx, dx + self.nx)

    def columns_unbinned(self) -> NDArray[np.float64]:
        """Return the centre of each binned column in unbinned readout columns, shape (nx,).

        Binned pixel *i* is centred on ``x0 + b*i + (b-1)/2``.
        """
        return self.x0 + self.xbin * np.arange(self.nx, dtype=np.float64) + (self.xbin - 1) / 2

    def rows_unbinned(self) -> NDArray[np.float64]:
        """Return the centre of each binned row in unbinned readout rows, shape (ny,)."""
        return self.y0 + self.ybin * np.arange(self.ny, dtype=np.float64) + (self.ybin - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A 2-D image that every reduction step carries whole."""

    data: NDArray[np.float32]
    """Pixel values, shape (ny, nx), in `unit`."""
    uncertainty: NDArray[np.float32]
    """One standard deviation of each pixel, same shape and unit."""
    flags: NDArray[np.uint8]
    """Bits of `Flag`, same shape."""
    header: Header
    """FITS header; steps record themselves here in ``GSP_*`` keywords."""
    window: Window
    """Place on the detector."""
    unit: str = "adu"
    """Unit of the data, in FITS notation."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        for name in ("data", "uncertainty", "flags"):
            shape = getattr(self, name).shape
            if shape != self.window.shape:
                msg = f"{name} has shape {shape}, the window says {self.window.shape}"
                raise ValueError(msg)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """True where any flag is set, shape (ny, nx)."""
        return self.flags != 0

    def cut(self, window: Window) -> Frame:
        """Return the part of this frame inside `window`, as views on the same arrays."""
        rows, columns = window.slices_in(self.window)
        return replace(
            self,
            data=self.data[rows, columns],
            uncertainty=self.uncertainty[rows, columns],
            flags=self.flags[rows, columns],
            window=window,
        )
