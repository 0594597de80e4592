"""``/api/files/diagnostics/``: what a step saw, to judge it by.

Nothing of it is kept with the products: a step does the same again with the inputs and settings
of its job, on a worker, and tells what it fitted. For a reduced frame it is the cosmic rays.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field
from scipy import ndimage

from goodman_live import __version__
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.products.fits import read_frame
from goodman_live.pipeline.products.focus import read_focus
from goodman_live.server_extension.catalogue.errors import NotFoundError
from goodman_live.server_extension.catalogue.work import Job
from goodman_live.server_extension.engine.blocks import (
    ACQUISITION,
    EXTRACT,
    FOCUS,
    REDUCE,
    ROLES,
    WAVELENGTH,
)
from goodman_live.server_extension.engine.diagnose import diagnose
from goodman_live.server_extension.engine.runner import order_for
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import Answer
from goodman_live.server_extension.selection import FileChoice, chosen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer
    from goodman_live.server_extension.engine.work import Order

Kind = Literal["cosmic", "extract", "wavelength", "focus", "acquisition"]
KINDS: dict[str, Kind] = {
    REDUCE.name: "cosmic",
    EXTRACT.name: "extract",
    WAVELENGTH.name: "wavelength",
    FOCUS.name: "focus",
    ACQUISITION.name: "acquisition",
}
"""Blocks that tell what they saw."""
MOST_RAYS = 400
"""Cosmic rays that are listed, the largest first; all are counted."""


class Diagnostics(Answer):
    """What a step saw."""

    id: int
    kind: Kind
    target: int | None = Field(description="Number of the target among those of the frame.")
    data: dict[str, Any] = Field(
        description="extract: `profile targets neighbours`; wavelength: `lines arc sky quality`;"
        " cosmic: `rays pixels fraction largest`; focus: `card points curve best error reason`;"
        " acquisition: `slit target rows columns`, unbinned readout pixels."
    )


@dataclass(frozen=True, slots=True)
class Case:
    """A product and how it was made."""

    id: int
    kind: Kind
    target: int | None
    key: str
    path: Path
    order: Order


class DiagnosticsHandler(ApiHandler):
    """Diagnostics."""

    @operation(
        id="api_files_diagnostics_read",
        summary="What the step saw that made a product",
        tag="files",
        query=FileChoice,
        answer=Diagnostics,
        errors=(404, 409, 422),
        description="Profile and trace; arc lines with residuals and the check on sky lines;"
        " cosmic rays.",
    )
    async def get(self, query: FileChoice) -> Diagnostics:
        """Return what the block of a product saw."""
        folder = self.backend.settings.data_root / "work"
        case = await self.backend.read(case_of, self.viewer, query, folder)
        kept = self.backend.pictures.get(case.key)
        if kept is None:
            if case.kind in READ:
                data = await self.backend.compute(READ[case.kind], case.path)
            else:
                data = await self.backend.engine.ask(diagnose, case.order)
            kept = json.dumps(data, allow_nan=False).encode()
            self.backend.pictures.put(case.key, kept)
        return Diagnostics(id=case.id, kind=case.kind, target=case.target, data=json.loads(kept))


def case_of(session: Session, viewer: Viewer, choice: FileChoice, work_dir: Path) -> Case:
    """Return how a product that `viewer` may see was made.

    Raises
    ------
    NotFoundError
        If nothing is told of such a file.
    InputGoneError
        If an input of it is gone.
    """
    frame = chosen(session, viewer, choice)
    job = session.get(Job, frame.job_id) if frame.job_id is not None else None
    kind = KINDS.get(job.block) if job is not None else None
    if job is None or kind is None or frame.role != ROLES.get(job.block, ""):
        raise NotFoundError(
            f"There are no diagnostics of {frame.file_name}.",
            remedy="Reduced, extracted and wavelength-calibrated files have some, and those of "
            "focus runs and acquisition images.",
            field="id",
        )
    key = f"diagnostics {__version__} {frame.id} {frame.checksum}"
    return Case(frame.id, kind, frame.target, key, frame.path, order_for(session, job, work_dir))


def cosmic_rays(path: Path) -> dict[str, Any]:
    """Return how many cosmic rays were found on a reduced frame, and the largest ones."""
    struck = (read_frame(path).flags & Flag.COSMIC) != 0
    labels, count = ndimage.label(struck, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-sizes, kind="stable")[:MOST_RAYS]
    centres = ndimage.center_of_mass(struck, labels, (order + 1).tolist()) if count else []
    return {
        "rays": int(count),
        "pixels": int(np.count_nonzero(struck)),
        "fraction": float(struck.mean()),
        "shape": list(struck.shape),
        "largest": [
            {"x": float(x), "y": float(y), "pixels": int(sizes[number])}
            for (y, x), number in zip(centres, order, strict=True)
        ],
    }


def focus_curve(path: Path) -> dict[str, Any]:
    """Return the widths of a focus run with the curve through them."""
    run = read_focus(path)
    found = run.focus
    there = run.setting[np.isfinite(run.setting)]
    room = 0.05 * float(np.ptp(there)) if there.size else 0.0
    fine = np.linspace(there.min() - room, there.max() + room, 80) if room else np.zeros(0)
    points = zip(run.files, run.setting, run.widths, found.used, strict=True)
    return {
        "card": run.card,
        "points": [
            {
                "file_name": name,
                "setting": _plain(setting),
                "fwhm_px": _plain(width.fwhm_px),
                "error_px": _plain(width.error_px),
                "count": width.count,
                "used": bool(used),
            }
            for name, setting, width, used in points
        ],
        "curve": {
            "setting": fine.tolist(),
            "fwhm_px": [_plain(value) for value in found.widths(fine)],
        },
        "measured_on": next((one.what for one in run.widths if one.count), ""),
        "best": _plain(found.best),
        "error": _plain(found.error),
        "fwhm_px": _plain(found.fwhm_px),
        "bracketed": found.bracketed,
        "reason": found.reason,
    }


def slit_and_target(path: Path) -> dict[str, Any]:
    """Return where slit and target are in an acquisition image, unbinned readout pixels."""
    frame = read_frame(path)
    header, window = frame.header, frame.window

    def card(key: str) -> float | None:
        value = header.get(key)
        return float(value) if isinstance(value, int | float) else None

    column, middle, lean = card("GSP_QSLX"), card("GSP_QSLY"), card("GSP_QSLL")
    rows = [float(window.y0), float(window.y0 + window.ny * window.ybin)]
    columns = [float(window.x0), float(window.x0 + window.nx * window.xbin)]
    slit = [(column or 0.0) + (lean or 0.0) * (row - (middle or 0.0)) for row in rows]
    target = {"column": card("GSP_QTGX"), "row": card("GSP_QTGY")}
    return {
        "columns": columns,
        "rows": rows,
        "slit": {"column": slit, "row": rows, "width_arcsec": card("GSP_QSLW")},
        "target": None if target["column"] is None else target,
        "offset_arcsec": card("GSP_QOFF"),
        "offset_error_arcsec": card("GSP_QERR"),
        "along_arcsec": card("GSP_QALO"),
    }


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


READ: dict[Kind, Callable[[Path], dict[str, Any]]] = {
    "cosmic": cosmic_rays,
    "focus": focus_curve,
    "acquisition": slit_and_target,
}
"""Kinds that the product itself tells; the others are found by the step once more."""
