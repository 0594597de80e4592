"""Stars of an image: found, centred and measured, with uncertainties."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import sep

from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.litfield import is_lit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Frame

_THRESHOLD = 5.0
_LEAST_PIXELS = 5
_BOX = 64
_WINGS = 1.2
"""Twice the half-light radius over the FWHM of a Moffat profile of exponent 3 to 4.5."""
_USUAL_FWHM_PX = 6.0
"""Seeing of 0.9 arcsec on unbinned pixels."""
_MOST = 5000
"""Sources that are kept, the brightest: a crowded field has more than anybody matches."""
FLOOR_PX = 0.02
"""Error of a centre that no signal removes (pixel response, charge transfer)."""


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Sources of one image, the brightest first."""

    x: NDArray[np.float64]
    """Column of the centre, 0-based binned pixels, shape (n,)."""
    y: NDArray[np.float64]
    """Row of the centre, 0-based binned pixels, shape (n,)."""
    sigma: NDArray[np.float64]
    """Error of each coordinate, binned pixels, shape (n,)."""
    flux: NDArray[np.float64]
    """Counts within the detection's isophote, in the image's unit, shape (n,)."""
    peak: NDArray[np.float64]
    """Brightest pixel above the background, shape (n,)."""
    fwhm: NDArray[np.float64]
    """Full width at half maximum from the half-light radius, binned pixels, shape (n,)."""
    elongation: NDArray[np.float64]
    """Long over short axis, shape (n,)."""
    clean: NDArray[np.bool_]
    """Neither saturated, nor cut by the edge, nor touching a bad pixel, shape (n,)."""
    background: NDArray[np.float32]
    """Smooth background of the image, shape of the image."""
    noise: float
    """Noise of a background pixel, in the image's unit."""

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self.x)

    def seeing(self) -> float:
        """Return the median width of clean, round, well-exposed stars; NaN if there is none."""
        good = self.clean & (self.elongation < 1.4) & (self.peak > 10 * self.noise)
        return float(np.median(self.fwhm[good])) if good.any() else float("nan")


def find_sources(frame: Frame) -> Sources:
    """Find the stars of a reduced image.

    Background in boxes, detection through the matched filter of the star's own width, and
    windowed centroids, as SExtractor has them (Bertin & Arnouts 1996, A&AS 117, 393; the library
    is Barbary 2016, JOSS 1, 58). The width is measured in a first look, so that a cosmic ray,
    narrower than any star, is left out.

    Parameters
    ----------
    frame : Frame
        Reduced; its flags mask pixels, its uncertainty weighs them.
    """
    data = np.ascontiguousarray(frame.data, dtype=np.float32)
    # a saturated star is still a star: its core stays, and it is not called clean
    bad = frame.flags & ~np.uint8(Flag.SATURATED)
    masked = np.ascontiguousarray((bad != 0) | ~np.isfinite(data))
    spoilt = np.ascontiguousarray((frame.flags != 0) | ~np.isfinite(data))
    data = np.where(masked, 0, data).astype(np.float32)
    usual = _USUAL_FWHM_PX / frame.window.xbin
    background = sep.Background(data, mask=masked, bw=_BOX, bh=_BOX, fw=3, fh=3)
    smooth = np.asarray(background.back(), dtype=np.float32)
    level = data - smooth
    noise = np.asarray(frame.uncertainty, dtype=np.float32)
    error = np.where(np.isfinite(noise) & (noise > 0), noise, background.globalrms)
    error = error.astype(np.float32)
    found = _extract(level, error, masked, _gaussian(usual))
    if len(found) == 0:
        return _none(smooth, float(background.globalrms))
    width = _width(level, found, usual)
    found = _extract(level, error, masked, _gaussian(width))
    if len(found) == 0:
        return _none(smooth, float(background.globalrms))
    sources = _measured(level, error, spoilt, found, width, smooth, float(background.globalrms))
    ny, nx = level.shape
    row = np.clip(np.rint(sources.y), 0, ny - 1).astype(int)
    column = np.clip(np.rint(sources.x), 0, nx - 1).astype(int)
    return _some(sources, sources.clean | is_lit(frame)[row, column])


