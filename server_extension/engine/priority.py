"""Which job runs first: interactive, then tonight, then the backlog.

In each night the first look at science comes first, then arcs, then masters, then what is done
again because better calibrations came: by then they have all come. Fluxes and stacks, which every
further standard and exposure makes anew, come last: when a night arrives at once they are made
once, and when frames arrive one by one there is nothing before them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from goodman_live.server_extension.catalogue.models import Frame

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

INTERACTIVE = 0
TONIGHT = 100
BACKLOG = 500
FIRST_LOOK = 0
ARC = 50
MASTER = 100
AGAIN = 150
SUMMARY = 160

SCIENCE = frozenset({"spectrum", "image", "acquisition"})
"""Kinds that somebody waits for."""


def newest_night(session: Session) -> str:
    """Return the night that counts as tonight: the newest there is.

    Of all frames: products have the night of theirs, and the end of an index tells it at once.
    Not the clock's: a replayed or an archived night is worked on in the same order.
    """
    return session.scalar(select(func.max(Frame.night))) or ""


def priority_of(frame: Frame, tonight: str, *, redo: bool = False, summary: bool = False) -> int:
    """Return the priority of an automatic job on `frame`; lower runs earlier.

    Parameters
    ----------
    redo : bool
        There is a product already that this one would replace.
    summary : bool
        It is made anew with whatever comes later.
    """
    night = TONIGHT if frame.night >= tonight else BACKLOG
    if summary:
        return night + SUMMARY
    if redo:
        return night + AGAIN
    if frame.kind in SCIENCE:
        return night + FIRST_LOOK
    return night + (ARC if frame.kind == "arc" else MASTER)
