"""The telescope of the demonstration: a simulated night, read out frame by frame.

Frames grow in the watch folder as a read-out writes them, and stay in the order in which they
were exposed. A frame that an interrupted run left half written is continued.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from goodman_live.pipeline.simulate.night import write_night

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

CHUNK = 1 << 20
"""Bytes written at once."""
CHUNK_PAUSE_S = 0.05
"""Pause between two chunks, seconds: a 2x2 frame takes a fifth of a second to arrive."""


def simulate(folder: Path, *, preset: str = "demo", seed: int = 1) -> list[Path]:
    """Write the night into `folder` once; return its raw frames in order of exposure.

    The folder appears whole or not at all, so that an interrupted run begins again.
    """
    if not folder.is_dir():
        fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
        write_night(fresh, preset, seed=seed, processes=2)
        fresh.rename(folder)
    return raw_frames(folder)


def raw_frames(folder: Path) -> list[Path]:
    """Return the raw frames of a simulated night in order of exposure (their running number)."""
    return sorted((folder / "RAW").glob("*.fits"))


def missing(frames: list[Path], watch: Path) -> list[Path]:
    """Return the frames that are not in the watch folder, or not whole there."""
    return [
        frame
        for frame in frames
        if not (there := watch / frame.name).is_file()
        or there.stat().st_size < frame.stat().st_size
    ]


def observe(frames: list[Path], watch: Path, *, interval_s: float, stop: Event) -> Iterator[Path]:
    """Let the frames arrive one by one; yield each when it is whole.

    Parameters
    ----------
    frames : list of Path
        What `missing` returned.
    watch : Path
        The watch folder.
    interval_s : float
        Pause between two frames, seconds.
    stop : threading.Event
        Ends the night early.
    """
    for frame in frames:
        _read_out(frame, watch / frame.name, stop.wait)
        if stop.is_set():
            return
        yield watch / frame.name
        if stop.wait(interval_s):
            return


def _read_out(source: Path, target: Path, wait: Callable[[float], bool]) -> None:
    """Append what is missing, in chunks; stops between chunks when `wait` says so."""
    done = target.stat().st_size if target.exists() else 0
    with source.open("rb") as reader, target.open("ab") as writer:
        reader.seek(done)
        while chunk := reader.read(CHUNK):
            writer.write(chunk)
            writer.flush()
            if wait(CHUNK_PAUSE_S):
                return


def main() -> None:
    """Simulate the night: ``python -m goodman_live.hub.demo.telescope FOLDER PRESET SEED``."""
    import sys  # noqa: PLC0415 (only as a program)

    folder, preset, seed = sys.argv[1:]
    simulate(Path(folder), preset=preset, seed=int(seed))


if __name__ == "__main__":
    main()
