"""Find the sources in a slit, in sigma, whatever the brightest is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.baseline import without_baseline
from goodman_live.pipeline.core.detect import normalised, scatter_of, significance
from goodman_live.pipeline.core.profile import ProfileFit, Shape, ShapeName, fit_profiles
from goodman_live.pipeline.core.series import Series, fit_series
from goodman_live.pipeline.core.specks import without_dark_places
from goodman_live.pipeline.core.windows import MAX_SLOPE, Piece, pieces, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.blocks import Blocks

SEEING_ROWS = 6.0
"""Width of a point source before any is seen: 0.9 arcsec in unbinned rows."""
WORST = 2.0
"""Times that width to which seeing may widen point sources."""
WIDTHS = (1.0, 2.2, 5.0)
"""Widths sought, relative to the point source: defocused and extended sources are wider."""
WIDE = 3.0
"""Times the width of a point source beyond which light is sought in the whole spectrum alone."""
CAUTION = ((1.5, 1.5), (WIDE, 1.8))
"""Times the width of a point source, and the factor on the threshold of what is wider: dust and
uneven light count more than photons there."""
END_CAUTION, END_WIDTHS = 1.8, 3.0
"""The same factor at the ends of the slit, where there is sky on one side alone, and how many
widths that reaches."""
WIDEST_ROWS = 100.0
"""Widest source, unbinned rows FWHM (15 arcsec): wider light is sky to a long slit."""
NARROWEST = 2.4
"""Narrowest source, unbinned rows FWHM (0.35 arcsec): nothing sharper is light."""
FLOOR = 0.04
"""Error of a source's fitted shape as a share of it: what stands within is not a neighbour."""
GATE = 0.9
"""Share of its threshold at which a narrow peak is looked at by a fit."""
SHARP = 0.6
"""Significance at the width of a star over that at a larger one, from which there is a star."""
EQUAL = 0.6
"""Share of the highest summit from which another is followed if it is nearer."""
DIP = 6.0
"""Standard deviations of a dip that divides one wide source into two."""
DEEP = 0.04
"""Least depth of such a dip as a share of the lower peak: rows differ in the flat."""
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


def find_targets(
    blocks: Blocks,
    *,
    shape: ShapeName = "moffat",
    seeing: float = SEEING_ROWS,
    most: int = 12,
    aspect: float = 1.0,
) -> Search:
    """Find sources in the whole spectrum, in pieces of it, and in single lines.

    Parameters
    ----------
    blocks : Blocks
        The frame in blocks.
    shape : {"moffat", "gaussian"}
        Family of profiles.
    seeing : float
        Expected width of a point source in rows of the blocks.
    most : int
        Stop after this many.
    aspect : float
        Column binning over row binning: turns slopes of the detector into slopes of the blocks.

    Returns
    -------
    Search
        Possibly without any source.
    """
    raw = blocks
    blocks = without_baseline(blocks, seeing)
    blocks = without_dark_places(blocks, [seeing * factor for factor in WIDTHS])
    columns = blocks.columns
    chosen = pieces(columns.size, columns, seeing, MAX_SLOPE * aspect)
    best = _strongest(blocks, raw, chosen, seeing)
    path = _follow(blocks, best, seeing) if best else _straight()
    search = _in_stack(blocks, raw, path, shape, seeing, most, best)
    others = _elsewhere(blocks, raw, search, path, seeing, most, shape)
    return replace(search, found=(*search.found, *others)[:most])


@dataclass(frozen=True, slots=True)
class _Peak:
    piece: Piece
    row: float
    score: float
    fwhm: float


