"""Pictures, plot data and downloads over HTTP."""

import base64
import hashlib
import io
import json
import time
import zipfile
from email.utils import parsedate_to_datetime

import numpy as np
import pytest
from PIL import Image

from goodman_live.hub.accounts.models import User


def picture(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def test_a_picture_of_a_raw_frame(as_, world):
    query = {"id": world.files["ours"], "width": 800, "colormap": "viridis", "stretch": "asinh"}
    image = picture(as_("pi").get("api/files/visualize/", params=query))
    assert image.shape[1] == 800
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 50


def test_a_bare_picture_has_the_pixels_of_the_region_alone(as_, world):
    query = {
        "id": world.files["ours"],
        "axes": "false",
        "x0": 100,
        "x1": 300,
        "y0": 50,
        "y1": 120,
        "saturated": "false",
    }
    image = picture(as_("pi").get("api/files/visualize/", params=query))
    assert image.shape[:2] == (70, 200)


def test_plot_data_of_an_image(as_, world):
    query = {"id": world.files["ours"], "format": "json", "pixels": "true"}
    view = as_("pi").get("api/files/visualize/", params=query).json()
    assert view["title"] == ["SPECTRUM STAR-1", "SOAR2026A-001"]
    assert view["x"]["name"] == "Dispersion Axis (pixels)"
    assert view["y"]["name"] == "Spatial Axis (pixels)"
    assert view["unit"] == "Intensity (ADU)"
    assert view["limits"]["low"] < view["limits"]["high"]
    assert view["pixels"]["shape"][0] <= 1024


def test_a_picture_that_the_reader_has_is_not_sent_again(as_, world):
    client, query = as_("pi"), {"id": world.files["ours"]}
    first = client.get("api/files/visualize/", params=query)
    assert parsedate_to_datetime(first.headers["last-modified"])
    again = client.get(
        "api/files/visualize/", params=query, headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
    other = client.get("api/files/visualize/", params={**query, "colormap": "magma"})
    assert other.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({"colormap": "sunset"}, "colormap"),
        ({"x0": 5000}, "x0"),
        ({"x0": 10, "x1": 5}, ""),
        ({"vmin": "nan"}, "vmin"),
        ({"width": 100000}, "width"),
    ],
)
def test_a_choice_that_cannot_be_shown_is_named(as_, world, choice, field):
    query = {"id": world.files["ours"], **choice}
    answer = as_("pi").get("api/files/visualize/", params=query)
    assert answer.status_code == 400
    assert answer.json()["field"] == field


def test_a_file_that_is_gone_from_the_disk_is_said_so(as_, world, service):
    hidden = service.root / "raw" / "bias.fits"
    aside = hidden.with_suffix(".aside")
    hidden.rename(aside)
    try:
        for path, status in (("download", 410), ("visualize", 422)):
            # A size of its own: no earlier picture may stand in for it.
            query = {"id": world.files["calibrate"]}
            if path == "visualize":
                query["width"] = 517
            answer = as_("pi").get(f"api/files/{path}/", params=query)
            assert answer.status_code == status
            assert "bias.fits" in answer.json()["message"]
    finally:
        aside.rename(hidden)


def test_a_download_is_the_file(as_, world, raw_frames):
    answer = as_("pi").get("api/files/download/", params={"id": world.files["ours"]})
    content = (raw_frames / "star.fits").read_bytes()
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(content).digest()
    assert answer.headers["content-type"] == "application/fits"
    assert answer.headers["content-length"] == str(len(content))
    assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=2880-", 2880, None),
        ("bytes=-50", -50, None),
        ("bytes=10-99999999999", 10, None),
    ],
)
def test_a_part_of_a_file(as_, world, raw_frames, text, start, stop):
    content = (raw_frames / "star.fits").read_bytes()
    answer = as_("pi", Range=text).get("api/files/download/", params={"id": world.files["ours"]})
    assert answer.status_code == 206
    assert answer.content == content[start:stop]
    assert answer.headers["content-range"].endswith(f"/{len(content)}")


def test_a_part_beyond_the_end_is_refused(as_, world, raw_frames):
    size = (raw_frames / "star.fits").stat().st_size
    answer = as_("pi", Range=f"bytes={size}-").get(
        "api/files/download/", params={"id": world.files["ours"]}
    )
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{size}"


