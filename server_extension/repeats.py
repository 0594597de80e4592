"""Requests sent again: with an ``Idempotency-Key`` a POST acts once, and its answer is kept.

A client that lost the answer sends the request again with the same key, and gets the answer of
the first time. A request that was refused acted on nothing: its key is free again.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from goodman_live.hub.accounts.models import utc_now
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.server_extension.catalogue.activity import KeptAnswer
from goodman_live.server_extension.inputs import RequestError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session
    from tornado.httputil import HTTPServerRequest

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
"""How long an answer is kept."""
UNDER_WAY = timedelta(minutes=15)
"""A request without an answer after this was ended by a stop of the service."""
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class UnderWayError(GoodmanError):
    """The first request with this key has no answer yet."""

    status = 409
    code = "under_way"

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is under way.", remedy="Ask again in a moment."
        )
        self.headers = {"Retry-After": "1"}


class KeyReusedError(GoodmanError):
    """The key stands for another request."""

    status = 422
    code = "key_reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for another request.",
            remedy="Make a new key for each request, and keep it for its repetitions only.",
            field=HEADER,
        )


def key_of(request: HTTPServerRequest) -> str | None:
    """Return the key of a request, None where it has none.

    Raises
    ------
    RequestError
        If it is not 1 to 200 printable signs.
    """
    key = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise RequestError(
            f"{HEADER} must be 1 to 200 printable ASCII characters without spaces.", field=HEADER
        )
    return key


def digest_of(request: HTTPServerRequest) -> str:
    """Return the SHA-256 of what a request asks."""
    digest = hashlib.sha256()
    for part in (request.method or "", request.uri or ""):
        digest.update(part.encode() + b"\0")
    digest.update(request.body)
    return digest.hexdigest()


def begin(session: Session, user_id: int, key: str, digest: str) -> tuple[int, str] | None:
    """Reserve a key, or return status and body of the answer that was given to it.

    Raises
    ------
    UnderWayError
        If the first request has no answer yet.
    KeyReusedError
        If the key stands for another request.
    """
    now = utc_now()
    lost = KeptAnswer.status.is_(None) & (KeptAnswer.created < now - UNDER_WAY)
    session.execute(delete(KeptAnswer).where((KeptAnswer.created < now - KEPT) | lost))
    found = session.get(KeptAnswer, (user_id, key), populate_existing=True)
    if found is None:
        try:
            with session.begin_nested():
                session.add(KeptAnswer(user_id=user_id, key=key, digest=digest))
        except IntegrityError:  # the same request, at the same moment
            raise UnderWayError from None
        return None
    if found.digest != digest:
        raise KeyReusedError
    if found.status is None:
        raise UnderWayError
    return found.status, found.body


def keep(session: Session, user_id: int, key: str, status: int, body: str) -> None:
    """Keep the answer to a key that `begin` reserved."""
    found = session.get_one(KeptAnswer, (user_id, key))
    found.status, found.body = status, body


def let_go(session: Session, user_id: int, key: str) -> None:
    """Free a key whose request was refused."""
    unanswered = KeptAnswer.status.is_(None)
    mine = (KeptAnswer.user_id == user_id) & (KeptAnswer.key == key)
    session.execute(delete(KeptAnswer).where(mine, unanswered))
