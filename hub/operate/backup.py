"""Backup of an installation into a folder, and its restoration into an empty place.

The database is copied first, as it is at one moment, the files after it: what the catalogue of
the copy names was whole before that moment. Raw frames and products never change once they are
whole, so a later backup may share them with an earlier one by hard links (`Source.since`).

A backup holds password hashes and the Hub's secrets: its folder is closed to other accounts.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, update

from goodman_live import __version__
from goodman_live.hub.accounts.database import make_engine
from goodman_live.hub.operate import databases
from goodman_live.hub.operate.manifest import (
    FILES,
    BadBackupError,
    Kept,
    Manifest,
    check,
    read_manifest,
)
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.server_extension.catalogue.migrate import migrate, revisions
from goodman_live.server_extension.catalogue.models import Arrival, Frame, Job
from goodman_live.server_extension.gauges import BACKUP_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

LEFT_OUT = frozenset({"work", "logs", "night"})
"""Folders of the data root that hold nothing to keep: scratch, logs, the demonstration's night."""
LEFT_FILES = (".part", BACKUP_MARK)
RAW = "raw"
DATABASES = (".sqlite", ".sqlite-wal", ".sqlite-shm")
"""Copied as databases, never as files: a file that is being written is not one."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is backed up."""

    data_root: Path
    database: str
    """SQLAlchemy URL."""
    raw: bool = True
    """Whether raw frames are copied; false where they have an archive of their own."""
    since: Path | None = None
    """An earlier backup, whose unchanged files are linked instead of copied."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done."""

    files: int
    bytes: int
    rows: int
    linked: int = 0


def back_up(source: Source, folder: Path) -> Outcome:
    """Write a backup into `folder`, which must be empty or not there.

    Raises
    ------
    BadBackupError
        If the folder holds anything, or lies in what is backed up.
    DatabaseCopyError
        If the database cannot be read.
    """
    _must_be_apart(folder, source.data_root)
    earlier = read_manifest(source.since) if source.since else None
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    dump = databases.dump(source.database, folder)
    files = {dump.file.name: _kept(dump.file)}
    linked = 0
    for path in walk(source.data_root, raw=source.raw):
        name = f"{FILES}/{path.relative_to(source.data_root)}"
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.suffix == ".sqlite":
            databases.copy_sqlite(path, target)
            target.chmod(0o600)
            files[name] = _kept(target)
            continue
        old = earlier.files.get(name) if earlier else None
        if old and source.since and _is_unchanged(path, old) and (source.since / name).is_file():
            os.link(source.since / name, target)
            files[name], linked = old, linked + 1
        elif _copy(path, target):
            files[name] = _kept(target)
    made = Manifest(
        version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        revision=dump.revision,
        data_root=str(source.data_root),
        database=dump.file.name,
        rows=dump.rows,
        files=files,
    )
    made.write(folder)
    # Monitoring tells how long ago this was.
    (source.data_root / BACKUP_MARK).touch()
    return _outcome(made, linked)


def restore(folder: Path, data_root: Path, database: str) -> Outcome:
    """Restore a backup into an empty data root and an empty database, and bring it up to date.

    Checksums are compared before anything is written and after everything is. Where the data
    root has another path than the one that was backed up, the catalogue is told.

    Raises
    ------
    BadBackupError
        If the backup is not whole, or the place not empty.
    DatabaseCopyError
        If the database is not empty or cannot be written.
    """
    manifest = read_manifest(folder)
    if manifest.revision not in revisions():
        raise BadBackupError(
            f"The backup was made by Goodman Live {manifest.version}, which is newer.",
            remedy="Restore it with that version.",
        )
    if data_root.exists() and any(data_root.iterdir()):
        raise BadBackupError(
            f"{data_root} is not empty.",
            remedy="Restore into an empty place, and change over when it is complete.",
        )
    databases.must_be_empty(database)
    check(folder, manifest)
    data_root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in manifest.files:
        if name != manifest.database:
            target = data_root / Path(name).relative_to(FILES)
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copy2(folder / name, target)
    databases.load(folder / manifest.database, database)
    engine = make_engine(database)
    try:
        found = databases.count_rows(engine)
        if found != manifest.rows:
            odd = [name for name in manifest.rows if found.get(name) != manifest.rows[name]]
            raise BadBackupError(f"These tables have not their rows: {', '.join(odd)}.")
        migrate(database)
        with engine.begin() as connection:
            move_paths(connection, manifest.data_root, str(data_root))
    finally:
        engine.dispose()
    _check_restored(data_root, manifest)
    return _outcome(manifest)


def walk(data_root: Path, *, raw: bool = True) -> Iterator[Path]:
    """Yield the files of a data root that a backup keeps; links are not followed."""
    for where, folders, names in os.walk(data_root):
        here = Path(where)
        if here == data_root:
            left = LEFT_OUT if raw else LEFT_OUT | {RAW}
            folders[:] = [name for name in folders if name not in left]
        folders.sort()
        for name in sorted(names):
            path = here / name
            if path.is_symlink() or not path.is_file() or name.endswith(LEFT_FILES):
                continue
            if name.endswith(DATABASES) and (here == data_root or not name.endswith(".sqlite")):
                continue  # the catalogue itself, and what belongs to an open database
            yield path


def move_paths(connection: Connection, old: str, new: str) -> int:
    """Tell the catalogue that its data root has another path; return how many rows changed."""
    if old == new:
        return 0
    changed = 0
    for column in (Frame.directory_name, Job.out_dir, Arrival.path):
        below = column.startswith(f"{old}/", autoescape=True)
        moved = new + func.substr(column, len(old) + 1)
        table = column.class_.__table__
        # What is only moved was not modified.
        values = {name: name for name in table.columns if name.onupdate is not None}
        values[table.c[column.key]] = moved
        statement = update(table).where(or_(column == old, below)).values(values)
        changed += connection.execute(statement).rowcount
    return changed


def _copy(path: Path, target: Path) -> bool:
    """Copy a file with its time; false if it was removed meanwhile."""
    try:
        shutil.copy2(path, target, follow_symlinks=False)
    except FileNotFoundError:
        return False
    target.chmod(0o600)
    return True


def _kept(path: Path) -> Kept:
    found = path.stat()
    return Kept(found.st_size, found.st_mtime_ns, sha256_of(path))


def _is_unchanged(path: Path, kept: Kept) -> bool:
    found = path.stat()
    return (found.st_size, found.st_mtime_ns) == (kept.size, kept.mtime_ns)


def _must_be_apart(folder: Path, data_root: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadBackupError(f"{folder} is not empty.", remedy="Name a new folder.")
    if folder.resolve().is_relative_to(data_root.resolve()):
        raise BadBackupError(
            f"{folder} lies in the data root, which is backed up.", remedy="Name another disk."
        )


def _check_restored(data_root: Path, manifest: Manifest) -> None:
    """Compare every restored file with the checksum it was backed up with."""
    for name, kept in manifest.files.items():
        if name == manifest.database:
            continue
        path = data_root / Path(name).relative_to(FILES)
        if sha256_of(path) != kept.sha256:
            raise BadBackupError(f"{path} was not written as it is in the backup.")


def _outcome(manifest: Manifest, linked: int = 0) -> Outcome:
    size = sum(kept.size for kept in manifest.files.values())
    return Outcome(len(manifest.files), size, sum(manifest.rows.values()), linked)
