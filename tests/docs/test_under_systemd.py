"""The operator's guide, from nothing, on a machine with systemd: each block that is for root.

Needs root, systemd-nspawn, mmdebstrap and the package indexes (Debian, PyPI, npm); skipped where a
tool is missing. What a person does is done by `visit.py`, on that machine, through HTTPS.
"""

import json
import re
import shutil
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

import pytest

from goodman_live.pipeline.simulate.night import write_night
from goodman_live.server_extension.engine.series import LONGEST_S
from tests.docs.guide import as_root
from tests.docs.machine import Machine, missing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]

PACKAGES = (
    *("git", "make", "python3", "python3-venv", "openssl", "procps", "iproute2", "logrotate"),
    *("caddy", "prometheus", "curl"),
)
ADDRESS = "https://goodman.example.org"
PASSWORD = "a-long-w0rd-for-tests!"
DATA, SHARED = "/srv/goodman-live", "/shared"
SETTINGS = "/etc/goodman-live/goodman-live.env"
CERTIFICATE = (
    "cd /root && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    " -subj /CN=goodman.example.org -keyout key.pem -out cert.pem 2>/dev/null"
    " -addext subjectAltName=DNS:goodman.example.org,DNS:*.goodman.example.org\n"
)
OFF_THE_NETWORK = "install -D -m 600 etc/goodman-live.env"
"""Begins the first line of the guide that needs a running system; those before need indexes."""


