"""Searches against a reference: plain Python that looks at every row, for everybody.

Random frames, random filters, all at once; counts, facets, rows, orders, pages and neighbours must
be those of the reference on both databases and on every way in which a list is read, also after
frames came, changed and went.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from goodman_live.hub.accounts.models import Proposal, User, utc_now
from goodman_live.hub.accounts.proposals import CALIBRATE
from goodman_live.server_extension.catalogue import queries
from goodman_live.server_extension.catalogue.filters import COLUMNS, FACETS, ORDERINGS, Filters
from goodman_live.server_extension.catalogue.models import Frame
from goodman_live.server_extension.catalogue.queries import (
    count_and_facets,
    count_frames,
    list_frames,
    neighbours,
)
from goodman_live.server_extension.catalogue.sky import Cone
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER, Viewer, load_viewer

MIDNIGHT = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
PAST, FUTURE = MIDNIGHT - timedelta(days=3), MIDNIGHT + timedelta(days=40)
PROPOSALS = {"A": None, "B": None, "C": FUTURE, "D": PAST, "%": None, "it's": None}
"""SOAR ids with the public dates that staff has set."""
MEMBERS = {"one": {"A"}, "many": {"A", "B", "C", "%"}, "none": set(), "off": {"A", "B"}}
TEXTS = (
    "M 31",
    "m 31",
    "100%",
    "a_b",
    "aXb",
    "it's",
    'say "x"',
    "back\\slash",
    "é",
    "É",
    "星",
    "",
)
POLE = (89.9, 89.999, 90.0, -90.0, -89.95, 45.0, 0.0, None)
HOURS = (0.0, 0.02, 359.99, 180.0, 90.0, 270.3, None)
SEARCHES = (*TEXTS, "%", "_", "\\", "'", "31", "0", ".FITS", "x" * 200, " a ", "';--", "A", "星")
PLACES = [
    *((ra, dec) for ra in (0.0, 359.995, 180.0) for dec in (0.0, 45.0, 89.99, 90.0, -90.0)),
    *((90.0, -89.96), (270.0, 89.95)),
]
CHOICES: dict[str, tuple[Any, ...]] = {
    "proposal_id": (*PROPOSALS, "", CALIBRATE, "gone"),
    "data_type": (0, 0, 0, 1, 2, 3, 4, 5),
    "obstype": ("ARC", "SPECTRUM", "BIAS", "it's", ""),
    "filter": ("NO_FILTER", "i-SDSS", "%"),
    "filter_2": ("NO_FILTER", "GG455", ""),
    "grating": ("400_SYZY", "930_SYZY", ""),
    "wavmode": ("400_M1", "400_M2", ""),
    "slit": ("1.0_LONG_SLIT", "é", ""),
    "roi": ("Spectroscopic 2x2", "Full", ""),
    "technique": ("Spectroscopy", "Imaging", "Unknown"),
    "kind": ("arc", "bias", "spectrum"),
    "camera": ("Red", "Blue"),
    "state": ("done", "waiting", "failed"),
    "grade": ("", "A", "B", "D"),
    "date": (None, date(2026, 8, 1), date(2026, 8, 2), date(2026, 12, 31), date(2027, 1, 1)),
    "night": ("20260801", "20260802", ""),
    "object_name": TEXTS,
    "owner_id": (None, None, None, None, 1, 2, 3),
    "public_date": (None, None, PAST, MIDNIGHT, FUTURE),
    "is_current": (True, True, False),
    "exptime_s": (0.0, 0.5, 30.0, 1800.0),
    "airmass": (None, 1.0, 1.5, 2.25),
    "xbin": (1, 2), "ybin": (1, 2, 3), "version": (1, 2),
    "ra_deg": HOURS, "dec_deg": POLE,
}  # fmt: skip


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


def random_frame(rng, number):
    values = {name: pick(rng, choices) for name, choices in CHOICES.items()}
    started = None if number % 9 == 0 else MIDNIGHT - timedelta(hours=int(rng.integers(50)))
    name = f"{int(rng.integers(40)):02d}{pick(rng, TEXTS)}.fits"
    return Frame(file_name=name, directory_name="/raw", start=started, **values)


def random_filters(rng, newest):
    equal: dict[str, list[Any]] = {}
    for name in COLUMNS:
        if rng.random() < 0.14:
            choices = CHOICES.get({"object": "object_name"}.get(name, name), ("00é.fits", "x"))
            wanted = [one for one in choices if one is not None]
            equal[name] = [pick(rng, wanted) for _ in range(int(rng.integers(1, 4)))]
    days = [date(2026, 8, 1), date(2026, 8, 2), date(2027, 1, 1), date.min, date.max]
    filters = Filters(equal)
    if rng.random() < 0.25:
        # As often as not the wrong way round.
        filters = replace(filters, date_min=pick(rng, days), date_max=pick(rng, days))
    if rng.random() < 0.3:
        filters = replace(filters, search=pick(rng, SEARCHES))
    if rng.random() < 0.2:
        filters = replace(filters, current=bool(rng.integers(2)))
    if rng.random() < 0.2:
        filters = replace(filters, max_id=pick(rng, (0, newest // 2, newest, 2**62)))
    if rng.random() < 0.1:
        filters = replace(filters, original_id=int(rng.integers(newest + 2)))
    if rng.random() < 0.2:
        radius = pick(rng, (0.5, 5.0, 60.0, 600.0))
        filters = replace(filters, cone=Cone(*pick(rng, PLACES), radius))
    return filters


# --- the reference: one row, one person ---


def may_see(row, who):
    if who == "staff":
        return True
    if who == "off":
        return False
    number = 1 + list(MEMBERS).index(who)
    if row.owner_id not in {None, number}:
        return False
    opened = {soar_id for soar_id, day in PROPOSALS.items() if day == PAST}
    closed = {soar_id for soar_id, day in PROPOSALS.items() if day == FUTURE}
    public = row.public_date is not None and row.public_date <= utc_now()
    return (
        row.data_type == 1
        or row.proposal_id in MEMBERS[who] | opened | {CALIBRATE}
        or (public and row.proposal_id not in closed)
    )


def fold(text):
    return "".join(chr(ord(one) + 32) if "A" <= one <= "Z" else one for one in text)


def separation_arcmin(row, cone):
    ra1, dec1, ra2, dec2 = map(math.radians, (row.ra_deg, row.dec_deg, cone.ra_deg, cone.dec_deg))
    a = np.array([math.cos(dec1) * math.cos(ra1), math.cos(dec1) * math.sin(ra1), math.sin(dec1)])
    b = np.array([math.cos(dec2) * math.cos(ra2), math.cos(dec2) * math.sin(ra2), math.sin(dec2)])
    return math.degrees(math.atan2(np.linalg.norm(np.cross(a, b)), a @ b)) * 60


def is_near(row, cone):
    if row.ra_deg is None or row.dec_deg is None:
        return False
    return separation_arcmin(row, cone) <= cone.radius_arcmin


def meets(row, filters, *, without=""):
    for name, values in filters.equal.items():
        if name != without and value_of(row, name) not in values:
            return False
    if without != "date":
        if filters.date_min and (row.date is None or row.date < filters.date_min):
            return False
        if filters.date_max and (row.date is None or row.date > filters.date_max):
            return False
    looked_for = fold(filters.search.strip())
    texts = (row.object_name, row.file_name, row.proposal_id)
    return (
        any(looked_for in fold(text) for text in texts)
        and (filters.original_id is None or filters.original_id in {row.id, row.original_id})
        and (filters.current is None or row.is_current == filters.current)
        and (filters.max_id is None or row.id <= filters.max_id)
        and (filters.cone is None or is_near(row, filters.cone))
    )


def value_of(row, name):
    return getattr(row, {"object": "object_name"}.get(name, name))


def expected_facet(rows, filters, name):
    values = (value_of(row, name) for row in rows if meets(row, filters, without=name))
    return Counter(value for value in values if value is not None)


def ranks(session):
    """Return the place of each value of a column in the database's own order of texts and null."""
    columns = {column.key: column for column in flat(ORDERINGS.values())}
    return {
        key: {
            value: place
            for place, (value,) in enumerate(
                session.execute(select(column).group_by(column).order_by(column))
            )
        }
        for key, column in columns.items()
    }


