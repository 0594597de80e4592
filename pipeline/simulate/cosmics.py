"""Cosmic rays: muon tracks and worms, drawn on unbinned pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.simulate.instrument import Setup

EVENTS_PER_CM2_MINUTE = 1.5
"""Usual rate at 2700 m on a deep-depletion detector."""
PIXEL_CM = 0.0015
"""Side of an unbinned pixel."""


def cosmic_rays(
    setup: Setup, exptime_s: float, rng: np.random.Generator, *, rate: float = 1.0
) -> NDArray[np.float32]:
    """Return the electrons that cosmic rays leave in an exposure, shape (ny, nx).

    Each track is straight, with an exponential length (mean 7 unbinned pixels, short stubs
    most), a charge per unbinned pixel around 700 electrons that varies along it, and 0.35
    pixels of diffusion.
    """
    ny, nx = setup.shape
    width, height = nx * setup.xbin, ny * setup.ybin
    area = width * height * PIXEL_CM**2
    number = rng.poisson(rate * EVENTS_PER_CM2_MINUTE * area * exptime_s / 60)
    image = np.zeros((ny, nx))
    for _ in range(number):
        length = rng.exponential(7.0)
        angle = rng.uniform(0, 2 * np.pi)
        steps = max(int(length * 12), 6)
        along = np.linspace(0, length, steps)
        x = rng.uniform(0, width) + along * np.cos(angle) + rng.normal(0, 0.35, steps)
        y = rng.uniform(0, height) + along * np.sin(angle) + rng.normal(0, 0.35, steps)
        per_pixel = rng.lognormal(np.log(700), 0.6)
        charge = per_pixel * max(length, 1.0) / steps * rng.gamma(4, 0.25, steps)
        ix, iy = (x // setup.xbin).astype(int), (y // setup.ybin).astype(int)
        inside = (ix >= 0) & (ix < nx) & (iy >= 0) & (iy < ny)
        np.add.at(image, (iy[inside], ix[inside]), charge[inside])
    return image.astype(np.float32)
