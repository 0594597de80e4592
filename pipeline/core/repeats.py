"""Which targets of repeated exposures are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAME_ROWS = 13.0
"""Unbinned rows, 2 arcsec: a guided target moves by less between exposures."""


def same_target(row: float, others: Mapping[int, float], *, alone: bool) -> int | None:
    """Return which target of another exposure is the one at `row`.

    Parameters
    ----------
    row : float
        Its place along the slit, unbinned readout rows.
    others : Mapping of int to float
        Place of each target of the other exposure by its number.
    alone : bool
        It is the only target of its exposure: then the only target of the other is the same
        wherever it is, for the telescope may have been moved along the slit.

    Returns
    -------
    int or None
        The nearest one within `SAME_ROWS`; None if there is none.
    """
    if alone and len(others) == 1:
        return next(iter(others))
    near = [(abs(place - row), number) for number, place in others.items()]
    distance, number = min(near, default=(SAME_ROWS, None))
    return number if distance < SAME_ROWS else None


def repeats_of(
    target: int, newest: Mapping[int, float], earlier: Sequence[Mapping[int, float]]
) -> list[int | None]:
    """Return for each earlier exposure which of its targets is `target` of the newest one.

    Parameters
    ----------
    target : int
        Number of the target in the newest exposure.
    newest : Mapping of int to float
        Place of each target of the newest exposure, unbinned readout rows, by its number.
    earlier : sequence of Mapping
        The same for the exposures before.
    """
    alone = len(newest) == 1
    return [same_target(newest[target], places, alone=alone) for places in earlier]