def flat(columns):
    for one in columns:
        yield from one if isinstance(one, tuple) else (one,)


def in_order(rows, ordering, places):
    """Return the rows as they should come: ties by id, in the direction of the last key."""
    keys = [
        (ORDERINGS[text.removeprefix("-")], text.startswith("-")) for text in ordering.split(",")
    ]
    rows = sorted(rows, key=lambda row: row.id, reverse=keys[-1][1])
    for columns, down in reversed(keys):
        for column in reversed(list(flat([columns]))):
            rows = sorted(
                rows, key=lambda row: places[column.key][getattr(row, column.key)], reverse=down
            )
    return rows


# --- the comparison ---


@pytest.fixture
def world(catalogue):
    """Give a function that fills the catalogue with random frames."""

    def fill(rng, size):
        with catalogue.write() as session:
            users = {
                name: User(id=number, username=name, email=f"{number}@example.org")
                for number, name in enumerate(MEMBERS, 1)
            }
            users["off"].is_active = False
            session.add_all(users.values())
            session.flush()
            for soar_id, day in PROPOSALS.items():
                mates = [users[name] for name, mine in MEMBERS.items() if soar_id in mine]
                # One leads, the others are collaborators.
                proposal = Proposal(soar_id=soar_id, public_date=day, collaborators=mates[1:])
                proposal.pi = mates[0] if mates else None
                session.add(proposal)
            session.add_all([random_frame(rng, number) for number in range(size)])
            session.flush()
            for number in session.scalars(select(Frame.id).where(Frame.data_type > 1)).all():
                session.get(Frame, number).original_id = int(rng.integers(1, number + 1))
        return catalogue

    return fill


