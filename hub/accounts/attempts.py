"""Sign-in attempts: each failure slows the next one, and many lock the name for a while.

Names are counted as typed, whether an account exists or not, so that a lock tells nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from goodman_live.hub.accounts.models import SignInAttempts, utc_now

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

FREE_FAILURES = 3
"""Failures in a row that cost nothing: anyone mistypes."""
LOCK_FAILURES = 10
"""Failures in a row that lock the name."""
LOCK_TIME = timedelta(minutes=15)
"""How long a name stays locked."""
FORGET_AFTER = timedelta(hours=24)
"""A failure older than this no longer counts."""
MAX_DELAY_S = 8.0
"""Longest wait before an answer, seconds."""


def _key(name: str) -> str:
    # PostgreSQL takes no NUL in a text.
    return name.replace("\0", "").strip().lower()[:64]


def _recent(session: Session, name: str, now: datetime) -> SignInAttempts | None:
    row = session.get(SignInAttempts, _key(name), with_for_update=True)
    return row if row is not None and now - row.last_failure < FORGET_AFTER else None


def delay_s(session: Session, name: str, now: datetime | None = None) -> float:
    """Return the seconds to wait before the next attempt on `name` is answered."""
    row = _recent(session, name, now or utc_now())
    if row is None or row.failures < FREE_FAILURES:
        return 0.0
    return float(min(MAX_DELAY_S, 2.0 ** (row.failures - FREE_FAILURES) / 2.0))


def locked_until(session: Session, name: str, now: datetime | None = None) -> datetime | None:
    """Return when `name` may be tried again, or None if now."""
    now = now or utc_now()
    row = session.get(SignInAttempts, _key(name))
    if row is None or row.locked_until is None or row.locked_until <= now:
        return None
    return row.locked_until


def note_failure(session: Session, name: str, now: datetime | None = None) -> int:
    """Count one failed attempt and commit; return how many in a row there were."""
    now = now or utc_now()
    row = _recent(session, name, now)
    if row is None:
        row = _begin(session, name, now)
    row.failures += 1
    row.last_failure = now
    if row.failures >= LOCK_FAILURES:
        row.locked_until = now + LOCK_TIME
    session.commit()
    return row.failures


def _begin(session: Session, name: str, now: datetime) -> SignInAttempts:
    """Return a row that counts from zero, also when another process makes it at this moment."""
    row = session.get(SignInAttempts, _key(name))
    if row is None:
        try:
            with session.begin_nested():
                session.add(SignInAttempts(name=_key(name), failures=0, last_failure=now))
        except IntegrityError:
            session.expire_all()
        row = session.get_one(SignInAttempts, _key(name), with_for_update=True)
    else:
        row.failures = 0
        row.locked_until = None
    return row


def note_success(session: Session, name: str) -> None:
    """Forget the failures of `name`, and everybody's that are too old to count."""
    old = utc_now() - FORGET_AFTER
    session.execute(delete(SignInAttempts).where(SignInAttempts.name == _key(name)))
    session.execute(delete(SignInAttempts).where(SignInAttempts.last_failure < old))
    session.commit()
