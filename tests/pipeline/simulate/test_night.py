"""A simulated night is whole, in order, and never overwrites."""

from itertools import pairwise

import pytest
from click.testing import CliRunner

from goodman_live.pipeline.simulate.command import simulate
from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.plan import PRESETS, bench_night, demo_night, full_night


def test_full_night_has_everything_that_is_observed():
    shots = full_night()
    kinds = {(s.setup.camera.name, s.setup.xbin, s.kind, s.setup.aeon) for s in shots}
    for camera in ("Red", "Blue"):
        for binning in (1, 2):
            for kind in ("bias", "flat", "arc", "spectrum"):
                assert any(k[:3] == (camera, binning, kind) for k in kinds)
    assert {k[3] for k in kinds} == {True, False}
    assert any(s.kind == "image" for s in shots)
    assert any(len(s.options.get("sources", ())) > 1 for s in shots)
    assert any(s.log.object_name == "LTT7379" for s in shots)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_exposures_are_numbered_named_and_timed_in_order(preset):
    logs = [s.log for s in PRESETS[preset](1)]
    assert [x.number for x in logs] == list(range(1, len(logs) + 1))
    assert all(a.start < b.start for a, b in pairwise(logs))
    assert len({x.file_name for x in logs}) == len(logs)


def test_bench_night_counts():
    kinds = [s.kind for s in bench_night()]
    counts = [kinds.count(k) for k in ("bias", "flat", "spectrum", "arc")]
    assert counts == [10, 10, 4, 6]


def test_night_on_disk(tmp_path):
    shots = [s for s in demo_night() if s.kind == "bias"][:2]
    paths = write_night(tmp_path, shots)
    assert [p.name for p in paths] == [s.log.file_name for s in shots]
    assert sorted(p.stem for p in (tmp_path / "TRUTH").glob("*.json")) == [p.stem for p in paths]
    with pytest.raises(FileExistsError, match="empty folder"):
        write_night(tmp_path, shots)


def test_command_refuses_a_folder_in_use(tmp_path):
    (tmp_path / "RAW").mkdir()
    (tmp_path / "RAW" / "mine.fits").write_text("kept")
    result = CliRunner().invoke(simulate, [str(tmp_path), "--preset", "demo"])
    assert result.exit_code == 1
    assert "already holds FITS files" in result.output
    assert (tmp_path / "RAW" / "mine.fits").read_text() == "kept"
