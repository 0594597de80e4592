"""Flux, telluric bands, stacks, coordinates, magnitudes and focus against truth.

Run ``python benchmarks/bench_flux.py``. The truth is that of the tests, which nothing calibrated
knows: extinction off the table, a grey loss in the slit, standards at another airmass.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from goodman_live.pipeline.blocks.solve_astrometry import solve_astrometry
from goodman_live.pipeline.core.atmosphere import extinction
from goodman_live.pipeline.core.errors import UntrustedSolutionError
from goodman_live.pipeline.core.fluxcal import calibrate
from goodman_live.pipeline.core.focus import best_focus
from goodman_live.pipeline.core.sensitivity import fit_sensitivity
from goodman_live.pipeline.core.stack import stack_spectra
from goodman_live.pipeline.core.standards import ab_to_flux
from goodman_live.pipeline.core.telluric import correct, measure_absorption

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.pipeline.blocks.star_field import PLAIN, ZERO, field
from tests.pipeline.core.one_d import GAIN, observe, target_magnitude
from tests.pipeline.core.test_astrometry import Field
from tests.pipeline.core.test_flux import BLUE, RED, observed, shape

STARS = (("LTT 7379", BLUE), ("EG 274", BLUE), ("HR 1996", BLUE), ("Feige 110", BLUE),
         ("LTT 3218", RED), ("HR 7596", RED))  # fmt: skip


def bench_flux() -> None:
    print("flux: rms of the shape in bins of 40 pixels less one grey factor, width of the pulls")
    drawn = np.random.default_rng(99).normal(1.0, 0.1, (len(STARS), 5))
    for name, options in (
        ("extinction +10 %", {"off": 1.1}),
        ("extinction -10 %", {"off": 0.9}),
        ("extinction of each night drawn, 10 % one sigma", {}),
        ("true extinction", {"curve": extinction}),
    ):
        rows = []
        for number, (star, window) in enumerate(STARS):
            for seed in range(5):
                rng = np.random.default_rng(100 + seed)
                air = options or {"off": drawn[number, seed]}
                known = fit_sensitivity([observed(star, rng, **air, **window)])
                seen = observe(
                    target_magnitude, rng, exptime_s=900.0, airmass=1.7, grey=0.6, **air, **window
                )
                done = calibrate(seen, known, airmass=1.7, exptime_s=900.0, gain=GAIN)
                rows.append(shape(done, known))
        width, pull = np.array(rows).T
        print(
            f"  {name}: {len(rows)} runs, mean {100 * width.mean():.2f} %, worst "
            f"{100 * width.max():.2f} %; pulls of all {np.sqrt(np.mean(pull**2)):.3f}, of single "
            f"runs {pull.min():.2f} to {pull.max():.2f}"
        )


def bench_telluric() -> None:
    left, photons, without = [], [], []
    for seed in (*range(10), None):
        for name, at, up in (("LTT 3218", 1.1, 1.7), ("HR 7596", 1.6, 1.1)):
            rng = None if seed is None else np.random.default_rng(200 + seed)
            star = observed(name, rng, airmass=at, **RED)
            known = fit_sensitivity([star])
            seen = observe(target_magnitude, rng, exptime_s=900.0, airmass=up, **RED)
            seen = replace(seen, wavelength=seen.wavelength + 1.0)
            done = calibrate(seen, known, airmass=up, exptime_s=900.0, gain=GAIN)
            clean, _ = correct(done, measure_absorption(star, known), airmass=up)
            wave = clean.wavelength - 1.0
            ratio = clean.flux / ab_to_flux(target_magnitude(wave), wave)
            band, near = (wave > 7592) & (wave < 7690), (wave > 7450) & (wave < 7560)
            bins = (ratio / np.median(ratio[near]))[band][:44].reshape(-1, 4).mean(axis=1)
            (without if seed is None else left).append(bins.std())
            noise = (clean.uncertainty / clean.flux)[band][:44].reshape(-1, 4)
            photons.append(np.sqrt(np.mean((noise**2).mean(axis=1) / 4)))
    print(f"A band left: {len(left)} runs, mean {100 * np.mean(left):.2f} %, worst "
          f"{100 * np.max(left):.2f} %, of which photons of star and target "
          f"{100 * np.mean(photons):.2f} %; without their noise {100 * without[0]:.2f} and "
          f"{100 * without[1]:.2f} %")  # fmt: skip


def bench_stack() -> None:
    reached, pulls = [], []
    window = {"low": 4600.0, "high": 8900.0, "exptime_s": 900.0, "airmass": 1.1, "sky": 0.3}
    for seed in range(40):
        rng = np.random.default_rng(300 + seed)
        levels = rng.uniform(0.5, 1.0, 5)
        shots, clean = (
            [observe(target_magnitude, noise, grey=level, **window) for level in levels]
            for noise in (rng, None)
        )
        done = stack_spectra(shots).spectrum
        ideal = np.sqrt(sum((one.flux / one.uncertainty) ** 2 for one in clean))
        truth = clean[0].flux * np.median(done.flux / clean[0].flux)
        pull = np.std((done.flux - truth) / done.uncertainty)
        pulls.append(pull)
        reached.append(np.median(truth / (pull * done.uncertainty) / ideal))
    print(f"stack of 5: {len(reached)} runs, S/N {100 * np.mean(reached):.1f} % of ideal, "
          f"pulls {np.mean(pulls):.3f}")  # fmt: skip


def bench_astrometry() -> None:
    print("astrometry, 2x2: random rotation and parity, pointing off by up to 115 arcsec")
    for stars, false, count in ((60, 0.3, 200), (20, 0.3, 50), (60, 1.5, 50), (1500, 0.2, 30)):
        zeros, spreads, wrong, failed, seconds = [], [], 0, 0, []
        for seed in range(1000, 1000 + count):
            sky = Field(seed, stars=stars, false=false)
            began = time.perf_counter()
            try:
                found = sky.solve()
            except UntrustedSolutionError:
                failed += 1
                continue
            finally:
                seconds.append(time.perf_counter() - began)
            zero, spread = sky.errors(found)
            wrong += zero > 1
            zeros.append(zero)
            spreads.append(spread)
        print(
            f"  {stars} stars, {100 * false:.0f} % more that are none: {count - failed} of"
            f" {count} solved, {wrong} wrong; rms {np.median(spreads):.3f} (95 %: "
            f"{np.percentile(spreads, 95):.3f}), zero {np.median(zeros):.3f} (95 %: "
            f"{np.percentile(zeros, 95):.3f}) arcsec; worst {max(seconds):.2f} s"
        )


def bench_photometry() -> None:
    print("whole block on a simulated 2x2 image: zero point less truth, seconds")
    for exptime in (2.0, 5.0, 60.0, 300.0):
        for seed in (4, 5):
            with tempfile.TemporaryDirectory() as folder:
                reduced, stars, _ = field(Path(folder), seed, exptime_s=exptime)
                began = time.perf_counter()
                done = solve_astrometry(
                    reduced, catalogue=stars, out_dir=Path(folder), settings=PLAIN
                )
                seconds = time.perf_counter() - began
            found = done.products[0].quality
            print(
                f"  {exptime:.0f} s: {found['zero_point_mag'] - ZERO:+.3f} ± "
                f"{found['zero_point_error_mag']:.3f} mag, rms {found['rms_arcsec']:.3f} arcsec, "
                f"{seconds:.1f} s"
            )


def bench_focus() -> None:
    settings, away, pulls, named = np.arange(-1000.0, -300.0, 100.0), [], [], 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        best = rng.uniform(-850, -450)
        width = np.hypot(3.0, 0.012 * (settings - best)) * rng.normal(1, 0.02, settings.size)
        found = best_focus(settings, width, 0.02 * width)
        if found.bracketed:
            away.append(found.best - best)
            pulls.append(away[-1] / found.error)
        beside = settings + 700
        named += best_focus(
            beside, np.hypot(3.0, 0.012 * (beside - best)) * rng.normal(1, 0.02, 7), 0.02 * width
        ).bracketed
    print(
        f"focus of 7 settings 100 apart, widths to 2 %: rms {np.std(away):.1f}, pulls "
        f"{np.std(pulls):.2f}, {len(away)} of 300 named; beside the minimum {named} of 300 named"
    )


if __name__ == "__main__":
    bench_flux()
    bench_telluric()
    bench_stack()
    bench_astrometry()
    bench_photometry()
    bench_focus()
