"""Backup and restore by one command each, on SQLite and PostgreSQL, as an operator types them."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, literal_column, select, table, text

from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.accounts.proposals import create_proposal
from goodman_live.hub.accounts.users import create_user
from goodman_live.hub.operate import databases
from goodman_live.hub.operate.manifest import read_manifest
from goodman_live.pipeline.cli import main
from goodman_live.server_extension.catalogue.migrate import current_revision, migrate, revisions
from goodman_live.server_extension.catalogue.models import Arrival, Event, Frame

GOOD = "a-long-w0rd-for-tests!"
FRAMES = 30


def frame(root, number, **facts):
    return Frame(
        directory_name=str(root / "raw"),
        file_name=f"0{number:03d}_m31.fits",
        data_type=0,
        state="done",
        checksum=hashlib.sha256(content(number)).hexdigest(),
        **facts,
    )


def content(number):
    return f"frame {number}".encode() * 50


@pytest.fixture
def places(tmp_path, database_url):
    """Return two installations: one with contents, one empty."""
    here, there = tmp_path / "here", tmp_path / "there"
    fill(here, database_url)
    if database_url.startswith("sqlite"):
        yield (here, database_url), (there, f"sqlite:///{there}/goodman.sqlite")
        return
    name = f"restored_{os.urandom(6).hex()}"
    admin = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield (here, database_url), (there, database_url.rpartition("/")[0] + f"/{name}")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def fill(root, url):
    migrate(url)
    for folder in ("raw", "products/n1", "hub", "work", "logs", "mail"):
        (root / folder).mkdir(parents=True)
    engine = make_engine(url)
    with session_factory(engine)() as session:
        user = create_user(session, username="vera", email="v@example.org", password=GOOD)
        create_proposal(session, soar_id="SOAR2026B-001", pi=user, title="Ümlaut")
        for number in range(FRAMES):
            (root / "raw" / f"0{number:03d}_m31.fits").write_bytes(content(number))
            made = frame(root, number, proposal_id="SOAR2026B-001")
            session.add(made)
            session.flush()
            session.add(Event(kind="frame.added", frame_id=made.id, data={"x": [1, 2.5, None]}))
        elsewhere = frame(Path("/archive"), 999)
        path = root / "raw" / "0000_m31.fits"
        arrival = Arrival(path=str(path), size=1, mtime_ns=1, state="taken")
        session.add_all([elsewhere, arrival])
        session.commit()
    engine.dispose()
    (root / "products" / "n1" / "cfzst_m31.fits").write_bytes(b"product" * 1000)
    (root / "work" / "scratch").write_text("x")
    (root / "logs" / "hub.log").write_text("x")
    (root / "raw" / ".a.fits.part").write_text("half")
    (root / "hub" / "cookie_secret").write_text("secret")
    with closing(sqlite3.connect(root / "hub" / "hub.sqlite")) as hub, hub:
        hub.execute("PRAGMA journal_mode = WAL")
        hub.execute("CREATE TABLE tokens (hashed TEXT)")
        hub.execute("INSERT INTO tokens VALUES ('abc')")


def run(*words, root, url):
    env = {"GOODMAN_DATA": str(root), "GOODMAN_DATABASE": url}
    return CliRunner().invoke(main, [str(word) for word in words], env=env)


def everything(url):
    """Return every row of every table, as text."""
    engine = make_engine(url)
    with engine.connect() as connection:
        told = {}
        for name in databases.count_rows(engine):
            rows = connection.execute(table(name, literal_column("*")).select())
            told[name] = sorted(repr(tuple(row)) for row in rows)
    engine.dispose()
    return told


def sums(root, *leave):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix not in {".sqlite", ".part"}
        and not path.name.endswith(("-wal", "-shm", "last-backup"))
        and path.relative_to(root).parts[0] not in leave
    }  # fmt: skip


def test_what_is_restored_is_what_was_backed_up(places, tmp_path):
    (here, url), (there, other) = places
    kept = tmp_path / "kept"
    done = run("backup", kept, root=here, url=url)
    assert done.exit_code == 0, done.output
    assert kept.stat().st_mode & 0o077 == 0
    assert (kept / read_manifest(kept).database).stat().st_mode & 0o077 == 0
    assert not (kept / "files" / "work").exists()
    done = run("restore", kept, root=there, url=other)
    assert done.exit_code == 0, done.output
    assert sums(there) == sums(here, "work", "logs")
    before, after = everything(url), everything(other)
    assert {name: len(rows) for name, rows in after.items()} == {
        name: len(rows) for name, rows in before.items()
    }
    same = set(before) - {"frames", "arrivals"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    moved = {name: [row.replace(str(here), str(there)) for row in before[name]] for name in before}
    for name in ("frames", "arrivals"):
        assert after[name] == sorted(moved[name])
    engine = make_engine(other)
    with session_factory(engine)() as session:
        frames = session.scalars(select(Frame).where(Frame.proposal_id == "SOAR2026B-001"))
        for one in frames:
            assert hashlib.sha256(one.path.read_bytes()).hexdigest() == one.checksum
        session.add(frame(there, 500))
        session.commit()  # keys go on where they were
    engine.dispose()
    with closing(sqlite3.connect(there / "hub" / "hub.sqlite")) as hub:
        assert hub.execute("SELECT * FROM tokens").fetchall() == [("abc",)]


def test_a_later_backup_shares_what_did_not_change(places, tmp_path):
    (here, url), (there, other) = places
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("backup", first, root=here, url=url).exit_code == 0
    (here / "raw" / "0000_m31.fits").write_bytes(b"changed since")
    (here / "raw" / "0500_m31.fits").write_bytes(b"new")
    assert run("backup", second, "--since", first, root=here, url=url).exit_code == 0
    shared, changed = "files/raw/0001_m31.fits", "files/raw/0000_m31.fits"
    assert (first / shared).stat().st_ino == (second / shared).stat().st_ino
    assert (first / changed).read_bytes() == content(0)
    done = run("restore", second, root=there, url=other)
    assert done.exit_code == 0, done.output
    assert sums(there) == sums(here, "work", "logs")


def test_an_older_catalogue_is_restored_and_brought_up_to_date(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    old, new = f"sqlite:///{here}/goodman.sqlite", f"sqlite:///{there}/goodman.sqlite"
    migrate(old, "0002")
    with closing(sqlite3.connect(here / "goodman.sqlite")) as database, database:
        database.execute(
            "INSERT INTO users (id, username, email, first_name, last_name, partner, is_staff,"
            " is_superuser, is_active, password_hash, options, date_joined) VALUES (1, 'vera',"
            " 'v@example.org', '', '', '', 0, 0, 1, 'hash', '{}', '2026-01-01 00:00:00')"
        )
    kept = tmp_path / "kept"
    assert run("backup", kept, root=here, url=old).exit_code == 0
    assert read_manifest(kept).revision == "0002"
    done = run("restore", kept, root=there, url=new)
    assert done.exit_code == 0, done.output
    engine = make_engine(new)
    with engine.connect() as connection:
        assert current_revision(connection) == revisions()[-1]
        assert connection.execute(text("SELECT password_hash FROM users")).scalar_one() == "hash"
    engine.dispose()


def test_nothing_is_restored_over_anything(places, tmp_path):
    (here, url), (there, other) = places
    kept = tmp_path / "kept"
    run("backup", kept, root=here, url=url)
    before = everything(url)
    refused = run("restore", kept, root=there, url=url)
    assert refused.exit_code == 1
    assert "tables" in refused.output
    assert everything(url) == before
    there.mkdir()
    (there / "mine").write_text("x")
    refused = run("restore", kept, root=there, url=other)
    assert "not empty" in refused.output
    assert [path.name for path in there.iterdir()] == ["mine"]
    assert "not empty" in run("backup", kept, root=here, url=url).output


@pytest.mark.parametrize("harm", ["change", "remove", "manifest", "database", "newer"])
def test_a_backup_that_is_not_whole_is_refused_before_anything_is_written(tmp_path, harm):
    here, there, kept = tmp_path / "here", tmp_path / "there", tmp_path / "kept"
    url, other = f"sqlite:///{here}/goodman.sqlite", f"sqlite:///{there}/goodman.sqlite"
    fill(here, url)
    run("backup", kept, root=here, url=url)
    victim = kept / "files" / "raw" / "0007_m31.fits"
    if harm == "change":
        data = victim.read_bytes()
        victim.write_bytes(data[:-1] + b"!")
    elif harm == "remove":
        victim.unlink()
    elif harm == "manifest":
        (kept / "manifest.json").unlink()
    elif harm == "database":
        with (kept / "database.sqlite").open("r+b") as stream:
            stream.seek(5000)
            stream.write(b"damage")
    else:
        values = json.loads((kept / "manifest.json").read_text())
        (kept / "manifest.json").write_text(json.dumps(values | {"revision": "9999"}))
    refused = run("restore", kept, root=there, url=other)
    assert refused.exit_code == 1
    assert isinstance(refused.exception, SystemExit), refused.output
    assert not there.exists()


def test_a_damaged_database_is_said_and_not_backed_up(tmp_path):
    here = tmp_path / "here"
    url = f"sqlite:///{here}/goodman.sqlite"
    fill(here, url)
    size = (here / "goodman.sqlite").stat().st_size
    for tail in ("-wal", "-shm"):
        (here / f"goodman.sqlite{tail}").unlink(missing_ok=True)
    with (here / "goodman.sqlite").open("r+b") as stream:
        stream.seek(size // 2)
        stream.write(os.urandom(20_000))
    done = run("backup", tmp_path / "kept", root=here, url=url)
    assert done.exit_code == 1
    assert "damaged" in done.output or "malformed" in done.output


def test_the_copy_is_of_one_moment_while_others_write(tmp_path):
    here = tmp_path / "here"
    url = f"sqlite:///{here}/goodman.sqlite"
    fill(here, url)
    code = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)\n"
        "c.execute('CREATE TABLE pairs (a INT, b INT)')\n"
        "print('on', flush=True)\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    c.execute('BEGIN IMMEDIATE')\n"
        "    c.execute('INSERT INTO pairs VALUES (?, 0)', (n,))\n"
        "    c.execute('UPDATE pairs SET b = a')\n"
        "    c.execute('COMMIT')\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(here / "goodman.sqlite")], stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout.readline()
        target = tmp_path / "copy.sqlite"
        databases.copy_sqlite(here / "goodman.sqlite", target)
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    with closing(sqlite3.connect(target)) as copy:
        assert copy.execute("SELECT count(*) FROM pairs WHERE a <> b").fetchone() == (0,)


def test_a_backup_counts_what_it_holds_while_the_service_writes(places, tmp_path):
    (here, url), (there, other) = places
    engine, over = make_engine(url), threading.Event()

    def write():
        with session_factory(engine)() as session:
            while not over.is_set():
                session.add(Event(kind="frame.changed", data={}))
                session.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        done = run("backup", tmp_path / "kept", root=here, url=url)
    finally:
        over.set()
        writer.join()
        engine.dispose()
    assert done.exit_code == 0, done.output
    done = run("restore", tmp_path / "kept", root=there, url=other)
    assert done.exit_code == 0, done.output


def test_no_password_is_in_a_command_line(monkeypatch, tmp_path):
    seen = {}

    def watch(command, *, env, **_):
        seen.update(command=command, env=env)
        return subprocess.CompletedProcess(command, 1, "", "no server")

    monkeypatch.setattr(databases.subprocess, "run", watch)
    file = tmp_path / "database.pgdump"
    monkeypatch.setattr(databases, "must_be_empty", lambda _: None)
    with pytest.raises(databases.DatabaseCopyError, match="no server") as caught:
        databases.load(file, "postgresql://vera:s3cret@dbhost/goodman")
    assert "s3cret" not in f"{seen['command']} {caught.value}"
    assert seen["env"]["PGPASSWORD"] == "s3cret"
