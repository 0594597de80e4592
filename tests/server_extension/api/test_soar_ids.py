"""SOAR ids: proposed, looked at, without a proposal, and mended."""

from goodman_live.pipeline.products.fits import read_info
from goodman_live.server_extension.catalogue.frames import Frame
from tests.server_extension.api.conftest import frame_row


def add_frames(service, soar_id, count=1, **changes):
    star = service.root / "raw" / "star.fits"
    info = read_info(star)
    catalogue = service.catalogue()
    with catalogue.write() as session:
        raws = [
            frame_row(star, info, proposal_id=soar_id, file_name=f"{soar_id}_{n}.fits", **changes)
            for n in range(count)
        ]
        session.add_all(raws)
        session.flush()
        product = frame_row(
            star,
            info,
            proposal_id=soar_id,
            file_name=f"r_{soar_id}.fits",
            data_type=2,
            original_id=raws[0].id,
            parent_id=raws[0].id,
        )
        session.add(product)
        session.flush()
        ids = [frame.id for frame in raws], product.id
    catalogue.close()
    return ids


def look(as_, **query):
    answer = as_("staff").get("api/proposals/soar-id/", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_next_id_is_proposed_from_semester_and_count(as_):
    assert look(as_, semester="2041A")["proposed"] == "SOAR2041A-001"
    for number in (1, 12):
        as_("staff").post("api/proposals/", json={"soar_id": f"SOAR2041A-{number:03d}"})
    told = look(as_, semester="2041A")
    assert told["proposed"] == told["soar_id"] == "SOAR2041A-013"
    assert told["accepted"]
    assert told["warning"] == ""


def test_an_odd_id_warns_and_frames_that_carry_it_are_counted(as_, service):
    add_frames(service, "SOAR2041B-0O1", 3)
    told = look(as_, soar_id="SOAR2041B-0O1")
    assert (told["accepted"], told["usual"], told["frames"]) == (True, False, 3)
    assert "odd" in told["warning"]
    right = look(as_, soar_id="SOAR2041B-001")
    assert (right["usual"], right["frames"], right["similar"]) == (True, 0, ["SOAR2041B-0O1"])
    taken = look(as_, soar_id="SOAR2026A-001")
    assert not taken["accepted"]
    assert "exists" in taken["warning"]
    assert not look(as_, soar_id="../../etc")["accepted"]


def test_staff_alone_look_and_mend(as_):
    for path in ("soar-id/", "unclaimed/"):
        assert as_("pi").get(f"api/proposals/{path}").status_code == 403
    body = {"from_soar_id": "SOAR2026A-002", "to_soar_id": "SOAR2026A-001", "apply": True}
    assert as_("pi").post("api/proposals/reassign/", json=body).status_code == 403


def test_frames_before_their_proposal_belong_to_it_as_soon_as_it_exists(as_, service):
    (raws, product) = add_frames(service, "SOAR2042A-001", 2)
    unclaimed = as_("staff").get("api/proposals/unclaimed/").json()["results"]
    assert {"SOAR2042A-001": 2}.items() <= {r["soar_id"]: r["frames"] for r in unclaimed}.items()
    mate = as_("mate")
    for frame in (*raws, product):
        assert mate.get(f"api/files/{frame}/").status_code == 404
    new = {"soar_id": "SOAR2042A-001", "email": "mate@example.org"}
    assert as_("staff").post("api/proposals/", json=new).status_code == 201
    for frame in (*raws, product):
        assert mate.get(f"api/files/{frame}/").status_code == 200
    unclaimed = as_("staff").get("api/proposals/unclaimed/").json()["results"]
    assert "SOAR2042A-001" not in {row["soar_id"] for row in unclaimed}


def test_the_frames_of_a_wrong_id_are_given_to_the_right_proposal(as_, service):
    raws, product = add_frames(service, "SOAR2042-02", 2)
    staff, mate = as_("staff"), as_("mate")
    move = {"from_soar_id": "SOAR2042-02", "to_soar_id": "SOAR2042A-002"}
    early = staff.post("api/proposals/reassign/", json=move)
    assert (early.status_code, early.json()["field"]) == (404, "to_soar_id")
    staff.post("api/proposals/", json={"soar_id": "SOAR2042A-002", "email": "mate@example.org"})
    dry = staff.post("api/proposals/reassign/", json=move).json()
    assert dry == {"applied": False, "frames": 2, "products": 1, "warning": ""}
    assert mate.get(f"api/files/{product}/").status_code == 404
    one = staff.post(
        "api/proposals/reassign/", json={**move, "file_ids": [raws[0]], "apply": True}
    )
    assert one.json() == {"applied": True, "frames": 1, "products": 1, "warning": ""}
    seen = [mate.get(f"api/files/{frame}/").status_code for frame in (*raws, product)]
    assert seen == [200, 404, 200]
    rest = staff.post("api/proposals/reassign/", json={**move, "apply": True}).json()
    assert (rest["frames"], rest["products"]) == (1, 0)
    assert mate.get(f"api/files/{raws[1]}/").json()["proposal_id"] == "SOAR2042A-002"
    assert staff.post("api/proposals/reassign/", json=move).status_code == 404
    catalogue = service.catalogue()
    with catalogue.read() as session:
        assert not session.query(Frame).filter_by(proposal_id="SOAR2042-02").count()
    catalogue.close()


def test_a_shared_proposal_keeps_its_id(as_):
    staff = as_("staff")
    found = staff.get("api/proposals/", params={"search": "calibrate"}).json()["results"]
    [shared] = [row for row in found if row["soar_id"] == "calibrate"]
    answer = staff.patch(f"api/proposals/{shared['id']}/", json={"soar_id": "mine"})
    assert answer.status_code == 409


def test_what_a_change_of_settings_would_redo_is_said_first(as_, world, service):
    _, product = add_frames(service, "SOAR2043A-001", 2, kind="spectrum")
    catalogue = service.catalogue()
    with catalogue.write() as session:
        session.get(Frame, product).block = "reduce"
    catalogue.close()
    staff = as_("staff")
    made = staff.post("api/proposals/", json={"soar_id": "SOAR2043A-001"}).json()
    path = f"api/proposals/settings/{made['id']}/"
    settings = staff.get(path).json()
    assert staff.post(f"{path}preview/", json=settings).json()["message"] == "Nothing changes."
    told = staff.post(f"{path}preview/", json={**settings, "cosmic_method": "dcr"}).json()
    assert told["changed"] == [{"name": "cosmic_method", "before": "default", "after": "dcr"}]
    assert told["steps"] == [{"block": "reduce", "products": 1}]
    assert told["frames"] == 2
    assert "1 reduced frames" in told["message"]
    later = staff.post(f"{path}preview/", json={**settings, "max_targets": 1}).json()
    assert later["steps"] == []
    assert staff.get(path).json() == settings, "nothing was changed by asking"
    assert as_("stranger").post(f"{path}preview/", json=settings).status_code == 404
