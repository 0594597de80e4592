"""Extraction: processor seconds, and accuracy on known truth beside the peer's kind of sum.

Run ``python benchmarks/bench_extract.py [realisations]``. The peer (goodman-pipeline 3.1.0) sums
pixels and their fractions within one FWHM of the trace and subtracts the mean of two zones as
wide as the aperture. It states no uncertainty, so its column is that sum computed here on the
same frames, along the true trace and with the true width: better than the program itself does.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from goodman_live.pipeline.core.extract import extract_targets

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.pipeline.core.slit_scene import Scene, Star, ideal_sigma, scene

SIZES = {"2x2": (781, 2030, (2, 2), 3.0), "1x1": (1562, 4060, (1, 1), 6.0)}
STARS = (("bright", 5000.0), ("middle", 600.0), ("faint", 60.0))


def bench_time() -> None:
    print("extract, one target, warm     processor seconds (least of three)")
    for name, (ny, nx, binning, fwhm) in SIZES.items():
        star = Star(ny / 2, 3000.0, fwhm=fwhm)
        frame = scene(1, [star], ny=ny, nx=nx, binning=binning).frame
        runs = []
        for _ in range(3):
            began = time.process_time()
            extract_targets(frame)
            runs.append(time.process_time() - began)
        print(f"  {name}  {nx} x {ny:5d}            {min(runs):6.2f}")


def peer_sum(truth: Scene, star: Star) -> np.ndarray:
    """Sum within one FWHM of the true trace less the mean of two zones as wide."""
    data, path = truth.frame.data.astype(float), truth.paths[0]

    def within(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        rows = np.arange(data.shape[0])[:, None]
        share = np.minimum(rows + 0.5, high) - np.maximum(rows - 0.5, low)
        return (np.clip(share, 0, 1) * data).sum(axis=0)

    width = 2 * star.fwhm
    gap = star.fwhm + 3 * star.fwhm
    zones = within(path - gap - width, path - gap) + within(path + gap, path + gap + width)
    return within(path - star.fwhm, path + star.fwhm) - zones / 2


def bench_accuracy(number: int) -> None:
    print(f"accuracy, means of {number} frames of 300 x 800 pixels; S/N as a share of the ideal")
    print("  star    e/column   S/N ours   S/N sum   bias ours %   bias sum %   pulls   < 3 sigma")
    for name, electrons in STARS:
        rows = []
        for seed in range(number):
            star = Star(150 + (seed % 10) / 10, electrons, slope=0.001, curve=0.0)
            truth = scene(seed, [star])
            best, true = ideal_sigma(truth, 0, star), truth.fluxes[0]
            spectrum = extract_targets(truth.frame).targets[0].spectrum
            off, pulls = spectrum.flux - true, (spectrum.flux - true) / spectrum.uncertainty
            theirs = peer_sum(truth, star)
            share = theirs.mean() / true.mean()
            noise = theirs / share - true
            rows.append(
                [
                    1 / np.sqrt(np.mean((off / best) ** 2)),
                    1 / np.sqrt(np.mean((noise / best) ** 2)),
                    100 * off.mean() / true.mean(),
                    100 * (share - 1),
                    pulls.std(),
                    np.mean(np.abs(pulls) < 3),
                ]
            )
        ours, peer, bias, lost, width, within = np.mean(rows, axis=0)
        print(
            f"  {name:7} {electrons:8.0f} {ours:10.3f} {peer:9.3f} {bias:13.2f} {lost:12.2f} "
            f"{width:7.3f} {within:11.4f}"
        )


if __name__ == "__main__":
    bench_time()
    bench_accuracy(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
