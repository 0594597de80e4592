"""What one method of one route promises: the single source of validation, permission and OpenAPI.

A handler method is marked with `operation`; the mark is read by the handler base (who may call,
how the query and body are checked, how the answer is written), by the OpenAPI document and by
the tests. There is no second list to keep in step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydantic import BaseModel

MARK = "goodman_operation"
"""Name of the attribute under which a method keeps its `Operation`."""


class Access(StrEnum):
    """Who may call at all; what they see is decided by the query's own clause."""

    ANYONE = "anyone"
    """No identity needed."""
    SIGNED_IN = "signed in"
    """An active account."""
    STAFF = "staff"
    """An active staff account."""
    INSTRUMENT = "staff and the instrument's token"
    """Staff, or the Hub's service ``instrument``, whose token opens this and nothing else."""
    OPERATOR = "operator"
    """Staff, or another service of the Hub (monitoring)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """The contract of one HTTP method of one route."""

    id: str
    """Operation id of the OpenAPI document, such as ``api_files_list``."""
    summary: str
    """One line for the reader of the document."""
    tag: str
    """Group in the document."""
    access: Access = Access.SIGNED_IN
    """Who may call."""
    query: type[BaseModel] | None = None
    """Model of the query string; without one, no parameter is accepted."""
    body: type[BaseModel] | None = None
    """Model of the body (JSON, or a form with the same names)."""
    body_media: tuple[str, ...] = ("application/json",)
    """Media types of the body."""
    answer: type[BaseModel] | None = None
    """Model of the JSON answer."""
    status: int = 200
    """Status of success."""
    also: tuple[int, ...] = ()
    """Other statuses of success with the same answer."""
    media: tuple[str, ...] = ("application/json",)
    """Media types of the answer."""
    errors: tuple[int, ...] = ()
    """Statuses of errors besides the common ones (400, 401, 403, 404, 429)."""
    documented: bool = True
    """False keeps it out of the OpenAPI document."""
    changes: bool = False
    """A GET that changes something, as the public service has one: it has no HEAD."""
    page: bool = False
    """A page for people: who is not signed in is sent to the sign-in, not given a 401."""
    description: str = ""
    """More than the summary, in Markdown."""


def operation(**promise: Any) -> Callable[[Callable[..., Awaitable[Any]]], Any]:
    """Mark a handler method with its `Operation` and put validation around it.

    The method is called with the path's numbers by name, and with ``query`` and ``body`` where
    the operation has them; what it returns is the JSON answer, None if it answered itself.
    """
    contract = Operation(**promise)

    def decorate(method: Callable[..., Awaitable[Any]]) -> Any:
        @wraps(method)
        async def run(self: Any, **path: str) -> None:
            self.take_body()

            async def act() -> None:
                answer = await method(self, **self.arguments_for(contract, path))
                if answer is not None:
                    self.answer(answer, contract.status)

            await self.once(act)

        setattr(run, MARK, contract)
        # jupyter_server asks every method who checks the caller: `ApiHandler.prepare` does, by
        # the contract, for every method alike; a method without a contract answers 405.
        run.__dict__["__allow_unauthenticated"] = True
        return run

    return decorate


def operation_of(handler: type, method: str) -> Operation | None:
    """Return the contract of ``handler.method``, or None where there is none.

    HEAD is a GET whose body is not sent (RFC 9110, 9.3.2) and has its contract.
    """
    name = "get" if method == "HEAD" else method.lower()
    contract: Operation | None = getattr(getattr(handler, name, None), MARK, None)
    if method == "HEAD" and contract is not None and contract.changes:
        return None
    return contract
