"""The image of a slit in direct light: a slit leaves nothing of the sky but a stripe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from goodman_live.pipeline.core.frame import Frame

PIXEL_ARCSEC = 0.15
"""Side of an unbinned pixel."""
_STRETCHES = 12
"""Parts of the slit that are measured each by itself."""
_TRIM = 0.12
"""Part of the rows at either end that is left out of a mean: stars and cosmic rays."""
_CLEAR = 8.0
"""Sigma at which a stripe is believed."""
_STRIPE = (0.55, 1.9)
"""Least and largest width of a stripe over what slit and blur lead to expect."""
BLUR_PX = 2.2
"""Usual blur of an edge, FWHM in unbinned pixels."""
_LEANS = np.linspace(-0.012, 0.012, 13)
"""Leans of a slit, columns by row, that are tried."""
_NARROWEST_PX = 2.0
"""A stripe narrower than this, in unbinned pixels, is a bad column."""


@dataclass(frozen=True, slots=True)
class SlitImage:
    """The image of a slit in direct light, in unbinned readout coordinates."""

    column: float
    """Column of its middle at `row`."""
    row: float
    """Middle row of what was measured."""
    lean: float
    """Change of the column by row."""
    error_px: float
    """Error of `column`, pixels."""
    fwhm_px: float
    """Width at half height, pixels."""
    fwhm_error_px: float
    """Its error."""
    stretches: int
    """Parts of the slit that show it."""
    snr: float
    """How clearly it stands out, sigma."""

    def at(self, row: ArrayLike) -> NDArray[np.float64]:
        """Return the column of the slit's middle at unbinned rows."""
        return np.asarray(self.column + self.lean * (np.asarray(row, float) - self.row))


