"""The base of every route: identity, limits, validation, errors and headers; no logic.

A subclass marks its methods with `operation`; what happens around them happens here, once.
"""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from jupyter_server.base.handlers import JupyterHandler
from pydantic import BaseModel
from tornado.web import HTTPError, authenticated

from goodman_live.hub.accounts.database import is_away
from goodman_live.hub.addresses import address_of
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.server_extension import repeats
from goodman_live.server_extension.catalogue.errors import BusyError, NotFoundError
from goodman_live.server_extension.catalogue.filters import LARGEST
from goodman_live.server_extension.catalogue.viewer import (
    INSTRUMENT_VIEWER,
    LOCAL_OWNER,
    Viewer,
    load_viewer,
)
from goodman_live.server_extension.identity import (
    Caller,
    CallerKind,
    HubUnreachableError,
    NotAdmittedError,
    NotSignedInError,
    caller_of,
    refusal,
)
from goodman_live.server_extension.inputs import RequestError, parse_body, parse_query
from goodman_live.server_extension.operation import Access, Operation, operation_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from goodman_live.server_extension.backend import Backend

log = logging.getLogger(__name__)

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""Methods that an operation may have."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Cookie",
}
"""Sent with every answer; an ETag makes no-cache cheap."""


STAFF_ALONE = frozenset({Access.STAFF, Access.OPERATOR, Access.INSTRUMENT})
"""What no account below staff may call."""


class TooManyRequestsError(GoodmanError):
    """The caller asks faster than allowed."""

    status = 429
    code = "too_many_requests"

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"Too many requests: wait {wait_s} s.")
        self.headers = {"Retry-After": str(wait_s)}