def disturb(catalogue, rng):
    """Let frames come, change and go."""
    with catalogue.write() as session:
        session.add_all([random_frame(rng, number) for number in range(1, 6)])
        session.execute(update(Frame).where(Frame.id % 17 == 3).values(grating="new", grade="A"))
        session.execute(update(Frame).where(Frame.id % 19 == 4).values(date=None, owner_id=1))
        session.execute(delete(Frame).where(Frame.id % 41 == int(rng.integers(41))))


def compare(catalogue, rng, monkeypatch, searches, *, every=15):
    for number in range(searches):
        if number % every == every - 1:
            disturb(catalogue, rng)
        monkeypatch.setattr(queries, "FEW", pick(rng, (0, 20, 10**9)))
        monkeypatch.setattr(queries, "GATHER", pick(rng, (0.0, 2.0, 10.0**9)))
        with catalogue.read() as session:
            rows = session.scalars(select(Frame).order_by(Frame.id)).all()
            who = pick(rng, ("staff", *MEMBERS))
            viewer = LOCAL_OWNER if who == "staff" else viewer_of(session, who)
            filters = random_filters(rng, rows[-1].id)
            seen = [row for row in rows if may_see(row, who)]
            compare_lists(session, rng, viewer, filters, seen)
            compare_counts(session, viewer, filters, seen)
            compare_neighbours(session, rng, viewer, filters, seen)


def viewer_of(session, who):
    if who == "off":  # as they were when they signed in
        return Viewer(user_id=1 + list(MEMBERS).index(who), username=who)
    return load_viewer(session, who)


def compare_lists(session, rng, viewer, filters, seen):
    names = [f"{pick(rng, ('', '-'))}{pick(rng, tuple(ORDERINGS))}" for _ in range(2)]
    ordering = ",".join(names[: int(rng.integers(1, 3))])
    wanted = [row for row in seen if meets(row, filters)]
    wanted = in_order(wanted, ordering, ranks(session))
    size = int(rng.integers(1, 30))
    last = -(-len(wanted) // size)
    for page in {1, max(last // 2, 1), max(last, 1), last + 1, 10**9}:
        found = list_frames(session, viewer, filters, ordering=ordering, page=page, page_size=size)
        assert found.count == len(wanted), (viewer, filters)
        expected = wanted[(page - 1) * size : page * size]
        assert [row.id for row in found.frames] == [row.id for row in expected], (
            viewer,
            filters,
            ordering,
            page,
        )


def compare_counts(session, viewer, filters, seen):
    total, found = count_and_facets(session, viewer, filters)
    assert total == count_frames(session, viewer, filters), (viewer, filters)
    assert total == sum(meets(row, filters) for row in seen), (viewer, filters)
    for name in FACETS:
        assert dict(found[name]) == expected_facet(seen, filters, name), (viewer, filters, name)
        counts = [number for _, number in found[name]]
        assert counts == sorted(counts, reverse=True)


def compare_neighbours(session, rng, viewer, filters, seen):
    if not seen:
        return
    frame = pick(rng, seen)
    ids = [row.id for row in seen if meets(row, filters)]
    older = max((one for one in ids if one < frame.id), default=None)
    newer = min((one for one in ids if one > frame.id), default=None)
    assert neighbours(session, viewer, frame, filters) == (older, newer), (viewer, filters)


def test_searches_are_those_of_the_reference(world, monkeypatch):
    rng = np.random.default_rng(11)
    compare(world(rng, 120), rng, monkeypatch, 16, every=6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_many_searches_are_those_of_the_reference(world, monkeypatch, seed):
    rng = np.random.default_rng(seed)
    compare(world(rng, 500), rng, monkeypatch, 80)


def test_pages_that_follow_each_other_lose_and_repeat_nothing_while_frames_come(
    world, monkeypatch
):
    rng = np.random.default_rng(5)
    catalogue = world(rng, 90)
    monkeypatch.setattr(queries, "FEW", 40)
    with catalogue.read() as session:
        newest = session.scalars(select(Frame.id).order_by(Frame.id.desc()).limit(1)).one()
        viewer = load_viewer(session, "many")
        rows = session.scalars(select(Frame).order_by(Frame.id))
        expected = [row.id for row in rows if may_see(row, "many")]
    for ordering in ("-id", "object,-grade"):
        found = []
        for page in range(1, 2 + len(expected) // 7):
            with catalogue.write() as session:
                session.add(random_frame(rng, page))
            with catalogue.read() as session:
                filters = Filters(max_id=newest)
                some = list_frames(
                    session, viewer, filters, ordering=ordering, page=page, page_size=7
                )
                assert some.count == len(expected)
                found += [row.id for row in some.frames]
        assert sorted(found) == expected
