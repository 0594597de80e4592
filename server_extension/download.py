"""``/api/files/download/``: one file as it is, or several as an archive."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator
from sqlalchemy import select

from goodman_live.server_extension.catalogue.errors import NotFoundError
from goodman_live.server_extension.catalogue.filters import LARGEST
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.permission import visible_to
from goodman_live.server_extension.catalogue.queries import get_frame, get_frame_by_name
from goodman_live.server_extension.engine.products import TEXT
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.transfer import (
    Span,
    archive_of,
    distinct_names,
    open_file,
    parse_range,
    pieces_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer

PLAIN_TEXT = "text/plain; charset=utf-8"
"""What an ECSV table is to a browser, which saves it all the same."""
MOST_FILES = 1000
"""Files of one archive at most."""


class DownloadQuery(Strict):
    """What to download."""

    id: list[int] | None = Field(
        None, max_length=MOST_FILES, description="Id; repeated for an archive."
    )
    file_name: str | None = Field(None, max_length=255, description="Or one file by its name.")
    archive: bool = Field(default=False, description="An archive even of a single file.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.id) == bool(self.file_name):
            msg = "give either id or file_name"
            raise ValueError(msg)
        return self


class DownloadHandler(ApiHandler):
    """The bytes."""

    @operation(
        id="api_files_download_read",
        summary="Download FITS files",
        tag="files",
        query=DownloadQuery,
        media=("application/fits", "application/zip", "text/plain"),
        also=(206, 304),
        errors=(404, 409, 410, 416),
    )
    async def get(self, query: DownloadQuery) -> None:
        """Stream one file, or an archive of several."""
        frames = await self.backend.read(files_to_send, self.viewer, query)
        if len(frames) == 1 and not query.archive:
            await self._send_file(frames[0])
        else:
            await self._send_archive(frames)

    async def _send_file(self, frame: Frame) -> None:
        stream = await self.backend.compute(open_file, frame.path)
        size = stream.seek(0, 2)
        text = frame.path.suffix == TEXT
        self.set_header("Content-Type", PLAIN_TEXT if text else "application/fits")
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Last-Modified", frame.last_modified)
        self._attach(frame.file_name)
        if frame.checksum:
            self.set_header("Etag", f'"{frame.checksum}"')
            if self.check_etag_header():
                stream.close()
                self.set_status(HTTPStatus.NOT_MODIFIED)
                self.finish()
                return
        try:
            span = self._range(size, frame.checksum)
        except Exception:
            stream.close()
            raise
        whole = span or Span(0, size)
        if span is not None:
            self.set_status(HTTPStatus.PARTIAL_CONTENT)
            self.set_header("Content-Range", f"bytes {span.start}-{span.stop - 1}/{size}")
        self.set_header("Content-Length", str(whole.size))
        if self.request.method == "HEAD":
            stream.close()
        await self._pour(pieces_of(stream, whole))

    def _range(self, size: int, checksum: str | None) -> Span | None:
        text = self.request.headers.get("Range", "")
        condition = self.request.headers.get("If-Range", "")
        if not text or (condition and condition != f'"{checksum}"'):
            return None
        return parse_range(text, size)

    async def _send_archive(self, frames: list[Frame]) -> None:
        names = distinct_names([(frame.id, frame.file_name) for frame in frames])
        self.set_header("Content-Type", "application/zip")
        self._attach("goodman.zip")
        paths = [frame.path for frame in frames]
        await self._pour(archive_of(list(zip(names, paths, strict=True))))

    def _attach(self, name: str) -> None:
        # Opened by nobody's browser, whatever is in it.
        self.set_attachment_header(name)

    async def _pour(self, pieces: Iterator[bytes]) -> None:
        """Send each piece when the last one has left: a slow reader holds no memory."""
        while self.request.method != "HEAD":
            piece = await self.backend.compute(next, pieces, None)
            if piece is None:
                break
            self.write(piece)
            await self.flush()
        self.finish()

    def compute_etag(self) -> None:
        """Leave the ETag alone: it is the checksum."""
        return


def files_to_send(session: Session, viewer: Viewer, query: DownloadQuery) -> list[Frame]:
    """Return the files asked for, all of them visible to `viewer`.

    Raises
    ------
    NotFoundError
        If any is absent or not visible: an archive never lacks a file in silence.
    """
    if query.file_name is not None:
        return [get_frame_by_name(session, viewer, query.file_name)]
    wanted = list(dict.fromkeys(query.id or ()))
    if len(wanted) == 1:
        return [get_frame(session, viewer, wanted[0])]
    if bad := [number for number in wanted if not 0 < number <= LARGEST]:
        raise NotFoundError(f"There is no file of id {bad[0]}.", field="id")
    rows = session.scalars(select(Frame).where(Frame.id.in_(wanted), visible_to(viewer)))
    found = {frame.id: frame for frame in rows}
    for number in wanted:
        if number not in found:
            raise NotFoundError(f"There is no file of id {number}.", field="id")
    return [found[number] for number in wanted]
