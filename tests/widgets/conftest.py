"""Fixtures of the pages: `service` (a real HTTP server of the documented API), `client`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from goodman_live.widgets.client import Address, AsyncClient
from tests.widgets.service import TOKEN, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
async def client(service: Service) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(Address(service.url, TOKEN)) as ready:
        ready.transport._pause = 0.01
        yield ready
