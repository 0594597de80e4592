"""The event stream: server-sent events with resume, and polling where streams do not pass."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from goodman_live.widgets.client.errors import (
    BadAnswerError,
    ClientError,
    ConnectionLostError,
    ForbiddenError,
    NotFoundError,
    NotSignedInError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from goodman_live.widgets.client.transport import Transport

PATH = "api/events/"
SILENCE = 20.0
"""Seconds without a byte after which a stream is taken as dead (the service sends comments).

A proxy may keep a stream open whose service was killed."""
LONGEST_PAUSE = 15.0
"""Seconds between attempts to mend a connection, at most."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened and that the reader may know."""

    id: int
    """Rising number; ask for what came after it to resume."""
    kind: str
    """What happened, such as ``file.created``."""
    data: dict[str, Any]
    """The particulars."""


class EventParser:
    """Lines of ``text/event-stream`` in, events out (WHATWG HTML, 9.2.6)."""

    def __init__(self) -> None:
        self._id = ""
        self._kind = ""
        self._data: list[str] = []

    def feed(self, line: str) -> Event | None:
        """Take one line without its end; return the event that it completes."""
        if not line:
            return self._finish()
        if line.startswith(":"):
            return None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._id = value
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        return None

    def _finish(self) -> Event | None:
        if not self._data:
            self._kind = ""
            return None
        text, kind = "\n".join(self._data), self._kind
        self._kind, self._data = "", []
        return decode({"id": self._id, "kind": kind, "data": text})


def decode(item: dict[str, Any]) -> Event:
    """Return the event of one JSON item, of a stream or of a polled list.

    Raises
    ------
    BadAnswerError
        If it lacks a number or its data are not an object.
    """
    # A stream carries the particulars as text, a polled list carries them in the item itself.
    data = item.get("data", item)
    try:
        data = json.loads(data) if isinstance(data, str) else data
        number = int(item["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadAnswerError(f"An event of the service cannot be read: {item!r}.") from error
    if not isinstance(data, dict):
        raise BadAnswerError(f"An event of the service cannot be read: {item!r}.")
    kind = str(item.get("kind") or item.get("type") or data.get("kind") or "message")
    return Event(number, kind, data)


async def stream(
    transport: Transport, since: int | None, on_open: Callable[[], None]
) -> AsyncIterator[Event]:
    """Yield events from one connection, until it ends.

    `on_open` is called once, when the service has begun to answer.

    Raises
    ------
    ConnectionLostError
        When the connection breaks or is silent for longer than `SILENCE`.
    BadAnswerError
        When the answer is no event stream, or nothing at all comes through it.
    """
    headers = {"Accept": "text/event-stream"}
    if since is not None:
        headers["Last-Event-ID"] = str(since)
    limits = httpx.Timeout(SILENCE, connect=5.0)
    passed = False
    try:
        async with transport.stream("GET", PATH, headers=headers, limits=limits) as answer:
            if "text/event-stream" not in answer.headers.get("content-type", ""):
                raise BadAnswerError(f"{PATH} does not answer with an event stream.")
            on_open()
            parser = EventParser()
            async for line in answer.aiter_lines():
                passed = True
                event = parser.feed(line)
                if event is not None:
                    yield event
    except ConnectionLostError as error:
        if not passed and isinstance(error.__cause__, httpx.ReadTimeout):
            raise BadAnswerError("Nothing came through the event stream.") from error
        raise


async def poll(transport: Transport, since: int | None) -> tuple[list[Event], int | None]:
    """Return the events after `since`, and the number to ask after next.

    With `since` None the newest number alone is asked for: the past is not replayed.
    """
    params = {"since": -1 if since is None else since}
    answer = await transport.json("GET", PATH, params=params)
    items = answer.get("results", []) if isinstance(answer, dict) else answer
    events = [decode(item) for item in items]
    last = answer.get("last") if isinstance(answer, dict) else None
    if events:
        last = max(event.id for event in events)
    return events, since if last is None else int(last)


async def follow(
    transport: Transport,
    since: int | None = None,
    *,
    on_state: Callable[[str, str], None] | None = None,
    pause: float = 1.0,
    polling: bool = False,
) -> AsyncIterator[Event]:
    """Yield events for ever, mending the connection as often as it breaks.

    Parameters
    ----------
    transport : Transport
        To the service.
    since : int, optional
        Begin after this event; default: with what happens from now on.
    on_state : callable, optional
        Called with (``"live"``, ``"polling"`` or ``"lost"``; reason) at each change.
    pause : float, optional
        Seconds between attempts at first, and between polls.
    polling : bool, optional
        Do not try the stream.

    Raises
    ------
    NotSignedInError, ForbiddenError, NotFoundError
        When trying again cannot help.
    """
    tell = _Teller(on_state)
    failures = 0
    while True:
        try:
            if polling:
                events, since = await poll(transport, since)
                tell("polling", "")
                for event in events:
                    yield event
            else:
                async for event in stream(transport, since, lambda: tell("live", "")):
                    since, failures = event.id, 0
                    yield event
        except (NotSignedInError, ForbiddenError, NotFoundError):
            raise
        except ClientError as error:
            failures += 1
            # A stream that is not one: something on the way does not pass it.
            polling = polling or isinstance(error, BadAnswerError)
            tell("lost", error.message)
        else:
            failures = 0
        await asyncio.sleep(min(pause * 2 ** max(failures - 1, 0), LONGEST_PAUSE))


class _Teller:
    """Passes on changes of state only."""

    def __init__(self, on_state: Callable[[str, str], None] | None) -> None:
        self._on_state = on_state
        self._last = ""

    def __call__(self, state: str, reason: str) -> None:
        if self._on_state is not None and state != self._last:
            self._on_state(state, reason)
        self._last = state
