"""Lists: filters, orders, pages from both ends."""

from datetime import date

import pytest

from goodman_live.server_extension.catalogue.errors import ConflictError, QueryError
from goodman_live.server_extension.catalogue.models import Frame
from goodman_live.server_extension.catalogue.queries import (
    Filters,
    facets,
    get_frame_by_name,
    list_frames,
)
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER


@pytest.fixture
def session(catalogue):
    with catalogue.write() as session:
        for number in range(57):
            session.add(
                Frame(
                    file_name=f"{number:04d}.fits",
                    directory_name="/raw",
                    object_name=f"100%_{number % 5}",
                    grating="400_SYZY" if number % 3 else "930_SYZY",
                    date=date(2026, 8, 1 + number % 20),
                    exptime_s=number % 4,
                    xbin=1 + number % 3,
                    ybin=1 + number % 2,
                    ra_deg=None if number % 5 == 0 else 7.0 * (number % 9),
                )
            )
    with catalogue.read() as session:
        yield session


@pytest.mark.parametrize(
    "ordering",
    ["-id", "id", "exptime", "-exptime,file_name", "-date", "binning", "-binning", "-obsra"],
)
def test_pages_tile_the_list_whatever_the_end_they_are_read_from(session, ordering):
    one = list_frames(session, LOCAL_OWNER, ordering=ordering, page_size=100).frames
    assert len(one) == 57
    pages = [
        frame.id
        for page in range(1, 9)
        for frame in list_frames(
            session, LOCAL_OWNER, ordering=ordering, page=page, page_size=8
        ).frames
    ]
    assert pages == [frame.id for frame in one]


def test_binning_is_ordered_by_both_axes_and_ties_by_age(session):
    frames = list_frames(session, LOCAL_OWNER, ordering="-binning", page_size=100).frames
    keys = [(frame.xbin, frame.ybin, frame.id) for frame in frames]
    assert keys == sorted(keys, reverse=True)
    assert len({key[:2] for key in keys}) == 6


def test_filters_combine(session):
    filters = Filters(
        equal={"grating": ["400_SYZY"]}, date_min=date(2026, 8, 3), date_max=date(2026, 8, 4)
    )
    found = list_frames(session, LOCAL_OWNER, filters, page_size=100).frames
    expected = [n for n in range(57) if n % 3 and n % 20 in {2, 3}]
    assert sorted(int(frame.file_name[:4]) for frame in found) == expected


def test_search_takes_wildcards_as_text(session):
    assert list_frames(session, LOCAL_OWNER, Filters(search="100%_3")).count == 11
    assert list_frames(session, LOCAL_OWNER, Filters(search="100_")).count == 0


def test_a_facet_leaves_out_its_own_filter(session):
    filters = Filters(equal={"grating": ["930_SYZY"]})
    found = facets(session, LOCAL_OWNER, filters, names=["grating", "object"])
    assert dict(found["grating"]) == {"400_SYZY": 38, "930_SYZY": 19}
    assert sum(number for _, number in found["object"]) == 19


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"ordering": "password_hash"}, "ordering"),
        ({"page": 0}, "page"),
        ({"page": 10**30}, "page"),
        ({"filters": Filters(equal={"id; DROP": [1]})}, "id; DROP"),
    ],
)
def test_what_is_unknown_is_refused(session, what, field):
    with pytest.raises(QueryError) as caught:
        list_frames(session, LOCAL_OWNER, **what)
    assert caught.value.field == field


def test_a_name_must_be_unique_among_current_versions(catalogue, session):
    assert get_frame_by_name(session, LOCAL_OWNER, "0003.fits").file_name == "0003.fits"
    with catalogue.write() as writing:
        old = Frame(file_name="0003.fits", directory_name="/b", is_current=False)
        writing.add(old)
    assert get_frame_by_name(session, LOCAL_OWNER, "0003.fits").directory_name == "/raw"
    with catalogue.write() as writing:
        writing.get(Frame, old.id).is_current = True
    session.expire_all()
    session.rollback()
    with pytest.raises(ConflictError):
        get_frame_by_name(session, LOCAL_OWNER, "0003.fits")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("TARGET", {"target 77%", "Target_1/a"}),
        ("77%", {"target 77%"}),
        ("t_1", {"Target_1/a"}),
        ("1/a", {"Target_1/a"}),
        ("'; --", set()),
        ("café", {"café"}),
        ("  CAF  ", {"café"}),
    ],
)
def test_text_is_found_whatever_the_case_and_is_only_text(catalogue, text, names):
    with catalogue.write() as session:
        for name in ("target 77%", "Target_1/a", "café", "other"):
            session.add(Frame(file_name="x.fits", directory_name="/raw", object_name=name))
    with catalogue.read() as session:
        found = list_frames(session, LOCAL_OWNER, Filters(search=text))
        assert {frame.object_name for frame in found.frames} == names
        assert found.count == len(names)
