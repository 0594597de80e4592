"""Reduced frames of a slit with known truth, made without the simulator or the pipeline."""

from dataclasses import dataclass

import numpy as np
from astropy.io.fits import Header
from scipy.special import gamma, ndtr

from goodman_live.pipeline.core.frame import Frame, Window

GAIN, RDNOISE = 1.48, 3.89


@dataclass
class Star:
    row: float
    flux: float | np.ndarray
    fwhm: float = 3.0
    beta: float = 3.0
    slope: float = 0.002
    curve: float = 1.0


@dataclass
class Scene:
    frame: Frame
    paths: list[np.ndarray]
    fluxes: list[np.ndarray]
    sky: np.ndarray

    def row_unbinned(self, row):
        return (
            self.frame.window.y0 + row * self.frame.window.ybin + (self.frame.window.ybin - 1) / 2
        )


def moffat_share(offset, fwhm, beta):
    a = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    norm = gamma(beta) / (np.sqrt(np.pi) * gamma(beta - 0.5)) / a
    nodes = (np.arange(9) - 4) / 9
    return norm * sum((1 + ((offset + n) / a) ** 2) ** -beta for n in nodes) / 9


def sky_image(ny, nx, level, tilt=-4e-3, bow=1e-5):
    rng = np.random.default_rng(5)
    heights, places = rng.uniform(0.5, 50, nx // 50) * level, rng.uniform(0, nx, nx // 50)
    grid = np.arange(-20, nx + 20, 1 / 8)
    spectrum = level * (1 + 0.3 * grid / nx)
    for height, place in zip(heights, places, strict=True):
        z = grid - place
        spectrum += height * (ndtr((z + 1.7) / 0.6) - ndtr((z - 1.7) / 0.6))
    y = np.arange(ny) - (ny - 1) / 2
    x = np.arange(nx)
    rows = [np.interp(x - tilt * d - bow * d**2, grid, spectrum) for d in y]
    return np.stack(rows) * (1 + 0.02 * y / (ny / 2))[:, None]


def scene(seed, stars=(), *, ny=300, nx=800, level=40.0, binning=(2, 2)):
    rng = np.random.default_rng(seed)
    sky = sky_image(ny, nx, level)
    electrons = sky.copy()
    x, y = np.arange(nx), np.arange(ny)[:, None]
    u = (x - nx / 2) / (nx / 2)
    paths, fluxes = [], []
    for star in stars:
        path = star.row + star.slope * (x - nx / 2) + star.curve * u**2
        flux = np.broadcast_to(np.asarray(star.flux, float), (nx,))
        electrons += flux * moffat_share(y - path, star.fwhm, star.beta)
        paths.append(path)
        fluxes.append(flux / GAIN)
    counts = (rng.poisson(electrons) + rng.normal(0, RDNOISE, electrons.shape)) / GAIN
    variance = np.maximum(counts, 0) / GAIN + (RDNOISE / GAIN) ** 2
    header = Header()
    header["GAIN"], header["RDNOISE"] = GAIN, RDNOISE
    frame = Frame(
        counts.astype(np.float32),
        np.sqrt(variance).astype(np.float32),
        np.zeros((ny, nx), np.uint8),
        header,
        Window(50, 1300, nx, ny, *binning),
    )
    return Scene(frame, paths, fluxes, sky / GAIN)


def ideal_sigma(scene, index, star):
    """The noise of a measurement that knows profile, sky and variance exactly."""
    path, flux = scene.paths[index], scene.fluxes[index] * GAIN
    rows = np.rint(path).astype(int) + np.arange(-20, 21)[:, None]
    share = moffat_share(rows - path, star.fwhm, star.beta)
    sky = scene.sky[np.clip(rows, 0, scene.sky.shape[0] - 1), np.arange(path.size)] * GAIN
    variance = (sky + flux * share + RDNOISE**2) / GAIN**2
    return 1 / np.sqrt((share**2 / variance).sum(axis=0))
