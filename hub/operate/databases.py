"""One database into one file and back, while others use it: SQLite and PostgreSQL.

A SQLite database is copied page by page in one view of it; a PostgreSQL database is dumped by its
own ``pg_dump``. No password is in a command line: it travels in the environment of the child.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, inspect, select, table, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from goodman_live.hub.accounts.database import make_engine
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.server_extension.catalogue.migrate import current_revision

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine.interfaces import IsolationLevel

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian keeps PostgreSQL's programs, by version."""
QUIET_TABLE = "alembic_version"
"""Not counted: it holds the revision, which the manifest has by itself."""


class DatabaseCopyError(GoodmanError):
    """A database could not be copied, or the place for it is taken."""

    code = "database_copy"


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database as it is at one moment, whoever writes meanwhile.

    Raises
    ------
    DatabaseCopyError
        If `source` is missing or damaged.
    """
    if not source.is_file():
        raise DatabaseCopyError(f"There is no database at {source}.")
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            # One file, without the log beside it that a copy could be parted from.
            new.execute("PRAGMA journal_mode = DELETE")
            [(verdict,)] = new.execute("PRAGMA quick_check(1)")
    except sqlite3.Error as error:
        raise DatabaseCopyError(f"{source} cannot be copied: {error}.") from error
    if verdict != "ok":
        raise DatabaseCopyError(
            f"{source} is damaged: {verdict}.", remedy="Restore the last backup."
        )


@dataclass(frozen=True, slots=True)
class Dump:
    """A database in a file, as it was at one moment."""

    file: Path
    revision: str
    rows: dict[str, int]
    """Of each table, at that moment."""


def dump(url: str, folder: Path) -> Dump:
    """Write the database at `url` into `folder`.

    Raises
    ------
    DatabaseCopyError
        If it cannot be read, or holds no catalogue.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        target = folder / "database.sqlite"
        copy_sqlite(sqlite_path(parsed), target)
        made = _inventory(target, f"sqlite:///{target}")
        for tail in ("-wal", "-shm"):
            target.with_name(target.name + tail).unlink(missing_ok=True)
    else:
        made = _inventory(folder / "database.pgdump", url, dumped=True)
    made.file.chmod(0o600)
    return made


def _inventory(file: Path, url: str, *, dumped: bool = False) -> Dump:
    """Look into a database; with `dumped` write the file from the same view of it."""
    engine = make_engine(url)
    try:
        with engine.connect().execution_options(isolation_level=_level(engine)) as connection:
            revision = current_revision(connection)
            if not revision:
                raise DatabaseCopyError(
                    f"The database {engine.url!r} holds no catalogue.",
                    remedy="Set GOODMAN_DATA and GOODMAN_DATABASE as for the Hub.",
                )
            rows = _count(connection)
            if dumped:
                view = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
                options = ["--format=custom", "--no-owner", "--no-privileges"]
                where = [f"--snapshot={view}", f"--file={file}"]
                _run([program("pg_dump"), *options, *where], engine.url)
            return Dump(file, revision, rows)
    except SQLAlchemyError as error:
        raise DatabaseCopyError(f"{engine.url!r} cannot be read: {error}.") from error
    finally:
        engine.dispose()


def _level(engine: Engine) -> IsolationLevel:
    return "REPEATABLE READ" if engine.dialect.name == "postgresql" else "SERIALIZABLE"


def load(file: Path, url: str) -> None:
    """Fill the empty database at `url` from a file that `dump` wrote, whole or not at all.

    Raises
    ------
    DatabaseCopyError
        If the kinds differ, the database is not empty, or it cannot be written.
    """
    parsed = make_url(url)
    kind = "sqlite" if file.suffix == ".sqlite" else "postgresql"
    if parsed.get_backend_name() != kind:
        raise DatabaseCopyError(
            f"The backup is of {kind}, the place for it is {parsed.get_backend_name()}.",
            field="database",
        )
    must_be_empty(url)
    if kind == "sqlite":
        place = sqlite_path(parsed)
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.part")
        shutil.copyfile(file, part)
        part.chmod(0o600)
        part.replace(place)
        return
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    name = parsed.database or ""
    _run([program("pg_restore"), *options, f"--dbname={name}", str(file)], parsed)


def must_be_empty(url: str) -> None:
    """Refuse a database that holds anything.

    Raises
    ------
    DatabaseCopyError
        If it has a table.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not sqlite_path(parsed).exists():
        return
    engine = make_engine(url)
    try:
        found = inspect(engine).get_table_names()
    finally:
        engine.dispose()
    if found:
        raise DatabaseCopyError(
            f"The database {parsed!r} holds {len(found)} tables.",
            remedy="Restore into an empty place, and change over when it is complete.",
            field="database",
        )


def sqlite_path(url: URL) -> Path:
    """Return the file of a SQLite database."""
    return Path(url.database or "")


def count_rows(engine: Engine) -> dict[str, int]:
    """Return the number of rows of each table, by name."""
    with engine.connect() as connection:
        return _count(connection)


def _count(connection: Connection) -> dict[str, int]:
    names = sorted(set(inspect(connection).get_table_names()) - {QUIET_TABLE})
    return {
        name: int(connection.scalar(select(func.count()).select_from(table(name))) or 0)
        for name in names
    }


def program(name: str) -> str:
    """Return the newest of PostgreSQL's programs of this name.

    Raises
    ------
    DatabaseCopyError
        If there is none.
    """
    found = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    best = str(found[-1]) if found else shutil.which(name)
    if best is None:
        raise DatabaseCopyError(
            f"{name} is not installed.",
            remedy="Install PostgreSQL's client programs, of the server's version or newer.",
        )
    return best


def _run(command: list[str], url: URL) -> None:
    told = {
        "PGHOST": url.host,
        "PGPORT": str(url.port) if url.port else None,
        "PGUSER": url.username,
        "PGPASSWORD": str(url.password) if url.password else None,
        "PGDATABASE": url.database,
    }
    environ = os.environ | {key: value for key, value in told.items() if value}
    done = subprocess.run(  # noqa: S603 (a program that was just found, options of ours)
        command, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DatabaseCopyError(
            f"{Path(command[0]).name} failed: {done.stderr.strip()[-600:]}",
            remedy="pg_dump must be of the server's version or newer.",
        )
