"""Find the sources in a slit, in sigma, whatever the brightest is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.baseline import without_baseline
from goodman_live.pipeline.core.follow import follow, scaled, straight
from goodman_live.pipeline.core.profile import Shape, ShapeName
from goodman_live.pipeline.core.score import SEEING_ROWS, WIDTHS, Peak, caution, scores, summit
from goodman_live.pipeline.core.series import Series
from goodman_live.pipeline.core.specks import without_dark_places
from goodman_live.pipeline.core.stacked import Found, Search, search_stack
from goodman_live.pipeline.core.windows import MAX_SLOPE, Piece, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.blocks import Blocks


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
    path = follow(blocks, best, seeing) if best else straight()
    search = search_stack(blocks, raw, path, shape, seeing, most, best)
    others = _elsewhere(blocks, raw, search, path, seeing, most, shape)
    return replace(search, found=(*search.found, *others)[:most])


def _strongest(blocks: Blocks, raw: Blocks, chosen: list[Piece], seeing: float) -> Peak | None:
    """Return the peak that stands highest above its threshold."""
    best, excess = None, 1.0
    usable = np.asarray(blocks.weight.any(axis=0))
    for width, tried, score in scores(blocks, raw, chosen, seeing):
        limit = np.array([p.threshold for p in tried])[:, None] * caution(usable, width, seeing)
        ratio = score / limit
        # A line that belongs to a source with a continuum is better followed by the latter.
        if tried[0].template == "line" and best is not None:
            ratio = ratio / 2
        i, row = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        if ratio[i, row] > excess:
            excess = float(ratio[i, row])
            best = Peak(tried[i], summit(score[i], int(row)), float(score[i, row]), width)
    return best


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
    seen = scores(blocks, raw, chosen, width, shift, photons=True)
    for _ in range(most - len(search.found)):
        peak = _best_elsewhere(seen, [*search.found, *out], search, width)
        if peak is None:
            break
        series = Series(path.coefficients.copy(), path.keep, path.loo)
        series.coefficients[0] += peak.row - float(path(np.zeros(1))[0])
        name: ShapeName = shape
        fresh = Shape(name, peak.fwhm, search.found[0].shape.beta if search.found else 3.0)
        out.append(Found(series, peak.score, peak.fwhm, fresh, peak.piece))
    return out


def _best_elsewhere(
    seen: list[tuple[float, list[Piece], NDArray[np.float64]]],
    known: Sequence[Found],
    search: Search,
    seeing: float,
) -> Peak | None:
    """Return the strongest peak away from known sources and their wings."""
    best, excess = None, 1.0
    places = [(float(f.path(np.zeros(1))[0]), f.fwhm) for f in known]
    for width, tried, score in seen:
        factor = caution(np.isfinite(search.sigma), width, seeing)
        limit = np.array([p.threshold for p in tried])[:, None] * factor
        for row, fwhm in places:
            low = max(int(row - 3 * max(fwhm, width)), 0)
            limit[:, low : int(row + 3 * max(fwhm, width)) + 2] = np.inf
        if search.fit is not None:
            limit[:, _shadow(search)] = np.inf
        ratio = score / limit
        i, k = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        if ratio[i, k] > excess:
            excess = float(ratio[i, k])
            best = Peak(tried[i], summit(score[i], int(k)), float(score[i, k]), width)
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
