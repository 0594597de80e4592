"""The one database: where it is and how it is opened, for authenticator and service alike."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from sqlalchemy.orm import Session, sessionmaker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

BUSY_TIMEOUT_MS = 15_000
"""How long a SQLite writer waits for another one before it gives up."""
BEGIN = "goodman_begin"
"""Execution option: the statement that begins a transaction on SQLite (`READ`, `WRITE`).

Without it the driver begins at the first statement that writes: reads before it hold no lock, and
are not part of the transaction.
"""
READ = "BEGIN"
"""One view of the data until the end of the transaction."""
WRITE = "BEGIN IMMEDIATE"
"""The write lock is taken at the first statement: two writers queue. A transaction that begins
with reading and comes to write later would fail at once if another wrote meanwhile."""


def data_root(environ: Mapping[str, str] | None = None) -> Path:
    """Return the data root: `GOODMAN_DATA`, else ``live`` in the working directory.

    Parameters
    ----------
    environ : mapping, optional
        Environment to read instead of the process's own.
    """
    environ = os.environ if environ is None else environ
    return Path(environ.get("GOODMAN_DATA") or "live").resolve()


def database_url(environ: Mapping[str, str] | None = None) -> str:
    """Return the SQLAlchemy URL: `GOODMAN_DATABASE`, else a SQLite file in the data root.

    Parameters
    ----------
    environ : mapping, optional
        Environment to read instead of the process's own.
    """
    environ = os.environ if environ is None else environ
    return environ.get("GOODMAN_DATABASE") or f"sqlite:///{data_root(environ)}/goodman.sqlite"


def make_engine(url: str, **options: Any) -> Engine:
    """Open the database at `url` as this project needs it.

    SQLite runs in WAL mode, so that readers never wait for a writer, with foreign keys enforced
    and a busy time-out; the folder of its file is made if it is missing. PostgreSQL connections
    are tested before use, so that a restart of the server costs one retry and not an error.

    Parameters
    ----------
    url : str
        SQLAlchemy URL; ``postgresql://`` is read as ``postgresql+psycopg://``.
    **options
        Passed to `sqlalchemy.create_engine`.

    Returns
    -------
    sqlalchemy.Engine
    """
    parsed = make_url(url)
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() != "sqlite":
        sizes = {"pool_size": 10, "max_overflow": 20, "pool_pre_ping": True}
        return create_engine(parsed, **{**sizes, **options})
    if parsed.database and parsed.database != ":memory:":
        _make_file(Path(parsed.database))
    # A session may move between threads; two never use it at once.
    engine = create_engine(parsed, connect_args={"check_same_thread": False}, **options)
    engine.dialect.statement_compiler = _Hinting
    event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_file(path: Path) -> None:
    """Make the folder of a database; as root in another account's, its file as well.

    The Hub, which is root, opens the accounts before the service has made them: a file of root's
    would be one that the service cannot write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = path.parent.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    try:
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return
    os.fchown(made, owner.st_uid, owner.st_gid)
    os.close(made)


def session_factory(engine: Engine) -> sessionmaker[Session]:
    """Return a factory of sessions whose objects stay readable after commit."""
    return sessionmaker(engine, expire_on_commit=False)


class _Hinting(SQLiteCompiler):
    """Writes hints, such as ``INDEXED BY``, after the table that they are of."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:  # noqa: ARG002
        return text


def is_away(error: BaseException | None) -> bool:
    """Tell whether a database was locked, or is away: it may answer when it is asked again."""
    if isinstance(error, NoConnectionError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        # The low byte; what it is locked by is in the others.
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    return isinstance(error, OperationalError) or error.connection_invalidated


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # Before the switch to WAL, which itself needs the lock.
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -65536")
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    statement = connection.get_execution_options().get(BEGIN)
    driver: Any = connection.connection.dbapi_connection
    driver.isolation_level = "" if statement is None else None
    if statement is not None:
        connection.exec_driver_sql(statement)
