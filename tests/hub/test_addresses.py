"""Where a request comes from: what its sender wrote into headers is not believed."""

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from goodman_live.hub.addresses import address_of


class Handler:
    def __init__(self, **headers):
        lines = HTTPHeaders(
            {name.replace("_", "-"): text for name, text in headers.items()} | {"Host": "x"}
        )
        self.request = HTTPServerRequest(
            start_line=RequestStartLine("GET", "/", "HTTP/1.1"), headers=lines
        )
        self.request.remote_ip = "127.0.0.1"


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 127.0.0.1", "198.51.100.7"),
        ("203.0.113.1, 198.51.100.7", "198.51.100.7"),
        ("203.0.113.1, 198.51.100.7, 127.0.0.1, ::1", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("nonsense", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_the_nearest_stranger_of_the_chain(chain, address):
    assert address_of(Handler(X_Forwarded_For=chain)) == address


def test_a_header_that_no_proxy_of_ours_writes_is_not_believed():
    handler = Handler(X_Real_Ip="203.0.113.1", X_Forwarded_For="198.51.100.7")
    assert address_of(handler) == "198.51.100.7"


def test_no_request_has_no_address():
    assert address_of(None) == ""
