"""What an outsider or a curious member might try: each answer gives nothing away.

`rival` owns ``theirs`` and nothing of ours; `pi` owns ``ours``; `stranger` owns nothing.
"""

import io
import json
import socket
import zipfile
from urllib.parse import urlsplit

import httpx
import pytest

from goodman_live.hub.accounts.models import User
from goodman_live.server_extension.catalogue.frames import Frame, ProductInput

TELLING = ("SECRET", "theirs.fits", "rival")


def tells_nothing(answer):
    return not any(word in answer.text for word in TELLING)


# --- other people's ids


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "api/files/{file}/", None),
        ("GET", "api/files/{file}/related/", None),
        ("GET", "api/files/header/?id={file}", None),
        ("GET", "api/files/visualize/?id={file}", None),
        ("GET", "api/files/visualize/?id={file}&apertures=true&format=json", None),
        ("GET", "api/files/download/?id={file}", None),
        ("GET", "api/files/download/?id={ours}&id={file}", None),
        ("GET", "api/files/download/?file_name=theirs.fits", None),
        ("GET", "api/files/comments/?id={file}", None),
        ("POST", "api/files/comments/", {"id": "{file}", "text": "x"}),
        ("DELETE", "api/files/comments/?comment_id={comment}", None),
        ("DELETE", "api/files/?id={file}", None),
        ("POST", "api/files/reclassify/", {"id": "{file}"}),
        ("POST", "api/files/reduce/", {"id": "{file}"}),
        ("POST", "api/files/reduce/", {"file_name": "theirs.fits"}),
        ("GET", "api/jobs/{job}/", None),
        ("POST", "api/jobs/{job}/", {"action": "retry"}),
        ("POST", "api/jobs/{job}/", {"action": "cancel"}),
        ("GET", "api/proposals/{proposal}/", None),
        ("GET", "api/proposals/settings/{proposal}/", None),
        ("PUT", "api/proposals/settings/{proposal}/", {"max_targets": 2}),
        ("POST", "api/proposals/collaborators/{proposal}/",
         {"email": "pi@example.org", "action": "add"}),
    ],
)  # fmt: skip
def test_what_is_of_others_is_absent(as_, world, method, path, body):
    ids = {
        "file": world.files["theirs"],
        "ours": world.files["ours"],
        "comment": world.comment,
        "job": world.their_job,
        "proposal": world.proposals["theirs"],
    }

    def ask(ids):
        filled = body and {name: str(value).format(**ids) for name, value in body.items()}
        return as_("pi").request(method, path.format(**ids), json=filled)

    answer = ask(ids)
    assert answer.status_code == 404, answer.text
    assert tells_nothing(answer) or "theirs.fits" in path + str(body)
    # A number that nothing has is answered in the same words.
    none = dict.fromkeys(ids, 987654) | {"ours": world.files["ours"]}
    absent = ask(none)
    assert absent.json()["code"] == answer.json()["code"]


@pytest.mark.parametrize(
    "query",
    [
        {"proposal_id": "SOAR2026A-002"},
        {"object": "SECRET"},
        {"search": "SECRET"},
        {"search": "%"},
        {"search": "_______"},
        {"file_name": "theirs.fits"},
        {"ordering": "proposal_id"},
        {"page_size": "500"},
    ],
)
def test_no_filter_shows_or_counts_what_is_hidden(as_, world, query):
    client = as_("pi")
    page = client.get("api/files/", params=query)
    assert page.status_code == 200
    assert "SECRET" not in page.text
    ordering = {name: value for name, value in query.items() if name in {"ordering", "page_size"}}
    if not ordering:
        facets = client.get("api/files/facets/", params=query)
        assert facets.json()["count"] == page.json()["count"]
        assert '"SECRET"' not in facets.text
    ids = [row["id"] for row in page.json()["results"]]
    assert world.files["theirs"] not in ids


@pytest.mark.parametrize("path", ["api/jobs/", "api/logs/", "api/events/?since=0"])
def test_no_list_tells_of_another_proposal(as_, world, path):
    answer = as_("stranger").get(path)
    assert answer.status_code == 200
    assert "SOAR2026A-002" not in answer.text


# --- conditional requests tell nothing


