"""One look at a file: is it whole, what does its header say, what is its checksum."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from goodman_live.hub.accounts.clock import wall_time
from goodman_live.hub.accounts.models import utc_now
from goodman_live.pipeline.core.errors import BadFrameError, BadHeaderError, GoodmanError
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.pipeline.products.fits import read_described
from goodman_live.server_extension.intake.places import Stat, check_place, look

if TYPE_CHECKING:
    from pathlib import Path

    from goodman_live.pipeline.core.info import FrameInfo

FITS_BLOCK = 2880
"""A FITS file is a multiple of this, once its writer has finished."""
SETTLE_S = 0.05
"""A file that is whole must not change for this long."""
PADDING_S = 1.0
"""As long may the padding of a file with all its pixels take."""
PATIENCE_S = 10.0
"""A file that is not whole and has not changed for this long is rejected."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that is whole and is a Goodman frame."""

    path: Path
    stat: Stat
    info: FrameInfo
    header: str
    """Cards of 80 characters."""
    checksum: str | None
    whole: datetime
    """When its last byte was written, as far as its time can be believed."""


class NotYetError(Exception):
    """The file may still be arriving."""


def examine(path: Path, roots: tuple[Path, ...], *, checksum: bool = True) -> Seen:
    """Read header and checksum of a file, unless it changes meanwhile.

    Raises
    ------
    NotYetError
        If it is not whole, and changed lately.
    BadFrameError
        If it cannot be taken: not FITS, truncated, a product, or outside the roots.
    FileNotFoundError
        If it is gone, or no regular file.
    """
    check_place(path, roots)
    found = _look(path)
    try:
        header, info = read_described(path)
    except BadHeaderError:
        _settled(path, found, SETTLE_S)
        raise
    except BadFrameError as error:
        if _look(path) != found or _age_s(found) < PATIENCE_S:
            raise NotYetError(error.message) from error
        raise
    except GoodmanError:
        raise
    except Exception as error:
        raise BadFrameError(
            f"{path.name} has a header that cannot be read ({type(error).__name__}: {error})."
        ) from error
    if "GSP_FNAM" in header:
        raise BadFrameError(
            f"{path.name} is a product of a pipeline, not a raw frame.",
            remedy="Put raw frames only into the raw folders.",
            field="GSP_FNAM",
        )
    _settled(path, found, SETTLE_S if found.size % FITS_BLOCK == 0 else PADDING_S)
    digest = sha256_of(path) if checksum else None
    if _look(path) != found:
        raise NotYetError(f"{path.name} changed while it was read.")
    return Seen(path, found, info, str(header.tostring()), digest, _whole_at(found))


def _look(path: Path) -> Stat:
    found = look(path)
    if found is None:
        raise FileNotFoundError(path)
    return found


def _settled(path: Path, found: Stat, quiet_s: float) -> None:
    if _age_s(found) >= quiet_s:
        return
    time.sleep(min(quiet_s, SETTLE_S))
    if _look(path) != found or _age_s(found) < quiet_s:
        raise NotYetError(f"{path.name} is still being written.")


def _age_s(found: Stat) -> float:
    """Return for how long a file has not changed; a time in the future counts as long ago."""
    age = wall_time() - found.mtime_ns / 1e9
    return age if age >= 0 else float("inf")


def _whole_at(found: Stat) -> datetime:
    """Return when a file was written, or now where its time was copied from elsewhere."""
    now = utc_now()
    age = timedelta(microseconds=now.timestamp() * 1e6 - found.mtime_ns / 1e3)
    return now - age if timedelta(0) <= age < timedelta(seconds=60) else now
