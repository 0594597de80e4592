"""Repeated exposures as one image: shifts measured, weights by noise, outliers left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, ndimage

from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.litfield import is_lit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Frame

LARGEST_SHIFT_PX = 80
"""Exposures that lie further apart, in binned pixels, are not put together."""
_BRIGHT = 15.0
"""Sigma above the sky from which a pixel tells how much light passed."""
_LEAST_BRIGHT = 40
_LEAST_SOURCE = 16
"""Pixels side by side of a source: the trail of a cosmic ray that was missed has fewer."""
_REJECT = 5.0
"""Sigma beyond which a pixel is no part of the mean."""
_UNSTEADY = 0.25
"""Part of the local contrast by which exposures of other seeing may differ."""
_CLEAR = 6.0
"""Times the noise by which the peak of a correlation must stand out."""
_RIVAL = 1.5
"""Times the next highest peak elsewhere that it must reach."""
_PEAK_PX = 10
_CANDIDATES = 8
"""Peaks of a correlation that are held against what both exposures show."""
_LOWEST = 0.15
"""Part of the highest peak that a candidate must reach."""
_SHOWN = 12.0
"""Times the noise at which what one exposure shows must be seen in the other."""
_MISSING = 0.2
"""Below this part of what is expected, it is not seen."""
_LONE_PX = 5
"""A single source in common is believed this near to where it was, or if there is no other."""
_LOST = 0.34
"""Part of the sources that may be missing in the other: variable stars, cosmic rays."""
_SMOOTH_PX = 25


@dataclass(frozen=True, slots=True, eq=False)
class Coadd:
    """Several exposures as one."""

    frame: Frame
    """On the pixels and the scale of the first exposure."""
    shifts: tuple[tuple[int, int], ...]
    """Columns and rows by which each exposure was moved, whole binned pixels."""
    scales: tuple[float, ...]
    """Light of each exposure over that of the first."""
    weights: tuple[float, ...]
    """Their sum is one."""
    rejected: tuple[int, ...]
    """Pixels of each exposure that were left out as outliers."""
    measured: bool
    """False where nothing is bright enough to tell shifts: none were applied."""
    left_out: tuple[int, ...] = ()
    """Exposures that show too little in common with the first to tell their shift, by their
    place; the other fields leave them out."""


def coadd(frames: Sequence[Frame], *, spectra: bool) -> Coadd:
    """Combine exposures of one field or one slit.

    Exposures move by whole pixels, so that the noise of pixels stays independent and its
    propagation exact. Each is brought to the first one's scale by the light of what is bright,
    and weighs by the noise of its sky: weights that follow the light of a pixel would bias it.

    Parameters
    ----------
    frames : sequence of Frame
        Reduced, of one window and binning, at least two; the first gives pixels and scale.
    spectra : bool
        The sky is that of each column, and is not moved along the dispersion.

    Raises
    ------
    BadFrameError
        If their windows differ, or they show different fields.
    """
    first = frames[0]
    if len(frames) < 2 or any(one.window != first.window for one in frames):
        raise BadFrameError(
            "Exposures of one window and binning are put together, at least two.",
            remedy="Choose exposures of one set-up.",
        )
    skies = [_sky(one, spectra=spectra) for one in frames]
    above = [
        np.where(_good(one), one.data - sky, 0.0).astype(np.float32)
        for one, sky in zip(frames, skies, strict=True)
    ]
    sharp = [
        _clipped(light) * (1 if spectra else is_lit(one))
        for light, one in zip(above, frames, strict=True)
    ]
    found = [_shift(sharp[0], one, spectra=spectra) for one in sharp[1:]]
    measured = any(one is not None for one in found)
    if measured and None in found:
        seen = [0, *(k for k, one in enumerate(found, 1) if one is not None)]
        done = coadd([frames[k] for k in seen], spectra=spectra)
        return replace(done, left_out=tuple(k for k in range(len(frames)) if k not in seen))
    if (
        not measured
        and sum(_shows_something(*pair) for pair in zip(frames, above, strict=True)) > 1
    ):
        raise BadFrameError(
            "The exposures do not show the same field, or too little of it to tell their shift.",
            remedy="Put together exposures of one pointing.",
        )
    shifts = ((0, 0), *(one if measured and one is not None else (0, 0) for one in found))
    moved = [
        _moved(one, light, step) for one, light, step in zip(frames, above, shifts, strict=True)
    ]
    times = [float(one.header.get("EXPTIME") or 0.0) for one in frames]
    scales = [
        _scale(moved[0], one, (times[0], time)) for one, time in zip(moved, times, strict=True)
    ]
    values = np.stack([light / s for (light, _, _), s in zip(moved, scales, strict=True)])
    sigmas = np.stack([sigma / s for (_, sigma, _), s in zip(moved, scales, strict=True)])
    good = np.stack([ok for _, _, ok in moved])
    noise = np.array([float(np.median(s[g])) for s, g in zip(sigmas, good, strict=True)])
    weight = (1 / noise**2) / np.sum(1 / noise**2)
    out = _outliers(values, sigmas, good)
    data, sigma, flags = _mean(values, sigmas, good & ~out, weight, first)
    return Coadd(
        frame=replace(
            first,
            data=(data + skies[0]).astype(np.float32),
            uncertainty=sigma.astype(np.float32),
            flags=flags,
        ),
        shifts=tuple(shifts),
        scales=tuple(float(s) for s in scales),
        weights=tuple(float(w) for w in weight),
        rejected=tuple(int(one.sum()) for one in out),
        measured=measured,
    )


_Moved = tuple["NDArray[np.float32]", "NDArray[np.float32]", "NDArray[np.bool_]"]


def _good(frame: Frame) -> NDArray[np.bool_]:
    return np.asarray(
        (frame.flags == 0) & np.isfinite(frame.data) & (frame.uncertainty > 0), dtype=bool
    )


def _sky(frame: Frame, *, spectra: bool) -> NDArray[np.float32]:
    """Return the sky: of each column of a spectrum, of the whole of an image."""
    data = np.where(_good(frame), frame.data, np.nan)
    if not spectra:
        return np.full((1, 1), np.nanmedian(data), np.float32)
    empty = ~np.isfinite(data).any(axis=0)
    data[:, empty] = 0.0
    return np.asarray(np.nanmedian(data, axis=0, keepdims=True), dtype=np.float32)


def _shift(
    first: NDArray[np.float64], other: NDArray[np.float64], *, spectra: bool
) -> tuple[int, int] | None:
    """Return columns and rows by which `other` is to be moved, None where nothing tells.

    The correlation proposes, what both show decides: with a few stars the pair of two different
    ones, or a single star of another field, makes a peak as clear as the true one.
    """
    a, b = (one.mean(axis=1, keepdims=True) if spectra else one for one in (first, other))
    told: tuple[float, tuple[int, int]] | None = None
    for votes, step in _peaks(a, b):
        if told is not None and told[0] >= _RIVAL * votes:
            break
        if _agree(a, b, step):
            if told is not None:
                return None
            told = votes, step
    return told[1] if told is not None else None


def _clipped(light: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return an image without its slow part, its stars made alike: one must not decide alone."""
    noise = 1.4826 * float(np.median(np.abs(light[light != 0]))) if np.any(light) else 1.0
    sharp = light - ndimage.uniform_filter(light, (_SMOOTH_PX, _SMOOTH_PX), mode="nearest")
    return np.clip(sharp, -3 * noise, 60 * noise).astype(float)


