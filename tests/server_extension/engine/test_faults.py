"""Workers that die, services that end, equal work, cancelling: on real worker processes."""

import asyncio
import os
import signal
from contextlib import aclosing

import pytest
from distributed import Client
from distributed.security import Security
from sqlalchemy import select

from goodman_live.pipeline.core.errors import SettingsError
from goodman_live.server_extension.catalogue.errors import ConflictError, NotFoundError
from goodman_live.server_extension.catalogue.models import Event, Frame
from goodman_live.server_extension.catalogue.viewer import LOCAL_OWNER, Viewer
from goodman_live.server_extension.engine import runner
from goodman_live.server_extension.engine.jobs import MOST_TRIES


async def test_a_job_makes_a_product_and_says_so(live):
    frame = live.add_frame("a.fits")
    stream = live.engine.events.subscribe(LOCAL_OWNER, 0)
    job = await live.engine.submit("works", frame)
    done = await live.until(job.id, "done", "failed")
    assert done.state == "done", done.error
    assert done.progress == 1.0
    with live.catalogue.read() as session:
        (product,) = session.scalars(select(Frame).where(Frame.data_type == 2))
        assert product.path.is_file()
        assert [(row.role, row.file_name) for row in product.inputs] == [("raw", "a.fits")]
        assert product.original_file_id == frame
    kinds = []
    async with aclosing(stream):
        async for event in stream:
            if event is None:
                break
            kinds.append(event.kind)
    assert [kind for kind in kinds if kind != "frame.state"][-2:] == [
        "product.made",
        "job.changed",
    ]


async def test_equal_work_is_done_once_and_other_settings_make_a_version(live):
    frame = live.add_frame("a.fits")
    jobs = await asyncio.gather(*(live.engine.submit("works", frame) for _ in range(5)))
    assert len({job.id for job in jobs}) == 1
    await live.until(jobs[0].id, "done")
    assert (await live.engine.submit("works", frame)).id == jobs[0].id
    other = await live.engine.submit("works", frame, overrides={"max_targets": 1})
    assert other.id != jobs[0].id
    await live.until(other.id, "done")
    with live.catalogue.read() as session:
        made = session.scalars(
            select(Frame).where(Frame.data_type == 2).order_by(Frame.version)
        ).all()
        assert [(row.version, row.is_current) for row in made] == [(1, False), (2, True)]
        assert all(row.path.is_file() for row in made)


async def test_a_poison_frame_is_set_aside_with_its_traceback_and_the_rest_goes_on(live):
    poison = await live.engine.submit("dies", live.add_frame("poison.fits"))
    others = [await live.engine.submit("works", live.add_frame(f"{n}.fits")) for n in range(3)]
    job = await live.until(poison.id, "failed")
    assert job.tries == MOST_TRIES
    assert job.error["code"] == "killed_worker"
    assert "in dies" in job.error["traceback"]
    for other in others:
        # A worker that is just being replaced may take one of them along, not more.
        assert (await live.until(other.id, "done", "failed")).state == "done"


async def test_a_job_whose_worker_is_killed_runs_again(live):
    job = await live.engine.submit("sleeps", live.add_frame("a.fits"))
    mark = live.folder / "raw" / "a.pid"
    await live.until_written(mark)
    os.kill(int(mark.read_text()), signal.SIGKILL)
    done = await live.until(job.id, "done", "failed")
    assert (done.state, done.tries) == ("done", 2)


async def test_a_service_that_ended_goes_on_where_it_was(site):
    await site.start()
    running = await site.engine.submit("sleeps", site.add_frame("a.fits"))
    queued = await site.engine.submit("works", site.add_frame("b.fits"))
    mark = site.folder / "raw" / "a.pid"
    await site.until_written(mark)
    await site.engine.stop()
    assert (site.job(running.id).state, site.job(queued.id).state) == ("running", "queued")
    await site.start()
    try:
        for job in (running, queued):
            done = await site.until(job.id, "done", "failed")
            assert (done.state, done.tries) == ("done", 1)
    finally:
        await site.engine.stop()


