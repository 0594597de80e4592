"""Every revision leads to the models, data included."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate, revisions
from goodman_live.server_extension.catalogue.models import Base


@pytest.mark.parametrize("start", [None, *revisions()])
def test_head_from_every_revision_is_the_models(database_url, start):
    if start:
        assert migrate(database_url, start) == start
    assert migrate(database_url) == revisions()[-1]
    catalogue = Catalogue(database_url)
    with catalogue.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    catalogue.close()
    assert found == []


def test_migrating_again_changes_nothing(database_url):
    assert migrate(database_url) == migrate(database_url)


def test_two_services_may_start_together(database_url):
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite is for one service")
    faults = []

    def run():
        try:
            migrate(database_url)
        except Exception as error:  # noqa: BLE001 (any fault counts)
            faults.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
