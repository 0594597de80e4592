"""How far real light falls from the grating equation: a regularised polynomial, with its error.

The departure of matched lines from the predicted columns is described by Legendre polynomials
and one offset per lamp. Zero point and scale are free; higher terms have prior widths that fall
with their order, so that where lines are missing the grating equation holds. How large the
departures, the scatter of the lines and the offsets of the lamps are is decided by the evidence:
all sizes are tried, and the answers averaged by their marginal likelihood, so that the stated
error holds the doubt about the model as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter

from goodman_live.pipeline.core.grating import AXIS_COLUMN, HALF_SPAN

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from goodman_live.pipeline.core.grating import Dispersion

ORDER = 6
"""Highest Legendre polynomial."""
_WIDTHS = np.array([200.0, 0.01 * HALF_SPAN, 0.8, 0.8, 0.35, 0.2, 0.1])
"""Prior standard deviations of the coefficients at amplitude one, unbinned columns.

Reference arcs depart from the two-parameter model by 0.2 columns as a rule and 1.5 at worst.
"""
_AMPLITUDES = ((0.03, 0.2), (0.1, 0.3), (0.25, 0.25), (0.6, 0.17), (1.5, 0.07), (4.0, 0.01))
"""Scales of the higher coefficients, and the prior share of each."""
_SCATTERS = (0.002, 0.005, 0.01, 0.02, 0.035, 0.06, 0.1, 0.2, 0.4)
_OFFSETS = ((0.001, 0.8), (0.03, 0.07), (0.1, 0.07), (0.3, 0.06))
"""Sizes of the lamps' offsets, and the prior share of each. Lamps that agree to their errors are
taken to fall true: that both are off by the same amount would be a coincidence."""
_STRAY, _STRAY_PX, _WEIGHTY = 0.03, 0.3, 6
"""Prior share of lines pulled by what is not seen, how far, and how many of the lines that
weigh most are tried as such. A line at the end is hardly contradicted by the others, so it must
be doubted beforehand."""
_CHANCE_PX, _TRUSTED_PX = 2.0, 0.07
"""Of a list whose errors are stated: how far strays fall, which are no lines of the lamp at all,
and how much scatter beyond the stated errors is believed."""
_SLIDES, _LEAST_SLIDE = 60.0, 0.02
"""How far images slide on the detector, and the difference it must make to be considered."""
_TAIL = 0.01
"""Share of the evidence that is left out of the stated width."""
_FOCUS_CHANGE, _FOCUS_LINES = 1.3, 8
"""Ratio of widest to sharpest line, and number of lines, from which defocus is considered."""


def legendre(column: ArrayLike) -> NDArray[np.float64]:
    """Return P0 to P6 at unbinned columns, shape (..., 7)."""
    t = (np.asarray(column, dtype=float) - AXIS_COLUMN) / HALF_SPAN
    return np.polynomial.legendre.legvander(t, ORDER).reshape((*t.shape, ORDER + 1))


@dataclass(frozen=True, slots=True, eq=False)
class Slide:
    """Light moved across the detector instead of turned about the grating.

    A camera at another angle bends the axis a little differently than an image that slid on the
    detector: by 0.3 columns at the ends for a shift of 60.
    """

    coefficients: NDArray[np.float64]
    """Legendre coefficients of the difference, unbinned columns, shape (7,)."""
    share: float
    """Prior probability that light slid."""


def slide_of(prior: Dispersion, shift: float, stretch: float) -> Slide:
    """Return how a slide by `shift` differs from the turn that `prior.moved` makes of it."""
    column = AXIS_COLUMN + np.linspace(-1.0, 1.0, 33) * HALF_SPAN
    start = prior.column(prior.moved(shift, stretch).wavelength(column))
    slid = AXIS_COLUMN + (start - AXIS_COLUMN) * (1 + stretch) + shift
    inside = np.isfinite(slid)
    if inside.sum() <= ORDER + 1:
        return Slide(np.zeros(ORDER + 1), 0.0)
    difference = (slid - column)[inside]
    coefficients = np.linalg.lstsq(legendre(column[inside]), difference, rcond=None)[0]
    return Slide(
        np.asarray(coefficients, dtype=float), 0.5 * float(np.exp(-0.5 * (shift / _SLIDES) ** 2))
    )


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """Departure from the grating equation, in unbinned columns."""

    coefficients: NDArray[np.float64]
    """Legendre coefficients, shape (7,)."""
    covariance: NDArray[np.float64]
    """Their covariance, doubt about the model included, shape (7, 7)."""
    offsets: dict[str, tuple[float, float]]
    """Displacement of each lamp from the axis, which lies midway between them, at the mean of the
    lines, and its error; empty for a single lamp."""
    differences: dict[str, tuple[float, float]]
    """The same from the first lamp."""
    constant: dict[str, float]
    """Part of each lamp's displacement that is the same everywhere."""
    defocused: dict[str, float]
    """Part that goes with the blur, where the blur is one."""
    blur: tuple[NDArray[np.float64], NDArray[np.float64]]
    """Columns, and the blur beyond the best focus there, one at the mean of the lines."""
    scatter: float
    """Scatter of the lines beyond their own errors."""
    residual: NDArray[np.float64]
    """Observed minus fitted column of each line, shape (n,)."""
    left_out: NDArray[np.float64]
    """Residual of each line from the fit to all others, shape (n,)."""
    left_out_sigma: NDArray[np.float64]
    """Expected size of `left_out`, shape (n,)."""
    leverage: NDArray[np.float64]
    """Share of each line in its own fitted column, shape (n,)."""
    freedom: float
    """Effective number of fitted parameters."""
    stray: int | None
    """Line that is more likely pulled astray than not, if there is one."""
    slide: Slide | None = None
    """The other way that light may have moved, which the fit considered."""

    def at(self, column: ArrayLike) -> NDArray[np.float64]:
        """Return the departure at columns predicted by the grating equation."""
        result: NDArray[np.float64] = legendre(column) @ self.coefficients
        return result

    def offset(self, lamp: str, column: ArrayLike) -> NDArray[np.float64]:
        """Return how far a lamp's lines fall from the axis at columns."""
        share = np.interp(np.asarray(column, dtype=float), *self.blur)
        result: NDArray[np.float64] = self.constant.get(lamp, 0.0) + share * self.defocused.get(
            lamp, 0.0
        )
        return result

    def sigma(self, column: ArrayLike) -> NDArray[np.float64]:
        """Return the standard deviation of the departure at columns.

        Which lamp falls true cannot be known from them: half of what they differ by is in it.
        """
        basis = legendre(column)
        variance = np.einsum("...i,ij,...j->...", basis, self.covariance, basis)
        lamps = [self.offset(name, column) for name in self.constant]
        apart = np.ptp(lamps, axis=0) if lamps else 0.0
        return np.sqrt(np.clip(variance, 0, None) + (apart / 2) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Fits with every size of scatter, departure and lamp offset."""

    evidence: NDArray[np.float64]
    """Log marginal likelihoods, shape (m,)."""
    mean: NDArray[np.float64]
    """Coefficients, shape (m, p)."""
    covariance: NDArray[np.float64]
    """Their covariances, shape (m, p, p)."""
    scatter: NDArray[np.float64]
    """Assumed scatter of the lines, shape (m,)."""

    def best(self) -> int:
        """Return the likeliest run."""
        return int(np.argmax(self.evidence))


def fit_departure(
    predicted: NDArray[np.float64],
    departure: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lamp: NDArray[np.str_],
    fwhm: NDArray[np.float64] | None = None,
    *,
    slide: Slide | None = None,
    stated: bool = False,
    doubting: bool = True,
) -> Departure:
    """Fit the departures of matched lines from the grating equation.

    Parameters
    ----------
    predicted : ndarray of float64
        Columns where the grating equation puts the lines, shape (n,).
    departure : ndarray of float64
        Observed minus predicted columns, shape (n,).
    sigma : ndarray of float64
        Standard deviation of the observed columns, shape (n,).
    lamp : ndarray of str
        Lamp of each line, shape (n,).
    fwhm : ndarray of float64, optional
        Widths of the lines, shape (n,). A lamp that fills the pupil off-centre is displaced in
        proportion to the defocus, so where the focus varies this is tried as well.
    slide : Slide, optional
        What it means for the axis if light slid instead of turned; the evidence decides.
    stated : bool
        The errors came with a list of lines, which may hold some that are none of the lamp's.
    doubting : bool
        Consider of the lines that weigh most that each may be pulled astray.
    """
    lamps = sorted(set(lamp.tolist()))
    design = legendre(predicted)
    blur = _blur(predicted, fwhm)
    if len(lamps) > 1:
        share = np.interp(predicted, *blur)
        own = np.stack([lamp == name for name in lamps], axis=1) @ _apart(len(lamps))
        design = np.hstack([design, own, own * share[:, None]])
    means = _means(design.shape[1], slide)
    belief = -np.array(_SCATTERS) / _TRUSTED_PX * stated
    first = _all_runs(design, departure, sigma, len(lamps), means, belief)
    tried = _weightiest(design, sigma, first) if doubting else []
    far = _CHANCE_PX if stated else _STRAY_PX
    every = [first] + [
        _all_runs(design, departure, _without(sigma, k, far), len(lamps), means, belief)
        for k in tried
    ]
    runs = _joined(every, [0.0] + [np.log(_STRAY / (1 - _STRAY))] * len(tried))
    weight = _without_tail(np.exp(runs.evidence - runs.evidence.max()))
    mean = weight @ runs.mean
    apart = runs.mean - mean
    covariance = np.einsum("m,mij->ij", weight, runs.covariance)
    covariance += np.einsum("m,mi,mj->ij", weight, apart, apart)
    best = runs.best()
    guilt = weight.reshape(len(every), -1).sum(axis=1)
    guilty = int(np.argmax(guilt))
    stray = tried[guilty - 1] if guilty and guilt[guilty] > 0.5 else None
    doubted = best // len(first.evidence)
    noise = _without(sigma, tried[doubted - 1], far) if doubted else sigma
    noise = np.hypot(noise, runs.scatter[best])
    leverage = np.einsum("ij,jk,ik->i", design, runs.covariance[best], design) / noise**2
    leverage = np.clip(leverage, 0, 0.999)
    size = ORDER + 1
    return Departure(
        coefficients=mean[:size],
        covariance=covariance[:size, :size],
        offsets=_offsets(mean, covariance, lamps),
        differences=_differences(mean, covariance, lamps),
        constant=_parts(mean, lamps, 0),
        defocused=_parts(mean, lamps, 1),
        blur=blur,
        scatter=float(weight @ runs.scatter),
        residual=departure - design @ mean,
        left_out=(departure - design @ runs.mean[best]) / (1 - leverage),
        left_out_sigma=noise / np.sqrt(1 - leverage),
        leverage=leverage,
        freedom=float(leverage.sum()),
        stray=stray,
        slide=slide,
    )


def _means(size: int, slide: Slide | None) -> list[tuple[NDArray[np.float64], float]]:
    """Return prior means of all coefficients, with the share of each."""
    turned = np.zeros(size)
    if slide is None or np.abs(slide.coefficients[2:]).max() < _LEAST_SLIDE:
        return [(turned, 1.0)]
    slid = np.concatenate([slide.coefficients, np.zeros(size - ORDER - 1)])
    return [(turned, 1 - slide.share), (slid, max(slide.share, 1e-12))]


def _without_tail(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shares of runs without the least likely, which together hold a hundredth.

    What is a hundred times less likely would else make up most of the stated width.
    """
    order = np.argsort(weight)
    tail = np.cumsum(weight[order]) < _TAIL * weight.sum()
    weight = weight.copy()
    weight[order[tail]] = 0.0
    result: NDArray[np.float64] = weight / weight.sum()
    return result


def _apart(lamps: int) -> NDArray[np.float64]:
    """Return orthonormal ways in which lamps differ, their mean being zero; shape (l, l - 1)."""
    away = np.eye(lamps)[:, 1:] - 1 / lamps
    result: NDArray[np.float64] = np.linalg.qr(away)[0]
    return result


def _weightiest(design: NDArray[np.float64], sigma: NDArray[np.float64], runs: _Runs) -> list[int]:
    """Return the lines that pull the likeliest fit most, where there are enough to do without."""
    best = runs.best()
    noise = np.hypot(sigma, runs.scatter[best])
    leverage = np.einsum("ij,jk,ik->i", design, runs.covariance[best], design) / noise**2
    count = min(_WEIGHTY, max(len(sigma) - 4, 0))
    return [int(k) for k in np.argsort(-leverage)[:count]]


def _without(sigma: NDArray[np.float64], index: int, far: float) -> NDArray[np.float64]:
    """Return the errors with one line taken for astray by `far`."""
    out = sigma.copy()
    out[index] = np.hypot(out[index], far)
    return out


def _joined(runs: list[_Runs], priors: list[float]) -> _Runs:
    return _Runs(
        np.concatenate([r.evidence + prior for r, prior in zip(runs, priors, strict=True)]),
        np.concatenate([r.mean for r in runs]),
        np.concatenate([r.covariance for r in runs]),
        np.concatenate([r.scatter for r in runs]),
    )


def _all_runs(
    design: NDArray[np.float64],
    departure: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lamps: int,
    means: list[tuple[NDArray[np.float64], float]],
    belief: NDArray[np.float64],
) -> _Runs:
    scatter = np.array(_SCATTERS)
    weight = 1 / (sigma**2 + scatter[:, None] ** 2)
    normal = np.einsum("ni,sn,nj->sij", design, weight, design, optimize=True)
    width, share = _prior_widths(lamps)
    count, size = width.shape
    precision = normal[:, None] + np.eye(size) / width[:, None, :] ** 2
    covariance = np.linalg.inv(precision)
    logdet = np.linalg.slogdet(precision)[1] + 2 * np.log(width).sum(axis=1)
    runs = []
    for middle, part in means:
        rest = departure - design @ middle
        pull = np.einsum("ni,sn->si", design, weight * rest)
        fixed = np.sum(weight * rest**2 - np.log(weight), axis=1)
        mean = np.einsum("saij,sj->sai", covariance, pull)
        evidence = -0.5 * (fixed[:, None] - np.einsum("si,sai->sa", pull, mean) + logdet)
        evidence += belief[:, None] + np.log(share) + np.log(part)
        runs.append(
            _Runs(
                evidence.ravel(),
                mean.reshape(-1, size) + middle,
                covariance.reshape(-1, size, size),
                np.repeat(scatter, count),
            )
        )
    return runs[0] if len(runs) == 1 else _joined(runs, [0.0] * len(runs))


def _prior_widths(lamps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return prior widths for every amplitude and offset, shape (a, p), and their shares."""
    if lamps == 1:
        rows = [_scaled(amplitude) for amplitude, _ in _AMPLITUDES]
        return np.array(rows), np.array([share for _, share in _AMPLITUDES])
    rows, shares = [], []
    nothing = np.full(lamps - 1, 1e-4)
    for (amplitude, part), (offset, share) in product(_AMPLITUDES, _OFFSETS):
        some = np.full(lamps - 1, offset)
        rows.append(np.concatenate([_scaled(amplitude), some, nothing]))
        rows.append(np.concatenate([_scaled(amplitude), nothing, some]))
        shares += [part * share / 2, part * share / 2]
    return np.array(rows), np.array(shares)


def _scaled(amplitude: float) -> NDArray[np.float64]:
    width = _WIDTHS.copy()
    width[2:] *= amplitude
    return width


def _blur(
    column: NDArray[np.float64], fwhm: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return columns and blur beyond the best focus, one on average; one everywhere if steady."""
    flat = np.array([AXIS_COLUMN]), np.array([1.0])
    if fwhm is None or len(fwhm) < _FOCUS_LINES or not np.all(fwhm > 0):
        return flat
    order = np.argsort(column)
    width: NDArray[np.float64] = median_filter(fwhm[order], 5, mode="reflect")
    sharpest = float(np.min(width))
    if float(np.max(width)) < _FOCUS_CHANGE * sharpest:
        return flat
    blur = np.sqrt(width**2 - sharpest**2)
    return column[order], blur / blur.mean()


def _parts(mean: NDArray[np.float64], lamps: list[str], part: int) -> dict[str, float]:
    if len(lamps) < 2:
        return {}
    first = ORDER + 1 + part * (len(lamps) - 1)
    values = _apart(len(lamps)) @ mean[first : first + len(lamps) - 1]
    return {name: float(value) for name, value in zip(lamps, values, strict=True)}


def _contrast(lamps: list[str], of: int, minus: int | None, size: int) -> NDArray[np.float64]:
    """Return the vector that reads a displacement off the coefficients."""
    vector = np.zeros(size)
    ways = _apart(len(lamps))
    own = ways[of] - (ways[minus] if minus is not None else 0.0)
    for part in (0, 1):
        first = ORDER + 1 + part * (len(lamps) - 1)
        vector[first : first + len(lamps) - 1] += own
    return vector


def _read(
    vector: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> tuple[float, float]:
    return float(vector @ mean), max(float(vector @ covariance @ vector), 0.0) ** 0.5


def _offsets(
    mean: NDArray[np.float64], covariance: NDArray[np.float64], lamps: list[str]
) -> dict[str, tuple[float, float]]:
    if len(lamps) < 2:
        return {}
    return {
        name: _read(_contrast(lamps, k, None, len(mean)), mean, covariance)
        for k, name in enumerate(lamps)
    }


def _differences(
    mean: NDArray[np.float64], covariance: NDArray[np.float64], lamps: list[str]
) -> dict[str, tuple[float, float]]:
    return {
        name: _read(_contrast(lamps, k, 0, len(mean)), mean, covariance)
        for k, name in enumerate(lamps)
        if k > 0
    }
