"""Which frames are to be planned, and which of them first."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True, slots=True)
class _Mark:
    due: float
    by_the_way: bool


class Marks:
    """Frames to be planned, each once, with the time from which on.

    What happened to a frame itself comes before what something else may have changed for it: a
    new master may concern thousands of an archive's frames, and tonight's must not wait for them.
    Times are those of one clock, in seconds.
    """

    def __init__(self) -> None:
        self._marks: dict[int, _Mark] = {}

    def __len__(self) -> int:
        """Return how many frames wait."""
        return len(self._marks)

    def add(self, frame_id: int, due: float, *, by_the_way: bool = False) -> None:
        """Mark a frame; a later mark puts a waiting one off, and none makes it less urgent."""
        before = self._marks.get(frame_id)
        by_the_way = by_the_way and (before is None or before.by_the_way)
        self._marks[frame_id] = _Mark(due, by_the_way)

    def drop(self, frame_id: int) -> None:
        """Forget a frame, if it is there."""
        self._marks.pop(frame_id, None)

    def put_back(self, frame_ids: list[int], due: float) -> None:
        """Mark frames again that are not marked anew meanwhile."""
        for frame_id in frame_ids:
            self._marks.setdefault(frame_id, _Mark(due, by_the_way=False))

    def take(self, now: float, most: int) -> list[int]:
        """Return, and forget, the most urgent frames that are due: in the order of their marks."""
        due = (
            frame_id
            for by_the_way in (False, True)
            for frame_id, mark in self._marks.items()
            if mark.by_the_way is by_the_way and mark.due <= now
        )
        taken = list(islice(due, most))
        for frame_id in taken:
            del self._marks[frame_id]
        return taken

    def soonest(self, otherwise: float) -> float:
        """Return when the next frame is due."""
        return min((mark.due for mark in self._marks.values()), default=otherwise)
