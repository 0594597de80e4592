"""Files as they come: whole, growing, twice, renamed, overwritten, broken, hostile."""

import asyncio
import gzip
import hashlib
import os

import pytest

from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.server_extension.catalogue.models import Event, LatencyStamp
from goodman_live.server_extension.intake import arrivals, examine
from goodman_live.server_extension.intake.places import is_candidate, needs_polling


async def until(condition, *, tries=600):
    for _ in range(tries):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not happen")


async def test_a_new_file_in_a_new_folder_is_taken(intake, raw_frame):
    await intake.intake.start()
    content = raw_frame(intake.raw / "20260815" / "RAW" / "0001.fits")
    await until(lambda: intake.taken)
    (frame,) = intake.frames()
    assert (frame.file_name, frame.night, frame.kind) == ("0001.fits", "20260815", "spectrum")
    assert frame.checksum == hashlib.sha256(content).hexdigest()
    assert frame.path.read_bytes() == content
    with intake.catalogue.read() as session:
        assert [event.kind for event in session.query(Event)] == ["frame.added"]
        stages = {row.stage for row in session.query(LatencyStamp)}
    assert stages == {"shutter", "whole", "catalogued"}


async def test_what_came_while_nobody_looked_is_found(intake, raw_frame):
    for number in range(3):
        raw_frame(intake.raw / f"000{number}.fits", seed=number)
    await intake.intake.start()
    await until(lambda: len(intake.taken) == 3)


async def test_a_growing_file_is_taken_when_it_is_whole(intake, raw_frame):
    await intake.intake.start()
    content = raw_frame(intake.raw.parent / "elsewhere.fits")
    path = intake.raw / "0001.fits"
    with path.open("wb") as sink:
        for start in range(0, len(content), 1500):
            sink.write(content[start : start + 1500])
            sink.flush()
            await asyncio.sleep(0.02)
            assert intake.frames() == [] or sink.tell() == len(content)
    await until(lambda: intake.taken)
    (frame,) = intake.frames()
    assert frame.checksum == hashlib.sha256(content).hexdigest()
    assert frame.version == 1


async def test_the_same_file_twice_at_once_is_one_row(intake, raw_frame):
    await intake.intake.start()
    raw_frame(intake.raw / "a.fits")
    frames = await asyncio.gather(*(intake.intake.take(intake.raw / "a.fits") for _ in range(8)))
    assert {frame.id for frame in frames} == {intake.frames()[0].id}
    assert len(intake.frames()) == 1


async def test_equal_content_under_two_names_is_a_duplicate(intake, raw_frame):
    raw_frame(intake.raw / "a.fits")
    raw_frame(intake.raw / "b.fits")
    frames = await asyncio.gather(
        *(intake.intake.take(intake.raw / name) for name in ("a.fits", "b.fits"))
    )
    assert frames[0].id == frames[1].id
    assert sorted(row.state for row in intake.arrivals().values()) == ["duplicate", "taken"]


async def test_a_renamed_file_stays_the_same_frame(intake, raw_frame):
    raw_frame(intake.raw / "a.fits")
    frame = await intake.intake.take(intake.raw / "a.fits")
    (intake.raw / "a.fits").rename(intake.raw / "b.fits")
    again = await intake.intake.take(intake.raw / "b.fits")
    assert again.id == frame.id
    assert intake.frames()[0].file_name == "b.fits"
    assert set(intake.arrivals()) == {"b.fits"}


async def test_new_content_under_an_old_name_is_a_new_version(intake, raw_frame):
    raw_frame(intake.raw / "a.fits", seed=1)
    first = await intake.intake.take(intake.raw / "a.fits")
    raw_frame(intake.raw / "a.fits", seed=2)
    second = await intake.intake.take(intake.raw / "a.fits")
    old, new = intake.frames()
    assert (old.id, old.is_current, old.state) == (first.id, False, "replaced")
    assert (new.id, new.is_current, new.version) == (second.id, True, 2)


