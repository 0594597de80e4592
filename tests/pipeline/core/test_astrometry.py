"""Random fields with known coordinates: any rotation, either parity, a wrong pointing."""

from datetime import UTC, datetime

import numpy as np
import pytest

from goodman_live.pipeline.core.astrometry import StarList, deproject, project, solve
from goodman_live.pipeline.core.errors import UntrustedSolutionError
from goodman_live.pipeline.core.sources import Sources

WHEN = datetime(2026, 8, 16, tzinfo=UTC)
SIZE = 1050
BEND = 2e-9
"""Radial distortion, per square pixel."""


class Field:
    """One field: what the image shows, the catalogue and the true coordinates."""

    def __init__(self, seed, *, stars, false=0.3):
        rng = np.random.default_rng(seed)
        self.ra, self.dec = rng.uniform(0, 360), np.degrees(np.arcsin(rng.uniform(-0.99, 0.3)))
        turn, flip = rng.uniform(0, 2 * np.pi), rng.choice([1, -1])
        self.step = 0.3 / 3600 * rng.normal(1, 0.004)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        self.matrix = rotation @ np.diag([1, flip]) * self.step
        count = int(stars * (1200 / (SIZE * self.step * 3600)) ** 2)
        plane = rng.uniform(-600, 600, (count, 2)) / 3600
        ra, dec = deproject(plane[:, 0], plane[:, 1], self.ra, self.dec)
        g = np.sort(np.clip(21 - rng.exponential(1.5, count), 8, 21))
        motion = rng.normal(0, 8, (2, count))
        self.catalogue = StarList(ra, dec, motion[0], motion[1], g, np.ones(count))
        sky = np.column_stack(project(*self.catalogue.at(WHEN), self.ra, self.dec))
        pixel = np.linalg.solve(self.matrix, sky.T).T
        pixel *= (1 + BEND * (pixel**2).sum(axis=1))[:, None]
        pixel += (SIZE / 2 + 3.3, SIZE / 2 - 7.1)
        inside = np.all((pixel > 2) & (pixel < SIZE - 3), axis=1) & (rng.random(count) > 0.1)
        shown = np.flatnonzero(inside)
        flux = 30 * 10 ** (-0.4 * (g[shown] + rng.normal(0, 0.5, len(shown)) - 21))
        sigma = np.hypot(0.02, 1.2 / np.sqrt(flux))
        place = pixel[shown] + rng.normal(0, 1, (len(shown), 2)) * sigma[:, None]
        more = int(false * len(shown))
        place = np.concatenate([place, rng.uniform(0, SIZE, (more, 2))])
        flux = np.concatenate([flux, rng.choice(flux, more)])
        sigma = np.concatenate([sigma, np.full(more, 0.1)])
        self.which = np.concatenate([shown, np.full(more, -1)])[np.argsort(-flux)]
        order = np.argsort(-flux)
        ones = np.ones(len(order))
        self.sources = Sources(
            x=place[order, 0], y=place[order, 1], sigma=sigma[order], flux=flux[order],
            peak=flux[order], fwhm=3 * ones, elongation=ones, clean=ones.astype(bool),
            background=np.zeros((1, 1), np.float32), noise=1.0,
        )  # fmt: skip
        angle, away = rng.uniform(0, 2 * np.pi), 115 * np.sqrt(rng.random()) / 3600
        pointing = deproject(
            np.array([away * np.cos(angle)]), np.array([away * np.sin(angle)]), self.ra, self.dec
        )
        self.pointing = float(pointing[0][0]), float(pointing[1][0])

    def solve(self, catalogue=None):
        return solve(
            self.sources, catalogue or self.catalogue, shape=(SIZE, SIZE), binning=(2, 2),
            pointing=self.pointing, when=WHEN,
        )  # fmt: skip

    def errors(self, solution):
        """Mean and rms error over the field, arcsec."""
        x, y = (grid.ravel() for grid in np.meshgrid(*[np.linspace(0.15, 0.85, 7) * SIZE] * 2))
        bent = np.column_stack([x - SIZE / 2 - 3.3, y - SIZE / 2 + 7.1])
        straight = bent.copy()
        for _ in range(6):
            straight = bent / (1 + BEND * (straight**2).sum(axis=1))[:, None]
        truth = straight @ self.matrix.T
        found = np.column_stack(project(*solution.to_sky(x, y), self.ra, self.dec))
        away = (found - truth) * 3600
        return np.abs(away.mean(axis=0)).max(), np.sqrt(np.mean(away**2))


def survey(seeds, **options):
    zeros, spreads, failed = [], [], 0
    for seed in seeds:
        field = Field(seed, **options)
        try:
            solution = field.solve()
        except UntrustedSolutionError:
            failed += 1
            continue
        zero, spread = field.errors(solution)
        assert zero < 1, f"field {seed} is solved wrongly"
        assert np.mean(field.which[solution.source] == solution.star) > 0.97
        zeros.append(zero)
        spreads.append(spread)
    return np.array(zeros), np.array(spreads), failed


def test_sixty_stars_solve_any_field():
    zeros, spreads, failed = survey(range(25), stars=60)
    assert failed == 0
    assert np.mean(zeros) <= 0.03
    assert np.mean(spreads) <= 0.05


@pytest.mark.slow
def test_two_hundred_random_fields():
    zeros, spreads, failed = survey(range(1000, 1200), stars=60)
    assert failed <= 2
    assert np.percentile(zeros, 95) <= 0.03
    assert np.percentile(spreads, 95) <= 0.05


@pytest.mark.parametrize(("stars", "false"), [(20, 0.3), (60, 1.5), (1500, 0.2)])
def test_sparse_dirty_and_crowded_fields(stars, false):
    zeros, _, failed = survey(range(10), stars=stars, false=false)
    assert failed <= 1
    assert np.mean(zeros) <= 0.05


def test_distortion_is_found_where_the_stars_show_it():
    crowded = Field(3, stars=2500).solve()
    assert crowded.order == 3
    assert Field(3, stars=15).solve().order == 1


def test_another_sky_is_no_solution():
    field = Field(5, stars=80)
    for seed in range(30, 42):
        other = Field(seed, stars=80).catalogue
        xi, eta = project(other.ra, other.dec, Field(seed, stars=80).ra, Field(seed, stars=80).dec)
        ra, dec = deproject(xi, eta, field.ra, field.dec)
        with pytest.raises(UntrustedSolutionError, match="do not match"):
            field.solve(StarList(ra, dec, other.pm_ra, other.pm_dec, other.g, other.bp_rp))


def test_too_few_stars_say_so():
    field = Field(6, stars=60)
    few = Sources(
        *(getattr(field.sources, name)[:4] for name in ("x", "y", "sigma", "flux", "peak", "fwhm",
          "elongation", "clean")), background=field.sources.background, noise=1.0,
    )  # fmt: skip
    field.sources = few
    with pytest.raises(UntrustedSolutionError, match="five are needed"):
        field.solve()


def test_projection_and_back():
    rng = np.random.default_rng(7)
    xi, eta = rng.uniform(-0.2, 0.2, (2, 50))
    for ra, dec in ((0.01, 5.0), (359.99, -89.95), (120.0, -30.0)):
        again = project(*deproject(xi, eta, ra, dec), ra, dec)
        np.testing.assert_allclose(again[0], xi, atol=1e-10)
        np.testing.assert_allclose(again[1], eta, atol=1e-10)
