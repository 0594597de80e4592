"""How often one caller may ask, and how much at once: a bucket and a count each, in memory."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT = 10_000
"""Callers remembered; the longest silent is forgotten first."""


@dataclass(slots=True)
class _Bucket:
    level: float
    seen: float


class RateLimiter:
    """Allow each caller `rate` requests a second on average, and `burst` at once.

    Parameters
    ----------
    rate : float
        Requests per second; 0 or less switches the limit off.
    burst : int
        Requests that may come at once.
    clock : callable, optional
        Seconds of a monotonic clock.
    """

    def __init__(
        self, rate: float, burst: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate = rate
        self.burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait(self, caller: str, cost: float = 1.0) -> int:
        """Count a request of `caller`; return 0, or the whole seconds to wait if refused."""
        if self.rate <= 0:
            return 0
        now = self._clock()
        bucket = self._buckets.pop(caller, None) or _Bucket(self.burst, now)
        bucket.level = min(self.burst, bucket.level + (now - bucket.seen) * self.rate)
        bucket.seen = now
        self._buckets[caller] = bucket
        if len(self._buckets) > KEPT:
            self._buckets.popitem(last=False)
        if bucket.level >= cost:
            bucket.level -= cost
            return 0
        return max(1, math.ceil((cost - bucket.level) / self.rate))


class UnderWay:
    """Count the requests of each caller that have no answer yet.

    However fast they are sent, those of one caller fill only so much of the queue in which the
    others' stand too.

    Parameters
    ----------
    most : int
        Requests of one caller that may be under way; 0 or less for any number.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._counts: Counter[str] = Counter()

    def enter(self, caller: str) -> bool:
        """Count a request in; False, and not counted, if there are too many."""
        if 0 < self.most <= self._counts[caller]:
            return False
        self._counts[caller] += 1
        return True

    def leave(self, caller: str) -> None:
        """Count a request out that `enter` counted in."""
        self._counts[caller] -= 1
        if self._counts[caller] <= 0:
            del self._counts[caller]
