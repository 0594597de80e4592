"""Sign-in attempts: each failure slows the next one, and many lock, without locking anybody out.

Three things are counted. Failures on one name from one address lock that pair: whoever guesses
somebody's password from afar locks out himself and not the owner. Failures from one address on
whatever names lock the address. Failures on one name from everywhere lock the name for addresses
from which its owner never signed in: many machines guessing together get no further either.

Names are counted as typed, whether an account exists or not, so that a lock tells nothing.
"""

from __future__ import annotations

import hashlib
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
"""Failures in a row on a name from one address that lock the two."""
ADDRESS_FAILURES = 50
"""Failures from one address, on any names, that lock it."""
NAME_FAILURES = 100
"""Failures on one name, from any addresses, that lock it for addresses it never came from."""
LOCK_TIME = timedelta(minutes=15)
"""How long a lock lasts."""
FORGET_AFTER = timedelta(hours=24)
"""A failure older than this no longer counts; of an address, an hour."""
ADDRESS_FORGET_AFTER = timedelta(hours=1)
KNOWN_FOR = timedelta(days=90)
"""How long an address counts as one that a name came from."""
MAX_DELAY_S = 8.0
"""Longest wait before an answer, seconds."""

PAIR, ADDRESS, NAME, KNOWN, FORGOTTEN = "p:", "a:", "n:", "k:", "f:"
"""What a row counts; the beginning of its key."""
_LIMITS = {PAIR: LOCK_FAILURES, ADDRESS: ADDRESS_FAILURES, NAME: NAME_FAILURES}
_MEMORY = {ADDRESS: ADDRESS_FORGET_AFTER, KNOWN: KNOWN_FOR}


def _key(kind: str, *parts: str) -> str:
    # Hashed: whatever is typed into the field of the name may be somebody's password. What
    # signing in leaves out of a name makes no other name of it here.
    words = "\n".join(part.replace("\0", "").strip().lower() for part in parts)
    return kind + hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:60]


def _keys(name: str, address: str) -> list[str]:
    """Return the keys of what an attempt counts for, always in this order."""
    keys = [_key(PAIR, name, address)]
    if address:
        keys.append(_key(ADDRESS, address))
    return [*keys, _key(NAME, name)]


def _recent(
    session: Session, key: str, now: datetime, *, lock: bool = False
) -> SignInAttempts | None:
    row = session.get(SignInAttempts, key, with_for_update=lock or None)
    memory = _MEMORY.get(key[:2], FORGET_AFTER)
    return row if row is not None and now - row.last_failure < memory else None


def _known(session: Session, name: str, address: str, now: datetime) -> bool:
    return bool(address) and _recent(session, _key(KNOWN, name, address), now) is not None


def delay_s(session: Session, name: str, address: str = "", now: datetime | None = None) -> float:
    """Return the seconds to wait before the next attempt on `name` from `address` is answered."""
    now = now or utc_now()
    pair = _recent(session, _key(PAIR, name, address), now)
    failures = pair.failures if pair else 0
    everywhere = _recent(session, _key(NAME, name), now)
    if everywhere and everywhere.failures >= NAME_FAILURES // 2:
        failures = failures if _known(session, name, address, now) else LOCK_FAILURES
    if failures < FREE_FAILURES:
        return 0.0
    return float(min(MAX_DELAY_S, 2.0 ** (failures - FREE_FAILURES) / 2.0))


def locked_until(
    session: Session, name: str, address: str = "", now: datetime | None = None
) -> datetime | None:
    """Return when `name` may be tried again from `address`, or None if now."""
    now = now or utc_now()
    locks = []
    for key in _keys(name, address):
        if key.startswith(NAME) and _known(session, name, address, now):
            continue
        locks.append(_lock_of(session, key, now))
    return max((until for until in locks if until), default=None)


def _lock_of(session: Session, key: str, now: datetime) -> datetime | None:
    row = session.get(SignInAttempts, key)
    if row is None or row.locked_until is None or row.locked_until <= now:
        return None
    return row.locked_until


def note_failure(
    session: Session, name: str, address: str = "", now: datetime | None = None
) -> int:
    """Count one failed attempt and commit; return how many in a row the pair has had."""
    now = now or utc_now()
    counts = [_count(session, key, _LIMITS[key[:2]], now) for key in _keys(name, address)]
    session.commit()
    return counts[0]


def may_ask(session: Session, address: str, now: datetime | None = None) -> bool:
    """Count one wish for a forgotten password and commit; False if there were too many."""
    now = now or utc_now()
    key = _key(FORGOTTEN, address)
    if _lock_of(session, key, now) is not None:
        return False
    _count(session, key, LOCK_FAILURES, now)
    session.commit()
    return True


def _count(session: Session, key: str, limit: int, now: datetime) -> int:
    row = _recent(session, key, now, lock=True) or _begin(session, key, now)
    row.failures += 1
    row.last_failure = now
    if row.failures >= limit:
        row.locked_until = now + LOCK_TIME
    return row.failures


def _begin(session: Session, key: str, now: datetime) -> SignInAttempts:
    """Return a row that counts from zero, also when another process makes it at this moment."""
    row = session.get(SignInAttempts, key)
    if row is None:
        try:
            with session.begin_nested():
                session.add(SignInAttempts(name=key, failures=0, last_failure=now))
        except IntegrityError:
            session.expire_all()
        row = session.get_one(SignInAttempts, key, with_for_update=True)
    else:
        row.failures = 0
        row.locked_until = None
    return row


def note_success(session: Session, name: str, address: str = "") -> None:
    """Forget the failures of `name`, remember the address, and let go of what is too old."""
    now = utc_now()
    forgotten = [_key(PAIR, name, address), _key(PAIR, name, ""), _key(NAME, name)]
    session.execute(delete(SignInAttempts).where(SignInAttempts.name.in_(forgotten)))
    if address:
        known = session.get(SignInAttempts, _key(KNOWN, name, address))
        if known is None:
            known = _begin(session, _key(KNOWN, name, address), now)
        known.last_failure = now
    is_known = SignInAttempts.name.startswith(KNOWN)
    old = now - FORGET_AFTER
    session.execute(delete(SignInAttempts).where(SignInAttempts.last_failure < old, ~is_known))
    gone = now - KNOWN_FOR
    session.execute(delete(SignInAttempts).where(SignInAttempts.last_failure < gone))
    session.commit()
