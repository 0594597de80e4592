"""One request and its answer: retries where they are safe, typed errors, whole downloads."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from goodman_live.widgets.client.errors import (
    BadAnswerError,
    ConnectionLostError,
    from_answer,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from goodman_live.widgets.client.address import Address

TRIES = 4
"""Attempts at a request that may be repeated."""

LONGEST_WAIT_S = 10
"""Seconds waited before an attempt, whatever the service asks."""
Content = bytes
"""A body that is a file."""
REPEATABLE = frozenset({"GET", "PUT", "POST"})
"""What may be sent again: see `Transport`."""

_BUSY = frozenset({429, 502, 503, 504})
_TIMEOUT = httpx.Timeout(30.0, connect=5.0, pool=None)
_LIMITS = httpx.Limits(max_connections=24)
"""The service refuses what one user asks beyond a number at once; here it waits instead."""


class Transport:
    """HTTP to one service with one token.

    What is safe is repeated when the connection fails or the service is busy: reads (GET), what
    replaces a whole (PUT), and what is added (POST), for which the service keeps the answer under
    an idempotency key. Other changes (PATCH, DELETE) are repeated only where the connection was
    never made. So nothing happens twice.
    """

    def __init__(self, address: Address, *, pause: float = 0.25) -> None:
        self.address = address
        self._pause = pause
        headers = {"Accept": "application/json"}
        if address.token:
            headers["Authorization"] = f"Token {address.token}"
        # trust_env=False: a token must not travel through a proxy that the environment names.
        self._http = httpx.AsyncClient(
            base_url=address.url,
            headers=headers,
            timeout=_TIMEOUT,
            limits=_LIMITS,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        content: Content | None = None,
        patience: float | None = None,
    ) -> Any:
        """Return the decoded JSON answer, None for an empty one.

        Raises
        ------
        ClientError
            The child that fits what went wrong.
        """
        answer = await self._send(
            method, path, params=params, body=body, content=content, patience=patience
        )
        if answer.status_code == httpx.codes.NO_CONTENT or not answer.content:
            return None
        try:
            return answer.json()
        except ValueError as error:
            raise BadAnswerError(
                f"{method} {path} answered {answer.headers.get('content-type', 'no type')},"
                " not JSON.",
                remedy="Is the address that of the Goodman Live service?",
                status=answer.status_code,
            ) from error

    async def bytes(self, path: str, *, params: Mapping[str, Any] | None = None) -> bytes:
        """Return the body of a GET as it is."""
        return (await self._send("GET", path, params=params)).content

    async def save(
        self,
        path: str,
        target: Path,
        *,
        params: Mapping[str, Any] | None = None,
        sha256: str = "",
        progress: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Write the body of a GET to `target`, whole or not at all.

        Parameters
        ----------
        path : str
            Path below the base address.
        target : Path
            File to write; an existing one is replaced only by a whole new one.
        params : mapping, optional
            Query.
        sha256 : str, optional
            Checksum that the bytes must have.
        progress : callable, optional
            Called with (bytes so far, bytes in all or 0).

        Raises
        ------
        ConnectionLostError
            If the answer ends early.
        BadAnswerError
            If the checksum differs.
        """
        part = target.with_name(target.name + ".part")
        digest = hashlib.sha256()
        try:
            async with self.stream("GET", path, params=params) as answer:
                total = int(answer.headers.get("content-length", 0))
                with part.open("wb") as out:
                    async for block in answer.aiter_bytes():
                        out.write(block)
                        digest.update(block)
                        if progress is not None:
                            progress(out.tell(), total)
                    out.flush()
                    os.fsync(out.fileno())
            if sha256 and digest.hexdigest() != sha256:
                raise BadAnswerError(
                    f"{target.name} arrived with another checksum than the catalogue's.",
                    remedy="Download it again; tell the operator if it happens twice.",
                )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return target

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        limits: httpx.Timeout | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Yield an answer whose body is read piece by piece.

        Raises
        ------
        ClientError
            For an error status, or a connection lost within the block.
        """
        try:
            async with self._http.stream(
                method,
                path,
                params=_clean(params),
                headers=dict(headers or {}),
                timeout=limits or _TIMEOUT,
            ) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise from_answer(answer.status_code, _decode(answer), f"{method} {path}")
                yield answer
        except httpx.TransportError as error:
            raise _lost(error, self.address.url) from error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        content: Content | None = None,
        patience: float | None = None,
    ) -> httpx.Response:
        headers = {"Content-Type": "application/octet-stream"} if content is not None else {}
        if method == "POST":
            headers["Idempotency-Key"] = uuid.uuid4().hex
        request = self._http.build_request(
            method,
            path,
            params=_clean(params),
            json=body,
            content=content,
            headers=headers,
            timeout=_TIMEOUT
            if patience is None
            else httpx.Timeout(patience, connect=5.0, pool=None),
        )
        for attempt in range(1, TRIES + 1):
            last = attempt == TRIES
            try:
                answer = await self._http.send(request)
            except httpx.TransportError as error:
                never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if last or not (method in REPEATABLE or never_sent):
                    raise _lost(error, self.address.url) from error
                await self._wait(attempt)
                continue
            if not last and method in REPEATABLE and _is_busy(answer):
                await self._wait(attempt, answer.headers.get("retry-after", ""))
                continue
            break
        if answer.is_redirect:
            # The Hub sends strangers to its sign-in page instead of refusing them.
            raise from_answer(401, None, f"{method} {path}")
        if answer.is_error:
            raise from_answer(answer.status_code, _decode(answer), f"{method} {path}")
        return answer

    async def _wait(self, attempt: int, retry_after: str = "") -> None:
        """Sleep before the next attempt: what the service asks, else longer each time."""
        if retry_after.isdecimal():
            await asyncio.sleep(min(int(retry_after[:4]), LONGEST_WAIT_S))
        else:
            await asyncio.sleep(self._pause * 2 ** (attempt - 1) * random.uniform(0.7, 1.3))


def _is_busy(answer: httpx.Response) -> bool:
    if answer.status_code == httpx.codes.CONFLICT:
        # The first sending of this very request has no answer yet.
        return (_decode(answer) or {}).get("code") == "under_way"
    return answer.status_code in _BUSY


def _clean(params: Mapping[str, Any] | None) -> httpx.QueryParams:
    """Return the query without what was not given; lists repeat their name."""
    pairs: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in (params or {}).items():
        values = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, _text(one)) for one in values if one is not None]
    return httpx.QueryParams(pairs)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _decode(answer: httpx.Response) -> Any:
    try:
        return json.loads(answer.content)
    except ValueError:
        return None


def _lost(error: httpx.TransportError, url: str) -> ConnectionLostError:
    host = httpx.URL(url).netloc.decode("ascii")
    reason = str(error) or type(error).__name__
    return ConnectionLostError(
        f"The service at {host} does not answer ({reason}).",
        remedy="Check that it runs and that this machine can reach it.",
    )
