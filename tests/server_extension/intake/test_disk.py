"""Intake before the disk is full: it stops, loses nothing, and goes on."""

import asyncio
import os
import shutil
import subprocess

import pytest

from goodman_live.pipeline.core.errors import DiskFullError
from goodman_live.server_extension import disk as disk_module
from goodman_live.server_extension.catalogue.models import LogEntry
from goodman_live.server_extension.disk import DISK_FREE, INTAKE_PAUSED, DiskGuard, free_bytes
from goodman_live.server_extension.intake import intake as intake_module

MIB = 2**20


@pytest.fixture
def small_disk(tmp_path):
    """Return a folder that is a file system of 8 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system of its own needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def space(monkeypatch):
    """Return what decides how much is free."""
    said = {"free": 10_000 * MIB}
    monkeypatch.setattr(disk_module, "free_bytes", lambda _: said["free"])
    return said


def test_free_space_is_the_file_systems_own(small_disk):
    assert 7 * MIB < free_bytes(small_disk / "not" / "yet") <= 8 * MIB
    guard = DiskGuard((small_disk,), 4 * MIB)
    assert guard.has_room()
    (small_disk / "ballast").write_bytes(bytes(5 * MIB))
    assert not guard.has_room()
    assert str(small_disk) in guard.reason
    assert INTAKE_PAUSED._value.get() == 1
    assert DISK_FREE.labels(str(small_disk))._value.get() < 4 * MIB
    (small_disk / "ballast").unlink()
    assert guard.has_room()
    assert guard.reason == ""


def test_intake_goes_on_only_when_there_is_room_for_more_than_one(space, tmp_path):
    guard = DiskGuard((tmp_path,), 100 * MIB)
    for free, room in ((101, True), (99, False), (110, False), (121, True), (101, True)):
        space["free"] = free * MIB
        assert guard.has_room() is room, free


def test_without_a_limit_nothing_stops(space, tmp_path):
    space["free"] = 0
    assert DiskGuard((tmp_path,), 0).has_room()


async def until(condition, *, tries=600):
    for _ in range(tries):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not happen")


async def test_frames_that_come_meanwhile_wait_and_are_taken(
    intake, raw_frame, space, monkeypatch
):
    monkeypatch.setattr(intake_module, "RESCAN_S", 0.1)
    intake.disk._least = 100 * MIB
    space["free"] = 50 * MIB
    await intake.intake.start()

    def lines():
        with intake.catalogue.read() as session:
            return [(row.level, row.message) for row in session.query(LogEntry)]

    await until(lines)
    raw_frame(intake.raw / "0001.fits")
    (intake.raw / "broken.fits").write_bytes(b"not a frame")
    with pytest.raises(DiskFullError) as caught:
        await intake.intake.take(intake.raw / "0001.fits")
    assert caught.value.status == 507
    assert intake.frames() == []
    assert intake.arrivals() == {}, "nothing is judged before it can be taken"
    [(level, message)] = lines()
    assert level == "error"
    assert "Intake waits: 0.05 GiB are free" in message
    space["free"] = 500 * MIB
    await until(lambda: intake.taken)
    assert [frame.file_name for frame in intake.frames()] == ["0001.fits"]
    await until(lambda: ("info", "There is space again: intake goes on.") in lines())
    shutil.rmtree(intake.raw)