@pytest.mark.parametrize("path", ["visualize", "download"])
@pytest.mark.parametrize("tag", ["*", "exact"])
def test_an_etag_is_no_way_to_ask(as_, world, path, tag):
    query = {"id": world.files["theirs"]}
    known = as_("rival").get(f"api/files/{path}/", params=query).headers["etag"]
    tag = known if tag == "exact" else "*"
    asked = as_("pi", **{"If-None-Match": tag}).get(f"api/files/{path}/", params=query)
    assert asked.status_code == 404
    mine = as_("rival", **{"If-None-Match": f'"x", W/{known}, "y"'})
    assert mine.get(f"api/files/{path}/", params=query).status_code == 304


def test_a_condition_does_not_let_in_who_is_switched_off(as_, world, service):
    query = {"id": world.files["calibrate"]}
    client = as_("stranger")
    known = client.get("api/files/visualize/", params=query).headers["etag"]
    catalogue = service.catalogue()

    def switch(active):
        with catalogue.write() as session:
            session.get_one(User, world.users["stranger"]).is_active = active

    switch(active=False)
    try:
        answer = client.get("api/files/visualize/", params=query, headers={"If-None-Match": known})
        assert answer.status_code == 403
    finally:
        switch(active=True)
        catalogue.close()


def test_a_kept_answer_belongs_to_who_asked(as_, world):
    key = {"Idempotency-Key": "a-key-that-two-people-chose"}
    wish = {"id": world.files["calibrate"], "text": "of the pi"}
    first = as_("pi", **key).post("api/files/comments/", json=wish)
    other = as_("rival", **key).post("api/files/comments/", json=wish | {"text": "of the rival"})
    assert (first.status_code, other.status_code) == (201, 201)
    assert other.json()["author"] != first.json()["author"]
    changed = as_("pi", **key).post("api/files/comments/", json=wish | {"text": "another"})
    assert (changed.status_code, changed.json()["code"]) == (422, "key_reused")
    elsewhere = as_("pi", **key).post("api/files/reclassify/", json={"id": world.files["ours"]})
    assert elsewhere.status_code == 422


# --- strange requests


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("api/files/?page_size=501", "page_size"),
        ("api/files/?page_size=-1", "page_size"),
        ("api/files/?page=0", "page"),
        ("api/files/?page=99999999999999999999", "page"),
        ("api/files/?page=1&page=2", "page"),
        ("api/files/?page=%00", "page"),
        ("api/files/?object=%ff", "object"),
        ("api/files/?object=a%00b", "object"),
        ("api/files/?data_type=9", "data_type"),
        ("api/files/?date=2026-02-30", "date"),
        ("api/files/?ordering=id;drop", "ordering"),
        ("api/files/?ordering=-", "ordering"),
        ("api/files/?object[]=x", "object[]"),
        ("api/files/?original_file_id=99999999999999999999999", "original_file_id"),
        ("api/files/visualize/?id={ours}&vmin=nan", "vmin"),
        ("api/files/visualize/?id={ours}&vmax=inf", "vmax"),
        ("api/files/visualize/?id={ours}&vmax=1e400", "vmax"),
        ("api/files/visualize/?id={ours}&percentile=nan", "percentile"),
        ("api/files/visualize/?id={ours}&width=100000", "width"),
        ("api/files/visualize/?id={ours}&x0=-5", "x0"),
        ("api/files/visualize/?id={ours}&id={theirs}", "id"),
        ("api/files/header/?id=-1", "id"),
        ("api/files/header/?id=1e3", "id"),
    ],
)
def test_values_that_are_refused_are_named(as_, world, path, field):
    answer = as_("pi").get(path.format(**world.files))
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"].startswith(field)


