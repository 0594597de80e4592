"""Replay: the order and the pace of a night, and nothing overwritten."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.night import write_shot
from goodman_live.pipeline.simulate.plan import Shot
from goodman_live.server_extension.replay_command import order_night, replay, replay_night


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    (folder / "truth").mkdir()
    tiny = setup("Red", "400_M1", region=Region("user-defined", 0, 1895, 2071, 20))
    began = datetime(2026, 8, 15, 20, 30, tzinfo=UTC)
    for number, minutes in enumerate((9, 0, 4), 1):
        log = Log(
            start=began + timedelta(minutes=minutes), number=number, file_name=f"{number}.fits"
        )
        write_shot(Shot("bias", tiny, log, number), raw_dir=folder, truth_dir=folder / "truth")
    (folder / "notes.fits").write_bytes(b"not a frame")
    return folder


def test_frames_come_in_the_order_of_the_night(night):
    assert [path.name for _, path in order_night(night)] == ["2.fits", "3.fits", "1.fits"]


def test_the_pace_is_the_nights_at_the_speed_asked_for(night, tmp_path):
    slept = []
    paths = list(replay_night(night, tmp_path / "raw", speed=60.0, sleep=slept.append))
    assert [path.name for path in paths] == ["2.fits", "3.fits", "1.fits"]
    assert slept == pytest.approx([0.0, 4.0, 5.0])
    for path in paths:
        assert path.read_bytes() == (night / path.name).read_bytes()


def test_nothing_is_overwritten(night, tmp_path):
    shutil.copy(night / "3.fits", tmp_path / "3.fits")
    with pytest.raises(GoodmanError, match="exists"):
        list(replay_night(night, tmp_path, speed=0))


def test_the_command(night, tmp_path):
    done = CliRunner().invoke(replay, [str(night), "--into", str(tmp_path / "a"), "--speed", "0"])
    assert done.exit_code == 0, done.output
    assert [line.split()[1] for line in done.output.splitlines()] == ["2.fits", "3.fits", "1.fits"]
    (tmp_path / "empty").mkdir()
    refused = CliRunner().invoke(
        replay, [str(tmp_path / "empty"), "--into", str(tmp_path / "b"), "--speed", "0"]
    )
    assert refused.exit_code == 1
    assert "no raw frame" in refused.output
