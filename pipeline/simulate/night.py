"""Write a simulated night: raw frames in one folder, their truth in another."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.plan import PRESETS
from goodman_live.pipeline.simulate.truth import write_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from goodman_live.pipeline.simulate.plan import Shot


def render(shot: Shot) -> frames.SimFrame:
    """Simulate one shot."""
    make: Callable[..., frames.SimFrame] = getattr(frames, shot.kind)
    return make(shot.setup, seed=shot.seed, log=shot.log, **shot.options)


def write_shot(shot: Shot, *, raw_dir: Path, truth_dir: Path) -> Path:
    """Simulate one shot and write it with its truth; return the path of the raw frame."""
    frame = render(shot)
    path = raw_dir / shot.log.file_name
    frame.write(path)
    write_truth(frame.truth, truth_dir / path.stem)
    return path


def write_night(
    out_dir: Path,
    shots: Sequence[Shot] | str = "full",
    *,
    seed: int = 1,
    processes: int = 2,
    progress: Callable[[Path], None] | None = None,
) -> list[Path]:
    """Write a night into ``out_dir/RAW`` and its truth into ``out_dir/TRUTH``.

    Parameters
    ----------
    out_dir : Path
        Folder; made if it does not exist.
    shots : sequence of Shot or str
        What to simulate, or the name of a preset: ``demo``, ``full``, ``bench``.
    seed : int
        Seed of a preset.
    processes : int
        Processes that simulate at once.
    progress : callable, optional
        Called with each path as it is written.

    Returns
    -------
    list of Path
        The raw frames, in the order in which they were exposed.

    Raises
    ------
    FileExistsError
        If the raw folder already holds FITS files: nothing is overwritten.
    """
    if isinstance(shots, str):
        shots = PRESETS[shots](seed)
    raw_dir, truth_dir = Path(out_dir) / "RAW", Path(out_dir) / "TRUTH"
    raw_dir.mkdir(parents=True, exist_ok=True)
    truth_dir.mkdir(parents=True, exist_ok=True)
    if any(raw_dir.glob("*.fits")):
        msg = f"{raw_dir} already holds FITS files; give an empty folder"
        raise FileExistsError(msg)
    work = partial(write_shot, raw_dir=raw_dir, truth_dir=truth_dir)
    paths: list[Path] = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for path in pool.map(work, shots):
            paths.append(path)
            if progress is not None:
                progress(path)
    return paths
