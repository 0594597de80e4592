"""Who is asking: the one value that every query of the catalogue is filtered by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from goodman_live.hub.accounts.models import User

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Viewer:
    """One signed-in person, as our own catalogue knows them now.

    Make a new one for each request (`load_viewer`): accounts and roles act at once. Proposals
    are not kept here; every query looks them up.
    """

    user_id: int
    """Key in ``users``; 0 for the local owner of a server without accounts."""
    username: str
    """Name at sign-in."""
    is_staff: bool = False
    """Sees and changes everything."""
    is_superuser: bool = False
    """Staff who may also make staff."""

    @property
    def sees_all(self) -> bool:
        """True for staff, superusers and the local owner."""
        return self.is_staff or self.is_superuser


LOCAL_OWNER = Viewer(user_id=0, username="owner", is_staff=True, is_superuser=True)
"""The one person of a plain Jupyter server, where there are no accounts."""

INSTRUMENT_VIEWER = Viewer(user_id=-1, username="instrument", is_staff=True)
"""Who adds files with the instrument's token: sees what was added, and is asked nothing else."""


def load_viewer(session: Session, username: str) -> Viewer | None:
    """Return the viewer named `username`, or None if unknown or switched off."""
    user = session.scalar(select(User).where(User.username == username, User.is_active))
    return None if user is None else _viewer(user)


def refresh_viewer(session: Session, viewer: Viewer) -> Viewer | None:
    """Return `viewer` as the catalogue knows them now, or None if gone or switched off."""
    if viewer == LOCAL_OWNER:
        return viewer
    user = session.scalar(select(User).where(User.id == viewer.user_id, User.is_active))
    return None if user is None else _viewer(user)


def _viewer(user: User) -> Viewer:
    return Viewer(
        user_id=user.id,
        username=user.username,
        is_staff=user.is_staff,
        is_superuser=user.is_superuser,
    )