def scaled(blocks: Blocks, columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns of the frame scaled to -1 to 1 over the blocks."""
    middle = (blocks.columns[0] + blocks.columns[-1]) / 2
    half = max((blocks.columns[-1] - blocks.columns[0]) / 2, 1.0)
    return np.asarray((columns - middle) / half)


def _straight() -> Series:
    return Series(np.zeros(1), np.zeros(0, dtype=bool), 0.0)


def _scores(
    blocks: Blocks,
    raw: Blocks,
    chosen: list[Piece],
    seeing: float,
    shift: NDArray[np.float64] | None = None,
    *,
    photons: bool = False,
) -> list[tuple[float, list[Piece], NDArray[np.float64]]]:
    """Return (width, pieces, significances) for continuum at all widths, lines at one.

    `raw` are the blocks with their slow changes along the slit, by which wide sources are judged.
    """
    continuum = [p for p in chosen if p.template != "line"]
    lines = [p for p in chosen if p.template == "line"]
    out = []
    profile, weight = stack(blocks, continuum, shift, photons=photons)
    whole = [Piece(0, blocks.columns.size, 0.0, t, whole=True) for t in ("flat", "sky")]
    uneven = stack(raw, whole, shift, photons=photons)
    for factor in WIDTHS:
        width = seeing * factor
        if width > profile.shape[1] / 4:
            continue
        # What is wide is steady: only stars show in parts of the spectrum alone.
        some = [i for i, p in enumerate(continuum) if p.whole or factor < WIDE]
        if some:
            score = significance(profile[some], weight[some], width)
            # What all columns share counts less in fewer of them.
            share = np.array([continuum[i].last - continuum[i].first for i in some])
            excess = _wander(*uneven, width) ** 2 - 1
            score = normalised(score, np.sqrt(1 + excess * share / blocks.columns.size))
            out.append((width, [continuum[i] for i in some], score))
    if lines:
        profile, weight = stack(blocks, lines, shift, photons=photons)
        out.append((seeing, lines, normalised(significance(profile, weight, seeing))))
    return out


def _wander(profile: NDArray[np.float64], weight: NDArray[np.float64], width: float) -> float:
    """Return the scatter of significances at a width where slow changes have not been taken out.

    Zero levels wander along the slit as wide sources do, up as often as down; what follows them
    takes their crests for sources and leaves these standing.
    """
    return max(1.0, float(scatter_of(significance(profile, weight, width)).max()))


def _strongest(blocks: Blocks, raw: Blocks, chosen: list[Piece], seeing: float) -> _Peak | None:
    """Return the peak that stands highest above its threshold."""
    best, excess = None, 1.0
    usable = np.asarray(blocks.weight.any(axis=0))
    for width, tried, score in _scores(blocks, raw, chosen, seeing):
        limit = np.array([p.threshold for p in tried])[:, None] * _caution(usable, width, seeing)
        ratio = score / limit
        # A line that belongs to a source with a continuum is better followed by the latter.
        if tried[0].template == "line" and best is not None:
            ratio = ratio / 2
        i, row = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        if ratio[i, row] > excess:
            excess = float(ratio[i, row])
            best = _Peak(tried[i], _summit(score[i], int(row)), float(score[i, row]), width)
    return best


def _caution(usable: NDArray[np.bool_], width: float, seeing: float) -> NDArray[np.float64]:
    """Return the factor on the threshold of sources of a width at every row."""
    factor = max([1.0, *(f for times, f in CAUTION if width > times * seeing)])
    out = np.full(usable.size, factor)
    lit = np.flatnonzero(usable)
    if lit.size:
        near = int(np.ceil(END_WIDTHS * width))
        out[: lit[0] + near] = np.maximum(out[: lit[0] + near], END_CAUTION)
        out[max(lit[-1] + 1 - near, 0) :] = np.maximum(
            out[max(lit[-1] + 1 - near, 0) :], END_CAUTION
        )
    return out


def _summit(score: NDArray[np.float64], k: int) -> float:
    """Return the sub-pixel place of a maximum by a parabola."""
    if not 0 < k < score.size - 1:
        return float(k)
    left, top, right = score[k - 1 : k + 2]
    bend = left - 2 * top + right
    return float(k + np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else float(k)


def _follow(blocks: Blocks, peak: _Peak, seeing: float) -> Series:
    """Return the path of a source, followed outwards from where it is strongest.

    Blocks are joined until each piece shows the source well; a source too faint for three
    pieces keeps the leaning line it was found on.
    """
    count, size = blocks.columns.size, peak.piece.last - peak.piece.first
    share = count / size
    number = int(np.clip((peak.score / 7) ** 2 * share, 1, min(count, 64)))
    piece_middle = blocks.columns[peak.piece.first : peak.piece.last].mean()
    if number < 4:
        columns = blocks.columns[[0, -1]] if count > 1 else blocks.columns[[0]]
        rows = peak.row + peak.piece.slope * (columns - piece_middle)
        return fit_series(
            scaled(blocks, columns), rows, np.ones(columns.size), most=1, lowest=min(count - 1, 1)
        )
    edges = np.linspace(0, count, number + 1).astype(int)
    joined = [Piece(a, b, 0.0, "flat") for a, b in itertools.pairwise(edges)]
    profile, weight = stack(blocks, joined, photons=False)
    width = max(peak.fwhm, seeing)
    score = normalised(significance(profile, weight, width))
    middles = np.array([blocks.columns[a:b].mean() for a, b in itertools.pairwise(edges)])
    if width > 1.5 * seeing:
        # Two stars close together look wide: one of them is followed, not their middle.
        sharp = normalised(significance(profile, weight, seeing))
        here = int(np.argmin(np.abs(middles - piece_middle)))
        near = slice(max(round(peak.row - width), 0), round(peak.row + width) + 1)
        if sharp[here, near].max() > SHARP * score[here, near].max():
            score, width = sharp, seeing
            row = _summit(sharp[here], near.start + int(np.argmax(sharp[here, near])))
            peak = replace(peak, row=row, fwhm=seeing)
    x, y, s = _walk(score, middles, peak, piece_middle, width)
    if len(x) < 4:
        x, y, s = [blocks.columns[0], blocks.columns[-1]], [peak.row] * 2, [1.0, 1.0]
        y = [peak.row + peak.piece.slope * (c - piece_middle) for c in x]
        return fit_series(scaled(blocks, np.array(x)), np.array(y), np.ones(2), most=1, lowest=1)
    sigma = np.hypot(width / np.array(s), 0.1)
    return fit_series(scaled(blocks, np.array(x)), np.array(y), sigma, most=4)


def _walk(
    score: NDArray[np.float64],
    middles: NDArray[np.float64],
    peak: _Peak,
    start: float,
    width: float,
) -> tuple[list[float], list[float], list[float]]:
    """Walk both ways from `start`, looking near where the last points lead."""
    first = int(np.argmin(np.abs(middles - start)))
    points: list[tuple[float, float, float]] = []
    for way in (range(first, middles.size), range(first - 1, -1, -1)):
        seen = list(points[:6]) if way.step < 0 else []
        for i in way:
            guess, slack = _guess(seen, middles[i], peak, start, width)
            low = max(int(np.floor(guess - slack)), 0)
            near = score[i, low : max(int(np.ceil(guess + slack)) + 1, low)]
            if near.size < 3 or near.max() < 3.5:
                continue
            k = low + _nearest_summit(near, guess - low)
            point = (float(middles[i]), _summit(score[i], k), float(score[i, k]))
            seen.append(point)
            points.append(point)
    return [p[0] for p in points], [p[1] for p in points], [p[2] for p in points]


def _nearest_summit(score: NDArray[np.float64], guess: float) -> int:
    """Return the summit nearest to a guess: of two equal stars one is followed, not either."""
    inside = score[1:-1]
    high = (inside >= score[:-2]) & (inside >= score[2:]) & (inside > EQUAL * score.max())
    summits = np.flatnonzero(high) + 1
    if summits.size == 0:
        return int(np.argmax(score))
    return int(summits[np.argmin(np.abs(summits - guess))])


def _guess(
    seen: Sequence[tuple[float, float, float]],
    column: float,
    peak: _Peak,
    start: float,
    width: float,
) -> tuple[float, float]:
    """Return where to look next, and how far around."""
    if len(seen) < 4:
        base = seen[-1][:2] if seen else (start, peak.row)
        return base[1] + peak.piece.slope * (column - base[0]), width
    last = sorted(seen, key=lambda p: abs(p[0] - column))[:8]
    x, y = np.array([p[0] for p in last]), np.array([p[1] for p in last])
    slope, level = np.polyfit(x - x.mean(), y, 1)
    # A gap since the last point leaves more room to have moved.
    gap = abs(column - last[0][0]) / max(np.ptp(x), 1.0)
    return float(level + slope * (column - x.mean())), width * (0.7 + 0.5 * min(gap, 2.0))


def _in_stack(
    blocks: Blocks,
    raw: Blocks,
    path: Series,
    shape: ShapeName,
    seeing: float,
    most: int,
    peak: _Peak | None,
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
        limit = data.piece.threshold * _caution(weight > 0, width, _point_width(fit, seeing))
        k = int(np.argmax(score / limit))
        gate = limit[k] * (GATE if factor == 1 else 1.0)
        if score[k] > gate and (best is None or score[k] > 1.1 * best[2]):
            best = (_summit(score, k), width, float(score[k]), float(limit[k]))
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
    rows = sorted((_summit(light, first) + low, _summit(light, best) + low))
    return rows[0], rows[1]


def _score_at(
    data: _Stacked, weight: NDArray[np.float64], model: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Return the significance of what a model leaves, for one width, shape (rows,)."""
    least = _wander((data.uneven - model)[None], weight[None], width)
    score = significance((data.profile - model)[None], weight[None], width)
    return np.asarray(normalised(score, least)[0])


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
    limit = data.piece.threshold * _caution(weight > 0, width, _point_width(known, seeing))
    near = slice(max(round(centre - width / 2), 0), max(round(centre + width / 2), 0) + 1)
    return bool(np.any(score[near] > limit[near]))


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


def _elsewhere(
    blocks: Blocks,
    raw: Blocks,
    search: Search,
    path: Series,
    seeing: float,
    most: int,
    shape: ShapeName,
) -> list[Found]:
    """Find sources that show in a piece of the spectrum alone, such as in one line."""
    u = scaled(blocks, blocks.columns)
    shift = path(u) - path(np.zeros(1))
    chosen = [p for p in pieces(blocks.columns.size, blocks.columns, seeing, 0.0) if not p.whole]
    width = search.found[0].fwhm if search.found else seeing
    width = float(np.clip(width, 0.5 * seeing, 2 * seeing))
    out: list[Found] = []
    scores = _scores(blocks, raw, chosen, width, shift, photons=True)
    for _ in range(most - len(search.found)):
        peak = _best_elsewhere(scores, [*search.found, *out], search, width)
        if peak is None:
            break
        series = Series(path.coefficients.copy(), path.keep, path.loo)
        series.coefficients[0] += peak.row - float(path(np.zeros(1))[0])
        name: ShapeName = shape
        fresh = Shape(name, peak.fwhm, search.found[0].shape.beta if search.found else 3.0)
        out.append(Found(series, peak.score, peak.fwhm, fresh, peak.piece))
    return out


def _best_elsewhere(
    scores: list[tuple[float, list[Piece], NDArray[np.float64]]],
    known: Sequence[Found],
    search: Search,
    seeing: float,
) -> _Peak | None:
    """Return the strongest peak away from known sources and their wings."""
    best, excess = None, 1.0
    places = [(float(f.path(np.zeros(1))[0]), f.fwhm) for f in known]
    for width, tried, score in scores:
        caution = _caution(np.isfinite(search.sigma), width, seeing)
        limit = np.array([p.threshold for p in tried])[:, None] * caution
        for row, fwhm in places:
            low = max(int(row - 3 * max(fwhm, width)), 0)
            limit[:, low : int(row + 3 * max(fwhm, width)) + 2] = np.inf
        if search.fit is not None:
            limit[:, _shadow(search)] = np.inf
        ratio = score / limit
        i, k = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        if ratio[i, k] > excess:
            excess = float(ratio[i, k])
            best = _Peak(tried[i], _summit(score[i], int(k)), float(score[i, k]), width)
    return best


def _shadow(search: Search) -> NDArray[np.bool_]:
    """Return rows where a fitted source is bright enough in every pixel to feign others.

    What is found in a piece of the spectrum alone is judged without a fit to that piece, so it
    must not lie where wings matter.
    """
    fit = search.fit
    if fit is None:
        return np.zeros(search.profile.size, dtype=bool)
    usable = np.isfinite(search.sigma)
    pixel = float(np.median(search.sigma[usable])) * search.columns**0.5 if usable.any() else 0.0
    return np.asarray(fit.model - fit.background > 0.15 * pixel)
