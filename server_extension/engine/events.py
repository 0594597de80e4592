"""The ordered stream of what happens: kept in the catalogue, told to each who may see it.

An event is written in the transaction of what it tells of. Subscribers read the table, each
through `visible_to` with a viewer asked for anew: memberships and accounts act at once, and
`last_id` resumes after any interruption.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text

from goodman_live.server_extension.catalogue.audience import audience_of
from goodman_live.server_extension.catalogue.models import Event, Frame, Job
from goodman_live.server_extension.catalogue.permission import is_member, visible_to
from goodman_live.server_extension.catalogue.viewer import refresh_viewer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.audience import Audience
    from goodman_live.server_extension.catalogue.database import Catalogue
    from goodman_live.server_extension.catalogue.viewer import Viewer

_ORDER_LOCK = 0x600D_E7E5
TOLD = "goodman_told"
"""Mark on a session that has an event to tell."""
BATCH = 500
"""Most events read at once."""
SHARE_S = 0.008
"""A subscriber looks again after so many seconds for each that there is: what fifty learn of a
burst costs no more of the service than what five do, and the first event is told at once."""


def append_event(
    session: Session,
    kind: str,
    *,
    about: Audience | None = None,
    frame_id: int | None = None,
    job_id: int | None = None,
    **data: Any,
) -> Event:
    """Add an event to the stream within the caller's transaction.

    Parameters
    ----------
    kind : str
        See `Event.kind`.
    about : Frame or Job, optional
        Whose audience the event has; none makes it one for staff. Its id is kept.
    **data
        Further values of the JSON, such as ``state``.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Ids are drawn before the commit; without the lock a later id could appear first and
        # a reader that resumes from it would miss the earlier one.
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ORDER_LOCK})
    audience = {"data_type": 0} if about is None else audience_of(about)
    if isinstance(about, Frame):
        frame_id = about.id
    if isinstance(about, Job):
        frame_id, job_id = about.frame_id, about.id
    event = Event(kind=kind, frame_id=frame_id, job_id=job_id, data=data, **audience)
    session.add(event)  # ids follow the order in which events are added
    session.info[TOLD] = True
    return event


def frame_event(session: Session, kind: str, frame: Frame, **data: Any) -> Event:
    """Add an event about a frame, with what a page needs to place it."""
    return append_event(
        session,
        kind,
        about=frame,
        file_name=frame.file_name,
        original_id=frame.original_file_id,
        data_type=str(frame.data_type),
        night=frame.night,
        object=frame.object_name,
        state=frame.state,
        waits_for=frame.waits_for,
        **data,
    )


def job_event(session: Session, job: Job) -> Event:
    """Add an event that a job changed its state."""
    return append_event(
        session,
        "job.changed",
        about=job,
        block=job.block,
        state=job.state,
        progress=job.progress,
        message=str(job.error.get("message", "")),
    )


def last_event_id(session: Session) -> int:
    """Return the id of the newest event, 0 if there is none."""
    return session.scalar(select(func.max(Event.id))) or 0


def events_since(
    session: Session, viewer: Viewer, last_id: int, *, limit: int = BATCH, proposal: str = ""
) -> tuple[list[Event], int]:
    """Return the events after `last_id` that `viewer` may see, and where to go on.

    The second value also passes over events that others may see.
    """
    newest = last_event_id(session)
    if newest <= last_id:
        return [], last_id
    where = [Event.id > last_id, Event.id <= newest, visible_to(viewer, Event)]
    if proposal:
        where.append(Event.proposal_id == proposal)
    found = session.scalars(select(Event).where(*where).order_by(Event.id).limit(limit)).all()
    return list(found), (found[-1].id if len(found) == limit else max(newest, last_id))


class EventStream:
    """Wakes subscribers in this process when something was written.

    Parameters
    ----------
    catalogue : Catalogue
        Where the events are.
    poll_s : float
        How often a subscriber looks by itself: for events that another process wrote, and for
        an account that was switched off while nothing happened.
    """

    def __init__(self, catalogue: Catalogue, *, poll_s: float = 2.0) -> None:
        self._catalogue = catalogue
        self._poll_s = poll_s
        self._changed: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say on which loop the subscribers live."""
        self._loop = loop

    def wake(self) -> None:
        """Tell subscribers to look; call after the commit, from any thread."""
        if self._loop is None or self._loop.is_closed():
            return
        with suppress(RuntimeError):  # the loop may close between the two lines
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for changed in self._changed:
            changed.set()

    @property
    def listeners(self) -> int:
        """How many look at this moment."""
        return len(self._changed)

    def close(self) -> None:
        """End every subscription."""
        self._closed = True
        self.wake()

    async def subscribe(
        self, viewer: Viewer, last_id: int | None = None, *, proposal: str = ""
    ) -> AsyncIterator[Event | None]:
        """Yield each event that `viewer` may see, in order, for ever.

        Yields None after each quiet `poll_s`, so that a handler can send a heartbeat and learn
        that its reader has gone. Ends when the account is switched off, when the membership in
        `proposal` ends, or when the engine stops.

        Parameters
        ----------
        last_id : int, optional
            Resume after this id; by default begin with what happens next.
        proposal : str
            Only events of this proposal.
        """
        with self.watching() as changed:
            while not self._closed:
                changed.clear()
                began = time.monotonic()
                step = await asyncio.to_thread(self._look, viewer, last_id, proposal)
                if step is None:
                    return
                events, last_id = step
                for event in events:
                    yield event
                if len(events) < BATCH and not self._closed and not await self._sleep(changed):
                    yield None
                spent = time.monotonic() - began
                await asyncio.sleep(max(SHARE_S * len(self._changed) - spent, 0.0))

    @contextmanager
    def watching(self) -> Iterator[asyncio.Event]:
        """Give an `asyncio.Event` that is set whenever something was written."""
        self._loop = self._loop or asyncio.get_running_loop()
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            yield changed
        finally:
            self._changed.discard(changed)

    async def _sleep(self, changed: asyncio.Event) -> bool:
        try:
            async with asyncio.timeout(self._poll_s):
                await changed.wait()
        except TimeoutError:
            return False
        return True

    def _look(
        self, viewer: Viewer, last_id: int | None, proposal: str
    ) -> tuple[list[Event], int] | None:
        with self._catalogue.read() as session:
            now = refresh_viewer(session, viewer)
            if now is None or (proposal and not is_member(session, now, proposal)):
                return None
            if last_id is None:
                return [], last_event_id(session)
            return events_since(session, now, last_id, proposal=proposal)
