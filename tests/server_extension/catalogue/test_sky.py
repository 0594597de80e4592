"""A position on the sky: how it is read, and which frames lie near it."""

import pytest
from sqlalchemy import select

from goodman_live.server_extension.catalogue.models import Frame
from goodman_live.server_extension.catalogue.sky import Cone, parse_dec, parse_ra


@pytest.mark.parametrize(
    ("text", "degrees"),
    [("83.59", 83.59), ("05:34:22.372", 83.5932167), ("5h34m22.372s", 83.5932167), ("0", 0)],
)
def test_right_ascensions_are_degrees_or_hours(text, degrees):
    assert parse_ra(text) == pytest.approx(degrees, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "degrees"), [("-5:24:52.448", -5.4145689), ("-00:30:00", -0.5), ("+89.5", 89.5)]
)
def test_declinations_keep_their_sign_at_zero_degrees(text, degrees):
    assert parse_dec(text) == pytest.approx(degrees, abs=1e-6)


@pytest.mark.parametrize("text", ["", "360", "24:00:00", "-1", "1:60:00", "nan", "1e2", "x"])
def test_what_is_no_right_ascension_is_refused(text):
    with pytest.raises(ValueError, match="'"):
        parse_ra(text)


@pytest.mark.parametrize("text", ["91", "-90:00:01", "inf", "10:00:60"])
def test_what_is_no_declination_is_refused(text):
    with pytest.raises(ValueError, match="'"):
        parse_dec(text)


def add(session, name, ra, dec):
    folder = {"directory_name": "/raw", "file_name": name}
    session.add(Frame(**folder, data_type=0, ra_deg=ra, dec_deg=dec))
    session.flush()


def near(session, cone):
    return set(session.scalars(select(Frame.file_name).where(cone.clause())))


def test_a_cone_reaches_over_the_zero_of_right_ascension_and_round_the_pole(session):
    add(session, "left", 359.99, 0.0)
    add(session, "right", 0.01, 0.0)
    add(session, "far", 0.2, 0.0)
    add(session, "nowhere", None, None)
    assert near(session, Cone(0.0, 0.0, 1.0)) == {"left", "right"}
    # Across the pole: twelve hours apart and still one arcminute from each other.
    add(session, "over the pole", 180.0, -89.995)
    assert near(session, Cone(0.0, -89.995, 1.0)) == {"over the pole"}
    # A degree of right ascension is small at a high declination.
    add(session, "south", 100.0, -80.0)
    assert near(session, Cone(100.5, -80.0, 5.3)) == {"south"}
    assert near(session, Cone(100.5, -80.0, 5.1)) == set()
