"""`goodman-live doctor`: each thing that can be wrong is made wrong, and must be said."""

import os
import shutil
import socket
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.accounts.users import create_user
from goodman_live.hub.operate import doctor, host, parts
from goodman_live.hub.operate.doctor import examine
from goodman_live.hub.operate.findings import Level
from goodman_live.pipeline.cli import main
from goodman_live.server_extension.catalogue.migrate import migrate

GOOD = "a-long-w0rd-for-tests!"


@pytest.fixture
def environ(tmp_path):
    """Return the environment of an installation that is as it should be, but small."""
    root = tmp_path / "data"
    root.mkdir(mode=0o700)
    url = f"sqlite:///{root}/goodman.sqlite"
    migrate(url)
    engine = make_engine(url)
    with session_factory(engine)() as session:
        create_user(
            session, username="chief", email="c@example.org", password=GOOD, is_superuser=True
        )
    engine.dispose()
    return {
        "GOODMAN_DATA": str(root),
        "GOODMAN_DATABASE": url,
        "GOODMAN_ONE_OS_USER": "1",
        "GOODMAN_LEAST_FREE_MB": "1",
    }


def found(environ, *, area=None, level=None):
    return [
        one for one in examine(environ) if area in {None, one.area} and level in {None, one.level}
    ]


def errors(environ):
    return {one.area: one for one in found(environ, level=Level.ERROR)}


def test_what_is_sound_is_said_to_be_and_all_is_looked_at(environ):
    assert errors(environ) == {}
    areas = {one.area for one in examine(environ)}
    assert areas == {
        *("accounts", "permissions", "proxy", "database", "dask", "mail", "disk", "clock")
    }
    assert {one.area for one in found(environ, level=Level.OK)} >= {"permissions", "database"}


def test_whatever_is_wrong_has_a_remedy_and_an_exit_code(environ):
    done = CliRunner().invoke(main, ["doctor"], env=environ)
    assert done.exit_code == 0, done.output
    broken = environ | {"GOODMAN_DATABASE": f"{environ['GOODMAN_DATABASE']}.none"}
    done = CliRunner().invoke(main, ["doctor"], env=broken)
    assert done.exit_code == 1
    assert "ERROR   database" in done.output
    assert "-> Start the Hub once." in done.output
    for one in examine(broken):
        assert one.mend or one.level is Level.OK


def test_accounts(environ, monkeypatch):
    monkeypatch.setattr(doctor, "CHECKS", (host.accounts,))
    several = {key: value for key, value in environ.items() if key != "GOODMAN_ONE_OS_USER"}
    assert "useradd" in errors(several | {"GOODMAN_SERVICE_USER": "no-such"})["accounts"].mend
    assert "root" in errors(several | {"GOODMAN_SERVICE_USER": "root"})["accounts"].what
    warned = found(environ | {"GOODMAN_SHARED_ORIGIN": "1"}, area="accounts", level=Level.WARNING)
    assert {"GOODMAN_ONE_OS_USER=1", "GOODMAN_SHARED_ORIGIN=1"} == {one.what for one in warned}
    monkeypatch.setattr(host.shutil, "which", lambda _: None)
    assert "useradd" in errors(several | {"GOODMAN_SERVICE_USER": "nobody"})["accounts"].what


def test_a_catalogue_without_a_superuser(environ):
    with closing(sqlite3.connect(environ["GOODMAN_DATABASE"][10:])) as database, database:
        database.execute("UPDATE users SET is_active = 0")
    assert "no active superuser" in errors(environ)["accounts"].what


def test_permissions(environ, tmp_path):
    root = tmp_path / "data"
    root.chmod(0o755)
    assert f"read {root}" in errors(environ)["permissions"].what
    root.chmod(0o700)
    token = tmp_path / "token"
    told = environ | {"GOODMAN_INSTRUMENT_TOKEN_FILE": str(token)}
    assert "missing" in errors(told)["permissions"].what
    token.write_text("x")
    token.chmod(0o640)
    assert f"read {token}" in errors(told)["permissions"].what
    token.chmod(0o600)
    assert errors(told) == {}
    shutil.rmtree(root)
    assert "missing" in errors(environ)["permissions"].what


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_data_root_of_somebody_else(environ, tmp_path):
    shutil.chown(tmp_path / "data", "nobody")
    assert "belongs to nobody" in errors(environ)["permissions"].what


