"""The example notebooks, run as a person runs them: in a kernel, against the running system."""

import os
import shutil
import time

import httpx
import nbformat
import pytest
from nbclient import NotebookClient

ACCESS = "access:services!service=goodman"
ON_THE_SERVICE = ("night_as_table", "extract_again", "line_strength")


@pytest.fixture(scope="module")
def told(live, sign_in):
    """Return what the environment of a user's own server says, once there is a spectrum."""
    client = sign_in("nightstaff")
    answer = client.post(
        "/hub/api/users/nightstaff/tokens",
        json={"note": "notebooks", "scopes": [ACCESS]},
        headers={"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/")},
    )
    token = answer.json()["token"]
    headers = {"Authorization": f"Token {token}"}
    wanted = {"data_type": "4", "obstype": "SPECTRUM", "current": "true"}
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        page = httpx.get(f"{live.api}/files/", params=wanted, headers=headers, timeout=60)
        if page.json()["count"]:
            return {
                "GOODMAN_API_URL": live.api.removesuffix("/api"),
                "JUPYTERHUB_API_TOKEN": token,
            }
        time.sleep(1)
    pytest.fail(f"no calibrated spectrum came: {live.root}")


def run(path, folder, environment):
    """Run a notebook in `folder`; return all that it printed and showed."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), "committed without outputs"
    client = NotebookClient(
        notebook,
        timeout=400,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, **environment})
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    texts = [str(out.get("text") or out.get("data", {}).get("text/plain", "")) for out in outputs]
    kinds = {kind for out in outputs for kind in out.get("data", {})}
    return "\n".join(texts), kinds


@pytest.mark.parametrize("name", ON_THE_SERVICE)
def test_an_example_runs_where_nothing_is_given(project, tmp_path, told, name):
    path = project / "notebooks" / "examples" / f"{name}.ipynb"
    text, kinds = run(path, tmp_path, told)
    if name == "night_as_table":
        assert (tmp_path / "night.ecsv").stat().st_size
        assert "files in the night" in text
    elif name == "extract_again":
        assert "fractional   median S/N" in text
        assert "image/png" in kinds
    else:
        assert "chi-squared" in text
        assert "nan" not in text.partition("mean")[2]


@pytest.mark.slow
def test_the_pipeline_is_used_without_a_server(project, tmp_path, night_dir):
    raw = tmp_path / "raw"
    raw.mkdir()
    chosen = sorted(night_dir.glob("*.fits"))
    # Enough for one spectrum: it and its lamp, some bias frames and flats.
    spectrum = next(path for path in chosen if "LTT7379" in path.name and "comp" not in path.name)
    lamp = next(path for path in chosen if "LTT7379" in path.name and "comp" in path.name)
    for path in [*chosen[:3], *chosen[10:13], spectrum, lamp]:
        shutil.copy(path, raw)
    text, _ = run(
        project / "notebooks" / "examples" / "own_folder.ipynb",
        tmp_path,
        {"GOODMAN_RAW": str(raw), "GOODMAN_API_URL": "", "JUPYTERHUB_API_TOKEN": ""},
    )
    assert "Angstrom in air" in text
    assert "Spectrum" in text


def test_every_example_is_tested(project):
    there = {path.stem for path in (project / "notebooks" / "examples").glob("*.ipynb")}
    assert there == {*ON_THE_SERVICE, "own_folder"}