def _extract(
    level: NDArray[np.float32],
    error: NDArray[np.float32],
    masked: NDArray[np.bool_],
    kernel: NDArray[np.float32],
) -> NDArray[np.void]:
    sep.set_extract_pixstack(3_000_000)
    sep.set_sub_object_limit(8192)
    found: NDArray[np.void] = sep.extract(
        level,
        _THRESHOLD / 2.5,  # per pixel: the filter and five pixels make the rest
        err=error,
        mask=masked,
        minarea=_LEAST_PIXELS,
        filter_kernel=kernel,
        filter_type="conv",
        deblend_nthresh=32,
        deblend_cont=0.005,
        clean=False,
    )
    bright = found["flux"] > 0
    found = found[bright]
    return found[np.argsort(found["flux"])[::-1][:_MOST]]


def _gaussian(fwhm: float) -> NDArray[np.float32]:
    sigma = max(fwhm, 1.5) / 2.3548
    reach = int(np.ceil(2.5 * sigma))
    at = np.arange(-reach, reach + 1)
    kernel = np.exp(-(at**2 + at[:, None] ** 2) / (2 * sigma**2))
    return (kernel / kernel.sum()).astype(np.float32)


def _half_light(level: NDArray[np.float32], found: NDArray[np.void]) -> NDArray[np.float64]:
    reach = np.full(len(found), 12.0) if len(found) else np.zeros(0)
    radius, _ = sep.flux_radius(level, found["x"], found["y"], reach, 0.5, subpix=5)
    return np.asarray(radius, dtype=np.float64)


def _width(level: NDArray[np.float32], found: NDArray[np.void], usual: float) -> float:
    """Return the usual width of the brighter round sources, binned pixels.

    Widths beyond 0.35 to 4 times the usual seeing are cosmic rays, edges and galaxies.
    """
    round_ = found[found["a"] < 1.4 * np.maximum(found["b"], 1e-3)][:200]
    widths = 2.0 * _half_light(level, round_) / _WINGS
    good = widths[(widths > max(0.35 * usual, 1.2)) & (widths < 4 * usual)]
    return float(np.median(good)) if len(good) >= 3 else usual


def _measured(
    level: NDArray[np.float32],
    error: NDArray[np.float32],
    masked: NDArray[np.bool_],
    found: NDArray[np.void],
    width: float,
    smooth: NDArray[np.float32],
    noise: float,
) -> Sources:
    x, y, _ = sep.winpos(level, found["x"], found["y"], np.full(len(found), width / 2.3548))
    moved = np.hypot(x - found["x"], y - found["y"]) > width
    x, y = np.where(moved, found["x"], x), np.where(moved, found["y"], y)
    fwhm = 2.0 * _half_light(level, found) / _WINGS
    counts, spread, _ = sep.sum_circle(level, x, y, width, err=error, mask=masked)
    ratio = np.where(spread > 0, counts / np.maximum(spread, 1e-12), 0.0)
    sigma = np.hypot(FLOOR_PX, 0.6 * width / np.maximum(ratio, 1.0))
    touched, _, _ = sep.sum_circle(masked.astype(np.float32), x, y, width)
    ny, nx = level.shape
    inside = (x > width) & (y > width) & (x < nx - 1 - width) & (y < ny - 1 - width)
    elongation = found["a"] / np.maximum(found["b"], 1e-3)
    clean = inside & (touched < 0.5) & (elongation < 2) & (ratio > 3) & (fwhm < 2.5 * width)
    star = (fwhm > 0.6 * width) & (ratio > 3)  # narrower is a cosmic ray or a hot pixel
    order = np.flatnonzero(star)
    return Sources(
        x=np.asarray(x[order], dtype=float),
        y=np.asarray(y[order], dtype=float),
        sigma=np.asarray(sigma[order], dtype=float),
        flux=np.asarray(found["flux"][order], dtype=float),
        peak=np.asarray(found["peak"][order], dtype=float),
        fwhm=np.asarray(fwhm[order], dtype=float),
        elongation=np.asarray(elongation[order], dtype=float),
        clean=np.asarray(clean[order]),
        background=smooth,
        noise=noise,
    )


def _some(sources: Sources, kept: NDArray[np.bool_]) -> Sources:
    names = ("x", "y", "sigma", "flux", "peak", "fwhm", "elongation", "clean")
    return replace(sources, **{name: getattr(sources, name)[kept] for name in names})


def _none(smooth: NDArray[np.float32], noise: float) -> Sources:
    nothing = np.zeros(0)
    return Sources(
        x=nothing,
        y=nothing,
        sigma=nothing,
        flux=nothing,
        peak=nothing,
        fwhm=nothing,
        elongation=nothing,
        clean=np.zeros(0, dtype=bool),
        background=smooth,
        noise=noise,
    )
