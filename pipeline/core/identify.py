"""Settle which observed line is which laboratory line, and which of them the axis rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter

from goodman_live.pipeline.core.consensus import consensus
from goodman_live.pipeline.core.departure import Departure, Slide, fit_departure, slide_of
from goodman_live.pipeline.core.match import assign

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.grating import Dispersion
    from goodman_live.pipeline.core.lines import LineList
    from goodman_live.pipeline.core.match import Candidate

_LIKELY = 0.3
"""Lines with this chance to show explain a blend."""
_UNEXPECTED = 0.05
"""Lines with a smaller chance to show are named but not used."""
_OUTLIER, _OUTLIER_STATED = 3.7, 3.2
"""Leave-one-out residual in sigma beyond which a line is left out; where the errors came with
the lines, what lies further is more likely a stray than a line of the lamp."""
_BLEND_LIMIT, _BLEND_LAST, _SCARCE = 0.15, 0.5, 6
"""A possible pull of unresolved neighbours above this many columns keeps a line out; the second
limit holds where fewer good lines than the third number are left."""
_UNCERTAIN, _ENOUGH = 0.06, 8
"""Centres worse than this many binned pixels are not needed where so many better lines exist."""
_FEW = 4
"""Lines of a bare list that are enough to leave the unlikely ones out."""
_FLOOR = 0.02
"""Lines never agree better than this many columns."""
_SHARE_OF_ALLOWANCE = 0.62
"""Width of (measured less true) / stated of the centres of 7700 simulated lines: 0.58 unbinned,
0.70 and 0.80 binned."""
_SHARE_OF_FAINT = 2.0
"""The same of centres that are uncertain by more than `_UNCERTAIN`."""
_SHARPEST = 2.7
"""Full width of the sharpest lines of Goodman, unbinned columns; taken where none is measured."""
_MOST_REJECTED = 0.35
_BINNED = 1.2
"""Width that binning adds to what parts two lines, unbinned columns for each column beyond one."""
_IDLE = 0.02
"""Share that a faint line must have in its own fitted column to be of use."""


@dataclass(frozen=True, slots=True)
class LineRecord:
    """One observed line in the table of an arc."""

    column: float
    """Centre, unbinned readout columns."""
    sigma: float
    """One standard deviation of the centre from noise, unbinned columns."""
    wavelength: float | None
    """Laboratory wavelength in air, Angstrom; None if it is no line of the lamps."""
    element: str
    """Species such as ``Ne I``, or empty."""
    lamp: str
    """Lamp that it comes from, or empty."""
    residual_px: float | None
    """Observed minus fitted column."""
    left_out_px: float | None
    """Residual from the fit to all other lines; None if it was not used."""
    fwhm_px: float
    """Full width at half maximum, unbinned columns; 0 if not measured."""
    snr: float
    """Significance in sigma; NaN if not measured."""
    status: str
    """``used``, or why it was not."""

    @property
    def used(self) -> bool:
        """True if the axis rests on this line."""
        return self.status == "used"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Observed lines with all that is known of them, unbinned columns, shape (n,) each."""

    column: NDArray[np.float64]
    sigma: NDArray[np.float64]
    flux: NDArray[np.float64] | None
    """Flux of the lines, None if it was not measured."""
    fwhm: NDArray[np.float64]
    """Widths, 0 if not measured."""
    snr: NDArray[np.float64]
    """Significance, NaN if not measured."""
    trouble: NDArray[np.str_]
    """Why a centre is not to be trusted; empty for a good line."""
    binning: int = 1

    def likely_error(self, index: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the expected error of centres for the fit.

        Centres of measured lines carry an allowance for the shape of a line, which is more than
        they need; what they do need the fit finds as their common scatter. Faint ones need
        more: lines that no list holds lie beside them.
        """
        sigma = self.sigma[index]
        if self.flux is None:
            return sigma
        faint = np.clip(sigma / (_UNCERTAIN * max(self.binning, 1)) - 0.5, 0, 1)
        result: NDArray[np.float64] = (
            _SHARE_OF_ALLOWANCE + (_SHARE_OF_FAINT - _SHARE_OF_ALLOWANCE) * faint
        ) * sigma
        return result

    def brightness(self) -> NDArray[np.intp]:
        """Return 0, 1 or 2 for faint, middling and bright lines."""
        if self.flux is None:
            return np.ones(len(self.column), dtype=np.intp)
        rank = np.argsort(np.argsort(-self.flux, kind="stable"), kind="stable")
        count = len(self.column)
        bright = rank < max(0.4 * count, 8)
        middling = rank < max(0.7 * count, 14)
        return np.where(bright, 2, np.where(middling, 1, 0)).astype(np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class Identified:
    """Lines with their names, and the axis that they give."""

    dispersion: Dispersion
    departure: Departure
    records: tuple[LineRecord, ...]
    used: NDArray[np.bool_]
    """Observed lines that the axis rests on, shape (n,)."""
    explained: NDArray[np.bool_]
    """Observed lines that are lines of the lamps, shape (n,)."""


def identify(
    seen: Seen,
    lines: LineList,
    prior: Dispersion,
    candidate: Candidate,
    limits: tuple[float, float],
) -> Identified | None:
    """Settle the identification that a candidate began.

    Parameters
    ----------
    seen : Seen
        Observed lines.
    lines : LineList
        Lines of the lamps.
    prior : Dispersion
        Prediction that the candidate refers to.
    candidate : Candidate
        Where to begin.
    limits : tuple of float
        Columns that see light.

    Returns
    -------
    Identified or None
        None if fewer than two lines could be used.
    """
    dispersion = prior.moved(candidate.shift, candidate.stretch)
    within = dispersion.column(lines.wavelength)
    inside = np.isfinite(within) & (within > limits[0] - 30) & (within < limits[1] + 30)
    chosen = np.flatnonzero(inside)
    lines = lines.take(chosen)
    predicted = within[inside]
    start = candidate.columns(prior.column(lines.wavelength))
    pulls = _pulls(seen, lines, start)
    slide = slide_of(prior, candidate.shift, candidate.stretch)
    departure: Departure | None = None
    pairs: list[tuple[int, int]] = []
    kept: list[tuple[int, int]] = []
    for _ in range(5):
        expected = start if departure is None else _expected(predicted, departure, lines)
        tolerance = _tolerance(seen, departure, predicted, expected)
        before, pairs = pairs, assign(seen.column, expected, lines.chance, tolerance)
        departure, kept = _fit_robustly(seen, lines, predicted, pairs, pulls, slide)
        if pairs == before:
            break
    if departure is None:
        return None
    departure, kept = _without_strays(seen, lines, predicted, kept, pulls, slide)
    return _name(
        seen, lines, predicted, dispersion, departure, pairs=pairs, kept=kept, pulls=pulls
    )


def _expected(
    predicted: NDArray[np.float64], departure: Departure, lines: LineList
) -> NDArray[np.float64]:
    expected = predicted + departure.at(predicted)
    for name in departure.constant:
        own = lines.lamp == name
        expected[own] += departure.offset(name, predicted[own])
    return expected


def _tolerance(
    seen: Seen,
    departure: Departure | None,
    predicted: NDArray[np.float64],
    expected: NDArray[np.float64],
) -> NDArray[np.float64]:
    if departure is None:
        return np.full(len(seen.column), 1.3)
    order = np.argsort(expected)
    error = np.interp(seen.column, expected[order], departure.sigma(predicted)[order])
    spread = np.sqrt(seen.sigma**2 + error**2 + departure.scatter**2)
    return np.clip(4 * spread, 0.45, 2.0)


def _pulls(seen: Seen, lines: LineList, expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far unresolved neighbours may pull each laboratory line, unbinned columns.

    A neighbour more than three quarters of a line width away would show as a line of its own or
    as a shoulder, and pulls little.
    """
    measured = seen.fwhm > 0
    width = np.full(len(lines), _SHARPEST)
    if measured.any():
        width = np.interp(expected, seen.column[measured], _smooth(seen.fwhm[measured]))
    # Binned columns part neighbours less than the width of a fitted line tells.
    width = np.hypot(width, _BINNED * (max(seen.binning, 1) - 1))
    apart = expected[None, :] - expected[:, None]
    power = lines.chance * 10 ** (1.5 * (lines.strength - 1))
    share = np.clip(power[None, :] / np.maximum(power[:, None], 1e-9), 0, 30)
    near = np.exp(-((apart / (0.75 * width[:, None])) ** 4))
    pull = np.abs(apart) * share / (1 + share) * near
    result: NDArray[np.float64] = pull.sum(axis=1)
    return result


def _smooth(widths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a running median of line widths."""
    return median_filter(widths, 7, mode="reflect") if len(widths) >= 7 else widths


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


def _best_known(
    seen: Seen, lines: LineList, pairs: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Leave out uncertain centres and, of a bare list, unlikely lines where enough are better.

    Where nothing tells how bright an observed line is, a laboratory line that this gas was
    never seen to show is as often a stray that happens to fall there.
    """
    limit = _UNCERTAIN * max(seen.binning, 1)
    sharp = [pair for pair in pairs if seen.sigma[pair[0]] <= limit]
    kept = sharp if len(sharp) >= _ENOUGH else pairs
    if seen.flux is not None:
        return kept
    likely = [pair for pair in kept if lines.chance[pair[1]] >= _LIKELY]
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
        and lines.chance[pair[1]] >= _UNEXPECTED
    ]
    kept = _best_known(seen, lines, [pair for pair in sound if pulls[pair[1]] <= _BLEND_LIMIT])
    sharp = sum(seen.sigma[i] <= _UNCERTAIN * max(seen.binning, 1) for i, _ in kept)
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


def _fit_robustly(
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
    fewest = max(len(kept) - int(_MOST_REJECTED * len(kept)), 4)
    kept = _agreeing(seen, lines, predicted, kept, fewest)
    departure = _fit(seen, lines, predicted, kept, pulls, slide)
    while len(kept) > fewest:
        worst = _worst(departure, stated=seen.flux is None)
        if worst is None:
            break
        kept.pop(worst)
        departure = _fit(seen, lines, predicted, kept, pulls, slide)
    return departure, kept


def _without_strays(
    seen: Seen,
    lines: LineList,
    predicted: NDArray[np.float64],
    kept: list[tuple[int, int]],
    pulls: NDArray[np.float64],
    slide: Slide,
) -> tuple[Departure, list[tuple[int, int]]]:
    """Leave out lines that are more likely astray than not, and doubt the weightiest others."""
    fewest = max(len(kept) - int(_MOST_REJECTED * len(kept)), 4)
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
    limit = _UNCERTAIN * max(seen.binning, 1)
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


def _name(
    seen: Seen,
    lines: LineList,
    predicted: NDArray[np.float64],
    dispersion: Dispersion,
    departure: Departure,
    *,
    pairs: list[tuple[int, int]],
    kept: list[tuple[int, int]],
    pulls: NDArray[np.float64],
) -> Identified:
    count = len(seen.column)
    expected = _expected(predicted, departure, lines)
    partner = dict(pairs)
    place_in_fit = {pair[0]: k for k, pair in enumerate(kept)}
    used = np.zeros(count, dtype=bool)
    used[list(place_in_fit)] = True
    records = []
    for i in range(count):
        j = partner.get(i)
        residual = None if j is None else float(seen.column[i] - expected[j])
        k = place_in_fit.get(i)
        records.append(
            LineRecord(
                column=float(seen.column[i]),
                sigma=float(seen.sigma[i]),
                wavelength=None if j is None else float(lines.wavelength[j]),
                element="" if j is None else str(lines.element[j]),
                lamp="" if j is None else str(lines.lamp[j]),
                residual_px=residual,
                left_out_px=None if k is None else float(departure.left_out[k]),
                fwhm_px=float(seen.fwhm[i]),
                snr=float(seen.snr[i]),
                status=_status(seen, lines, pulls, i, j, used=bool(used[i]), residual=residual),
            )
        )
    explained = _near_any(seen, expected[lines.chance >= _LIKELY])
    explained[[i for i, _ in pairs]] = True
    return Identified(dispersion, departure, tuple(records), used, explained)


def _near_any(seen: Seen, expected: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which observed lines may be blends of likely laboratory lines, by their widths."""
    if len(expected) == 0:
        return np.zeros(len(seen.column), dtype=bool)
    apart = np.abs(seen.column[:, None] - expected).min(axis=1)
    result: NDArray[np.bool_] = apart < 0.6 * seen.fwhm
    return result


def _status(
    seen: Seen,
    lines: LineList,
    pulls: NDArray[np.float64],
    i: int,
    j: int | None,
    *,
    used: bool,
    residual: float | None,
) -> str:
    if used:
        status = "used"
    elif seen.trouble[i]:
        status = str(seen.trouble[i])
    elif j is None or residual is None:
        status = "no laboratory line here"
    elif not lines.clean[j]:
        status = "known to be blended or misidentified"
    elif lines.chance[j] < (_LIKELY if seen.flux is None else _UNEXPECTED):
        status = "not expected of this lamp"
    elif pulls[j] > _BLEND_LIMIT:
        status = f"neighbours unresolved: may be pulled by {pulls[j]:.1f} px"
    elif seen.sigma[i] > _UNCERTAIN * max(seen.binning, 1):
        status = f"too faint: centre uncertain by {seen.sigma[i]:.2f} px"
    else:
        status = f"stands out by {residual:+.2f} px"
    return status
