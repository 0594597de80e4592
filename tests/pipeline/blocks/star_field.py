"""A simulated field of stars with its catalogue: coordinates and magnitudes are known."""

from datetime import UTC, datetime

import numpy as np
from astropy.table import Table

from goodman_live.pipeline.blocks.reduce import reduce
from goodman_live.pipeline.core.astrometry import deproject
from goodman_live.pipeline.products.starcat import build_catalogue
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import setup
from goodman_live.pipeline.simulate.optics import vignetting

PLAIN = ReductionSettings(ignore_bias=True, ignore_flats=True)
RA, DEC = 200.124283, 4.43908
ZERO = 25.6
"""Magnitude in r that gives 1 e/s."""
WHEN = datetime(2026, 8, 16, 1, tzinfo=UTC)


def field(
    folder, seed, *, number=60, mirrored=False, turn=35.0, exptime_s=60.0, off=(70.0, -40.0)
):
    """Write a catalogue and the raw image of its field; return both and the truth."""
    rng = np.random.default_rng(seed)
    here = setup("Red", None, filter1="r-SDSS")
    ny, nx = here.shape
    step = 0.15 * here.xbin / 3600 * 1.003
    count = int(number * (0.34 / (nx * step)) ** 2)
    xi, eta = rng.uniform(-0.17, 0.17, (2, count))
    colour = rng.uniform(0.5, 2.0, count)
    red = np.sort(rng.uniform(15.0, 20.5, count))
    g = red + np.polynomial.polynomial.polyval(
        colour, (-0.09837, 0.08592, 0.1907, -0.1701, 0.02263)
    )
    ra, dec = deproject(xi, eta, RA, DEC)
    motion = rng.normal(0, 10, (2, count))
    years = 2026.62 - 2016.0
    table = Table(
        {
            "ra": (ra - motion[0] * years / 3.6e6 / np.cos(np.radians(dec))) % 360,
            "dec": dec - motion[1] * years / 3.6e6,
            "pmra": motion[0],
            "pmdec": motion[1],
            "phot_g_mean_mag": g,
            "bp_rp": colour,
        }
    )
    table.write(folder / f"stars{seed}.csv")
    catalogue = folder / f"stars{seed}.gls"
    build_catalogue(folder / f"stars{seed}.csv", catalogue)
    angle = np.radians(turn)
    flip = np.diag((1.0, -1.0 if mirrored else 1.0))
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turned @ flip * step
    pixel = np.linalg.solve(matrix, np.array([xi, eta])).T
    pixel += np.array([nx / 2 + 4.3, ny / 2 - 2.6])
    rate = 10 ** (-0.4 * (red - ZERO))
    inside = np.all((pixel > 3) & (pixel < (nx - 4, ny - 4)), axis=1)
    column, row = np.rint(pixel[inside]).astype(int).T
    rate = rate[inside] / np.maximum(vignetting(here)[row, column], 0.2)  # no flat is used here
    placed = np.column_stack([pixel[inside], rate])
    # the telescope is not where it says: the truth is moved, not the header
    moved = deproject(np.array([off[0] / 3600]), np.array([off[1] / 3600]), RA, DEC)
    log = Log(
        start=WHEN, number=seed, object_name="Field", exptime_s=exptime_s,
        ra=sexagesimal(moved[0][0] / 15), dec=sexagesimal(moved[1][0], sign=True),
    )  # fmt: skip
    shot = frames.image(here, seed=seed, exptime_s=exptime_s, placed=placed, log=log)
    raw = folder / f"image{seed}.fits"
    shot.write(raw)
    reduced = reduce(raw, bias=None, flat=None, out_dir=folder, settings=PLAIN).products[0].path
    return reduced, catalogue, (matrix, (nx / 2 + 4.3, ny / 2 - 2.6), red[inside], pixel[inside])


def sexagesimal(value, *, sign=False):
    minus = "-" if value < 0 else ("+" if sign else "")
    value = abs(value)
    whole, minutes = int(value), (value - int(value)) * 60
    return f"{minus}{whole:02d}:{int(minutes):02d}:{(minutes - int(minutes)) * 60:06.3f}"
