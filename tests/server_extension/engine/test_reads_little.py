"""What the engine asks of a large catalogue reads little of it, whatever SQLite's statistics say.

Counted in steps of SQLite's machine, not in seconds: one pass over the catalogue below takes
sixteen thousand at least.
"""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, insert, text

from goodman_live.pipeline.core.info import Kind
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Frame, Job
from goodman_live.server_extension.engine import fluxes, jobs, pointing, products, triggers
from goodman_live.server_extension.engine.drafts import next_version, sticky
from goodman_live.server_extension.engine.engine import plan_frames
from goodman_live.server_extension.engine.remembered import remembered
from goodman_live.server_extension.intake.arrivals import without_checksum

ROWS = 4000
NIGHTS = 100
BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
KINDS = ("bias", "flat", "arc", "spectrum", "image")
MOST = 5_000
"""Steps of one statement: the planner looks at a night and at its neighbours in time."""
STEP = 100


def raw(number):
    at = BEGAN + timedelta(hours=24 * NIGHTS * number / ROWS)
    return {
        "file_name": f"{number}.fits", "directory_name": f"/raw/{at:%Y%m%d}", "camera": "Red",
        "kind": KINDS[number % 5], "night": f"{at:%Y%m%d}", "start": at, "mid": at,
        "date": at.date(), "checksum": f"{number:064x}", "state": "done", "grating": "400_SYZY",
        "object_name": "target", "proposal_id": "A", "technique": "Spectroscopy",
        "quality": {}, "settings": {}, "versions": {}, "timing": {}, "messages": [],
    }  # fmt: skip


@pytest.fixture(scope="module", params=["none", "of raw frames", "of a young catalogue"])
def archive(request, tmp_path_factory):
    """Give a catalogue, with statistics of another time or none."""
    url = f"sqlite:///{tmp_path_factory.mktemp('archive')}/goodman.sqlite"
    migrate(url)
    catalogue = Catalogue(url)
    rows = [raw(number) for number in range(ROWS)]
    with catalogue.write() as session:
        session.execute(insert(Frame), rows[:10])
        if request.param == "of a young catalogue":
            session.execute(text("ANALYZE"))
        session.execute(insert(Frame), rows[10:])
        if request.param == "of raw frames":
            session.execute(text("ANALYZE"))
    with catalogue.write() as session:
        job = Job(block="extract", frame_id=1, original_id=1, key="k", proposal_id="A")
        session.add(job)
        session.flush()
        for data_type in (2, 3, 4):
            values = {**raw(ROWS // 2), "data_type": data_type, "file_name": f"{data_type}.fits"}
            session.add(Frame(**values, original_id=ROWS // 2, parent_id=1, job_id=job.id))
    catalogue.close()
    if request.param == "of a young catalogue":
        migrate(url)  # as a service does that starts: without it the whole is read
    catalogue = Catalogue(url)
    yield catalogue
    catalogue.close()


@pytest.fixture
def steps(archive):
    """Give the steps of each statement, by its text."""
    taken = {}
    under_way = ["", 0]

    def tick():
        # Rows are read when they are fetched: until the next statement all steps are of this one.
        under_way[1] += STEP
        statement, so_far = under_way
        taken[statement] = max(so_far, taken.get(statement, 0))
        return 0

    def before(connection, _cursor, statement, *_):
        under_way[:] = [statement, 0]
        taken.setdefault(statement, 0)
        connection.connection.dbapi_connection.set_progress_handler(tick, STEP)

    event.listen(archive.engine, "before_cursor_execute", before)
    yield taken
    event.remove(archive.engine, "before_cursor_execute", before)


def of_kind(session, kind):
    return session.get(
        Frame, next(n for n in range(ROWS // 2, ROWS) if raw(n - 1)["kind"] == kind)
    )


def made(**values):
    usual = {"camera": "Red", "xbin": 1, "ybin": 1, "night": "20200210", "grating": "400_SYZY"}
    kept = {"id": ROWS + 9, "role": "", "quality": {"slit_seen": True}}
    return Frame(**{**usual, **kept, **values})


def supersede(session, block):
    job = Job(block=block, group="a group", spec={})
    products._supersede(session, job, [session.get(Frame, ROWS + 2)])


QUESTIONS = {
    **{
        f"plan {kind}": lambda s, root, kind=kind: plan_frames(s, [of_kind(s, kind).id], root)
        for kind in KINDS
    },
    "a master came": lambda s, _: triggers.touched_by(s, made(data_type=1, kind=Kind.BIAS.value)),
    "an arc came": lambda s, _: triggers.touched_by(s, made(data_type=2, kind=Kind.ARC.value)),
    "a slit was seen": lambda s, _: pointing.helped_by(s, made(role="acquisition", data_type=2)),
    "a standard came": lambda s, _: fluxes.served_by(s, made(role=fluxes.ROLE, data_type=1)),
    "the slit": lambda s, _: pointing._slit_image(s, of_kind(s, "image")),
    "its arc": lambda s, _: triggers._arc_on_its_way(s, of_kind(s, "spectrum")),
    "asked for": lambda s, _: remembered(s, of_kind(s, "spectrum")),
    "wishes": lambda s, _: sticky(s, of_kind(s, "spectrum"), 3),
    "version": lambda s, _: next_version(s, ROWS // 2, 3, 1),
    "what it made": lambda s, _: jobs.products_of(s, s.get(Job, 1)),
    "is it due": lambda s, _: triggers.master_is_due(s, of_kind(s, "bias")),
    "a restart": lambda s, _: (triggers.unsettled(s), jobs.resume(s), without_checksum(s)),
    "a focus run": lambda s, _: supersede(s, "measure_focus"),
    "a new master": lambda s, _: supersede(s, "build_master_bias"),
    "deleted": lambda s, _: products.remove_product(s, s.get(Frame, ROWS + 3)),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_reads_little(archive, steps, tmp_path, question):
    with archive.stepwise() as session:
        QUESTIONS[question](session, tmp_path)
        session.flush()
        session.rollback()
    assert steps
    slow = {statement: taken for statement, taken in steps.items() if taken > MOST}
    assert not slow, slow
