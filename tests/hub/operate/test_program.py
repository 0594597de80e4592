"""`goodman-live doctor` on the program: others can run it and none but root change it."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from goodman_live.hub.operate import environment
from goodman_live.hub.operate.findings import Level

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts it as others")

SEVERAL = {"GOODMAN_SERVICE_USER": "nobody"}


@pytest.fixture
def tree(monkeypatch):
    """Return a folder that stands for the program's, in one that every account may pass."""
    made = Path(tempfile.mkdtemp(prefix="goodman-program-"))
    made.chmod(0o755)
    (made / "bin").mkdir(mode=0o755)
    (made / "bin" / "python").symlink_to("/bin/true")
    (made / "code.py").write_text("pass")
    monkeypatch.setattr(environment.places, "source_tree", lambda: made)
    monkeypatch.setattr(sys, "prefix", str(made))
    monkeypatch.setattr(sys, "executable", str(made / "bin" / "python"))
    yield made
    shutil.rmtree(made)


def told(environ=None):
    return {one.what: one.level for one in environment.program(SEVERAL | (environ or {}))}


def test_a_sound_one(tree):
    assert set(told().values()) == {Level.OK}
    assert told({"GOODMAN_ONE_OS_USER": "1"}) == {}
    assert told({"GOODMAN_SERVICE_USER": "no-such"}) == {}


def test_one_that_others_cannot_run(tree):
    (tree / "bin").chmod(0o700)
    assert f"nobody cannot run {tree}/bin/python" in next(iter(told()))


@pytest.mark.parametrize("where", ["code.py", "bin", "."])
def test_one_that_others_can_change(tree, where):
    found = tree / where
    before = found.stat().st_mode
    found.chmod(before | 0o002)
    assert told()[f"Other accounts can change {found}."] is Level.ERROR
    found.chmod(before)
    shutil.chown(found, "nobody")
    assert told()[f"Other accounts can change {found}."] is Level.ERROR


def test_what_the_service_must_read(tree, tmp_path):
    secret = tmp_path / "pgpass"
    secret.write_text("secret")
    secret.chmod(0o600)
    profile = tmp_path / "dask.yaml"
    profile.write_text(
        "kind: scheduler\naddress: tls://dask.example.org:8786\n"
        f"tls: {{ca_file: {secret}, cert: {secret}, key: {secret}}}\n"
    )
    for environ in ({"PGPASSFILE": str(secret)}, {"GOODMAN_DASK": str(profile)}):
        assert told(environ)[f"nobody cannot read {secret}."] is Level.ERROR
    public = tree / "code.py"
    assert set(told({"GOODMAN_STARS": str(public)}).values()) == {Level.OK}
