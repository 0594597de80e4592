"""Colour maps: 256 colours each, from published tables or formulas."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Colormap = Literal[
    "gray",
    "gray_r",
    "viridis",
    "plasma",
    "inferno",
    "magma",
    "cividis",
    "turbo",
    "cubehelix",
    "heat",
    "cool",
]
NAMES: tuple[str, ...] = get_args(Colormap)
"""Every colour map, the default first."""


@cache
def table(name: str) -> NDArray[np.uint8]:
    """Return the colours of a map, shape (256, 3), red green blue.

    Raises
    ------
    KeyError
        If there is no map of that name.
    """
    level = np.linspace(0.0, 1.0, 256)
    formulas = {
        "gray": lambda: np.stack([level] * 3, axis=1),
        "gray_r": lambda: np.stack([1 - level] * 3, axis=1),
        "cubehelix": lambda: _cubehelix(level),
        # The ramps of SAOImage: each colour rises over its own part of the range.
        "heat": lambda: np.stack([3 * level, 3 * level - 1, 3 * level - 2], axis=1),
        "cool": lambda: np.stack([3 * level - 2, 2.0 * level - 0.66, 2 * level], axis=1),
    }
    if name in formulas:
        return np.round(255 * np.clip(formulas[name](), 0, 1)).astype(np.uint8)
    rgb = bytes.fromhex(_published()[name]["rgb"].replace(" ", ""))
    return np.frombuffer(rgb, np.uint8).reshape(256, 3)


@cache
def _published() -> dict[str, dict[str, str]]:
    text = files(__package__).joinpath("colormaps.json").read_text("utf-8")
    return json.loads(text)


def _cubehelix(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Green (2011), Bulletin of the Astronomical Society of India 39, 289: his default values."""
    start, rotations, hue = 0.5, -1.5, 1.0
    angle = 2 * np.pi * (start / 3 + 1 + rotations * level)
    amplitude = hue * level * (1 - level) / 2
    weights = np.array([[-0.14861, 1.78277], [-0.29227, -0.90649], [1.97294, 0.0]])
    turn = np.stack([np.cos(angle), np.sin(angle)])
    return level[:, None] + amplitude[:, None] * (weights @ turn).T