def _peaks(
    first: NDArray[np.float64], other: NDArray[np.float64]
) -> list[tuple[float, tuple[int, int]]]:
    """Return height and shift of the clear peaks of the cross-correlation, the highest first."""
    shape = tuple(fft.next_fast_len(size + LARGEST_SHIFT_PX, real=True) for size in first.shape)
    spectrum = fft.rfft2(first - first.mean(), shape) * np.conj(
        fft.rfft2(other - other.mean(), shape)
    )
    votes = fft.irfft2(spectrum, shape)
    noise = 1.4826 * float(np.median(np.abs(votes - np.median(votes))))
    reach = [min(LARGEST_SHIFT_PX, size // 2) for size in first.shape]
    near = [np.arange(-some, some + 1) for some in reach]
    votes = votes[np.ix_(near[0] % shape[0], near[1] % shape[1])]
    lowest = max(_CLEAR * noise, _LOWEST * float(votes.max()), 1e-12)
    found: list[tuple[float, tuple[int, int]]] = []
    while len(found) < _CANDIDATES:
        row, column = np.unravel_index(int(np.argmax(votes)), votes.shape)
        highest = float(votes[row, column])
        if highest < lowest:
            break
        found.append((highest, (int(near[1][column]), int(near[0][row]))))
        votes[
            max(0, row - _PEAK_PX) : row + _PEAK_PX + 1,
            max(0, column - _PEAK_PX) : column + _PEAK_PX + 1,
        ] = -np.inf
    return found


def _agree(first: NDArray[np.float64], other: NDArray[np.float64], step: tuple[int, int]) -> bool:
    """Tell whether two exposures show the same where they overlap."""
    to, by = _overlap(first.shape, step)
    a, b = (
        ndimage.uniform_filter(one, (3, min(3, one.shape[1]))) for one in (first[to], other[by])
    )
    noise = [max(1.4826 * float(np.median(np.abs(one[one != 0]))), 1e-12) for one in (a, b)]
    ratio = float(np.sum(a * b)) / float(np.sum(a * a))
    if ratio <= 0:
        return False
    there = (a > _SHOWN * noise[0]) & (ratio * a > _SHOWN * noise[1])
    back = (b > _SHOWN * noise[1]) & (b / ratio > _SHOWN * noise[0])
    lost = (there & (b < _MISSING * ratio * a)) | (back & (a < _MISSING * b / ratio))
    # by source, not by pixel: a bright one must not decide alone
    label, count = ndimage.label(there | back)
    share = ndimage.mean(lost, label, np.arange(1, count + 1)) if count else np.zeros(0)
    if np.sum(share > 0.5) > _LOST * count:
        return False
    both = (a > _SHOWN / 2 * noise[0]) & (b > _SHOWN / 2 * noise[1])
    if ndimage.label(both)[1] != 1 or max(map(abs, step)) <= _LONE_PX:
        return True
    return max(_sources(first), _sources(other)) < 2


def _sources(light: NDArray[np.float64]) -> int:
    """Return how many places stand out clearly."""
    smooth = ndimage.uniform_filter(light, (3, min(3, light.shape[1])))
    noise = 1.4826 * float(np.median(np.abs(smooth[smooth != 0]))) if smooth.any() else 0.0
    return int(ndimage.label(smooth > _SHOWN * max(noise, 1e-12))[1])


def _overlap(
    shape: tuple[int, ...], step: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the part of the first exposure that another covers, and the other's part."""
    dx, dy = step
    ny, nx = shape
    to = slice(max(dy, 0), ny + min(dy, 0)), slice(max(dx, 0), nx + min(dx, 0))
    by = slice(max(-dy, 0), ny + min(-dy, 0)), slice(max(-dx, 0), nx + min(-dx, 0))
    return to, by


def _moved(frame: Frame, light: NDArray[np.float32], step: tuple[int, int]) -> _Moved:
    """Return light, uncertainty and goodness on the pixels of the first exposure."""
    to, by = _overlap(light.shape, step)
    placed = np.zeros_like(light)
    sigma = np.ones_like(light)
    good = np.zeros(light.shape, bool)
    placed[to], sigma[to], good[to] = light[by], frame.uncertainty[by], _good(frame)[by]
    return placed, np.where(good, sigma, 1).astype(np.float32), good


def _shows_something(frame: Frame, light: NDArray[np.float32]) -> bool:
    bright = ndimage.uniform_filter(light, 3) > _BRIGHT * frame.uncertainty
    sizes = np.bincount(ndimage.label(bright)[0].ravel())[1:]
    return bool(sizes.max(initial=0) >= _LEAST_SOURCE)


def _scale(first: _Moved, other: _Moved, exptimes: tuple[float, float]) -> float:
    """Return how much of the first exposure's light another has.

    From what is bright, else from the exposure times.
    """
    light, sigma, good = first
    # of a mean with the neighbours: pixels chosen by their own noise would be too bright
    bright = good & other[2] & (ndimage.uniform_filter(light, 3) > _BRIGHT * sigma)
    if bright.sum() < _LEAST_BRIGHT:
        return exptimes[1] / exptimes[0] if min(exptimes) > 0 else 1.0
    ratio = float(np.sum(other[0][bright], dtype=float) / np.sum(light[bright], dtype=float))
    return ratio if ratio > 0.02 else 1.0


def _outliers(
    values: NDArray[np.float32], sigmas: NDArray[np.float32], good: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return what lies far from the median of a pixel, or from the lowest of two."""
    masked = np.where(good, values, np.nan)
    count = good.sum(axis=0)
    filled = np.where(count > 0, masked, 0.0)
    middle = (np.nanmin if len(values) == 2 else np.nanmedian)(filled, axis=0)
    contrast = ndimage.maximum_filter(middle, 3) - ndimage.minimum_filter(middle, 3)
    spread = np.sqrt(sigmas**2 + np.min(sigmas, axis=0) ** 2)
    away = np.abs(values - middle) - _UNSTEADY * contrast
    return np.asarray(good & (count > 1) & (away > _REJECT * spread), dtype=bool)


def _mean(
    values: NDArray[np.float32],
    sigmas: NDArray[np.float32],
    kept: NDArray[np.bool_],
    weight: NDArray[np.float64],
    first: Frame,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    """Return weighted mean, its uncertainty, and the flags where no exposure is good."""
    share = kept * weight[:, None, None]
    total = share.sum(axis=0)
    whole = np.where(total > 0, total, 1.0)
    data = (share * values).sum(axis=0) / whole
    sigma = np.sqrt((share**2 * sigmas.astype(float) ** 2).sum(axis=0)) / whole
    lost = total == 0
    flags = np.where(lost, first.flags | np.uint8(Flag.NO_DATA), 0).astype(np.uint8)
    return np.where(lost, 0.0, data), np.where(lost, first.uncertainty, sigma), flags
