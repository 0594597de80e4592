"""Which of the named lines of an arc its axis rests on, and the fit to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.consensus import consensus
from goodman_live.pipeline.core.departure import Departure, Slide, fit_departure
from goodman_live.pipeline.core.observed import UNCERTAIN, Seen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.lines import LineList

LIKELY = 0.3
"""Lines with this chance to show explain a blend."""
UNEXPECTED = 0.05
"""Lines with a smaller chance to show are named but not used."""
_OUTLIER, _OUTLIER_STATED = 3.7, 3.2
"""Leave-one-out residual in sigma beyond which a line is left out; where the errors came with
the lines, what lies further is more likely a stray than a line of the lamp."""
BLEND_LIMIT, _BLEND_LAST, _SCARCE = 0.15, 0.5, 6
"""A possible pull of unresolved neighbours above this many columns keeps a line out; the second
limit holds where fewer good lines than the third number are left."""
_ENOUGH = 8
"""Uncertain centres are not needed where so many better ones exist."""
_FEW = 4
"""Lines of a bare list that are enough to leave the unlikely ones out."""
_FLOOR = 0.02
"""Lines never agree better than this many columns."""
_MOST_REJECTED = 0.35
"""Largest share of the lines that a fit may leave out."""
_IDLE = 0.02
"""Share that a faint line must have in its own fitted column to be of use."""


def _fit(
    seen: Seen,
    lines: LineList,
    predicted: NDArray[np.float64],
    pairs: list[tuple[int, int]],
    pulls: NDArray[np.float64],
    slide: Slide,
    *,
    doubting: bool = False,
) -> Departure:
    i, j = np.array(pairs).T
    return fit_departure(
        predicted[j],
        seen.column[i] - predicted[j],
        np.hypot(np.maximum(seen.likely_error(i), 1e-3), 0.5 * pulls[j]),
        lines.lamp[j],
        seen.fwhm[i],
        slide=slide,
        stated=seen.flux is None,
        doubting=doubting,
    )


def _fewest(kept: list[tuple[int, int]]) -> int:
    """Return how many of these pairs a fit must keep."""
    return max(len(kept) - int(_MOST_REJECTED * len(kept)), 4)


def _best_known(
    seen: Seen, lines: LineList, pairs: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Leave out uncertain centres and, of a bare list, unlikely lines where enough are better.

    Where nothing tells how bright an observed line is, a laboratory line that this gas was
    never seen to show is as often a stray that happens to fall there.
    """
    limit = UNCERTAIN * max(seen.binning, 1)
    sharp = [pair for pair in pairs if seen.sigma[pair[0]] <= limit]
    kept = sharp if len(sharp) >= _ENOUGH else pairs
    if seen.flux is not None:
        return kept
    likely = [pair for pair in kept if lines.chance[pair[1]] >= LIKELY]
    return likely if len(likely) >= _FEW else kept


def _to_fit(
    seen: Seen, lines: LineList, pairs: list[tuple[int, int]], pulls: NDArray[np.float64]
) -> list[tuple[int, int]]:
    """Return the pairs to begin with; where few are good, the next best as well."""
    sound = [
        pair
        for pair in pairs
        if seen.trouble[pair[0]] == ""
        and lines.clean[pair[1]]
        and lines.chance[pair[1]] >= UNEXPECTED
    ]
    kept = _best_known(seen, lines, [pair for pair in sound if pulls[pair[1]] <= BLEND_LIMIT])
    sharp = sum(seen.sigma[i] <= UNCERTAIN * max(seen.binning, 1) for i, _ in kept)
    if seen.flux is not None and sharp < _SCARCE:
        kept = _best_known(seen, lines, [pair for pair in sound if pulls[pair[1]] <= _BLEND_LAST])
    if len(kept) < 3:
        kept = [pair for pair in pairs if seen.trouble[pair[0]] == "" and lines.clean[pair[1]]]
    return kept