@pytest.fixture(scope="module")
def folder():
    made = Path(tempfile.mkdtemp(prefix="goodman-machine-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def machine(project, folder):
    """Return a machine on which the guide was followed, with a superuser named chief."""
    made = Machine(folder / "root", folder / "console")
    made.make(PACKAGES)
    shared = made.root / SHARED[1:]
    shared.mkdir()
    subprocess.run(["git", "clone", "-q", str(project), str(shared / "source")], check=True)
    shutil.copy(project / "tests" / "docs" / "visit.py", shared)
    before, after = as_root(project, "useradd").split(OFF_THE_NETWORK)
    made.prepare(f"cd {SHARED}/source\n{before}")
    hosts = "127.0.0.1 localhost goodman.example.org chief.goodman.example.org dask.example.org\n"
    (made.root / "etc" / "hosts").write_text(hosts)
    made.start()
    try:
        made.run(f"cd /opt/goodman-live\n{edited(OFF_THE_NETWORK + after)}")
        made.run(CERTIFICATE + as_root(project, "caddy"))
        visit(made, f"invited {DATA}/mail")
        yield made
    finally:
        made.stop()


def edited(script):
    """Return the guide's commands with the settings edited, as they say: a token of monitoring."""
    token = "/etc/goodman-live/monitor-token"
    first, *rest = script.splitlines()
    made = f"(umask 077; openssl rand -hex 32 > {token})"
    return "\n".join([first, made, f"sed -i 's|^#\\(.*{token}\\)|\\1|' {SETTINGS}", *rest])


def visit(machine, command="page"):
    """Do something as chief; return what was seen, line by line."""
    python = "/opt/goodman-live/.venv/bin/python"
    trust = "SSL_CERT_FILE=/etc/goodman-live/tls/cert.pem"
    words = f"{ADDRESS} chief '{PASSWORD}' {command}"
    return machine.run(f"{trust} {python} {SHARED}/visit.py {words}").splitlines()


def observe(machine, seed):
    """Let a simulated night arrive in the watch folder; return the number of its spectra."""
    night = machine.root / SHARED[1:] / f"night{seed}"
    write_night(night, "bench", seed=seed)
    for path in (night / "RAW").iterdir():
        path.rename(path.with_name(f"{seed:04}_{path.name}"))
    machine.run(f"cp {SHARED}/night{seed}/RAW/*.fits {DATA}/raw/")
    return 4


def test_a_frame_becomes_a_spectrum_and_each_runs_as_who_it_is(machine):
    spectra = observe(machine, 5)
    address, *found = visit(machine, f"reduced 4 {spectra}")
    assert address.startswith("https://chief.goodman.example.org/user/chief/voila/")
    assert len(found) >= spectra
    group = machine.run("systemctl show -p ControlGroup --value goodman-live").strip()
    running = machine.run(
        f"ps -o user:20=,args= -p $(paste -sd, /sys/fs/cgroup{group}/cgroup.procs)"
    )
    for account, what in (
        ("root", "-m jupyterhub "),
        ("goodman-live", "goodman_live.server_extension.service"),
        ("goodman-chief", "jupyterhub.singleuser"),
        ("goodman-chief", "ipykernel"),
    ):
        assert re.search(rf"^{account} .*{re.escape(what)}", running, re.MULTILINE), running


def test_the_doctor_finds_nothing_wrong(machine, project):
    visit(machine)
    told = machine.run(as_root(project, "doctor"))
    lines = [line for line in told.splitlines() if re.match(r"(ok|WARNING|ERROR) ", line)]
    assert len(lines) > 10
    # No mail server was set; and a container's clock is its host's affair.
    expected = ("Letters are written", "The clock is not kept")
    odd = [line for line in lines if not line.startswith("ok")]
    assert [line for line in odd if not any(words in line for words in expected)] == []
    assert "JupyterHub version" in told, "what the journal says"


def test_when_it_is_stopped_nothing_is_left_and_the_port_is_held(machine):
    visit(machine)
    machine.run("systemctl stop goodman-live")
    [left] = machine.run(
        "ps -o args= -u goodman-live; ps -o args= -u goodman-chief || true"
    ).splitlines()
    assert left.endswith("goodman_live.hub.ports")
    take = "import socket; socket.socket().bind(('127.0.0.1', 8082))"
    said = machine.run(f'cd /; runuser -u nobody -- /usr/bin/python3 -c "{take}" 2>&1 || true')
    assert "Address already in use" in said
    machine.run("systemctl start goodman-live")
    visit(machine)


def test_a_killed_hub_comes_back(machine):
    restarts = "systemctl show -p NRestarts --value goodman-live"
    before = int(machine.run(restarts))
    machine.run("systemctl kill -s KILL goodman-live")
    machine.until(f"test $({restarts}) -gt {before}")
    visit(machine)


def test_a_backup_takes_the_place_of_what_is_there(machine, project):
    visit(machine)
    # The unit wants a disk of its own.
    machine.run("mkdir -p /backup; mountpoint -q /backup || mount -t tmpfs tmpfs /backup")
    listed = "find raw products -name '*.fits' -type f | sort | xargs -r sha256sum"
    # What is made after the backup is not in it: nothing is, for longer than a series is awaited.
    machine.until(f'cd {DATA}; a=$({listed}); sleep {LONGEST_S + 5}; test "$a" = "$({listed})"')
    machine.run("systemctl start goodman-backup")
    machine.run(f"rm -rf {DATA}.before; date > {DATA}/raw/since.txt")
    home = "/var/lib/goodman-live/home/chief"
    machine.run(f"runuser -u goodman-chief -- sh -c 'echo lost > {home}/server.log.mine'")
    before = machine.run(f"cd {DATA}; {listed}")
    machine.run(as_root(project, "tar -C"))
    assert machine.run(f"cd {DATA}; {listed}") == before
    owners = machine.run(f"find {DATA} -printf '%u\\n' | sort -u").split()
    assert owners == ["goodman-live"]
    assert machine.run(f"stat -c %U {home}").split() == ["goodman-chief"]
    visit(machine)


def test_the_machine_is_started_again(machine):
    machine.stop()
    machine.start()
    visit(machine)


def test_prometheus_sees_all(machine, project):
    visit(machine)
    machine.run(as_root(project, "prometheus"))
    ask = "curl -fsS http://127.0.0.1:9090/api/v1"
    # Debian's own configuration had other targets, which are remembered for minutes.
    up = urllib.parse.quote('sum(up{job=~"goodman|jupyterhub"}) == 2')
    machine.until(f"{ask}/query?query={up} | grep -q metric")
    rules = json.loads(machine.run(f"{ask}/rules"))["data"]["groups"]
    assert sum(len(group["rules"]) for group in rules) > 10
    machine.until(f'! {ask}/rules | grep -q \'"health":"unknown"\'')
    assert '"health":"err"' not in machine.run(f"{ask}/rules")
    observe(machine, 7)  # rates need what happens
    board = json.loads((project / "etc" / "monitoring" / "grafana-dashboard.json").read_text())
    for target in (one for panel in board["panels"] for one in panel["targets"]):
        if "shutter" in target["expr"]:
            continue  # only tonight's frames have that latency, and simulated ones are older
        query = urllib.parse.quote(target["expr"])
        machine.until(f"{ask}/query?query={query} | grep -q '\"metric\"'")


def test_a_dask_cluster_reduces(machine, project):
    script = as_root(project, "make-certificates").splitlines()
    units = "/etc/systemd/system/goodman-dask-worker.service"
    [at] = [i for i, line in enumerate(script) if units[:20] in line and line.startswith("cp")]
    script.insert(at + 1, f"sed -i 's/--nworkers 8/--nworkers 2/' {units}")
    machine.run("\n".join(script))
    try:
        machine.until(f". {SETTINGS}; export GOODMAN_DASK; goodman-live doctor | grep 'by TLS'")
        before = len(visit(machine, "reduced 4 0")) - 1
        spectra = observe(machine, 6)
        visit(machine, f"reduced 4 {before + spectra}")
        assert "ca.key" not in machine.run("ls /etc/goodman-live/dask")
    finally:
        machine.run("systemctl disable --now goodman-dask-worker goodman-dask-scheduler")
        machine.run(f"sed -i 's/^GOODMAN_DASK=/#GOODMAN_DASK=/' {SETTINGS}")
        machine.run("systemctl restart goodman-live")


def test_the_logs_are_rotated(machine):
    log = f"{DATA}/logs/hub.log"
    machine.run(f"install -d -o goodman-live -m 700 {DATA}/logs; truncate -s 150M {log}")
    machine.run("logrotate /opt/goodman-live/etc/logrotate.conf")
    assert machine.run(f"stat -c %s {log} {log}.1").split() == ["0", str(150 * 2**20)]