async def test_what_was_asked_for_last_is_current_whichever_ends_last(site):
    await site.start(workers=2)
    try:
        frame = site.add_frame("a.fits")
        jobs = [
            await site.engine.submit("waits", frame, overrides={"max_targets": n}) for n in (1, 2)
        ]
        raw = site.folder / "raw"
        for number in (1, 2):
            await site.until_written(raw / f"a.{number}.begun")
        for number, job in ((2, jobs[1]), (1, jobs[0])):
            (raw / f"a.{number}").touch()
            await site.until(job.id, "done")
        assert site.current_jobs() == [jobs[1].id]
        # Asked for anew it is the latest wish, without another run.
        again = await site.engine.submit("waits", frame, overrides={"max_targets": 1})
        assert (again.id, site.current_jobs()) == (jobs[0].id, [jobs[0].id])
    finally:
        await site.engine.stop()


async def test_a_running_job_is_cancelled_with_its_worker(live):
    job = await live.engine.submit("sleeps", live.add_frame("a.fits"))
    mark = live.folder / "raw" / "a.pid"
    await live.until_written(mark)
    await live.engine.cancel(job.id)
    assert live.job(job.id).state == "cancelled"
    with pytest.raises(ConflictError):
        await live.engine.cancel(job.id)
    other = await live.engine.submit("works", live.add_frame("b.fits"))
    await live.until(other.id, "done")
    again = await live.engine.retry(job.id)
    assert again.id == job.id
    await live.until(job.id, "done")


async def test_a_known_error_fails_at_once_and_is_told(live):
    job = await live.engine.submit("raises", live.add_frame("a.fits"))
    failed = await live.until(job.id, "failed")
    assert failed.tries == 1
    assert failed.error["code"] == "no_target"
    assert failed.error["remedy"] == "Place an aperture."


async def test_a_stranger_may_not_ask(live):
    frame = live.add_frame("a.fits")
    with pytest.raises(NotFoundError):
        await live.engine.submit("works", frame, user=Viewer(99, "stranger"))
    with pytest.raises(SettingsError):
        await live.engine.submit("works", frame, overrides={"max_targets": -1})
    with pytest.raises(SettingsError):
        await live.engine.submit("os.system", frame)


@pytest.mark.filterwarnings("default")
async def test_nobody_without_our_certificate_reaches_the_cluster(live):
    address = live.engine.cluster.client.scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    with pytest.raises((OSError, TimeoutError)):
        await Client(address.replace("tls", "tcp"), asynchronous=True, timeout=3)
    stranger = Security.temporary()
    with pytest.raises((OSError, TimeoutError)):
        await Client(address, security=stranger, asynchronous=True, timeout=3)


async def test_the_steps_of_a_block_are_told_meanwhile_and_kept_in_the_log(live):
    job = await live.engine.submit("tells", live.add_frame("a.fits"))
    for _ in range(1200):
        if live.job(job.id).progress > 0.5:
            break
        await asyncio.sleep(0.1)
    running = live.job(job.id)
    assert (running.state, running.progress) == ("running", 0.05 + 0.95 * 0.5)
    assert running.worker.startswith("tls://")
    (live.folder / "raw" / "a.on").touch()
    done = await live.until(job.id, "done", "failed")
    assert [line.message for line in done.log][:3] == ["One.", "Two.", "Done."]
    with live.catalogue.read() as session:
        told = session.scalars(select(Event).where(Event.job_id == job.id).order_by(Event.id))
        progress = [event.data["progress"] for event in told if event.kind == "job.changed"]
    assert progress == sorted(progress)
    assert running.progress in progress


async def test_a_cluster_whose_workers_are_gone_for_good_is_started_anew(live, monkeypatch):
    monkeypatch.setattr(runner, "WITHOUT_S", 0.5)
    await live.engine.cluster._local.scale(0)  # their nannies end too: nobody starts another
    job = await live.engine.submit("works", live.add_frame("a.fits"))
    assert (await live.until(job.id, "done", "failed")).state == "done"


async def test_a_stop_at_the_moment_of_a_kick_ends(live):
    taker = live.engine._runner
    for _ in range(20):
        await asyncio.sleep(0)  # it waits for a kick
    taker.kick()
    async with asyncio.timeout(60):
        await taker.stop()
    assert taker._loop_task.done()
