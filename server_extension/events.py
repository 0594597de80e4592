"""``/api/events/``: what happens, as server-sent events or by polling, to who may see it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field
from tornado.iostream import StreamClosedError

from goodman_live.server_extension.engine.events import events_since, last_event_id
from goodman_live.server_extension.handler import ApiHandler, TooManyRequestsError
from goodman_live.server_extension.inputs import RequestError, Strict
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.activity import Event
    from goodman_live.server_extension.catalogue.viewer import Viewer

LARGEST_ID = 2**63 - 1
BEAT_EVERY = 2
"""A comment keeps proxies from closing a silent stream, and tells who listens that we live: one in
this many quiet looks."""
ASK_AGAIN_S = 5.0
"""How often the Hub is asked whether the token or session of a stream is still good."""
RETRY_MS = 2000
"""How long a browser waits before it comes back."""


class EventsQuery(Strict):
    """From where on."""

    since: int | None = Field(
        None,
        ge=-1,
        le=LARGEST_ID,
        description="Poll: answer at once with what came after this id; -1 asks for the newest"
        " id alone. Without it, the answer is a stream.",
    )
    proposal_id: str = Field("", max_length=80, description="Only events of this proposal.")


class EventModel(Answer):
    """One event."""

    id: int
    kind: str
    data: dict[str, Any]


class EventList(Answer):
    """What came after `since`."""

    last: int = Field(description="Ask for what came after this next.")
    results: list[EventModel]


class EventsHandler(ApiHandler):
    """The stream."""

    @operation(
        id="api_events_list",
        summary="What happens, as it happens",
        tag="events",
        query=EventsQuery,
        answer=EventList,
        media=("text/event-stream", "application/json"),
        errors=(404,),
        description="A stream of server-sent events, resumed by `Last-Event-ID`; with `since`"
        " a list. A browser's EventSource proves itself with `?_xsrf=`.",
    )
    async def get(self, query: EventsQuery) -> EventList | None:
        """Stream, or answer with what came after `since`."""
        if query.since is not None:
            return await self.backend.read(poll, self.viewer, query.since, query.proposal_id)
        await self._stream(self._resume_after(), query.proposal_id)
        return None

    def _resume_after(self) -> int | None:
        text = self.request.headers.get("Last-Event-ID", "")
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or int(text) > LARGEST_ID:
            raise RequestError("Last-Event-ID is not a number.", field="Last-Event-ID")
        return int(text)

    async def _stream(self, last_id: int | None, proposal_id: str) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        # Neither we nor a proxy may hold events back to pack them.
        self.set_header("Content-Encoding", "identity")
        self.set_header("X-Accel-Buffering", "no")
        if self.request.method == "HEAD":
            self.finish()
            return
        # A page that is open has one all the time, which keeps nobody waiting: they are counted
        # by themselves.
        name = self._counted_as
        self.count_out()
        if not self.backend.streams.enter(name):
            raise TooManyRequestsError(RETRY_MS // 1000)
        stream = self.backend.engine.events.subscribe(self.viewer, last_id, proposal=proposal_id)
        try:
            await self._pass_on(stream)
        except StreamClosedError:
            return  # the reader left
        finally:
            self.backend.streams.leave(name)
            await cast("AsyncGenerator[Event | None]", stream).aclose()
        if not self._gone:
            self.finish()

    async def _pass_on(self, stream: AsyncIterator[Event | None]) -> None:
        self.write(f"retry: {RETRY_MS}\n\n")
        await self.flush()
        quiet, asked = 0, time.monotonic()
        async for event in stream:
            if time.monotonic() - asked > ASK_AGAIN_S:
                asked = time.monotonic()
                if not await self.is_still_signed_in():
                    break
            if event is not None:
                self.write(as_text(event))
                await self.flush()
                continue
            quiet += 1
            if quiet % BEAT_EVERY == 0:
                self.write(": beat\n\n")
                await self.flush()
            if self._gone:
                break

    _gone = False

    def on_connection_close(self) -> None:
        """Note that the reader left."""
        self._gone = True
        super().on_connection_close()

    def compute_etag(self) -> None:
        """Make none: every answer is new."""
        return


def poll(session: Session, viewer: Viewer, since: int, proposal_id: str) -> EventList:
    """Return what came after `since`, as far as `viewer` may see it."""
    if since < 0:
        return EventList(last=last_event_id(session), results=[])
    found, last = events_since(session, viewer, since, proposal=proposal_id)
    return EventList(
        last=last,
        results=[EventModel(id=one.id, kind=one.kind, data=one.as_json()) for one in found],
    )


def as_text(event: Event) -> str:
    """Return an event in the format of WHATWG HTML, section 9.2."""
    data = json.dumps(event.as_json())
    return f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n"