def _agreeing(
    seen: Seen,
    lines: LineList,
    predicted: NDArray[np.float64],
    kept: list[tuple[int, int]],
    fewest: int,
) -> list[tuple[int, int]]:
    """Leave out what the crowd of measured lines contradicts, if that is a minority."""
    if seen.flux is None or len(kept) < _ENOUGH:
        return kept
    i, j = np.array(kept).T
    agree = consensus(
        predicted[j],
        seen.column[i] - predicted[j],
        np.maximum(seen.likely_error(i), 1e-3),
        lines.lamp[j],
        binning=max(seen.binning, 1),
    )
    if agree.sum() < fewest:
        return kept
    return [pair for pair, good in zip(kept, agree, strict=True) if good]


def fit_robustly(
    seen: Seen,
    lines: LineList,
    predicted: NDArray[np.float64],
    pairs: list[tuple[int, int]],
    pulls: NDArray[np.float64],
    slide: Slide,
) -> tuple[Departure | None, list[tuple[int, int]]]:
    """Fit the usable pairs, leaving out the worst one by one while it stands out."""
    kept = _to_fit(seen, lines, pairs, pulls)
    if len(kept) < 2:
        return None, kept
    fewest = _fewest(kept)
    kept = _agreeing(seen, lines, predicted, kept, fewest)
    departure = _fit(seen, lines, predicted, kept, pulls, slide)
    while len(kept) > fewest:
        worst = _worst(departure, stated=seen.flux is None)
        if worst is None:
            break
        kept.pop(worst)
        departure = _fit(seen, lines, predicted, kept, pulls, slide)
    return departure, kept


def without_strays(
    seen: Seen,
    lines: LineList,
    predicted: NDArray[np.float64],
    kept: list[tuple[int, int]],
    pulls: NDArray[np.float64],
    slide: Slide,
) -> tuple[Departure, list[tuple[int, int]]]:
    """Leave out lines that are more likely astray than not, and doubt the weightiest others."""
    fewest = _fewest(kept)
    departure = _fit(seen, lines, predicted, kept, pulls, slide, doubting=True)
    while departure.stray is not None and len(kept) > fewest:
        kept = [pair for k, pair in enumerate(kept) if k != departure.stray]
        departure = _fit(seen, lines, predicted, kept, pulls, slide, doubting=True)
    return _without_idle(seen, lines, predicted, kept, pulls, slide, departure)


def _without_idle(
    seen: Seen,
    lines: LineList,
    predicted: NDArray[np.float64],
    kept: list[tuple[int, int]],
    pulls: NDArray[np.float64],
    slide: Slide,
    departure: Departure,
) -> tuple[Departure, list[tuple[int, int]]]:
    """Leave out faint lines that the axis does not rest on: they only blur what it is worth."""
    if seen.flux is None:
        return departure, kept
    limit = UNCERTAIN * max(seen.binning, 1)
    useful = [
        pair
        for pair, share in zip(kept, departure.leverage, strict=True)
        if seen.sigma[pair[0]] <= limit or share > _IDLE
    ]
    if len(useful) == len(kept) or len(useful) < _FEW:
        return departure, kept
    return _fit(seen, lines, predicted, useful, pulls, slide, doubting=True), useful


def _worst(departure: Departure, *, stated: bool) -> int | None:
    """Return the line that stands out most, judged by the robust spread of all.

    Errors that came with the lines (`stated`) are taken as they are; those of measured lines
    are upper limits, and the spread of all says what they are worth.
    """
    # outliers inflate the fitted scatter but not the median, so it sets the size; lines at the
    # ends are allowed more, as the fit without them is worth less there
    expected = departure.left_out_sigma
    if stated:
        expected = np.sqrt(np.maximum(expected**2 - departure.scatter**2, 0.1 * expected**2))
    spread = 1.4826 * float(np.median(np.abs(departure.left_out) / expected))
    spread = (
        max(spread, 1.0) if stated else float(np.clip(spread, _FLOOR / np.median(expected), 1))
    )
    ratio = np.abs(departure.left_out) / (expected * spread)
    worst = int(np.argmax(ratio))
    return worst if ratio[worst] > (_OUTLIER_STATED if stated else _OUTLIER) else None
