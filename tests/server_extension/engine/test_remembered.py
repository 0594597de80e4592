"""Apertures that a person placed serve the next frames of the same target, and no others."""

import datetime as dt

import pytest

from goodman_live.hub.accounts.models import User
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.work import Job
from goodman_live.server_extension.engine.remembered import remembered

BEGIN = dt.datetime(2026, 8, 16, 3, tzinfo=dt.UTC)
BY_HAND = [{"row": 1500.0, "lower": -9.0, "upper": 9.0, "zones": []}]


@pytest.fixture
def night(session):
    """Add frames and what was extracted from them; return the functions that do."""
    count = 0

    def raw(minute, **changes):
        nonlocal count
        count += 1
        values = {
            "file_name": f"{count:04d}_target.fits",
            "directory_name": "/raw",
            "proposal_id": "SOAR2026B-001",
            "object_name": "SN2026abc",
            "night": "20260815",
            "camera": "Red",
            "kind": "spectrum",
            "grating": "400_SYZY",
            "wavmode": "400_M1",
            "slit": "1.0_LONG_SLIT",
            "roi": "user-defined",
            "xbin": 2,
            "ybin": 2,
            "data_type": 0,
            "mid": BEGIN + dt.timedelta(minutes=minute),
        }
        frame = Frame(**values | changes)
        session.add(frame)
        session.flush()
        return frame

    def extracted(frame, apertures, *, user, minute, **changes):
        job = Job(
            key=f"key-{frame.id}-{minute}",
            block="extract",
            frame_id=frame.id,
            original_id=frame.id,
            user_id=user,
            proposal_id=frame.proposal_id,
            state="done",
            finished=BEGIN + dt.timedelta(minutes=minute),
            spec={"apertures": apertures},
        )
        session.add(job)
        session.flush()
        product = Frame(
            file_name=f"e{job.id}_{frame.file_name}",
            directory_name="/products",
            proposal_id=frame.proposal_id,
            data_type=3,
            original_id=frame.id,
            job_id=job.id,
            **changes,
        )
        session.add(product)
        session.flush()
        return product

    person = User(username="ada", email="ada@example.org")
    session.add(person)
    session.flush()
    return raw, extracted, person.id


def test_the_next_frame_takes_what_was_placed_on_the_one_before(session, night):
    raw, extracted, ada = night
    first, second = raw(0), raw(20)
    assert remembered(session, second) is None
    extracted(first, BY_HAND, user=ada, minute=30)
    assert remembered(session, second) == BY_HAND
    assert remembered(session, first) is None  # nothing goes back in time


OTHERS = (
    {"object_name": "LTT7379"},
    {"proposal_id": "SOAR2026B-002"},
    {"night": "20260816"},
    {"grating": "600_SYZY"},
    {"camera": "Blue"},
    {"roi": "full"},
    {"ybin": 1},
    {"slit": "3.0_LONG_SLIT"},
    {"object_name": ""},
)


def test_another_target_or_set_up_is_left_alone(session, night):
    raw, extracted, ada = night
    extracted(raw(0), BY_HAND, user=ada, minute=30)
    assert remembered(session, raw(39)) == BY_HAND
    for other in OTHERS:
        assert remembered(session, raw(40, **other)) is None, other


def test_a_wish_to_find_targets_again_ends_it(session, night):
    raw, extracted, ada = night
    first = raw(0)
    old = extracted(first, BY_HAND, user=ada, minute=30)
    old.is_current = False
    extracted(first, None, user=ada, minute=40)
    assert remembered(session, raw(50)) is None


def test_what_the_pipeline_or_a_private_run_made_is_no_wish(session, night):
    raw, extracted, ada = night
    extracted(raw(0), BY_HAND, user=None, minute=10)
    extracted(raw(5), BY_HAND, user=ada, minute=20, owner_id=ada)
    assert remembered(session, raw(50)) is None
