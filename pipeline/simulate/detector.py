"""The simulated detector: bias structure, bad columns, pixel response, and the readout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.simulate.instrument import Setup


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """What stays the same from frame to frame in one window and binning."""

    level: float
    """Bias level, ADU."""
    pattern: NDArray[np.float32]
    """Bias structure above the level, ADU, shape (ny, nx)."""
    response: NDArray[np.float32]
    """Relative sensitivity of each pixel, shape (ny, nx); zero in the prescan."""
    prescan: NDArray[np.bool_]
    """Columns that see no light, shape (nx,)."""
    hot_columns: tuple[int, ...]
    """Binned columns with 200 ADU too much in every frame."""
    dead_columns: tuple[int, ...]
    """Binned columns with a tenth of the sensitivity."""


def dark_columns(setup: Setup) -> NDArray[np.bool_]:
    """Return which binned columns hold only prescan or postscan, shape (nx,)."""
    first = setup.region.x0 + setup.xbin * np.arange(setup.region.nx)
    last = first + setup.xbin - 1
    camera = setup.camera
    return (last < camera.prescan) | (first >= camera.prescan + camera.active)


@lru_cache(maxsize=8)
def detector(setup: Setup) -> Detector:
    """Return the fixed properties of the detector in the window of `setup`."""
    camera, region = setup.camera, setup.region
    key = (*(ord(c) for c in camera.name), region.x0, region.y0, *setup.shape, setup.detector_seed)
    rng = np.random.default_rng(key)
    ny, nx = setup.shape
    pixels = setup.xbin * setup.ybin
    dark = dark_columns(setup)
    lit = np.flatnonzero(~dark)

    columns = gaussian_filter1d(rng.normal(0, 3, nx), 4) + rng.normal(0, 0.3, nx)
    rows = gaussian_filter1d(rng.normal(0, 3, ny), 30)
    pattern = (rows[:, None] + np.where(dark, 0.0, 1.0 + columns)).astype(np.float32)
    bad = rng.choice(lit[(lit > lit[0] + 20) & (lit < lit[-1] - 20)], size=4, replace=False)
    hot, dead = tuple(sorted(map(int, bad[:2]))), tuple(sorted(map(int, bad[2:])))
    pattern[:, list(hot)] += 200

    response = rng.normal(1, 0.012 / np.sqrt(pixels), (ny, nx)).astype(np.float32)
    spots = rng.integers(0, (ny, nx), (max(ny * nx // 20000, 4), 2))
    response[spots[:, 0], spots[:, 1]] *= rng.uniform(0.5, 0.9, len(spots)).astype(np.float32)
    response[:, list(dead)] *= 0.1
    response[:, dark] = 0
    level = {100: 640.0, 344: 705.0, 750: 492.5, 50: 900.0, 200: 1010.0, 400: 850.0}
    return Detector(level[setup.readout.khz], pattern, response, dark, hot, dead)


def bias_image(setup: Setup, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the noiseless bias of one exposure, ADU: level, drift along rows, structure.

    The level wanders by a few ADU between exposures and by a fraction within one; the prescan
    follows both, which is why it is subtracted from each frame. On Red the first four unbinned
    columns glow.
    """
    ccd = detector(setup)
    ny, _ = setup.shape
    drift = gaussian_filter1d(rng.normal(0, 12, ny), 60) + rng.normal(0, 3)
    image = ccd.pattern + np.float32(ccd.level) + drift[:, None].astype(np.float32)
    if setup.camera.name == "Red" and setup.region.x0 == 0:
        first = setup.xbin * np.arange(setup.region.nx)
        image[:, first < 4] += rng.uniform(20, 60)
    return image


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """A raw image and what went into it."""

    data: NDArray[np.uint16]
    """Raw counts, ADU."""
    expected: NDArray[np.float32]
    """Noiseless image without cosmic rays, ADU, bias included."""
    bias: NDArray[np.float32]
    """Noiseless bias of this exposure, ADU."""
    cosmic: NDArray[np.float32]
    """Cosmic rays, electrons; zero elsewhere."""


def expose(
    setup: Setup,
    electrons: NDArray[np.float64] | None,
    rng: np.random.Generator,
    cosmic: NDArray[np.float32] | None = None,
) -> Exposure:
    """Read an image out: response, photon noise, cosmic rays, read noise, converter.

    Parameters
    ----------
    setup : Setup
        Configuration.
    electrons : ndarray of float or None
        Expected photo-electrons before the pixel response, shape (ny, nx); None for a bias.
    rng : numpy.random.Generator
        Source of all noise.
    cosmic : ndarray of float32, optional
        Electrons that cosmic rays leave, shape (ny, nx).
    """
    readout, ccd = setup.readout, detector(setup)
    bias = bias_image(setup, rng)
    counted = np.zeros(setup.shape)
    mean = counted
    if electrons is not None:
        # Differences of cumulative light fall below zero by a rounding error here and there.
        mean = np.maximum(electrons, 0.0) * ccd.response
        counted = rng.poisson(mean).astype(float)
    if cosmic is None:
        cosmic = np.zeros(setup.shape, np.float32)
    noisy = bias + (counted + cosmic + rng.normal(0, readout.rdnoise, setup.shape)) / readout.gain
    data = np.clip(np.rint(noisy), 0, readout.clip_adu).astype(np.uint16)
    expected = (bias + mean / readout.gain).astype(np.float32)
    return Exposure(data, expected, bias, cosmic)
