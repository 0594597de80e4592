"""Sources in the spectrum stacked along a path: found one by one, fitted all together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.detect import normalised, significance
from goodman_live.pipeline.core.follow import scaled
from goodman_live.pipeline.core.profile import ProfileFit, Shape, ShapeName, fit_profiles
from goodman_live.pipeline.core.score import SEEING_ROWS, WIDTHS, Peak, caution, summit, wander
from goodman_live.pipeline.core.series import Series
from goodman_live.pipeline.core.windows import Piece, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.blocks import Blocks

WORST = 2.0
"""Times that width to which seeing may widen point sources."""
WIDEST_ROWS = 100.0
"""Widest source, unbinned rows FWHM (15 arcsec): wider light is sky to a long slit."""
NARROWEST = 2.4
"""Narrowest source, unbinned rows FWHM (0.35 arcsec): nothing sharper is light."""
FLOOR = 0.04
"""Error of a source's fitted shape as a share of it: what stands within is not a neighbour."""
GATE = 0.9
"""Share of its threshold at which a narrow peak is looked at by a fit."""
DIP = 6.0
"""Standard deviations of a dip that divides one wide source into two."""
DEEP = 0.04
"""Least depth of such a dip as a share of the lower peak: rows differ in the flat."""
CLEAR = 5.0
"""Times its threshold at which a wide source may be judged by what is left without it."""
MOST_REFUSED = 4
"""Peaks that prove to be no source after which the search ends: fits are dear."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A source in the slit; rows and widths are those of the blocks it was found in."""

    path: Series
    """Row against scaled column."""
    snr: float
    """Significance over the piece it was found in."""
    fwhm: float
    """Width, rows."""
    shape: Shape
    """Shape along the slit."""
    piece: Piece
    """Where along the spectrum it was seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """All that was found, with what a page needs to draw it."""

    found: tuple[Found, ...]
    """Sources, brightest first."""
    profile: NDArray[np.float64]
    """Profile stacked along the trace of the brightest, shape (rows,)."""
    sigma: NDArray[np.float64]
    """Its standard deviation, infinite where no pixel is usable."""
    fit: ProfileFit | None
    """The joint fit to the profile; None without a source in it."""
    columns: int
    """Columns stacked into the profile."""


def search_stack(
    blocks: Blocks,
    raw: Blocks,
    path: Series,
    shape: ShapeName,
    seeing: float,
    most: int,
    peak: Peak | None,
) -> Search:
    """Find and fit sources in the spectrum stacked along a path."""
    u = scaled(blocks, blocks.columns)
    # The stack refers to the middle column: rows there are rows of the frame.
    shift = path(u) - path(np.zeros(1))
    count = blocks.columns.size
    chosen = [Piece(0, count, 0.0, t, whole=True) for t in ("flat", "sky")]
    if peak is not None and not peak.piece.whole:
        chosen.append(replace(peak.piece, slope=0.0))
    profile, weight = stack(blocks, chosen, shift)
    dark = stack(blocks, chosen, shift, photons=False)[1]
    uneven = stack(raw, chosen, shift, photons=False)[0]
    best: tuple[float, Search] | None = None
    for i, piece in enumerate(chosen):
        data = _Stacked(profile[i], weight[i], dark[i], uneven[i], piece)
        search = _fit_stack(data, path, shape, seeing, most)
        search = replace(search, columns=blocks.width * (piece.last - piece.first))
        rank = max((f.snr / f.piece.threshold for f in search.found), default=0.0)
        value = len(search.found) + 0.1 * min(rank, 9.0) / 9.0
        if best is None or value > best[0] + 1e-9:
            best = (value, search)
    assert best is not None  # noqa: S101 (there are always two templates)
    return best[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Stacked:
    """A stacked profile; arrays of shape (rows,)."""

    profile: NDArray[np.float64]
    weight: NDArray[np.float64]
    """One over its variance."""
    dark: NDArray[np.float64]
    """The same without the sources' photons."""
    uneven: NDArray[np.float64]
    """The profile with its slow changes along the slit."""
    piece: Piece


