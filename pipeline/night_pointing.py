"""Focus runs and acquisition images of a folder: which frames belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodman_live.pipeline.core.acquisition import names_acquisition
from goodman_live.pipeline.core.focus import focus_key, split_runs
from goodman_live.pipeline.core.info import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from goodman_live.pipeline.core.info import FrameInfo


def focus_runs(infos: Mapping[Path, FrameInfo]) -> list[list[Path]]:
    """Return the raw focus frames of each run, the newest first."""
    groups: dict[tuple[object, ...], list[Path]] = {}
    for path in sorted(infos, key=lambda path: infos[path].start):
        if infos[path].kind is Kind.FOCUS:
            groups.setdefault(focus_key(infos[path]), []).append(path)
    return [
        [paths[k] for k in reversed(run)]
        for paths in groups.values()
        for run in split_runs([infos[path].start for path in paths])
    ]


def is_acquisition(info: FrameInfo) -> bool:
    """Tell whether a frame was taken to point: the slit is in, or its name says so."""
    named = names_acquisition(info.object_name, info.file_name)
    return info.kind is Kind.ACQUISITION or (info.kind is Kind.IMAGE and named)


def slit_seen_for(
    info: FrameInfo, seen: Iterable[Path], infos: Mapping[Path, FrameInfo]
) -> Path | None:
    """Return which of the images that show the slit tells where it was: the last, else the next.

    Parameters
    ----------
    info : FrameInfo
        Of the image that does not show it.
    seen : iterable of Path
        Raw images that show it.
    infos : mapping
        Facts of all raw frames.
    """
    there = sorted(
        (p for p in seen if (infos[p].camera, infos[p].night) == (info.camera, info.night)),
        key=lambda path: infos[path].start,
    )
    before = [path for path in there if infos[path].start <= info.start]
    return before[-1] if before else next(iter(there), None)
