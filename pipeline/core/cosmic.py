"""Cosmic rays of a frame: which method, where the hits are, and what stands in their place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.ndimage import binary_dilation, label, maximum_filter
from scipy.special import ndtri

from goodman_live.pipeline.core.dcr import find_dcr, parameters_for
from goodman_live.pipeline.core.frame import Flag, Frame
from goodman_live.pipeline.core.lacosmic import STEPS, find_lacosmic, grow
from goodman_live.pipeline.core.patches import surroundings
from goodman_live.pipeline.core.sharpness import (
    DIRECTIONS,
    LEAST_FWHM,
    excess_sigma,
    local_floor,
    seeing,
)
from goodman_live.pipeline.core.smooth import image_model, spectrum_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Method = Literal["lacosmic", "dcr", "none"]
"""A method that can be carried out."""

MERIT: dict[tuple[str, int], Method] = {
    ("Red", 1): "lacosmic",
    ("Red", 2): "lacosmic",
    ("Red", 3): "lacosmic",
    ("Blue", 1): "lacosmic",
    ("Blue", 2): "lacosmic",
    ("Blue", 3): "lacosmic",
}
"""The better method per camera and serial binning, as ``benchmarks/bench_cosmic.py`` prints; where
they are within its scatter, the one that also serves images."""

KEYWORD = {"lacosmic": "LACosmic", "dcr": "DCR", "none": "none"}
"""What the public service writes in GSP_COSM."""

_MODEL_ERROR = {True: 0.01, False: 0.003}
"""Share of the light by which flat and model may be wrong, for spectra and for images; it counts
as noise here."""
_LEAST_SHARE = 1e-3
"""Least share of its own variance that a pixel keeps where the smooth one fails."""
_PEAK_SIGMA = 4.0
"""Peak of an image that may be a hit; noise that passes this and the next is 0.005 per cent."""
_PAIR_SIGMA = 4.7
"""Sum of two neighbours that may be a hit, over its noise; noise passes it as rarely."""
_HALF_SIGMA = 2.5
"""Either of them."""
_SHARP_SIGMA = 2.2
"""Excess of a peak over what its neighbours allow, in a spectrum."""
_LEAST_SHARP_SIGMA, _MOST_SHARP_SIGMA = 2.0, 4.0
"""The same for images, where it depends on the number of peaks."""
_FALSE_SHARE = 4e-5
"""Share of the pixels of an image in which noise may make a star look sharp."""
_PROFILE_ERROR = 0.05
"""Share of a peak by which pixels and profiles differ from the model of light."""
_LARGE_SATURATED = 12
"""A saturated patch of more pixels is light, not a hit."""
_RIM = 16
"""Unbinned pixels beyond the field's edge in which light falls off."""
_RADII = (2, 4, 8)
"""Half sides of the squares from which a hit is filled, the first with enough good pixels."""
_ENOUGH = 6
"""Good neighbours that are enough to fill a hit."""


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """A frame without its cosmic rays."""

    frame: Frame
    """Hits filled and flagged `Flag.COSMIC`, with the uncertainty of the fill."""
    mask: NDArray[np.bool_]
    """True where a hit was found, shape (ny, nx)."""
    events: int
    """Number of separate hits."""


def choose_method(setting: str, camera: str, xbin: int) -> Method:
    """Return the method that a setting means for a camera at a serial binning."""
    if setting == "default":
        return MERIT[camera, min(max(xbin, 1), 3)]
    if setting in KEYWORD:
        return setting  # type: ignore[return-value]
    raise ValueError(f"{setting!r} is no method: use default, dcr, lacosmic or none")


