"""When the master of a group is rebuilt: after a series of frames, not with each of them.

A telescope takes ten bias frames or flats one after the other. The first master is made as soon
as there are enough frames; each further one would make another master, and every frame of the
night that uses it would be reduced again, ten times within two minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

SAME_SERIES_S = 60.0
"""Frames of a group that come further apart are no series."""
GAPS = 2.5
"""A series is over when nothing has come for so many times its last gap."""
LONGEST_S = 30.0
"""Nor is it waited for longer than this."""
AT_LEAST_EVERY_S = 120.0
"""A series that does not end has its master rebuilt as often as this."""


@dataclass(frozen=True, slots=True)
class _Last:
    frame_id: int
    came: float
    since: float
    """When the first frame came that is not planned yet."""
    due: float


class Series:
    """The calibrations that came lately, by group.

    Times are those of one clock, in seconds.

    Parameters
    ----------
    quiet_s : float
        Least time without a further frame after which a master is rebuilt.
    """

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._groups: dict[str, _Last] = {}

    def add(
        self, group: str, frame_id: int, now: float, *, at_once: bool = False
    ) -> tuple[int | None, float]:
        """Note that a frame came.

        Parameters
        ----------
        at_once : bool
            Its group waits for it: the master can be made for the first time.

        Returns
        -------
        before : int or None
            The frame that stood for the group until now, which need not be planned any more.
        due : float
            When this one is to be planned in its stead.
        """
        self._groups = {
            name: one
            for name, one in self._groups.items()
            if now - one.came <= SAME_SERIES_S or one.due > now
        }
        last = self._groups.get(group)
        since = now if last is None or last.due <= now else last.since
        due = now if at_once else min(now + self._quiet(last, now), since + AT_LEAST_EVERY_S)
        self._groups[group] = _Last(frame_id, now, since, due)
        return (last.frame_id if last is not None else None), due

    def _quiet(self, last: _Last | None, now: float) -> float:
        if last is None:
            return self._quiet_s
        return max(self._quiet_s, min(GAPS * (now - last.came), LONGEST_S))
