"""Fixtures of the catalogue's tests.

===============  ===================================================================
``catalogue``    migrated catalogue, on SQLite and on PostgreSQL
===============  ===================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def catalogue(database_url: str) -> Iterator[Catalogue]:
    migrate(database_url)
    catalogue = Catalogue(database_url)
    yield catalogue
    catalogue.close()