def test_an_archive_holds_each_file_whole(as_, world, raw_frames):
    numbers = [world.files["ours"], world.files["calibrate"]]
    answer = as_("pi").get("api/files/download/", params={"id": numbers})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == ["bias.fits", "star.fits"]
        assert archive.read("star.fits") == (raw_frames / "star.fits").read_bytes()


def test_an_archive_with_a_hidden_file_is_no_archive(as_, world):
    numbers = [world.files["ours"], world.files["theirs"]]
    answer = as_("pi").get("api/files/download/", params={"id": numbers})
    assert answer.status_code == 404


def test_comments_are_text_and_belong_to_who_wrote_them(as_, world):
    client, number = as_("pi"), world.files["ours"]
    text = '<script>alert(1)</script> Seeing 1.2"'
    made = client.post("api/files/comments/", json={"id": number, "text": text})
    assert made.status_code == 201
    listed = client.get("api/files/comments/", params={"id": number}).json()["results"]
    mine = next(row for row in listed if row["id"] == made.json()["id"])
    assert mine["text"] == text
    assert mine["mine"] is True
    remove = {"comment_id": mine["id"]}
    assert as_("mate").delete("api/files/comments/", params=remove).status_code == 403
    assert client.delete("api/files/comments/", params=remove).json() == {"removed": mine["id"]}
    assert client.delete("api/files/comments/", params=remove).status_code == 404


def test_events_by_polling_are_those_one_may_see(as_, world):
    client = as_("pi")
    last = client.get("api/events/", params={"since": -1}).json()
    assert last["results"] == []
    client.post("api/files/comments/", json={"id": world.files["ours"], "text": "Now."})
    found = client.get("api/events/", params={"since": last["last"]}).json()
    kinds = [event["kind"] for event in found["results"]]
    assert "comment.added" in kinds
    hidden = as_("stranger").get("api/events/", params={"since": last["last"]}).json()
    assert "comment.added" not in [event["kind"] for event in hidden["results"]]
    assert hidden["last"] >= last["last"] + 1


def test_a_stream_ends_when_its_reader_is_switched_off(as_, world, service):
    def switch(active):
        catalogue = service.catalogue()
        with catalogue.write() as session:
            session.get(User, world.users["rival"]).is_active = active
        catalogue.close()

    try:
        with as_("rival").stream("GET", "api/events/") as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("retry:")
            switch(active=False)
            assert not [line for line in lines if line.startswith("data")]
    finally:
        switch(active=True)


def test_a_stream_ends_when_its_token_does(as_, world, border):
    border.user("mate", token="for-a-while")
    with as_(token="for-a-while").stream("GET", "api/events/") as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("retry:")
        del border.tokens["for-a-while"]
        deadline = time.monotonic() + 120
        for line in lines:  # until it ends
            assert not line.startswith("data")
            assert time.monotonic() < deadline, "the stream goes on"


def test_an_upload_is_taken_once_and_only_as_a_frame(as_, raw_frames):
    client = as_("staff")
    content = (raw_frames / "bias.fits").read_bytes()
    wrong = client.post("api/files/", content=b"x", params={"file_name": "../../evil.fits"})
    assert wrong.status_code == 400
    assert wrong.json()["field"] == "file_name"
    first = client.post("api/files/", files={"file": ("up.fits", content)})
    assert first.status_code == 201, first.text
    again = client.post("api/files/", content=content, params={"file_name": "up.fits"})
    assert again.json()["id"] == first.json()["id"]
    assert first.json()["sha256"] == hashlib.sha256(content).hexdigest()
    other = client.post("api/files/", content=b"SIMPLE", params={"file_name": "up.fits"})
    assert other.status_code == 409


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../../../etc/passwd", "../goodman.sqlite", "link.fits", "nothing.fits"],
)
def test_no_path_leaves_the_raw_roots(as_, service, path):
    link = service.root / "raw" / "link.fits"
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")
    answer = as_("staff").post("api/files/", json={"path": path})
    assert answer.status_code == 403
    assert answer.json()["field"] == "path"


def test_a_raw_file_is_never_deleted(as_, world):
    answer = as_("super").delete("api/files/", params={"id": world.files["ours"]})
    assert answer.status_code == 403
    assert "never deleted" in answer.json()["message"]


