"""A small simulated night through the real watch folder, engine and workers."""

import asyncio
import hashlib
import shutil
from contextlib import asynccontextmanager

import numpy as np
import pytest
from astropy.io.fits import getheader
from sqlalchemy import func, select

from goodman_live.hub.accounts.models import Proposal
from goodman_live.pipeline.products.fits import read_spectrum
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Event, Frame, Job, ProductInput
from goodman_live.server_extension.engine.engine import Engine, EngineSettings
from goodman_live.server_extension.engine.profile import DaskProfile


class Night:
    def __init__(self, engine, catalogue, raw):
        self.engine, self.catalogue, self.raw = engine, catalogue, raw
        self.placed = 0

    def place(self, paths):
        for path in paths:
            shutil.copy(path, self.raw / path.name)
            self.placed += 1

    async def rest(self):
        quiet = 0
        for _ in range(1200):
            with self.catalogue.read() as session:
                live = Job.state.in_(("queued", "running"))
                busy = session.scalar(select(func.count()).select_from(Job).where(live))
                taken = session.scalar(select(func.count()).where(Frame.data_type == 0))
            still = taken == self.placed and not busy and self.engine.resting
            quiet = quiet + 1 if still else 0
            if quiet == 8:
                return
            await asyncio.sleep(0.1)
        with self.catalogue.read() as session:
            jobs = [(job.block, job.state, job.error) for job in session.scalars(select(Job))]
        pytest.fail(f"the engine does not come to rest: {taken} of {self.placed}, {jobs}")

    def raws(self, kind):
        with self.catalogue.read() as session:
            query = select(Frame).where(Frame.data_type == 0, Frame.kind == kind)
            return session.scalars(query.order_by(Frame.id)).all()

    def products(self, data_type, kind, *, current=True):
        with self.catalogue.read() as session:
            query = select(Frame).where(
                Frame.data_type == data_type, Frame.kind == kind, Frame.role == ""
            )
            if current:
                query = query.where(Frame.is_current)
            return session.scalars(query.order_by(Frame.id)).all()

    def jobs(self, block):
        with self.catalogue.read() as session:
            return session.scalars(select(Job).where(Job.block == block).order_by(Job.id)).all()

    def inputs(self, frame):
        with self.catalogue.read() as session:
            query = select(ProductInput).where(ProductInput.frame_id == frame.id)
            return {row.role: row.file_name for row in session.scalars(query)}


@asynccontextmanager
async def begun(url, folder, *, workers=1):
    migrate(url)
    catalogue = Catalogue(url)
    raw = folder / "raw" / "20260815"
    raw.mkdir(parents=True)
    settings = EngineSettings(
        (folder / "raw",), folder / "products", folder / "work", coalesce_s=0.5
    )
    engine = Engine(catalogue, settings, profile=DaskProfile(kind="local", workers=workers))
    await engine.start()
    try:
        yield Night(engine, catalogue, raw)
    finally:
        await engine.stop()
        catalogue.close()


async def test_a_night_in_the_worst_order_ends_as_it_should(tmp_path, small_night):
    before = {
        p: hashlib.sha256(p.read_bytes()).hexdigest()
        for group in small_night.values()
        for p in group
    }
    async with begun(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path) as night:
        # Science first: reduced and extracted at once, without anything.
        night.place(small_night["spectrum"])
        await night.rest()
        (raw,) = night.raws("spectrum")
        assert raw.state == "waiting"
        assert raw.waits_for.startswith("No arc for Red 2x2 400_SYZY 400_M1")
        (first,) = night.products(2, "spectrum")
        assert first.provisional
        assert len(night.products(3, "spectrum")) == 1

        # Its arc completes it, still provisional.
        night.place(small_night["arc"])
        await night.rest()
        (raw,) = night.raws("spectrum")
        assert (raw.state, raw.provisional) == ("done", True)
        assert "master bias" in raw.waits_for
        assert len(night.products(4, "spectrum")) >= 1

        # Two bias frames are not ten.
        night.place(small_night["bias"][:2])
        await night.rest()
        assert {frame.state for frame in night.raws("bias")} == {"waiting"}
        assert all("2 of 10 bias" in frame.waits_for for frame in night.raws("bias"))
        assert night.jobs("build_master_bias") == []

        # The minimum makes masters, and they make what was provisional final.
        night.place([*small_night["bias"][2:10], *small_night["flat"]])
        await night.rest()
        assert len(night.products(1, "bias")) == len(night.products(1, "flat")) == 1
        (raw,) = night.raws("spectrum")
        assert (raw.state, raw.provisional, raw.waits_for) == ("done", False, "")
        (final,) = night.products(2, "spectrum")
        assert not final.provisional
        assert final.id != first.id
        assert set(night.inputs(final)) == {"raw", "bias", "flat"}
        (spectrum,) = [f for f in night.products(4, "spectrum") if f.role == ""]
        assert not spectrum.provisional
        wave = read_spectrum(spectrum.path).wavelength
        assert np.all(np.diff(wave) > 0)
        assert 2900 < wave[0] < 3200
        assert 6900 < wave[-1] < 7200

        # One more bias: one master more, and each of its dependants once more.
        counts = {block: len(night.jobs(block)) for block in ("reduce", "build_master_bias")}
        night.place(small_night["bias"][10:])
        await night.rest()
        assert len(night.jobs("build_master_bias")) == counts["build_master_bias"] + 1
        assert len(night.products(1, "bias")) == 1
        assert night.products(1, "bias")[0].version > 1
        (reduced,) = night.products(2, "spectrum")
        assert night.inputs(reduced)["bias"] == night.products(1, "bias")[0].file_name

        # Another proposal's target does not use this arc: it says what it lacks.
        night.place(small_night["lonely"])
        await night.rest()
        lonely = night.raws("spectrum")[-1]
        assert lonely.state == "waiting"
        assert "arc" in lonely.waits_for

        states = {job.state for job in night.jobs("reduce") + night.jobs("extract")}
        assert states <= {"done", "cancelled"}
        with night.catalogue.read() as session:
            ids = session.scalars(select(Event.id).order_by(Event.id)).all()
            told = session.scalars(
                select(Event.frame_id).where(Event.kind == "product.made")
            ).all()
            made = session.scalars(select(Frame.id).where(Frame.data_type > 0)).all()
            hashes = session.scalars(select(Frame).where(Frame.data_type > 0)).all()
        assert len(ids) == len(set(ids))
        assert set(told) == set(made)
        for frame in hashes:
            assert hashlib.sha256(frame.path.read_bytes()).hexdigest() == frame.checksum
        for path, digest in before.items():
            assert hashlib.sha256((night.raw / path.name).read_bytes()).hexdigest() == digest


