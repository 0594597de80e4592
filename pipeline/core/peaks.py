"""Find and centre the emission lines of a lamp spectrum, with an uncertainty for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter

from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.lineshape import LineFits, fit_lines, line_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLD = 7.0
"""Detection threshold in sigma of the matched filter."""
BLUR_PX = 2.2
"""Typical blur beside the slit's own image, unbinned pixels FWHM."""
_UNUSABLE = (Flag.BAD | Flag.UNEXPOSED | Flag.NO_DATA).value
_SHAPE_ERROR = 0.01
"""Share of a line's light by which its true shape departs from the fitted one."""
_CEILING, _CEILING_LINES = 0.985, 3
"""Share of the highest line that so many lines reach where something clips them."""
_BRIGHT = 40.0
"""Sigma above which a line is bright enough to fit its own shape."""
_LOPSIDED, _BESIDE = 0.015, 8
"""Share of what clipping adds to the width of a line by which its centre is in doubt, and how
many whole lines beside it tell the width: a faint neighbour shows in the foot that is left."""


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """Emission lines, in order of position; every array has shape (n,)."""

    pixel: NDArray[np.float64]
    """Centre as a pixel index (0-based) of the spectrum."""
    sigma: NDArray[np.float64]
    """One standard deviation of the centre from noise, pixels."""
    height: NDArray[np.float64]
    """Height above the background, unit of the spectrum."""
    fwhm: NDArray[np.float64]
    """Full width at half maximum, pixels."""
    snr: NDArray[np.float64]
    """Significance in sigma."""
    total: NDArray[np.float64]
    """Light of the line, unit of the spectrum times pixels."""
    trouble: NDArray[np.str_]
    """Why the centre is not to be trusted; empty for a good line."""

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.pixel)

    @property
    def good(self) -> NDArray[np.bool_]:
        """True for lines without trouble, shape (n,)."""
        return self.trouble == ""

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Peaks:
        """Return the chosen lines."""
        return Peaks(
            self.pixel[chosen],
            self.sigma[chosen],
            self.height[chosen],
            self.fwhm[chosen],
            self.snr[chosen],
            self.total[chosen],
            self.trouble[chosen],
        )


def slit_pixels(slit_arcsec: float | None, binning: int) -> float:
    """Return the width of the slit's image in binned pixels (0.15 arcsec an unbinned one)."""
    return (slit_arcsec or 0.45) / 0.15 / binning


def find_peaks(
    flux: NDArray[np.float64],
    uncertainty: NDArray[np.float64],
    flags: NDArray[np.uint8] | None = None,
    *,
    slit_px: float = 3.0,
    binning: int = 1,
    threshold: float = THRESHOLD,
) -> Peaks:
    """Find emission lines by a matched filter and centre each by a fit of its shape.

    The threshold is in sigma of the noise, so that a saturated line hides no faint one. The
    shape is a box (the slit) with a blur, integrated over pixels; both widths are fitted to the
    bright lines and followed along the spectrum, so that wide slits and a focus that varies are
    no special cases.

    Parameters
    ----------
    flux, uncertainty : ndarray of float64
        Spectrum and its standard deviation, shape (n,), any unit.
    flags : ndarray of uint8, optional
        Bits of `Flag`, shape (n,).
    slit_px : float
        Width of the slit's image, binned pixels.
    binning : int
        Serial binning, for the expected blur.
    threshold : float
        Detection threshold, sigma.

    Returns
    -------
    Peaks
        Lines with trouble (saturated, blended, at the edge) are kept and say so.
    """
    usable = np.isfinite(flux) & np.isfinite(uncertainty) & (uncertainty > 0)
    bits = np.zeros(flux.shape, np.uint8) if flags is None else flags
    usable &= (bits & _UNUSABLE) == 0
    if usable.sum() < 20:
        return _nothing()
    values, noise = _filled(np.asarray(flux, float), np.asarray(uncertainty, float), usable)
    blur = BLUR_PX / binning / 2.3548
    centres, snr = _detect(values, noise, slit_px, blur, threshold)
    if len(centres) == 0:
        return _nothing()
    noise = np.where(usable, noise, np.inf)
    clipped = _clipped(values, bits, centres)
    fits = _fit_all(values, noise, centres, snr, clipped, slit_px=slit_px, blur=blur)
    peaks = _doubting(_gather(fits, snr, centres), clipped)
    return _judge(peaks, fits, bits, usable, centres)


def _nothing() -> Peaks:
    empty = np.zeros(0)
    return Peaks(empty, empty, empty, empty, empty, empty, np.zeros(0, dtype="<U40"))


