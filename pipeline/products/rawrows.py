"""Raw frames that stay in their files: rows are read as they are asked for.

Two hundred frames of a set do not fit in memory; a band of rows of each does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.products.rawbytes import (
    find_image,
    legal_header,
    read_cards,
    read_pixels,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class RawRows:
    """The pixels of a raw frame, plain or tile-compressed, that has been found fit before."""

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self.path = path
        self.shape = shape
        """Rows and columns."""

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        """Read some rows, ADU; zero where there is no value.

        Raises
        ------
        BadFrameError
            If the file has gone or is not what it was.
        """
        start, stop, _ = rows.indices(self.shape[0])
        try:
            return np.nan_to_num(self._read(start, stop), copy=False, posinf=0.0, neginf=0.0)
        except (OSError, ValueError, IndexError) as error:
            raise BadFrameError(
                f"{self.path.name} cannot be read a second time: {error}.",
                remedy="Leave raw files where they are while a master is built.",
            ) from error

    def _read(self, start: int, stop: int) -> NDArray[np.float32]:
        with self.path.open("rb") as stream:
            cards, size = read_cards(self.path, stream)
        header = legal_header(cards)
        if header.get("NAXIS") == 0:
            data = self._read_extension(start, stop)
        else:
            extent = find_image(self.path, header, size)
            if extent.shape[-2:] != self.shape:
                message = f"it has {extent.shape} pixels, had {self.shape}"
                raise ValueError(message)
            data = read_pixels(self.path, extent.rows(start, stop), header)
        return data.reshape(stop - start, self.shape[1])

    def _read_extension(self, start: int, stop: int) -> NDArray[np.float32]:
        with fits.open(self.path, memmap=False) as hdus:
            hdu = next(hdu for hdu in hdus[1:] if hdu.is_image and len(hdu.shape) >= 2)
            plane = (0,) * (len(hdu.shape) - 2)
            return np.asarray(hdu.section[(*plane, slice(start, stop))], np.float32)
