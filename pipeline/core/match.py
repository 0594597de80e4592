"""Tell which laboratory line each observed line is, without knowing the shift or the stretch.

A template of where the lamp's lines should fall, made from the line list through the grating
equation, is correlated with the observed lines over all shifts and stretches; the best places
are refined by matching lines one to one, and compared by how well each explains what is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.grating import AXIS_COLUMN, HALF_SPAN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.grating import Dispersion
    from goodman_live.pipeline.core.lines import LineList

STRETCH = 0.026
"""Largest stretch of the scale that is searched."""
_STEP = 0.5
"""Sampling of the template, unbinned columns."""
_COARSE, _FINE = 2.0, 0.3
"""Blur of the template in the search, and of a line in the comparison, unbinned columns."""
_SPURIOUS = np.array([0.45, 0.25, 0.08])
"""Chance that a faint, middling and bright observed line is none of the lamp's."""
_CANDIDATES = 40
_HOPELESS = 0.6
"""Places that match fewer than this share of the best so far are dropped half-way."""
_BEND = np.array([0.7, 0.5])
"""How far quadratic and cubic departures from the grating equation go, unbinned columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Observed lines in unbinned readout columns, in order of position."""

    column: NDArray[np.float64]
    """Centres, shape (n,)."""
    sigma: NDArray[np.float64]
    """One standard deviation of the centres, shape (n,)."""
    brightness: NDArray[np.intp]
    """0 faint, 1 middling, 2 bright, shape (n,)."""
    limits: tuple[float, float]
    """First and last column that sees light."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One way to explain the observed lines."""

    shift: float
    """Unbinned columns by which light falls right of the prediction, on the axis."""
    stretch: float
    """Relative stretch about the axis."""
    bend: NDArray[np.float64]
    """Coefficients of P2 and P3 of the remaining departure, unbinned columns."""
    score: float
    """Log of how much better it explains the lines than chance does."""
    pairs: tuple[tuple[int, int], ...]
    """Indices (observed, laboratory) of matched lines."""

    def columns(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where lines of these predicted columns fall."""
        return predicted + _departure(predicted, self.shift, self.stretch, self.bend)


def _departure(
    column: NDArray[np.float64], shift: float, stretch: float, bend: NDArray[np.float64]
) -> NDArray[np.float64]:
    t = (column - AXIS_COLUMN) / HALF_SPAN
    curve = bend[0] * (1.5 * t**2 - 0.5) + bend[1] * (2.5 * t**3 - 1.5 * t)
    result: NDArray[np.float64] = shift + stretch * t * HALF_SPAN + curve
    return result


def find_candidates(
    observed: Observed, lines: LineList, prior: Dispersion, *, reach: float
) -> list[Candidate]:
    """Return ways to explain the observed lines, best first.

    Parameters
    ----------
    observed : Observed
        Lines on the detector.
    lines : LineList
        Lines that the lamps may show.
    prior : Dispersion
        Prediction to search around.
    reach : float
        Largest shift searched, unbinned columns.

    Returns
    -------
    list of Candidate
        Distinct explanations: no two agree within two columns everywhere.
    """
    predicted = prior.column(lines.wavelength)
    margin = reach + 0.03 * HALF_SPAN
    low, high = observed.limits[0] - margin, observed.limits[1] + margin
    near = np.isfinite(predicted) & (predicted > low) & (predicted < high)
    index = np.flatnonzero(near)
    if len(index) == 0 or len(observed.column) == 0:
        return []
    near_lines, places = lines.take(index), predicted[index]
    found: list[Candidate] = []
    most = 0
    for shift, stretch in _search(observed, near_lines, places, reach):
        fewest = int(_HOPELESS * most)
        candidate = _refine(
            observed,
            near_lines,
            places,
            shift,
            stretch,
            scatter=prior.scatter_px,
            fewest=fewest,
        )
        if candidate is not None:
            most = max(most, len(candidate.pairs))
            found.append(candidate)
    found.sort(key=lambda candidate: -candidate.score)
    distinct: list[Candidate] = []
    for candidate in found:
        if not any(_same(candidate, other, observed.column) for other in distinct):
            distinct.append(candidate)
    return [_renumbered(candidate, index) for candidate in distinct]


def _renumbered(candidate: Candidate, index: NDArray[np.intp]) -> Candidate:
    pairs = tuple((i, int(index[j])) for i, j in candidate.pairs)
    return Candidate(candidate.shift, candidate.stretch, candidate.bend, candidate.score, pairs)


def _same(one: Candidate, other: Candidate, column: NDArray[np.float64]) -> bool:
    """Say whether two candidates are one identification that differs in details only."""
    shared = len(set(one.pairs) & set(other.pairs))
    if shared >= 0.7 * min(len(one.pairs), len(other.pairs)):
        return True
    ends = np.linspace(column.min(), column.max(), 9)
    apart = one.columns(ends) - other.columns(ends)
    return bool(np.max(np.abs(apart)) < 2.0)


def _odds(observed: Observed, lines: LineList) -> NDArray[np.float64]:
    """Return, for each brightness, the odds factor of a line of unit chance and density."""
    length = observed.limits[1] - observed.limits[0]
    share = max(float(lines.chance.sum()), 1e-9)
    result: NDArray[np.float64] = (1 - _SPURIOUS) / _SPURIOUS * length / share
    return result


def _search(
    observed: Observed, lines: LineList, places: NDArray[np.float64], reach: float
) -> list[tuple[float, float]]:
    """Return the most promising (shift, stretch) from the correlation with the template."""
    margin = reach + (STRETCH + 0.005) * HALF_SPAN * 1.1 + 10
    origin = observed.limits[0] - margin
    size = int((observed.limits[1] - observed.limits[0] + 2 * margin) / _STEP) + 2
    template = np.zeros(size)
    inside = (places > origin + 10) & (places < origin + size * _STEP - 10)
    offsets = np.arange(-int(3.5 * _COARSE / _STEP), int(3.5 * _COARSE / _STEP) + 1)
    at = np.round((places[inside] - origin) / _STEP).astype(int)
    distance = (at[:, None] + offsets) * _STEP + origin - places[inside][:, None]
    bump = lines.chance[inside][:, None] * np.exp(-0.5 * (distance / _COARSE) ** 2)
    np.maximum.at(template, (at[:, None] + offsets).ravel(), bump.ravel())
    odds = _odds(observed, lines) / (np.sqrt(2 * np.pi) * _COARSE)
    tables = np.log1p(odds[:, None] * template)
    shifts = np.arange(-reach, reach + 1, 1.0)
    stretches = np.arange(-STRETCH, STRETCH + 1e-9, 1.5 / HALF_SPAN)
    score = np.empty((len(stretches), len(shifts)))
    lag = np.round(shifts / _STEP).astype(int)
    for row, stretch in enumerate(stretches):
        place = (observed.column - AXIS_COLUMN) / (1 + stretch) + AXIS_COLUMN
        start = np.round((place - origin) / _STEP).astype(int)
        # np.take on the flat table: one gather for all shifts and lines
        flat = (start + observed.brightness * size)[None, :] - lag[:, None]
        score[row] = np.take(tables.ravel(), flat).sum(axis=1)
    return _best_places(score, shifts, stretches)


def _best_places(
    score: NDArray[np.float64], shifts: NDArray[np.float64], stretches: NDArray[np.float64]
) -> list[tuple[float, float]]:
    order = np.argsort(score, axis=None)[::-1][: 60 * _CANDIDATES]
    rows, columns = np.unravel_index(order, score.shape)
    kept: list[tuple[float, float]] = []
    for row, column in zip(rows, columns, strict=True):
        shift, stretch = float(shifts[column]), float(stretches[row])
        near = any(abs(shift - a) < 3.5 and abs(stretch - b) * HALF_SPAN < 5.0 for a, b in kept)
        if not near:
            kept.append((shift, stretch))
        if len(kept) == _CANDIDATES:
            break
    return kept


def assign(
    observed: NDArray[np.float64],
    expected: NDArray[np.float64],
    chance: NDArray[np.float64],
    tolerance: NDArray[np.float64] | float,
) -> list[tuple[int, int]]:
    """Match two sets of columns one to one, the nearest and likeliest pairs first.

    Parameters
    ----------
    observed, expected : ndarray of float64
        Columns, shapes (n,) and (m,).
    chance : ndarray of float64
        How likely each expected line is to show, shape (m,).
    tolerance : float or ndarray
        Largest distance for each observed line.

    Returns
    -------
    list of tuple
        Indices (observed, expected), in order of `observed`.
    """
    limit = np.broadcast_to(np.asarray(tolerance, dtype=float), observed.shape)
    apart = np.abs(observed[:, None] - expected[None, :])
    first, second = np.nonzero(apart <= limit[:, None])
    if len(first) == 0:
        return []
    cost = 0.5 * (apart[first, second] / (0.4 * limit[first])) ** 2 - np.log(chance[second])
    used_i: set[int] = set()
    used_j: set[int] = set()
    pairs = []
    for k in np.argsort(cost, kind="stable"):
        i, j = int(first[k]), int(second[k])
        if i not in used_i and j not in used_j:
            used_i.add(i)
            used_j.add(j)
            pairs.append((i, j))
    return sorted(pairs)


def _refine(
    observed: Observed,
    lines: LineList,
    places: NDArray[np.float64],
    shift: float,
    stretch: float,
    *,
    scatter: float,
    fewest: int,
) -> Candidate | None:
    """Refine a place by matching lines; None where fewer than `fewest` match."""
    bend = np.zeros(2)
    pairs: list[tuple[int, int]] = []
    for tolerance in (4.0, 3.0, 2.0, 1.3, 1.0):
        now = places + _departure(places, shift, stretch, bend)
        pairs = assign(observed.column, now, lines.chance, tolerance)
        if len(pairs) < 2:
            break
        if len(pairs) < fewest:
            return None
        shift, stretch, bend = _fit(observed, places, pairs, tolerance)
    now = places + _departure(places, shift, stretch, bend)
    pairs = assign(observed.column, now, lines.chance, 1.0)
    score = _score(observed, lines, now, pairs)
    score -= np.log1p((shift / (3 * scatter)) ** 2) + 0.5 * (stretch / 0.012) ** 2
    score -= 0.5 * float(np.sum((bend / (2 * _BEND)) ** 2))
    return Candidate(shift, stretch, bend, float(score), tuple(pairs))


def _fit(
    observed: Observed,
    places: NDArray[np.float64],
    pairs: list[tuple[int, int]],
    tolerance: float,
) -> tuple[float, float, NDArray[np.float64]]:
    """Fit shift, stretch and bends to matched lines, far ones weighing little."""
    i, j = np.array(pairs).T
    t = (places[j] - AXIS_COLUMN) / HALF_SPAN
    basis = np.stack([np.ones_like(t), t, 1.5 * t**2 - 0.5, 2.5 * t**3 - 1.5 * t], axis=1)
    target = observed.column[i] - places[j]
    spread = np.hypot(observed.sigma[i], 0.1 + 0.1 * tolerance)
    weight = 1 / spread
    precision = np.diag([1e-6, 1 / (0.02 * HALF_SPAN) ** 2, *(1 / _BEND**2)])
    solution = np.zeros(4)
    for _ in range(3):
        weighted = basis * weight[:, None] ** 2
        solution = np.linalg.solve(basis.T @ weighted + precision, weighted.T @ target)
        residual = np.abs(target - basis @ solution) / spread
        weight = 1 / spread / np.sqrt(1 + (residual / 2) ** 2)
    return float(solution[0]), float(solution[1] / HALF_SPAN), solution[2:]


def _score(
    observed: Observed,
    lines: LineList,
    now: NDArray[np.float64],
    pairs: list[tuple[int, int]],
) -> float:
    if not pairs:
        return 0.0
    i, j = np.array(pairs).T
    spread = np.hypot(observed.sigma[i], _FINE)
    density = np.exp(-0.5 * ((observed.column[i] - now[j]) / spread) ** 2) / spread
    odds = _odds(observed, lines)[observed.brightness[i]] / np.sqrt(2 * np.pi)
    gained = np.log1p(odds * lines.chance[j] * density).sum()
    expected = (now > observed.limits[0] + 5) & (now < observed.limits[1] - 5)
    expected[j] = False
    missing = lines.chance * (0.3 + 0.7 * lines.strength) * (lines.chance > 0.5)
    return float(gained - 0.7 * missing[expected].sum())
