"""The celestial coordinate system of an image, from stars of known position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from goodman_live.pipeline.core.errors import UntrustedSolutionError
from goodman_live.pipeline.core.skymatch import match_stars

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.sources import Sources

PIXEL_ARCSEC = 0.15
"""Unbinned pixel on the sky (Clemens, Crain & Anderson 2004, SPIE 5492, 331)."""
_ARCSEC = np.degrees(1) * 3600
_MATCH_ARCSEC = 1.2
_SIP_STARS = {2: 25, 3: 60}
_CATALOGUE_ERROR = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class StarList:
    """Stars of a reference catalogue around a field, the brightest first."""

    ra: NDArray[np.float64]
    """Right ascension at the epoch of the catalogue, ICRS, degrees, shape (n,)."""
    dec: NDArray[np.float64]
    """Declination, degrees, shape (n,)."""
    pm_ra: NDArray[np.float64]
    """Proper motion in right ascension times cos dec, mas a year, shape (n,)."""
    pm_dec: NDArray[np.float64]
    """Proper motion in declination, mas a year, shape (n,)."""
    g: NDArray[np.float64]
    """Gaia G magnitude, shape (n,)."""
    bp_rp: NDArray[np.float64]
    """Gaia colour, magnitudes, NaN where unknown, shape (n,)."""
    epoch: float = 2016.0
    """Julian year of the positions."""

    def __len__(self) -> int:
        """Return the number of stars."""
        return len(self.ra)

    def at(self, when: datetime) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return right ascension and declination at a date, degrees; unknown motion is none."""
        years = when.year + (when.timetuple().tm_yday - 0.5) / 365.25 - self.epoch
        dec = self.dec + np.nan_to_num(self.pm_dec) * years / 3.6e6
        ra = self.ra + np.nan_to_num(self.pm_ra) * years / 3.6e6 / np.cos(np.radians(dec))
        return ra % 360, dec


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A tangent-plane coordinate system, with distortion where the stars show it."""

    crval: tuple[float, float]
    """Right ascension and declination of the reference pixel, degrees."""
    crpix: tuple[float, float]
    """Reference pixel, 1-based as FITS counts."""
    cd: NDArray[np.float64]
    """Degrees per pixel, shape (2, 2)."""
    order: int
    """Order of the distortion, 1 for none."""
    sip_a: NDArray[np.float64]
    """Coefficients A_p_q, pixels, shape (order + 1, order + 1)."""
    sip_b: NDArray[np.float64]
    """Coefficients B_p_q, pixels, shape (order + 1, order + 1)."""
    source: NDArray[np.intp]
    """Matched sources, shape (k,)."""
    star: NDArray[np.intp]
    """Their stars, shape (k,)."""
    rms_arcsec: float
    """Scatter per coordinate of the matched stars, arcsec."""
    zero_error_arcsec: float
    """Error of the zero point, arcsec."""
    chance: float
    """Probability that stars in random places match as well."""

    @property
    def scale_arcsec(self) -> float:
        """Arcsec per pixel."""
        return float(np.sqrt(abs(np.linalg.det(self.cd))) * 3600)

    @property
    def mirrored(self) -> bool:
        """Whether east is clockwise from north as on a mirror: determinant above zero."""
        return bool(np.linalg.det(self.cd) > 0)

    @property
    def angle_deg(self) -> float:
        """Position angle of the image's rows (+y), degrees east of north."""
        return float(np.degrees(np.arctan2(self.cd[0, 1], self.cd[1, 1])) % 360)

    def to_sky(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return right ascension and declination of 0-based pixels, degrees."""
        u, v = x + 1 - self.crpix[0], y + 1 - self.crpix[1]
        f, g = _polynomial(self.sip_a, u, v), _polynomial(self.sip_b, u, v)
        plane = np.column_stack([u + f, v + g]) @ self.cd.T
        return deproject(plane[:, 0], plane[:, 1], *self.crval)


def project(
    ra: NDArray[np.float64], dec: NDArray[np.float64], ra0: float, dec0: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return tangent-plane coordinates in degrees (Calabretta & Greisen 2002, A&A 395, 1077)."""
    a, d, d0 = np.radians(ra - ra0), np.radians(dec), np.radians(dec0)
    divisor = np.sin(d) * np.sin(d0) + np.cos(d) * np.cos(d0) * np.cos(a)
    xi = np.cos(d) * np.sin(a) / divisor
    eta = (np.sin(d) * np.cos(d0) - np.cos(d) * np.sin(d0) * np.cos(a)) / divisor
    return np.degrees(xi), np.degrees(eta)


def deproject(
    xi: NDArray[np.float64], eta: NDArray[np.float64], ra0: float, dec0: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return right ascension and declination of tangent-plane coordinates, all in degrees."""
    x, y, d0 = np.radians(xi), np.radians(eta), np.radians(dec0)
    ra = np.arctan2(x, np.cos(d0) - y * np.sin(d0))
    dec = np.arctan2(np.sin(d0) + y * np.cos(d0), np.hypot(x, np.cos(d0) - y * np.sin(d0)))
    return (np.degrees(ra) + ra0) % 360, np.degrees(dec)


def solve(
    sources: Sources,
    stars: StarList,
    *,
    shape: tuple[int, int],
    binning: tuple[int, int],
    pointing: tuple[float, float],
    when: datetime,
) -> Solution:
    """Solve the coordinates of an image.

    Parameters
    ----------
    sources : Sources
        Stars of the image.
    stars : StarList
        Reference stars within some arcmin more than the field and the error of the pointing.
    shape : tuple of int
        Rows and columns of the image, binned pixels.
    binning : tuple of int
        Of columns and rows.
    pointing : tuple of float
        Where the telescope says it pointed, degrees; it may be wrong by two arcmin.
    when : datetime
        Of the exposure: stars are moved to it.

    Raises
    ------
    UntrustedSolutionError
        If no match is better than chance; the text says how many sources and stars there were.
    """
    if len(sources) < 5:
        raise UntrustedSolutionError(
            f"{len(sources)} stars were found in the image; five are needed.",
            remedy="Expose longer.",
        )
    ra, dec = stars.at(when)
    xi, eta = project(ra, dec, *pointing)
    plane = np.column_stack([xi, eta]) * 3600
    middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    step = PIXEL_ARCSEC * np.array(binning, dtype=float)
    offsets = (np.column_stack([sources.x, sources.y]) - middle) * step
    likely = np.argsort(~sources.clean, kind="stable")
    field = np.hypot(*(np.array(shape[::-1]) * step)) / 2
    near = np.flatnonzero(np.hypot(*plane.T) < field + 130)
    found = match_stars(offsets[likely], plane[near])
    if found is None:
        raise UntrustedSolutionError(
            f"{len(sources)} sources and {len(near)} catalogue stars do not match at any rotation "
            "and either parity within two arcmin of the pointing.",
            remedy="Check OBSRA and OBSDEC, and that the catalogue covers the field.",
        )
    # from arcsec about the middle to a first linear map of pixels
    linear = found.matrix @ np.diag(step) / 3600
    first = (linear, found.shift / 3600)
    return _fit(sources, ra[near], dec[near], near, middle, pointing, first, found.chance)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """A polynomial map from pixels about the middle to the tangent plane."""

    order: int
    coefficients: NDArray[np.float64]
    """Degrees, shape (2, terms)."""
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]]
    kept: NDArray[np.bool_]
    """Pairs that are no outliers."""
    rms_arcsec: float
    score: float
    """Misfit plus what its parameters cost; lower is better."""


def _fit(
    sources: Sources,
    ra: NDArray[np.float64],
    dec: NDArray[np.float64],
    index: NDArray[np.intp],
    middle: NDArray[np.float64],
    pointing: tuple[float, float],
    first: tuple[NDArray[np.float64], NDArray[np.float64]],
    chance: float,
) -> Solution:
    """Fit the map to all stars within reach, and take distortion if the data ask for it."""
    pixel = np.column_stack([sources.x, sources.y]) - middle
    scale = float(np.sqrt(abs(np.linalg.det(first[0]))))

    def fitted(order: int, placed: NDArray[np.float64], centre: tuple[float, float]) -> _Fit:
        plane = np.column_stack(project(ra, dec, *centre))
        pairs = _pairs_within(placed, plane, _MATCH_ARCSEC)
        if len(pairs[0]) < _SIP_STARS.get(order, 5):
            raise UntrustedSolutionError(
                "Too few stars agree on one solution.", remedy="Expose longer."
            )
        sigma = sources.sigma[pairs[0]] * scale * 3600
        return _polynomial_fit(pixel, plane, pairs, sigma, order)

    best = fitted(1, pixel @ first[0].T + first[1], pointing)
    for order in sorted(_SIP_STARS):
        if len(best.pairs[0]) < _SIP_STARS[order]:
            break
        other = fitted(order, _evaluate(best, pixel), pointing)
        if other.score < best.score - 10:
            best = other
    # the reference pixel is the middle of the image: the constant term is its place on the sky
    crval = _sky_of_middle(best, pointing)
    placed = _evaluate(best, pixel) - best.coefficients[:, 0]
    best = fitted(best.order, placed, crval)
    crval = _sky_of_middle(best, crval)
    cd = best.coefficients[:, 1:3]
    a, b = _sip(best, cd)
    return Solution(
        crval=crval,
        crpix=(float(middle[0] + 1), float(middle[1] + 1)),
        cd=cd,
        order=best.order,
        sip_a=a,
        sip_b=b,
        source=best.pairs[0][best.kept],
        star=index[best.pairs[1][best.kept]],
        rms_arcsec=best.rms_arcsec,
        zero_error_arcsec=best.rms_arcsec / float(np.sqrt(best.kept.sum())),
        chance=chance,
    )


def _sky_of_middle(fit: _Fit, centre: tuple[float, float]) -> tuple[float, float]:
    ra, dec = deproject(fit.coefficients[:1, 0], fit.coefficients[1:, 0], *centre)
    return float(ra[0]), float(dec[0])


def _pairs_within(
    placed: NDArray[np.float64], plane: NDArray[np.float64], reach_arcsec: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return pairs of source and star, each star with the nearest source alone."""
    distance, nearest = cKDTree(plane).query(placed, distance_upper_bound=reach_arcsec / 3600)
    hit = np.flatnonzero(np.isfinite(distance))
    order = hit[np.argsort(distance[hit])]
    _, first = np.unique(nearest[order], return_index=True)
    chosen = np.sort(order[first])
    return chosen, nearest[chosen]


def _terms(order: int) -> list[tuple[int, int]]:
    return [(p, total - p) for total in range(order + 1) for p in range(total, -1, -1)]


def _design(pixel: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    u, v = pixel.T
    return np.column_stack([u**p * v**q for p, q in _terms(order)])


def _evaluate(fit: _Fit, pixel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_design(pixel, fit.order) @ fit.coefficients.T)


def _polynomial_fit(
    pixel: NDArray[np.float64],
    plane: NDArray[np.float64],
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
    sigma_arcsec: NDArray[np.float64],
    order: int,
) -> _Fit:
    """Fit by least squares, outliers left out."""
    reach = 1000.0  # pixels are of this order: it keeps the normal matrix round
    design = _design(pixel[pairs[0]] / reach, order)
    target = plane[pairs[1]] * 3600
    weight = 1 / np.hypot(sigma_arcsec, _CATALOGUE_ERROR)
    kept = np.ones(len(target), dtype=bool)
    for _ in range(6):
        solution, *_rest = np.linalg.lstsq(
            design[kept] * weight[kept, None], target[kept] * weight[kept, None], rcond=None
        )
        residual = target - design @ solution
        pull = np.abs(residual).max(axis=1) * weight
        again = pull < 4 * max(1.06 * float(np.median(pull[kept])), 1.0)
        if again.sum() < design.shape[1] or np.array_equal(again, kept):
            break
        kept = again
    pulls = residual * weight[:, None]
    spread = max(1.4826 * float(np.median(np.abs(pulls[kept]))), 1.0)
    misfit = float(np.sum(np.minimum((pulls / spread) ** 2, 16)))
    powers = np.array([reach ** (p + q) for p, q in _terms(order)])
    return _Fit(
        order=order,
        coefficients=(solution / powers[:, None] / 3600).T,
        pairs=pairs,
        kept=kept,
        rms_arcsec=float(np.sqrt(np.mean(residual[kept] ** 2))),
        score=misfit + 2 * design.shape[1] * float(np.log(2 * len(target))),
    )


def _sip(fit: _Fit, cd: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distortion in pixels: what the plane has beyond its linear part."""
    size = fit.order + 1
    a, b = np.zeros((size, size)), np.zeros((size, size))
    inverse = np.linalg.inv(cd)
    for number, (p, q) in enumerate(_terms(fit.order)):
        if p + q >= 2:
            a[p, q], b[p, q] = inverse @ fit.coefficients[:, number]
    return a, b


def _polynomial(
    coefficients: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64]
) -> NDArray[np.float64]:
    total = np.zeros_like(u)
    for (p, q), value in np.ndenumerate(coefficients):
        if value:
            total = total + value * u**p * v**q
    return total
