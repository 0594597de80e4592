"""*Open in notebook*: what is written makes the same product again, to the last pixel."""

import asyncio
import json

import httpx
import nbformat
import pytest

from goodman_live.widgets.client import Address, AsyncClient
from goodman_live.widgets.pages.open_notebook import write_notebook
from tests.docs.test_example_notebooks import run, told

__all__ = ["told"]  # a fixture


def newest(live, told, kind):
    headers = {"Authorization": f"Token {told['JUPYTERHUB_API_TOKEN']}"}
    wanted = {"data_type": kind, "obstype": "SPECTRUM", "current": "true", "page_size": 50}
    answer = httpx.get(f"{live.api}/files/", params=wanted, headers=headers, timeout=60)
    return next(row for row in answer.json()["results"] if not row["role"])


def write(told, file, home):
    async def work():
        address = Address(told["GOODMAN_API_URL"] + "/", told["JUPYTERHUB_API_TOKEN"])
        async with AsyncClient(address) as client:
            return await write_notebook(client, file, home)

    return asyncio.run(work())


@pytest.mark.parametrize(
    "kind",
    [pytest.param("2", marks=pytest.mark.slow), "3", pytest.param("4", marks=pytest.mark.slow)],
)
def test_the_notebook_makes_the_same_pixels(live, told, tmp_path, kind):
    written = write(told, newest(live, told, kind), tmp_path)
    assert written.path.parent == tmp_path / "notebooks"
    text, kinds = run(written.path, tmp_path, told)
    assert "The pixels are the same" in text
    assert "image/png" in kinds


def test_a_raw_frame_is_opened_and_nothing_is_made(live, told, tmp_path):
    written = write(told, newest(live, told, "0"), tmp_path)
    notebook = json.loads(written.path.read_text())
    nbformat.validate(nbformat.reads(json.dumps(notebook), as_version=4))
    assert not any("ReductionSettings" in "".join(cell["source"]) for cell in notebook["cells"])