def _fit_stack(
    data: _Stacked,
    path: Series,
    shape: ShapeName,
    seeing: float,
    most: int,
) -> Search:
    """Find, fit all found together, subtract, find again."""
    profile, piece = data.profile, data.piece
    sigma, unlit = _sigma(data.weight), _sigma(data.dark)
    centres: list[float] = []
    widths: list[float] = []
    own: list[bool] = []
    scores: list[float] = []
    fit: ProfileFit | None = None
    refused: list[tuple[float, float]] = []
    while len(centres) < most and len(refused) < MOST_REFUSED:
        noise = sigma if fit else unlit
        taken = [*zip(centres, widths, strict=True), *refused]
        fresh = _next(data, noise, fit, taken, seeing)
        if fresh is None:
            break
        row, width, score, limit = fresh
        typical = fit.shapes[0].fwhm if fit else width
        own.append(not centres or score > 25 or width > 1.8 * typical)
        # An extended source may have been noticed as narrow: the first fit begins at all widths.
        starts = [width * f for f in WIDTHS] if fit is None else [width if own[-1] else typical]
        trials = [
            fit_profiles(
                profile,
                sigma,
                [*centres, row],
                [*widths, start],
                name=shape,
                own_width=own,
                tolerance=FLOOR / 2,
            )
            for start in starts
            if start < profile.size / 4 or start == starts[0]
        ]
        trial = min(trials, key=lambda t: float(np.abs((profile - t.model) / sigma).sum()))
        sound = _sound(trial, typical, WIDEST_ROWS * seeing / SEEING_ROWS)
        # The fit knows the shape, and a background from the whole slit: it sees a little more.
        sure = max(
            score, min(float(trial.flux[-1] / max(trial.flux_sigma[-1], 1e-30)), score / GATE)
        )
        if not sound or sure < limit or not _stands(data, noise, fit, trial, typical, seeing):
            own.pop()
            refused.append((row, width))
            continue
        scores.append(score)
        pair = _twins(profile, sigma, trial)
        if pair is not None and len(centres) + 1 < most:
            apart = pair[1] - pair[0]
            others = list(trial.centre[:-1])
            split = fit_profiles(
                profile,
                sigma,
                [*others, *pair],
                [*(s.fwhm for s in trial.shapes[: len(others)]), apart / 1.6, apart / 1.6],
                name=shape,
                own_width=[*own, False],
                tolerance=FLOOR / 2,
            )
            if _sound(split, split.shapes[-1].fwhm, WIDEST_ROWS * seeing / SEEING_ROWS):
                trial = split
                own.append(False)
                scores.append(score)
        fit = trial
        centres, widths = list(fit.centre), [s.fwhm for s in fit.shapes]
    found: list[Found] = []
    if fit is not None:
        for k in np.argsort(-fit.flux):
            series = Series(path.coefficients.copy(), path.keep, path.loo)
            series.coefficients[0] += centres[k] - float(path(np.zeros(1))[0])
            found.append(Found(series, scores[k], widths[k], fit.shapes[k], piece))
    return Search(tuple(found), profile, sigma, fit, piece.last - piece.first)


