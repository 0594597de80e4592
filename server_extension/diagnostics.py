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
from goodman_live.server_extension.catalogue.errors import NotFoundError
from goodman_live.server_extension.catalogue.work import Job
from goodman_live.server_extension.engine.blocks import EXTRACT, REDUCE, WAVELENGTH
from goodman_live.server_extension.engine.diagnose import diagnose
from goodman_live.server_extension.engine.runner import order_for
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import Answer
from goodman_live.server_extension.selection import FileChoice, chosen

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer
    from goodman_live.server_extension.engine.work import Order

Kind = Literal["cosmic", "extract", "wavelength"]
KINDS: dict[str, Kind] = {
    REDUCE.name: "cosmic",
    EXTRACT.name: "extract",
    WAVELENGTH.name: "wavelength",
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
        " cosmic: `rays pixels fraction largest`."
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
            if case.kind == "cosmic":
                data = await self.backend.compute(cosmic_rays, case.path)
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
    kind = KINDS.get(job.block) if job is not None and not frame.role else None
    if job is None or kind is None:
        raise NotFoundError(
            f"There are no diagnostics of {frame.file_name}.",
            remedy="Reduced, extracted and wavelength-calibrated files have some.",
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
