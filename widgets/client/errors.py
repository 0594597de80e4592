"""What can go wrong between a page and the service, as errors that a reader understands."""

from __future__ import annotations

from typing import Any

from goodman_live.pipeline.core.errors import GoodmanError


class ClientError(GoodmanError):
    """Base of what the client raises; `status` is the HTTP status, 0 without an answer."""

    status = 0
    code = "client_error"

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        field: str = "",
        status: int | None = None,
        code: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy, field=field)
        if status is not None:
            self.status = status
        if code:
            self.code = code


class NoServiceError(ClientError):
    """No address of the service is known."""

    code = "no_service"


class ConnectionLostError(ClientError):
    """The service did not answer: not reached, timed out, or cut off within its answer."""

    code = "connection_lost"


class BadAnswerError(ClientError):
    """The service answered something that is not its protocol."""

    code = "bad_answer"


class NotSignedInError(ClientError):
    """The token is missing, wrong, or no longer valid (401)."""

    code = "not_signed_in"


class ForbiddenError(ClientError):
    """The user may see this but not do this (403)."""

    code = "forbidden"


class NotFoundError(ClientError):
    """Absent, or not visible to this user: the service does not say which (404)."""

    code = "not_found"


class ConflictError(ClientError):
    """The state of the file or job does not allow this now (409)."""

    code = "conflict"


class InvalidRequestError(ClientError):
    """A parameter or setting was refused (400, 422)."""

    code = "invalid_request"


class ServiceError(ClientError):
    """The service failed or is overloaded (5xx, 429)."""

    code = "service_error"


class JobFailedError(ClientError):
    """A job ended without its product; the message is the job's own."""

    code = "job_failed"


_BY_STATUS: dict[int, type[ClientError]] = {
    400: InvalidRequestError,
    401: NotSignedInError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: InvalidRequestError,
}

_REMEDY = {
    401: "Sign in again, or make a new token on the Hub's token page.",
    429: "Wait a moment and try again.",
    502: "The service may be starting: try again in a moment.",
    503: "The service may be starting: try again in a moment.",
    504: "The service may be busy: try again in a moment.",
}


def from_answer(status: int, body: Any, what: str) -> ClientError:
    """Return the error for an answer of the service.

    Parameters
    ----------
    status : int
        HTTP status, 400 or above.
    body : Any
        The decoded JSON body, or None where it was not JSON.
    what : str
        Method and path of the request, for answers that do not explain themselves.
    """
    kind = _BY_STATUS.get(status, ServiceError)
    details = body if isinstance(body, dict) else {}
    message = str(details.get("message") or f"The service answered {status} to {what}.")
    remedy = "" if details.get("message") else _REMEDY.get(status, "")
    return kind(
        message,
        remedy=remedy,
        field=str(details.get("field") or ""),
        status=status,
        code=str(details.get("code") or ""),
    )
