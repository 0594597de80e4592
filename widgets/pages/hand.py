"""Apertures moved by hand: what was, what is, and what is asked of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Drawn = list[dict[str, Any]]
    """Apertures on the pixels of an image: ``name column centre aperture zones``, as the service
    draws them."""

WIDTH = 8.0
"""Rows on either side of a new aperture's trace, where there is no other to go by."""


class Hand:
    """The apertures of one frame with every state since they were extracted."""

    def __init__(self, drawn: Drawn) -> None:
        self._states = [drawn]

    @property
    def now(self) -> Drawn:
        """The apertures as they are."""
        return self._states[-1]

    @property
    def changed(self) -> bool:
        """True if they are not those that were extracted with."""
        return len(self._states) > 1

    def move(self, drawn: Drawn) -> None:
        """Take what a reader has dragged them to."""
        self._states.append(drawn)

    def undo(self) -> None:
        """Go back by one change."""
        if self.changed:
            self._states.pop()

    def place(self, x: float, y: float, shape: Sequence[int]) -> None:
        """Add an aperture at a place, with the trace of the one before."""
        name = str(1 + max((int(one["name"]) for one in self.now), default=0))
        if self.now:
            last = self.now[-1]
            offset = y - between(last["column"], last["centre"], x)
            centre = [row + offset for row in last["centre"]]
            new = {**last, "name": name, "centre": centre, "zones": []}
        else:
            columns = [0.0, shape[1] - 1.0]
            new = {
                "name": name,
                "column": columns,
                "centre": [y, y],
                "aperture": [-WIDTH, WIDTH],
                "zones": [],
            }
        self.move([*self.now, new])

    def remove(self) -> None:
        """Take the last aperture away; one stays."""
        if len(self.now) > 1:
            self.move(self.now[:-1])


def between(columns: Sequence[float], rows: Sequence[float], at: float) -> float:
    """Return a trace's row at a column; beyond its ends the nearest."""
    if at <= columns[0]:
        return rows[0]
    for left, right, low, high in zip(columns, columns[1:], rows, rows[1:], strict=False):
        if at <= right:
            return low + (high - low) * (at - left) / (right - left)
    return rows[-1]


def request(drawn: Drawn, window: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return apertures as the service extracts with: all numbers in unbinned readout rows.

    Parameters
    ----------
    drawn : list of dict
        On the pixels of an image; the centre of pixel i is at i.
    window : mapping
        ``x0 y0 xbin ybin`` of the image on the detector.
    """
    return [_request(one, window) for one in drawn]


def _request(one: Mapping[str, Any], window: Mapping[str, int]) -> dict[str, Any]:
    middle = len(one["column"]) // 2
    xbin, ybin = window["xbin"], window["ybin"]
    lower, upper = (edge * ybin for edge in one["aperture"])
    return {
        "row": window["y0"] + one["centre"][middle] * ybin + (ybin - 1) / 2,
        "column": window["x0"] + one["column"][middle] * xbin + (xbin - 1) / 2,
        "lower": lower,
        "upper": upper,
        "zones": [[low * ybin, high * ybin] for low, high in one["zones"]],
    }
