"""Accounts: signing in with 1 and 20 at once, 200 accounts in one import, a change of membership.

Prints what a password costs, the time from a name and password to the answer with 1 and 20
people at once (argon2id at its full cost, two at a time, as the Hub runs it), the dry run and the
import of 200 accounts on SQLite, and the time from the commit of a
membership to the next request that is allowed or refused.

    python benchmarks/bench_accounts.py [--accounts 200]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from goodman_live.hub.accounts.passwords import hash_password, verify_password
from goodman_live.hub.accounts.proposals import (
    add_collaborator,
    create_proposal,
    find_proposal,
    remove_collaborator,
)
from goodman_live.hub.accounts.users import Outcome, authenticate, create_user, find_user
from goodman_live.hub.authenticator import HASH_THREADS
from goodman_live.hub.semester_import import import_semester
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.permission import is_member
from goodman_live.server_extension.catalogue.viewer import load_viewer

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "dusk!over7Pachon-ridge"  # noqa: S105 (of nobody)


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


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accounts", type=int, default=200)
    accounts = parser.parse_args().accounts
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
        text = semester(accounts)
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


if __name__ == "__main__":
    main()
