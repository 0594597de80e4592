"""Webhooks: events of a proposal, sent as they happen to an address of somebody who may see them.

Delivered at least once and in order: what the receiver does not acknowledge with a status of 2xx
is sent again, later and later. Permission is asked anew for each delivery; a webhook ends with the
account or the membership of its owner.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import structlog
from sqlalchemy import select

from goodman_live.hub.accounts.clock import wall_time
from goodman_live.hub.accounts.models import User
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.server_extension.catalogue.hooks import Webhook
from goodman_live.server_extension.catalogue.permission import is_member
from goodman_live.server_extension.catalogue.viewer import load_viewer
from goodman_live.server_extension.engine.events import events_since

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.database import Catalogue
    from goodman_live.server_extension.engine.courier import Courier
    from goodman_live.server_extension.engine.events import EventStream

log = structlog.get_logger(__name__)

SIGNATURE = "Goodman-Signature"
"""Header of the signature."""
BATCH = 100
"""Most events in one message."""
MOST_TRIES = 20
"""Failures in a row after which a webhook is switched off: ten hours."""
FIRST_S, SLOWEST_S = 1.0, 3600.0
"""Pause after a failure, doubled with each up to the second."""
LOOK_S = 5.0
"""How often failed deliveries are looked at when nothing happens."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one webhook is to be told now."""

    hook_id: int
    url: str
    secret: str
    body: bytes
    """Empty if nothing happened that its owner may see."""
    last: int
    """Event to go on from after the delivery."""
    ended: str = ""
    """Why the webhook has ended."""


def sign(secret: str, body: bytes, at: int) -> str:
    """Return the signature of a message: when it was sent, and HMAC-SHA256 over that and it."""
    told = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={told}"


class Webhooks:
    """Delivers what happens from start to stop.

    Parameters
    ----------
    catalogue : Catalogue
        Holds webhooks and events.
    events : EventStream
        Tells when something happened.
    courier : Courier
        Carries the messages.
    """

    def __init__(self, catalogue: Catalogue, events: EventStream, courier: Courier) -> None:
        self._catalogue = catalogue
        self._events = events
        self._courier = courier
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._due: dict[int, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to deliver, on the running loop."""
        self._task = asyncio.create_task(self._run(), name="goodman-webhooks")

    async def stop(self) -> None:
        """Stop; what is not acknowledged is sent again after the next start."""
        tasks = [task for task in (self._task, *self._busy.values()) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        with self._events.watching() as changed:
            while True:
                changed.clear()
                try:
                    for hook_id in await asyncio.to_thread(self._active):
                        self._begin(hook_id, changed)
                except Exception:
                    # A database that is away for a moment must not end the webhooks for good.
                    log.exception("webhooks.failed")
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await changed.wait()

    def _active(self) -> list[int]:
        with self._catalogue.read() as session:
            return list(session.scalars(select(Webhook.id).where(Webhook.is_active)))

    def _begin(self, hook_id: int, changed: asyncio.Event) -> None:
        if hook_id in self._busy or self._due.get(hook_id, 0.0) > time.monotonic():
            return
        task = asyncio.create_task(self._serve(hook_id, changed), name=f"goodman-hook-{hook_id}")
        self._busy[hook_id] = task
        task.add_done_callback(lambda _: self._busy.pop(hook_id, None))

    async def _serve(self, hook_id: int, changed: asyncio.Event) -> None:
        try:
            parcel = await asyncio.to_thread(self._pack, hook_id)
            if parcel is None:
                return
            problem = parcel.ended or (await self._carry(parcel) if parcel.body else "")
            tries = await asyncio.to_thread(self._record, parcel, problem)
            if problem:
                self._due[hook_id] = time.monotonic() + min(FIRST_S * 2**tries, SLOWEST_S)
            else:
                self._due.pop(hook_id, None)
                changed.set()  # there may be more
        except Exception:
            log.exception("webhook.failed", hook=hook_id)
            self._due[hook_id] = time.monotonic() + LOOK_S

    def _pack(self, hook_id: int) -> Parcel | None:
        with self._catalogue.read() as session:
            return pack(session, hook_id)

    def _record(self, parcel: Parcel, problem: str) -> int:
        with self._catalogue.write() as session:
            return record(session, parcel, problem)

    async def _carry(self, parcel: Parcel) -> str:
        """Send a parcel; return what went wrong, a sentence."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "goodman-live",
            SIGNATURE: sign(parcel.secret, parcel.body, int(wall_time())),
        }
        try:
            status = await self._courier.send(parcel.url, parcel.body, headers)
        except GoodmanError as error:
            return str(error)
        except TimeoutError:
            return "The receiver did not answer in time."
        except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
            log.info("webhook.unreachable", hook=parcel.hook_id, error=repr(error))
            return "The receiver cannot be reached, or its certificate is not valid."
        if httpx.codes.is_success(status):
            return ""
        if httpx.codes.is_redirect(status):
            return f"The receiver answered {status}; redirects are not followed."
        return f"The receiver answered {status}."


def pack(session: Session, hook_id: int) -> Parcel | None:
    """Return what a webhook is to be told, None if nothing new happened at all."""
    hook = session.get(Webhook, hook_id)
    if hook is None or not hook.is_active:
        return None
    name = session.scalar(select(User.username).where(User.id == hook.user_id))
    viewer = load_viewer(session, name) if name else None
    if viewer is None or not is_member(session, viewer, hook.proposal_id):
        why = "Its owner no longer belongs to the proposal."
        return Parcel(hook.id, hook.url, hook.secret, b"", hook.last_event, ended=why)
    events, last = events_since(
        session, viewer, hook.last_event, limit=BATCH, proposal=hook.proposal_id
    )
    if last == hook.last_event:
        return None
    told = {"webhook": hook.id, "events": [event.as_json() for event in events]}
    body = json.dumps(told).encode() if events else b""
    return Parcel(hook.id, hook.url, hook.secret, body, last)


def record(session: Session, parcel: Parcel, problem: str) -> int:
    """Write down what became of a parcel, and return the failures in a row."""
    hook = session.get(Webhook, parcel.hook_id)
    if hook is None:
        return 0
    hook.problem = problem
    if not problem:
        hook.last_event, hook.tries = parcel.last, 0
        return 0
    hook.tries += 1
    if parcel.ended or hook.tries >= MOST_TRIES:
        hook.is_active = False
        log.warning("webhook.ended", hook=hook.id, problem=problem)
    return hook.tries
