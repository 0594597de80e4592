"""The merit of each cosmic-ray method per camera and binning: what ``default`` is chosen by.

Run ``python benchmarks/bench_cosmic.py [seeds]``. Shares are of pixels with more than 5 sigma of a
cosmic ray, of events with such a pixel, and of all pixels marked where no cosmic ray is. Merit is
the share of pixels found, less two per cent for each 0.01 per cent marked for nothing: light taken
for a cosmic ray is lost where it matters, in the lines of the targets. Of merits within one point
``lacosmic`` is taken, which also serves images.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from astropy.io import fits
from scipy.ndimage import label

from goodman_live.pipeline.core.cosmic import MERIT, clean_cosmics
from goodman_live.pipeline.core.frame import Flag, Frame, Window
from goodman_live.pipeline.core.noise import expected_counts, pixel_variance
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.instrument import Region, setup
from goodman_live.pipeline.simulate.scene import NEBULA, Source

Array = np.ndarray
UNBINNED = (3000, 1000)
"""Columns and rows of the window, inside the slit."""
SCATTER = 1.0
"""Merits that differ by less are told apart by chance."""


def scene(camera: str, binning: tuple[int, int], seed: int) -> tuple[Frame, Array, Array]:
    """Return a 900 s frame above bias with stars and a nebula, its hits and the noise."""
    xbin, ybin = binning
    region = Region("user-defined", 600, 1600, UNBINNED[0] // xbin, UNBINNED[1] // ybin)
    mode = ("400_M1", "600_MID", "930_M4")[seed % 3]
    chosen = setup(camera, mode, binning=binning, region=region)
    lines = tuple((wave, 3 * rate) for wave, rate in NEBULA)
    sources = [Source(2100, 16.5), Source(1900, 19.0), Source(2350, np.inf, lines=lines)]
    sim = frames.spectrum(chosen, sources, seed=seed, cosmic_rate=2.0)
    truth, gain = sim.truth.exposure, chosen.readout.gain
    noise = chosen.readout.rdnoise / gain
    data = (sim.data - truth.bias).astype(np.float32)
    light = np.maximum(truth.expected - truth.bias, 0)
    counts = expected_counts(data, gain=gain, rdnoise_adu=noise)
    error = np.sqrt(pixel_variance(counts, gain=gain, rdnoise_adu=noise))
    flags = np.zeros(data.shape, np.uint8)
    column = np.median(light, axis=0)
    dark = column < 0.3 * np.array(
        [np.median(column[max(i - 3, 0) : i + 4]) for i in range(len(column))]
    )
    flags[:, dark] = Flag.BAD
    window = Window(region.x0, region.y0, region.nx, region.ny, xbin, ybin)
    frame = Frame(data, error, flags, fits.Header(), window)
    return frame, truth.cosmic / gain, np.sqrt(light / gain + noise**2)


def score(mask: Array, frame: Frame, cosmic: Array, sigma: Array) -> tuple[float, float, float]:
    judged = frame.flags == 0
    hit = (cosmic > 5 * sigma) & judged
    events = label(cosmic > 0, np.ones((3, 3)))[0]
    found = np.isin(np.unique(events[hit]), np.unique(events[mask & (cosmic > 0)]))
    return (mask & hit).sum() / hit.sum(), found.mean(), (mask & (cosmic <= 0) & judged).mean()


def measure(camera: str, binning: tuple[int, int], seeds: int) -> dict[str, tuple[float, ...]]:
    """Return pixels, events and false pixels in per cent, seconds and merit of each method."""
    rows = {}
    for method in ("lacosmic", "dcr"):
        scores, seconds = [], []
        for seed in range(seeds):
            frame, cosmic, sigma = scene(camera, binning, seed)
            start = time.perf_counter()
            mask = clean_cosmics(frame, method, camera=camera, spectrum=True).mask
            seconds.append(time.perf_counter() - start)
            scores.append(score(mask, frame, cosmic, sigma))
        pixels, events, false = (100 * float(np.mean(part)) for part in zip(*scores, strict=True))
        rows[method] = (pixels, events, false, float(np.mean(seconds)), pixels - 200 * false)
    return rows


def best(rows: dict[str, tuple[float, ...]]) -> str:
    """Return the method of the highest merit; within the scatter, the one for images too."""
    merits = {method: row[-1] for method, row in rows.items()}
    return "dcr" if merits["dcr"] > merits["lacosmic"] + SCATTER else "lacosmic"


def main(seeds: int) -> None:
    print("camera binning method     pixels %  events %   false %  seconds  merit")
    for camera in ("Red", "Blue"):
        for binning in ((1, 1), (2, 2), (3, 3)):
            rows = measure(camera, binning, seeds)
            for method, (pixels, events, false, seconds, merit) in rows.items():
                print(
                    f"{camera:6} {binning[0]}x{binning[1]}     {method:9} {pixels:9.2f} "
                    f"{events:9.2f} {false:9.4f} {seconds:8.2f} {merit:6.1f}"
                )
            table = MERIT[camera, binning[0]]
            verdict = "as measured" if best(rows) == table else f"{best(rows)} is better"
            print(f"{camera:6} {binning[0]}x{binning[1]}     default -> {table} ({verdict})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
