"""Fixtures of the tests of pure arithmetic.

==============  =======  ======================================================================
fixture         scope    gives
==============  =======  ======================================================================
``make_arc``    session  function that simulates an arc: frame without bias, facts, true law
``axis_error``  session  function (solution, law): error in columns at each pixel, and coverage
==============  =======  ======================================================================
"""

from __future__ import annotations

import numpy as np
import pytest

from goodman_live.pipeline.core.frame import Flag, Frame
from goodman_live.pipeline.core.header import describe
from goodman_live.pipeline.core.instrument import clip_adu
from goodman_live.pipeline.raw_arc import without_bias
from goodman_live.pipeline.simulate.frames import arc
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.law import random_law


def _make_arc(
    mode,
    lamps,
    *,
    seed,
    binning=2,
    slit=1.0,
    rows=120,
    camera="Red",
    x0=0,
    nx=None,
    law=None,
    offsets=None,
    ceiling_adu=None,
    **options,
):
    """Return frame, header facts and true law of a simulated arc of a narrow window.

    What stands higher than `ceiling_adu` above the background is cut there, unflagged.
    """
    width = nx or (4142 - x0) // binning
    region = Region("user-defined", x0, 2095 - rows // 2, width, rows // binning)
    config = setup(
        camera, mode, binning=(binning, binning), slit_arcsec=slit, region=region, aeon=True
    )
    law = law or random_law(config.mode, np.random.default_rng(seed))
    made = arc(config, lamps, seed=seed, law=law, offsets=offsets, **options)
    info = describe(made.header, file_name=f"arc_{mode}.fits", shape=made.data.shape)
    data = made.data.astype(np.float32)
    if ceiling_adu is not None:
        data = np.minimum(data, np.median(data) + np.float32(ceiling_adu))
    flags = np.where(data >= clip_adu(info.saturation), Flag.SATURATED.value, 0).astype(np.uint8)
    frame = Frame(data, np.zeros_like(data), flags, made.header, info.window)
    return without_bias(frame, info), info, law


def _axis_error(solution, law):
    """Return (axis less truth) in unbinned columns at each pixel, and where lines cover it."""
    x = solution.column
    truth = law.wavelength(x, solution.along)
    scale = solution.axis.scale(x)
    return (solution.axis.wavelength(x) - truth) / scale, solution.axis.covers(x)


@pytest.fixture(scope="session")
def make_arc():
    return _make_arc


@pytest.fixture(scope="session")
def axis_error():
    return _axis_error
