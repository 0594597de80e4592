"""Letters that wait in the database: asked for, claimed by one sender, sent or tried again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from goodman_live.hub.accounts.models import OutgoingMail, User, utc_now
from goodman_live.hub.mail.letters import Kind

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LEASE = timedelta(minutes=5)
"""A letter whose sender died is tried again after this."""
FIRST_PAUSE = timedelta(seconds=30)
"""Pause after the first failure; each next one is twice as long."""
LONGEST_PAUSE = timedelta(hours=2)
TRIES = 30
"""Tries until a letter is given up: about two days."""
KEPT = timedelta(days=30)
"""How long is known that a letter was sent or given up."""
RESET_PAUSE = timedelta(minutes=5)
"""One letter about a forgotten password in this time, however often it is asked for."""
CHOICES: dict[Kind, tuple[str, bool]] = {
    Kind.ADDED: ("added_to_proposal", True),
    Kind.FAILED: ("failed_job", False),
    Kind.PRODUCT: ("new_product", False),
}
"""Kinds that a user may choose: their name in ``User.notifications``, and the default."""


def choices_of(user: User) -> dict[str, bool]:
    """Return by name which letters `user` has chosen, defaults included."""
    kept = user.notifications or {}
    return {name: bool(kept.get(name, usual)) for name, usual in CHOICES.values()}


def wants(user: User, kind: Kind) -> bool:
    """Tell whether `user` is to be sent letters of `kind`."""
    if not user.is_active:
        return False
    return kind not in CHOICES or choices_of(user)[CHOICES[kind][0]]


def ask_for(session: Session, user: User, kind: Kind, **values: Any) -> OutgoingMail | None:
    """Put a letter into the queue, to be committed by the caller; None if it is not wanted."""
    if not wants(user, kind):
        return None
    letter = OutgoingMail(user_id=user.id, kind=kind.value, data=values)
    session.add(letter)
    return letter


def ask_for_password_link(session: Session, user: User) -> bool:
    """Put a letter for a forgotten password into the queue and commit, unless one just went.

    Who never had a password is invited again.
    """
    kind = Kind.RESET if user.password_hash else Kind.INVITATION
    recent = select(OutgoingMail.id).where(
        OutgoingMail.user_id == user.id,
        OutgoingMail.kind == kind.value,
        OutgoingMail.created > utc_now() - RESET_PAUSE,
    )
    due = session.scalar(recent) is None
    if due:
        ask_for(session, user, kind)
    session.commit()
    return due


def is_due(session: Session) -> bool:
    """Tell, reading only, whether a letter waits to be sent now."""
    due = select(OutgoingMail.id).where(
        OutgoingMail.state == "waiting", OutgoingMail.next_try <= utc_now()
    )
    return session.scalar(due.limit(1)) is not None


def claim(session: Session, now: datetime | None = None) -> OutgoingMail | None:
    """Return a letter that is due, ours alone for `LEASE`, and commit; None if none is."""
    now = now or utc_now()
    while True:
        due = session.scalar(
            select(OutgoingMail)
            .where(OutgoingMail.state == "waiting", OutgoingMail.next_try <= now)
            .order_by(OutgoingMail.next_try, OutgoingMail.id)
            .limit(1)
        )
        if due is None:
            session.rollback()
            return None
        # Another sender may take it at this moment: only one of us changes the number of tries.
        mine = session.scalar(
            update(OutgoingMail)
            .where(OutgoingMail.id == due.id, OutgoingMail.tries == due.tries)
            .where(OutgoingMail.state == "waiting")
            .values(tries=due.tries + 1, next_try=now + LEASE)
            .returning(OutgoingMail.id)
            .execution_options(synchronize_session=False)
        )
        session.commit()
        session.expire_all()
        if mine is not None:
            return session.get(OutgoingMail, mine)


def note_sent(session: Session, letter: OutgoingMail) -> None:
    """Remember that a letter is sent, and no longer what it said; commit."""
    letter.state, letter.data, letter.error = "sent", {}, ""
    session.commit()


def note_failure(
    session: Session, letter: OutgoingMail, reason: str, *, lasting: bool = False
) -> None:
    """Let a letter wait for its next try, or give it up; commit."""
    letter.error = reason[:500]
    if lasting or letter.tries >= TRIES:
        letter.state, letter.data = "failed", {}
    else:
        pause = FIRST_PAUSE * 2 ** min(letter.tries - 1, 16)
        letter.next_try = utc_now() + min(pause, LONGEST_PAUSE)
    session.commit()


def forget_old(session: Session) -> None:
    """Remove what was sent or given up long ago; commit."""
    old = OutgoingMail.created < utc_now() - KEPT
    session.execute(delete(OutgoingMail).where(OutgoingMail.state != "waiting", old))
    session.commit()
