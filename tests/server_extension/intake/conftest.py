"""Fixtures of the intake's tests.

===============  ===================================================================
``raw_frame``    function: writes a small, whole raw frame to a path
``intake``       started intake with its catalogue, on SQLite and on PostgreSQL
===============  ===================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from astropy.io import fits

from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Arrival, Frame
from goodman_live.server_extension.disk import DiskGuard
from goodman_live.server_extension.engine.desk import Desk
from goodman_live.server_extension.engine.events import EventStream
from goodman_live.server_extension.intake.intake import Intake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HEADER = {
    "INSTCONF": "Red",
    "INSTRUME": "ghts_red",
    "OBSTYPE": "SPECTRUM",
    "OBJECT": "SN2026abc",
    "DATE-OBS": "2026-08-16T03:00:00.000",
    "EXPTIME": 60.0,
    "GAIN": 1.48,
    "RDNOISE": 3.89,
    "CCDSUM": "2 2",
    "ROI": "user-defined",
    "GRATING": "400_SYZY",
    "WAVMODE": "400_M1",
    "SLIT": "1.0_LONG_SLIT",
    "FILTER": "NO_FILTER",
    "FILTER2": "NO_FILTER",
    "CAM_TARG": 11.6,
    "GRT_TARG": 5.8,
    "CAM_ANG": 11.6,
    "GRT_ANG": 5.8,
    "PROPID": "SOAR2026B-001",
}


def write_raw(path: Path, *, seed: int = 1, **cards: Any) -> bytes:
    data = np.random.default_rng(seed).integers(400, 600, (40, 200)).astype(np.uint16)
    hdu = fits.PrimaryHDU(data)
    hdu.header.update({**HEADER, **{key.replace("_OBS", "-OBS"): v for key, v in cards.items()}})
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.part")
    hdu.writeto(hidden)
    hidden.rename(path)
    return path.read_bytes()


@pytest.fixture
def raw_frame():
    return write_raw


@dataclass
class Bench:
    raw: Path
    catalogue: Catalogue
    intake: Intake
    disk: DiskGuard
    taken: list[tuple[int, bool]] = field(default_factory=list)

    def frames(self) -> list[Frame]:
        with self.catalogue.read() as session:
            return session.query(Frame).order_by(Frame.id).all()

    def arrivals(self) -> dict[str, Arrival]:
        with self.catalogue.read() as session:
            return {row.path.rpartition("/")[2]: row for row in session.query(Arrival)}


@dataclass
class Places:
    raw_roots: tuple[Path, ...]
    product_root: Path
    polling: bool | None = None


@pytest.fixture
async def intake(database_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    migrate(database_url)
    catalogue = Catalogue(database_url)
    desk = Desk(catalogue, EventStream(catalogue))
    raw = tmp_path / "raw"
    raw.mkdir()
    taken = []

    async def on_taken(frame: Frame, *, backlog: bool) -> None:
        taken.append((frame.id, backlog))

    disk = DiskGuard((raw,), 0)
    intake = Intake(desk, catalogue, Places((raw,), raw / "products"), on_taken, disk)
    yield Bench(raw, catalogue, intake, disk, taken)
    await intake.stop()
    desk.close()
    catalogue.close()
