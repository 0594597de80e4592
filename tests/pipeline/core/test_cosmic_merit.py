"""The table of the better method says what the benchmark of both measures."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from goodman_live.pipeline.core.cosmic import MERIT

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "bench_cosmic.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_cosmic", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("place", MERIT)
def test_default_is_the_method_of_the_better_merit(place, bench):
    camera, xbin = place
    assert bench.best(bench.measure(camera, (xbin, xbin), 3)) == MERIT[place]


def test_a_tie_goes_to_the_method_for_images(bench):
    assert bench.best({"lacosmic": (98.0,), "dcr": (98.9,)}) == "lacosmic"
    assert bench.best({"lacosmic": (97.0,), "dcr": (98.9,)}) == "dcr"
