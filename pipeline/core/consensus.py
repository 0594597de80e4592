"""Which of many matched lines agree on one axis, however far the others lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.departure import ORDER, legendre

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTHS = np.array([200.0, 20.0, 0.4, 0.4, 0.15, 0.08, 0.04])
"""Prior standard deviations of the Legendre coefficients, unbinned columns."""
_LAMP = 0.3
"""The same of a lamp's displacement."""
_SCALES = (0.5, 0.25, 0.12, 0.06, 0.03)
"""Residual beyond which a line loses its say, from the first rounds to the last; binned pixels.
The wide ones find the crowd, the narrow ones hear it alone."""
_ROUNDS = 4
_BEYOND = 5.0
"""Residual in units of the expected one, beyond which a line is none of the crowd."""


def consensus(
    predicted: NDArray[np.float64],
    departure: NDArray[np.float64],
    sigma: NDArray[np.float64],
    lamp: NDArray[np.str_],
    *,
    binning: int = 1,
) -> NDArray[np.bool_]:
    """Return the lines that agree, by a fit that hears far ones less in each round.

    A plain fit of a dozen lines of which three are blends lies between them, and calls the
    distance scatter; this one settles on the many that agree closely.

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
    binning : int
        Serial binning, which sets how closely lines can agree.
    """
    design, precision = _design(predicted, lamp)
    residual = departure - np.median(departure)
    for scale in _SCALES:
        expected = np.hypot(sigma, scale * binning)
        for _ in range(_ROUNDS):
            weight = 1 / expected**2 / (1 + (residual / expected) ** 2)
            weighted = design * weight[:, None]
            solved = np.linalg.solve(design.T @ weighted + precision, weighted.T @ departure)
            residual = departure - design @ solved
    ratio = np.abs(residual) / expected
    agree: NDArray[np.bool_] = ratio < _BEYOND * max(1.4826 * float(np.median(ratio)), 1.0)
    return agree


def _design(
    predicted: NDArray[np.float64], lamp: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    design, width = legendre(predicted), _WIDTHS[: ORDER + 1]
    lamps = sorted(set(lamp.tolist()))
    if len(lamps) > 1:
        own = np.stack([lamp == name for name in lamps], axis=1).astype(float)
        design = np.hstack([design, own])
        width = np.concatenate([width, np.full(len(lamps), _LAMP)])
    return design, np.diag(1 / width**2)
