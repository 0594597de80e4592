"""Which star of a catalogue is which source: any rotation, either parity, a wrong pointing.

The scale of the instrument is known, so pairs of stars do what others need triangles for: each
pair of sources and each pair of catalogue stars of equal separation propose a rotation and a
shift, and the true one collects the votes of all pairs (Groth 1986, AJ 91, 1244, for the idea).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import poisson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

_BRIGHTEST = 40
_CATALOGUE = 110
_SCALE_TOLERANCE = 0.015
_POSITION_TOLERANCE = 1.0
_ANGLE_BIN = np.radians(1.5)
_SHIFT_BIN = 6.0
_CANDIDATES = 24
_CERTAIN = 1e-7
"""Chance that random stars match as well; a worse match is no solution."""
_FEWEST = 5


@dataclass(frozen=True, slots=True, eq=False)
class SkyMatch:
    """Pairs of source and star, and the linear map between them."""

    source: NDArray[np.intp]
    """Indices of sources, shape (k,)."""
    star: NDArray[np.intp]
    """Indices of catalogue stars, shape (k,)."""
    matrix: NDArray[np.float64]
    """From source to star, shape (2, 2); its determinant is negative for a mirrored image."""
    shift: NDArray[np.float64]
    """Arcsec, shape (2,)."""
    chance: float
    """Probability that stars in random places match as well."""


def match_stars(sources: Points, stars: Points, *, farthest: float = 130.0) -> SkyMatch | None:
    """Match sources to the stars of a catalogue.

    Parameters
    ----------
    sources : ndarray of float64
        Offsets from the middle of the image in arcsec (pixels times the nominal scale), the
        brightest first, shape (n, 2).
    stars : ndarray of float64
        Offsets from the pointing in the tangent plane in arcsec, the brightest first, shape
        (m, 2).
    farthest : float
        Largest error of the pointing, arcsec.

    Returns
    -------
    SkyMatch or None
        None if no match is better than chance.
    """
    if len(sources) < 3 or len(stars) < 3:
        return None
    best: SkyMatch | None = None
    for flip in (1.0, -1.0):
        seen = sources * (1.0, flip)
        for angle, shift in _proposals(seen[:_BRIGHTEST], stars[:_CATALOGUE], farthest):
            matrix = _rotation(angle) @ np.diag((1.0, flip))
            found = _refined(sources, stars, matrix, shift, farthest)
            if found is not None and (best is None or found.chance < best.chance):
                best = found
        if best is not None and best.chance < _CERTAIN**2:
            break
    return best if best is not None and best.chance < _CERTAIN else None


def _rotation(angle: float) -> NDArray[np.float64]:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def _pairs(points: Points) -> tuple[NDArray[np.intp], NDArray[np.intp], Points, Points]:
    first, second = np.triu_indices(len(points), 1)
    step = points[second] - points[first]
    return first, second, np.hypot(*step.T), np.arctan2(step[:, 1], step[:, 0])


def _proposals(
    sources: Points, stars: Points, farthest: float
) -> list[tuple[float, NDArray[np.float64]]]:
    """Return the rotations and shifts with the most votes, the best first."""
    i, j, length, angle = _pairs(sources)
    k, el, distance, direction = _pairs(stars)
    long = length > 15
    i, j, length, angle = i[long], j[long], length[long], angle[long]
    order = np.argsort(distance)
    k, el, distance, direction = k[order], el[order], distance[order], direction[order]
    slack = _SCALE_TOLERANCE * length + _POSITION_TOLERANCE
    low = np.searchsorted(distance, length - slack)
    high = np.searchsorted(distance, length + slack)
    count = high - low
    mine = np.repeat(np.arange(len(length)), count)
    theirs = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + low[mine]
    votes = []
    for turned in (False, True):
        turn = direction[theirs] - angle[mine] + (np.pi if turned else 0.0)
        middle_source = (sources[i[mine]] + sources[j[mine]]) / 2
        middle_star = (stars[k[theirs]] + stars[el[theirs]]) / 2
        c, s = np.cos(turn), np.sin(turn)
        moved = np.column_stack(
            [
                c * middle_source[:, 0] - s * middle_source[:, 1],
                s * middle_source[:, 0] + c * middle_source[:, 1],
            ]
        )
        shift = middle_star - moved
        near = np.hypot(*shift.T) <= farthest
        votes.append(np.column_stack([np.mod(turn[near], 2 * np.pi), shift[near]]))
    return _peaks(np.concatenate(votes))


def _peaks(votes: NDArray[np.float64]) -> list[tuple[float, NDArray[np.float64]]]:
    """Return the fullest bins, two grids shifted by half a bin so that none is split."""
    if len(votes) == 0:
        return []
    size = np.array([_ANGLE_BIN, _SHIFT_BIN, _SHIFT_BIN])
    found: list[tuple[int, float, NDArray[np.float64]]] = []
    for offset in (0.0, 0.5):
        cell = np.floor(votes / size + offset).astype(np.int64)
        label = (cell[:, 0] * 4096 + cell[:, 1] + 2048) * 4096 + cell[:, 2] + 2048
        _, inverse, counts = np.unique(label, return_inverse=True, return_counts=True)
        for bin_ in np.argsort(counts)[::-1][:_CANDIDATES]:
            inside = votes[inverse == bin_]
            found.append(
                (
                    int(counts[bin_]),
                    float(np.median(inside[:, 0])),
                    np.median(inside[:, 1:], axis=0),
                )
            )
    found.sort(key=lambda entry: -entry[0])
    return [(angle, shift) for count, angle, shift in found[:_CANDIDATES] if count >= 2]


def _refined(
    sources: Points,
    stars: Points,
    matrix: NDArray[np.float64],
    shift: NDArray[np.float64],
    farthest: float,
) -> SkyMatch | None:
    """Return the match that a proposal leads to, refined from wide to narrow."""
    # a fair number of each: thousands of faint stars match anything
    some = sources[:150]
    few = stars[: max(4 * len(some), 200)]
    tree = cKDTree(few)
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None
    for reach in (6.0, 4.0, 2.5, 1.5, 1.5):
        pairs = _mutual(some @ matrix.T + shift, tree, reach)
        if len(pairs[0]) < 3:
            return None
        fitted = _similar(some[pairs[0]], few[pairs[1]], matrix)
        if fitted is None:
            return None
        matrix, shift = fitted
    if np.hypot(*shift) > farthest + 30:
        return None
    pairs = _mutual(some @ matrix.T + shift, tree, 1.5)
    found = len(pairs[0])
    if found < _FEWEST:
        return None
    expected = _by_chance(some @ matrix.T + shift, few, 1.5)
    # the map itself was chosen from very many to fit two of them
    chance = float(poisson.sf(found - 3, expected)) * 1e4
    return SkyMatch(pairs[0], pairs[1], matrix, shift, chance)


def _mutual(
    placed: Points, tree: cKDTree, reach: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return pairs that are each other's nearest within `reach` arcsec."""
    distance, nearest = tree.query(placed, distance_upper_bound=reach)
    hit = np.flatnonzero(np.isfinite(distance))
    order = hit[np.argsort(distance[hit])]
    _, first = np.unique(nearest[order], return_index=True)
    chosen = order[first]
    return chosen, nearest[chosen]