def test_a_block_answers_with_its_job_and_waits_if_asked(as_, world):
    body = {"id": world.files["ours"], "ignore_bias": True, "ignore_flats": True}
    answer = as_("pi").post("api/files/reduce/", json=body, params={"wait": 120})
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert job["status"] == "done", json.dumps(job)
    product = as_("pi").get(f"api/files/{job['products'][0]}/").json()
    assert product["data_type"] == "2"
    assert product["parent_file_id"] == product["original_file_id"] == world.files["ours"]
    query = {"id": product["id"]}
    picture(as_("pi").get("api/files/visualize/", params=query))
    assert as_("stranger").get(f"api/files/{product['id']}/").status_code == 404
    assert as_("mate").delete("api/files/", params=query).json() == {"deleted": product["id"]}


def test_the_pixels_of_a_region_come_with_their_flags_and_where_they_lie(as_, world):
    query = {"id": world.files["ours"], "format": "json", "pixels": "true"}

    def numbers(part):
        raw = np.frombuffer(base64.b64decode(part["data"]), part["dtype"])
        return raw.reshape(part["shape"])

    whole = as_("pi").get("api/files/visualize/", params={**query, "max_pixels": 50_000}).json()
    rows, columns = whole["shape"]
    assert numbers(whole["pixels"]).size <= 50_000
    assert numbers(whole["flags"]).shape == numbers(whole["pixels"]).shape
    assert set(whole["window"]) == {"x0", "y0", "xbin", "ybin"}
    assert sum(whole["histogram"]["counts"]) > 0
    strip = {"y0": 100, "y1": 101, "max_pixels": 65_536}
    row = numbers(as_("pi").get("api/files/visualize/", params=query | strip).json()["pixels"])
    assert row.shape == (1, columns)  # not shrunk: it is a cut
    column = {"x0": 50, "x1": 51, "max_pixels": 65_536}
    cut = numbers(as_("pi").get("api/files/visualize/", params=query | column).json()["pixels"])
    assert cut.shape == (rows, 1)
    assert cut[100, 0] == row[0, 50]


def test_a_step_tells_what_it_saw_and_a_line_is_measured(as_, world):
    client, number = as_("pi"), world.files["ours"]
    aperture = {"row": 2000.0, "lower": -8.0, "upper": 8.0, "follow": "straight"}

    def made(path, **more):
        body = {"id": number, "ignore_bias": True, "ignore_flats": True, **more}
        job = client.post(f"api/files/{path}/", json=body, params={"wait": 120}).json()
        assert job["status"] == "done", json.dumps(job)
        return job

    reduced, extracted = made("reduce"), made("spectrum/extract", apertures=[aperture])
    spectrum = extracted["products"][0]
    try:
        told = client.get("api/files/diagnostics/", params={"id": reduced["products"][0]}).json()
        assert told["kind"] == "cosmic"
        assert told["data"]["pixels"] >= told["data"]["rays"] >= len(told["data"]["largest"])
        told = client.get("api/files/diagnostics/", params={"id": spectrum}).json()
        assert told["kind"] == "extract"
        (target,) = told["data"]["targets"]
        assert target["aperture"] == {"lower": -8.0, "upper": 8.0}
        plot = client.get("api/files/visualize/", params={"id": spectrum, "format": "json"}).json()
        assert plot["column"] == plot["x"]["values"]  # not calibrated yet
        low, high = plot["column"][300], plot["column"][420]
        query = {"id": spectrum, "low": low, "high": high}
        line = client.get("api/files/spectrum/line/", params=query).json()
        assert low < line["centre"] < high
        assert line["flux_error"] > 0
        assert len(line["x"]) == len(line["model"])
        bad = client.get("api/files/spectrum/line/", params={**query, "high": low - 1})
        assert (bad.status_code, bad.json()["code"]) == (400, "bad_request")
        empty = client.get("api/files/spectrum/line/", params={**query, "high": low + 3})
        assert (empty.status_code, empty.json()["field"]) == (422, "low")
        asked = client.get(f"api/jobs/{extracted['id']}/").json()["apertures"]
        assert asked[0]["row"] == 2000.0
        stranger = as_("rival")
        assert stranger.get("api/files/spectrum/line/", params=query).status_code == 404
        path = f"api/files/diagnostics/?id={spectrum}"
        assert stranger.get(path).status_code == 404
    finally:
        for one in extracted["products"] + reduced["products"]:
            client.delete("api/files/", params={"id": one})


