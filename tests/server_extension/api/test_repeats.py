"""A POST with an Idempotency-Key acts once."""

import asyncio
import uuid

import httpx
import pytest


def comments(client, world):
    found = client.get("api/files/comments/", params={"id": world.files["ours"]}).json()
    return [entry["text"] for entry in found["results"]]


@pytest.fixture
def key():
    return {"Idempotency-Key": str(uuid.uuid4())}


def test_the_same_request_acts_once_and_gets_the_same_answer(as_, world, key):
    body = {"id": world.files["ours"], "text": f"once {key}"}
    first = as_("pi").post("api/files/comments/", json=body, headers=key)
    again = as_("pi").post("api/files/comments/", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert comments(as_("pi"), world).count(body["text"]) == 1


def test_another_body_under_the_same_key_is_refused(as_, world, key):
    body = {"id": world.files["ours"], "text": "one"}
    assert as_("pi").post("api/files/comments/", json=body, headers=key).status_code == 201
    other = as_("pi").post("api/files/comments/", json=body | {"text": "two"}, headers=key)
    assert other.status_code == 422
    assert other.json()["code"] == "key_reused"


def test_a_key_is_its_users_own(as_, world, key):
    body = {"id": world.files["ours"], "text": "mine"}
    first = as_("pi").post("api/files/comments/", json=body, headers=key).json()
    other = as_("mate").post("api/files/comments/", json=body, headers=key).json()
    assert other["id"] != first["id"]
    assert other["author"] == "mate"


def test_a_refused_request_leaves_its_key_free(as_, world, key):
    body = {"id": world.files["theirs"], "text": "no"}
    refused = as_("pi").post("api/files/comments/", json=body, headers=key)
    assert refused.status_code == 404
    body["id"] = world.files["ours"]
    assert as_("pi").post("api/files/comments/", json=body, headers=key).status_code == 201


def test_requests_at_the_same_moment_act_once(service, world, key):
    text = f"together {key}"
    headers = {"Authorization": "Token token-of-pi", **key}

    async def send():
        async with httpx.AsyncClient(base_url=service.url, headers=headers, timeout=60) as client:
            body = {"id": world.files["ours"], "text": text}
            return await asyncio.gather(
                *(client.post("api/files/comments/", json=body) for _ in range(8))
            )

    answers = asyncio.run(send())
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {201, 409}
    assert len({a.json()["id"] for a in answers if a.status_code == 201}) == 1
    with httpx.Client(base_url=service.url, headers=headers) as client:
        assert comments(client, world).count(text) == 1


@pytest.mark.parametrize("bad", ["", "with space", "x" * 201])
def test_a_bad_key_is_named(as_, world, bad):
    answer = as_("pi").post(
        "api/files/comments/",
        json={"id": world.files["ours"], "text": "x"},
        headers={"Idempotency-Key": bad},
    )
    assert answer.status_code == 400
    assert answer.json()["field"] == "Idempotency-Key"