def _sigma(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(weight > 0, 1 / np.sqrt(np.where(weight > 0, weight, 1)), np.inf)


def _next(
    data: _Stacked,
    sigma: NDArray[np.float64],
    fit: ProfileFit | None,
    taken: Sequence[tuple[float, float]],
    seeing: float,
) -> tuple[float, float, float, float] | None:
    """Return row, width and significance of the next source, and what it must reach.

    It is worth a fit from a little below.
    """
    profile = data.profile
    model = fit.model - fit.background if fit else np.zeros_like(profile)
    peaked = np.maximum(model, np.maximum(np.roll(model, 1), np.roll(model, -1)))
    variance = sigma**2 + (FLOOR * peaked) ** 2
    weight = np.where(np.isfinite(variance), 1 / variance, 0.0)
    base = fit.shapes[0].fwhm if fit else seeing
    best = None
    for factor in (1.0, *WIDTHS[1:]):
        width = base * factor
        if width > profile.size / 4:
            continue
        score = _score_at(data, weight, model, width)
        for centre, own in taken:
            near = int(np.ceil(0.8 * max(own, base)))
            score[max(round(centre) - near, 0) : round(centre) + near + 1] = 0
        limit = data.piece.threshold * caution(weight > 0, width, _point_width(fit, seeing))
        k = int(np.argmax(score / limit))
        gate = limit[k] * (GATE if factor == 1 else 1.0)
        if score[k] > gate and (best is None or score[k] > 1.1 * best[2]):
            best = (summit(score, k), width, float(score[k]), float(limit[k]))
    return best


def _point_width(fit: ProfileFit | None, seeing: float) -> float:
    """Return the width of a point source: the brightest source's where that may be one."""
    return float(np.clip(fit.shapes[0].fwhm, seeing, WORST * seeing)) if fit else seeing


def _twins(
    profile: NDArray[np.float64], sigma: NDArray[np.float64], fit: ProfileFit
) -> tuple[float, float] | None:
    """Return the rows of two peaks that the newest source of a fit covers, if there are two.

    Stars closer than two widths look like one wide source to the filter that finds them, but
    there is a dip between them.
    """
    centre, fwhm = float(fit.centre[-1]), fit.shapes[-1].fwhm
    low, high = (
        max(int(centre - 1.5 * fwhm), 1),
        min(int(centre + 1.5 * fwhm) + 2, profile.size - 1),
    )
    if high - low < 5 or not np.isfinite(sigma[low - 1 : high + 1]).all():
        return None
    light, error = profile[low:high], 1.4 * sigma[low:high]
    first = int(np.argmax(light))
    best = None
    for k in range(1, light.size - 1):
        if abs(k - first) < 3 or not light[k - 1] <= light[k] >= light[k + 1]:
            continue
        between = slice(min(k, first) + 1, max(k, first))
        lowest = between.start + int(np.argmin(light[between]))
        depth = light[k] - light[lowest]
        if depth > max(DIP * error[lowest], DEEP * light[k]) and (
            best is None or light[k] > light[best]
        ):
            best = k
    if best is None:
        return None
    rows = sorted((summit(light, first) + low, summit(light, best) + low))
    return rows[0], rows[1]


def _score_at(
    data: _Stacked, weight: NDArray[np.float64], model: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Return the significance of what a model leaves, for one width, shape (rows,)."""
    least = wander((data.uneven - model)[None], weight[None], width)
    score = significance((data.profile - model)[None], weight[None], width)
    return np.asarray(normalised(score, width, least)[0])


def _stands(
    data: _Stacked,
    sigma: NDArray[np.float64],
    known: ProfileFit | None,
    trial: ProfileFit,
    typical: float,
    seeing: float,
) -> bool:
    """Whether the newest source of a fit is significant at the width that it turned out to have.

    What was noticed as narrow may prove to be wide, and wide light must stand higher.
    """
    width, centre = trial.shapes[-1].fwhm, trial.centre[-1]
    if width < 1.5 * max(typical, seeing):
        return True
    weight = np.where(np.isfinite(sigma), 1 / sigma**2, 0.0)
    model = known.model - known.background if known else np.zeros_like(data.profile)
    score = _score_at(data, weight, model, width)
    limit = data.piece.threshold * caution(weight > 0, width, _point_width(known, seeing))
    near = slice(max(round(centre - width / 2), 0), max(round(centre + width / 2), 0) + 1)
    if np.any(score[near] > limit[near]):
        return True
    # What fills much of the slit is most of the scatter that it was judged by.
    rest = data.uneven - (trial.model - trial.background)
    sure = significance((data.profile - model)[None], weight[None], width)[0]
    sure /= wander(rest[None], weight[None], width)
    return bool(np.any(sure[near] > CLEAR * limit[near]))


def _sound(fit: ProfileFit, typical: float, widest: float) -> bool:
    """Whether a joint fit still describes separate, positive sources."""
    if not np.all(fit.flux > 3 * fit.flux_sigma):
        return False
    if any(shape.fwhm > min(fit.model.size / 4, widest) for shape in fit.shapes):
        return False
    if any(shape.fwhm < NARROWEST * widest / WIDEST_ROWS for shape in fit.shapes):
        return False
    centres = np.sort(fit.centre)
    return bool(np.all(np.diff(centres) > 0.7 * typical))
