"""The one chain of migrations, run by the service before anything else reads the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from goodman_live.hub.accounts.database import BEGIN, WRITE, make_engine

if TYPE_CHECKING:
    from sqlalchemy import Connection

_SCRIPTS = Path(__file__).resolve().parent / "migrations"
_LOCK = 0x600D_3A11
"""Key of PostgreSQL's advisory lock: two services starting together migrate one by one."""


def migrate(url: str, revision: str = "head") -> str:
    """Bring the database at `url` to `revision`, and return the revision it has then.

    Parameters
    ----------
    url : str
        SQLAlchemy URL.
    revision : str
        A revision, or ``head``.
    """
    # On SQLite, too, two services that start together migrate one after the other.
    engine = make_engine(url).execution_options(**{BEGIN: WRITE})
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
                connection.commit()
            try:
                command.upgrade(_config(connection), revision)
                _forget_statistics(connection)
                return current_revision(connection)
            finally:
                connection.rollback()
                if engine.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
                    connection.commit()
    finally:
        engine.dispose()


def _forget_statistics(connection: Connection) -> None:
    """Remove what somebody's ANALYZE left in SQLite.

    Nobody keeps it up: statistics of a young catalogue make SQLite read all of it when it has
    grown. What is asked here names its indexes, and is as fast without.
    """
    if connection.dialect.name == "sqlite" and inspect(connection).has_table("sqlite_stat1"):
        connection.execute(text("DELETE FROM sqlite_stat1"))
        connection.commit()


def current_revision(connection: Connection) -> str:
    """Return the revision of the database, empty before the first migration."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def revisions() -> list[str]:
    """Return every revision, first to last."""
    script = ScriptDirectory(str(_SCRIPTS))
    return [item.revision for item in reversed(list(script.walk_revisions()))]


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