@pytest.mark.parametrize("value", ["inf", "nan", "-1", "301", "1e9", ""])
def test_nobody_waits_for_ever(as_, world, value):
    body = {"id": world.files["ours"], "max_targets": 99}
    answer = as_("pi").post("api/files/reduce/", params={"wait": value}, json=body)
    assert answer.status_code == 400
    assert answer.json()["field"] == ("wait" if value else "max_targets")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"id":' * 50_000,
        b'{"id": 1e999}',
        b'{"id": NaN}',
        b'{"id": 1, "text": "\\ud800"}',
        b'{"id": 1, "te\\u0000xt": "x"}',
        b'{"id": ' + b"9" * 5000 + b', "text": "x"}',
        b'{"id": {"$gt": 0}, "text": "x"}',
        b'{"text": "x", "id": [1]}',
        b"\xff\xfe{",
        b'{"id": 1, "text": "\\u0000"}',
        b'{"id": 1, "text": "x", "user_id": 1}',
        b'{"id": 1, "text": "x", "__proto__": {}}',
        b"<xml/>",
        b"null",
    ],
)
def test_a_body_that_is_none_of_ours_is_refused(as_, world, body):
    answer = as_("pi").post("api/files/comments/", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "bad_request"


def test_a_body_that_would_keep_others_waiting_is_not_read(as_, world):
    answer = as_("pi").post("api/files/comments/", content=b"[" * (9 * 2**20))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "x"])
def test_a_content_type_alone_changes_nothing(as_, world, kind):
    body = json.dumps({"id": world.files["theirs"], "text": "x"})
    answer = as_("pi", **{"Content-Type": kind}).post("api/files/comments/", content=body)
    assert answer.status_code in {400, 404}, answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-Method-Override": "DELETE"},
        {"X-Forwarded-User": "super"},
        {"X-Original-URL": "/services/goodman/api/users/"},
        {"X-Remote-User": "super"},
    ],
)
def test_no_header_makes_another_request_of_it(as_, world, headers):
    answer = as_("pi", **headers).get("api/files/", params={"page_size": 1})
    assert answer.status_code == 200
    assert set(answer.json()) == {"count", "next", "previous", "results"}
    assert as_(**headers).get("api/users/").status_code == 401


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PROPFIND", "delete"])
def test_other_methods_are_no_back_door(as_, world, method):
    for client in (as_("pi"), as_()):
        answer = client.request(method, f"api/files/{world.files['theirs']}/")
        assert answer.status_code in {401, 404, 405, 501}, (method, answer.status_code)
        assert tells_nothing(answer)
        assert "access-control-allow-origin" not in answer.headers


def test_cookies_alone_change_nothing(service, world):
    cookies = {"service-goodman": "forged", "_xsrf": "forged"}
    with httpx.Client(base_url=service.url, cookies=cookies) as client:
        wish = {"id": world.files["ours"], "text": "x"}
        assert client.post("api/files/comments/", json=wish).status_code in {401, 403}
        assert client.get(
            f"api/proposals/collaborators/{world.proposals['ours']}/"
        ).status_code in {
            401,
            403,
        }


@pytest.mark.parametrize("token", ["", "token-of-pi extra", "tokén", "a" * 7000])
def test_no_odd_token_is_an_identity(service, token):
    headers = {"Authorization": f"Token {token}".strip().encode("latin-1")}
    answer = httpx.get(f"{service.url}api/files/", headers=headers)
    assert answer.status_code in {400, 401, 403}, answer.text


# --- names and paths


@pytest.mark.parametrize(
    "name",
    [
        "../x.fits", "..%2fx.fits", "/etc/x.fits", "a/b.fits", "a\\b.fits", ".hidden.fits",
        "x.fits\x00.png", "x.png", "ünï.fits", "-rf.fits", "a" * 300 + ".fits",
        "~.fits",
        "CON.fits/../../y.fits", "x.fits.gz",
    ],
)  # fmt: skip
def test_no_upload_chooses_its_folder(as_, service, world, name):
    before = sorted(str(path) for path in service.root.rglob("*.fits"))
    answer = as_("staff").post("api/files/", params={"file_name": name}, content=b"SIMPLE")
    assert answer.status_code in {400, 422}, answer.text
    form = as_("staff").post("api/files/", files={"file": (name.replace("\x00", ""), b"SIMPLE")})
    assert form.status_code in {400, 422}, form.text
    assert sorted(str(path) for path in service.root.rglob("*.fits")) == before


