"""``/api/proposals/settings/<id>/preview/``: what a change of settings would redo, said before it.

Each block is shaped by some of the settings (`engine.blocks.SHAPING`); what follows from a block
is made again with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from sqlalchemy import func, select

from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.engine import blocks
from goodman_live.server_extension.engine.triggers import REDUCED
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.people import get_proposal
from goodman_live.server_extension.schemas import Answer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.hub.accounts.models import Proposal
    from goodman_live.server_extension.catalogue.viewer import Viewer

CHAIN = (blocks.REDUCE, blocks.EXTRACT, blocks.WAVELENGTH, blocks.FLUX)
"""Blocks in the order in which one follows from the other."""
WORDS = {
    blocks.REDUCE.name: "reduced frames",
    blocks.EXTRACT.name: "extracted spectra",
    blocks.WAVELENGTH.name: "wavelength-calibrated spectra",
    blocks.FLUX.name: "flux-calibrated spectra",
}


class ChangedSetting(Answer):
    """One setting that would change."""

    name: str
    before: Any
    after: Any


class RedoneStep(Answer):
    """One step that would be done again."""

    block: str
    products: int = Field(description="Current products of the proposal, made again at most.")


class SettingsPreview(Answer):
    """What a change would redo."""

    changed: list[ChangedSetting]
    steps: list[RedoneStep] = Field(description="First to last; empty if nothing is redone.")
    frames: int = Field(description="Raw frames that would be looked at again.")
    message: str = Field(description="The same in a sentence, for the page.")


class SettingsPreviewHandler(ApiHandler):
    """Before settings are applied."""

    @operation(
        id="api_proposals_settings_preview_create",
        summary="What a change of settings would redo",
        tag="proposals",
        body=ReductionSettings,
        answer=SettingsPreview,
        description="Changes nothing. PUT applies it, with `?redo=true` to what is there, too.",
    )
    async def post(self, id: int, body: ReductionSettings) -> SettingsPreview:  # noqa: A002
        """Say what would be redone."""
        return await self.backend.read(preview, self.viewer, id, body)


def preview(
    session: Session, viewer: Viewer, proposal_id: int, wanted: ReductionSettings
) -> SettingsPreview:
    """Return what applying `wanted` would redo."""
    proposal = get_proposal(session, viewer, proposal_id)
    before = ReductionSettings(**(proposal.settings or {})).model_dump(mode="json")
    after = wanted.model_dump(mode="json")
    changed = [
        ChangedSetting(name=name, before=before[name], after=value)
        for name, value in after.items()
        if before[name] != value
    ]
    steps = _steps(session, proposal, {one.name for one in changed})
    frames = len(raws_of(session, proposal)) if steps else 0
    return SettingsPreview(
        changed=changed, steps=steps, frames=frames, message=_sentence(changed, steps)
    )


def _steps(session: Session, proposal: Proposal, names: set[str]) -> list[RedoneStep]:
    everything = frozenset(ReductionSettings.model_fields)
    steps, touched = [], False
    for block in CHAIN:
        touched = touched or bool(names & blocks.SHAPING.get(block.name, everything))
        if not touched:
            continue
        count = session.scalar(
            select(func.count())
            .select_from(Frame)
            .where(
                Frame.proposal_id == proposal.soar_id,
                Frame.block == block.name,
                Frame.is_current,
                Frame.role == "",
                Frame.owner_id.is_(None),
            )
        )
        if count:
            steps.append(RedoneStep(block=block.name, products=count))
    return steps


def raws_of(session: Session, proposal: Proposal) -> list[int]:
    """Return the raw frames of a proposal that are reduced by themselves."""
    return list(
        session.scalars(
            select(Frame.id)
            .where(
                Frame.proposal_id == proposal.soar_id,
                Frame.data_type == 0,
                Frame.is_current,
                Frame.kind.in_(REDUCED),
            )
            .order_by(Frame.id.desc())
        )
    )


def _sentence(changed: list[ChangedSetting], steps: list[RedoneStep]) -> str:
    if not changed:
        return "Nothing changes."
    if not steps:
        return "Nothing that is made already would be made again; new frames use the settings."
    what = [f"{step.products} {WORDS[step.block]}" for step in steps]
    listed = what[0] if len(what) == 1 else f"{', '.join(what[:-1])} and {what[-1]}"
    return (
        f"To redo what is there makes new versions of {listed}; the old ones stay. Without it,"
        " they are made again only when a better master or arc arrives."
    )
