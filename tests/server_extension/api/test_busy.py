"""A database that others hold for long is nobody's fault: it is told so, and passes."""

import sqlite3
from contextlib import closing

import pytest


@pytest.mark.slow
def test_who_writes_while_the_database_is_locked_is_told_to_come_again(as_, world, service):
    path = service.database.removeprefix("sqlite:///")
    body = {"id": world.files["ours"], "text": "when it was busy"}
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = as_("pi").post("api/files/comments/", json=body)
        read = as_("pi").get("api/files/comments/", params={"id": body["id"]})
        other.execute("ROLLBACK")
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "busy"
    assert int(answer.headers["Retry-After"]) > 0
    assert "locked" not in answer.text
    assert read.status_code == 200
    assert as_("pi").post("api/files/comments/", json=body).status_code == 201
