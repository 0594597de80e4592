"""Processes that die in the middle of a night: worker, service, scheduler, database.

Each night ends as one that nobody disturbed: data, headers and rows, less what `whole_night`
names. All is real: processes, signal 9, certificates, PostgreSQL.
"""

import signal
import sys
import time

import psutil
import pytest
from distributed.security import Security
from sqlalchemy import select

from goodman_live.server_extension.catalogue.models import Job
from tests.conftest import PostgresServer

from .whole_night import assert_equal

pytestmark = pytest.mark.slow


def test_a_service_that_is_killed_again_and_again(begin, frames, undisturbed):
    night = begin("killed")
    night.start()
    night.place(frames)
    for number in (1, 3, 6):
        night.until(f"{number} jobs done", lambda n=number: night.jobs("done") >= n)
        night.kill()
        night.start()
    night.rest()
    night.check_files(frames)
    assert_equal(night.state(), undisturbed)


def test_workers_that_are_killed_in_the_middle_of_a_block(begin, frames, undisturbed):
    night = begin("workers")
    night.start()
    night.place(frames)
    for block in ("build_master_flat", "reduce", "extract"):
        night.until(f"inside {block}", lambda name=block: _caught(night, name), pause_s=0.01)
        for worker in night.workers():
            worker.kill()
    night.rest()
    assert night.count(Job, Job.tries > 1) >= 3
    night.check_files(frames)
    assert_equal(night.state(), undisturbed)
    night.restart()
    assert_equal(night.state(), undisturbed)


def _caught(night, block):
    """Halt the workers; keep them so if that was in the middle of a block, in its first try."""
    inside = (Job.state == "running", Job.block == block, Job.worker != "", Job.tries == 1)
    if not night.count(Job, *inside):
        return False
    workers = night.workers()
    for worker in workers:
        worker.suspend()
    time.sleep(0.5)  # what was told before the halt arrives
    if night.count(Job, *inside):
        return True
    for worker in workers:
        worker.resume()
    return False


@pytest.fixture
def scheduler_of(free_port):
    """Start a scheduler and two workers as processes of a night, with certificates."""

    def start(night):
        security, port = Security.temporary(), free_port()
        files = {
            "ca-file": security.tls_ca_file,
            "cert": security.tls_client_cert,
            "key": security.tls_client_key,
        }
        paths = {name: night.folder / f"{name}.pem" for name in files}
        for name, content in files.items():
            paths[name].write_text(content)
        address = f"tls://127.0.0.1:{port}"
        lines = [f"  {name.replace('-', '_')}: {path}\n" for name, path in paths.items()]
        text = f"kind: scheduler\naddress: {address}\ntls:\n{''.join(lines)}"
        (night.folder / "profile.yaml").write_text(text)
        tls = [part for name, path in paths.items() for part in (f"--tls-{name}", path)]
        dask = [sys.executable, "-m", "dask"]

        def begin_scheduler():
            place = ["--host", "127.0.0.1", "--port", port, "--no-dashboard", "--protocol", "tls"]
            night.start("scheduler", [*dask, "scheduler", *place, *tls])

        def begin_workers():
            for number in (1, 2):
                how = ["--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
                night.start(f"worker-{number}", [*dask, "worker", address, *how, *tls])

        return begin_scheduler, begin_workers

    return start


def test_a_scheduler_elsewhere_is_killed_and_started_again(
    begin, frames, undisturbed, scheduler_of
):
    night = begin("scheduler")
    begin_scheduler, begin_workers = scheduler_of(night)
    begin_scheduler()
    begin_workers()
    night.start()
    night.place(frames)
    night.until("under way", lambda: night.jobs("done") >= 2 and night.jobs("running") >= 1)
    night.kill("scheduler")
    begin_scheduler()
    for name in ("worker-1", "worker-2"):
        # As whatever keeps them running does: a worker that lost its scheduler ends.
        if night.processes[name].poll() is None:
            night.kill(name)
    begin_workers()
    night.rest()
    with night.catalogue.read() as session:
        ran_on = set(session.scalars(select(Job.worker).where(Job.worker != "")))
    assert len(ran_on) >= 2
    night.check_files(frames)
    assert_equal(night.state(), undisturbed)
    night.restart()
    assert_equal(night.state(), undisturbed)


@pytest.fixture
def database():
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarts", "crashes"])
def test_a_database_that_goes_away_and_comes_back(begin, frames, undisturbed, database, how):
    night = begin("database", database.url)
    night.start()
    night.place(frames)
    for number in (1, 4):
        night.until(f"{number} jobs done", lambda n=number: night.jobs("done") >= n)
        database.stop(how)
        night.catalogue.engine.dispose()
        night.until("noticed", lambda: "database.away" in night.log())
        database.start(fsync="on")
    night.rest()
    assert psutil.pid_exists(night.processes["service"].pid)
    night.check_files(frames)
    assert_equal(night.state(), undisturbed)
    night.restart()
    assert_equal(night.state(), undisturbed)
