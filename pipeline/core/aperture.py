"""Where light is summed: an aperture that follows a trace, and the pixel fractions it covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from goodman_live.pipeline.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Zone = tuple[float, float]
"""Lower and upper edge in unbinned rows relative to the trace."""


@dataclass(frozen=True, slots=True)
class Aperture:
    """An aperture that a user places: all numbers in unbinned readout rows.

    Edges and zones are offsets from the trace, so they mean the same at every column, binning
    and window. A row *r* of a reduced frame (0-based, binned) is ``window.rows_unbinned()[r]``.
    """

    row: float
    """Centre in unbinned readout rows, at `column`."""
    lower: float | None = None
    """Lower edge relative to the trace, negative; None lets the block choose."""
    upper: float | None = None
    """Upper edge relative to the trace, positive; None lets the block choose."""
    zones: tuple[Zone, ...] = ()
    """Background zones relative to the trace; empty lets the block choose."""
    column: float | None = None
    """Unbinned readout column where `row` holds; None is the middle of the frame."""
    follow: Literal["auto", "own", "borrow", "straight"] = "auto"
    """Trace: the target's own, one borrowed from a brighter target, or a straight row."""

    def __post_init__(self) -> None:
        """Accept lists (they come from JSON) and refuse what makes no sense.

        Raises
        ------
        SettingsError
            If an edge or zone is not finite, is upside down, or `follow` is unknown.
        """
        object.__setattr__(self, "zones", tuple(_zone(z) for z in self.zones))
        numbers = [v for v in (self.row, self.lower, self.upper, self.column) if v is not None]
        if not np.all(np.isfinite(np.asarray(numbers, dtype=float))):
            raise SettingsError(
                f"The aperture at row {self.row} holds a number that is not finite.",
                field="aperture",
            )
        if (self.lower is None) != (self.upper is None):
            raise SettingsError(
                "An aperture needs both its lower and its upper edge, or neither.",
                field="aperture",
            )
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise SettingsError(
                f"The aperture's lower edge {self.lower} is not below its upper {self.upper}.",
                remedy="Edges are rows relative to the trace, such as -10 and 10.",
                field="aperture",
            )
        if self.follow not in {"auto", "own", "borrow", "straight"}:
            raise SettingsError(
                f"An aperture cannot follow '{self.follow}'.",
                remedy="Accepted: auto, own, borrow, straight.",
                field="aperture",
            )


def _zone(zone: Sequence[float]) -> Zone:
    try:
        lower, upper = (float(v) for v in zone)
    except (TypeError, ValueError):
        raise SettingsError(
            f"A background zone is two numbers, not {zone!r}.", field="aperture"
        ) from None
    if not (np.isfinite(lower) and np.isfinite(upper) and lower < upper):
        raise SettingsError(
            f"A background zone runs from a lower to an upper row, not {lower} to {upper}.",
            field="aperture",
        )
    return lower, upper


def fractions(
    rows: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of each pixel that lies between two edges.

    Parameters
    ----------
    rows : ndarray of float64
        Pixel indices along the slit (binned), shape (m,); pixel i covers i - 1/2 to i + 1/2.
    lower, upper : ndarray of float64
        Edges at each column in the same pixels, shape (n,).

    Returns
    -------
    ndarray of float64
        Fractions 0 to 1, shape (m, n).
    """
    top = np.minimum(rows[:, None] + 0.5, upper)
    return np.clip(top - np.maximum(rows[:, None] - 0.5, lower), 0.0, 1.0)
