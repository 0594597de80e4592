"""Accuracy and cost of the wavelength solver on simulated arcs of every kind.

Run: python benchmarks/bench_arc.py [number of arcs]
"""

from __future__ import annotations

import sys
import time

import numpy as np

from goodman_live.pipeline.core.arc import solve_arc
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.core.frame import Flag, Frame
from goodman_live.pipeline.core.header import describe
from goodman_live.pipeline.core.instrument import clip_adu
from goodman_live.pipeline.raw_arc import without_bias
from goodman_live.pipeline.simulate.frames import arc
from goodman_live.pipeline.simulate.instrument import MODES, Region, setup
from goodman_live.pipeline.simulate.law import random_law

LAMPS = (("HGA", "NE"), ("CU",), ("FE",), ("NE",), ("HGA",), ("AR",))


def one(mode: str, lamps: tuple[str, ...], binning: int, seed: int, rows: int = 200) -> None:
    region = Region("user-defined", 0, 2095 - rows // 2, 4142 // binning, rows // binning)
    config = setup("Red", mode, binning=(binning, binning), region=region)
    law = random_law(config.mode, np.random.default_rng(seed))
    made = arc(config, lamps, seed=seed, law=law)
    info = describe(made.header, file_name="arc", shape=made.data.shape)
    data = made.data.astype(np.float32)
    flags = np.where(data >= clip_adu(info.saturation), Flag.SATURATED.value, 0).astype(np.uint8)
    frame = without_bias(Frame(data, data * 0, flags, made.header, info.window), info)
    wall, cpu = time.perf_counter(), time.process_time()
    name = f"{mode:11s}{'+'.join(lamps):8s}{binning}x{binning}"
    try:
        solution = solve_arc(frame, info)
    except GoodmanError as error:
        print(f"{name} declined: {error.message}")
        return
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    axis, x = solution.axis, solution.column
    error = (axis.wavelength(x) - law.wavelength(x, solution.along)) / axis.scale(x) / binning
    inside = axis.covers(x)
    pull = error * binning / axis.uncertainty_px(x)
    print(
        f"{name} lines {axis.n_used:3d}  zero point {error[inside].mean():+.3f} px  rms "
        f"{np.sqrt(np.mean(error[inside] ** 2)):.3f} px  pull {np.std(pull[inside]):.2f}  "
        f"cpu {cpu:.2f} s  wall {wall:.2f} s  {'trusted' if axis.trusted else axis.reasons}"
    )


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    modes = [name for name in MODES if name != "2100_3900A"]
    for k in range(count):
        one(modes[k % len(modes)], LAMPS[k % len(LAMPS)], (2, 1, 2, 3)[k % 4], seed=k)
    print("full 2x2 frame, second call:")
    one("400_M1", ("HGA", "NE"), 2, seed=1, rows=1896)