async def test_settings_of_a_proposal_shape_its_products(tmp_path, small_night):
    url = f"sqlite:///{tmp_path}/goodman.sqlite"
    migrate(url)
    catalogue = Catalogue(url)
    with catalogue.write() as session:
        session.add(
            Proposal(
                soar_id="SOAR2026B-001",
                title="SN",
                settings={"cosmic_method": "none", "extraction": "fractional"},
            )
        )
    catalogue.close()
    async with begun(url, tmp_path) as night:
        night.place([*small_night["spectrum"], *small_night["lonely"]])
        await night.rest()
        kept = {frame.proposal_id: frame.settings for frame in night.products(3, "spectrum")}
    assert kept["SOAR2026B-001"]["extraction"] == "fractional"
    assert kept["SOAR2026B-001"]["cosmic_method"] == "none"
    assert kept["SOAR2026B-002"]["extraction"] == "optimal"


async def test_masters_of_an_older_night_serve_until_tonights_are_there(tmp_path, small_night):
    async with begun(f"sqlite:///{tmp_path}/goodman.sqlite", tmp_path) as night:
        night.place(small_night["bias"][:10])
        await night.rest()
        # The bias frames were taken the night before.
        with night.catalogue.write() as session:
            for frame in session.scalars(select(Frame)):
                frame.night = "20260814"
        night.place(small_night["spectrum"])
        await night.rest()
        (raw,) = night.raws("spectrum")
        (reduced,) = night.products(2, "spectrum")
        assert "bias" in night.inputs(reduced)
        assert reduced.provisional
        assert raw.state == "waiting"


def proposal(url, **settings):
    migrate(url)
    catalogue = Catalogue(url)
    with catalogue.write() as session:
        session.add(Proposal(soar_id="SOAR2026B-001", title="SN", settings=settings))
    catalogue.close()


async def test_a_proposal_that_is_content_with_fewer_frames_gets_its_masters(
    tmp_path, small_night
):
    url = f"sqlite:///{tmp_path}/goodman.sqlite"
    proposal(url, minimum_bias=3, flat_normalisation="mean", minimum_flats=2)
    async with begun(url, tmp_path) as night:
        night.place([*small_night["bias"][:4], *small_night["flat"][:2]])
        await night.rest()
        assert night.jobs("build_master_bias") == []  # nobody who observes is content with it
        night.place(small_night["spectrum"])
        await night.rest()
        (bias,), (flat,) = night.products(1, "bias"), night.products(1, "flat")
        for master, name in ((bias, "BIAS"), (flat, "FLAT")):
            # Everybody sees it, and not the frames that it is made of.
            whose = master.proposal_id, master.object_name, master.observation_id, master.block_id
            assert whose == ("calibrate", name, None, None)
            where = master.obsra, master.obsdec, master.ra_deg, master.dec_deg, master.airmass
            assert where == ("", "", None, None, None)
        (reduced,) = night.products(2, "spectrum")
        made_of = night.inputs(reduced)
        # The master is shared as it is; this proposal's own way is taken from the counts.
        assert flat.settings["flat_normalisation"] == "simple"
        assert made_of["bias"] == bias.file_name
        assert made_of["flat"] == flat.file_name.removeprefix("norm_")
        assert getheader(reduced.path)["GSP_NORM"] == "mean"
        assert {frame.state for frame in night.raws("bias")} == {"done"}


async def test_a_proposal_that_asks_for_more_frames_waits_for_a_master_of_them(
    tmp_path, small_night
):
    url = f"sqlite:///{tmp_path}/goodman.sqlite"
    proposal(url, minimum_bias=4, ignore_flats=True)
    catalogue = Catalogue(url)
    with catalogue.write() as session:
        session.add(Proposal(soar_id="calibrate", title="", settings={"minimum_bias": 3}))
    catalogue.close()
    async with begun(url, tmp_path) as night:
        night.place(small_night["bias"][:3])
        await night.rest()
        assert len(night.products(1, "bias")) == 1
        night.place(small_night["spectrum"])
        await night.rest()
        (reduced,) = night.products(2, "spectrum")
        assert "bias" not in night.inputs(reduced)
        assert reduced.provisional
        said = " ".join(night.jobs("reduce")[-1].spec["reasons"]["bias"])
        assert "1 of fewer frames than the 4 that are asked for" in said
        night.place(small_night["bias"][3:4])
        await night.rest()
        (master,), (reduced,) = night.products(1, "bias"), night.products(2, "spectrum")
        assert master.quality["frames"] == 4
        assert night.inputs(reduced)["bias"] == master.file_name
