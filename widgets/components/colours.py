"""Colour maps as a few stops each, for the colour bar; the server draws with the full tables."""

from __future__ import annotations

import math

STOPS: dict[str, tuple[str, ...]] = {
    "gray": (
        "000000",
        "808080",
        "ffffff",
    ),
    "gray_r": (
        "ffffff",
        "7f7f7f",
        "000000",
    ),
    "viridis": (
        "440154",
        "48186a",
        "472d7b",
        "424086",
        "3b528b",
        "33638d",
        "2c728e",
        "26828e",
        "21918c",
        "1f9f88",
        "27ad81",
        "3dbc74",
        "5cc863",
        "81d34d",
        "aadc32",
        "d5e21a",
        "fde725",
    ),
    "plasma": (
        "0d0887",
        "310597",
        "4c02a1",
        "6600a7",
        "7e03a8",
        "9511a1",
        "aa2395",
        "bc3587",
        "cc4778",
        "d9586a",
        "e56b5d",
        "f07f4f",
        "f89441",
        "fdab33",
        "fdc328",
        "f9dd25",
        "f0f921",
    ),
    "inferno": (
        "000004",
        "0b0724",
        "210c4a",
        "3d0965",
        "57106e",
        "71196e",
        "8a226a",
        "a32c61",
        "bc3754",
        "d04545",
        "e35933",
        "f1711f",
        "f98c0a",
        "fcaa0f",
        "f9c932",
        "f2e865",
        "fcffa4",
    ),
    "magma": (
        "000004",
        "0a0822",
        "1d1147",
        "36106b",
        "51127c",
        "6a1c81",
        "832681",
        "9c2e7f",
        "b73779",
        "cf4070",
        "e55064",
        "f4695c",
        "fb8761",
        "fea571",
        "fec287",
        "fde0a1",
        "fcfdbf",
    ),
    "cividis": (
        "00224e",
        "002e6a",
        "1a386f",
        "32436d",
        "434e6c",
        "535a6d",
        "61656f",
        "6f7073",
        "7d7c78",
        "8b8778",
        "9a9376",
        "aaa073",
        "bbad6d",
        "ccba64",
        "ddc858",
        "efd748",
        "fee838",
    ),
    "turbo": (
        "30123b",
        "4040a2",
        "466be3",
        "4294ff",
        "28bceb",
        "18ddc2",
        "32f298",
        "6dfe62",
        "a4fc3c",
        "cbed34",
        "ecd13a",
        "fdae35",
        "fb8122",
        "ec530f",
        "d23105",
        "ac1701",
        "7a0403",
    ),
    "cubehelix": (
        "000000",
        "150b1d",
        "1b1e3b",
        "17374d",
        "16534c",
        "236a3e",
        "447731",
        "727b32",
        "a1794a",
        "c37a73",
        "d383a6",
        "d297d2",
        "c7b2ed",
        "c1cff3",
        "cae7f0",
        "e2f6f0",
        "ffffff",
    ),
    "heat": (
        "000000",
        "300000",
        "600000",
        "900000",
        "c00000",
        "f00000",
        "ff2100",
        "ff5100",
        "ff8100",
        "ffae00",
        "ffde00",
        "ffff0f",
        "ffff3f",
        "ffff6f",
        "ffff9f",
        "ffffcf",
        "ffffff",
    ),
    "cool": (
        "000000",
        "000020",
        "000040",
        "000060",
        "000080",
        "0000a0",
        "0018c0",
        "0038e0",
        "0058ff",
        "0076ff",
        "0096ff",
        "0fb6ff",
        "3fd6ff",
        "6ff6ff",
        "9fffff",
        "cfffff",
        "ffffff",
    ),
}
"""Name of a colour map to evenly spaced colours, low to high."""


LOG_RANGE = 1000.0
"""As the server: the log stretch shows this range of values."""
ASINH_KNEE = 0.1
"""As the server: below this part of the range the asinh stretch is nearly linear."""


def stretched(part: float, stretch: str) -> float:
    """Return where on the colours from 0 to 1 the part 0 to 1 of the range of values lies."""
    if stretch == "log":
        return math.log1p(LOG_RANGE * part) / math.log1p(LOG_RANGE)
    if stretch == "asinh":
        return math.asinh(part / ASINH_KNEE) / math.asinh(1 / ASINH_KNEE)
    return part


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Return about `count` round numbers from `low` to `high`."""
    if not high > low:
        return []
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def bar(low: float, high: float, colours: str, stretch: str) -> dict[str, object]:
    """Return a colour bar: its colours bottom to top, and ticks with their place from 0 to 1."""
    marks = [
        {"text": f"{value:.6g}", "at": stretched((value - low) / (high - low), stretch)}
        for value in ticks(low, high)
    ]
    # A stretch crowds the top: a mark too close to the one below it is left out.
    kept: list[dict[str, object]] = []
    for mark in marks:
        if not kept or float(str(mark["at"])) - float(str(kept[-1]["at"])) > 0.045:
            kept.append(mark)
    return {"colours": [f"#{stop}" for stop in STOPS[colours]], "marks": kept}
