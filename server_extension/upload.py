"""Files from outside: paths are looked at only below the raw roots, bytes are kept whole."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from goodman_live.pipeline.core.errors import DiskFullError
from goodman_live.server_extension.catalogue.errors import ConflictError, ForbiddenError
from goodman_live.server_extension.inputs import RequestError, Strict, TooLargeError, parse_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tornado.httputil import HTTPServerRequest

UPLOADS = "uploads"
"""Folder of uploaded files, below the first raw root."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+\-]{0,190}\.fits(?:\.fz)?")


class PathBody(Strict):
    """A file that is there already."""

    path: str = Field(min_length=1, max_length=1500)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent."""

    name: str
    content: bytes


def incoming(request: HTTPServerRequest, file_name: str | None, limit: int) -> Upload | str:
    """Return the file of a request, or the path that it names.

    Raises
    ------
    RequestError
        If it has neither, or the name cannot be that of a raw frame.
    TooLargeError
        If the file is above `limit` bytes.
    """
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        parts = [part for parts in request.files.values() for part in parts]
        if len(parts) != 1:
            raise RequestError("Send one file, as the part 'file' of the form.", field="file")
        return _upload(parts[0]["filename"], parts[0]["body"], limit)
    if file_name is not None:
        return _upload(file_name, request.body, limit)
    return parse_body(PathBody, request.body).path


def _upload(name: str, content: bytes, limit: int) -> Upload:
    if len(content) > limit:
        raise TooLargeError(f"The file has {len(content)} bytes; {limit} are accepted.")
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"{name[:80]!r} cannot be the name of a raw frame.",
            remedy="Letters, digits and _ . + -, ending in .fits or .fits.fz, without a folder.",
            field="file_name",
        )
    return Upload(name, content)


def keep_upload(upload: Upload, folder: Path) -> Path:
    """Write an upload, whole or not at all; never over another file.

    Raises
    ------
    ConflictError
        If another file has the name.
    DiskFullError
        If it could not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / upload.name
    # Intake watches for what ends in .fits: the part is not seen before it is whole.
    part = folder / f".{upload.name}.{secrets.token_hex(8)}.part"
    try:
        with part.open("xb") as stream:
            stream.write(upload.content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(part, target)
    except FileExistsError:
        if target.read_bytes() != upload.content:
            raise ConflictError(
                f"Another file named {upload.name} was uploaded before.", field="file_name"
            ) from None
    except OSError as error:
        raise DiskFullError(f"{upload.name} could not be kept: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def path_below(text: str, roots: Sequence[Path]) -> Path:
    """Return the path `text`, which must lie under one of `roots` once every link is followed.

    Raises
    ------
    ForbiddenError
        If it does not, or is not there: the two are not told apart.
    """
    refused = ForbiddenError(
        "This is no file under a raw root.",
        remedy=f"Raw roots: {', '.join(str(root) for root in roots)}.",
        field="path",
    )
    if "\x00" in text:
        raise refused
    path = Path(text)
    if not path.is_absolute():
        path = roots[0] / path
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise refused from None
    if not real.is_file() or not any(real.is_relative_to(root) for root in roots):
        raise refused
    return real
