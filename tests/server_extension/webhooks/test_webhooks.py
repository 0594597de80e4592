"""Webhooks on a real https receiver: told what their owner may see, in order, until it ends."""

import asyncio
import hashlib
import hmac
import json
import time

import pytest

from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.server_extension.catalogue.hooks import Webhook
from goodman_live.server_extension.catalogue.models import Frame
from goodman_live.server_extension.engine import webhooks
from goodman_live.server_extension.engine.courier import Courier
from goodman_live.server_extension.engine.events import EventStream, append_event
from goodman_live.server_extension.engine.webhooks import Webhooks

from .test_courier import loopback, to_receiver

OURS, THEIRS = "SOAR2026B-001", "SOAR2026B-002"
SECRET = "a secret of the test"


class Desk:
    """A catalogue with two proposals and one webhook, and its deliveries."""

    def __init__(self, catalogue, receiver):
        self.catalogue, self.receiver = catalogue, receiver
        self.events = EventStream(catalogue)
        self.hooks = Webhooks(catalogue, self.events, Courier(to_receiver(receiver), loopback))
        with catalogue.write() as session:
            pi, mate = (User(username=name, email=f"{name}@a.example") for name in ("pi", "mate"))
            session.add(Proposal(soar_id=OURS, title="Ours", pi=pi, collaborators=[mate]))
            session.add(Proposal(soar_id=THEIRS, title="Theirs"))
            session.flush()
            url = f"https://localhost:{receiver.port}/hook"
            hook = {"url": url, "secret": SECRET, "last_event": 0}
            session.add(Webhook(user_id=mate.id, proposal_id=OURS, **hook))

    def happen(self, *names, proposal=OURS, owner_id=None):
        with self.catalogue.write() as session:
            for name in names:
                about = Frame(proposal_id=proposal, data_type=0, owner_id=owner_id)
                append_event(session, name, about=about)
        self.events.wake()

    def hook(self):
        with self.catalogue.read() as session:
            return session.query(Webhook).one()

    def told(self):
        return [event["kind"] for message in self.receiver.taken for event in _events(message)]


def _events(message):
    return json.loads(message.body)["events"]


@pytest.fixture
async def desk(catalogue, receiver, monkeypatch):
    monkeypatch.setattr(webhooks, "LOOK_S", 0.05)
    monkeypatch.setattr(webhooks, "FIRST_S", 0.05)
    desk = Desk(catalogue, receiver)
    desk.events.bind(asyncio.get_running_loop())
    yield desk
    await desk.hooks.stop()


async def until(condition):
    for _ in range(1200):
        if condition():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not happen")


async def test_events_arrive_in_order_signed_and_only_those_that_may_be_seen(desk):
    desk.happen("frame.added", "frame.state")
    desk.happen("frame.secret", proposal=THEIRS)
    desk.happen("frame.private", owner_id=1)
    desk.hooks.start()
    await until(lambda: len(desk.told()) >= 2)
    desk.happen("product.made")
    await until(lambda: len(desk.told()) >= 3)
    assert desk.told() == ["frame.added", "frame.state", "product.made"]
    for message in desk.receiver.taken:
        parts = dict(part.split("=") for part in message.headers["Goodman-Signature"].split(","))
        text = f"{parts['t']}.".encode() + message.body
        assert hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest() == parts["v1"]
        assert abs(time.time() - int(parts["t"])) < 3600
        assert SECRET.encode() not in message.body
    await until(lambda: desk.hook().last_event >= 5)


async def test_what_is_not_acknowledged_is_sent_again_and_nothing_overtakes_it(desk):
    desk.receiver.answers = [(500, {}), (302, {"Location": "https://localhost/"})]
    desk.happen("frame.added")
    desk.hooks.start()
    await until(lambda: desk.hook().tries == 1)
    desk.happen("frame.state")
    await until(lambda: desk.hook().last_event == 2)
    kinds = [[event["kind"] for event in _events(message)] for message in desk.receiver.taken]
    assert kinds[0] == ["frame.added"]
    assert kinds[1][0] == "frame.added"  # first again
    assert kinds[-1][-1] == "frame.state"
    assert desk.hook().tries == 0


async def test_a_new_service_goes_on_where_the_old_one_was(desk):
    desk.happen("frame.added")
    desk.hooks.start()
    await until(lambda: desk.hook().last_event == 1)
    await desk.hooks.stop()
    desk.happen("frame.state")
    again = Webhooks(desk.catalogue, desk.events, Courier(to_receiver(desk.receiver), loopback))
    again.start()
    await until(lambda: desk.hook().last_event == 2)
    await again.stop()
    assert desk.told() == ["frame.added", "frame.state"]


@pytest.mark.parametrize("how", ["left", "switched off"])
async def test_it_ends_with_the_membership_and_the_account(desk, how):
    desk.hooks.start()
    desk.happen("frame.added")
    await until(lambda: desk.told() == ["frame.added"])
    with desk.catalogue.write() as session:
        if how == "left":
            ours = session.query(Proposal).filter_by(soar_id=OURS).one()
            ours.collaborators.clear()
        else:
            mate = session.query(User).filter_by(username="mate").one()
            mate.is_active = False
    desk.happen("frame.state")
    await until(lambda: not desk.hook().is_active)
    assert desk.told() == ["frame.added"]
    assert "no longer" in desk.hook().problem


async def test_one_that_never_answers_is_switched_off(desk, monkeypatch):
    monkeypatch.setattr(webhooks, "MOST_TRIES", 2)
    desk.receiver.answers = [(503, {})] * 10
    desk.happen("frame.added")
    desk.hooks.start()
    await until(lambda: not desk.hook().is_active)
    assert desk.hook().problem == "The receiver answered 503."
    assert len(desk.receiver.taken) == 2
