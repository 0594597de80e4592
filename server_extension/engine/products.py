"""From what a block reports to rows of the catalogue: products, inputs, versions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update

from goodman_live.hub.accounts.models import utc_now
from goodman_live.hub.accounts.proposals import CALIBRATE
from goodman_live.pipeline.products.fits import read_header_text
from goodman_live.server_extension.catalogue.facts import copy_facts
from goodman_live.server_extension.catalogue.models import Frame, HeaderCards, Job, ProductInput
from goodman_live.server_extension.engine import jobs, latency
from goodman_live.server_extension.engine.blocks import (
    ACQUISITION,
    BLOCKS,
    FOCUS,
    GROWING,
    MASTERS,
    ROLES,
)
from goodman_live.server_extension.engine.drafts import next_version
from goodman_live.server_extension.engine.events import frame_event

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

TEXT = ".ecsv"
"""Ending of products that are tables of text."""
EXTRACTED = 3
"""Data type of the first product with a target."""


def header_text(path: Path) -> str:
    """Return the header of a file as the catalogue keeps it; a table of text has none."""
    if path.suffix == TEXT:
        return ""
    return read_header_text(path)


def record_products(
    session: Session, job: Job, report: dict[str, Any], headers: dict[str, str]
) -> list[Frame]:
    """Add the products of a finished job, make them current, and tell.

    Parameters
    ----------
    report : dict
        What `work.run_order` handed back.
    headers : dict
        Header text by path, read before the transaction began.
    """
    result = report["result"]
    inputs = _inputs(session, job)
    made = [
        _record(session, job, report, product, number, inputs)
        for number, product in enumerate(result["products"], 1)
    ]
    for frame in made:
        session.add(HeaderCards(frame_id=frame.id, text=headers.get(frame.full_path, "")))
    _supersede(session, job, made)
    for frame in made:
        frame_event(session, "product.made", frame, block=job.block, version=frame.version)
    _stamp(session, job)
    return made


def _inputs(session: Session, job: Job) -> dict[str, list[Frame]]:
    wanted = job.spec["inputs"]
    ids = {number for numbers in wanted.values() for number in numbers}
    rows = {row.id: row for row in session.scalars(select(Frame).where(Frame.id.in_(ids)))}
    return {role: [rows[i] for i in numbers if i in rows] for role, numbers in wanted.items()}


def _record(
    session: Session,
    job: Job,
    report: dict[str, Any],
    product: dict[str, Any],
    number: int,
    inputs: dict[str, list[Frame]],
) -> Frame:
    parent = inputs[BLOCKS[job.block].main][0]
    path = Path(product["path"])
    frame = _row_for(session, job, path)
    copy_facts(parent, frame)
    frame.data_type = int(product["data_type"])
    frame.owner_id = job.owner_id
    frame.size = path.stat().st_size
    frame.checksum = product["sha256"]
    frame.role = str(product.get("role") or "")[:16]
    frame.quality = dict(product["quality"])
    frame.target = _target(job, parent, product, number, len(report["result"]["products"]))
    frame.block, frame.job_id, frame.state = job.block, job.id, "done"
    frame.provisional, frame.grade = bool(job.spec["provisional"]), job.spec["grade"]
    frame.settings, frame.versions = job.spec["settings"], report["versions"]
    frame.timing = {"block": report["result"]["seconds"], "worker": report["seconds"]}
    frame.messages = list(report["result"]["messages"])
    frame.normalized = job.block == "build_master_flat"
    if job.block in MASTERS:
        frame.version = job.version
        _share(frame, inputs[BLOCKS[job.block].main])
    else:
        frame.original_id, frame.original_name = parent.original_file_id, parent.original_file
        frame.parent_id, frame.parent_name = parent.id, parent.file_name
        frame.version = next_version(
            session, parent.original_file_id, frame.data_type, frame.target, frame.role
        )
    session.add(frame)
    session.flush()
    _remember_inputs(session, job, frame, inputs)
    return frame


def _share(frame: Frame, raws: list[Frame]) -> None:
    """Take off a master what tells of its raw frames: everybody sees it, and not them.

    Flats are taken where the target of a proposal is, and named as observers like.
    """
    for raw in raws:
        told = f"raw frame {raw.id}"
        frame.messages = [text.replace(raw.file_name, told) for text in frame.messages]
    frame.proposal_id = CALIBRATE
    frame.object_name = frame.kind.upper()
    frame.obsra = frame.obsdec = ""
    frame.ra_deg = frame.dec_deg = frame.airmass = frame.posangle = None
    frame.observation_id = frame.configuration_id = frame.block_id = None


def _row_for(session: Session, job: Job, path: Path) -> Frame:
    """Return a new row, or the one that the same job made in an earlier try."""
    again = session.scalar(
        select(Frame).where(
            Frame.directory_name == str(path.parent),
            Frame.file_name == path.name,
            Frame.job_id == job.id,
        )
    )
    return again or Frame(
        file_name=path.name, directory_name=str(path.parent), is_current=True, created=utc_now()
    )


def _target(
    job: Job, parent: Frame, product: dict[str, Any], number: int, count: int
) -> int | None:
    if int(product["data_type"]) < EXTRACTED:
        return None
    if job.block != "extract":
        return parent.target
    told = product["quality"].get("target")
    return told if isinstance(told, int) and told > 0 else min(number, count)


def _remember_inputs(
    session: Session, job: Job, frame: Frame, inputs: dict[str, list[Frame]]
) -> None:
    main = BLOCKS[job.block].main
    for role, rows in inputs.items():
        name = {"raws": "raw", "arcs": "arc"}.get(role, role)
        for row in rows:
            session.add(
                ProductInput(
                    frame_id=frame.id,
                    input_id=row.id,
                    role=name,
                    file_name=row.file_name,
                    checksum=row.checksum or "",
                    grade="" if role == main else row.grade,
                    reasons=list(job.spec["reasons"].get(role, ())),
                )
            )


def _supersede(session: Session, job: Job, made: list[Frame]) -> None:
    """Make these products the current ones in place of what they replace.

    A job that was asked for earlier may end later, after a restart or on a slow worker. What is
    current follows the order of asking, not of ending: then these are an old version at once.
    """
    if not made:
        return
    rivals = _rivals(session, job, made)
    first = made[0]
    asked = session.scalars(
        select(Job).join(Frame, Frame.job_id == Job.id).where(*rivals, _same_step(first))
    )
    if any(jobs.rank_of(other) > jobs.rank_of(job) for other in asked):
        for frame in made:
            frame.is_current = False
        return
    session.execute(
        update(Frame)
        .where(*rivals)
        .values(is_current=False)
        .execution_options(synchronize_session="fetch")
    )


def _same_step(first: Frame) -> ColumnElement[bool]:
    return Frame.data_type == first.data_type


def _rivals(session: Session, job: Job, made: list[Frame]) -> list[ColumnElement[bool]]:
    """Return what the frames meet that are current now and that `made` replace."""
    first, ids = made[0], [frame.id for frame in made]
    where: list[Any] = [
        Frame.id.not_in(ids),
        Frame.is_current,
        Frame.data_type >= first.data_type,
    ]
    if job.owner_id is None:
        where.append(Frame.owner_id.is_(None))
    else:
        where.append(Frame.owner_id == job.owner_id)
    if job.block in MASTERS:
        where += [Frame.id.in_(_made_for(session, job.group)), Frame.data_type == 1]
    elif job.block in GROWING:
        sequence = _made_for(session, job.group)
        if job.block == FOCUS.name:  # earlier frames may come later: then the run begins anew
            again = select(Frame.id).where(Frame.original_id == first.original_id)
            sequence += session.scalars(again).all()
        where += [Frame.id.in_(sequence), Frame.role == ROLES[job.block]]
    elif job.block in ROLES:
        where += [
            Frame.original_id == first.original_id,
            Frame.role == ROLES[job.block],
            Frame.data_type == first.data_type,
        ]
    elif job.block in {"reduce", "extract"}:
        where += [Frame.original_id == first.original_id, _replaced_by(first, made)]
    else:
        where += [
            Frame.original_id == first.original_id,
            Frame.data_type == first.data_type,
            # These are made again when this has replaced their input.
            Frame.role.not_in(frozenset(ROLES.values())),
            Frame.target.is_(None) if first.target is None else Frame.target == first.target,
        ]
    return where


def _made_for(session: Session, group: str) -> list[int]:
    """Return what the jobs of a group made: found first, by their indexes alone."""
    query = select(Frame.id).join(Job, Frame.job_id == Job.id).where(Job.group == group)
    return list(session.scalars(query))


def _replaced_by(first: Frame, made: list[Frame]) -> Any:
    """Products of the same step, and later ones of targets that there are no longer.

    Later products of a target that is still there stay current until their own new version
    comes: a page is never left without a spectrum.
    """
    same = Frame.data_type == first.data_type
    if first.data_type < EXTRACTED:
        return same
    targets = [frame.target for frame in made if frame.target is not None]
    return or_(same, Frame.target.not_in(targets))


def _stamp(session: Session, job: Job) -> None:
    raw = session.get(Frame, job.original_id) if job.original_id else None
    if raw is not None and job.user_id is None:
        latency.stamp(session, raw, job.block)


def read_headers(report: dict[str, Any]) -> dict[str, str]:
    """Return the header text of each product that a report names, by path."""
    products = report["result"]["products"]
    return {str(Path(p["path"])): header_text(Path(p["path"])) for p in products}


def discard(report: dict[str, Any]) -> None:
    """Remove the files of a job that was cancelled while it ran."""
    for product in report.get("result", {}).get("products", ()):
        Path(product["path"]).unlink(missing_ok=True)


def is_replaced(session: Session, job: Job) -> bool:
    """Tell whether another run of the same block took the place of what a job made."""
    made = [
        frame for frame in jobs.products_of(session, job) if frame.role in {"", *ROLES.values()}
    ]
    if not made or all(frame.is_current for frame in made):
        return False
    if job.block == ACQUISITION.name:
        return True  # it went with the reduced frame that it was made of, and that is back
    rivals = (*_rivals(session, job, made), _same_step(made[0]), Frame.block == job.block)
    return session.scalar(select(Frame.id).where(*rivals).limit(1)) is not None


def make_current(session: Session, job: Job) -> list[Frame]:
    """Make the products of a job that is done the current ones again: equal work was asked for."""
    made = jobs.products_of(session, job)
    jobs.ask_again(session, job)
    for frame in made:
        frame.is_current = True
    session.flush()
    _supersede(session, job, [frame for frame in made if not frame.role] or made)
    for frame in made:
        frame_event(session, "frame.changed", frame, is_current=True)
    return made


def remove_product(session: Session, frame: Frame) -> Path:
    """Take a product out of the catalogue, and return the path that may be deleted then.

    The version before it becomes current, if it was.
    """
    path = frame.path
    frame_event(session, "product.removed", frame)
    if frame.is_current:
        _promote_older(session, frame)
    session.delete(frame)
    return path


def _promote_older(session: Session, frame: Frame) -> None:
    older = session.scalar(
        select(Frame)
        .where(
            Frame.id != frame.id,
            Frame.data_type == frame.data_type,
            Frame.original_id == frame.original_id,
            Frame.original_id.is_not(None),
            Frame.target.is_(None) if frame.target is None else Frame.target == frame.target,
            Frame.owner_id.is_(None)
            if frame.owner_id is None
            else Frame.owner_id == frame.owner_id,
            Frame.role == frame.role,
            Frame.version < frame.version,
        )
        .order_by(Frame.version.desc())
        .limit(1)
    )
    if older is not None and os.path.exists(older.full_path):  # noqa: PTH110 (one stat)
        older.is_current = True
        frame_event(session, "frame.changed", older, is_current=True)
