"""The only HTTP of the pages; scripts and notebooks use it as ``goodman_live.connect()``."""

from __future__ import annotations

from goodman_live.widgets.client.address import Address, find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.client.errors import ClientError
from goodman_live.widgets.client.sync import Client

__all__ = ["Address", "AsyncClient", "Client", "ClientError", "connect", "find_address"]


def connect(url: str | None = None, token: str | None = None) -> Client:
    """Return a client of the service that this process knows, or of the one given.

    Parameters
    ----------
    url : str, optional
        Base address, such as ``https://host/services/goodman/``; by default that of the Hub or
        of the Jupyter server around this kernel.
    token : str, optional
        API token; by default the one that the Hub gave to this server.

    Raises
    ------
    NoServiceError
        If no service is known here.
    """
    return Client(find_address(url, token))
