"""The settings of the proposal shown, and of no other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.pages.settings import Settings
from goodman_live.widgets.pages.shell import Shell

if TYPE_CHECKING:
    from goodman_live.widgets.client import AsyncClient
    from tests.widgets.service import Service

STAFF = {"id": 1, "is_staff": True}


def proposal(number: int) -> dict[str, Any]:
    return {"id": number, "soar_id": f"SOAR2026B-{number:03d}", "user": None}


async def test_what_one_proposal_has_is_not_applied_to_the_next(
    client: AsyncClient, service: Service
):
    service.state.settings = {1: {"max_targets": 1}, 2: {"max_targets": 2}}
    shell = Shell(client, on_event=lambda _: None, on_live=lambda: None)
    page = Settings(shell, client)
    await page.show(proposal(1), STAFF)
    assert page.form.values == {"max_targets": 1}
    assert [button["key"] for button in page.widget.buttons] == ["defaults", "apply"]
    service.state.held.add(2)
    opening = asyncio.create_task(page.show(proposal(2), STAFF))
    async with asyncio.timeout(10):
        while page.widget.buttons:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.01)
    # A press that was on its way when the next proposal was opened.
    await page._apply("apply", {"max_targets": 1})
    service.state.held.clear()
    await opening
    assert page.widget.title.endswith("SOAR2026B-002")
    assert page.form.values == {"max_targets": 2}
    assert service.state.settings == {1: {"max_targets": 1}, 2: {"max_targets": 2}}
    await page._apply("apply", {"max_targets": 5})
    assert service.state.settings[2] == {"max_targets": 5}
    shell.tasks.stop_all()
    await asyncio.sleep(0)