async def test_a_broken_file_is_listed_and_tried_again_when_it_changes(
    intake, raw_frame, monkeypatch
):
    monkeypatch.setattr(examine, "PATIENCE_S", 0.5)
    await intake.intake.start()
    content = raw_frame(intake.raw.parent / "elsewhere.fits")
    path = intake.raw / "a.fits"
    path.write_bytes(content[:-4000])
    await until(lambda: "a.fits" in intake.arrivals())
    arrival = intake.arrivals()["a.fits"]
    assert arrival.state == "rejected"
    assert "truncated" in arrival.reason
    assert intake.frames() == []
    path.write_bytes(content)
    await until(intake.frames)
    assert intake.arrivals()["a.fits"].state == "taken"


@pytest.mark.parametrize("content", [b"", b"hello" * 1000, b"SIMPLE  =" + b" " * 5000])
async def test_what_is_no_frame_is_refused_with_a_reason(intake, content, monkeypatch):
    monkeypatch.setattr(examine, "PATIENCE_S", 0.1)
    path = intake.raw / "a.fits"
    path.write_bytes(content)
    with pytest.raises(BadFrameError, match=r"a\.fits"):
        await intake.intake.take(path)
    assert intake.arrivals()["a.fits"].state == "rejected"


async def test_a_frame_compressed_with_gzip_is_listed_with_the_reason(
    intake, raw_frame, monkeypatch
):
    monkeypatch.setattr(examine, "PATIENCE_S", 0.1)
    await intake.intake.start()
    raw_frame(intake.raw / "a.fits")
    content = gzip.compress((intake.raw / "a.fits").read_bytes(), 1)
    (intake.raw / "b.fits.gz").write_bytes(content)
    await until(lambda: len(intake.arrivals()) == 2)
    arrivals = intake.arrivals()
    assert (arrivals["a.fits"].state, arrivals["b.fits.gz"].state) == ("taken", "rejected")
    assert "compressed with gzip" in arrivals["b.fits.gz"].reason
    assert (intake.raw / "b.fits.gz").read_bytes() == content


async def test_a_product_among_raw_files_is_refused(intake, raw_frame):
    raw_frame(intake.raw / "a.fits", GSP_FNAM="a.fits")
    with pytest.raises(BadFrameError, match="product"):
        await intake.intake.take(intake.raw / "a.fits")


async def test_links_and_dots_do_not_leave_the_root(intake, raw_frame):
    raw_frame(intake.raw.parent / "secret.fits")
    (intake.raw / "link.fits").symlink_to(intake.raw.parent / "secret.fits")
    for path in (intake.raw / "link.fits", intake.raw / ".." / "secret.fits"):
        with pytest.raises(BadFrameError, match="leads out"):
            await intake.intake.take(path)
    (intake.raw / "folder").symlink_to(intake.raw.parent)
    await intake.intake.scan()
    assert intake.frames() == []


async def test_a_pipe_does_not_hang_the_intake(intake):
    os.mkfifo(intake.raw / "pipe.fits")
    with pytest.raises(BadFrameError, match="no regular file"):
        await intake.intake.take(intake.raw / "pipe.fits")


async def test_fifty_files_in_a_second(intake, raw_frame):
    await intake.intake.start()
    for number in range(50):
        raw_frame(intake.raw / f"{number:04d}.fits", seed=number)
    await until(lambda: len(set(intake.taken)) == 50)
    assert len(intake.frames()) == 50
    assert len({frame.checksum for frame in intake.frames()}) == 50


async def test_a_backlog_is_listed_first_and_confirmed_after(intake, raw_frame):
    for number in range(40):
        raw_frame(intake.raw / f"{number:04d}.fits", seed=number)
    raw_frame(intake.raw / "copy.fits", seed=7)
    assert await intake.intake.scan() == 41
    frames = intake.frames()
    assert len(frames) == 40
    assert all(frame.checksum for frame in frames)
    assert [backlog for _, backlog in intake.taken] == [True] * 40
    assert await intake.intake.scan() == 0