class ApiHandler(JupyterHandler):
    """One route of the API."""

    viewer: Viewer
    """Who asks, as the catalogue knows them now; set for every access but ANYONE."""
    caller: Caller | None = None
    """The identity behind the request, if any."""
    lacks_xsrf = False
    """A cookie came without the proof that our own page sent it."""
    _identifying = False
    _counted_as = ""
    """Caller under whose name this request is counted as under way."""
    _held: list[tuple[int, str]] | None = None
    """The answer, while it must be kept before it is sent."""

    @property
    def backend(self) -> Backend:
        """What the handlers ask: catalogue, engine, renderer."""
        return cast("Backend", self.settings["goodman_backend"])

    @property
    def operation(self) -> Operation | None:
        """The contract of the method being served."""
        return operation_of(type(self), self.request.method or "")

    # --- before the method ---

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who asks and whether they may; every method passes here."""
        contract = self.operation
        if contract is None:
            head = ["HEAD"] if operation_of(type(self), "HEAD") else []
            self.set_header("Allow", ", ".join([*self.allowed_methods(), *head]))
            raise HTTPError(405)
        self._identifying = True
        try:
            await super().prepare(_redirect_to_login=False)
        except HTTPError as error:
            raise _translated(error) from error
        self.caller = caller_of(self.current_user) if self.current_user else None
        if self.caller is not None and not self.by_token and not self.check_origin():
            raise NotAdmittedError(
                "A page of another origin sent this with a cookie.", remedy="Use a token."
            )
        self._limit_rate()
        stranger = self.caller is None and not getattr(self, "_cached_hub_user", None)
        if stranger and (contract.page or self._is_navigation()):
            authenticated(lambda _: None)(self)
            return
        await self._admit(contract)

    def _is_navigation(self) -> bool:
        """Tell whether a person follows a link here, such as a page's download.

        Their browser may be signed in at the Hub and unknown to us: it is sent there and back.
        """
        headers = self.request.headers
        mode = headers.get("Sec-Fetch-Mode")
        return (
            mode == "navigate" and self.request.method == "GET" and "Authorization" not in headers
        )

    async def _admit(self, contract: Operation) -> None:
        if contract.access is Access.ANYONE:
            return
        if self.caller is None:
            raise refusal(self)
        await self.backend.ready()
        if self.caller.kind is CallerKind.INSTRUMENT:
            if contract.access is Access.INSTRUMENT:
                self.viewer = INSTRUMENT_VIEWER
                return
            raise NotAdmittedError("The instrument's token adds files and does nothing else.")
        if self.caller.kind is CallerKind.SERVICE:
            if contract.access is Access.OPERATOR:
                return
            raise NotAdmittedError("This is for people, not for services.")
        self.viewer = await self._load_viewer(self.caller)
        if contract.access in STAFF_ALONE and not self.viewer.sees_all:
            raise NotAdmittedError("This is for staff.")

    async def _load_viewer(self, caller: Caller) -> Viewer:
        if caller.kind is CallerKind.OWNER:
            if self.backend.has_accounts:
                raise NotSignedInError("Sign in through the Hub.")
            return LOCAL_OWNER
        viewer = await self.backend.read(load_viewer, caller.name)
        if viewer is None:
            raise NotAdmittedError(
                f"The account {caller.name} is unknown here or switched off.",
                remedy="Ask the staff of the observatory.",
            )
        return viewer

    def _limit_rate(self) -> None:
        name = self.caller.name if self.caller else f"address {address_of(self)}"
        wait_s = self.backend.limiter.wait(name)
        if wait_s:
            raise TooManyRequestsError(wait_s)
        if not self.backend.under_way.enter(name):
            raise TooManyRequestsError(1)
        self._counted_as = name

    def on_finish(self) -> None:
        """Count the request out."""
        self.count_out()
        super().on_finish()

    def count_out(self) -> None:
        """Let this request count no longer as one that has no answer yet."""
        if self._counted_as:
            self.backend.under_way.leave(self._counted_as)
            self._counted_as = ""

    async def is_still_signed_in(self) -> bool:
        """Ask again who this is: an answer without an end must not outlive its token or session.

        A Hub that is away leaves things as they were.
        """
        for kept in ("_cached_hub_user", "_jupyterhub_user"):
            self.__dict__.pop(kept, None)
        try:
            found = self.identity_provider.get_user(self)
            user = await found if isawaitable(found) else found
        except HTTPError as error:
            return error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        return user is not None

    def check_xsrf_cookie(self) -> None:
        """Check only once the identity is being asked for: tornado's own call comes too early.

        It would refuse a token's POST for the lack of a cookie. `JupyterHandler.prepare` and
        the Hub's cookie check both come later and do check.
        """
        if not self._identifying:
            return
        if getattr(self, "_jupyter_current_user", self) is None:
            return  # nobody: `_admit` refuses, and says why
        try:
            super().check_xsrf_cookie()
        except HTTPError:
            self.lacks_xsrf = True
            raise

    @property
    def by_token(self) -> bool:
        """True if the request proved itself by an Authorization header and not by a cookie."""
        return "Authorization" in self.request.headers and self.token_authenticated

    async def head(self, **path: str) -> None:
        """Answer as GET does; tornado sends its headers and leaves the body out."""
        await cast("Awaitable[None]", self.get(**path))

    # Who asks is found out in `prepare`, as for every method (see `operation`).
    head.__dict__["__allow_unauthenticated"] = True

    # --- the method's arguments and answer ---

    def take_body(self) -> None:
        """Make the body ready for the method; a small one is, the web server has read it."""

    def arguments_for(self, contract: Operation, path: dict[str, str]) -> dict[str, Any]:
        """Return the validated arguments of a method: numbers of the path, query and body."""
        arguments: dict[str, Any] = {name: int(text) for name, text in path.items()}
        for name, number in arguments.items():
            if number > LARGEST:
                raise NotFoundError(f"There is nothing of {name} {number}.", field=name)
        query = parse_query(contract.query, self.request.query_arguments)
        if contract.query is not None:
            arguments["query"] = query
        if contract.body is not None:
            arguments["body"] = parse_body(contract.body, self.request.body)
        return arguments

    async def once(self, act: Callable[[], Awaitable[None]]) -> None:
        """Run the method; with an Idempotency-Key once only, and give its answer again."""
        key = repeats.key_of(self.request) if self.request.method == "POST" else None
        if key is None or self.caller is None:
            await act()
            return
        mine = (self.viewer.user_id, key)
        # An upload is a body of many megabytes: nobody else waits while it is read.
        digest = await self.backend.compute(repeats.digest_of, self.request)
        kept = await self.backend.write(repeats.begin, *mine, digest)
        if kept is not None:
            self.set_header("Idempotent-Replayed", "true")
            self._send(*kept)
            return
        self._held = []
        try:
            await act()
        except BaseException:
            # Whoever gave up waiting must not keep the key from being let go.
            await asyncio.shield(self.backend.write(repeats.let_go, *mine))
            raise
        for status, body in self._held:
            await self.backend.write(repeats.keep, *mine, status, body)
            self._send(status, body)

    def answer(self, value: BaseModel | dict[str, Any] | list[Any], status: int = 200) -> None:
        """Answer with JSON."""
        if isinstance(value, BaseModel):
            body = value.model_dump_json(by_alias=True)
        else:
            body = json.dumps(value)
        if self._held is not None:
            self._held.append((status, body))
        else:
            self._send(status, body)

    def _send(self, status: int, body: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(body)

    def linked(self, page: Any, query: Any) -> Any:
        """Return `page` of a list with the addresses of the pages before and after it."""
        last = -(-page.count // query.page_size)
        if query.page < last:
            page.next = self._page_address(query, query.page + 1)
        if query.page > 1 and last:
            page.previous = self._page_address(query, min(query.page - 1, last))
        return page

    def _page_address(self, query: BaseModel, number: int) -> str:
        values = query.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        tail = urlencode({**values, "page": number}, doseq=True)
        return f"{self.request.protocol}://{self.request.host}{self.request.path}?{tail}"

    # --- headers and errors ---

    @property
    def content_security_policy(self) -> str:
        """Nothing that we answer may run or be framed."""
        return "default-src 'none'; frame-ancestors 'none'"

    def set_default_headers(self) -> None:
        """Set the security headers."""
        super().set_default_headers()
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)

    def set_cors_headers(self) -> None:
        """Send none: other origins have no business here, with a token or without."""

    @classmethod
    def allowed_methods(cls) -> list[str]:
        """Return the methods that have a contract."""
        return [method for method in METHODS if operation_of(cls, method)]

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        """Log as an error only what is one."""
        if isinstance(value, GoodmanError) and value.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            log.debug("%s %s: %s", self.request.method, self.request.path, value)
            return
        if is_away(value):
            log.warning("%s %s: %s", self.request.method, self.request.path, type(value).__name__)
            return
        super().log_exception(kind, value, trace)

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with the status that a `GoodmanError` carries."""
        error = kwargs.get("exc_info", (None, None))[1]
        if is_away(error):
            error = BusyError()
            kwargs["exc_info"] = (BusyError, error, None)
        if isinstance(error, GoodmanError):
            status_code = error.status
        allow = self._headers.get("Allow")
        if not self._headers_written and allow:
            kwargs["allow"] = allow
        super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with ``{status, code, message, field}``."""
        error = kwargs.get("exc_info", (None, None))[1]
        for name, value in getattr(error, "headers", {}).items():
            self.set_header(name, value)
        if status_code == HTTPStatus.UNAUTHORIZED:
            self.set_header("WWW-Authenticate", 'Token realm="goodman"')
        if kwargs.get("allow"):
            self.set_header("Allow", kwargs["allow"])
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(describe(status_code, error)))


def describe(status: int, error: BaseException | None) -> dict[str, Any]:
    """Return the JSON of an error; what is not meant for the reader is not in it."""
    if isinstance(error, GoodmanError):
        return {"status": status, "code": error.code, "message": str(error), "field": error.field}
    phrase = HTTPStatus(status).phrase
    message = f"{phrase}."
    if isinstance(error, HTTPError) and error.log_message and status < 500:
        message = (error.log_message % error.args) if error.args else error.log_message
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    return {"status": status, "code": code, "message": message, "field": ""}


def _translated(error: HTTPError) -> Exception:
    """Return what the Hub's helper meant: a Hub that is away is not our own failure."""
    text = error.log_message or ""
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR and (
        "Hub" in text or "check" in text
    ):
        return HubUnreachableError(
            "The Hub cannot be asked who you are.", remedy="Try again soon."
        )
    return error


class UnknownRouteHandler(ApiHandler):
    """Any path below the API that is no route."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Answer 404 to everybody."""
        raise HTTPError(404, "No such route; the document is at api/docs/.")


__all__ = ["ApiHandler", "RequestError", "UnknownRouteHandler", "describe"]
