"""The colour bar says what the server draws."""

from __future__ import annotations

import numpy as np
import pytest

from goodman_live.server_extension.render import colormaps, scale
from goodman_live.widgets.components import colours


def test_every_map_of_the_server_has_a_bar():
    assert [*colours.STOPS] == [*colormaps.NAMES]


@pytest.mark.parametrize("name", colormaps.NAMES)
def test_the_stops_are_the_servers_colours(name: str):
    stops = np.array([[*bytes.fromhex(stop)] for stop in colours.STOPS[name]])
    places = np.linspace(0, 255, len(stops))
    drawn = np.stack([np.interp(np.arange(256), places, stops[:, c]) for c in range(3)], axis=1)
    assert np.abs(drawn - colormaps.table(name)).max() < 30  # a few percent between the stops


@pytest.mark.parametrize("stretch", ["linear", "log", "asinh"])
def test_the_bar_is_stretched_as_the_server_stretches(stretch: str):
    parts = np.linspace(0, 1, 21)
    ours = [colours.stretched(part, stretch) for part in parts]
    np.testing.assert_allclose(ours, scale.stretched(parts, stretch), atol=1e-12)


@pytest.mark.parametrize(
    ("low", "high"), [(500, 2000), (-3.2, 17.9), (0, 65535), (1e-4, 2e-4), (5, 5), (7, 3)]
)
def test_marks_lie_on_the_bar_and_read_round(low: float, high: float):
    bar = colours.bar(low, high, "gray", "linear")
    for mark in bar["marks"]:
        assert -1e-6 <= mark["at"] <= 1 + 1e-6
        assert low <= float(mark["text"]) + 1e-9
    assert bool(bar["marks"]) is (high > low)
