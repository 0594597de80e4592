"""Focus frames and acquisition images arrive one by one: what they tell follows each."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from goodman_live.server_extension.catalogue.models import Frame
from tests.pointing_shots import BEST, focus_shot, pointing_shot

from .test_night import begun

BEGIN = datetime(2026, 8, 16, 0, 10, tzinfo=UTC)


def products(night, role):
    with night.catalogue.read() as session:
        query = select(Frame).where(Frame.role == role, Frame.is_current).order_by(Frame.start)
        return session.scalars(query).all()


def states(night):
    with night.catalogue.read() as session:
        rows = session.scalars(select(Frame).where(Frame.data_type == 0)).all()
        return {row.file_name: (row.state, row.waits_for) for row in rows}


async def test_a_focus_run_grows_until_it_names_the_best_setting(tmp_path):
    shots = tmp_path / "shots"
    shots.mkdir()
    settings = (-900, -760, -620, -480, -340)
    paths = [focus_shot(shots, number, at, BEGIN) for number, at in enumerate(settings)]
    async with begun(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path) as night:
        night.place(paths[:1])
        await night.rest()
        (one,) = products(night, "focus")
        assert one.quality["frames"] == 1
        assert one.quality["focus_best"] is None
        assert one.quality["fwhm_newest_px"] > 4

        night.place(paths[1:3])
        await night.rest()
        (three,) = products(night, "focus")
        assert three.quality["frames"] == 3
        assert not three.quality["focus_bracketed"]
        assert any("go on above it" in text for text in three.messages)

        night.place(paths[3:])
        await night.rest()
        (whole,) = products(night, "focus")
        assert whole.original_name == paths[-1].name
        assert whole.quality["focus_bracketed"]
        assert whole.quality["focus_card"] == "CAM_FOC"
        assert whole.quality["focus_best"] == pytest.approx(BEST, abs=30)
        assert all(state == "kept" for state, _ in states(night).values())

        # After a pause another run begins, and the first stays.
        late = focus_shot(shots, 200, -500, BEGIN)
        night.place([late])
        await night.rest()
        assert [run.quality["frames"] for run in products(night, "focus")] == [5, 1]


async def test_an_acquisition_image_tells_the_offset_from_the_slit_seen_last(tmp_path):
    shots = tmp_path / "shots"
    shots.mkdir()
    away = pointing_shot(shots, 1, BEGIN, slit=False, across=14.0)
    through = pointing_shot(shots, 2, BEGIN, slit=True)
    field = pointing_shot(shots, 3, BEGIN, slit=False, name="field")
    async with begun(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path) as night:
        night.place([away, field])
        await night.rest()
        assert products(night, "acquisition") == []

        night.place([through])
        await night.rest()
        first, second = products(night, "acquisition")
        assert (first.original_name, second.original_name) == (away.name, through.name)
        assert second.quality["slit_seen"]
        assert abs(second.quality["offset_arcsec"]) < 0.2
        assert not first.quality["slit_seen"]
        assert first.quality["offset_px"] == pytest.approx(14.0, abs=0.5)
        assert any("from the middle of the slit" in text for text in first.messages)
        # The image itself stays the result of its reduction.
        assert len([one for one in night.products(2, "image") if one.role == ""]) == 2
        assert all(state == "done" for state, _ in states(night).values())
