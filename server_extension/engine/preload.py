"""Imported by each Dask worker at its start, so that the first frame does not pay for imports."""

from __future__ import annotations

import importlib

from goodman_live.server_extension.engine.blocks import BLOCKS, is_available

for _block in BLOCKS.values():
    if is_available(_block):
        importlib.import_module(_block.module)
