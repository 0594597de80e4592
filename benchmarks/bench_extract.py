"""Extraction: processor seconds and accuracy on known truth, beside the peer on the same frames.

Run ``python benchmarks/bench_extract.py [realisations]``. The peer (goodman-pipeline 3.1.0) runs
in its own environment with its own functions and the defaults of its command: it finds, traces
and sums pixels and their fractions within one FWHM of the trace. It states no uncertainty.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.io import fits

from goodman_live.pipeline.core.errors import NoTargetError
from goodman_live.pipeline.core.extract import extract_targets

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.peer import PEER_ENV, peer_environment
from tests.pipeline.core.slit_scene import Scene, Star, ideal_sigma, scene

SIZES = {"2x2": (781, 2030, (2, 2), 3.0), "1x1": (1562, 4060, (1, 1), 6.0)}
STARS = (("bright", 5000.0), ("middle", 600.0), ("faint", 60.0))


def run_peer(scenes: list[Scene]) -> list[dict]:
    """Give frames to the peer; return seconds and targets of each."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, truth in enumerate(scenes):
            header = truth.frame.header.copy()
            window = truth.frame.window
            header["CCDSUM"] = f"{window.xbin} {window.ybin}"
            header["SLIT"], header["OBSTYPE"], header["OBJECT"] = "1.0_LONG_SLIT", "SPECTRUM", "x"
            path = Path(folder) / f"{number}.fits"
            header["GSP_FNAM"] = header["GSP_ONAM"] = path.name
            fits.PrimaryHDU(truth.frame.data, header).writeto(path)
            paths.append(str(path))
        script = Path(__file__).with_name("peer_extract.py")
        done = subprocess.run(
            [str(PEER_ENV / "bin" / "python"), str(script), *paths],
            env=peer_environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def bench_time() -> None:
    print("find, trace, extract one target, warm: processor seconds, least of three")
    print("                      ours     peer")
    for name, (ny, nx, binning, fwhm) in SIZES.items():
        star = Star(ny / 2, 3000.0, fwhm=fwhm)
        truth = scene(1, [star], ny=ny, nx=nx, binning=binning)
        runs = []
        for _ in range(3):
            began = time.process_time()
            extract_targets(truth.frame)
            runs.append(time.process_time() - began)
        theirs = min(run["seconds"] for run in run_peer([truth] * 3))
        print(f"  {name}  {nx} x {ny:5d}    {min(runs):6.2f}   {theirs:6.2f}")


def judged(flux: np.ndarray, truth: Scene, star: Star) -> tuple[float, float]:
    """Return S/N as a share of the ideal, a common factor taken out, and the bias in per cent."""
    true = truth.fluxes[0]
    share = flux.mean() / true.mean()
    off = (flux / share - true) / ideal_sigma(truth, 0, star)
    return 1 / float(np.sqrt(np.mean(off**2))), 100 * (float(share) - 1)


def bench_accuracy(number: int) -> None:
    print(f"accuracy, means of {number} frames of 300 x 800 pixels; S/N as a share of the ideal")
    print(
        "  star    e/column  S/N ours  S/N peer  bias ours %  bias peer %  found by peer  pulls"
        "  < 3 sigma"
    )
    for name, electrons in STARS:
        stars = [
            Star(150 + (k % 10) / 10, electrons, slope=0.001, curve=0.0) for k in range(number)
        ]
        scenes = [scene(k, [star]) for k, star in enumerate(stars)]
        ours, widths, within = [], [], []
        for star, truth in zip(stars, scenes, strict=True):
            spectrum = extract_targets(truth.frame).targets[0].spectrum
            ours.append(judged(spectrum.flux, truth, star))
            pulls = (spectrum.flux - truth.fluxes[0]) / spectrum.uncertainty
            widths.append(pulls.std())
            within.append(np.mean(np.abs(pulls) < 3))
        theirs = []
        for star, truth, run in zip(stars, scenes, run_peer(scenes), strict=True):
            near = [t for t in run["targets"] if abs(t["row"] - star.row) < 4]
            if near:
                theirs.append(judged(np.array(near[0]["flux"]), truth, star))
        our, peer = np.mean(ours, axis=0), np.mean(theirs, axis=0) if theirs else (0.0, 0.0)
        print(
            f"  {name:7} {electrons:8.0f} {our[0]:9.3f} {peer[0]:9.3f} {our[1]:12.2f} "
            f"{peer[1]:12.2f} {len(theirs):8d}/{number} {np.mean(widths):9.3f} "
            f"{np.mean(within):10.4f}"
        )


def bench_blank(number: int) -> None:
    false = 0
    scenes = [scene(k) for k in range(number)]
    for truth in scenes:
        try:
            false += bool(extract_targets(truth.frame).targets)
        except NoTargetError:
            continue
    theirs = sum(bool(run["targets"]) for run in run_peer(scenes))
    print(f"blank sky, {number} frames with a false target: ours {false}, peer {theirs}")


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    bench_time()
    bench_accuracy(count)
    bench_blank(count)
