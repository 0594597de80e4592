"""Queries and bodies: what is accepted, and how what is not is named."""

import pytest
from pydantic import Field

from goodman_live.server_extension.collaborators import CollaboratorChange
from goodman_live.server_extension.inputs import RequestError, Strict, parse_body, parse_query
from goodman_live.server_extension.limits import RateLimiter, UnderWay


class Model(Strict):
    number: int = Field(1, ge=1)
    names: list[str] | None = None


def test_a_query_becomes_the_model():
    found = parse_query(Model, {"number": [b"7"], "names": [b"a, b", b"c"], "_xsrf": [b"x"]})
    assert found == Model(number=7, names=["a, b", "c"])


def test_an_empty_parameter_is_one_left_alone():
    assert parse_query(Model, {"number": [b""], "names": [b""]}) == Model()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"other": [b"1"]}, "other"),
        ({"number": [b"0"]}, "number"),
        ({"number": [b"1", b"2"]}, "number"),
        ({"number": [b"\xff"]}, "number"),
        ({"number": [b"1\x00"]}, "number"),
    ],
)
def test_a_bad_query_names_its_parameter(query, field):
    with pytest.raises(RequestError) as caught:
        parse_query(Model, query)
    assert caught.value.field == field
    assert caught.value.status == 400


def test_where_nothing_is_accepted_everything_is_refused():
    with pytest.raises(RequestError, match="None is accepted"):
        parse_query(None, {"a": [b"1"]})
    assert parse_query(None, {"_xsrf": [b"x"]}) is None


@pytest.mark.parametrize(
    "body", [b'{"email": "a@b.c", "action": "add"}', b"email=a%40b.c&action=add"]
)
def test_a_body_is_json_or_a_form(body):
    assert parse_body(CollaboratorChange, body) == CollaboratorChange(email="a@b.c", action="add")


@pytest.mark.parametrize(
    "body",
    [b"", b"[1]", b"{", b"\xff", b'"text"', b"email", b"[" * 100_000, b'{"email": 1}', b"null",
     b'{"email": "a@b.c", "action": "add", "more": 1}',
     b'{"email": "a@b.c\\u0000", "action": "add"}', b'{"email": "a\\ud800@b.c", "action": "add"}',
     b"email=a%40b.c%00&action=add"],
)  # fmt: skip
def test_anything_else_is_refused(body):
    with pytest.raises(RequestError):
        parse_body(CollaboratorChange, body)


def test_the_limit_refuses_what_is_above_it_and_says_how_long():
    now = [0.0]
    limiter = RateLimiter(2.0, 3, clock=lambda: now[0])
    assert [limiter.wait("a") for _ in range(4)] == [0, 0, 0, 1]
    assert limiter.wait("b") == 0
    now[0] = 0.6
    assert limiter.wait("a") == 0
    assert limiter.wait("a") == 1


def test_no_limit():
    limiter = RateLimiter(0, 0)
    assert not any(limiter.wait("a") for _ in range(1000))


def test_what_is_under_way_is_counted_for_each_alone():
    crowd = UnderWay(2)
    assert [crowd.enter("a") for _ in range(3)] == [True, True, False]
    assert crowd.enter("b")
    crowd.leave("a")
    assert crowd.enter("a")
    assert not crowd.enter("a")
    assert all(UnderWay(0).enter("a") for _ in range(1000))
