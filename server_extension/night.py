"""``/api/night/``: how a night stands, and what is still missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from sqlalchemy import func, select

from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.permission import visible_to
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import Answer, FileModel

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer

MOST_WAITING = 500
POINTING = ("focus", "acquisition")
"""Roles of what helps to point and to focus."""


class NightQuery(Strict):
    """Which night."""

    night: str = Field(
        "", pattern=r"^(\d{8})?$", description="Local-evening date, YYYYMMDD; default the newest."
    )


class Standing(Answer):
    """How many raw frames of a kind are in a state."""

    kind: str
    state: str
    count: int


class Missing(Answer):
    """One thing that raw frames of the night wait for."""

    text: str = Field(description="Such as: 4 of 10 flat frames of Red 2x2 400_M2 for a master.")
    count: int = Field(description="Frames that wait for it.")


class Makeshift(Answer):
    """Frames of one set-up that were reduced with calibrations that are not yet the best."""

    camera: str
    wavmode: str
    slit: str
    binning: str
    count: int = Field(description="Raw frames with such products; they are made again.")


class Night(Answer):
    """One night as far as the reader may see it."""

    night: str | None
    nights: list[str] = Field(description="Nights with frames, newest first, at most 60.")
    count: int = Field(description="Raw frames.")
    standing: list[Standing]
    waiting: list[FileModel] = Field(
        description="Raw frames that wait or failed; `waits_for` says for what."
    )
    missing: list[Missing] = Field(description="What they wait for, each once, the most first.")
    masters: list[FileModel] = Field(description="Current masters of the night.")
    pointing: list[FileModel] = Field(
        description="Current runs through focus and acquisition images, newest first."
    )
    makeshift: list[Makeshift] = Field(
        description="What was reduced with calibrations that are few, old or missing."
    )


class NightHandler(ApiHandler):
    """The night."""

    @operation(
        id="api_night_read",
        summary="How a night stands",
        tag="night",
        query=NightQuery,
        answer=Night,
    )
    async def get(self, query: NightQuery) -> Night:
        """Return what came, what is done and what is still missing."""
        return await self.backend.read(night_of, self.viewer, query.night)


def night_of(session: Session, viewer: Viewer, night: str) -> Night:
    """Return how `night`, or the newest one, stands for `viewer`."""
    seen = visible_to(viewer)
    nights = list(
        session.scalars(
            select(Frame.night)
            .where(seen, Frame.data_type == 0, Frame.night != "")
            .group_by(Frame.night)
            .order_by(Frame.night.desc())
            .limit(60)
        )
    )
    chosen = night or (nights[0] if nights else None)
    tonight = (seen, Frame.night == (chosen or ""))
    raw = (*tonight, Frame.data_type == 0)
    standing = [
        Standing(kind=kind, state=state, count=count)
        for kind, state, count in session.execute(
            select(Frame.kind, Frame.state, func.count())
            .where(*raw)
            .group_by(Frame.kind, Frame.state)
            .order_by(Frame.kind, Frame.state)
        )
    ]
    waiting = session.scalars(
        select(Frame)
        .where(*raw, Frame.state.in_(("new", "waiting", "working", "failed")))
        .order_by(Frame.id.desc())
        .limit(MOST_WAITING)
    )
    total = func.count()
    missing = session.execute(
        select(Frame.waits_for, total)
        .where(*raw, Frame.is_current, Frame.state == "waiting", Frame.waits_for != "")
        .group_by(Frame.waits_for)
        .order_by(total.desc(), Frame.waits_for)
        .limit(MOST_WAITING)
    )
    masters = session.scalars(
        select(Frame).where(*tonight, Frame.data_type == 1, Frame.is_current).order_by(Frame.id)
    )
    pointing = session.scalars(
        select(Frame)
        .where(*tonight, Frame.data_type == 2, Frame.role.in_(POINTING), Frame.is_current)
        .order_by(Frame.id.desc())
        .limit(MOST_WAITING)
    )
    setup = (Frame.camera, Frame.wavmode, Frame.slit, Frame.xbin, Frame.ybin)
    makeshift = session.execute(
        select(*setup, func.count(func.coalesce(Frame.original_id, Frame.id).distinct()))
        .where(*tonight, Frame.data_type >= 2, Frame.is_current, Frame.provisional)
        .group_by(*setup)
        .order_by(*setup)
    )
    return Night(
        night=chosen,
        nights=nights,
        count=sum(one.count for one in standing),
        standing=standing,
        waiting=[FileModel.of(frame) for frame in waiting],
        missing=[Missing(text=text, count=count) for text, count in missing],
        masters=[FileModel.of(frame) for frame in masters],
        pointing=[FileModel.of(frame) for frame in pointing],
        makeshift=[
            Makeshift(camera=camera, wavmode=mode, slit=slit, binning=f"{x}x{y}", count=count)
            for camera, mode, slit, x, y, count in makeshift
        ],
    )
