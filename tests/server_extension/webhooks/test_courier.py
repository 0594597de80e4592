"""Where a message may go, and that it goes nowhere else."""

import ipaddress

import httpx
import pytest

from goodman_live.server_extension.engine.courier import (
    Courier,
    CourierRules,
    RefusedAddressError,
    check_addresses,
    check_url,
)

RULES = CourierRules(("hooks.example.org", "*.lab.example", "ours.example:8443"))


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://hooks.example.org/a?b=1", "hooks.example.org", 443, "/a?b=1"),
        ("https://HOOKS.example.org.", "hooks.example.org", 443, "/"),
        ("https://a.lab.example/x", "a.lab.example", 443, "/x"),
        ("https://ours.example:8443/", "ours.example", 8443, "/"),
    ],
)
def test_listed_hosts(url, host, port, target):
    found = check_url(url, RULES)
    assert (found.host, found.port, found.target) == (host, port, target)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/",
        "ftp://hooks.example.org/",
        "https://",
        "https:hooks.example.org",
        "https://evil.example/",
        "https://hooks.example.org.evil.example/",
        "https://evilhooks.example.org/",
        "https://lab.example/",
        "https://xlab.example/",
        "https://hooks.example.org:22/",
        "https://ours.example/",
        "https://me@hooks.example.org/",
        "https://hooks.example.org@evil.example/",
        "https://evil.example#@hooks.example.org/",
        "https://evil.example\\@hooks.example.org/",
        "https://hooks.example.org/#x",
        "https://hooks.example.org/\r\nHost: evil",
        "https://hooks.example.org/a b",
        "https://h\u043eoks.example.org/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org/" + "x" * 1000,
    ],
)
def test_anything_else_is_refused(url):
    with pytest.raises(RefusedAddressError):
        check_url(url, RULES)


PRIVATE = [
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.1", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1"),
    *("::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "::127.0.0.1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_also_among_public_ones(address):
    for found in ([address], ["8.8.8.8", address], [address, "2606:4700::1111"]):
        with pytest.raises(RefusedAddressError):
            check_addresses(found, RULES)


def test_public_addresses_are_not():
    found = ["8.8.8.8", "2606:4700:4700::1111"]
    assert [str(address) for address in check_addresses(found, RULES)] == found
    with pytest.raises(RefusedAddressError):
        check_addresses([], RULES)


def test_a_network_that_the_operator_opens():
    rules = CourierRules(networks=(ipaddress.ip_network("10.1.0.0/16"),))
    assert check_addresses(["10.1.2.3", "::ffff:10.1.2.3"], rules)
    with pytest.raises(RefusedAddressError):
        check_addresses(["10.2.0.1"], rules)


def to_receiver(receiver, **changes):
    rules = {
        "hosts": (f"localhost:{receiver.port}",),
        "networks": (ipaddress.ip_network("127.0.0.0/8"),),
        "ca_file": receiver.certificate,
    }
    return CourierRules(**(rules | changes))


async def loopback(_host, _port):
    return ["127.0.0.1"]


async def test_a_message_arrives(receiver):
    courier = Courier(to_receiver(receiver), loopback)
    url = f"https://localhost:{receiver.port}/hook?x=1"
    assert await courier.send(url, b'{"a": 1}', {"X-Told": "yes"}) == 200
    (message,) = receiver.taken
    assert (message.path, message.body) == ("/hook?x=1", b'{"a": 1}')
    assert message.headers["Host"] == f"localhost:{receiver.port}"
    assert message.headers["X-Told"] == "yes"


async def test_redirects_are_not_followed(receiver):
    receiver.answers = [(307, {"Location": f"https://localhost:{receiver.port}/elsewhere"})]
    courier = Courier(to_receiver(receiver), loopback)
    assert await courier.send(f"https://localhost:{receiver.port}/", b"x", {}) == 307
    assert [message.path for message in receiver.taken] == ["/"]


async def test_a_name_that_answers_differently_the_next_time_gains_nothing(receiver):
    asked = []

    async def rebinding(host, _port):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.1", "10.0.0.1"]

    courier = Courier(to_receiver(receiver), rebinding)
    url = f"https://localhost:{receiver.port}/"
    assert await courier.send(url, b"x", {}) == 200
    # Looked up once: the connection went to the address that was checked.
    assert asked == ["localhost"]
    with pytest.raises(RefusedAddressError):
        await courier.send(url, b"x", {})
    assert len(receiver.taken) == 1


async def test_the_certificate_is_that_of_the_name(receiver):
    other = f"other.example:{receiver.port}"
    courier = Courier(to_receiver(receiver, hosts=(other,)), loopback)
    with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
        await courier.send(f"https://{other}/", b"x", {})
    stranger = Courier(to_receiver(receiver, ca_file=None), loopback)
    with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
        await stranger.send(f"https://localhost:{receiver.port}/", b"x", {})
    assert receiver.taken == []


async def test_a_private_host_without_the_operators_word(receiver):
    courier = Courier(to_receiver(receiver, networks=()))
    with pytest.raises(RefusedAddressError, match="private"):
        await courier.send(f"https://localhost:{receiver.port}/", b"x", {})
    assert receiver.taken == []
