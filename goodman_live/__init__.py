"""Goodman Live: reduced Goodman spectra in a browser, seconds after the shutter closes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from goodman_live.widgets.client import Client

__version__ = "0.1.0"


def connect(url: str | None = None, token: str | None = None) -> Client:
    """Return a client of the service around this notebook, or of the one given.

    Parameters
    ----------
    url : str, optional
        Base address, such as ``https://host/services/goodman/``.
    token : str, optional
        API token.

    Raises
    ------
    NoServiceError
        If no service is known here.
    """
    # Imported only now: the pipeline and its workers need no HTTP client.
    from goodman_live.widgets import client  # noqa: PLC0415

    return client.connect(url, token)
