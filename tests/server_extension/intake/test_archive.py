"""``goodman-live intake``: a whole archive into the catalogue, once."""

import asyncio
import hashlib

import pytest
from click.testing import CliRunner

from goodman_live.pipeline.cli import main
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.catalogue.models import Arrival, Frame
from goodman_live.server_extension.intake import examine
from goodman_live.server_extension.intake_command import rejected, take_archive


@pytest.fixture
def archive(tmp_path, raw_frame, monkeypatch):
    monkeypatch.setattr(examine, "PATIENCE_S", 0.1)
    folder = tmp_path / "archive"
    for number in range(60):
        night = f"2026081{number % 3}"
        raw_frame(folder / night / "RAW" / f"{number:04d}.fits", seed=number)
    (folder / "broken.fits").write_bytes(b"SIMPLE  = ")
    (folder / "notes.txt").write_text("no frame")
    return folder


def contents(folder):
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*.fits")}


async def test_an_archive_is_listed_once_and_left_alone(database_url, archive, tmp_path):
    migrate(database_url)
    catalogue = Catalogue(database_url)
    before, steps = contents(archive), []
    assert (
        await take_archive(catalogue, archive, tmp_path / "p", lambda *at: steps.append(at)) == 61
    )
    assert steps[-1] == (61, 61)
    with catalogue.read() as session:
        frames = session.query(Frame).all()
        assert len(frames) == 60
        # As of a backlog: whoever watches reads the checksums and plans.
        assert {(frame.state, frame.checksum) for frame in frames} == {("new", None)}
        assert session.query(Arrival).filter_by(state="taken").count() == 60
    ((path, reason),) = rejected(catalogue, archive)
    assert path.endswith("broken.fits")
    assert "broken.fits" in reason
    assert await take_archive(catalogue, archive, tmp_path / "p") == 0
    assert contents(archive) == before
    catalogue.close()


def test_the_command_and_then_the_service(intake, archive, monkeypatch):
    """What the command has listed is completed by an intake that watches, wherever it lies."""
    monkeypatch.setenv("GOODMAN_DATABASE", str(intake.catalogue.engine.url))
    if intake.catalogue.dialect != "sqlite":
        url = intake.catalogue.engine.url.render_as_string(hide_password=False)
        monkeypatch.setenv("GOODMAN_DATABASE", url)
    told = CliRunner().invoke(main, ["intake", str(archive)])
    assert told.exit_code == 0, told.output
    assert "61 files were new or changed; 1 below" in told.output
    assert "broken.fits" in told.output

    async def watch():
        await intake.intake._add_checksums()

    asyncio.run(watch())
    assert len(intake.taken) == 60
    assert all(frame.checksum for frame in intake.frames())
