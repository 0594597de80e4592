"""Blocks that do to a worker what a bad frame could; run by real workers in the tests."""

import ctypes
import os
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

from goodman_live.pipeline.blocks.progress import step
from goodman_live.pipeline.blocks.reduce import reduce
from goodman_live.pipeline.blocks.result import BlockResult, Product
from goodman_live.pipeline.core.errors import NoTargetError


def _write(block, raw, out_dir, suffix):
    out_dir.mkdir(parents=True, exist_ok=True)
    path = Path(out_dir) / f"{block}_{raw.stem}{suffix and '_'}{suffix}.fits"
    fits.PrimaryHDU(np.ones((4, 4), np.float32)).writeto(path)
    return BlockResult(block, (Product.of(path, data_type=2, parents=[raw]),), ("Done.",), 0.1)


def works(raw, *, out_dir, suffix, **_):
    return _write("works", raw, out_dir, suffix)


def dies(raw, **_):
    ctypes.string_at(0)


def sleeps(raw, *, out_dir, suffix, **_):
    mark = raw.with_suffix(".pid")
    if mark.exists():
        return _write("sleeps", raw, out_dir, suffix)
    mark.write_text(str(os.getpid()))
    time.sleep(300)
    return None


def raises(raw, **_):
    raise NoTargetError(f"{raw.name} is empty.", remedy="Place an aperture.")


def tells(raw, *, out_dir, suffix, **_):
    """Say two steps, the second while somebody looks; go on when the test says so."""
    step(0.2, "One.")
    time.sleep(0.6)
    step(0.5, "Two.")
    mark = raw.with_suffix(".on")
    until = time.monotonic() + 120
    while not mark.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return _write("tells", raw, out_dir, suffix)


def waits(raw, *, out_dir, suffix, settings, **_):
    """Go on when the file named after its setting is there: the test decides who ends first."""
    mark = raw.with_suffix(f".{settings.max_targets}")
    raw.with_suffix(f".{settings.max_targets}.begun").write_text("begun")
    until = time.monotonic() + 120
    while not mark.exists() and time.monotonic() < until:
        time.sleep(0.02)
    return _write("waits", raw, out_dir, suffix)


def poisoned(raw, **keywords):
    """Die of frames whose names say so; reduce the others."""
    if "poison" in raw.name:
        ctypes.string_at(0)
    return reduce(raw, **keywords)
