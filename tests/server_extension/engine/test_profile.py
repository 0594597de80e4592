"""The profiles, their schema and the model that reads them say the same."""

import json

import jsonschema
import pytest
import yaml

from goodman_live.pipeline.core.errors import SettingsError
from goodman_live.server_extension.engine.profile import load_profile
from goodman_live.server_extension.engine.schema import profile_schema


def test_the_schema_is_the_models(project):
    kept = json.loads((project / "dask_config" / "profile.schema.json").read_text())
    assert kept == profile_schema()


@pytest.mark.parametrize("name", ["local", "scheduler", "gateway"])
def test_profiles_follow_the_schema(project, name):
    values = yaml.safe_load((project / "dask_config" / f"{name}.yaml").read_text())
    jsonschema.validate(values, profile_schema())
    assert load_profile(name).kind == name


@pytest.mark.parametrize(
    "text",
    [
        "kind: local\nworkers: 0",
        "kind: scheduler",
        "kind: scheduler\naddress: tcp://a:1",
        "kind: [",
        "x: 1",
    ],
)
def test_what_does_not_follow_it_is_refused(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError):
        load_profile(str(path))


def test_an_unknown_name_lists_the_known(project):
    with pytest.raises(SettingsError, match="gateway, local, scheduler"):
        load_profile("nowhere")
