"""What people ask for: a block on a frame, checked against permission, as a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from goodman_live.pipeline.core.errors import SettingsError
from goodman_live.pipeline.core.info import Kind
from goodman_live.server_extension.catalogue.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
)
from goodman_live.server_extension.catalogue.models import LIVE_STATES, Frame, Job
from goodman_live.server_extension.catalogue.permission import may_change, visible_to
from goodman_live.server_extension.engine import drafts, fluxes, jobs, pointing, products, stacks
from goodman_live.server_extension.engine.blocks import (
    ACQUISITION,
    BLOCKS,
    EXTRACT,
    FLUX,
    FOCUS,
    FRAME_STACK,
    MASTERS,
    REDUCE,
    STACKS,
    WAVELENGTH,
    Block,
    is_available,
)
from goodman_live.server_extension.engine.draft import CODE_VERSION
from goodman_live.server_extension.engine.priority import INTERACTIVE
from goodman_live.server_extension.engine.triggers import out_dir

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer
    from goodman_live.server_extension.engine.draft import Draft


def request_job(
    session: Session,
    block_name: str,
    frame_id: int,
    *,
    product_root: Path,
    user: Viewer,
    overrides: Mapping[str, Any] | None = None,
    apertures: Sequence[Mapping[str, Any]] | None = None,
    priority: int = INTERACTIVE,
) -> Job:
    """Queue a block for a person, or return the job of equal work.

    A frame of another step of the same family is taken for the one that the block needs: to
    extract from a raw frame means from its current reduced one. A run on what the user may see
    but not change makes a private version.

    Raises
    ------
    NotFoundError
        If there is no such frame, or `user` may not see it.
    SettingsError
        If there is no such block or a setting is not accepted.
    ConflictError
        If the family has no frame that the block runs on.
    MissingCalibrationError
        If no arc or too few frames are there.
    ForbiddenError
        If `user` asks for a master that all share.
    """
    block = known_block(block_name)
    frame = session.scalar(select(Frame).where(Frame.id == frame_id, visible_to(user)))
    if frame is None:
        raise NotFoundError(f"There is no file of id {frame_id}.", field="id")
    draft = _draft(session, block, _input(session, block, frame, user), overrides, apertures)
    asker = _asker(session, user, draft)
    equal = jobs.find_equal(session, draft, asker)
    if equal is not None and equal.state in LIVE_STATES:
        equal.priority = min(equal.priority, priority)
        return equal
    if equal is not None and equal.state == "done" and equal.code_version == CODE_VERSION:
        products.make_current(session, equal)
        return equal
    return jobs.enqueue(
        session,
        draft,
        out_dir=out_dir(product_root, draft.frame),
        priority=priority,
        asker=asker,
    )


def known_block(name: str) -> Block:
    """Return the block of this name.

    Raises
    ------
    SettingsError
        If there is none, or it is not part of this installation.
    """
    block = BLOCKS.get(name)
    if block is None or not is_available(block):
        there = ", ".join(block.name for block in BLOCKS.values() if is_available(block))
        raise SettingsError(f"There is no block '{name}'.", remedy=f"Known: {there}.")
    return block


def _asker(session: Session, user: Viewer, draft: Draft) -> jobs.Asker:
    user_id = user.user_id or None
    if draft.block.name in MASTERS:
        if not user.sees_all:
            return jobs.Asker(user_id, user_id)
        return jobs.Asker(user_id)
    if draft.frame.owner_id is not None:
        return jobs.Asker(user_id, draft.frame.owner_id)
    return jobs.Asker(user_id, None if may_change(session, user, draft.frame) else user_id)


def _draft(
    session: Session,
    block: Block,
    frame: Frame,
    overrides: Mapping[str, Any] | None,
    apertures: Sequence[Mapping[str, Any]] | None,
) -> Draft:
    if apertures is not None and block is not EXTRACT:
        raise SettingsError(f"Block '{block.name}' takes no apertures.", field="apertures")
    if block.name in MASTERS:
        return drafts.draft_master(session, frame, overrides)
    if block is EXTRACT:
        return drafts.draft_extract(session, frame, overrides, apertures)
    if block in {*STACKS, FRAME_STACK}:
        return stacks.draft_stack(session, block, frame, overrides)
    draft = {
        REDUCE: drafts.draft_reduce,
        WAVELENGTH: drafts.draft_wavelength,
        FLUX: fluxes.draft_flux,
        FOCUS: pointing.draft_focus,
        ACQUISITION: pointing.draft_acquisition,
    }.get(block)
    if draft is not None:
        return draft(session, frame, overrides)
    return drafts.draft_other(session, block, frame, overrides)


def _input(session: Session, block: Block, frame: Frame, user: Viewer) -> Frame:
    """Return the frame of the family of `frame` that the block runs on."""
    if block.name in MASTERS:
        wanted = Kind.BIAS if block.name == "build_master_bias" else Kind.FLAT
        if frame.data_type == 0 and frame.kind == wanted:
            return frame
        raise ConflictError(
            f"{frame.file_name} is no raw {wanted} frame.", remedy=f"Give a raw {wanted} frame."
        )
    if frame.data_type == block.takes and not frame.role:
        return frame
    found = session.scalar(
        select(Frame)
        .where(
            visible_to(user),
            Frame.data_type == block.takes,
            Frame.role == "",
            Frame.is_current,
            (Frame.id == frame.original_file_id)
            if block.takes == 0
            else (Frame.original_id == frame.original_file_id),
            *_same_target(frame, block),
        )
        .order_by(Frame.owner_id.is_(None), Frame.target, Frame.id)
        .limit(1)
    )
    if found is None:
        raise ConflictError(
            f"{frame.file_name} has no frame for the block '{block.name}'.",
            remedy="Run the step before it first.",
            field="id",
        )
    return found


def _same_target(frame: Frame, block: Block) -> list[Any]:
    if frame.target is None or block.takes < products.EXTRACTED:
        return []
    return [Frame.target == frame.target]


def delete_product(session: Session, frame: Frame, user: Viewer) -> Path:
    """Take a product out of the catalogue for a person; return the file to delete.

    Raises
    ------
    ForbiddenError
        If it is a raw frame, or not theirs to change.
    """
    if frame.data_type == 0:
        raise ForbiddenError(f"{frame.file_name} is a raw frame: raw frames are never deleted.")
    if not may_change(session, user, frame):
        raise ForbiddenError(f"{frame.file_name} is not yours to delete.")
    return products.remove_product(session, frame)
