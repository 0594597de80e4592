"""The files of a folder that are raw frames, and what they say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.products.fits import read_info

if TYPE_CHECKING:
    from pathlib import Path

    from goodman_live.pipeline.core.info import FrameInfo

ENDINGS = (".fits", ".fit", ".fts", ".fits.fz", ".fits.gz")
"""Names that are taken for raw frames, whatever the case; the last is refused with a reason."""


def find_frames(raw_dir: Path) -> list[Path]:
    """Return the FITS files of a folder, links to files that are gone among them.

    Raises
    ------
    BadFrameError
        If it is no folder or holds none.
    """
    if not raw_dir.is_dir():
        raise BadFrameError(f"{raw_dir} is no folder.", remedy="Give the folder of raw frames.")
    named = (path for path in raw_dir.iterdir() if path.name.lower().endswith(ENDINGS))
    found = (path for path in named if path.is_file() or not path.exists())
    visible = sorted(path for path in found if not path.name.startswith("."))
    if not visible:
        raise BadFrameError(
            f"{raw_dir} holds no FITS files.", remedy="Give the folder of raw frames."
        )
    return visible


def whole_info(path: Path) -> FrameInfo:
    """Read the facts of a raw frame and refuse one that is not whole.

    Raises
    ------
    BadFrameError
        As `read_info`; also if the array has not the size of the window that was read out.
    """
    info = read_info(path)
    for repair in info.repairs:
        if repair.keyword == "NAXIS1,NAXIS2":
            raise BadFrameError(
                f"{path.name} holds {repair.found} pixels, but its header says that "
                f"{repair.used} were read out.",
                remedy="It is not a whole raw frame; copy it again.",
                field="NAXIS1",
            )
    return info