def _filled(
    flux: NDArray[np.float64], sigma: NDArray[np.float64], usable: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bridge unusable pixels, and raise the noise to what the quiet pixels really show."""
    index = np.arange(len(flux))
    values = np.interp(index, index[usable], flux[usable])
    noise = np.interp(index, index[usable], sigma[usable])
    jump = values[1:-1] - (values[:-2] + values[2:]) / 2
    expected = np.sqrt(noise[1:-1] ** 2 + (noise[:-2] ** 2 + noise[2:] ** 2) / 4)
    ratio = np.abs(jump / expected)
    # the quietest half of the spectrum holds no lines; 0.319 is the quartile of |normal|
    excess = float(np.quantile(ratio, 0.25)) / 0.319
    return values, noise * max(excess, 1.0)


def _background(values: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Return a low envelope: quantiles of stretches many line widths long, joined up."""
    stretch = int(max(len(values) / 40, 12 * width, 40))
    edges = np.linspace(0, len(values), max(len(values) // stretch, 2) + 1).astype(int)
    levels = np.array([np.quantile(values[a:b], 0.3) for a, b in pairwise(edges)])
    if len(levels) >= 5:
        levels = np.minimum(levels, median_filter(levels, 5, mode="nearest"))
    middle = (edges[:-1] + edges[1:]) / 2
    return np.interp(np.arange(len(values)), middle, levels)


def _detect(
    values: NDArray[np.float64],
    noise: NDArray[np.float64],
    slit_px: float,
    blur: float,
    threshold: float,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    reach = int(np.ceil(slit_px / 2 + 4 * blur)) + 1
    offset = np.arange(-reach, reach + 1, dtype=float)
    kernel = line_image(offset, np.array(blur), np.array(max(slit_px, 0.05)))
    clean = values - _background(values, slit_px + 2.35 * blur)
    padded = np.pad(clean, reach, mode="edge")
    smooth = np.convolve(padded, kernel, mode="valid")
    spread = np.convolve(np.pad(noise**2, reach, mode="edge"), kernel**2, mode="valid")
    snr = smooth / np.sqrt(np.maximum(spread, 1e-30))
    top = np.flatnonzero((smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:])) + 1
    top = top[snr[top] > threshold]
    width = max(slit_px, 2.35 * blur)
    top = _merge(top, smooth, width)
    # local maxima on the flanks and ghosts of a bright line stand on its own light
    kept = [i for i in top if _stands_out(int(i), smooth, snr, threshold, width)]
    chosen = np.array(kept, dtype=np.intp)
    return chosen, snr[chosen]


def _merge(top: NDArray[np.intp], smooth: NDArray[np.float64], width: float) -> NDArray[np.intp]:
    """Drop maxima that no real valley parts from a higher neighbour."""
    kept: list[int] = []
    for index in top:
        while kept and index - kept[-1] < 2 * width:
            last = kept[-1]
            valley = smooth[last : index + 1].min()
            if valley < 0.9 * min(smooth[last], smooth[index]):
                kept.append(index)
                break
            if smooth[index] <= smooth[last]:
                break
            kept.pop()
        else:
            kept.append(index)
    return np.array(kept, dtype=np.intp)


def _stands_out(
    index: int,
    smooth: NDArray[np.float64],
    snr: NDArray[np.float64],
    threshold: float,
    width: float,
) -> bool:
    """Say whether a maximum rises above the valleys beside it by the threshold."""
    reach = int(np.ceil(1.5 * width)) + 1
    left = smooth[max(index - reach, 0) : index + 1].min()
    right = smooth[index : index + reach + 1].min()
    unit = smooth[index] / snr[index]
    return bool(smooth[index] - max(left, right) > threshold * unit)


def _fit_all(
    values: NDArray[np.float64],
    noise: NDArray[np.float64],
    centres: NDArray[np.intp],
    snr: NDArray[np.float64],
    clipped: NDArray[np.bool_],
    *,
    slit_px: float,
    blur: float,
) -> LineFits:
    """Fit every line, neighbours taken away, shapes following a smooth course."""
    count = len(centres)
    width = np.hypot(max(slit_px, 0.3), 2.35 * blur)
    reach = int(np.ceil(1.6 * width + 3))
    start = (centres.astype(float), np.full(count, blur), np.full(count, max(slit_px, 0.3)))
    fits = _fit_once(values, noise, start, reach, np.zeros_like(values), free_shape=True)
    for _ in range(2):
        sigma, box = _shape_course(fits, snr, clipped, slit_px, blur)
        reach = int(np.ceil(1.2 * np.max(box + 2.35 * sigma) + 3))
        centre = np.where(np.abs(fits.centre - centres) < width, fits.centre, centres)
        model = _all_light(fits, sigma, box, len(values))
        fits = _fit_once(values, noise, (centre, sigma, box), reach, model, free_shape=False)
        bright = snr > _BRIGHT
        if bright.any():
            free = _fit_once(
                values,
                noise,
                (fits.centre[bright], sigma[bright], box[bright]),
                reach,
                _all_light(fits, sigma, box, len(values)),
                free_shape=True,
                own=fits.take(bright),
            )
            fits = fits.put(bright, free)
    return fits


def _clipped(
    values: NDArray[np.float64], bits: NDArray[np.uint8], centres: NDArray[np.intp]
) -> NDArray[np.bool_]:
    """Return lines that are saturated or end at one height with others: a ceiling, not their own.

    A converter, a well or an amplifier may stop below the level that is flagged.
    """
    place = np.clip(centres[:, None] + np.arange(-2, 3), 0, len(values) - 1)
    saturated = ((bits[place] & Flag.SATURATED.value) != 0).any(axis=1)
    top = values[place].max(axis=1)
    if len(top) == 0:
        return saturated
    level = top > _CEILING * top.max()
    return saturated | (level if level.sum() >= _CEILING_LINES else np.zeros_like(saturated))


def _doubting(peaks: Peaks, clipped: NDArray[np.bool_]) -> Peaks:
    """Return the lines with the centres of clipped ones as doubtful as these are too wide."""
    whole = np.flatnonzero(~clipped & (peaks.snr > _BRIGHT))
    if len(whole) < _BESIDE or not clipped.any():
        return peaks
    sigma = peaks.sigma.copy()
    for i in np.flatnonzero(clipped):
        nearest = whole[np.argsort(np.abs(peaks.pixel[whole] - peaks.pixel[i]))[:_BESIDE]]
        excess = peaks.fwhm[i] - float(np.median(peaks.fwhm[nearest]))
        sigma[i] = np.hypot(sigma[i], _LOPSIDED * max(excess, 0.0))
    return replace(peaks, sigma=sigma)


def _shape_course(
    fits: LineFits,
    snr: NDArray[np.float64],
    clipped: NDArray[np.bool_],
    slit_px: float,
    blur: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sigma and box at each line from a smooth course through the bright ones."""
    good = (snr > _BRIGHT) & (fits.total > 0) & (fits.chi2 < 30 * np.median(fits.chi2) + 30)
    count, width = len(snr), fits.fwhm
    lonely = good & (_nearest(fits.centre) > 2.5 * np.hypot(max(slit_px, 0.3), 2.35 * blur))
    good = lonely if lonely.sum() >= 3 else good
    whole = good & ~clipped
    good = whole if whole.sum() >= 3 else good
    if good.any():
        # a fit that went astray is far narrower or wider than the others
        good &= np.abs(np.log(width / np.median(width[good]))) < 1.1
    if not good.any():
        return np.full(count, blur), np.full(count, max(slit_px, 0.3))
    order = np.flatnonzero(good)[np.argsort(fits.centre[good])]
    out = []
    for values in (fits.sigma[order], fits.box[order]):
        if len(order) < 5:
            out.append(np.full(count, np.median(values)))
            continue
        # a running median bends with the focus and, beyond the last bright line, stays put; the
        # last line itself must not decide alone what lies beyond it
        steady = median_filter(values, min(7, len(order) // 2 * 2 - 1), mode="reflect")
        out.append(np.interp(fits.centre, fits.centre[order], steady))
    return out[0], out[1]


def _all_light(
    fits: LineFits, sigma: NDArray[np.float64], box: NDArray[np.float64], length: int
) -> NDArray[np.float64]:
    """Return the spectrum of all fitted lines without background."""
    model = np.zeros(length)
    reach = int(np.ceil(np.max(box / 2 + 5 * sigma))) + 2
    offset = np.arange(-reach, reach + 1)
    whole = np.round(fits.centre).astype(int)
    place = whole[:, None] + offset
    light = line_image(place - fits.centre[:, None], sigma[:, None], box[:, None])
    light = light * np.clip(fits.total, 0, None)[:, None]
    inside = (place >= 0) & (place < length)
    np.add.at(model, place[inside], light[inside])
    return model


def _fit_once(
    values: NDArray[np.float64],
    noise: NDArray[np.float64],
    start: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    reach: int,
    model: NDArray[np.float64],
    *,
    free_shape: bool,
    own: LineFits | None = None,
) -> LineFits:
    """Cut a window around every line, take its neighbours' light away, and fit."""
    centre, sigma, box = start
    whole = np.round(centre).astype(int)
    place = whole[:, None] + np.arange(-reach, reach + 1)
    inside = (place >= 0) & (place < len(values))
    safe = np.clip(place, 0, len(values) - 1)
    data, photon = values[safe], noise[safe]
    error = photon
    if model.any():
        mine = own or LineFits(centre, centre, _amount(model, whole, sigma, box), sigma, box, box)
        light = line_image(place - mine.centre[:, None], mine.sigma[:, None], mine.box[:, None])
        others = model[safe] - light * np.clip(mine.total, 0, None)[:, None]
        others = np.clip(others, 0, None)
        data = data - others
        error = np.hypot(error, 0.05 * others)
    peak = np.clip(data.max(axis=1), 0, None)
    error = np.hypot(error, _SHAPE_ERROR * peak[:, None])
    least = 3.5 if free_shape else 2.5
    half = np.maximum(1.1 * (box + 2.35 * sigma), least)
    window = np.abs(place - centre[:, None]) <= half[:, None]
    crowd = _nearest(centre)[:, None]
    first_pass = not model.any()
    if first_pass:
        window &= np.abs(place - centre[:, None]) <= np.maximum(0.6 * crowd, 3.5)
    error = np.where(inside & window, error, np.inf)
    return fit_lines(
        data, error, place[:, 0].astype(float), start, free_shape=free_shape, photon=photon
    )


def _amount(
    model: NDArray[np.float64],
    whole: NDArray[np.intp],
    sigma: NDArray[np.float64],
    box: NDArray[np.float64],
) -> NDArray[np.float64]:
    peak = model[np.clip(whole, 0, len(model) - 1)]
    result: NDArray[np.float64] = peak / line_image(np.zeros_like(sigma), sigma, box)
    return result


def _nearest(centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of each line to its nearest neighbour, pixels."""
    gap = np.diff(centre)
    left = np.concatenate([[np.inf], gap])
    right = np.concatenate([gap, [np.inf]])
    result: NDArray[np.float64] = np.minimum(np.abs(left), np.abs(right))
    return result


def _gather(fits: LineFits, snr: NDArray[np.float64], centres: NDArray[np.intp]) -> Peaks:
    height = fits.total * line_image(np.zeros(len(fits.centre)), fits.sigma, fits.box)
    return Peaks(
        pixel=fits.centre,
        sigma=fits.centre_sigma,
        height=height,
        fwhm=fits.fwhm,
        snr=snr,
        total=fits.total,
        trouble=np.full(len(centres), "", dtype="<U60"),
    )


def _judge(
    peaks: Peaks,
    fits: LineFits,
    bits: NDArray[np.uint8],
    usable: NDArray[np.bool_],
    centres: NDArray[np.intp],
) -> Peaks:
    """Say of each line why it is not to be trusted, if so."""
    trouble = peaks.trouble.copy()
    length = len(bits)
    half = np.maximum(peaks.fwhm, 2.0) * 0.9
    typical = np.median(peaks.fwhm)
    saturated = (bits & Flag.SATURATED.value) != 0
    for i, (pixel, reach) in enumerate(zip(peaks.pixel, half, strict=True)):
        low, high = int(np.floor(pixel - reach)), int(np.ceil(pixel + reach)) + 1
        core = slice(max(low, 0), min(high, length))
        if low < 0 or high > length or not usable[core].all():
            trouble[i] = "at an edge or a bad pixel"
        elif saturated[core].any():
            trouble[i] = "saturated"
        elif abs(pixel - centres[i]) > max(typical, 2.0) or fits.total[i] <= 0:
            trouble[i] = "no centre found"
    order = np.argsort(peaks.pixel, kind="stable")
    peaks = replace(peaks, trouble=trouble).take(order)
    return _mark_blends(peaks)


def _mark_blends(peaks: Peaks) -> Peaks:
    """Mark lines whose neighbour is too near, and lines wider than their surroundings."""
    trouble = peaks.trouble.copy()
    for i in range(len(peaks)):
        for j in (i - 1, i + 1):
            if not 0 <= j < len(peaks) or trouble[i]:
                continue
            apart = abs(peaks.pixel[j] - peaks.pixel[i]) / max(peaks.fwhm[i], 1.0)
            share = peaks.height[j] / max(peaks.height[i], 1e-9)
            if (apart < 1.1 and share > 0.1) or (apart < 2.2 and share > 15):
                trouble[i] = "blended with its neighbour"
    narrow = (peaks.fwhm < 0.5 * np.median(peaks.fwhm)) & (trouble == "")
    trouble[narrow] = "too narrow: no line"
    bright = np.flatnonzero((peaks.snr > _BRIGHT) & (trouble == ""))
    if len(bright) >= 6:
        for i in bright.tolist():
            others = bright[bright != i]
            nearest = others[np.argsort(np.abs(peaks.pixel[others] - peaks.pixel[i]))[:8]]
            around = float(np.median(peaks.fwhm[nearest]))
            least, most = np.min(peaks.fwhm[nearest]), np.max(peaks.fwhm[nearest])
            if peaks.fwhm[i] > max(1.2 * around, 1.05 * most):
                trouble[i] = "too wide: blended"
            elif peaks.fwhm[i] < min(0.6 * around, 0.95 * least):
                trouble[i] = "too narrow: no line"
    return replace(peaks, trouble=trouble)
