"""Lamps that burned although the header does not name them.

A lamp left on from the arc before puts bright lines among those of the named ones. Such a line
may lie beside a faint one of the named lamps and be taken for it, so that the axis is bent by
tenths of a column while its lines seem to agree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.errors import UntrustedSolutionError
from goodman_live.pipeline.core.lamps import ARC_LAMPS
from goodman_live.pipeline.core.lines import GASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodman_live.pipeline.core.wavelength import WavelengthSolution

    Solve = Callable[[frozenset[str]], WavelengthSolution]

_STRANGERS = 3
"""Bright lines without a name from which other lamps are tried."""
_NAMELESS, _NAMELESS_SHARE = 6, 0.2
"""Lines of any brightness without a name, and their share of all, from which they are tried too:
in the blue the bright lines are few, and a further lamp's are faint."""
_SURE = 12.0
"""Log odds that a further lamp must add: one that burns adds 16 to 200, one that does not 8 at
most (simulated arcs of all modes)."""
_CONFIRMED = 5.0
"""Log odds that the named lamps must add to the further one, to be believed themselves."""
_OWN_LINES = 3
"""Lines of elements that no named lamp holds, from which the further lamp is said to burn."""
_SAME_PX, _SAMPLES = 0.1, 50
"""Binned columns within which two axes are the same, and places where they are compared."""


def with_unnamed(
    axis: WavelengthSolution | None, names: frozenset[str], solve: Solve
) -> WavelengthSolution | None:
    """Return the solution with the lines of a further lamp, if one burned beyond doubt.

    Parameters
    ----------
    axis : WavelengthSolution or None
        Solution with the named lamps; None if their lines could not be identified at all.
    names : frozenset of str
        The named lamps.
    solve : callable
        Solves the same lines with another set of lamps, or raises `UntrustedSolutionError`.

    Returns
    -------
    WavelengthSolution or None
        The same solution where no further lamp is seen. Where the lines are those of another
        lamp, none of the named ones is confirmed and the axis depends on it, it says so and is
        not trusted.
    """
    if axis is not None and axis.trusted and not _crowded(axis):
        return axis
    known = axis.score if axis is not None else 0.0
    tried = {lamp: _tried(solve, names | {lamp}) for lamp in ARC_LAMPS if lamp not in names}
    found = {lamp: other for lamp, other in tried.items() if other is not None}
    lamp = max(found, key=lambda name: found[name].score, default="")
    if not lamp or found[lamp].score < known + _SURE:
        return axis
    return _judged(axis, names, lamp, found[lamp], _tried(solve, frozenset({lamp})))


def _crowded(axis: WavelengthSolution) -> bool:
    """Whether so many lines are none of the named lamps' that another may have burned."""
    nameless = sum(line.wavelength is None for line in axis.lines)
    return axis.strangers >= _STRANGERS or nameless >= max(
        _NAMELESS, _NAMELESS_SHARE * len(axis.lines)
    )


def _judged(
    axis: WavelengthSolution | None,
    names: frozenset[str],
    lamp: str,
    both: WavelengthSolution,
    alone: WavelengthSolution | None,
) -> WavelengthSolution | None:
    """Return what to make of a further lamp: with the named ones in `both`, and alone.

    Lamps share their argon, of which some show more ionised lines than they are known for. The
    further lamp's list is then the better one, and its axis right, whichever lamp burned.
    """
    known = {gas for name in names for gas in GASES[name]}
    shared = bool(known.intersection(GASES[lamp]))
    own = sum(line.used and line.element.split()[0] not in known for line in both.lines)
    if alone is not None and alone.score > both.score - _CONFIRMED and not shared:
        if axis is not None and axis.trusted and _agree(axis, alone):
            return axis
        reason = f"the lines are rather those of {lamp} than of {'+'.join(sorted(names))}"
        return _doubted(both if axis is None else axis, reason)
    if own < _OWN_LINES:
        return replace(both, lamps=tuple(sorted(names))) if both.trusted else axis
    if not both.trusted:
        return axis if axis is None else _doubted(axis, f"lines of {lamp} are among them")
    return replace(both, unnamed=(lamp,))


def _agree(one: WavelengthSolution, other: WavelengthSolution) -> bool:
    """Whether two axes are one within what is asked of either: lamps share their argon."""
    column = np.linspace(*one.coverage, _SAMPLES)
    apart = (one.wavelength(column) - other.wavelength(column)) / one.scale(column)
    return bool(np.abs(apart).max() < _SAME_PX * max(one.binning, 1))


def _tried(solve: Solve, lamps: frozenset[str]) -> WavelengthSolution | None:
    try:
        return solve(lamps)
    except UntrustedSolutionError:
        return None


def _doubted(axis: WavelengthSolution, reason: str) -> WavelengthSolution:
    return replace(axis, reasons=(*axis.reasons, reason))
