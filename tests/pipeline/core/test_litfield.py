"""The edge of the lit field is no row of stars, and does not hold exposures in their place."""

import numpy as np
from astropy.io.fits import Header

from goodman_live.pipeline.core.coadd import coadd
from goodman_live.pipeline.core.frame import Frame, Window
from goodman_live.pipeline.core.litfield import is_lit
from goodman_live.pipeline.core.sources import find_sources

SIZE, RADIUS, SKY, READ = 420, 190, 300.0, 4.0
Y, X = np.mgrid[:SIZE, :SIZE] - SIZE / 2
INSIDE = np.hypot(X, Y) < RADIUS


def image(rng, places, move=(0, 0)):
    light = np.full((SIZE, SIZE), SKY)
    for column, row, flux in places:
        r2 = (X - column - move[0]) ** 2 + (Y - row - move[1]) ** 2
        light += flux * np.exp(-r2 / 2 / 1.7**2) / (2 * np.pi * 1.7**2)
    light *= INSIDE
    sigma = np.sqrt(light + READ**2)
    return Frame(
        data=(light + rng.normal(0, sigma)).astype(np.float32),
        uncertainty=sigma.astype(np.float32),
        flags=np.zeros(light.shape, np.uint8),
        header=Header({"EXPTIME": 60.0}),
        window=Window(0, 0, SIZE, SIZE, 2, 2),
    )


def stars(rng, count):
    return np.column_stack([rng.uniform(-100, 100, (count, 2)), 10 ** rng.uniform(3.5, 5, count)])


def test_what_is_beside_the_edge_is_not_lit():
    rng = np.random.default_rng(1)
    frame = image(rng, [(20.0, 30.0, 1e7)])
    lit = is_lit(frame)
    assert lit[np.hypot(X, Y) < RADIUS - 45].all()  # a very bright star is no edge
    assert not lit[np.hypot(X, Y) > RADIUS + 2].any()
    even = Frame(
        np.full((90, 70), 5.0, np.float32), np.ones((90, 70), np.float32),
        np.zeros((90, 70), np.uint8), Header(), Window(0, 0, 70, 90),
    )  # fmt: skip
    assert is_lit(even).all()


def test_the_edge_gives_no_sources():
    rng = np.random.default_rng(2)
    places = stars(rng, 6)
    found = find_sources(image(rng, places))
    away = np.hypot(
        found.x[:, None] - places[:, 0] - SIZE / 2, found.y[:, None] - places[:, 1] - SIZE / 2
    )
    assert np.all(away.min(axis=0) < 1)
    assert np.sum(away.min(axis=1) > 3) <= 1


def test_exposures_move_by_their_stars_and_not_by_the_edge():
    rng = np.random.default_rng(3)
    places = stars(rng, 12)
    done = coadd([image(rng, places), image(rng, places, (9, -14))], spectra=False)
    assert done.measured
    assert done.shifts[1] == (-9, 14)
