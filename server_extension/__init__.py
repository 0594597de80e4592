"""The Jupyter server extension: catalogue, engine and REST API."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server where the extension is."""
    from goodman_live.server_extension.app import GoodmanExtension  # noqa: PLC0415 (light package)

    return [{"module": "goodman_live.server_extension.app", "app": GoodmanExtension}]
