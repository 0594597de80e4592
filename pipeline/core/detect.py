"""Significance along the slit: a matched filter that carries its own local background."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import bottleneck as bn
import numpy as np
from scipy import fft

from goodman_live.pipeline.core.profile import gaussian

if TYPE_CHECKING:
    from numpy.typing import NDArray

REACH = 9.0
"""Half height of the local background in widths: a shorter one costs a tenth of the signal."""
LONG = 48.0
"""Rows from which it is kept short, since light along a slit is not even."""
_CORRELATED = 1.06
"""Rows over which significances hang together, in widths of the source."""
_MEDIAN_ERROR = 1.17
"""Relative error of a scatter from the median deviation, times the root of the number."""
FEW = 8
"""Profiles up to which every digit counts."""


def significance(
    profile: NDArray[np.float64], weight: NDArray[np.float64], fwhm: float
) -> NDArray[np.float64]:
    """Return the significance of a source of given width at every row.

    At each row a Gaussian and a constant are fitted by weighted least squares to the rows
    around it; the result is the Gaussian's area over its standard deviation. Edges and masked
    rows are rows of no weight.

    Parameters
    ----------
    profile, weight : ndarray of float64
        Profiles and the inverse of their variance, shape (k, n).
    fwhm : float
        Width of the source, rows.

    Returns
    -------
    ndarray of float64
        Significance in standard deviations as stated by the weights, shape (k, n); zero where
        less than half of the source is covered.
    """
    n = profile.shape[1]
    # Many pieces are looked over in single precision; few, and the brightest, in double.
    kind = np.float32 if profile.shape[0] > FEW else np.float64
    size, kernels = _kernels(n, round(fwhm, 2), kind)
    power = fft.rfft(weight.astype(kind), size, axis=1)
    signal = fft.rfft((weight * profile).astype(kind), size, axis=1)

    def correlate(spectrum: NDArray[np.complexfloating], kernel: int) -> NDArray[np.floating]:
        return np.asarray(fft.irfft(spectrum * kernels[kernel], size, axis=1)[:, :n])

    a11, ak1 = correlate(power, 0), correlate(power, 1)
    akk, a1d = correlate(power, 2), correlate(signal, 0)
    akd = correlate(signal, 1)
    tiny = 1e-9 * np.maximum(a11.max(axis=1, keepdims=True), 1e-30)
    a11 = np.maximum(a11, tiny)
    own = akk - ak1**2 / a11
    full = akk.max(axis=1, keepdims=True)
    covered = own > np.maximum(0.35 * np.median(akk, axis=1, keepdims=True), 0.02 * full)
    top = akd - ak1 * a1d / a11
    return np.where(covered, top / np.sqrt(np.where(covered, own, 1.0)), 0.0).astype(float)


@lru_cache(maxsize=64)
def _kernels(
    n: int, fwhm: float, kind: type[np.floating]
) -> tuple[int, tuple[NDArray[np.complexfloating], ...]]:
    """Return the FFT size and the transforms of box, source and squared source."""
    reach = int(np.ceil(max(REACH * fwhm, 12) if REACH * fwhm < LONG else max(5 * fwhm, LONG)))
    offset = np.arange(-reach, reach + 1)
    source = gaussian(offset, fwhm)
    size = fft.next_fast_len(n + 2 * reach + 1, real=True)
    transforms = []
    for kernel in (np.ones_like(source), source, source**2):
        padded = np.zeros(size, dtype=kind)
        padded[offset] = kernel  # negative offsets wrap around, as the transform expects
        transforms.append(fft.rfft(padded))
    return size, tuple(transforms)


def scatter_of(score: NDArray[np.float64], fwhm: float) -> NDArray[np.float64]:
    """Return the robust scatter of significances along the slit, (k, n) to (k,).

    Zero where too few rows are covered. A scatter that may be one but for the few independent
    rows it is measured on counts as one: noise alone would else hide one faint star in ten.

    Parameters
    ----------
    score : ndarray of float64
        From `significance`, shape (k, n).
    fwhm : float
        Width that they were sought with, rows.
    """
    used = np.where(score == 0, np.nan, score)
    scatter = np.zeros(score.shape[0])
    with np.errstate(all="ignore"):
        rows = np.isfinite(used).sum(axis=1) > 20
        if rows.any():
            middle = bn.nanmedian(used[rows], axis=1)[:, None]
            scatter[rows] = 1.4826 * bn.nanmedian(np.abs(used[rows] - middle), axis=1)
        independent = np.isfinite(used[rows]).sum(axis=1) / max(_CORRELATED * fwhm, 1.0)
        error = _MEDIAN_ERROR / np.sqrt(np.maximum(independent, 1.0))
        excess = np.clip(scatter[rows] - 1, 0, None)
        scatter[rows] -= np.clip(np.minimum(excess, 2 * error - excess), 0, None)
    return scatter


def normalised(
    score: NDArray[np.float64], fwhm: float, least: float | NDArray[np.float64] = 1.0
) -> NDArray[np.float64]:
    """Return significances divided by their own robust scatter where it exceeds `least`.

    Ripple of the flat and residuals of sky lines scatter by more than the photons explain.
    Shape (k, n) in and out; `fwhm` is the width sought, `least` one number or one for each
    profile.
    """
    return np.asarray(score / np.maximum(scatter_of(score, fwhm), least)[:, None])
