"""Errors of the catalogue and the engine that a caller is meant to read."""

from __future__ import annotations

from goodman_live.pipeline.core.errors import GoodmanError


class NotFoundError(GoodmanError):
    """Absent, or not visible to the caller: the two are not told apart."""

    status = 404
    code = "not_found"


class ForbiddenError(GoodmanError):
    """Visible to the caller, but not theirs to change."""

    status = 403
    code = "forbidden"


class ConflictError(GoodmanError):
    """The thing is in a state that does not allow what was asked."""

    status = 409
    code = "conflict"


class QueryError(GoodmanError):
    """A filter, ordering or page that the catalogue does not know."""

    status = 400
    code = "bad_query"


class BusyError(GoodmanError):
    """The database was locked for long, or is away: it is nobody's fault, and passes."""

    status = 503
    code = "busy"
    headers = {"Retry-After": "5"}  # noqa: RUF012 (read alone)

    def __init__(self) -> None:
        super().__init__("The catalogue is busy.", remedy="Try again in some seconds.")
