"""What travels: HEAD, archives larger than memory should hold, limits of one user, origins."""

import contextlib
import struct
import time

import httpx
import psutil
import pytest

from goodman_live.server_extension.catalogue.frames import Frame
from tests.server_extension.api.conftest import fill, start_service, stop_service

MIB = 2**20
PART_MIB, PARTS = 64, 16
BURST = 30
STREAMS = 3
STARS = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: x, datatype: float64}\nx\n1.5\n"


@pytest.mark.parametrize(
    "path",
    [
        "api/",
        "api/files/",
        "api/files/{ours}/",
        "api/files/header/?id={ours}",
        "api/files/visualize/?id={ours}",
        "api/files/download/?id={ours}",
        "api/docs/",
        "api/docs/static/start.js",
        "api/files/99999/",
    ],
)
def test_head_is_a_get_without_its_body(as_, world, path):
    client, path = as_("pi", **{"Accept-Encoding": "identity"}), path.format(**world.files)
    get, head = client.get(path), client.head(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    for name in ("content-type", "content-length", "etag", "last-modified", "accept-ranges"):
        assert head.headers.get(name) == get.headers.get(name), name


def test_head_of_what_has_no_end_ends(as_, world):
    client = as_("pi")
    archive = client.head("api/files/download/", params={"id": world.files["ours"], "archive": 1})
    assert (archive.status_code, archive.headers["content-type"]) == (200, "application/zip")
    stream = client.head("api/events/")
    assert (stream.status_code, stream.headers["content-type"]) == (200, "text/event-stream")


def test_head_has_the_rights_of_get_and_changes_nothing(as_, world):
    assert as_("stranger").head(f"api/files/{world.files['ours']}/").status_code == 404
    assert as_().head("api/files/").status_code == 401
    path = f"api/proposals/collaborators/{world.proposals['ours']}/"
    wish = {"email": "by-head@example.org", "action": "add"}
    answer = as_("pi").request("HEAD", path, json=wish)
    assert answer.status_code == 405
    assert "HEAD" not in answer.headers["allow"]
    assert "by-head" not in as_("staff").get("api/users/?page_size=500").text


@pytest.fixture(scope="module")
def limited(border, raw_frames, tmp_path_factory, free_port):
    """Return a service that limits each user, with an archive of zeros to send."""
    root = tmp_path_factory.mktemp("limited")
    running = start_service(
        root,
        border,
        free_port(),
        args=[
            "--GoodmanExtension.rate_limit=0.1",  # next to nothing comes back meanwhile
            f"--GoodmanExtension.rate_burst={BURST}",
            f"--GoodmanExtension.max_streams={STREAMS}",
            "--GoodmanExtension.watch=False",
        ],
    )
    (root / "raw").mkdir(exist_ok=True)
    for path in raw_frames.iterdir():
        (root / "raw" / path.name).write_bytes(path.read_bytes())
    (root / "raw" / "theirs.fits").write_bytes(b"")
    catalogue = running.catalogue()
    fill(catalogue, root / "raw", root)
    large = root / "raw" / "large.fits"
    with large.open("wb") as stream:
        stream.truncate(PART_MIB * MIB)  # a hole: nothing lies on the disk
    with catalogue.write() as session:
        for number in range(PARTS):
            (root / "raw" / f"large{number}.fits").hardlink_to(large)
            session.add(
                Frame(
                    file_name=f"large{number}.fits",
                    directory_name=str(large.parent),
                    proposal_id="calibrate",
                    object_name="LARGE",
                )
            )
        (root / "raw" / "stars.ecsv").write_text(STARS)
        session.add(
            Frame(
                file_name="stars.ecsv",
                directory_name=str(large.parent),
                proposal_id="calibrate",
                data_type=2,
                role="photometry text",
            )
        )
    catalogue.close()
    yield running
    stop_service(running.process)


def asked_by(service, name):
    headers = {"Authorization": f"Token token-of-{name}"}
    return httpx.Client(base_url=service.url, headers=headers, timeout=120, trust_env=False)


def test_a_table_of_text_is_sent_as_text_and_has_no_cards(limited):
    with asked_by(limited, "mate") as client:
        found = client.get("api/files/", params={"file_name": "stars.ecsv"}).json()["results"]
        query = {"id": found[0]["id"]}
        answer = client.get("api/files/download/", params=query)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.text == STARS
        assert client.get("api/files/header/", params=query).json()["cards"] == []
        shown = client.get("api/files/visualize/", params=query)
        assert shown.status_code == 422
        assert "stars.ecsv" in shown.json()["message"]


def test_an_archive_passes_through_and_is_not_held(limited):
    process = psutil.Process(limited.process.pid)
    with asked_by(limited, "staff") as client:
        found = client.get("api/files/", params={"object": "LARGE"}).json()["results"]
        query = {"id": [row["id"] for row in found]}
        assert len(found) == PARTS
        # The first one fills what is kept for good: threads, buffers.
        client.get("api/files/download/", params={"id": found[0]["id"], "archive": "true"})
        before = highest = process.memory_info().rss
        size = 0
        tail = b""
        with client.stream("GET", "api/files/download/", params=query) as answer:
            assert answer.status_code == 200
            for piece in answer.iter_raw(4 * MIB):
                size += len(piece)
                tail = (tail + piece)[-22:]
                highest = max(highest, process.memory_info().rss)
    assert size > PARTS * PART_MIB * MIB
    signature, *_, entries, _, _, _ = struct.unpack("<4s4H2LH", tail)
    assert (signature, entries) == (b"PK\x05\x06", PARTS)
    assert highest - before < 96 * MIB, "what was sent is held"


def test_who_asks_too_often_waits_and_nobody_else(limited):
    with asked_by(limited, "rival") as flood, asked_by(limited, "pi") as other:
        answers = [flood.get("api/users/me/") for _ in range(3 * BURST)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert answers[0].status_code == 200
        assert refused
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert refused[0].json()["code"] == "too_many_requests"
        assert other.get("api/users/me/").status_code == 200


def test_a_stranger_escapes_the_limit_by_no_header(limited):
    statuses = set()
    with httpx.Client(base_url=limited.url, timeout=120, trust_env=False) as client:
        for number in range(2 * BURST):
            # What the sender wrote, and behind it what a proxy of ours appended.
            chain = f"198.51.100.{number}, 203.0.113.5"
            odd = {"X-Real-Ip": f"192.0.2.{number}", "X-Forwarded-For": chain}
            statuses.add(client.get("api/files/", headers=odd).status_code)
    assert statuses == {401, 429}


def test_nobody_holds_more_streams_than_allowed_and_who_closes_one_has_it_back(limited):
    path = "api/events/"
    with asked_by(limited, "stranger") as greedy, asked_by(limited, "mate") as other:
        with contextlib.ExitStack() as opened:
            for _ in range(STREAMS):
                stream = opened.enter_context(greedy.stream("GET", path))
                assert next(stream.iter_lines()).startswith("retry:")
            refused = greedy.get(path)
            assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
            assert int(refused.headers["retry-after"]) >= 1
            # Lists are still answered, and so is everybody else.
            assert greedy.get("api/users/me/").status_code == 200
            with other.stream("GET", path) as stream:
                assert next(stream.iter_lines()).startswith("retry:")
        for _ in range(BURST - 10):  # the service notices in a while that they are closed
            with greedy.stream("GET", path) as stream:
                if stream.status_code == httpx.codes.OK:
                    return
            time.sleep(2)
        pytest.fail("closed streams still count")
