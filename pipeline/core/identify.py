"""Settle which observed line is which laboratory line, and which of them the axis rests on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter

from goodman_live.pipeline.core.departure import Departure, slide_of
from goodman_live.pipeline.core.match import assign
from goodman_live.pipeline.core.observed import UNCERTAIN, LineRecord, Seen
from goodman_live.pipeline.core.usable import (
    BLEND_LIMIT,
    LIKELY,
    UNEXPECTED,
    fit_robustly,
    without_strays,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.grating import Dispersion
    from goodman_live.pipeline.core.lines import LineList
    from goodman_live.pipeline.core.match import Candidate

_SHARPEST = 2.7
"""Full width of the sharpest lines of Goodman, unbinned columns; taken where none is measured."""
_BINNED = 1.2
"""Width that binning adds to what parts two lines, unbinned columns for each column beyond one."""
_SHOWN_PX, _SHOWN_LINES, _SHOWN_STRENGTH = 0.25, 5, 0.5
"""How near, in binned columns, how many of the strong lines of a species must be to lines seen
for the species to be there, and the rank from which a line is strong."""


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
    named: NDArray[np.bool_]
    """Those of them that are one line which the lamps may be expected to show, shape (n,)."""


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
    for turn in range(6):
        expected = start if departure is None else _expected(predicted, departure, lines)
        tolerance = _tolerance(seen, departure, predicted, expected)
        before, pairs = pairs, assign(seen.column, expected, lines.chance, tolerance)
        departure, kept = fit_robustly(seen, lines, predicted, pairs, pulls, slide)
        if pairs == before or departure is None:
            break
        if turn == 1:
            lines = _with_shown(seen, lines, pairs, _expected(predicted, departure, lines), limits)
            pulls = _pulls(seen, lines, start)
    if departure is None:
        return None
    departure, kept = without_strays(seen, lines, predicted, kept, pulls, slide)
    return _name(
        seen, lines, predicted, dispersion, departure, pairs=pairs, kept=kept, pulls=pulls
    )


def _with_shown(
    seen: Seen,
    lines: LineList,
    pairs: list[tuple[int, int]],
    expected: NDArray[np.float64],
    limits: tuple[float, float],
) -> LineList:
    """Return the lines with those expected that a long exposure shows against expectation.

    Where the strong lines are beyond the converter, faint species stand well above the noise:
    their lines lie beside the faint ones of others, and pull them.
    """
    if seen.flux is None or len(pairs) == 0:
        return lines
    chance = lines.chance.copy()
    i, j = np.array(pairs).T
    near = np.abs(seen.column[i] - expected[j]) < _SHOWN_PX * max(seen.binning, 1)
    matched = np.zeros(len(lines), dtype=bool)
    matched[j[near]] = True
    inside = (expected > limits[0]) & (expected < limits[1])
    crowd = 2 * _SHOWN_PX * max(seen.binning, 1) * len(seen.column) / max(np.ptp(limits), 1.0)
    for species in np.unique(lines.element):
        own = (lines.element == species) & inside & lines.clean & (chance < UNEXPECTED)
        strong = own & (lines.strength > _SHOWN_STRENGTH)
        hits = int(np.sum(matched & strong))
        if hits >= _SHOWN_LINES and hits > max(0.3 * strong.sum(), 4 * crowd * strong.sum()):
            chance[own] = 1.0
    return lines if np.array_equal(chance, lines.chance) else replace(lines, chance=chance)


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
    explained = _near_any(seen, expected[lines.chance >= LIKELY])
    explained[[i for i, _ in pairs]] = True
    named = np.zeros(count, dtype=bool)
    named[[i for i, j in pairs if lines.chance[j] >= UNEXPECTED]] = True
    return Identified(dispersion, departure, tuple(records), used, explained, named)


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
    elif lines.chance[j] < (LIKELY if seen.flux is None else UNEXPECTED):
        status = "not expected of this lamp"
    elif pulls[j] > BLEND_LIMIT:
        status = f"neighbours unresolved: may be pulled by {pulls[j]:.1f} px"
    elif seen.sigma[i] > UNCERTAIN * max(seen.binning, 1):
        status = f"centre uncertain by {seen.sigma[i]:.2f} px"
    else:
        status = f"stands out by {residual:+.2f} px"
    return status
