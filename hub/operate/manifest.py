"""What a backup holds: each file with size and checksum, each table with its number of rows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.products.atomic import sha256_of, whole_file

if TYPE_CHECKING:
    from pathlib import Path

NAME = "manifest.json"
FORMAT = 1
"""Of the manifest; a newer one is refused by older code."""
FILES = "files"
"""Folder of what lay in the data root, in a backup."""


class BadBackupError(GoodmanError):
    """A backup that is not whole, or not one."""

    code = "bad_backup"


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of a backup."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    version: str
    """Of Goodman Live."""
    created: str
    """UTC, ISO 8601."""
    revision: str
    """Of the catalogue's tables."""
    data_root: str
    """Where the files lay: paths in the catalogue begin with it."""
    database: str
    """Name of the database's file in the backup."""
    rows: dict[str, int]
    """Of each table."""
    files: dict[str, Kept] = field(default_factory=dict)
    """By their path in the backup."""
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write it: last of all, so that a backup with a manifest is a whole one."""
        with whole_file(folder / NAME) as stream:
            stream.write(json.dumps(asdict(self), indent=1, sort_keys=True).encode())


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a backup.

    Raises
    ------
    BadBackupError
        If there is none, or it cannot be understood.
    """
    path = folder / NAME
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if values["format"] != FORMAT:
            raise BadBackupError(
                f"{folder} was written in format {values['format']}.",
                remedy=f"Restore it with Goodman Live {values['version']}.",
            )
        files = {name: Kept(**kept) for name, kept in values.pop("files").items()}
        return Manifest(**values, files=files)
    except FileNotFoundError:
        raise BadBackupError(
            f"{folder} holds no {NAME}: it is no backup, or one that was interrupted."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadBackupError(f"{path} cannot be read: {error}.") from error


def check(folder: Path, manifest: Manifest) -> None:
    """Compare every file of a backup with its checksum.

    Raises
    ------
    BadBackupError
        Naming the files that are missing or differ.
    """
    wrong = [name for name, kept in manifest.files.items() if not _is_as(folder / name, kept)]
    if wrong:
        raise BadBackupError(
            f"{len(wrong)} files of {folder} are missing or changed: {', '.join(wrong[:5])}"
            f"{' ...' if len(wrong) > 5 else ''}.",
            remedy="Take another backup.",
        )


def _is_as(path: Path, kept: Kept) -> bool:
    return (
        path.is_file()
        and not path.is_symlink()
        and path.stat().st_size == kept.size
        and sha256_of(path) == kept.sha256
    )
