"""The list of files: documented fields, filters, pages, facets."""

import pytest

from goodman_live.server_extension.catalogue.frames import Frame

MANUAL_FIELDS = """
    id created last_modified original_file original_file_id parent_file parent_file_id file_name
    directory_name full_path obstype object filter filter_2 grating slit cam_targ grt_targ obsra
    obsdec gain rdnoise roi wavmode proposal_id observation_id configuration_id block_id image_id
    date data_type normalized technique saturation_value
"""
NUMBERS = {"id", "original_file_id", "parent_file_id", "observation_id", "configuration_id",
           "block_id", "image_id", "normalized", "saturation_value"}  # fmt: skip


def test_a_file_begins_with_the_fields_of_the_manual_in_their_order_and_types(as_, world):
    file = (
        as_("pi")
        .get("api/files/", params={"object": "STAR-1", "data_type": "0"})
        .json()["results"][0]
    )
    fields = MANUAL_FIELDS.split()
    assert list(file)[: len(fields)] == fields
    strings = [name for name in fields if name not in NUMBERS]
    assert {name: type(file[name]) for name in strings} == dict.fromkeys(strings, str)
    assert type(file["saturation_value"]) is int
    assert type(file["normalized"]) is bool
    assert file["original_file_id"] == file["parent_file_id"] == file["id"] == world.files["ours"]
    assert file["observation_id"] is None
    assert file["cam_targ"] == "11.6"
    assert file["data_type"] == "0"
    assert file["full_path"] == f"{file['directory_name']}/{file['file_name']}"


def test_a_page_has_the_keys_of_the_manual(as_):
    page = as_("staff").get("api/files/").json()
    assert list(page) == ["count", "next", "previous", "results"]


def test_each_sees_their_own(as_, world):
    def ids(name):
        return {row["id"] for row in as_(name).get("api/files/").json()["results"]}

    shared = world.files["calibrate"]
    assert ids("stranger") == {shared}
    assert ids("pi") == ids("mate") == {shared, world.files["ours"]}
    assert ids("rival") == {shared, world.files["theirs"]}
    assert ids("staff") == set(world.files.values())


def test_counts_and_facets_do_not_tell_of_what_is_hidden(as_):
    facets = as_("stranger").get("api/files/facets/").json()
    assert facets["count"] == 1
    assert [value["value"] for value in facets["facets"]["proposal_id"]] == ["calibrate"]
    assert as_("stranger").get("api/files/", params={"object": "SECRET"}).json()["count"] == 0
    assert as_("stranger").get("api/files/", params={"search": "SECRET"}).json()["count"] == 0


@pytest.mark.parametrize(
    ("query", "field", "accepted"),
    [
        ({"colour": "red"}, "colour", "data_type"),
        ({"data_type": "7"}, "data_type.0", "'0', '1'"),
        ({"ordering": "-beauty"}, "ordering", "last_modified"),
        ({"page": "0"}, "page", "greater than or equal to 1"),
        ({"page_size": "501"}, "page_size", "500"),
        ({"date_min": "yesterday"}, "date_min", "date"),
        ([("page", "1"), ("page", "2")], "page", "once"),
        ({"object": "a\0b"}, "object", "null"),
    ],
)
def test_what_is_not_accepted_is_named(as_, query, field, accepted):
    answer = as_("pi").get("api/files/", params=query)
    problem = answer.json()
    assert answer.status_code == problem["status"] == 400
    assert list(problem) == ["status", "code", "message", "field"]
    assert problem["field"] == field
    assert accepted in problem["message"]


def test_pages_follow_each_other_and_lose_nothing_when_frames_arrive(as_, world, service):
    client = as_("staff")
    first = client.get("api/files/", params={"page_size": 1}).json()
    assert first["previous"] is None
    catalogue = service.catalogue()
    with catalogue.write() as session:
        late = Frame(file_name="late.fits", directory_name="x", proposal_id="calibrate")
        session.add(late)
    try:
        seen, page = [row["id"] for row in first["results"]], first
        while page["next"]:
            page = client.get(page["next"]).json()
            seen += [row["id"] for row in page["results"]]
        assert seen == sorted(world.files.values(), reverse=True)
    finally:
        with catalogue.write() as session:
            session.delete(late)
        catalogue.close()


