"""``goodman-live replay``: a night, sent once more through a watch folder."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.products.fits import read_info
from goodman_live.server_extension.intake.places import is_candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

CHUNK = 1 << 20
"""Bytes written at once."""


def order_night(folder: Path) -> list[tuple[datetime, Path]]:
    """Return the raw frames below a folder with the end of their exposure, first to last.

    Raises
    ------
    GoodmanError
        If there is none.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        if not is_candidate(path, (folder,)) or not path.is_file():
            continue
        with suppress(GoodmanError):
            info = read_info(path)
            found.append((info.mid + (info.mid - info.start), path))
    if not found:
        raise GoodmanError(f"There is no raw frame in {folder}.", remedy="Give a night's folder.")
    return sorted(found)


def replay_night(
    night: Path,
    into: Path,
    *,
    speed: float = 60.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Path]:
    """Write each frame into a folder when its time has come, as the camera would.

    Parameters
    ----------
    night : Path
        Folder of raw frames.
    into : Path
        Where they go, such as the night's folder under the watched one.
    speed : float
        Seconds of the night in one second; 0 is as fast as it goes.
    sleep : callable, optional
        How to wait.

    Yields
    ------
    Path
        Each copy, when it is whole.

    Raises
    ------
    GoodmanError
        If there is no raw frame, or a copy exists already.
    """
    into.mkdir(parents=True, exist_ok=True)
    shots = order_night(night)
    before = shots[0][0]
    for at, path in shots:
        if speed > 0:
            sleep(max((at - before).total_seconds(), 0.0) / speed)
        before = at
        yield _write(path, into / path.name)


def _write(source: Path, target: Path) -> Path:
    """Copy a file piece by piece under its final name: it grows, as under a real camera."""
    try:
        sink = target.open("xb")
    except FileExistsError:
        raise GoodmanError(
            f"{target} exists.", remedy="Replay into an empty folder: nothing is overwritten."
        ) from None
    with source.open("rb") as origin, sink:
        while chunk := origin.read(CHUNK):
            sink.write(chunk)
            sink.flush()
        os.fsync(sink.fileno())
    return target


@click.command(name="replay")
@click.argument("night", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--into",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder under the watched one.",
)
@click.option("--speed", default=60.0, show_default=True, type=click.FloatRange(min=0))
def replay(night: Path, into: Path, speed: float) -> None:
    """Send a night's raw frames through a watch folder, SPEED times faster than it was.

    A speed of 0 writes one after the other without waiting.
    """
    try:
        for number, path in enumerate(replay_night(night, into, speed=speed), 1):
            click.echo(f"{number:4d} {path.name}")
    except GoodmanError as error:
        raise click.ClickException(str(error)) from error
