"""Carries a message to an https address that a user has named, and nowhere else.

A user's address must not become a way into the observatory's network. So the operator lists the
hosts; every address that the name resolves to must be public; and the connection goes to the very
address that was looked at, so that a name which answers differently the next time (DNS rebinding)
gains nothing. The certificate is checked against the name. Redirects are not followed and answers
are not read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HTTPS = 443
LONGEST_URL = 1000
TIMEOUT_S = 10.0
"""For the whole delivery."""
_PLAIN = re.compile(r"[!-~]+")
_TUNNELS = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")
)
"""IPv6 addresses that lead to an IPv4 address which is written into them."""


class RefusedAddressError(GoodmanError):
    """An address that nothing is sent to."""

    status = 400
    code = "refused_address"


@dataclass(frozen=True, slots=True)
class CourierRules:
    """What the operator allows."""

    hosts: tuple[str, ...] = ()
    """Names such as ``hooks.example.org``, ``*.example.org`` or ``ours.example.org:8443``."""
    networks: tuple[Network, ...] = ()
    """Private networks that a listed host may lie in all the same."""
    ca_file: Path | None = None
    """Authorities that certificates are checked against, instead of the system's."""


@dataclass(frozen=True, slots=True)
class Destination:
    """An address that the rules allow."""

    host: str
    port: int
    target: str
    """Path and query."""

    @property
    def authority(self) -> str:
        """Host as it stands in a request, with the port if it is unusual."""
        return self.host if self.port == HTTPS else f"{self.host}:{self.port}"


def check_url(url: str, rules: CourierRules) -> Destination:
    """Return where `url` leads.

    Raises
    ------
    RefusedAddressError
        If it is no plain https address of a host that the operator lists.
    """
    if len(url) > LONGEST_URL or not _PLAIN.fullmatch(url) or "\\" in url:
        raise RefusedAddressError("The address is too long or not plain text.", field="url")
    try:
        parts = urlsplit(url)
        port = parts.port or HTTPS
    except ValueError:
        raise RefusedAddressError("The address cannot be read.", field="url") from None
    if parts.scheme != "https" or not parts.hostname:
        raise RefusedAddressError("The address does not begin with https://.", field="url")
    if "@" in parts.netloc or parts.fragment:
        raise RefusedAddressError("Neither names nor fragments go into the address.", field="url")
    host = parts.hostname.lower().rstrip(".")
    if not any(_matches(host, port, entry.lower()) for entry in rules.hosts):
        raise RefusedAddressError(
            f"The operator does not allow webhooks to {host}:{port}.",
            remedy="Ask the operator to list the host.",
            field="url",
        )
    target = parts.path or "/"
    return Destination(host, port, f"{target}?{parts.query}" if parts.query else target)


def _matches(host: str, port: int, entry: str) -> bool:
    name, _, number = entry.partition(":")
    if port != (int(number) if number.isdigit() else HTTPS):
        return False
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def check_addresses(found: Sequence[str], rules: CourierRules) -> list[Address]:
    """Return the addresses of a host, if every one of them may be connected to.

    Raises
    ------
    RefusedAddressError
        If one is private, or there is none.
    """
    addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
    if not addresses:
        raise RefusedAddressError("The host has no address.", field="url")
    for address in addresses:
        if not _is_allowed(address, rules):
            raise RefusedAddressError("The host leads into a private network.", field="url")
    return addresses


def _is_allowed(address: Address, rules: CourierRules) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address.version == net.version and address in net for net in rules.networks):
        return True
    tunnel = address.version == 6 and any(address in net for net in _TUNNELS)
    return address.is_global and not (address.is_multicast or address.is_reserved or tunnel)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host as the system knows them."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Courier:
    """Sends messages.

    Parameters
    ----------
    rules : CourierRules
        What the operator allows.
    resolve : callable, optional
        Returns the addresses of a host.
    """

    def __init__(
        self,
        rules: CourierRules,
        resolve: Callable[[str, int], Awaitable[list[str]]] = resolve,
    ) -> None:
        self.rules = rules
        self._resolve = resolve
        self._context = ssl.create_default_context(cafile=rules.ca_file)

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a message, and return the status of the answer.

        Raises
        ------
        RefusedAddressError
            If the address is not allowed, or not any more.
        OSError, TimeoutError, httpx.HTTPError
            If nobody answers in time or the certificate is not that of the host.
        """
        where = check_url(url, self.rules)
        async with asyncio.timeout(TIMEOUT_S):
            (address, *_) = check_addresses(
                await self._resolve(where.host, where.port), self.rules
            )
            place = f"[{address}]" if address.version == 6 else str(address)
            async with httpx.AsyncClient(
                verify=self._context, trust_env=False, follow_redirects=False, timeout=TIMEOUT_S
            ) as client:
                request = client.build_request(
                    "POST",
                    f"https://{place}:{where.port}{where.target}",
                    content=body,
                    headers={**headers, "Host": where.authority},
                    extensions={"sni_hostname": where.host},
                )
                answer = await client.send(request, stream=True)
                await answer.aclose()
        return answer.status_code
