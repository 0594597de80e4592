"""Frames and masters for the tests of the reduce block, and its truth."""

from __future__ import annotations

from astropy.io import fits

from goodman_live.pipeline.blocks.masters import build_master_bias, build_master_flat
from goodman_live.pipeline.blocks.reduce import reduce
from goodman_live.pipeline.core.frame import Window
from goodman_live.pipeline.products.fits import read_frame
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.scene import Source

SETTINGS = ReductionSettings()


def window_of(chosen):
    region = chosen.region
    return Window(region.x0, region.y0, region.nx, region.ny, chosen.xbin, chosen.ybin)


def science(path, chosen, seed=1, **changes):
    sim = frames.spectrum(chosen, [Source(1550, 17.5)], seed=seed, **changes)
    sim.write(path)
    return sim


def run(path, out, masters=(None, None), settings=SETTINGS, **changes):
    return reduce(
        path, bias=masters[0], flat=masters[1], out_dir=out, settings=settings, **changes
    )


def make_masters(chosen, folder, number=10):
    biases, lamps = [], []
    peak = min(25000.0, 0.4 * chosen.readout.clip_adu)
    for i in range(number):
        biases.append(folder / f"bias{i}.fits")
        frames.bias(chosen, seed=500 + i).write(biases[-1])
        lamps.append(folder / f"flat{i}.fits")
        frames.flat(chosen, seed=600 + i, peak_adu=peak).write(lamps[-1])
    out = folder / "masters"
    bias = build_master_bias(biases, out_dir=out, settings=SETTINGS).products[0].path
    flat = build_master_flat(lamps, bias=bias, out_dir=out, settings=SETTINGS)
    return bias, flat.products[0].path


def light_of(sim, chosen, frame, flat=None):
    """Return the noiseless counts above bias in the window of a product."""
    rows, columns = frame.window.slices_in(window_of(chosen))
    exposure = sim.truth.exposure
    light = (exposure.expected - exposure.bias)[rows, columns]
    return light / read_frame(flat).cut(frame.window).data if flat else light


def rewrite(path, sim, data):
    header = sim.header.copy()
    path.unlink(missing_ok=True)
    fits.PrimaryHDU(data, header).writeto(path)
