"""Arcs that this process has solved already: one frame serves many targets and exposures."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.arc import ArcSolution, solve_arc
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.pipeline.products.fits import read_frame, read_info

if TYPE_CHECKING:
    from goodman_live.pipeline.core.info import FrameInfo

_KEPT = 24
"""Solved arcs that are remembered; each holds a spectrum and a table of lines, not the frame."""


def solved_arc(path: Path) -> tuple[ArcSolution, FrameInfo]:
    """Return the two-dimensional solution of a reduced arc, solved once for each content.

    Parameters
    ----------
    path : Path
        Reduced 2-D arc. A file of the same name and other content is solved anew.

    Returns
    -------
    ArcSolution
        Along mid slit; `ArcSolution.along_trace` reads it elsewhere.
    FrameInfo
        Facts of its header.

    Raises
    ------
    GoodmanError
        Why it cannot be solved; known without trying again for the same content.
    """
    known = _solved(str(path), sha256_of(path))
    if isinstance(known, GoodmanError):
        raise known.with_traceback(None)
    return known


@lru_cache(maxsize=_KEPT)
def _solved(path: str, sha256: str) -> tuple[ArcSolution, FrameInfo] | GoodmanError:  # noqa: ARG001 (the content is the key)
    file = Path(path)
    try:
        frame, info = read_frame(file), read_info(file)
        return solve_arc(frame, info), info
    except GoodmanError as error:
        return error