def _similar(
    source: Points, star: Points, matrix: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return the best similarity of the same parity, robustly; None if its scale is off."""
    flip = np.sign(np.linalg.det(matrix))
    a, b = source * (1.0, flip), star
    weight = np.ones(len(a))
    angle_scale = np.zeros(2)
    shift = np.zeros(2)
    for _ in range(4):
        total = weight.sum()
        ma, mb = weight @ a / total, weight @ b / total
        da, db = a - ma, b - mb
        norm = float(weight @ (da**2).sum(axis=1))
        if norm <= 0:
            return None
        cos_part = float(weight @ (da * db).sum(axis=1)) / norm
        sin_part = float(weight @ (da[:, 0] * db[:, 1] - da[:, 1] * db[:, 0])) / norm
        angle_scale = np.array([cos_part, sin_part])
        turn = np.array([[cos_part, -sin_part], [sin_part, cos_part]])
        shift = mb - turn @ ma
        residual = np.hypot(*(b - a @ turn.T - shift).T)
        weight = 1 / (1 + (residual / max(float(np.median(residual)) * 2, 0.05)) ** 2)
    if abs(float(np.hypot(*angle_scale)) - 1) > 0.05:
        return None
    turn = np.array([[angle_scale[0], -angle_scale[1]], [angle_scale[1], angle_scale[0]]])
    return turn @ np.diag((1.0, flip)), shift


def _by_chance(placed: Points, stars: Points, reach: float) -> float:
    """Return how many of the sources would match stars in random places."""
    low, high = placed.min(axis=0), placed.max(axis=0)
    area = float(np.prod(np.maximum(high - low, 1.0)))
    inside = np.all((stars >= low) & (stars <= high), axis=1)
    density = inside.sum() / area
    return float(len(placed) * -np.expm1(-density * np.pi * reach**2))