def test_database(environ, database_url):
    told = environ | {"GOODMAN_DATABASE": database_url}
    if database_url.startswith("sqlite"):
        assert "no catalogue" in errors(told)["database"].what
    else:
        assert "revision (none) is unknown" in errors(told)["database"].what
    migrate(database_url, "0002")
    older = [one.what for one in found(told, area="database", level=Level.WARNING)]
    assert len(older) == 1
    assert "at revision 0002" in older[0]
    migrate(database_url)
    assert "database" not in errors(told)
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    assert "9999" in errors(told)["database"].what


def test_a_database_that_is_away_and_its_password(environ, free_port):
    told = environ | {"GOODMAN_DATABASE": f"postgresql://me:s3cret@127.0.0.1:{free_port()}/x"}
    one = errors(told)["database"]
    assert "cannot be used" in one.what
    assert "s3cret" not in f"{one}"


def test_a_damaged_database(environ):
    path = environ["GOODMAN_DATABASE"][10:]
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "r+b") as stream:  # noqa: PTH123 (a name out of a URL)
        stream.seek(os.path.getsize(path) // 2)  # noqa: PTH202
        stream.write(os.urandom(30_000))
    assert "database" in errors(environ)


def test_dask(environ, tmp_path, free_port, monkeypatch):
    assert "no Dask profile" in errors(environ | {"GOODMAN_DASK": "none"})["dask"].what
    monkeypatch.setattr(parts, "memory_bytes", lambda: 2**30)
    assert "1.0 GiB" in found(environ, area="dask", level=Level.WARNING)[0].what
    monkeypatch.setattr(parts, "PATIENCE_S", 2.0)
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("")
    profile = tmp_path / "away.yaml"
    profile.write_text(
        f"kind: scheduler\naddress: tls://127.0.0.1:{free_port()}\n"
        f"tls: {{ca_file: {tmp_path}/ca, cert: {tmp_path}/cert, key: {tmp_path}/key}}\n"
    )
    assert "dask" in errors(environ | {"GOODMAN_DASK": str(profile)})


def test_mail(environ, free_port):
    told = environ | {"GOODMAN_SMTP_HOST": "127.0.0.1", "GOODMAN_SMTP_PORT": str(free_port())}
    assert "does not take letters" in errors(told)["mail"].what
    assert "GOODMAN_SMTP_SECURITY" in errors(told | {"GOODMAN_SMTP_SECURITY": "x"})["mail"].what


def test_disk(environ):
    assert (
        "intake has stopped"
        in errors(environ | {"GOODMAN_LEAST_FREE_MB": str(2**40)})["disk"].what
    )
    assert "no number" in errors(environ | {"GOODMAN_LEAST_FREE_MB": "much"})["disk"].what


@pytest.mark.parametrize(("state", "level"), [(0, Level.OK), (5, Level.WARNING)])
def test_clock(environ, monkeypatch, state, level):
    class Kernel:
        def adjtimex(self, _):
            return state

    monkeypatch.setattr(host.ctypes, "CDLL", lambda _: Kernel())
    [one] = found(environ, area="clock")
    assert one.level is level


def test_ports_that_the_network_reaches(environ):
    with socket.socket() as door:
        door.bind(("0.0.0.0", 0))  # noqa: S104 (what must be found)
        door.listen()
        told = environ | {"GOODMAN_PROXY_API_PORT": str(door.getsockname()[1])}
        assert "open to the network (0.0.0.0)" in errors(told)["proxy"].what
    assert "GOODMAN_HUB_PORT" in errors(environ | {"GOODMAN_HUB_PORT": "x"})["proxy"].what


def test_a_check_that_fails_is_a_finding_and_does_not_end_the_others(environ, monkeypatch):
    monkeypatch.setattr(host, "free_bytes", lambda _: 1 / 0)
    assert "could not be examined: ZeroDivisionError" in errors(environ)["disk"].what
    assert found(environ, area="clock")
