"""The counts that the database keeps are those of the rows, whatever was done to them."""

from datetime import date, timedelta
from itertools import product

import numpy as np
import pytest
from sqlalchemy import delete, func, select, text, update

from goodman_live.hub.accounts.models import Proposal, User, utc_now
from goodman_live.server_extension.catalogue import queries
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Frame, FrameTally
from goodman_live.server_extension.catalogue.queries import (
    FACETS,
    ORDERINGS,
    Filters,
    count_frames,
    facets,
    list_frames,
)
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER, load_viewer

KEPT = "SELECT key, n FROM frame_tallies ORDER BY key"
MIDNIGHT = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
NAMES = ("grade", "grating", "obstype", "proposal_id", "data_type", "technique", "kind", "camera")


def random_frame(rng, number):
    return Frame(
        file_name=f"{number:04d}.fits",
        directory_name="/raw",
        data_type=int(rng.integers(4)),
        proposal_id=str(rng.choice(["A", "B", "calibrate", ""])),
        obstype=str(rng.choice(["ARC", "SPECTRUM", "it's"])),
        grating=str(rng.choice(["400_SYZY", "930_SYZY", ""])),
        date=[None, date(2026, 8, 1), date(2026, 8, 2)][int(rng.integers(3))],
        owner_id=[None, None, 1, 2][int(rng.integers(4))],
        public_date=[None, MIDNIGHT - timedelta(days=1), MIDNIGHT + timedelta(days=2)][
            int(rng.integers(3))
        ],
        grade=str(rng.choice(["", "A", "C"])),
        is_current=bool(rng.integers(2)),
    )


@pytest.fixture
def busy(catalogue):
    """Give a catalogue whose frames were added, changed and deleted in every way."""
    rng = np.random.default_rng(17)
    with catalogue.write() as session:
        session.add_all([User(id=n, username=f"u{n}", email=f"{n}@example.org") for n in (1, 2)])
        session.flush()
        session.add(Proposal(soar_id="A", pi_id=1))
        session.add_all([random_frame(rng, number) for number in range(120)])
    with catalogue.write() as session:
        session.execute(update(Frame).where(Frame.id % 7 == 0).values(grating="600"))
        session.execute(update(Frame).where(Frame.id % 11 == 0).values(date=date(2026, 8, 9)))
        session.execute(update(Frame).where(Frame.id % 5 == 0).values(date=None))
        session.execute(update(Frame).values(state="done"))
        session.execute(delete(Frame).where(Frame.id % 13 == 0))
    with catalogue.stepwise() as session:  # rolled back
        session.execute(delete(Frame))
    return catalogue


def test_counts_are_those_of_the_rows(busy):
    with busy.read() as session:
        for name in NAMES:
            column, tallied = getattr(Frame, name), getattr(FrameTally, name)
            rows = session.execute(select(column, func.count()).group_by(column)).all()
            kept = session.execute(
                select(tallied, func.sum(FrameTally.n))
                .where(FrameTally.day.is_(None))
                .group_by(tallied)
            ).all()
            assert dict(map(tuple, kept)) == dict(map(tuple, rows))
        days = select(FrameTally.day, func.sum(FrameTally.n)).where(FrameTally.day.is_not(None))
        kept = session.execute(days.group_by(FrameTally.day)).all()
        rows = select(Frame.date, func.count()).where(Frame.date.is_not(None))
        assert dict(map(tuple, kept)) == dict(
            map(tuple, session.execute(rows.group_by(Frame.date)).all())
        )
        assert session.scalar(select(func.min(FrameTally.n))) > 0


FILTERS = [
    Filters(),
    Filters(equal={"data_type": [0, 2], "obstype": ["it's"]}),
    Filters(equal={"grating": ["600"]}, current=True),
    Filters(date_min=date(2026, 8, 2)),
    Filters(equal={"date": [date(2026, 8, 9)], "proposal_id": ["A", ""]}),
    Filters(max_id=60),
    Filters(equal={"state": ["done"]}, date_max=date(2026, 8, 1)),
    Filters(search="1", equal={"camera": [""]}),
    Filters(equal={"grade": ["A"], "data_type": [2]}),
    Filters(equal={"kind": ["unknown"], "state": ["done"], "grade": ["C", ""]}),
    Filters(search="1", equal={"data_type": [0, 2], "date": [date(2026, 8, 9)]}),
    Filters(search="A", date_min=date(2026, 8, 2), equal={"grade": [""], "grating": ["600"]}),
]