async def test_polling_sees_what_the_kernel_does_not_tell(intake, raw_frame):
    intake.intake._polling = True
    await intake.intake.start()
    await asyncio.sleep(0.5)
    raw_frame(intake.raw / "a.fits")
    await until(lambda: intake.taken)


def test_candidates(tmp_path):
    roots = (tmp_path,)
    for name in ("a.fits", "n/RAW/b.FITS", "c.fits.fz"):
        assert is_candidate(tmp_path / name, roots)
    for name in ("a.txt", ".a.fits", ".sync/a.fits", "products/a.fits", "a.fits.part"):
        assert not is_candidate(tmp_path / name, roots, tmp_path / "products")


def test_network_file_systems_are_polled(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda / ext4 rw 0 0\nhost:/raw /data/raw nfs4 rw 0 0\n")
    assert needs_polling(tmp_path.__class__("/data/raw/20260815"), mounts)
    assert not needs_polling(tmp_path.__class__("/data"), mounts)


ODD_NAMES = (b"\xff\xfe.fits", b"two\nlines.fits", "right\u202eto.fits".encode())


async def test_a_name_that_cannot_be_printed_is_listed_and_stops_nothing(
    intake, raw_frame, monkeypatch
):
    monkeypatch.setattr("goodman_live.server_extension.intake.intake.BACKLOG", 2)
    for name in ODD_NAMES:  # more than two at once: a backlog
        content = raw_frame(intake.raw / "odd.fits")
        (intake.raw / "odd.fits").rename(os.fsdecode(os.fsencode(intake.raw) + b"/" + name))
    raw_frame(intake.raw / "good.fits", seed=5)
    await intake.intake.scan()
    assert [frame.file_name for frame in intake.frames()] == ["good.fits"]
    listed = intake.arrivals()
    assert listed.pop("good.fits").state == "taken"
    assert {(row.state, "cannot be printed" in row.reason) for row in listed.values()} == {
        ("rejected", True)
    }
    assert set(listed) == {"\\udcff\\udcfe.fits", "two\\nlines.fits", "right\\u202eto.fits"}
    assert {path.read_bytes() for path in intake.raw.iterdir() if path.name != "good.fits"} == {
        content
    }
    assert await intake.intake.scan() == 0, "they are known, and not looked at again"


async def test_a_path_longer_than_the_catalogue_holds_is_listed(intake, raw_frame):
    folder = intake.raw.joinpath(*(["n" * 200] * 5))
    raw_frame(folder / "a.fits")
    raw_frame(intake.raw / "good.fits", seed=5)
    await intake.intake.scan()
    assert [frame.file_name for frame in intake.frames()] == ["good.fits"]
    assert "more than 1000 characters" in intake.arrivals()["a.fits"].reason
    assert await intake.intake.scan() == 0


async def test_a_value_that_the_catalogue_cannot_hold_stops_no_other_frame(
    intake, raw_frame, monkeypatch
):
    monkeypatch.setattr("goodman_live.server_extension.intake.intake.BACKLOG", 1)
    real = arrivals.facts_of

    def facts_of(info):
        return real(info) | ({"block_id": 2**70} if info.object_name == "poison" else {})

    monkeypatch.setattr(arrivals, "facts_of", facts_of)
    raw_frame(intake.raw / "a.fits", OBJECT="poison")
    for number in range(3):
        raw_frame(intake.raw / f"good{number}.fits", seed=number)
    await intake.intake.scan()
    assert len(intake.frames()) == 3
    assert intake.arrivals()["a.fits"].state == "rejected"
    assert "cannot hold" in intake.arrivals()["a.fits"].reason


async def test_a_file_of_the_far_future_is_taken(intake, raw_frame):
    raw_frame(intake.raw / "a.fits")
    os.utime(intake.raw / "a.fits", ns=(2**62, 2**62))
    frame = await intake.intake.take(intake.raw / "a.fits")
    assert frame.file_name == "a.fits"
