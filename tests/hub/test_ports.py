"""The service's port is bound by its own account and by nobody else, even while it is away."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from goodman_live.hub.conveniences import WiringError
from goodman_live.hub.ports import hold, ports

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="ports are held by root")

BIND = """
import socket, sys
host, port, *options = sys.argv[1:]
made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
for option in options:
    made.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
try:
    made.bind((host, int(port)))
    made.listen()
except OSError as error:
    print(error.strerror, flush=True)
else:
    print("listens", flush=True)
    sys.stdin.read()
"""


def bind(account, host, port, *options):
    """Start a program of an account that listens on a port; return it and what it says."""
    # One that every account can run, wherever that of the tests lies.
    system = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if system is None:
        pytest.skip("the system has no Python of its own")
    record = pwd.getpwnam(account)
    process = subprocess.Popen(
        [system, "-c", BIND, host, str(port), *options], user=record.pw_uid, group=record.pw_gid,
        extra_groups=[], cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return process, process.stdout.readline().strip()


def end(process):
    process.communicate("")


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
@pytest.mark.parametrize(
    "options", [(), ("SO_REUSEPORT",), ("SO_REUSEADDR",), ("SO_REUSEADDR", "SO_REUSEPORT")]
)
def test_another_account_cannot_listen_where_the_service_will(free_port, host, options):
    port = free_port()
    with hold(port, pwd.getpwnam("nobody").pw_uid):
        process, said = bind("daemon", host, port, *options)
        end(process)
        assert said == "Address already in use"


def test_the_account_itself_listens_and_leaves_and_comes_again(free_port):
    port = free_port()
    with hold(port, pwd.getpwnam("nobody").pw_uid):
        assert os.geteuid() == 0
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), 10)
            process, said = bind("nobody", "127.0.0.1", port, "SO_REUSEADDR", "SO_REUSEPORT")
            assert said == "listens"
            for _ in range(5):
                socket.create_connection(("127.0.0.1", port), 10).close()
            end(process)


def test_a_port_that_somebody_has_stops_the_start(free_port):
    port = free_port()
    process, said = bind("daemon", "127.0.0.1", port)
    assert said == "listens"
    with pytest.raises(WiringError, match=f"port {port} cannot be had"):
        hold(port, pwd.getpwnam("nobody").pw_uid)
    end(process)
    assert ports({"GOODMAN_SERVICE_PORT": str(port)}).service == port


def test_the_holder_keeps_the_port_while_the_hub_is_away_and_the_hub_shares_it(free_port):
    port, nobody = free_port(), pwd.getpwnam("nobody")
    # The module's environment may be closed to other accounts: it is imported before it changes.
    program = (
        "import os; from goodman_live.hub import ports;"
        f"os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid}); ports.main()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"GOODMAN_SERVICE_PORT": str(port)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == f"holding port {port}\n"
        for _ in range(2):  # the Hub comes and goes
            process, said = bind("daemon", "127.0.0.1", port, "SO_REUSEPORT")
            end(process)
            assert said == "Address already in use"
            with hold(port, nobody.pw_uid):
                process, said = bind("nobody", "127.0.0.1", port, "SO_REUSEPORT")
                end(process)
                assert said == "listens"
    finally:
        holder.send_signal(signal.SIGTERM)
        assert holder.wait(60) == 0
        holder.stdout.close()
    process, said = bind("daemon", "127.0.0.1", port)
    end(process)
    assert said == "listens"
