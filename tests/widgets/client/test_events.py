"""The event stream: parsing, resuming without loss or doubling, falling back to polling."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from goodman_live.widgets.client import Address, AsyncClient
from goodman_live.widgets.client.errors import BadAnswerError, NotSignedInError
from goodman_live.widgets.client.events import Event, EventParser, decode, follow

if TYPE_CHECKING:
    from tests.widgets.service import Service


def parse(text: str) -> list[Event]:
    parser = EventParser()
    return [event for line in text.split("\n") if (event := parser.feed(line)) is not None]


def test_an_event_is_read_with_its_number_and_kind():
    assert parse('id: 7\nevent: frame.added\ndata: {"frame_id": 3}\n\n') == [
        Event(7, "frame.added", {"frame_id": 3})
    ]


def test_data_over_several_lines_is_joined():
    assert parse('id: 1\nevent: x\ndata: {"a":\ndata: 1}\n\n')[0].data == {"a": 1}


def test_comments_and_empty_events_are_nothing():
    assert parse(": keep alive\n\nevent: x\n\n\n") == []


@pytest.mark.parametrize("data", ["not json", "[1]", '"text"', "3"])
def test_data_that_are_no_object_are_a_bad_answer(data: str):
    with pytest.raises(BadAnswerError):
        parse(f"id: 1\nevent: x\ndata: {data}\n\n")


def test_an_event_without_number_is_a_bad_answer():
    with pytest.raises(BadAnswerError):
        decode({"kind": "x"})


async def take(client: AsyncClient, count: int, **options: object) -> list[Event]:
    found: list[Event] = []
    stream = follow(client.transport, pause=0.01, **options)  # type: ignore[arg-type]
    async with asyncio.timeout(10), aclosing(stream):  # type: ignore[type-var]
        async for event in stream:
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_what_happened_after_a_number_is_told(client: AsyncClient, service: Service):
    for number in range(5):
        service.emit("frame.added", frame_id=number)
    assert [event.id for event in await take(client, 3, since=2)] == [3, 4, 5]


async def test_a_cut_stream_resumes_without_loss_or_doubling(
    client: AsyncClient, service: Service
):
    service.state.cut_streams_after = 2
    for number in range(7):
        service.emit("frame.added", frame_id=number)
    assert [event.id for event in await take(client, 7, since=0)] == [1, 2, 3, 4, 5, 6, 7]


async def test_without_streams_it_polls(client: AsyncClient, service: Service):
    service.state.streams = False
    states: list[str] = []
    for number in range(3):
        service.emit("frame.added", frame_id=number)
    found = await take(client, 3, since=0, on_state=lambda state, _: states.append(state))
    assert [event.id for event in found] == [1, 2, 3]
    assert [event.data["frame_id"] for event in found] == [0, 1, 2]
    assert states[-1] == "polling"


async def test_the_past_is_not_told_to_who_comes_new(client: AsyncClient, service: Service):
    service.emit("frame.added", frame_id=1)
    live = asyncio.Event()
    waiting = asyncio.create_task(take(client, 1, on_state=lambda *_: live.set()))
    await asyncio.wait_for(live.wait(), 5)
    service.emit("frame.added", frame_id=2)
    assert [event.data["frame_id"] for event in await waiting] == [2]


async def test_a_lost_connection_is_told_and_mended(client: AsyncClient, service: Service):
    service.state.failures[:] = [503, 503]
    states: list[str] = []
    service.emit("frame.added", frame_id=1)
    await take(client, 1, since=0, on_state=lambda state, _: states.append(state))
    assert states == ["lost", "live"]


async def test_who_is_not_signed_in_is_not_kept_waiting(service: Service):
    async with AsyncClient(Address(service.url, "wrong")) as client:
        with pytest.raises(NotSignedInError):
            await take(client, 1)