@pytest.mark.parametrize(
    ("name", "told", "status"),
    [
        (None, 50 * 2**20, b"401"),
        (None, 10**12, b"401"),
        ("pi", 50 * 2**20, b"403"),
        ("staff", 10**12, b"413"),
    ],
)
def test_a_large_body_is_refused_before_it_is_sent(service, world, name, told, status):
    """Whoever may not add files gets the answer while not one byte of the file has been sent."""
    address = urlsplit(service.url)
    token = f"Authorization: Token token-of-{name}\r\n" if name else ""
    with socket.create_connection((address.hostname, address.port), timeout=60) as line:
        line.sendall(
            f"POST {address.path}api/files/?file_name=x.fits HTTP/1.1\r\n"
            f"Host: {address.netloc}\r\n{token}Content-Type: application/octet-stream\r\n"
            f"Content-Length: {told}\r\n\r\n".encode()
        )
        answer = line.makefile("rb").readline()
    assert answer.split()[1] == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nx',
        b"--x\r\n" * 500 + b"--x--\r\n",
    ],
)
def test_a_broken_form_is_refused(as_, world, body):
    client = as_("staff", **{"Content-Type": "multipart/form-data; boundary=x"})
    answer = client.post("api/files/", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("path", ["api/files/comments/", "api/nothing/", "login", "api/users/"])
def test_no_other_route_takes_a_large_body(service, world, path):
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as line:
        line.sendall(
            f"POST {address.path}{path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Content-Length: {50 * 2**20}\r\n\r\n".encode()
        )
        assert line.makefile("rb").readline().split()[1:2] in ([], [b"400"])


def test_an_archive_unpacks_into_one_folder_whatever_the_names(as_, service, world):
    catalogue = service.catalogue()
    with catalogue.write() as session:
        frame = session.get_one(Frame, world.files["ours"])
        kept = frame.file_name
    try:
        ids = [world.files["ours"], world.files["calibrate"]]
        answer = as_("pi").get("api/files/download/", params={"id": ids, "archive": "true"})
        names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
        assert kept in names
        assert all("/" not in name and "\\" not in name and ".." not in name for name in names)
    finally:
        catalogue.close()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("bytes=0-0", 206),
        ("bytes=-0", 416),
        ("bytes=-99999999999999", 206),
        ("bytes=5-2", 200),
        ("bytes=0-1,5-6", 200),
        ("bytes=abc", 200),
        ("lines=0-5", 200),
        ("bytes=99999999999999999-", 416),
        ("bytes=\u0663-\u0665", 200),
    ],
)
def test_ranges_at_the_edge(as_, world, text, status):
    client = as_("pi", **{"Accept-Encoding": "gzip"})
    with client.stream(
        "GET",
        "api/files/download/",
        params={"id": world.files["ours"]},
        headers={"Range": text.encode()},
    ) as answer:
        assert answer.status_code == status
        # A range counts the bytes of the file, not of a packed answer.
        assert "content-encoding" not in answer.headers or status == 416


# --- mail


@pytest.mark.parametrize(
    "wish",
    [
        {"subject": "x\r\nBcc: all@example.org"},
        {"subject": "x\nTo: all@example.org"},
        {"to": ["pi@example.org\r\nBcc: x@example.org"]},
        {"to": ["pi@example.org, x@example.org"]},
        {"to": ["outside@example.com"]},
        {"to": []},
        {"to": ["pi"] * 10_000},
        {"subject": "x" * 5000},
    ],
)
def test_no_letter_goes_where_it_should_not(as_, wish):
    body = {"to": ["pi"], "subject": "x", "message": "y"} | wish
    answer = as_("staff").post("api/email/", json=body)
    assert answer.status_code in {400, 404, 422}, answer.text


def test_a_master_names_no_frame_to_who_may_not_see_it(as_, service, world):
    catalogue = service.catalogue()
    with catalogue.write() as session:
        master = Frame(
            file_name="master_flat.fits", directory_name="x", proposal_id="calibrate", data_type=1
        )
        session.add(master)
        session.flush()
        given = {"role": "raw", "file_name": "quartz_of_SECRET.fits", "checksum": "1" * 64}
        session.add(ProductInput(frame_id=master.id, input_id=world.files["theirs"], **given))
    try:
        told = {
            name: as_(name).get(f"api/files/{master.id}/").json()["inputs"]
            for name in ("pi", "rival", "staff")
        }
    finally:
        with catalogue.write() as session:
            session.delete(session.get(Frame, master.id))
        catalogue.close()
    ((mine,), (theirs,), (staffs,)) = told.values()
    assert (mine["id"], mine["file_name"], mine["sha256"]) == (None, "", "1" * 64)
    assert theirs["file_name"] == staffs["file_name"] == "quartz_of_SECRET.fits"
