"""Users' servers start a few at a time, in the order in which people came."""

import asyncio
import os
import sys
from types import SimpleNamespace

import pytest
from tornado.web import HTTPError

from goodman_live.hub.line import InTurn

PATIENCE_S = 60
SERVER = """
import pathlib, socket, sys, time
folder, name, port = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
(folder / f"{name}.began").touch()
while not (folder / f"{name}.go").exists():
    time.sleep(0.02)
if (folder / f"{name}.go").read_text() == "end":
    sys.exit(3)
listening = socket.create_server(("127.0.0.1", port))
while True:
    listening.accept()[0].close()
"""


class Small(InTurn):
    """A server that takes a moment to start, which the test decides."""

    def get_env(self):
        return {"PATH": os.environ["PATH"]}

    def get_args(self):
        return [str(self.port)]

    def make_preexec_fn(self, name):
        assert name == self.user.name


async def until(look):
    async with asyncio.timeout(PATIENCE_S):
        while not look():  # noqa: ASYNC110 (what another process does)
            await asyncio.sleep(0.02)


@pytest.fixture
async def people(tmp_path):
    made = []
    for number in range(4):
        with pytest.deprecated_call():  # the Hub's own word for one without a Hub is not a trait
            one = Small(_mock=True, starting_at_once=2, port=0)
        one.user = SimpleNamespace(name=f"p{number}")
        one.cmd = [sys.executable, "-c", SERVER, str(tmp_path), one.user.name]
        made.append(one)
    yield made
    for one in made:
        await one.stop(now=True)


def began(folder):
    return sorted(path.stem for path in folder.glob("*.began"))


async def test_some_start_while_the_others_wait_in_line_and_are_told(people, tmp_path):
    starts = [asyncio.create_task(one.start()) for one in people]
    await until(lambda: began(tmp_path) == ["p0", "p1"])
    assert [await one.poll() for one in people] == [None] * 4, "who waits is not over"
    waits = [(await anext(one.progress()))["message"] for one in people]
    assert waits == [
        *["Your server starts."] * 2,
        "Yours is the next server to start.",
        "Waiting for one server to start before yours.",
    ]
    (tmp_path / "p1.go").touch()
    host, port = await starts[1]
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    await until(lambda: began(tmp_path) == ["p0", "p1", "p2"])
    for name in ("p0", "p2", "p3"):
        (tmp_path / f"{name}.go").touch()
    assert len({port for _, port in await asyncio.gather(*starts)}) == 4


async def test_who_leaves_the_line_is_not_started_and_keeps_nobody_waiting(people, tmp_path):
    starts = [asyncio.create_task(one.start()) for one in people]
    await until(lambda: began(tmp_path) == ["p0", "p1"])
    await people[2].stop()
    with pytest.raises(HTTPError, match="stopped before it was up"):
        await starts[2]
    assert await people[2].poll() == 0
    starts[3].cancel()  # as the Hub does when its patience is over
    with pytest.raises(asyncio.CancelledError):
        await starts[3]
    again = asyncio.create_task(people[3].start())
    for name in ("p0", "p1", "p3"):
        (tmp_path / f"{name}.go").touch()
    await asyncio.gather(starts[0], starts[1], again)
    assert began(tmp_path) == ["p0", "p1", "p3"]


async def test_a_server_that_ends_or_hangs_gives_its_place_to_the_next(people, tmp_path):
    people[1].listens_within_s = 0.0
    starts = [asyncio.create_task(one.start()) for one in people]
    await until(lambda: began(tmp_path) == ["p0", "p1", "p2"])
    await starts[1]  # it does not listen yet: whether it ever does, the Hub sees
    (tmp_path / "p0.go").write_text("end")
    with pytest.raises(HTTPError, match="ended while it started"):
        await starts[0]
    await until(lambda: "p3" in began(tmp_path))
    await people[2].stop(now=True)
    with pytest.raises(HTTPError, match="stopped before it was up"):
        await starts[2]
    (tmp_path / "p3.go").touch()
    await starts[3]