def test_counts_facets_and_lists_agree_for_everybody(busy, monkeypatch):
    with busy.read() as session:
        people = (LOCAL_OWNER, load_viewer(session, "u1"), load_viewer(session, "u2"))
        for filters, viewer in product(FILTERS, people):
            assert_agrees(session, filters, viewer, monkeypatch)


def assert_agrees(session, filters, viewer, monkeypatch):
    for ordering in ("-id", "date,-file_name"):
        for few in (0, 10**9):
            monkeypatch.setattr(queries, "FEW", few)
            monkeypatch.setattr(queries, "GATHER", 10**9)
            page = list_frames(session, viewer, filters, ordering=ordering, page_size=200)
            assert page.count == len(page.frames) == count_frames(session, viewer, filters)
    for name, values in facets(session, viewer, filters).items():
        others = {key: v for key, v in filters.equal.items() if key != name}
        whole = Filters(
            others,
            None if name == "date" else filters.date_min,
            None if name == "date" else filters.date_max,
            filters.search,
            current=filters.current,
            max_id=filters.max_id,
        )
        dated = [f for f in list_all(session, viewer, whole) if name != "date" or f.date]
        assert sum(number for _, number in values) == len(dated), name


def list_all(session, viewer, filters):
    return list_frames(session, viewer, filters, page_size=500).frames


def test_every_ordering_and_facet_is_known_to_both_ways(busy, monkeypatch):
    with busy.read() as session:
        viewer = load_viewer(session, "u1")
        for ordering in ORDERINGS:
            found = []
            for few in (0, 10**9):
                monkeypatch.setattr(queries, "FEW", few)
                monkeypatch.setattr(queries, "GATHER", 10**9)
                page = list_frames(session, viewer, ordering=f"-{ordering}", page=2, page_size=7)
                found.append([frame.id for frame in page.frames])
            assert found[0] == found[1], ordering
        assert set(facets(session, viewer)) == set(FACETS)


def test_an_older_catalogue_is_counted_when_it_is_brought_up(database_url):
    migrate(database_url)
    catalogue = Catalogue(database_url)
    with catalogue.write() as session:
        session.add_all([random_frame(np.random.default_rng(n), n) for n in range(30)])
    with catalogue.read() as session:
        before = session.execute(text(KEPT)).all()
    catalogue.close()
    migrate_down(database_url, "0003")
    migrate(database_url)
    catalogue = Catalogue(database_url)
    with catalogue.read() as session:
        assert (
            session.execute(text("SELECT key, n FROM frame_tallies ORDER BY key")).all() == before
        )
    catalogue.close()


def test_older_public_dates_are_put_on_the_next_midnight(database_url):
    migrate(database_url)
    catalogue = Catalogue(database_url)
    with catalogue.write() as session:
        for hours in (0, 13, None):
            frame = random_frame(np.random.default_rng(1), hours or 0)
            frame.public_date = None if hours is None else MIDNIGHT + timedelta(hours=hours)
            session.add(frame)
    catalogue.close()
    migrate_down(database_url, "0007")
    migrate(database_url)
    catalogue = Catalogue(database_url)
    with catalogue.read() as session:
        found = session.scalars(select(Frame.public_date).order_by(Frame.id)).all()
        assert found == [MIDNIGHT, MIDNIGHT + timedelta(days=1), None]
        kept = select(FrameTally.public_date).where(FrameTally.day.is_(None)).distinct()
        assert set(session.scalars(kept)) == set(found)
    catalogue.close()


def migrate_down(url, revision):
    from alembic import command  # noqa: PLC0415 (nobody but this test goes back)

    from goodman_live.hub.accounts.database import make_engine  # noqa: PLC0415
    from goodman_live.server_extension.catalogue import migrate as chain  # noqa: PLC0415

    engine = make_engine(url)
    with engine.connect() as connection:
        command.downgrade(chain._config(connection), revision)
        connection.commit()
    engine.dispose()
