"""Lists, filters, counts, facets and deep pages of a large catalogue, as a member sees them.

python benchmarks/bench_catalogue.py [--rows 250000] [--url postgresql://...] [--repeat 20]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import insert, select, text

from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Frame
from goodman_live.server_extension.catalogue.queries import (
    ORDERINGS,
    Filters,
    count_frames,
    facets,
    list_frames,
)
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER, Viewer

if TYPE_CHECKING:
    from collections.abc import Callable

PROPOSALS = 40
"""Proposals that the frames belong to; the member belongs to one."""
CHUNK = 5000
SETUPS = (
    ("400_SYZY", "400_M1"),
    ("400_SYZY", "400_M2"),
    ("600_SYZY", "600_MID"),
    ("930_SYZY", "930_M2"),
)


def fill(catalogue: Catalogue, rows: int) -> Viewer:
    """Add `rows` frames of five years, and a member of one proposal."""
    rng = np.random.default_rng(3)
    with catalogue.write() as session:
        user = User(username="member", email="member@demo.example", is_active=True)
        session.add(user)
        session.flush()
        for number in range(PROPOSALS):
            name = f"SOAR2026B-{number:03d}"
            session.add(Proposal(soar_id=name, title=name, pi_id=user.id if number == 0 else None))
        viewer = Viewer(user.id, user.username)
    began = datetime(2021, 8, 15, 23, tzinfo=UTC)
    for start in range(0, rows, CHUNK):
        with catalogue.write() as session:
            session.execute(
                insert(Frame),
                [_row(rng, began, i, rows) for i in range(start, min(start + CHUNK, rows))],
            )
    if catalogue.dialect == "postgresql":  # whose own autovacuum would come in a minute
        with catalogue.engine.connect() as connection:
            connection.execute(text("ANALYZE"))
            connection.commit()
    return viewer


def filled(catalogue: Catalogue) -> Viewer | None:
    """Return the member if an earlier run left its frames."""
    with catalogue.read() as session:
        user = session.scalar(select(User).where(User.username == "member"))
    return Viewer(user.id, user.username) if user else None


def _row(rng: np.random.Generator, began: datetime, i: int, rows: int) -> dict[str, object]:
    at = began + timedelta(days=1826 * i / rows)
    # A night belongs to a few proposals, each with its set-up.
    night = int((at - began).days)
    turn = int(rng.integers(3))
    number = (7 * night + 11 * turn) % PROPOSALS
    grating, wavmode = SETUPS[(night + turn) % len(SETUPS)]
    kind = ("bias", "flat", "arc", "spectrum", "spectrum", "image")[int(rng.integers(6))]
    data_type = int(
        rng.choice([0, 0, 0, 2, 2, 3, 4, 1], p=[0.2] * 3 + [0.1, 0.1, 0.1, 0.09, 0.01])
    )
    return {
        "file_name": f"{i:07d}_{kind}.fits",
        "directory_name": f"/data/raw/{at:%Y%m%d}",
        "checksum": f"{i:064x}",
        "data_type": data_type,
        "kind": kind,
        "obstype": {"arc": "ARC", "spectrum": "SPECTRUM"}.get(kind, kind.upper()),
        "object_name": f"target {int(rng.integers(3000))}",
        "proposal_id": f"SOAR2026B-{number:03d}",
        "technique": "Spectroscopy",
        "filter": "NO_FILTER",
        "grating": grating,
        "slit": "1.0_LONG_SLIT",
        "wavmode": wavmode,
        "roi": "Spectroscopic 2x2",
        "camera": ("Red", "Blue")[number % 5 == 0],
        "xbin": 1 + number % 2,
        "ybin": 1 + number % 2,
        "exptime_s": float(rng.integers(1, 1800)),
        "airmass": 1.0 + float(rng.random()),
        # The targets of a proposal lie together on the sky.
        "ra_deg": None if kind == "bias" else 9.0 * number + float(rng.random()),
        "dec_deg": None if kind == "bias" else 30.0 - 2.0 * number + float(rng.random()),
        "version": 1 + int(data_type > 1 and i % 7 == 0),
        "grade": ("", "A", "B", "C")[i % 4] if data_type else "",
        "start": at,
        "mid": at,
        "date": at.date(),
        "night": f"{at:%Y%m%d}",
        "state": ("done", "done", "done", "kept", "kept", "failed")[i % 97 % 6],
        "quality": {}, "settings": {}, "versions": {}, "timing": {}, "messages": [],
    }  # fmt: skip


def questions(last_page: int) -> dict[str, Filters | tuple[Filters, int, str]]:
    return {
        "first page": (Filters(), 1, "-id"),
        "deep page": (Filters(), max(last_page // 2, 1), "-id"),
        "last page": (Filters(), max(last_page, 1), "-id"),
        "by date": (Filters(), 1, "-date"),
        "by name, deep": (Filters(), max(last_page // 2, 1), "file_name"),
        "raw spectra": (Filters(equal={"data_type": [0], "obstype": ["SPECTRUM"]}), 1, "-id"),
        "one night": (Filters(equal={"night": ["20240301"]}), 1, "-id"),
        "dates": (Filters(date_min=date(2024, 1, 1), date_max=date(2024, 2, 1)), 1, "-id"),
        "search": (Filters(search="target 77"), 1, "-id"),
        "a grating, deep": (
            Filters(equal={"grating": ["930_SYZY"]}),
            max(last_page // 16, 1),
            "-date",
        ),
    }


FACETS_OF = {
    "all facets": Filters(),
    "facets of spectra": Filters(equal={"data_type": [0], "obstype": ["SPECTRUM"]}),
    "facets of a month": Filters(date_min=date(2024, 1, 1), date_max=date(2024, 2, 1)),
    "facets of a night": Filters(equal={"night": ["20240301"]}),
}


def clock(work: Callable[[], object], repeat: int) -> tuple[float, float]:
    took = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        took.append(1e3 * (time.perf_counter() - began))
    return float(np.percentile(took, 50)), float(np.percentile(took, 95))


def run(url: str, rows: int, repeat: int) -> None:
    migrate(url)
    catalogue = Catalogue(url)
    began = time.perf_counter()
    member = filled(catalogue) or fill(catalogue, rows)
    print(
        f"{catalogue.dialect}, {rows} frames (filled in {time.perf_counter() - began:.0f} s), ms"
    )
    for who, viewer in (("member", member), ("staff", LOCAL_OWNER)):
        with catalogue.read() as session:
            pages = count_frames(session, viewer) // 20
        for label, (filters, page, order) in questions(pages).items():

            def ask(
                f: Filters = filters, p: int = page, o: str = order, v: Viewer = viewer
            ) -> None:
                with catalogue.read() as session:
                    list_frames(session, v, f, ordering=o, page=p)

            show(who, label, *clock(ask, repeat))

        for place, number in (("first", 1), ("middle", max(pages // 2, 1))):
            label, took = worst_order(catalogue, viewer, number, repeat)
            show(who, f"{place} by {label}", *took)

        for label, filters in FACETS_OF.items():

            def all_facets(v: Viewer = viewer, f: Filters = filters) -> None:
                with catalogue.read() as session:
                    facets(session, v, f)

            show(who, label, *clock(all_facets, repeat))
    catalogue.close()


def worst_order(
    catalogue: Catalogue, viewer: Viewer, page: int, repeat: int
) -> tuple[str, tuple[float, float]]:
    """Return the slowest order of a list, and its times."""

    def ask(order: str) -> None:
        with catalogue.read() as session:
            list_frames(session, viewer, ordering=order, page=page)

    orders = [f"{sign}{name}" for name in ORDERINGS for sign in ("", "-")]
    found = {order: clock(partial(ask, order), repeat) for order in orders}
    label = max(found, key=lambda order: found[order][1])
    return label, found[label]


def show(who: str, label: str, p50: float, p95: float) -> None:
    print(f"  {who:7s} {label:22s} p50 {p50:8.1f}   p95 {p95:8.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=250_000)
    parser.add_argument(
        "--url", help="a database, empty or of an earlier run; default SQLite in a folder"
    )
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(options.url or f"sqlite:///{folder}/goodman.sqlite", options.rows, options.repeat)


if __name__ == "__main__":
    main()
