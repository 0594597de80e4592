"""Several arcs made one: interpolated in time, lines pooled, offsets between lamps fitted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.departure import fit_departure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.observed import LineRecord
    from goodman_live.pipeline.core.wavelength import WavelengthSolution

_SAME_TIME_S = 1.0


def pool(solutions: Sequence[WavelengthSolution], times_s: Sequence[float]) -> WavelengthSolution:
    """Return one solution for the moment zero from arcs of other moments.

    Arcs of the same lamps before and after are interpolated in time; of arcs on one side only
    the nearest counts. The lines of all lamps are then fitted together.

    Parameters
    ----------
    solutions : sequence of WavelengthSolution
        Trusted solutions along the same trace.
    times_s : sequence of float
        Mid time of each arc less that of the science frame, seconds.

    Raises
    ------
    ValueError
        If there is no solution.
    """
    if not solutions:
        raise ValueError("no solution to pool")
    weights = _weights(solutions, times_s)
    if len(solutions) == 1 or sum(weight > 0 for weight in weights) == 1:
        return solutions[int(np.argmax(weights))]
    kept = [k for k, weight in enumerate(weights) if weight > 0]
    records = [line for k in kept for line in _at_zero(solutions, weights, k)]
    return _refit([solutions[k] for k in kept], records)


def _weights(
    solutions: Sequence[WavelengthSolution], times_s: Sequence[float]
) -> NDArray[np.float64]:
    """Return how much each arc counts among those of its lamps; these sum to one."""
    weights = np.zeros(len(solutions))
    times = np.asarray(times_s, dtype=float)
    for lamps in {solution.lamps for solution in solutions}:
        same = np.array([k for k, s in enumerate(solutions) if s.lamps == lamps])
        before = same[times[same] <= 0]
        after = same[times[same] > 0]
        if len(before) and len(after):
            a = before[np.argmax(times[before])]
            b = after[np.argmin(times[after])]
            span = max(times[b] - times[a], _SAME_TIME_S)
            weights[a], weights[b] = times[b] / span, -times[a] / span
            total = weights[a] + weights[b]
            weights[a], weights[b] = weights[a] / total, weights[b] / total
        else:
            weights[same[np.argmin(np.abs(times[same]))]] = 1.0
    return weights


def _at_zero(
    solutions: Sequence[WavelengthSolution], weights: NDArray[np.float64], k: int
) -> list[LineRecord]:
    """Return the used lines of an arc, moved to where they fall at the moment zero."""
    own = solutions[k]
    used = [line for line in own.lines if line.used and line.wavelength is not None]
    wavelength = np.array([line.wavelength for line in used], dtype=float)
    partners = [
        (weight, solution)
        for weight, solution in zip(weights, solutions, strict=True)
        if weight > 0 and solution.lamps == own.lamps
    ]
    drift = np.sum([w * s.column(wavelength) for w, s in partners], axis=0) - own.column(
        wavelength
    )
    return [
        replace(line, column=line.column + float(move))
        for line, move in zip(used, drift, strict=True)
    ]


def _refit(
    solutions: Sequence[WavelengthSolution], records: list[LineRecord]
) -> WavelengthSolution:
    first = solutions[0]
    wavelength = np.array([line.wavelength for line in records], dtype=float)
    column = np.array([line.column for line in records])
    sigma = np.array([max(line.sigma, 1e-3) for line in records])
    predicted = first.dispersion.column(wavelength)
    departure = fit_departure(
        predicted,
        column - predicted,
        sigma,
        np.array([line.lamp for line in records]),
        np.array([line.fwhm_px for line in records]),
        slide=first.departure.slide,
    )
    lines = [
        replace(line, residual_px=float(residual), left_out_px=float(left_out))
        for line, residual, left_out in zip(
            records, departure.residual, departure.left_out, strict=True
        )
    ]
    unused = [line for solution in solutions for line in solution.lines if not line.used]
    scale = first.dispersion.scale(column)
    return replace(
        first,
        departure=departure,
        moved=None,
        lines=tuple(sorted([*lines, *unused], key=lambda line: line.column)),
        lamps=tuple(sorted({lamp for solution in solutions for lamp in solution.lamps})),
        n_used=len(records),
        coverage=(float(column.min()), float(column.max())),
        rms_px=_rms(departure.residual),
        rms_aa=_rms(departure.residual * scale),
        loo_rms_px=_rms(departure.left_out),
        loo_worst_px=float(np.max(np.abs(departure.left_out))),
        gap=min(solution.gap for solution in solutions),
        unnamed=tuple(sorted({lamp for solution in solutions for lamp in solution.unnamed})),
    )


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))
