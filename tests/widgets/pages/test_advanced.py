"""The Advanced page: what comes late is not drawn over what the reader has gone on to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from goodman_live.widgets.pages import advanced
from goodman_live.widgets.pages.advanced import AdvancedPage
from tests.widgets.service import make_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from goodman_live.widgets.client import AsyncClient
    from tests.widgets.service import Service


async def until(ready: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not ready():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.02)


@pytest.fixture
async def page(
    client: AsyncClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AdvancedPage]:
    monkeypatch.setattr(advanced, "RETRY", 0.05)
    for raw, spectrum in ((1, 10), (2, 20)):
        service.state.files[spectrum] = make_file(spectrum, data_type="4", original_file_id=raw)
    made = AdvancedPage(client, 10)
    made.begin()
    yield made
    made.shell.tasks.stop_all()
    await asyncio.sleep(0.05)


def tabs(page: AdvancedPage) -> set[int]:
    return {tab["id"] for tab in page.head.tabs}


async def test_news_of_what_is_being_opened_are_not_lost_nor_mixed(
    page: AdvancedPage, service: Service
):
    await until(lambda: page.spectrum.widget.spectra)
    assert tabs(page) == {1, 10}
    service.state.held.add(20)
    page._open(20)
    service.state.files[21] = make_file(21, data_type="3", original_file_id=2)
    service.emit("product.made", frame_id=21, original_file_id=2)
    asked = ("GET", "/services/goodman/api/files/20/")
    await until(lambda: asked in service.state.asked)
    await asyncio.sleep(0.2)
    service.state.held.clear()
    await until(lambda: tabs(page) == {2, 20, 21})
    assert page.head.selected == 20
    # The tabs are drawn before the spectrum is.
    await until(lambda: [one["id"] for one in page.spectrum.widget.spectra] == [20])


async def test_a_service_that_is_away_is_waited_for(page: AdvancedPage, service: Service):
    await until(lambda: page.spectrum.widget.spectra)
    service.state.failures = [503] * 20
    page._open(20)
    await until(lambda: "Trying again" in page.note.text)
    service.state.failures = []
    await until(lambda: page.head.selected == 20 and not page.note.text)


async def test_two_spectra_laid_over_at_once_both_come(page: AdvancedPage, service: Service):
    await until(lambda: page.spectrum.widget.spectra)
    service.state.files[30] = make_file(30, data_type="4", original_file_id=3)
    pane = page.spectrum.widget
    for number in (20, 30, 20):
        pane._dispatch(pane, {"what": "add", "value": number}, [])
    await until(lambda: len(pane.spectra) == 3)
    await asyncio.sleep(0.2)
    assert pane.spectra[0]["id"] == 10
    assert {one["id"] for one in pane.spectra[1:]} == {20, 30}