def clean_cosmics(frame: Frame, method: Method, *, camera: str, spectrum: bool) -> Cleaned:
    """Find, flag and fill the cosmic rays of a frame.

    Parameters
    ----------
    frame : Frame
        Reduced frame with a true uncertainty.
    method : {'lacosmic', 'dcr', 'none'}
        How they are found. On an image every hit must be sharper than its stars, and what is
        as sharp as that joins those of ``lacosmic``: stars are neither sky nor lines, so no
        model protects them.
    camera : str
        ``Red`` or ``Blue``, for the parameters of ``dcr``.
    spectrum : bool
        Whether the frame has dispersion along x, or is a direct image.

    Returns
    -------
    Cleaned
        A new frame; the one given is not changed.
    """
    if method == "none":
        return Cleaned(frame, np.zeros(frame.data.shape, bool), 0)
    never = _never_hits(frame.flags)
    field = _Field.of(frame, spectrum=spectrum)
    ignore = never | field.rim
    model, variance = field.model(frame.data, never), frame.uncertainty**2
    # beside the dark beyond the field's edge all light would look sharp
    data = np.where(field.rim, model, frame.data) if field.rim.any() else frame.data
    # the photons of a hit are in its own variance, and would hide it and its flanks
    quiet = field.model(variance, np.zeros_like(never))
    quiet = np.maximum(quiet, np.float32(_LEAST_SHARE) * variance)
    wrong = (np.float32(_MODEL_ERROR[spectrum]) * np.maximum(model, 0)) ** 2
    quiet += wrong
    if method == "lacosmic":
        variance += wrong
        steps = STEPS if spectrum else 0
        mask = find_lacosmic(data, model, variance, quiet=quiet, ignore=ignore, steps=steps)
        if spectrum and mask.any():
            # half of a block's length bends the model, which then hides the rest of a long track
            model = field.model(frame.data, never | mask)
            mask = grow(mask, data - model, quiet, ~ignore, steps=STEPS)
    else:
        contrast = (data - model) / np.sqrt(quiet)
        mask = find_dcr(contrast, parameters_for(camera, frame.window.xbin), ignore=ignore)
    if method == "dcr" or not spectrum:
        residual = data - model
        residual[_missing(frame.flags)] = 0  # dark, they would lower the sky around them
        optics = _Light.of(frame, residual, quiet, ~ignore, spectrum=spectrum)
        mask = optics.sharp_events(mask)
        if method == "lacosmic":
            mask = grow(mask | optics.sharp(), residual, quiet, ~ignore, falling=True)
    events = int(label(mask, np.ones((3, 3)))[1]) if mask.any() else 0
    return Cleaned(fill(frame, mask, model), mask, events)


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """The lit field and what lies beyond it, each smooth by itself."""

    smooth: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    unexposed: NDArray[np.bool_]
    rim: NDArray[np.bool_]
    """Unexposed pixels in which no hit is looked for: those of the slit's ends, and of an image
    those near the field, where light falls off steeply."""

    @classmethod
    def of(cls, frame: Frame, *, spectrum: bool) -> _Field:
        xbin, ybin = frame.window.xbin, frame.window.ybin
        smooth = partial(spectrum_model, xbin=xbin, ybin=ybin) if spectrum else image_model
        rim = unexposed = (frame.flags & np.uint8(Flag.UNEXPOSED)) != 0
        if unexposed.any() and not spectrum:
            size = (2 * (_RIM // ybin) + 1, 2 * (_RIM // xbin) + 1)
            rim = unexposed & maximum_filter(~unexposed, size)
        return cls(smooth, unexposed, rim)

    def model(self, values: NDArray[np.float32], unfit: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return what is smooth in an image, shape (ny, nx)."""
        unexposed = self.unexposed
        if not unfit.any() and not unexposed.any():
            return self.smooth(values)
        lit = self.smooth(np.where(unfit | unexposed, np.float32(np.nan), values))
        dark = unexposed & ~self.rim
        if not dark.any():
            return lit
        beyond = self.smooth(np.where(unfit | ~dark, np.float32(np.nan), values))
        return np.where(dark, beyond, lit)


@dataclass(frozen=True, slots=True, eq=False)
class _Light:
    """What tells light through the optics from hits."""

    residual: NDArray[np.float32]
    quiet: NDArray[np.float32]
    own: NDArray[np.float32]
    """Noise squared with the photons and the profile error of what stands above the model."""
    usable: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    """Pixels without a value, which tell nothing of those beside them."""
    fwhm: tuple[float, float]
    """Least width of light, pixels (y, x)."""
    limit: float
    """Excess beyond which a pixel is sharper than light."""

    @classmethod
    def of(
        cls,
        frame: Frame,
        residual: NDArray[np.float32],
        quiet: NDArray[np.float32],
        usable: NDArray[np.bool_],
        *,
        spectrum: bool,
    ) -> _Light:
        """Measure the least width of light: of the stars of an image; the slit's in a spectrum."""
        binning = (frame.window.ybin, frame.window.xbin)
        least = (LEAST_FWHM / binning[0], LEAST_FWHM / binning[1])
        fwhm = least if spectrum else seeing(residual, quiet, usable, binning)
        own = np.maximum(frame.uncertainty**2, quiet)
        own += (np.float32(_PROFILE_ERROR) * np.maximum(residual, 0)) ** 2
        limit = _SHARP_SIGMA if spectrum else _sharp_limit(residual / np.sqrt(quiet))
        return cls(residual, quiet, own, usable, _missing(frame.flags), fwhm, limit)

    def significance(self, pixels: tuple[NDArray[np.intp], ...]) -> NDArray[np.float64]:
        """Return by how many sigma pixels are sharper than light, by direction, shape (4, n)."""
        floor = local_floor(self.residual, self.quiet, pixels)
        return excess_sigma(self.residual, self.own, pixels, self.fwhm, floor, self.missing)

    def sharp(self) -> NDArray[np.bool_]:
        """Return the pixels that stand out and are sharper than light."""
        signal = self.residual / np.sqrt(self.quiet)
        signal[~self.usable] = 0
        core = np.zeros(signal.shape, bool)
        y, x = np.nonzero(signal > _PEAK_SIGMA)
        if y.size:
            chosen = self.significance((y, x)).max(axis=0) > self.limit
            core[y[chosen], x[chosen]] = True
        first, second, along = _pairs(signal)
        if along.size:
            both = self.significance(first) + self.significance(second)
            both[along, np.arange(along.size)] = -np.inf  # a track is not narrow along itself
            chosen = both.max(axis=0) > np.sqrt(2) * self.limit
            for y, x in (first, second):
                core[y[chosen], x[chosen]] = True
        return core

    def sharp_events(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the hits of a mask of which at least one pixel is sharper than light."""
        pixels = np.nonzero(mask)
        if pixels[0].size == 0:
            return mask
        events, number = label(mask, np.ones((3, 3)))
        keep = np.zeros(number + 1, bool)
        keep[events[pixels][self.significance(pixels).max(axis=0) > self.limit]] = True
        return keep[events]


def _sharp_limit(signal: NDArray[np.floating]) -> float:
    """Return the excess that few of the peaks of an image reach by noise: more with more stars."""
    inner = signal[1:-1, 1:-1]
    y, x = np.nonzero(inner > _PEAK_SIGMA)
    if y.size == 0:
        return _LEAST_SHARP_SIGMA
    highest = np.ones(y.size, bool)
    for dy, dx in DIRECTIONS:
        for sign in (-1, 1):
            highest &= inner[y, x] >= signal[y + 1 + sign * dy, x + 1 + sign * dx]
    # on a wide star noise makes several peaks, and pairs beside them
    chances = len(DIRECTIONS) * max(int(highest.sum()), y.size // 8, 1)
    share = _FALSE_SHARE * signal.size / chances
    return float(np.clip(-ndtri(min(share, 0.5)), _LEAST_SHARP_SIGMA, _MOST_SHARP_SIGMA))


def _pairs(
    signal: NDArray[np.floating],
) -> tuple[tuple[NDArray[np.intp], ...], tuple[NDArray[np.intp], ...], NDArray[np.intp]]:
    """Return pairs of neighbours that stand out together: both places, and the direction."""
    y, x = np.nonzero(signal > _HALF_SIGMA)
    found = []
    for number, (dy, dx) in enumerate(DIRECTIONS):
        y2, x2 = y + dy, x + dx
        inside = (y2 < signal.shape[0]) & (x2 >= 0) & (x2 < signal.shape[1])
        one, two = (y[inside], x[inside]), (y2[inside], x2[inside])
        other = signal[two]
        pair = (other > _HALF_SIGMA) & (signal[one] + other > np.sqrt(2) * _PAIR_SIGMA)
        found.append((*(a[pair] for a in (*one, *two)), np.full(int(pair.sum()), number)))
    y1, x1, y2, x2, along = (np.concatenate(part) for part in zip(*found, strict=True))
    return (y1, x1), (y2, x2), along


def fill(frame: Frame, mask: NDArray[np.bool_], model: NDArray[np.float32]) -> Frame:
    """Replace pixels by the model and what their good neighbours add to it; flag them.

    The uncertainty becomes the scatter of those neighbours about their median, which holds
    noise and structure, and never less than the pixel's own noise without the hit.
    """
    pixels = np.nonzero(mask)
    if pixels[0].size == 0:
        return frame
    residual = frame.data - model
    bad = mask | (frame.flags != 0)
    level = np.zeros(pixels[0].size, np.float32)
    scatter = np.zeros(pixels[0].size, np.float32)
    open_ = np.ones(pixels[0].size, bool)
    for radius in _RADII:
        at = (pixels[0][open_], pixels[1][open_])
        around = surroundings(residual, bad, at, radius)
        level[open_], scatter[open_] = around.level, around.scatter
        index = np.flatnonzero(open_)
        open_[index[around.count >= _ENOUGH]] = False
        if not open_.any():
            break
    data, uncertainty = frame.data.copy(), frame.uncertainty.copy()
    flags = frame.flags.copy()
    data[pixels] = model[pixels] + level
    quiet = _quiet_noise(uncertainty, bad, pixels)
    uncertainty[pixels] = np.hypot(np.maximum(scatter, quiet), np.abs(level) * open_)
    flags[pixels] |= np.uint8(Flag.COSMIC)
    return replace(frame, data=data, uncertainty=uncertainty, flags=flags)


def _quiet_noise(
    uncertainty: NDArray[np.float32],
    bad: NDArray[np.bool_],
    pixels: tuple[NDArray[np.intp], ...],
) -> NDArray[np.float32]:
    """Return the noise around hits that the light of the hits has not raised."""
    around = surroundings(uncertainty, bad, pixels, _RADII[1])
    return np.where(around.count > 0, around.level, uncertainty[pixels]).astype(np.float32)


def _missing(flags: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return bad pixels and those without data, shape (ny, nx)."""
    return np.asarray((flags & np.uint8(Flag.BAD | Flag.NO_DATA)) != 0)


def _never_hits(flags: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return bad and missing pixels, and what light has saturated, shape (ny, nx)."""
    never = _missing(flags)
    saturated = (flags & np.uint8(Flag.SATURATED)) != 0
    if not saturated.any():
        return never
    patches, number = label(saturated, np.ones((3, 3)))
    size = np.bincount(patches.ravel(), minlength=number + 1)
    large = size > _LARGE_SATURATED
    large[0] = False
    return never | np.asarray(binary_dilation(large[patches], np.ones((3, 3)), iterations=2))