def find_slit(
    frame: Frame, slit_arcsec: float | None, *, blur_px: float = BLUR_PX
) -> SlitImage | None:
    """Return the slit's place in a direct image, None if the light is not limited by a slit.

    Parameters
    ----------
    frame : Frame
        Without bias level, with uncertainty.
    slit_arcsec : float or None
        Width as the header has it; without one nothing is looked for.
    blur_px : float
        Blur that is expected of its image, FWHM in unbinned pixels.
    """
    if slit_arcsec is None:
        return None
    window = frame.window
    bins = window.xbin
    wide = float(np.hypot(slit_arcsec / PIXEL_ARCSEC, blur_px)) / bins
    stretches = _profiles(frame)
    if not len(stretches):
        return None
    unbinned = window.rows_unbinned()
    heights = np.array([part.mean() for part in np.array_split(unbinned, len(stretches))])
    found = _leaning(stretches, (heights - heights.mean()) / bins, wide, bins)
    if found is None:
        return None
    middle, wide, snr, lean = found  # from here on as wide as it is
    centres, widths, rows = [], [], []
    for number, profile in enumerate(stretches):
        expected = middle + lean * (heights[number] - heights.mean()) / bins
        one = _edges(profile, round(expected), wide)
        if one is not None and abs(one[0] - expected) < max(3.0, wide):
            centres.append(one[0])
            widths.append(one[1])
            rows.append(float(heights[number]))
    if len(centres) < max(2, len(stretches) // 3):
        return None
    columns = window.x0 + bins * np.array(centres) + (bins - 1) / 2
    row, at, lean, error = _line(np.array(rows), columns)
    typical = float(np.median(widths)) * bins
    spread = 1.4826 * float(np.median(np.abs(np.array(widths) - np.median(widths)))) * bins
    return SlitImage(
        column=at,
        row=row,
        lean=lean,
        error_px=error,
        fwhm_px=typical,
        fwhm_error_px=1.2533 * max(spread, 0.01 * typical) / np.sqrt(len(widths)),
        stretches=len(centres),
        snr=snr,
    )


def _profiles(frame: Frame) -> NDArray[np.float64]:
    """Return the trimmed mean along the rows of each stretch, shape (stretches, nx)."""
    data = np.where(frame.flags == 0, frame.data, np.nan).astype(float)
    parts = np.array_split(np.arange(data.shape[0]), min(_STRETCHES, data.shape[0] // 8 or 1))
    found = []
    for part in parts:
        some = np.sort(data[part], axis=0)
        cut = int(_TRIM * len(part))
        kept = some[cut : len(part) - cut]
        count = np.isfinite(kept).sum(axis=0)
        mean = np.nansum(kept, axis=0) / np.maximum(count, 1)
        if count.any():
            # columns without a good pixel are as dark as most
            found.append(np.where(count > 0, mean - np.median(mean[count > 0]), 0.0))
    return np.array(found)


def _leaning(
    stretches: NDArray[np.float64], heights: NDArray[np.float64], wide: float, bins: int
) -> tuple[float, float, float, float] | None:
    """Return middle, width, clearness and lean of a stripe that may lean."""
    best = None
    for lean in _LEANS:
        moved = [
            np.roll(profile, -round(lean * height))
            for profile, height in zip(stretches, heights, strict=True)
        ]
        found = _stripe(np.median(moved, axis=0), wide, bins)
        if found is not None and (best is None or found[2] > best[2]):
            best = (*found, float(lean))
    return best


def _stripe(
    profile: NDArray[np.float64], wide: float, bins: int
) -> tuple[float, float, float] | None:
    """Return middle, width (binned pixels) and clearness of the stripe in a profile."""
    values = np.nan_to_num(profile)
    size = max(1, round(wide))
    kernel = np.ones(size) / np.sqrt(size)
    score = np.convolve(values, kernel, mode="same")
    noise = 1.4826 * float(np.median(np.abs(score - np.median(score))))
    peak = int(np.argmax(score))
    snr = float((score[peak] - np.median(score)) / max(noise, 1e-9))
    edges = _edges(values, peak, wide)
    if snr < _CLEAR or edges is None:
        return None
    middle, fwhm = edges
    if fwhm < max(_NARROWEST_PX / bins, 1.2) or not _STRIPE[0] * wide <= fwhm <= _STRIPE[1] * wide:
        return None
    return middle, fwhm, snr


def _edges(profile: NDArray[np.float64], near: int, wide: float) -> tuple[float, float] | None:
    """Return middle and width between the places of half height of a stripe."""
    reach = int(3 * wide) + 4
    first = max(0, near - reach)
    some = np.nan_to_num(profile[first : near + reach + 1])
    if some.size < 5:
        return None
    floor = float(np.median(np.concatenate([some[:3], some[-3:]])))
    inner = slice(max(0, near - first - int(wide)), min(some.size, near - first + int(wide) + 1))
    # the height of the plateau, not of its highest pixel: a wide slit is flat and noisy
    height = float(np.mean(np.sort(some[inner])[-max(1, round(0.6 * wide)) :])) - floor
    if height <= 0:
        return None
    half = floor + height / 2
    top = inner.start + int(np.argmax(some[inner]))
    left, right = top, top
    while left > 0 and some[left - 1] > half:
        left -= 1
    while right < some.size - 1 and some[right + 1] > half:
        right += 1
    if left == 0 or right == some.size - 1:
        return None
    low = left - (some[left] - half) / max(some[left] - some[left - 1], 1e-9)
    high = right + (some[right] - half) / max(some[right] - some[right + 1], 1e-9)
    return first + float(low + high) / 2, float(high - low)


def _line(
    rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    """Return middle row, column there, slope and error of a robust line."""
    middle = float(rows.mean())
    kept = np.ones(rows.size, bool)
    for _ in range(5):
        degree = 1 if kept.sum() > 3 else 0
        terms = np.polynomial.polynomial.polyfit(rows[kept] - middle, columns[kept], degree)
        away = columns - np.polynomial.polynomial.polyval(rows - middle, terms)
        spread = 1.4826 * float(np.median(np.abs(away[kept])))
        kept = np.abs(away) <= 4 * max(spread, 0.02)
    spread = float(np.sqrt(np.mean(away[kept] ** 2)))
    slope = float(terms[1]) if degree else 0.0
    return middle, float(terms[0]), slope, max(spread, 0.02) / np.sqrt(kept.sum())
