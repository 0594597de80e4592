"""Round numbers along an axis."""

from __future__ import annotations

import math

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
"""Steps that read well, in powers of ten."""


def round_ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers between `low` and `high`, both included if round."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or count < 1:
        return []
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s for s in STEPS if s * power >= rough * (1 - 1e-9)) * power
    slack = step * 1e-6
    first = math.ceil((low - slack) / step)
    last = math.floor((high + slack) / step)
    return [index * step for index in range(first, last + 1)]


def tick_labels(ticks: list[float]) -> list[str]:
    """Return `ticks` as text with the same number of decimals."""
    if not ticks:
        return []
    largest = max(abs(tick) for tick in ticks)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else largest or 1.0
    if largest >= 1e6 or (0 < largest < 1e-3):
        digits = max(0, math.floor(math.log10(largest)) - math.floor(math.log10(abs(step))))
        return [f"{tick:.{digits}e}" if tick else "0" for tick in ticks]
    decimals = max(0, -math.floor(math.log10(abs(step)) + 1e-9))
    if round(step * 10**decimals, 6) % 1:
        decimals += 1  # steps of 2.5
    return [
        f"{tick:.{decimals}f}".replace("-0", "0")
        if not round(tick, decimals)
        else f"{tick:.{decimals}f}"
        for tick in ticks
    ]
