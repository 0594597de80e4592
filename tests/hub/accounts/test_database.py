"""What passes and what does not, told apart by what the databases themselves say."""

import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from goodman_live.hub.accounts.database import BEGIN, WRITE, is_away, make_engine


def test_a_database_that_another_writes_to_is_away(tmp_path):
    url = f"sqlite:///{tmp_path}/x.sqlite"
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a INTEGER PRIMARY KEY)"))
    writing = engine.execution_options(**{BEGIN: WRITE})
    with writing.connect() as first, engine.connect() as second:
        first.execute(text("INSERT INTO t VALUES (1)"))
        second.exec_driver_sql("PRAGMA busy_timeout = 1")
        with pytest.raises(OperationalError, match="locked") as caught:
            second.execute(text("INSERT INTO t VALUES (2)"))
        first.rollback()
    engine.dispose()
    assert is_away(caught.value)


@pytest.mark.parametrize(
    "statement", ["SELECT * FROM nowhere", "SELEC", "INSERT INTO t VALUES (1)"]
)
def test_a_mistake_of_ours_is_not(database_url, statement):
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (a INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
    with pytest.raises(DBAPIError) as caught, engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
    assert not is_away(caught.value)


def test_a_server_that_is_not_there_is_away(free_port):
    engine = make_engine(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    with pytest.raises(OperationalError) as caught:
        engine.connect()
    assert is_away(caught.value)


def test_more_than_there_are_connections_for_wait_and_are_told(tmp_path):
    url = f"sqlite:///{tmp_path}/x.sqlite"
    engine = make_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with engine.connect(), pytest.raises(NoConnectionError) as caught:
        engine.connect()
    engine.dispose()
    assert is_away(caught.value)
    assert not is_away(sqlite3.OperationalError("no such table: t"))
    assert not is_away(IntegrityError("", {}, Exception()))
    assert not is_away(None)
