"""The local cluster imports nothing that another account has laid in its way."""

import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from goodman_live.server_extension.engine.cluster import Cluster
from goodman_live.server_extension.engine.profile import DaskProfile

PLANTED = "planted_by_another_account"


def found():
    """Tell whether this process would import what was planted, and where it looks first."""
    return find_spec(PLANTED) is not None, sys.path[0]


async def test_a_folder_that_others_made_before_is_not_searched(tmp_path, monkeypatch):
    # Dask's usual place: in /tmp, of a name that all know, on the search path of its processes.
    usual = tmp_path / "dask-scratch-space"
    usual.mkdir(mode=0o777)
    (usual / f"{PLANTED}.py").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = [*sys.path]
    cluster = Cluster(DaskProfile(kind="local", workers=1))
    await cluster.start()
    try:
        [(told, first)] = (await cluster.client.run(found)).values()
        assert not told
        assert not found()[0]
        for name in {first, *sys.path} - {*before}:
            [own] = [one for one in Path(name).parents if one.parent == tmp_path]
            assert own != usual
            assert own.stat().st_mode & 0o777 == 0o700
    finally:
        await cluster.stop()
    assert {path.name for path in tmp_path.iterdir()} == {usual.name}
