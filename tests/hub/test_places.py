"""Where the project's own files are looked for, in a source tree and as installed."""

import tomllib
from pathlib import Path

from goodman_live.hub import places
from goodman_live.server_extension.engine import profile


def test_a_source_tree_has_the_template_where_jupyter_looks_without_writing_there(project):
    link = places.jupyter_path() / "voila" / "templates" / "goodman"
    assert link.is_symlink()
    assert not link.readlink().is_absolute(), "a copy of the tree would point to the old one"
    assert link.resolve() == (project / "widgets" / "template" / "goodman").resolve()


def test_a_wheel_brings_what_is_looked_for(project, monkeypatch):
    built = tomllib.loads((project / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    shared = built["targets"]["wheel"]["shared-data"]
    assert [name for name in shared if not (project / name).exists()] == []
    brought = {Path(target).name for target in shared.values()}
    monkeypatch.setattr(places, "source_tree", lambda: None)
    monkeypatch.setattr(profile, "source_tree", lambda: None)
    for folder in (places.notebooks(), places.hub_config(), profile.config_folder()):
        assert folder.parent == places.SHARE
        assert folder.name in brought
