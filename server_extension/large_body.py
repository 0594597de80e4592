"""A route that takes files: nothing of a large body is read before its sender is admitted."""

from __future__ import annotations

from tornado.httputil import HTTPInputError, parse_body_arguments
from tornado.web import stream_request_body

from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import RequestError, TooLargeError

FORM_BYTES = 2**20
"""What a form may add to the file in it."""


@stream_request_body
class LargeBodyHandler(ApiHandler):
    """One route whose body may have as many bytes as an upload.

    The web server reads a small body before it asks who sends it. It would do so with a large
    one, too, and whoever can reach it could fill its memory.
    """

    async def prepare(self) -> None:  # type: ignore[override]
        """Admit the caller, then let the body come."""
        self._chunks: list[bytes] = []
        self._refusal: Exception | None = None
        told = self.request.headers.get("Content-Length", "0")
        try:
            await super().prepare()
        except Exception as refusal:
            streamed = "Transfer-Encoding" in self.request.headers
            if streamed or not told.isdecimal() or int(told) > FORM_BYTES:
                raise
            # An answer before the request is read whole closes the connection, which may lose
            # the answer, and the next request on it.
            self._refusal = refusal
            return
        most = self.backend.settings.max_upload_bytes + FORM_BYTES
        if not told.isdecimal():
            raise RequestError("Content-Length is no number.")
        if int(told) > most:
            raise TooLargeError(f"The body has {told} bytes; {most} are accepted.")
        if self.request.connection is not None:
            self.request.connection.set_max_body_size(most)  # type: ignore[attr-defined]

    def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        self._chunks.append(chunk)

    def take_body(self) -> None:
        """Put the body together, as the web server does with small ones."""
        if self._refusal is not None:
            raise self._refusal
        request = self.request
        request.body = b"".join(self._chunks)
        self._chunks.clear()
        kind = request.headers.get("Content-Type", "")
        try:
            parse_body_arguments(kind, request.body, request.body_arguments, request.files)
        except HTTPInputError as error:
            raise RequestError(f"The form cannot be read: {error}.") from error
