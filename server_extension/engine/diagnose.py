"""A block once more on a worker, for what it saw and not for what it makes."""

from __future__ import annotations

import importlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from goodman_live.server_extension.engine.work import keywords_of

if TYPE_CHECKING:
    from goodman_live.server_extension.engine.work import Order


def diagnose(order: Order) -> dict[str, Any]:
    """Return the diagnostics of a block; its products are thrown away.

    Raises
    ------
    GoodmanError
        If the block fails.
    """
    with tempfile.TemporaryDirectory(prefix="goodman-diagnose-") as folder:
        again = replace(order, out_dir=Path(folder))
        function = getattr(importlib.import_module(order.module), order.function)
        result = function(order.main, **keywords_of(again), diagnostics=True)
        told = next(one.path for one in result.products if one.role == "diagnostics")
        return cast("dict[str, Any]", json.loads(told.read_text()))
