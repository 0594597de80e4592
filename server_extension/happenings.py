"""What happens in the catalogue, into letters for those who chose them.

Events are read in their order, each once: the mark and the letters change in one transaction. New
products and failed jobs of a proposal are gathered into one waiting letter for each of its people;
it is written when it is sent, of what its reader may see then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, or_, select

from goodman_live.hub.accounts.models import (
    MailMark,
    OutgoingMail,
    Proposal,
    User,
    collaborators,
    utc_now,
)
from goodman_live.hub.mail.letters import Kind
from goodman_live.hub.mail.queue import wants
from goodman_live.server_extension.catalogue.activity import Event
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.permission import proposals_of, visible_to
from goodman_live.server_extension.catalogue.viewer import Viewer
from goodman_live.server_extension.catalogue.work import Job

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

AT_ONCE = 2000
"""Events of one look."""
MOST_GATHERED = 1000
"""Frames or jobs of one letter; what comes beyond is counted on the pages."""
MOST_NAMED = 40
"""Of which so many are named."""
STEPS = {
    1: "master calibrations",
    2: "reduced frames",
    3: "extracted spectra",
    4: "wavelength-calibrated spectra",
    5: "flux-calibrated spectra",
}


def something_happened(session: Session) -> bool:
    """Tell, reading only, whether there are events that were not looked at."""
    mark = session.get(MailMark, 1)
    newest = session.scalar(select(func.max(Event.id))) or 0
    return mark is None or newest > mark.last_event


def gather(session: Session, wait_s: float) -> None:
    """Put what happened into letters that wait; the caller commits.

    Parameters
    ----------
    session : Session
        One that writes.
    wait_s : float
        Seconds for which a letter waits for more of the same.
    """
    mark = session.get(MailMark, 1, with_for_update=True)
    if mark is None:
        # What happened before anybody could choose letters is told to nobody.
        newest = session.scalar(select(func.max(Event.id))) or 0
        session.add(MailMark(id=1, last_event=newest))
        return
    events = session.scalars(
        select(Event).where(Event.id > mark.last_event).order_by(Event.id).limit(AT_ONCE)
    ).all()
    if not events:
        return
    mark.last_event = events[-1].id
    for (soar_id, owner_id, kind), numbers in _sorted(events).items():
        for user in _readers(session, soar_id, owner_id, kind):
            _add(session, user, kind, soar_id, numbers, wait_s)


def _sorted(events: Any) -> dict[tuple[str, int | None, Kind], list[int]]:
    """Return numbers of frames or jobs by proposal, owner of a private version, and kind."""
    found: dict[tuple[str, int | None, Kind], list[int]] = defaultdict(list)
    for event in events:
        if not event.proposal_id:
            continue
        if event.kind == "product.made" and event.frame_id:
            found[event.proposal_id, event.owner_id, Kind.PRODUCT].append(event.frame_id)
        elif event.kind == "job.changed" and event.data.get("state") == "failed" and event.job_id:
            found[event.proposal_id, event.owner_id, Kind.FAILED].append(event.job_id)
    return found


def _readers(session: Session, soar_id: str, owner_id: int | None, kind: Kind) -> list[User]:
    members = select(collaborators.c.user_id).join(
        Proposal, Proposal.id == collaborators.c.proposal_id
    )
    leader = select(Proposal.pi_id).where(Proposal.soar_id == soar_id)
    query = select(User).where(
        User.is_active,
        or_(User.id.in_(leader), User.id.in_(members.where(Proposal.soar_id == soar_id))),
    )
    if owner_id is not None:
        query = query.where(User.id == owner_id)
    return [user for user in session.scalars(query.order_by(User.id)) if wants(user, kind)]


def _add(
    session: Session, user: User, kind: Kind, soar_id: str, numbers: list[int], wait_s: float
) -> None:
    letter = session.scalar(
        select(OutgoingMail)
        .where(
            OutgoingMail.user_id == user.id,
            OutgoingMail.kind == kind.value,
            OutgoingMail.about == soar_id,
            OutgoingMail.state == "waiting",
            OutgoingMail.tries == 0,  # nobody is sending it
        )
        .limit(1)
        .with_for_update()
    )
    if letter is None:
        due = utc_now() + timedelta(seconds=wait_s)
        letter = OutgoingMail(user_id=user.id, kind=kind.value, about=soar_id, next_try=due)
        letter.data = {"proposal": soar_id, "ids": []}
        session.add(letter)
    ids = list(dict.fromkeys([*letter.data["ids"], *numbers]))[:MOST_GATHERED]
    letter.data = {**letter.data, "ids": ids}
    session.flush()


def tell(session: Session, letter: OutgoingMail, user: User) -> dict[str, Any] | None:
    """Return what a gathered letter says to its reader now; None if there is nothing left.

    A reader who is no longer a member is told nothing, not even of what is public.
    """
    viewer = Viewer(user.id, user.username)  # as a member, whatever else they may be
    ids = letter.data.get("ids", [])
    if letter.kind == Kind.PRODUCT:
        said = _products(session, viewer, ids)
    else:
        said = _failures(session, viewer, ids)
    return {"proposal": letter.about, **said} if said else None


def _products(session: Session, viewer: Viewer, ids: list[int]) -> dict[str, Any] | None:
    rows = session.execute(
        select(Frame.data_type, Frame.file_name, Frame.object_name)
        .where(
            Frame.id.in_(ids),
            Frame.role == "",
            Frame.is_current,
            Frame.proposal_id.in_(proposals_of(viewer)),
            visible_to(viewer, Frame),
        )
        .order_by(Frame.id)
    ).all()
    if not rows:
        return None
    steps = Counter(row.data_type for row in rows)
    counts = ", ".join(
        f"{count} {STEPS.get(step, 'files')}" for step, count in sorted(steps.items())
    )
    lines = [f"{row.file_name}  ({row.object_name})" for row in rows]
    return {"count": len(rows), "summary": counts, "lines": _shortened(lines)}


def _failures(session: Session, viewer: Viewer, ids: list[int]) -> dict[str, Any] | None:
    rows = session.execute(
        select(Job.block, Job.error, Frame.file_name)
        .outerjoin(Frame, Frame.id == Job.frame_id)
        .where(
            Job.id.in_(ids),
            Job.state == "failed",
            Job.proposal_id.in_(proposals_of(viewer)),
            visible_to(viewer, Job),
        )
        .order_by(Job.id)
    ).all()
    if not rows:
        return None
    lines = [
        f"{row.block} of {row.file_name or 'a file'}: {(row.error or {}).get('message', '')}"
        for row in rows
    ]
    return {"count": len(rows), "summary": "", "lines": _shortened(lines)}


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_NAMED
    return [*lines[:MOST_NAMED], f"... and {more} more"] if more > 0 else lines
