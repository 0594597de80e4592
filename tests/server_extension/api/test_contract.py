"""Whatever fits the document is answered as the document says: schemathesis asks, as staff.

A service of its own: what is made up here changes accounts, proposals and files.
"""

import shutil

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from sqlalchemy import create_engine, text

from goodman_live.server_extension.openapi import make_document
from goodman_live.server_extension.routes import ROUTES
from tests.server_extension.api.conftest import fill, start_service, stop_service

CHECKS = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
)
SCHEMA = schemathesis.openapi.from_dict(make_document(ROUTES, "/services/goodman"))
ENTRIES = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)]
)
def playground(request, border, raw_frames, tmp_path_factory, free_port):
    root = tmp_path_factory.mktemp("playground")
    database = None
    if request.param == "postgres":
        # Its numbers have an end, and its texts have no null byte.
        server = request.getfixturevalue("postgres_server")
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text("CREATE DATABASE playground"))
        admin.dispose()
        database = f"{server.rpartition('/')[0]}/playground"
    shutil.copytree(raw_frames, root / "raw")
    shutil.copy(root / "raw" / "star.fits", root / "raw" / "theirs.fits")
    switches = ["--GoodmanExtension.rate_limit=0", "--GoodmanExtension.watch=False"]
    running = start_service(root, border, free_port(), database=database, args=switches)
    catalogue = running.catalogue()
    fill(catalogue, root / "raw", root)
    catalogue.close()
    yield running
    stop_service(running.process)


def aim(case):
    """Let most made-up ids be those of something, and nothing wait for long."""
    for values in (case.path_parameters, case.query, case.body):
        if isinstance(values, dict) and isinstance(values.get("id"), int):
            values["id"] %= 5
    if case.path == "/api/events/" and case.query is not None:
        case.query.setdefault("since", 0)  # the stream has no end
    if isinstance(case.query, dict):
        case.query.pop("wait", None)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.label)
def test_every_answer_is_documented(playground, entry):
    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=entry.as_strategy())
    def ask(case):
        aim(case)
        case.call_and_validate(
            checks=CHECKS,
            base_url=playground.url.rstrip("/"),
            headers={"Authorization": "Token token-of-super"},
            timeout=60,
        )

    ask()