def test_what_was_extracted_is_drawn_over_its_images_for_who_may_see_it(as_, world):
    client, number = as_("pi"), world.files["ours"]

    def made(path, **more):
        body = {"id": number, "ignore_bias": True, "ignore_flats": True, **more}
        job = client.post(f"api/files/{path}/", json=body, params={"wait": 120}).json()
        assert job["status"] == "done", json.dumps(job)
        return job["products"]

    def view(file_id, **choice):
        return client.get("api/files/visualize/", params={"id": file_id, **choice})

    reduced = made("reduce")
    by_hand = {
        "row": 2000.0,
        "lower": -8.0,
        "upper": 8.0,
        "zones": [(20, 40)],
        "follow": "straight",
    }
    extracted = made("spectrum/extract", apertures=[by_hand])
    try:
        for file_id in (number, reduced[0]):
            shown = view(file_id, apertures="true", format="json").json()
            (overlay,) = shown["apertures"]
            low, high = overlay["aperture"]
            assert low < 0 < high
            assert len(overlay["zones"]) == 1
            assert 0 < min(overlay["centre"]) <= max(overlay["centre"]) < shown["shape"][0]
            assert view(file_id, format="json").json()["apertures"] == []
            plain, drawn = (picture(view(file_id, apertures=on)) for on in ("false", "true"))
            blue = (drawn[..., 2] > 200) & (drawn[..., 0] < 60) & (plain[..., 0] == plain[..., 2])
            assert blue.any()
        # The same rows of the detector, on images that begin at different rows.
        assert (
            as_("rival")
            .get("api/files/visualize/", params={"id": number, "apertures": "true"})
            .status_code
            == 404
        )
        roles = {one: client.get(f"api/files/{one}/").json()["role"] for one in reduced}
        for mask in (one for one, role in roles.items() if role == "mask"):
            shown = view(mask, format="json").json()
            assert (shown["limits"]["low"], shown["limits"]["high"]) == (0, 1)
            assert view(mask).headers["content-type"] == "image/png"
        assert set(roles.values()) == {"", "mask"}
    finally:
        for one in [*extracted, *reduced]:
            client.delete("api/files/", params={"id": one})


def test_a_frame_is_identified_again_with_cards_mended_by_hand(as_, world):
    client, number = as_("pi"), world.files["ours"]
    before = client.get(f"api/files/{number}/").json()
    body = {"id": number, "header": {"OBSTYPE": "ARC", "OBJECT": "Ne"}}
    mended = client.post("api/files/reclassify/", json=body)
    assert mended.status_code == 200, mended.text
    assert mended.json()["kind"] == "arc"
    assert mended.json()["object"] == "Ne"
    assert mended.json()["proposal_id"] == before["proposal_id"]
    cards = client.get("api/files/header/", params={"id": number}).json()["cards"]
    by_hand = {card["keyword"]: card["mended"] for card in cards if card["by_hand"]}
    assert by_hand == {"OBSTYPE": "ARC", "OBJECT": "Ne"}
    reset = client.post("api/files/reclassify/", json={"id": number, "reset": True}).json()
    assert reset["kind"] == "spectrum"
    theirs = {"id": world.files["calibrate"], "header": {"OBSTYPE": "ARC"}}
    assert client.post("api/files/reclassify/", json=theirs).status_code == 403
    grab = {"id": number, "header": {"PROPID": "SOAR2026A-002"}}
    assert client.post("api/files/reclassify/", json=grab).status_code == 400


def test_the_technique_is_set_by_hand_and_given_back(as_, world):
    number, client = world.files["ours"], as_("pi")
    assert client.get(f"api/files/{number}/").json()["technique"] == "Spectroscopy"
    body = {"id": number, "technique": "Imaging"}
    try:
        answer = client.post("api/files/reclassify/", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["technique"] == "Imaging"
        # Asked again without a wish, it stays; the file itself is as it was.
        again = client.post("api/files/reclassify/", json={"id": number}).json()
        assert (again["technique"], again["kind"]) == ("Imaging", "acquisition")  # the slit is in
        cards = client.get("api/files/header/", params={"id": number}).json()["cards"]
        mended = {card["keyword"]: card for card in cards if card["by_hand"]}
        assert mended["GLTECHNQ"]["mended"] == "Imaging"
        assert mended["GLTECHNQ"]["value"] is None
    finally:
        reset = client.post("api/files/reclassify/", json={"id": number, "reset": True}).json()
    assert reset["technique"] == "Spectroscopy"
    wrong = client.post("api/files/reclassify/", json={"id": number, "technique": "Magic"})
    assert wrong.status_code == 400
