"""Frames arrive whole, in order, growing; an interrupted one is continued."""

from threading import Event

import pytest

from goodman_live.hub.demo import telescope


@pytest.fixture
def night(tmp_path, monkeypatch):
    monkeypatch.setattr(telescope, "CHUNK", 1000)
    monkeypatch.setattr(telescope, "CHUNK_PAUSE_S", 0.0)
    raw = tmp_path / "night" / "RAW"
    raw.mkdir(parents=True)
    for number in range(3):
        (raw / f"{number:04d}.fits").write_bytes(bytes([number]) * (2500 + number))
    watch = tmp_path / "raw"
    watch.mkdir()
    return tmp_path / "night", watch


def test_all_arrive_in_order_and_whole(night):
    folder, watch = night
    frames = telescope.raw_frames(folder)
    arrived = list(telescope.observe(frames, watch, interval_s=0, stop=Event()))
    assert [path.name for path in arrived] == ["0000.fits", "0001.fits", "0002.fits"]
    for frame in frames:
        assert (watch / frame.name).read_bytes() == frame.read_bytes()
    assert telescope.missing(frames, watch) == []


def test_a_stop_leaves_a_part_and_the_next_run_continues_it(night):
    folder, watch = night
    frames = telescope.raw_frames(folder)
    stop = Event()
    stop.set()
    assert list(telescope.observe(frames, watch, interval_s=0, stop=stop)) == []
    part = watch / "0000.fits"
    assert part.stat().st_size == 1000
    assert telescope.missing(frames, watch) == frames
    list(telescope.observe(telescope.missing(frames, watch), watch, interval_s=0, stop=Event()))
    assert part.read_bytes() == frames[0].read_bytes()


def test_an_existing_night_is_not_simulated_again(night):
    folder, _ = night
    assert telescope.simulate(folder) == telescope.raw_frames(folder)
