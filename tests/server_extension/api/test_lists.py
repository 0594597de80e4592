"""Partners and semesters: read by everyone, edited by staff, kept as long as they are used."""

import pytest


def named(answer, name):
    assert answer.is_success, answer.text
    return next(row for row in answer.json()["results"] if row["name"] == name)


def test_everyone_reads_and_staff_alone_edit(as_):
    mate = as_("mate")
    assert named(mate.get("api/partners/"), "NOIRLab")["users"] == 0
    assert named(mate.get("api/semesters/"), "2026B")["first_night"] == "2026-08-01"
    tries = [
        mate.post("api/partners/", json={"name": "Elsewhere"}),
        mate.patch("api/partners/1/", json={"name": "Elsewhere"}),
        mate.delete("api/partners/1/"),
        mate.post("api/semesters/", json={"name": "2031A"}),
        mate.patch("api/semesters/1/", json={"last_night": "2031-01-01"}),
        mate.delete("api/semesters/1/"),
    ]
    assert {answer.status_code for answer in tries} == {403}


def test_a_partner_takes_its_people_along_and_stays_as_long_as_it_has_any(as_, world):
    staff, user = as_("staff"), f"api/users/{world.users['mate']}/"
    made = named(staff.post("api/partners/", json={"name": "University  of Ü"}), "University of Ü")
    same = staff.post("api/partners/", json={"name": "UNIVERSITY OF Ü"})
    assert same.status_code == 409
    assert as_("mate").patch("api/users/me/", json={"partner": "university of ü"}).is_success
    path = f"api/partners/{made['id']}/"
    assert named(staff.patch(path, json={"name": "Institute"}), "Institute")["users"] == 1
    assert staff.get(user).json()["partner"] == "Institute"
    assert staff.delete(path).status_code == 409
    assert as_("mate").patch("api/users/me/", json={"partner": ""}).is_success
    assert staff.delete(path).json() == {"name": "Institute"}
    assert staff.delete(path).status_code == 404


@pytest.mark.parametrize("name", ["", " ", "<b>x</b>", "a\tb\x07", "x" * 81, "_"])
def test_a_partner_has_a_name_that_can_be_shown(as_, name):
    assert as_("staff").post("api/partners/", json={"name": name}).status_code == 400


def test_a_partner_that_is_not_on_the_list_is_refused(as_):
    answer = as_("mate").patch("api/users/me/", json={"partner": "Nowhere"})
    assert (answer.status_code, answer.json()["field"]) == (400, "partner")
    assert "NOIRLab" in answer.json()["message"]
    answer = as_("staff").post(
        "api/users/", json={"email": "where@example.org", "partner": "Nowhere"}
    )
    assert answer.json()["field"] == "partner"


def test_a_semester_by_its_name_or_with_its_nights(as_):
    staff = as_("staff")
    assert named(staff.post("api/semesters/", json={"name": "2031B"}), "2031B")["last_night"] == (
        "2032-01-31"
    )
    assert staff.post("api/semesters/", json={"name": "2031B"}).status_code == 409
    assert staff.post("api/semesters/", json={"name": "commissioning"}).status_code == 400
    nights = {"first_night": "2031-03-01", "last_night": "2031-03-09"}
    made = named(
        staff.post("api/semesters/", json={"name": "commissioning", **nights}), "commissioning"
    )
    path = f"api/semesters/{made['id']}/"
    assert staff.patch(path, json={"last_night": "2031-02-01"}).status_code == 400
    assert staff.patch(path, json={"last_night": "2031-03-12"}).is_success
    new = {"soar_id": "COMM-01", "semester": "commissioning"}
    proposal = staff.post("api/proposals/", json=new)
    assert proposal.status_code == 201, proposal.text
    assert staff.delete(path).status_code == 409
    assert staff.patch(
        f"api/proposals/{proposal.json()['id']}/", json={"semester": "2031B"}
    ).is_success
    assert staff.delete(path).is_success


def test_a_semester_takes_its_proposals_along(as_):
    staff = as_("staff")
    nights = {"first_night": "2032-03-01", "last_night": "2032-03-09"}
    made = named(
        staff.post("api/semesters/", json={"name": "comissioning", **nights}), "comissioning"
    )
    proposal = staff.post("api/proposals/", json={"soar_id": "C-1", "semester": "comissioning"})
    path = f"api/semesters/{made['id']}/"
    assert staff.patch(path, json={"name": "2026B"}).status_code == 409
    assert staff.patch(path, json={"name": "<b>"}).json()["field"] == "name"
    renamed = named(staff.patch(path, json={"name": "commissioning"}), "commissioning")
    assert (renamed["proposals"], renamed["first_night"]) == (1, "2032-03-01")
    there = staff.get(f"api/proposals/{proposal.json()['id']}/").json()
    assert (there["semester"], there["soar_id"]) == ("commissioning", "C-1")


def test_a_proposal_puts_its_usual_semester_on_the_list_and_no_odd_one(as_):
    staff = as_("staff")
    odd = staff.post("api/proposals/", json={"soar_id": "ODD-1", "semester": "whenever"})
    assert (odd.status_code, odd.json()["field"]) == (400, "semester")
    made = staff.post("api/proposals/", json={"soar_id": "SOAR2033A-001"})
    assert made.json()["semester"] == "2033A"
    assert named(staff.get("api/semesters/"), "2033A")["proposals"] == 1
