"""``goodman-live intake``: a whole existing archive into the catalogue."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from sqlalchemy import select

from goodman_live.hub.accounts.database import data_root, database_url
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Arrival, Frame
from goodman_live.server_extension.disk import DiskGuard
from goodman_live.server_extension.engine.desk import Desk
from goodman_live.server_extension.engine.events import EventStream
from goodman_live.server_extension.intake.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class _Places:
    raw_roots: tuple[Path, ...]
    product_root: Path
    polling: bool | None = None


async def take_archive(
    catalogue: Catalogue,
    archive: Path,
    product_root: Path,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> int:
    """List every raw frame below a folder that is new or changed; return how many files were.

    Headers are read now. A service that runs, or the next one, reads the checksums and reduces,
    tonight's frames before these.

    Parameters
    ----------
    archive : Path
        Stays where it is; the service must be able to read it.
    product_root : Path
        Left out if it lies inside.
    tell : callable, optional
        Called with how many are done, of how many.
    """
    desk = Desk(catalogue, EventStream(catalogue))

    async def leave_to_the_service(frame: Frame, *, backlog: bool) -> None:
        del backlog
        await desk.write(_forget_checksum, frame.id)

    places = _Places((archive.absolute(),), product_root)  # noqa: ASYNC240 (no I/O)
    intake = Intake(desk, catalogue, places, leave_to_the_service, DiskGuard((), 0))
    try:
        return await intake.list_all(archive, tell)
    finally:
        await intake.stop()
        desk.close()


def _forget_checksum(session: Session, frame_id: int) -> None:
    """Leave a frame as those whose checksum is still to be read: that is what is planned."""
    frame = session.get(Frame, frame_id)
    if frame is not None:
        frame.checksum = None


def rejected(catalogue: Catalogue, archive: Path) -> list[tuple[str, str]]:
    """Return path and reason of each file below a folder that could not be taken."""
    with catalogue.read() as session:
        rows = session.execute(
            select(Arrival.path, Arrival.reason)
            .where(
                Arrival.state == "rejected",
                Arrival.path.startswith(f"{archive.absolute()}/", autoescape=True),
            )
            .order_by(Arrival.path)
        )
        return [(path, reason) for path, reason in rows]


@click.command(name="intake")
@click.argument("archive", type=click.Path(exists=True, file_okay=False, path_type=Path))
def intake(archive: Path) -> None:
    """Take a whole ARCHIVE of raw frames into the catalogue, nights in subfolders or not.

    The files stay where they are and are not changed. Run it as the service's account, with its
    GOODMAN_DATA and GOODMAN_DATABASE; again after an interruption, it goes on where it was.
    """
    migrate(database_url())
    catalogue = Catalogue(database_url())
    began = time.monotonic()

    def tell(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - began, 1e-3)
        click.echo(f"\r{done} of {total} files, {rate:.0f} in a second ", nl=False, err=True)

    try:
        found = asyncio.run(take_archive(catalogue, archive, data_root() / "products", tell))
        click.echo(err=True)
        refused = rejected(catalogue, archive)
    finally:
        catalogue.close()
    click.echo(f"{found} files were new or changed; {len(refused)} below {archive} are rejected.")
    for path, reason in refused:
        click.echo(f"  {path}: {reason}")
    click.echo("The service reads their checksums and reduces them, tonight's frames first.")
