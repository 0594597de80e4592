"""The client against a real server: what it returns, how it fails, what it repeats."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from goodman_live.widgets.client import Address, AsyncClient, Client, find_address
from goodman_live.widgets.client.errors import (
    BadAnswerError,
    ConnectionLostError,
    ForbiddenError,
    JobFailedError,
    NoServiceError,
    NotFoundError,
    NotSignedInError,
    ServiceError,
)
from tests.widgets.service import DIGEST, FITS, TOKEN, Service, make_file

if TYPE_CHECKING:
    from pathlib import Path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_page_of_files_comes_newest_first(client: AsyncClient):
    page = await client.files(page_size=2)
    assert [file["id"] for file in page["results"]] == [3, 2]
    assert page["count"] == 3


async def test_all_files_walks_the_pages(client: AsyncClient):
    assert [file["id"] async for file in client.all_files(page_size=2)] == [3, 2, 1]


async def test_a_missing_file_is_not_found_with_the_services_own_words(client: AsyncClient):
    with pytest.raises(NotFoundError, match="There is no file 99") as caught:
        await client.file(99)
    assert (caught.value.status, caught.value.code, caught.value.field) == (404, "not_found", "id")


async def test_a_wrong_token_is_not_signed_in_and_never_shown(service: Service):
    async with AsyncClient(Address(service.url, "wrong")) as client:
        with pytest.raises(NotSignedInError) as caught:
            await client.status()
    assert "wrong" not in str(caught.value)
    assert "wrong" not in repr(client.address)


async def test_deleting_a_raw_file_is_forbidden(client: AsyncClient):
    with pytest.raises(ForbiddenError, match="never deleted"):
        await client.delete(1)


async def test_reads_are_repeated_while_the_service_is_busy(client: AsyncClient, service: Service):
    service.state.failures[:] = [503, 502]
    assert (await client.file(1))["id"] == 1
    assert len(service.state.asked) == 3


async def test_a_service_that_stays_busy_is_said(client: AsyncClient, service: Service):
    service.state.failures[:] = [503] * 10
    with pytest.raises(ServiceError, match="told to fail") as caught:
        await client.file(1)
    assert caught.value.status == 503
    assert len(service.state.asked) == 4


async def test_what_is_added_is_sent_again_under_the_same_key(
    client: AsyncClient, service: Service
):
    service.state.failures[:] = [503, 502]
    assert (await client.run("reduce", 1))["status"] == "queued"
    assert [method for method, _ in service.state.asked] == ["POST"] * 3
    first, second, third = service.state.keys
    assert first
    assert first == second == third
    await client.run("reduce", 1)
    assert service.state.keys[-1] != first


async def test_a_change_that_may_not_be_repeated_is_sent_once(
    client: AsyncClient, service: Service
):
    service.state.failures[:] = [503]
    with pytest.raises(ServiceError):
        await client.delete(2)
    assert [method for method, _ in service.state.asked] == ["DELETE"]


async def test_an_upload_comes_back_as_the_catalogue_has_it(client: AsyncClient, tmp_path: Path):
    path = tmp_path / "0009_new.fits"
    path.write_bytes(FITS)
    row = await client.upload(path)
    assert (row["file_name"], row["sha256"]) == ("0009_new.fits", DIGEST)


async def test_nobody_listening_is_a_lost_connection():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/"
        async with AsyncClient(Address(url, "")) as client:
            client.transport._pause = 0.001
            with pytest.raises(ConnectionLostError, match="does not answer"):
                await client.status()


async def test_a_page_that_is_not_json_is_a_bad_answer(client: AsyncClient):
    with pytest.raises(BadAnswerError, match="not JSON"):
        await client.transport.json("GET", "api/files/download/")


async def test_a_download_is_whole_and_checked(client: AsyncClient, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    path = await client.download(1, tmp_path, progress=lambda *now: seen.append(now))
    assert path == tmp_path / "0001_target.fits"
    assert path.read_bytes() == FITS
    assert seen[-1] == (len(FITS), len(FITS))


async def test_a_cut_download_leaves_nothing(
    client: AsyncClient, service: Service, tmp_path: Path
):
    service.state.cut_download = True
    (tmp_path / "0001_target.fits").write_text("the one from yesterday")
    with pytest.raises(ConnectionLostError):
        await client.download(1, tmp_path)
    assert names_in(tmp_path) == ["0001_target.fits"]
    assert (tmp_path / "0001_target.fits").read_text() == "the one from yesterday"


async def test_a_download_with_another_checksum_is_refused(
    client: AsyncClient, service: Service, tmp_path: Path
):
    service.state.files[1] = make_file(1, sha256=DIGEST[::-1])
    with pytest.raises(BadAnswerError, match="another checksum"):
        await client.download(1, tmp_path)
    assert names_in(tmp_path) == []


async def test_a_name_from_outside_cannot_leave_the_folder(
    client: AsyncClient, service: Service, tmp_path: Path
):
    service.state.files[1] = make_file(1, file_name="../../escaped.fits")
    path = await client.download(1, tmp_path)
    assert path == tmp_path / "escaped.fits"


async def test_a_job_is_waited_for_with_progress(client: AsyncClient):
    seen: list[float] = []
    job = await client.wait(
        await client.run("reduce", 1), progress=lambda now: seen.append(now["progress"])
    )
    assert job["status"] == "done"
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


async def test_a_failed_job_says_why(client: AsyncClient):
    with pytest.raises(JobFailedError, match="No suitable flat"):
        await client.wait(await client.run("reduce", 3))


async def test_a_job_that_does_not_end_runs_out_of_patience(client: AsyncClient):
    job = await client.run("reduce", 1)
    with pytest.raises(TimeoutError):
        await client.wait(job, patience=0.01)


def test_the_plain_client_does_the_same_without_await(service: Service, tmp_path: Path):
    with Client(Address(service.url, TOKEN)) as client:
        assert client.files()["count"] == 3
        assert client.reduce(1)["status"] == "done"
        assert client.download(2, tmp_path).name == "0002_target.fits"
        assert TOKEN not in repr(client)


async def test_the_plain_client_works_where_a_loop_runs_already(service: Service):
    # As in a notebook: the cell runs on a loop and calls the client without await.
    with Client(Address(service.url, TOKEN)) as client:
        assert client.file(1)["id"] == 1


def test_the_plain_client_follows_and_lets_go(service: Service):
    with Client(Address(service.url, TOKEN)) as client:
        stream = client.follow(since=0)
        service.emit("frame.added", frame_id=7)
        assert next(stream).data["frame_id"] == 7
        stream.close()


def test_arguments_win_over_the_environment():
    env = {"GOODMAN_API_URL": "http://a/services/goodman", "JUPYTERHUB_API_TOKEN": "t"}
    assert find_address(environ=env) == Address("http://a/services/goodman/", "t")
    assert find_address("http://b/x/", "u", environ=env) == Address("http://b/x/", "u")


def test_the_browsers_path_is_told_apart_from_the_kernels():
    env = {"GOODMAN_API_URL": "http://a/services/goodman", "GOODMAN_API_PATH": "/hub/goodman"}
    assert find_address(environ=env).browser == "/hub/goodman/"
    assert find_address("http://b/services/goodman", environ={}).browser == "/services/goodman/"


@pytest.mark.parametrize("url", ["", "ftp://a/", "javascript:alert(1)"])
def test_no_address_is_said_with_a_remedy(url: str):
    with pytest.raises(NoServiceError):
        find_address(url, environ={})


@pytest.mark.parametrize("count", [0, 3, 500, 1201])
async def test_all_proposals_come_however_many(client, service: Service, count: int):
    service.state.proposals = [{"id": number} for number in range(count)]
    assert await client.proposals() == service.state.proposals