def test_a_file_by_id_tells_its_history(as_, world):
    detail = as_("pi").get(f"api/files/{world.files['ours']}/").json()
    assert detail["inputs"] == []
    assert detail["may_change"] is True
    assert as_("pi").get(f"api/files/{world.files['calibrate']}/").json()["may_change"] is False


def test_what_is_hidden_answers_as_if_absent(as_, world):
    hidden = as_("pi").get(f"api/files/{world.files['theirs']}/")
    absent = as_("pi").get("api/files/999999/")
    assert hidden.status_code == absent.status_code == 404
    assert (
        hidden.json()["message"].replace(str(world.files["theirs"]), "999999")
        == (absent.json()["message"])
    )


def test_lists_have_an_etag_and_answer_304(as_):
    client = as_("pi")
    first = client.get("api/files/")
    assert first.headers["etag"]
    assert "last-modified" in first.headers
    again = client.get("api/files/", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


def test_answers_are_packed_for_those_who_ask(as_):
    packed = as_("pi").get("api/openapi.json")
    assert packed.headers["content-encoding"] == "gzip"


def test_relatives(as_, world):
    family = as_("pi").get(f"api/files/{world.files['ours']}/related/").json()
    assert family["original"]["id"] == world.files["ours"]
    assert family["products"] == []
    assert family["newer"] is None
    assert family["older"] == world.files["calibrate"]


def test_the_header_marks_what_is_mended(as_, world):
    header = as_("pi").get("api/files/header/", params={"id": world.files["ours"]}).json()
    cards = {card["keyword"]: card for card in header["cards"]}
    assert [card["keyword"] for card in header["cards"]] == ["SIMPLE", "OBJECT", "SLIT"]
    assert cards["SLIT"]["value"] == "1.0"
    assert cards["SLIT"]["mended"] == "1.0_LONG_SLIT"
    assert cards["SLIT"]["reason"] == "old spelling"
    assert cards["OBJECT"]["mended"] is None
    assert cards["SIMPLE"]["value"] is True


def test_a_file_may_be_named_if_the_name_is_unique_for_the_caller(as_):
    named = as_("pi").get("api/files/header/", params={"file_name": "star.fits"})
    assert named.status_code == 200
    hidden = as_("pi").get("api/files/header/", params={"file_name": "theirs.fits"})
    assert hidden.status_code == 404
    both = as_("pi").get("api/files/header/", params={"file_name": "star.fits", "id": 1})
    assert both.status_code == 400


@pytest.mark.parametrize("path", ["proposals", "users", "logs", "jobs"])
def test_every_list_leads_to_its_next_page_and_back(as_, path):
    client = as_("staff")
    seen, page = [], client.get(f"api/{path}/", params={"page_size": 1}).json()
    assert page["count"] > 1
    count = page["count"]
    seen += page["results"]
    second = client.get(page["next"]).json()
    assert client.get(second["previous"]).json()["results"] == page["results"]
    while page["next"] and len(seen) < 50:
        page = client.get(page["next"]).json()
        seen += page["results"]
    assert len({row["id"] for row in seen}) == len(seen) == min(count, 50)


def test_a_place_on_the_sky_narrows_a_list_and_what_is_none_is_refused(as_):
    everything = as_("staff").get("api/files/").json()["count"]
    near = {"ra": "12:00:00", "dec": "-30:00:00", "radius": "1"}
    assert as_("staff").get("api/files/", params=near).json()["count"] < everything
    assert as_("staff").get("api/files/facets/", params=near).json()["count"] < everything
    # Half a position is none.
    assert as_("staff").get("api/files/", params={"ra": "10"}).json()["count"] == everything
    for name, text in (("ra", "25:00:00"), ("dec", "ninety"), ("radius", "nan"), ("radius", "-1")):
        answer = as_("staff").get("api/files/", params={**near, name: text})
        assert (answer.status_code, answer.json()["field"]) == (400, name)


def test_files_are_counted_and_found_by_their_grade(as_):
    grades = as_("staff").get("api/files/facets/").json()["facets"]["grade"]
    for one in grades:
        found = as_("staff").get("api/files/", params={"grade": one["value"]}).json()["count"]
        assert found == one["count"]
