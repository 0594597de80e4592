"""Disks that fill up, files that vanish, come twice or all at once, clocks that jump, poison.

Each night ends as one that nobody disturbed: data, headers and rows, less what `whole_night`
names.
"""

import shutil
import subprocess
import threading

import pytest
from astropy.io import fits
from sqlalchemy import select

from goodman_live.server_extension.catalogue.models import Arrival, Frame, Job
from goodman_live.server_extension.engine.jobs import MOST_TRIES

from .whole_night import assert_equal

pytestmark = pytest.mark.slow

DAY_S = 86_400


@pytest.fixture
def small_disk():
    """Make a folder a file system of its own of a few megabytes; return how it grows."""
    mounted = []

    def mount(folder, size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "goodman-test", str(folder)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("a test may not mount a file system here")
        mounted.append(folder)

        def grow(size):
            options = ["mount", "-o", f"remount,size={size}", str(folder)]
            subprocess.run(options, check=True, capture_output=True)

        return grow

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def test_a_disk_that_is_full_and_is_given_space(begin, frames, undisturbed, small_disk):
    night = begin("full")
    products = night.folder / "products"
    products.mkdir()
    grow = small_disk(products, "4m")
    night.start()
    night.place(frames)
    night.until("told", lambda: "disk.full" in night.log())
    assert not [path for path in products.rglob("*.fits") if not _is_whole(path)]
    grow("500m")
    night.rest()
    night.check_files(frames)
    assert_equal(night.state(), undisturbed)
    night.restart()
    assert_equal(night.state(), undisturbed)
    night.end()


def test_a_disk_that_fills_up_and_a_service_that_is_killed_then(
    begin, frames, undisturbed, small_disk
):
    night = begin("full")
    products = night.folder / "products"
    products.mkdir()
    grow = small_disk(products, "6m")
    night.start()
    night.place(frames)
    night.until("told", lambda: "disk.full" in night.log())
    night.kill()
    grow("500m")
    night.start()
    night.rest()
    night.check_files(frames)
    assert_equal(night.state(), undisturbed)
    night.end()


def _is_whole(path):
    with fits.open(path) as hdus:
        hdus.verify("exception")
        return all(hdu.data is None or hdu.data.size for hdu in hdus)


def test_a_file_that_vanishes_and_comes_back(begin, frames, undisturbed):
    night = begin("vanished")
    night.start()
    *others, science = frames
    night.place(others)
    night.rest()
    path = night.raw / science.name
    # Gone between intake and reduction: nothing but the worker would have read it.
    for worker in night.workers():
        worker.suspend()
    night.place([science])
    night.until("listed", lambda: night.count(Frame, Frame.file_name == science.name) == 1)
    path.rename(night.folder / "kept")
    for worker in night.workers():
        worker.resume()
    gone = (Job.state == "failed", Job.block == "reduce")
    night.until("told", lambda: night.count(Job, *gone) == 1)
    with night.catalogue.read() as session:
        raw = session.scalar(select(Frame).where(Frame.file_name == science.name))
        assert raw.state == "failed"
        assert science.name in raw.waits_for
    shutil.copy(night.folder / "kept", path)
    night.restart()
    night.check_files(frames)
    assert_equal(night.state(), undisturbed)


def test_the_same_files_copied_twice_at_once(begin, frames, undisturbed):
    night = begin("twice")
    elsewhere = night.raw.parent / "again"
    elsewhere.mkdir()
    night.start()

    def copy(folder, order):
        for path in order:
            shutil.copy(path, folder / path.name)

    writers = [
        threading.Thread(target=copy, args=args)
        for args in ((night.raw, frames), (night.raw, frames), (elsewhere, frames))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    night.placed = len(frames)
    twins = (Arrival.state == "duplicate",)
    night.until("seen twice", lambda: night.count(Arrival, *twins) == len(frames))
    night.rest()
    night.check_files(frames)
    assert_equal(night.state(), undisturbed)
    night.restart()
    assert night.count(Arrival, *twins) == len(frames)
    assert_equal(night.state(), undisturbed)


def test_a_clock_that_jumps(begin, frames, undisturbed):
    night = begin("clock")
    night.start()
    for number, jump in enumerate((0, 40 * DAY_S, -400 * DAY_S, 3)):
        (night.folder / "clock").write_text(str(jump))
        night.place(frames[number::4])
        night.until("taken", lambda: night.count(Frame, Frame.data_type == 0) == night.placed)
    night.rest()
    night.check_files(frames)
    assert_equal(night.state(), undisturbed)
    (night.folder / "clock").write_text(str(-DAY_S))
    night.restart()
    assert_equal(night.state(), undisturbed)


def test_fifty_files_in_one_second(begin, fifty):
    night = begin("one by one")
    night.start()
    for start in range(0, 50, 10):
        night.place(fifty[start : start + 10])
        night.until("taken", lambda: night.count(Frame, Frame.data_type == 0) == night.placed)
    night.rest()
    expected = night.state()
    night.kill()

    burst = begin("burst")
    burst.start()
    burst.until("begun", (burst.folder / "resting").exists)
    burst.place(fifty)
    burst.rest()
    burst.check_files(fifty)
    assert burst.placed == 50
    assert_equal(burst.state(), expected)
    burst.restart()
    assert_equal(burst.state(), expected)


def test_a_frame_that_kills_every_worker_is_set_aside(begin, frames, undisturbed, tmp_path):
    night = begin("poison")
    (night.folder / "poison").touch()
    poison = tmp_path / "poison.fits"
    shutil.copy(frames[-1], poison)
    with fits.open(poison, "update", do_not_scale_image_data=True) as hdus:
        hdus[0].header["OBJECT"] = "poison"
    night.start()
    night.place([*frames[:12], poison, *frames[12:]])
    night.rest()
    for _ in range(2):
        state = night.state()
        (key,) = [key for key in state if "poison" in key[0]]
        assert state.pop(key)[0]["state"] == "failed"
        assert_equal(state, undisturbed)
        with night.catalogue.read() as session:
            failed = session.scalars(select(Job).where(Job.state == "failed")).all()
        assert failed  # one for each set of masters that it was tried with
        for job in failed:
            assert (job.block, job.tries) == ("reduce", MOST_TRIES)
            assert job.error["code"] == "killed_worker"
            assert "in poisoned" in job.error["traceback"]
        night.check_files([*frames])
        night.restart()
