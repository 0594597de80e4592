"""Accounts: sign-in to the first useful page with 1 and 20 at once, an import, a membership.

Prints what a password costs, the time from a name and password to the answer with 1 and 20
people at once (argon2id at its full cost, two at a time, as the Hub runs it), the dry run and the
import of 200 accounts on SQLite, and the time from the commit of a
membership to the next request that is allowed or refused.

Then, through a Hub of its own, as browsers go and without one each: from the password to the
answer, to the rows that the Data page shows first (given by the user's own server), and to the
whole page with its kernel; cold, when each needs a server of their own, and warm. Who has not
arrived after `--patience` seconds is named with how far they came.

    python benchmarks/bench_accounts.py [--accounts 200] [--people 20] [--patience 150]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
from running import PASSWORD, hub, sign_in, visitor

from goodman_live.hub.accounts.database import make_engine, session_factory
from goodman_live.hub.accounts.passwords import hash_password, verify_password
from goodman_live.hub.accounts.proposals import (
    add_collaborator,
    create_proposal,
    find_proposal,
    remove_collaborator,
)
from goodman_live.hub.accounts.users import Outcome, authenticate, create_user, find_user
from goodman_live.hub.authenticator import HASH_THREADS
from goodman_live.hub.demo.processes import marked
from goodman_live.hub.semester_import import import_semester
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.instrument import setup
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.permission import is_member
from goodman_live.server_extension.catalogue.viewer import load_viewer

if TYPE_CHECKING:
    from collections.abc import Callable


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def spread(seconds: list[float]) -> str:
    """Return median and 95th percentile in milliseconds."""
    ordered = sorted(seconds)
    late = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"p50 {1e3 * statistics.median(ordered):.0f} ms, p95 {1e3 * late:.0f} ms"


def sign_ins(catalogue: Catalogue, names: list[str], at_once: int, times: int) -> list[float]:
    """Return the seconds from each wish to its answer, with `at_once` people at a time."""
    pool = ThreadPoolExecutor(HASH_THREADS)

    def enter(name: str, asked: float) -> float:
        with catalogue.stepwise() as session:
            outcome = authenticate(session, name, PASSWORD, "198.51.100.7").outcome
        if outcome is not Outcome.OK:
            raise SystemExit(f"{name} could not sign in: {outcome}")
        return time.perf_counter() - asked

    waits: list[float] = []
    for _ in range(times):
        asked = time.perf_counter()
        waits += [f.result() for f in [pool.submit(enter, n, asked) for n in names[:at_once]]]
    pool.shutdown()
    return waits


def semester(accounts: int) -> str:
    """Return a CSV file that makes so many accounts."""
    rows = (
        f"SOAR2026B-{n:03d},pi{n}@example.net,Of {n},co{n}@example.net"
        for n in range(accounts // 2)
    )
    return "\n".join(["soar_id,pi_email,pi_last_name,collaborators", *rows])


def membership(catalogue: Catalogue, changes: int = 50) -> list[float]:
    """Return the seconds that the first question after each change took; each must see it."""
    waits = []
    for number in range(changes):
        with catalogue.stepwise() as session:
            proposal = find_proposal(session, "SOAR2026A-001")
            if proposal is None:
                raise SystemExit("the proposal is gone")
            change = remove_collaborator if number % 2 else add_collaborator
            change(session, proposal, "user1@example.org", by=None)
        began = time.perf_counter()
        with catalogue.read() as session:
            viewer = load_viewer(session, "user1")
            sees = viewer is not None and is_member(session, viewer, "SOAR2026A-001")
        waits.append(time.perf_counter() - began)
        if sees is bool(number % 2):
            raise SystemExit("a change of membership was not seen by the next request")
    return waits


def accounts(count: int) -> None:
    """Print the cost of passwords, of an import of `count` accounts, of a change of membership."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/goodman.sqlite"
        migrate(url)
        catalogue = Catalogue(url)
        stored = hash_password(PASSWORD)
        costs = [timed(lambda: verify_password(stored, PASSWORD)) for _ in range(10)]
        unknown = [timed(lambda: verify_password("", PASSWORD)) for _ in range(10)]
        print(f"a password: {spread(costs)}; of an unknown name: {spread(unknown)}")
        names = [f"user{n}" for n in range(20)]
        with catalogue.stepwise() as session:
            for name in names:
                create_user(session, username=name, email=f"{name}@example.org", password=PASSWORD)
            create_proposal(session, soar_id="SOAR2026A-001", pi=find_user(session, "user0"))
        for at_once, times in ((1, 10), (20, 3)):
            waits = sign_ins(catalogue, names, at_once, times)
            print(f"sign-in, {at_once} at once: {spread(waits)}")
        text = semester(count)
        for words, apply in (("dry run", False), ("import", True), ("the same again", True)):
            with catalogue.stepwise() as session:
                began = time.perf_counter()
                report = import_semester(session, text, apply=apply)
                spent = time.perf_counter() - began
            print(
                f"{words}: {report.count('new_users')} new accounts, "
                f"{report.count('new_proposals')} proposals, {report.count('letters')} letters:"
                f" {spent:.2f} s"
            )
        print(f"membership seen by the next request, 50 of 50: {spread(membership(catalogue))}")
        catalogue.close()


@dataclass
class Arrival:
    """What one person saw, in seconds from sending name and password; None: it did not come."""

    name: str
    signed_in: float | None = None
    rows: float | None = None
    page: float | None = None
    reached: str = "asked"


