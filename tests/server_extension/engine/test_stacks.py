"""Exposures of a target arrive one by one: the running stack grows with each."""

from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import select

from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.law import random_law
from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.plan import FAINT, SUPERNOVA_TARGET, Clock, visit
from goodman_live.server_extension.catalogue.models import Frame, ProductInput

from .test_night import begun


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    """Return the arc and three exposures of a target, and one of another."""
    rng = np.random.default_rng(3)
    clock = Clock(datetime(2026, 8, 16, 0, 10, tzinfo=UTC))
    set_up = setup("Red", "400_M1", region=Region("user-defined", 0, 1895, 2071, 200))
    law = random_law(set_up.mode, rng)
    many = visit(set_up, clock, rng, law, SUPERNOVA_TARGET, exposures=3, arc_first=True)
    other = visit(set_up, clock, rng, law, FAINT, arc_first=True)
    return write_night(tmp_path_factory.mktemp("stacks"), [*many, *other])


def stacks(night, *, current=True):
    with night.catalogue.read() as session:
        query = select(Frame).where(Frame.role == "stack").order_by(Frame.id)
        if current:
            query = query.where(Frame.is_current)
        return session.scalars(query).all()


def members(night, stack):
    with night.catalogue.read() as session:
        query = select(ProductInput.file_name).where(
            ProductInput.frame_id == stack.id, ProductInput.role == "exposures"
        )
        return session.scalars(query).all()


async def test_the_running_stack_grows_and_there_is_one(tmp_path, shots):
    arc, *science = [path for path in shots if "SN2026abc" in path.name]
    others = [path for path in shots if "SN2026abc" not in path.name]
    async with begun(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path) as night:
        night.place([arc, science[0], *others])
        await night.rest()
        assert stacks(night) == []

        night.place(science[1:2])
        await night.rest()
        (two,) = stacks(night)
        assert two.quality["exposures"] == 2
        assert two.original_name == science[1].name

        night.place(science[2:])
        await night.rest()
        (three,) = stacks(night)
        assert three.quality["exposures"] == 3
        assert three.original_name == science[2].name
        assert len(members(night, three)) == 3
        assert all("SN2026abc" in name for name in members(night, three))
        ratio = three.quality["snr_resolution"] / two.quality["snr_resolution"]
        assert ratio == pytest.approx(1.5**0.5, rel=0.1)
        # The single spectra stay what they were: a stack stands beside them.
        assert len(night.products(4, "spectrum")) == 4
        assert len(stacks(night, current=False)) == 2


async def test_in_whatever_order_they_come_the_stack_is_the_same(tmp_path, shots):
    arc, *science = [path for path in shots if "SN2026abc" in path.name]
    async with begun(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path) as night:
        night.place([arc, science[2]])
        await night.rest()
        assert stacks(night) == []
        night.place([science[0]])
        await night.rest()
        (two,) = stacks(night)
        night.place([science[1]])
        await night.rest()
        (three,) = stacks(night)
        assert three.original_name == two.original_name == science[2].name
        assert len(members(night, three)) == 3


async def test_images_of_a_field_are_stacked_as_they_come(tmp_path):
    here = setup("Red", None, filter1="r-SDSS", region=Region("Imaging 2x2", 520, 500, 300, 260))
    rng = np.random.default_rng(8)
    stars = np.column_stack(
        [rng.uniform(20, 280, 40), rng.uniform(20, 240, 40), 10 ** rng.uniform(1.5, 3, 40)]
    )
    moves = [(0, 0), (5, -3), (-4, 7)]
    paths = []
    for number, (dx, dy) in enumerate(moves):
        log = Log(
            object_name="Field", number=number,
            start=datetime(2026, 8, 16, 1, 10 * number, tzinfo=UTC),
        )  # fmt: skip
        placed = stars + np.array([dx, dy, 0])
        shot = frames.image(here, seed=number, exptime_s=60.0, placed=placed, log=log)
        paths.append(tmp_path / f"{number:04d}_Field.fits")
        shot.write(paths[-1])
    async with begun(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path) as night:
        night.place(paths[:1])
        await night.rest()
        assert stacks(night) == []
        night.place(paths[1:])
        await night.rest()
        (stack,) = stacks(night)
        assert stack.data_type == 2
        assert stack.quality["exposures"] == 3
        assert stack.quality["largest_shift_px"] == 10
        assert stack.quality["exptime_total_s"] == 180
        assert stack.quality["noise_gain"] == pytest.approx(3**0.5, rel=0.05)
        assert stack.original_name == paths[-1].name
        # Each exposure keeps its own reduced frame.
        assert len(night.products(2, "image")) == 3
