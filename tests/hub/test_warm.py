"""The store of started kernels: taken by pages, told their environment, filled again, emptied."""

import asyncio
import os

import psutil
import pytest

from goodman_live.hub.warm import PATIENCE_S, WarmKernelManager
from tests.processes import command_of


@pytest.fixture
async def manager(tmp_path):
    (tmp_path / "pages").mkdir()
    manager = WarmKernelManager(root_dir=str(tmp_path), rest_s=0.01)
    manager._fill()
    yield manager
    await manager.shutdown_all(now=True)
    assert not [
        child
        for child in psutil.Process().children()
        if "ipykernel_launcher" in " ".join(command_of(child))
    ]


async def told(manager, kernel_id, expression):
    client = manager.get_kernel(kernel_id).client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=PATIENCE_S)
        answer = await client.execute_interactive(
            "", silent=True, user_expressions={"x": expression}, timeout=PATIENCE_S
        )
        return answer["content"]["user_expressions"]["x"]["data"]["text/plain"]
    finally:
        client.stop_channels()


async def test_a_page_takes_the_waiting_kernel_with_its_own_environment(manager):
    waiting = (await manager._store[0]).kernel_id
    query = "file=7&x='\"\n{}"
    env = {**os.environ, "QUERY_STRING": query}
    taken = await manager.start_kernel(path="pages", kernel_name="python3", env=env)
    assert taken == waiting
    expression = "__import__('os').environ['QUERY_STRING']"
    assert await told(manager, taken, expression) == repr(query)
    loaded = "'goodman_live.widgets.pages.data' in __import__('sys').modules"
    assert await told(manager, taken, loaded) == "True"
    # Nothing else takes one, and what was taken is replaced.
    async with asyncio.timeout(PATIENCE_S):
        while not manager._store:  # noqa: ASYNC110 (it is filled by a timer)
            await asyncio.sleep(0.01)
        spare = await manager._store[0]
    other = await manager.start_kernel(path="", kernel_name="python3", env=dict(os.environ))
    assert len({waiting, spare.kernel_id, other}) == 3


async def test_a_waiting_kernel_that_died_is_replaced_by_a_new_one(manager):
    spare = await manager._store[0]
    await manager.shutdown_kernel(spare.kernel_id, now=True)
    started = await manager.start_kernel(path="pages", kernel_name="python3", env={**os.environ})
    assert started != spare.kernel_id
    assert await told(manager, started, "1 + 1") == "2"