def arrive(url: str, name: str, until: float) -> Arrival:
    """Sign in and go to the Data page as a browser does, waiting at most until `until`."""
    seen = Arrival(name)
    with closing(visitor(url)) as client:
        try:
            go(client, seen, until)
        except (RefusedError, httpx.HTTPError, ValueError, KeyError) as error:
            seen.reached += f", then {type(error).__name__}: {str(error)[:100]}"
    return seen


def go(client: httpx.Client, seen: Arrival, until: float) -> None:
    """Take one step after the other, and note when each was done."""
    began = time.perf_counter()
    if (status := sign_in(client, seen.name)) != httpx.codes.FOUND:
        raise RefusedError(f"sign-in answers {status}")
    seen.signed_in, seen.reached = time.perf_counter() - began, "signed in"
    open_server(client, seen.name, until)
    seen.reached = "server up"
    answer = client.get(f"/user/{seen.name}/goodman/preview", timeout=left(until))
    if not answer.json()["rows"]:
        raise RefusedError("no rows")
    seen.rows, seen.reached = time.perf_counter() - began, "rows"
    where = f"/user/{seen.name}/voila/render/pages/data.ipynb"
    page = client.get(where, timeout=left(until)).raise_for_status()
    if "widget-view" not in page.text:
        raise RefusedError("a page without widgets")
    seen.page, seen.reached = time.perf_counter() - began, "page"


class RefusedError(Exception):
    """Somebody was not let on."""


def left(until: float) -> float:
    """Return the seconds that are left, at least one."""
    return max(1.0, until - time.perf_counter())


def open_server(client: httpx.Client, name: str, until: float) -> None:
    """Ask for one's server and follow its progress, as the page that waits does."""
    if client.get("/hub/spawn", timeout=left(until)).status_code >= httpx.codes.BAD_REQUEST:
        raise RefusedError("the Hub refuses to start the server")
    proof = {"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/") or ""}
    url = f"/hub/api/users/{name}/server/progress"
    with client.stream("GET", url, headers=proof, timeout=left(until)) as progress:
        if progress.status_code == httpx.codes.BAD_REQUEST:
            return  # it runs
        for line in progress.iter_lines():
            if time.perf_counter() > until:
                raise RefusedError("the patience is over")
            told = json.loads(line[6:]) if line.startswith("data: ") else {}
            if told.get("failed"):
                raise RefusedError(told.get("message", "failed"))
            if told.get("ready"):
                return
    raise RefusedError("the progress ended")


def together(url: str, names: list[str], patience_s: float) -> list[Arrival]:
    """Let all come at once."""
    until = time.perf_counter() + patience_s
    with ThreadPoolExecutor(len(names)) as people:
        return list(people.map(lambda name: arrive(url, name, until), names))


def leave(url: str, root: Path, name: str) -> None:
    """Sign out, which ends the server, and wait until it has."""
    with closing(visitor(url)) as client:
        sign_in(client, name)
        client.get("/hub/logout")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(map(is_server, marked(root))):
        time.sleep(0.2)


def is_server(process: psutil.Process) -> bool:
    """Tell whether this is somebody's own server."""
    try:
        return "jupyterhub.singleuser" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def show(words: str, arrivals: list[Arrival]) -> None:
    """Print what came, and what did not."""
    for what in ("signed_in", "rows", "page"):
        came = [value for one in arrivals if (value := getattr(one, what)) is not None]
        figures = spread(came) if came else "nobody"
        lost = f"; {len(arrivals) - len(came)} did not come" if len(came) < len(arrivals) else ""
        print(f"{words}, to {what.replace('_', ' ')}: {figures} (n={len(came)}){lost}", flush=True)
    for one in arrivals:
        if one.page is None:
            print(f"    {one.name}: {one.reached}", flush=True)


def wait_for_frames(url: str, name: str) -> None:
    """Wait until there is something to see."""
    deadline = time.monotonic() + 60
    with closing(visitor(url)) as client:
        sign_in(client, name)
        client.get("/services/goodman/api/docs/").raise_for_status()
        proof = {"X-XSRFToken": client.cookies.get("_xsrf", path="/services/goodman/") or ""}
        path = "/services/goodman/api/files/"
        while not client.get(path, headers=proof).raise_for_status().json()["count"]:
            if time.monotonic() > deadline:
                raise SystemExit("no frame came")
            time.sleep(0.2)


def pages(people: int, patience_s: float) -> None:
    """Print sign-in to the first useful page, through a Hub, alone and all at once."""
    with tempfile.TemporaryDirectory(prefix="goodman-accounts-") as folder:
        root = Path(folder)
        names = [f"reader{number}" for number in range(people)]
        url = f"sqlite:///{root}/goodman.sqlite"
        migrate(url)
        engine = make_engine(url)
        with session_factory(engine)() as session:
            for name in names:
                email = f"{name}@example.org"
                create_user(session, username=name, email=email, password=PASSWORD, is_staff=True)
        engine.dispose()
        (root / "raw").mkdir()
        for seed in range(3):
            frames.bias(setup(), seed=seed).write(root / "raw" / f"000{seed}_bias.fits")
        with hub(root) as address:
            wait_for_frames(address, names[0])
            alone = []
            for _ in range(3):
                alone += together(address, names[:1], patience_s)
                leave(address, root, names[0])
            show("alone, server not running", alone)
            show(f"{people} at once, servers not running", together(address, names, patience_s))
            show(f"{people} at once, servers running", together(address, names, patience_s))
            warm = [one for _ in range(5) for one in together(address, names[:1], patience_s)]
            show("alone, server running", warm)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--people", type=int, default=20, help="who come at once")
    parser.add_argument("--patience", type=float, default=150, help="seconds that they wait")
    options = parser.parse_args()
    accounts(options.accounts)
    pages(options.people, options.patience)


if __name__ == "__main__":
    main()
