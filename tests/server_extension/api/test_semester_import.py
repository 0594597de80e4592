"""A semester from one CSV file, over the API: dry run, import, again."""

import pytest

from goodman_live.hub.accounts.models import OutgoingMail, Proposal, User

HEADER = (
    "soar_id,semester,title,abstract,pi_email,pi_first_name,pi_last_name,partner,collaborators"
)


def send(client, text, *, apply=False):
    answer = client.post("api/semesters/import/", json={"csv": text, "apply": apply})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_staff_alone_import(as_):
    body = {"csv": f"{HEADER}\nSOAR2034A-001,,,,x@example.org,,,,", "apply": True}
    for name in ("pi", "mate", "stranger"):
        assert as_(name).post("api/semesters/import/", json=body).status_code == 403


def test_two_hundred_accounts_dry_then_in_one_import(as_, service):
    rows = (
        f'SOAR2034A-{number + 1:03d},2034A,"Stars, nearby",,pi{number}@example.net,Ana,'
        f"Pérez,NOIRLab,co{number}@example.net; PI0@example.net"
        for number in range(100)
    )
    text = "\ufeff" + "\r\n".join([HEADER, *rows])
    dry = send(as_("staff"), text)
    assert (dry["applied"], dry["errors"]) == (False, 0)
    assert (dry["new_proposals"], dry["new_users"]) == (100, 200)
    catalogue = service.catalogue()
    with catalogue.read() as session:
        wanted = session.query(User).filter(User.email.endswith("@example.net"))
        assert wanted.count() == 0
        letters = session.query(OutgoingMail).count()
    done = send(as_("staff"), text, apply=True)
    assert done["applied"]
    assert {**done, "applied": False} == dry, "the dry run said what was done"
    with catalogue.read() as session:
        assert wanted.with_session(session).count() == 200
        assert session.query(OutgoingMail).count() == letters + done["letters"]
        one = session.query(Proposal).filter_by(soar_id="SOAR2034A-007").one()
        assert (one.pi.email, one.pi.last_name, one.pi.partner) == (
            "pi6@example.net",
            "Pérez",
            "NOIRLab",
        )
        assert one.title == "Stars, nearby"
        assert {user.email for user in one.collaborators} == {"co6@example.net", "pi0@example.net"}
        assert not any(user.is_staff for user in wanted.with_session(session))
    catalogue.close()
    again = send(as_("staff"), text, apply=True)
    assert (again["new_proposals"], again["new_users"], again["letters"]) == (0, 0, 0)
    assert not any(row["changes"] for row in again["rows"])


def test_an_error_in_one_row_applies_none_and_every_row_is_told(as_, service):
    text = """\
soar_id;pi_email;collaborators;partner;public_date
SOAR2034B-001;fine@example.net;;;
SOAR2034B-002;not an address;;;
;nobody@example.net;;;
SOAR2034B-001;other@example.net;;;
SOAR2034B-005;new@example.net;;Nowhere;
SOAR2034B-006;new6@example.net;broken@, ok@example.net;;
SOAR2034B-007;new7@example.net;;;soon
S0AR2034B-008;new8@example.net;;;
"""
    told = send(as_("staff"), text, apply=True)
    assert not told["applied"]
    assert [bool(row["errors"]) for row in told["rows"]] == [
        False, True, True, True, True, True, True, False,
    ]  # fmt: skip
    assert [row["line"] for row in told["rows"]] == list(range(2, 10))
    assert "odd" in told["rows"][7]["warnings"][0]
    catalogue = service.catalogue()
    with catalogue.read() as session:
        assert not session.query(Proposal).filter(Proposal.soar_id.contains("2034B")).count()
        assert not session.query(User).filter_by(email="fine@example.net").count()
    catalogue.close()


@pytest.mark.parametrize(
    "text",
    [
        "soar_id\nX-1",
        "soar_id,pi_email,is_staff\nX-1,a@example.net,true",
        "soar_id,pi_email,soar_id\nX-1,a@example.net,X-2",
        "soar_id,pi_email\n",
        "soar_id,pi_email\nX-1,a@example.net,more",
        'soar_id,pi_email\n"X-1,a@example.net',
        "\x89PNG\r\n\x1a\n",
    ],
)
def test_what_is_no_such_table_is_refused_as_a_whole(as_, text):
    answer = as_("staff").post("api/semesters/import/", json={"csv": text, "apply": True})
    assert answer.status_code == 400, answer.text


def test_a_changed_pi_is_warned_of_and_nothing_is_taken_away(as_, world):
    staff = as_("staff")
    text = "soar_id,pi_email,title,collaborators\nSOAR2035A-001,{},{},{}"
    first = text.format("one@example.net", "A title", "kept@example.net")
    assert send(staff, first, apply=True)["applied"]
    told = send(staff, text.format("two@example.net", "", ""), apply=True)["rows"][0]
    assert any("instead of one" in change for change in told["changes"])
    assert "sees its frames no more" in told["warnings"][0]
    [found] = staff.get("api/proposals/", params={"search": "SOAR2035A-001"}).json()["results"]
    assert (found["user"]["email"], found["title"]) == ("two@example.net", "A title")
    assert [user["email"] for user in found["collaborators"]] == ["kept@example.net"]


def test_an_import_changes_no_account_that_exists(as_, world):
    text = (
        "soar_id,pi_email,pi_first_name,partner\nSOAR2035A-002,SUPER@example.org,Mallory,NOIRLab"
    )
    before = as_("super").get("api/users/me/").json()
    assert send(as_("staff"), text, apply=True)["new_users"] == 0
    after = as_("super").get("api/users/me/").json()
    assert (after["first_name"], after["partner"]) == (before["first_name"], before["partner"])
    assert after["first_name"] != "Mallory"
    assert after["is_superuser"] is True


def test_cells_are_text_whatever_they_look_like(as_):
    text = 'soar_id,pi_email,title\nSOAR2035A-003,cell@example.net,"=cmd|""/c calc""!A1 <script>"'
    send(as_("staff"), text, apply=True)
    found = as_("staff").get("api/proposals/", params={"search": "SOAR2035A-003"}).json()
    assert found["results"][0]["title"] == '=cmd|"/c calc"!A1 <script>'
