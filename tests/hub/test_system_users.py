"""The Hub as root with system accounts: what a user's own code can reach, attacked from there.

The attacks run as the user's server does: its system account, its environment, its folder. That
is all that a kernel of that server has.
"""

import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.accounts.users import create_user
from goodman_live.server_extension.catalogue.migrate import migrate
from tests.processes import command_of

GOOD = "a-long-w0rd-for-tests!"


def runs_for_others(python):
    """Tell whether another account can run this interpreter with the project in it."""
    command = [str(python), "-c", "import goodman_live.hub.wiring"]
    try:
        tried = subprocess.run(
            command, user="nobody", group="nogroup", extra_groups=[], cwd="/", check=False,
            capture_output=True, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
    except PermissionError:
        return False
    return tried.returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("useradd") is None,
        reason="system accounts are made by root",
    ),
]


@pytest.fixture(scope="module")
def python():
    """Return an interpreter with the project that every account can run.

    Where the tests' own lies in somebody's home folder, the system's of the same version is given
    the tests' packages.
    """
    if runs_for_others(sys.executable):
        yield sys.executable
        return
    system = Path(f"/usr/bin/python3.{sys.version_info.minor}")
    if not system.is_file():
        pytest.skip(f"other accounts cannot run {sys.executable}")
    folder = Path(tempfile.mkdtemp(prefix="goodman-python-"))
    folder.chmod(0o755)
    subprocess.run([str(system), "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    [site] = (folder / "env" / "lib").glob("python3*/site-packages")
    packages = sysconfig.get_path("purelib")
    (site / "tests.pth").write_text(f"import site; site.addsitedir({packages!r})\n")
    made = folder / "env" / "bin" / "python"
    assert runs_for_others(made)
    yield str(made)
    shutil.rmtree(folder)


@dataclass
class Installation:
    """A Hub that runs as root."""

    root: Path
    url: str
    ports: dict[str, int]
    service_account: str
    hub: subprocess.Popen
    names: tuple[str, str]
    python: str
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    @property
    def log(self):
        return (self.root / "hub.log").read_text(errors="replace")

    def process_of(self, name):
        """Return the process of a user's server."""
        account = pwd.getpwnam(f"goodman-{name}").pw_uid
        for process in psutil.process_iter(["uids", "cmdline"]):
            words = process.info["cmdline"] or []
            if process.info["uids"].real == account and "jupyterhub.singleuser" in words:
                return process
        return pytest.fail(f"no server runs as {account}\n{self.log[-3000:]}")

    def service(self):
        """Return the processes of the service."""
        [first] = [
            process
            for process in psutil.Process(self.hub.pid).children(recursive=True)
            if command_of(process)[1:3] == ["-m", "goodman_live.server_extension.service"]
        ]
        return [first, *first.children(recursive=True)]


def wait_until(look, what, log=lambda: ""):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    pytest.fail(f"{what}\n{log()[-4000:]}")


def answers(url):
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def installation(project, free_port, python):  # noqa: C901 (one Hub from start to end)
    tail = secrets.token_hex(3)
    account, names = f"gsvc{tail}", (f"mallory{tail}", f"victim{tail}")
    root = Path(tempfile.mkdtemp(prefix="goodman-root-"))
    root.chmod(0o755)
    subprocess.run(["useradd", "--system", "--home-dir", str(root / "data"), account], check=True)
    data, hub_folder = root / "data", root / "hub"
    for folder in (data, hub_folder):
        folder.mkdir(mode=0o700)
    url = f"sqlite:///{data}/goodman.sqlite"
    migrate(url)
    engine = make_engine(url)
    with session_factory(engine)() as session:
        for name in names:
            create_user(session, username=name, email=f"{name}@example.org", password=GOOD)
    engine.dispose()
    for path in (data, *data.rglob("*")):
        shutil.chown(path, account, account)
    (data / "secret.fits").write_text("not yours")
    shutil.chown(data / "secret.fits", account, account)
    keys = ("HUB", "HUB_INTERNAL", "PROXY_API", "SERVICE")
    ports = {key: free_port() for key in keys}
    config = root / "config.py"
    config.write_text(
        f"load_subconfig({str(project / 'jupyterhub_config.py')!r})\n"
        f"c.SystemUserSpawner.homes = {str(root / 'home')!r}\n"
        f"c.JupyterHub.db_url = 'sqlite:///{hub_folder}/hub.sqlite'\n"
        f"c.JupyterHub.cookie_secret_file = '{hub_folder}/cookie_secret'\n"
        f"c.ConfigurableHTTPProxy.pid_file = '{hub_folder}/proxy.pid'\n"
    )
    env = {key: os.environ[key] for key in ("PATH", "HOME")} | {
        "GOODMAN_DATA": str(data),
        "GOODMAN_SERVICE_USER": account,
        # Subdomains are attacked in a browser (tests/browser/test_subdomains.py).
        "GOODMAN_SHARED_ORIGIN": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **{f"GOODMAN_{key}_PORT": str(port) for key, port in ports.items()},
    }
    with (root / "hub.log").open("ab") as sink:
        hub = subprocess.Popen(
            [python, "-m", "jupyterhub", "-f", str(config)],
            env=env, cwd=hub_folder, stdout=sink, stderr=sink,
        )  # fmt: skip
    made = Installation(
        root, f"http://127.0.0.1:{ports['HUB']}", ports, account, hub, names, python
    )
    try:
        for path in ("/hub/health", "/services/goodman/api/"):
            wait_until(
                lambda path=path: hub.poll() is not None or answers(made.url + path),
                f"{path} does not answer", lambda: made.log,
            )  # fmt: skip
            assert hub.poll() is None, made.log[-4000:]
        for name in names:
            start_server(made, name)
        yield made
    finally:
        for client in made.clients.values():
            client.close()
        family = psutil.Process(hub.pid).children(recursive=True) if hub.poll() is None else []
        hub.send_signal(signal.SIGTERM)
        try:
            hub.wait(60)
        except subprocess.TimeoutExpired:
            hub.kill()
            hub.wait()
        for process in family:
            if process.is_running():
                process.kill()
        psutil.wait_procs(family, timeout=30)
        for name in (account, *(f"goodman-{name}" for name in names)):
            subprocess.run(["userdel", name], check=False, capture_output=True)
        shutil.rmtree(root)


def start_server(made, name):
    client = httpx.Client(base_url=made.url, trust_env=False, timeout=60, follow_redirects=True)
    made.clients[name] = client
    client.get("/hub/login")
    form = {"username": name, "password": GOOD}
    token = client.cookies.get("_xsrf", path="/hub/")
    answer = client.post("/hub/login", data={**form, "_xsrf": token}, follow_redirects=False)
    assert answer.status_code == 302, made.log[-6000:]
    client.get("/hub/spawn")

    def serves():
        answer = client.get(f"/user/{name}/api")
        kind = answer.headers.get("content-type", "")
        return kind.startswith("application/json") and "version" in answer.json()

    wait_until(serves, f"the server of {name} does not start", lambda: made.log)


def attack(made, code, *arguments):
    """Run code as mallory's kernel would run it; return what it prints as JSON."""
    server = made.process_of(made.names[0])
    record = pwd.getpwnam(f"goodman-{made.names[0]}")
    assert server.uids().real == record.pw_uid
    ran = subprocess.run(
        [made.python, "-c", code, *map(str, arguments)],
        user=record.pw_uid, group=record.pw_gid, extra_groups=[], env=server.environ(),
        cwd=record.pw_dir, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


TRY_TO_READ = """
import json, os, sys
told = {}
for path in sys.argv[1:]:
    try:
        if os.path.isdir(path):
            told[path] = os.listdir(path)
        else:
            with open(path, "rb") as stream:
                told[path] = stream.read(50).decode("latin-1")
    except OSError:
        pass
print(json.dumps(told))
"""


def test_each_runs_as_who_it_is(installation):
    made = installation
    accounts = {process.username() for process in made.service()}
    assert accounts == {made.service_account}
    for name in made.names:
        assert made.process_of(name).username() == f"goodman-{name}"


def test_files_of_the_data_the_hub_and_others_cannot_be_read(installation):
    made = installation
    victim = made.process_of(made.names[1])
    home = Path(pwd.getpwnam(f"goodman-{made.names[1]}").pw_dir)
    targets = [
        *(made.root / "data", made.root / "data" / "goodman.sqlite"),
        *(made.root / "data" / "secret.fits", made.root / "data" / "cookie_secret"),
        *(
            made.root / "hub",
            made.root / "hub" / "hub.sqlite",
            made.root / "hub" / "cookie_secret",
        ),
        *(home, home / ".bashrc"),
        *(f"/proc/{process.pid}/environ" for process in made.service()),
        *(f"/proc/{pid}/environ" for pid in (made.hub.pid, victim.pid)),
        f"/proc/{victim.pid}/cwd",
    ]
    assert attack(made, TRY_TO_READ, *targets) == {}
    own = attack(made, TRY_TO_READ, pwd.getpwnam(f"goodman-{made.names[0]}").pw_dir)
    assert own, "the attack does read what it may"


def test_no_secret_is_in_a_command_line_that_all_can_read(installation):
    made = installation
    told = attack(
        made,
        "import json, psutil\n"
        "print(json.dumps([' '.join(p.info['cmdline'] or []) for p in"
        " psutil.process_iter(['cmdline'])]))",
    )
    environs = [process.environ() for process in (*made.service(), made.process_of(made.names[1]))]
    known = {
        value
        for environ in environs
        for key, value in environ.items()
        if "TOKEN" in key or "SECRET" in key
    }
    known.add((made.root / "hub" / "cookie_secret").read_text().strip())
    assert len(known) >= 3
    for line in told:
        assert not any(secret in line for secret in known if secret), line[:60]


def test_another_users_processes_cannot_be_signalled_or_traced(installation):
    made = installation
    targets = [made.hub.pid, made.process_of(made.names[1]).pid, made.service()[0].pid]
    code = """
import json, os, sys
told = []
for pid in map(int, sys.argv[1:]):
    for act in (lambda: os.kill(pid, 0), lambda: open(f"/proc/{pid}/mem", "rb").read(1)):
        try:
            act()
            told.append(pid)
        except (PermissionError, OSError):
            pass
print(json.dumps(told))
"""
    assert attack(made, code, *targets) == []


def test_hub_proxy_and_the_others_server_are_closed(installation):
    made = installation
    victim = made.names[1]
    hub, proxy = made.ports["HUB_INTERNAL"], made.ports["PROXY_API"]
    inside = next(
        connection.laddr.port
        for connection in made.process_of(victim).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    )
    paths = [
        f"http://127.0.0.1:{hub}/hub/api/users",
        f"http://127.0.0.1:{hub}/hub/api/users/{victim}",
        f"http://127.0.0.1:{hub}/hub/api/users/{victim}/tokens",
        f"http://127.0.0.1:{hub}/hub/api/proxy",
        f"http://127.0.0.1:{hub}/hub/api/services",
        f"http://127.0.0.1:{proxy}/api/routes",
        f"http://127.0.0.1:{inside}/user/{victim}/api/contents",
        f"http://127.0.0.1:{inside}/user/{victim}/api/kernels",
        f"{made.url}/user/{victim}/api/contents",
        f"{made.url}/services/goodman/api/users/",
        f"http://127.0.0.1:{made.ports['SERVICE']}/services/goodman/api/metrics",
    ]
    code = """
import json, os, sys, urllib.error, urllib.request
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
opener = urllib.request.build_opener(Stay, urllib.request.ProxyHandler({}))
told = {}
for url in sys.argv[1:]:
    for words in ({}, {"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"]}):
        try:
            answer = opener.open(urllib.request.Request(url, headers=words), timeout=30)
            told[url] = [answer.status, answer.read(200).decode("latin-1")]
        except urllib.error.HTTPError as error:
            if error.code not in (302, 401, 403, 404, 405):
                told[url] = [error.code, ""]
print(json.dumps(told))
"""
    told = attack(made, code, *paths)
    # The Hub lists services to nobody: an empty answer is none.
    told = {url: answer for url, answer in told.items() if answer[1] not in {"{}", "[]"}}
    assert told == {}


LISTEN_IN = """
import json, sys, time, zmq
heard = []
context = zmq.Context()
poller = zmq.Poller()
for port in sys.argv[1:]:
    for kind in (zmq.SUB, zmq.DEALER):
        socket = context.socket(kind)
        socket.linger = 0
        if kind == zmq.SUB:
            socket.subscribe(b"")
        socket.connect(f"tcp://127.0.0.1:{port}")
        poller.register(socket, zmq.POLLIN)
deadline = time.monotonic() + 10
while time.monotonic() < deadline:
    for socket, _ in poller.poll(500):
        heard.append([part.decode("latin-1")[:200] for part in socket.recv_multipart()])
print(json.dumps(heard))
"""


def test_what_a_kernel_publishes_is_heard_by_its_owner_alone(installation):
    made = installation

    def kernel():
        server = made.process_of(made.names[1])
        for child in server.children(recursive=True):
            words = command_of(child)
            if "ipykernel_launcher" in words and Path(words[words.index("-f") + 1]).is_file():
                return child, words[words.index("-f") + 1]
        return None

    process, connection = wait_until(kernel, "no kernel waits", lambda: made.log)
    ports = [
        one.laddr.port
        for one in process.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN
    ]
    owner = BlockingKernelClient(connection_file=connection)
    owner.load_connection_file()
    owner.start_channels()
    with ThreadPoolExecutor(1) as elsewhere:
        heard = elsewhere.submit(attack, made, LISTEN_IN, *ports)
        said = []
        while not heard.done() or not said:
            owner.execute_interactive(
                "print('a spectrum of mine')", output_hook=said.append, timeout=120
            )
    owner.stop_channels()
    assert any("of mine" in str(message["content"]) for message in said)
    assert heard.result() == []


def test_dask_and_the_service_listen_and_take_no_stranger(installation):
    made = installation
    listening = {
        connection.laddr.port
        for process in made.service()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    } - {made.ports["SERVICE"]}
    assert listening, "the scheduler and its worker listen"
    code = """
import asyncio, json, logging, os, sys
logging.disable(logging.CRITICAL)
from distributed.comm import connect
from distributed.security import Security

PATHS = "/ /status /info/main/workers.html /json/counts.json /metrics /health"

async def ask(port, scheme, security):
    options = security.get_connection_args("client") if security else {}
    comm = await connect(f"{scheme}://127.0.0.1:{port}", timeout=10, **options)
    await comm.write({"op": "identity", "reply": True})
    return str(await comm.read())

async def browse(port, path, _):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\\r\\nHost: 127.0.0.1\\r\\n\\r\\n".encode())
    answer = (await reader.read(300)).decode("latin-1")
    return answer if answer.split(" ")[1:2] == ["200"] else ""

async def knock(way, *door):
    try:
        # Where HTTP is spoken, nobody answers to what a stranger of Dask's says.
        answer = await asyncio.wait_for(way(*door), 20)
    except Exception:
        return None
    return [*door[:2], answer[:100]] if answer else None

async def main():
    stranger = Security.temporary()
    knocks = []
    for port in sys.argv[1:]:
        knocks += [knock(ask, port, *door) for door in (("tcp", None), ("tls", stranger))]
        knocks += [knock(browse, port, path, None) for path in PATHS.split()]
    return [answer for answer in await asyncio.gather(*knocks) if answer]

print(json.dumps(asyncio.run(main())), flush=True)
os._exit(0)  # not waiting for what nobody answers
"""
    assert attack(made, code, *sorted(listening)) == []


def test_nothing_of_a_user_runs_on_when_their_server_has_stopped(installation):
    made = installation
    name = made.names[0]
    uid = pwd.getpwnam(f"goodman-{name}").pw_uid
    left = attack(
        made,
        "import json, subprocess\n"
        "left = subprocess.Popen(['setsid', 'sleep', '3600'], stdin=-3, stdout=-3, stderr=-3)\n"
        "print(json.dumps(left.pid))",
    )
    assert psutil.Process(left).uids().real == uid
    client = made.clients[name]
    client.get("/hub/home")
    proof = {"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/")}
    answer = client.delete(f"/hub/api/users/{name}/server", headers=proof)
    assert answer.status_code in {202, 204}, answer.text

    def ended():
        try:
            return psutil.Process(left).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    wait_until(ended, "something of the user still runs", lambda: made.log)
    client.close()
    start_server(made, name)
