"""Sessions of the service on the one database, for reading and for writing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from goodman_live.hub.accounts.database import BEGIN, READ, WRITE, make_engine, session_factory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session


class Catalogue:
    """Sessions on the one database.

    Parameters
    ----------
    url : str
        SQLAlchemy URL, such as ``sqlite:////data/goodman.sqlite`` or
        ``postgresql://user@host/goodman``. Migrate it first (`migrations.migrate`).
    """

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)
        self._read = session_factory(self.engine.execution_options(**{BEGIN: READ}))
        self._write = session_factory(self.engine.execution_options(**{BEGIN: WRITE}))

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that only reads; what it changes is not kept."""
        with self._read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session that commits at the end, or rolls back on any error.

        On SQLite the write lock is taken at the first statement, so that two writers queue
        instead of one of them failing.
        """
        with self._write() as session, session.begin():
            yield session

    @contextmanager
    def stepwise(self) -> Iterator[Session]:
        """Open a session whose user commits, once or several times; the rest is rolled back."""
        with self._write() as session:
            yield session

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()
