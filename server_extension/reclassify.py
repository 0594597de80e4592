"""``/api/files/reclassify/``: what a frame is, asked again, with cards mended by hand if need be.

The raw file is never touched: what is mended by hand is an overlay in the catalogue, which the
header doctor, the choice of calibrations and every block read instead of the file's own cards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, FiniteFloat
from sqlalchemy import delete

from goodman_live.pipeline.core.header import TECHNIQUE_CARD
from goodman_live.pipeline.products.fits import read_header, read_info
from goodman_live.server_extension.catalogue.errors import ForbiddenError
from goodman_live.server_extension.catalogue.facts import facts_of, repairs_of
from goodman_live.server_extension.catalogue.frames import Frame, HeaderRepair
from goodman_live.server_extension.catalogue.permission import may_change
from goodman_live.server_extension.engine.drafts import original_of, overlay_of
from goodman_live.server_extension.engine.events import frame_event
from goodman_live.server_extension.files import file_model
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import FileModel
from goodman_live.server_extension.selection import FileChoice, chosen

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer

Keyword = Literal[
    "OBSTYPE", "OBJECT", "GRATING", "WAVMODE", "SLIT", "ROI", "FILTER", "FILTER2", "CAM_TARG",
    "GRT_TARG", "LAMP_HGA", "LAMP_NE", "LAMP_AR", "LAMP_FE", "LAMP_CU",
]  # fmt: skip
"""Cards that say what a frame is. Whose it is (PROPID) is not among them."""
KEPT = frozenset({"proposal_id", "public_date"})
"""Facts that a new look never changes: who may see the frame."""
BY_HAND = "Mended by hand."


class Reclassification(FileChoice):
    """A file, and the header cards to mend."""

    header: dict[Keyword, FiniteFloat | str] = Field(
        default_factory=dict, max_length=15, description="Values that stand in for the file's."
    )
    technique: Literal["Spectroscopy", "Imaging"] | None = Field(
        None, description="Sets the technique, whatever the header says."
    )
    reset: bool = Field(default=False, description="Forget what was mended by hand before.")


class ReclassifyHandler(ApiHandler):
    """What a frame is."""

    @operation(
        id="api_files_reclassify_create",
        summary="Identify a frame again, with cards mended or the technique set by hand",
        tag="files",
        body=Reclassification,
        answer=FileModel,
        errors=(404, 409, 422),
        description="Acts on the raw frame of the family; what follows from it is done again.",
    )
    async def post(self, body: Reclassification) -> FileModel:
        """Read the header again and do what follows from it."""
        engine = self.backend.engine
        frame_id = await engine.write(reclassify, self.viewer, body)
        await engine.replan(frame_id)
        return await self.backend.read(file_model, self.viewer, frame_id)


def reclassify(session: Session, viewer: Viewer, wish: Reclassification) -> int:
    """Identify the raw frame of a file again; return its id.

    Raises
    ------
    ForbiddenError
        If it is not the viewer's to change.
    BadFrameError, BadHeaderError
        If the header, as mended, describes no frame.
    """
    raw = original_of(session, chosen(session, viewer, wish))
    if raw.data_type != 0 or not may_change(session, viewer, raw):
        raise ForbiddenError(f"{raw.file_name} is not yours to change.")
    if wish.reset:
        by_hand = HeaderRepair.by_hand.is_(True)
        session.execute(delete(HeaderRepair).where(HeaderRepair.frame_id == raw.id, by_hand))
    overlay = {} if wish.reset else overlay_of(session, raw.id)
    overlay |= {keyword: str(value) for keyword, value in wish.header.items()}
    if wish.technique is not None:
        overlay[TECHNIQUE_CARD] = wish.technique
    info = read_info(raw.path, overlay=overlay or None)
    for name, value in facts_of(info).items():
        if name not in KEPT:
            setattr(raw, name, value)
    _mend(session, viewer, raw, overlay)
    raw.repairs += repairs_of(info.repairs)
    session.flush()
    frame_event(session, "frame.changed", raw)
    return raw.id


def _mend(session: Session, viewer: Viewer, raw: Frame, overlay: dict[str, str]) -> None:
    """Write down the overlay instead of all repairs there were."""
    session.execute(delete(HeaderRepair).where(HeaderRepair.frame_id == raw.id))
    session.expire(raw, ["repairs"])
    found = read_header(raw.path) if overlay else {}
    raw.repairs = [
        HeaderRepair(
            keyword=keyword,
            found=str(found.get(keyword, "")),
            used=used,
            reason=BY_HAND,
            by_hand=True,
            user_id=viewer.user_id or None,
        )
        for keyword, used in overlay.items()
    ]
