"""Every revision leads to the models, data included."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select

from goodman_live.hub.accounts.models import Partner
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate, revisions
from goodman_live.server_extension.catalogue.models import Base, Proposal, User


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


def test_people_keep_what_they_have(database_url):
    migrate(database_url, "0002")
    then = "'2026-01-01 00:00:00+00:00'"
    options = """'{"mail": ["product"], "data": {"map": "viridis"}}'"""
    rows = {
        "users (id, username, email, first_name, last_name, partner, is_staff, is_superuser,"
        " is_active, password_hash, options, date_joined)": "1, 'vera', 'vera@example.org', '',"
        f" '', 'Carnegie', false, false, true, 'hash', {options}, {then}",
        "proposals (id, soar_id, semester, title, abstract, pi_id, settings, created)": "1,"
        f" 'SOAR2026A-001', '2026A', '', '', 1, '{{}}', {then}",
        "proposal_collaborators (proposal_id, user_id)": "1, 1",
        "partners (name)": "'Elsewhere'",
    }
    catalogue = Catalogue(database_url)
    with catalogue.engine.begin() as connection:
        for table, values in rows.items():
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({values})")  # noqa: S608 (above)
    migrate(database_url)
    with catalogue.read() as session:
        vera = session.scalars(select(User)).one()
        assert vera.password_hash == "hash"
        assert vera.options == {"data": {"map": "viridis"}}
        assert vera.notifications["new_product"]
        assert not vera.notifications["added_to_proposal"]
        assert [proposal.soar_id for proposal in vera.proposals] == ["SOAR2026A-001"]
        assert session.scalars(select(Proposal)).one().pi is vera
        assert {"Carnegie", "Elsewhere", "NOIRLab"} <= set(session.scalars(select(Partner.name)))
    catalogue.close()
