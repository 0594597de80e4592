"""Start, stop and every unfriendly end of `make live`: no process may be left behind."""

import os
import pty
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import psutil
import pytest

from goodman_live.hub.demo import processes, runner
from tests.processes import command_of


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


@pytest.fixture
def demo(tmp_path, night_dir, free_port):
    """Return a function that starts a demonstration with two frames and its own data root."""
    root = tmp_path / "live"
    raw = root / "night" / "RAW"
    raw.mkdir(parents=True)
    for frame in sorted(night_dir.glob("*.fits"))[:2]:
        shutil.copy(frame, raw)
    out = tmp_path / "out"
    started = []

    def start(**more):
        since = out.stat().st_size if out.exists() else 0
        options = ["--data", str(root), "--port", str(free_port()), "--interval", "0"]
        sink = out.open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "goodman_live.hub.demo", *options],
            **({"stdout": sink, "stderr": sink, "stdin": subprocess.DEVNULL} | more),
        )
        sink.close()
        started.append(process)

        def said():
            return out.read_bytes()[since:].decode()

        return process, said

    yield root, start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
    processes.stop_all(root, patience_s=0)


def ready(process, text):
    def look():
        assert process.poll() is None, text()
        return "Password" in text()

    assert wait_until(look, 120), text()


def test_it_ends_without_a_trace_and_starts_again_after_every_kind_of_end(demo):
    root, start = demo
    process, text = start()
    ready(process, text)
    names = " ".join(part for p in processes.marked(root) for part in command_of(p))
    for expected in (
        "jupyterhub",
        "configurable-http-proxy",
        "server_extension.service",
        "culler",
    ):
        assert expected in names
    assert wait_until(lambda: len(list((root / "raw").glob("*.fits"))) == 2)
    accounts = (root / "accounts.json").read_text()

    # A second one on the same data is refused and harms nothing.
    second, said = start()
    assert second.wait(60) == 1
    assert "running" in said()
    assert process.poll() is None

    # A polite kill.
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) == 0, text()
    assert processes.marked(root) == []

    # Killed outright: what it started ends by itself ...
    process, text = start()
    ready(process, text)
    everyone = processes.marked(root)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(everyone, timeout=60)
    assert not alive, alive

    # ... and when everything is killed, the next start still works, with all the data.
    process, text = start()
    ready(process, text)
    for victim in [psutil.Process(process.pid), *processes.marked(root)]:
        victim.kill()
    process.wait()
    process, text = start()
    ready(process, text)
    assert (root / "accounts.json").read_text() == accounts
    assert "All 2 frames" in text()
    # Ctrl-C: by its tree and by its sessions, not by our own mark alone.
    tree = psutil.Process(process.pid).children(recursive=True)
    sessions = {os.getsid(child.pid) for child in tree} - {os.getsid(0)}
    assert len(tree) >= 4
    assert sessions
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 0, text()
    assert processes.marked(root) == []
    assert not [child for child in tree if child.is_running()]
    assert not [left for left in psutil.process_iter() if _session(left) in sessions]


def _session(process):
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def test_it_ends_when_the_terminal_closes(demo):
    root, start = demo
    ours, theirs = pty.openpty()
    process, _ = start(stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                       preexec_fn=lambda: _own_terminal(theirs))  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"Password" not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)  # the kernel sends SIGHUP to the session
    process.wait(90)
    assert processes.marked(root) == []


def _own_terminal(terminal):
    import fcntl  # noqa: PLC0415 (in the child)
    import termios  # noqa: PLC0415

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def test_an_end_of_the_hub_is_reported_with_its_log(tmp_path):
    log = tmp_path / "hub.log"
    log.write_text("[C 2026 JupyterHub] Service goodman exited\n" + "noise\n" * 30)
    shown = runner.tail(log)
    assert shown.startswith("[C 2026 JupyterHub] Service goodman exited")
    assert runner.tail(tmp_path / "none") == ""


def test_the_next_free_port_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert runner.free_port(port) != port
    assert len(set(runner.free_ports(5))) == 5


def test_the_hub_forgets_pids_of_a_killed_run(tmp_path):
    database = tmp_path / "hub.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE spawners (server_id INTEGER, state TEXT)")
        connection.execute("CREATE TABLE servers (id INTEGER)")
        connection.execute("CREATE TABLE services (pid INTEGER)")
        connection.execute("INSERT INTO spawners VALUES (1, '{\"pid\": 1}')")
        connection.execute("INSERT INTO services VALUES (1)")
    connection.close()
    runner.forget_servers(database)
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT * FROM spawners").fetchall() == [(None, "{}")]
    assert connection.execute("SELECT * FROM services").fetchall() == [(None,)]
    connection.close()


def test_processes_of_others_are_never_ours(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, processes.MARK: str(tmp_path / "other")},
    )
    try:
        assert processes.marked(tmp_path / "mine") == []
        assert processes.stop_all(tmp_path / "mine") == 0
        assert other.poll() is None
        assert [p.pid for p in processes.marked(tmp_path / "other")] == [other.pid]
    finally:
        other.kill()
        other.wait()
