"""Masters and the reduce block: seconds and memory, beside ccdproc and redccd on the same frames.

Run ``python benchmarks/bench_reduce.py [2x2|1x1 ...] [--no-peer]``. Times are wall and processor
seconds; the peak of memory is that of a fresh process that does nothing else, above its size once
idle. The two-dimensional stage of a night is that of the command, in two processes, its start
included.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ccdproc
import numpy as np
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.stats import mad_std
from peer import measure, peer_environment

from goodman_live.pipeline.blocks.masters import build_master_bias, build_master_flat
from goodman_live.pipeline.core.combine import Layer, combine
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.instrument import Setup, setup
from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.plan import bench_night
from goodman_live.pipeline.simulate.scene import Source

if TYPE_CHECKING:
    from collections.abc import Callable

IN_FRESH_PROCESS = """
import json, sys, time
from pathlib import Path
from goodman_live.pipeline.blocks.reduce import reduce
from goodman_live.pipeline.settings import ReductionSettings
folder, bias, flat = map(Path, sys.argv[1:4])
# the high-water mark of this program; that of getrusage is inherited from the parent
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
idle, runs = peak(), []
for _ in range(3):
    wall, cpu = time.perf_counter(), time.process_time()
    result = reduce(folder / "science.fits", bias=bias, flat=flat, out_dir=folder / "out",
                    settings=ReductionSettings())
    runs.append((time.perf_counter() - wall, time.process_time() - cpu))
print(json.dumps({"wall": min(runs)[0], "cpu": min(r[1] for r in runs), "peak": peak() - idle,
                  "quality": dict(result.products[0].quality)}))
"""


def bench_stage(binning: tuple[int, int]) -> None:
    """Reduce a night in two dimensions, with ``goodman-live reduce --until reduce`` and redccd."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        write_night(work, bench_night(1, binning=binning))
        program = str(Path(sys.executable).with_name("goodman-live"))
        ours = measure(
            [program, "reduce", str(work / "RAW"), str(work / "ours"), "--until", "reduce"],
            cwd=work, log=work / "ours.log",
        )  # fmt: skip
        last = (work / "ours.log").read_text().strip().splitlines()[-1]
        print(f"  2-D stage of a night: {last}")
        (work / "peer").mkdir()
        peer = measure(
            ["redccd", "--raw-path", str(work / "RAW"), "--red-path", str(work / "peer"),
             "--auto-clean"],
            cwd=work, log=work / "peer.log", env=peer_environment(),
        )  # fmt: skip
        for label, cost in (("ours, two processes", ours), ("redccd", peer)):
            print(
                f"  {label:24} {cost.wall_s:7.2f} s wall {cost.cpu_s:7.2f} s cpu "
                f"{cost.peak_mb:7.0f} MB, exit {cost.returncode}"
            )
        print(
            f"  ratio                    {peer.wall_s / ours.wall_s:7.1f}   wall "
            f"{peer.cpu_s / ours.cpu_s:7.1f}   cpu {peer.peak_mb / ours.peak_mb:7.1f}   memory"
        )


def make_night(folder: Path, binning: tuple[int, int], number: int = 10) -> Setup:
    chosen = setup("Red", "400_M1", binning=binning)
    for i in range(number):
        frames.bias(chosen, seed=i).write(folder / f"bias{i}.fits")
        frames.flat(chosen, seed=50 + i).write(folder / f"flat{i}.fits")
    frames.spectrum(chosen, [Source(2100, 18.0)], seed=99).write(folder / "science.fits")
    return chosen


def timed(action: Callable[[], Any]) -> tuple[Any, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = action()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def bench_combine(folder: Path) -> None:
    """Combine ten bias frames in memory, both ways with the same clip and an uncertainty."""
    raws = [fits.getdata(folder / f"bias{i}.fits") for i in range(10)]
    layers = [Layer(raw, np.full(raw.shape[0], 700, np.float32)) for raw in raws]
    _, wall, cpu = timed(lambda: combine(layers, rdnoise_adu=2.63))
    ccds = [CCDData((raw - 700.0).astype(np.float32), unit="adu") for raw in raws]

    def theirs() -> CCDData:
        return ccdproc.combine(
            ccds, method="average", sigma_clip=True, sigma_clip_low_thresh=4,
            sigma_clip_high_thresh=4, sigma_clip_func=np.ma.median,
            sigma_clip_dev_func=mad_std, mem_limit=4e9,
        )  # fmt: skip

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, wall_ccd, cpu_ccd = timed(theirs)
    print(f"  combine 10 frames        {wall:7.2f} s wall {cpu:7.2f} s cpu")
    print(f"  ccdproc.combine          {wall_ccd:7.2f} s wall {cpu_ccd:7.2f} s cpu")
    print(f"  ratio                    {wall_ccd / wall:7.1f}   wall {cpu_ccd / cpu:7.1f}   cpu")


def bench(binning: tuple[int, int]) -> None:
    settings = ReductionSettings()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = make_night(folder, binning)
        out = folder / "out"
        copy_mb = chosen.shape[0] * chosen.shape[1] * 4 / 2**20
        print(f"{binning[0]}x{binning[1]}: {chosen.shape[1]} x {chosen.shape[0]} pixels")
        bench_combine(folder)
        raws = sorted(folder.glob("bias*.fits"))
        made, wall, cpu = timed(lambda: build_master_bias(raws, out_dir=out, settings=settings))
        bias = made.products[0].path
        print(f"  master bias, files in    {wall:7.2f} s wall {cpu:7.2f} s cpu")
        flats = sorted(folder.glob("flat*.fits"))
        for method in ("mean", "simple", "full"):
            chosen_settings = settings.model_copy(update={"flat_normalisation": method})
            made, wall, cpu = timed(
                lambda s=chosen_settings: build_master_flat(
                    flats, bias=bias, out_dir=out, settings=s
                )
            )
            print(f"  master flat, {method:6}      {wall:7.2f} s wall {cpu:7.2f} s cpu")
        flat = made.products[0].path
        run = subprocess.run(
            [sys.executable, "-c", IN_FRESH_PROCESS, str(folder), str(bias), str(flat)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        numbers = json.loads(run.stdout)
        print(
            f"  reduce a 900 s spectrum  {numbers['wall']:7.2f} s wall {numbers['cpu']:7.2f} s cpu"
        )
        share = numbers["peak"] / copy_mb
        print(f"  peak memory above idle   {numbers['peak']:7.0f} MB = {share:.1f} float32 copies")
        found = numbers["quality"]
        print(f"  cosmic rays {found['cosmic_rays']}, pixels {found['cosmic_pixels']}")


if __name__ == "__main__":
    with_peer = "--no-peer" not in sys.argv
    for text in [arg for arg in sys.argv[1:] if arg[0] != "-"] or ["2x2", "1x1"]:
        x, y = text.split("x")
        bench((int(x), int(y)))
        if with_peer:
            bench_stage((int(x), int(y)))
