"""Fixtures of the block tests.

==============  =======  ======================================================================
fixture         scope    gives
==============  =======  ======================================================================
``small``       session  set-up of a small Red 2x2 window over the lower edge of the slit
``calib``       session  folder with ten bias frames and ten flats of ``small``
``masters``     session  paths (bias, normalised flat, flat in counts) made of ``calib``
==============  =======  ======================================================================
"""

from __future__ import annotations

import pytest

from goodman_live.pipeline.blocks.masters import build_master_bias, build_master_flat
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.instrument import Region, setup


@pytest.fixture(scope="session")
def small():
    return setup("Red", "930_M4", region=Region("user-defined", 0, 1250, 500, 260))


@pytest.fixture(scope="session")
def calib(tmp_path_factory, small):
    folder = tmp_path_factory.mktemp("calib")
    for i in range(10):
        frames.bias(small, seed=100 + i).write(folder / f"bias{i}.fits")
        frames.flat(small, seed=200 + i).write(folder / f"flat{i}.fits")
    return folder


@pytest.fixture(scope="session")
def masters(tmp_path_factory, calib):
    out, settings = tmp_path_factory.mktemp("masters"), ReductionSettings()
    bias = build_master_bias(sorted(calib.glob("bias*")), out_dir=out, settings=settings)
    bias_path = bias.products[0].path
    flat = build_master_flat(
        sorted(calib.glob("flat*")), bias=bias_path, out_dir=out, settings=settings
    )
    return bias_path, flat.products[0].path, flat.products[1].path
