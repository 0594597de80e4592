"""One line of a spectrum, fitted: centre, width, flux and equivalent width, with errors.

The model is a Gaussian averaged over each pixel, so that a line of two pixels is not found too
wide, on a straight continuum. The fit is weighted with the given uncertainties; where the line is
no Gaussian and the residuals are larger than those, the errors grow with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import least_squares
from scipy.special import erf

from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
"""Full width at half maximum of a Gaussian in its standard deviations."""
LEAST_PIXELS = 8
"""Good pixels without which five numbers are not fitted."""
NARROWEST = 0.25
"""Narrowest line, standard deviation in pixels: less is a single hot pixel."""
STARTS = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations in pixels from which the fit is begun; the best one counts."""
MARGIN = 0.3
"""Part of the range, half on either side, that a first continuum is drawn through."""


class LineFitError(GoodmanError):
    """A range of a spectrum in which no line can be fitted."""

    status = 422
    code = "no_line"


@dataclass(frozen=True, slots=True, eq=False)
class LineFit:
    """A fitted line; errors are one standard deviation."""

    centre: float
    """In the units of the axis."""
    centre_error: float
    fwhm: float
    """Of the line as it fell on the detector, without the width of the pixel."""
    fwhm_error: float
    flux: float
    """Integral above the continuum: flux times units of the axis; negative in absorption."""
    flux_error: float
    equivalent_width: float
    """Positive in absorption; NaN where the continuum is not above zero."""
    equivalent_width_error: float
    continuum: float
    """Under the centre."""
    continuum_error: float
    chi2: float
    """Per degree of freedom, with the given uncertainties."""
    significance: float
    """Flux in its errors, without sign."""
    x: NDArray[np.float64]
    """Pixels of the range, shape (n,)."""
    model: NDArray[np.float64]
    """Continuum and line there, shape (n,)."""


def fit_line(
    x: NDArray[np.float64],
    flux: NDArray[np.float64],
    sigma: NDArray[np.float64],
    low: float,
    high: float,
) -> LineFit:
    """Fit the strongest line between `low` and `high`.

    Parameters
    ----------
    x : ndarray
        Wavelengths or columns, rising, shape (n,).
    flux, sigma : ndarray
        Flux and its standard deviation, shape (n,); what is not finite is left out.
    low, high : float
        Range of `x`; some continuum on both sides belongs to it.

    Returns
    -------
    LineFit

    Raises
    ------
    LineFitError
        If fewer than `LEAST_PIXELS` good pixels are there, or the fit does not converge.
    """
    part = (x >= low) & (x <= high)
    good = part & np.isfinite(flux) & np.isfinite(sigma) & (sigma > 0)
    if np.count_nonzero(good) < LEAST_PIXELS:
        raise LineFitError(
            f"Between {low:g} and {high:g} there are {np.count_nonzero(good)} good pixels,"
            f" and a line needs {LEAST_PIXELS}.",
            remedy="Choose a wider range.",
            field="low",
        )
    width = np.abs(np.gradient(x))
    problem = _Problem(x[good], width[good], flux[good], sigma[good])
    best = min((problem.solve(start) for start in STARTS), key=lambda found: float(found.cost))
    return _result(problem, best, x[part], width[part])


class _Problem:
    """The pixels of a range, scaled so that all five numbers are of the order of one."""

    def __init__(
        self,
        x: NDArray[np.float64],
        width: NDArray[np.float64],
        flux: NDArray[np.float64],
        sigma: NDArray[np.float64],
    ) -> None:
        self.x, self.width, self.flux, self.sigma = x, width, flux, sigma
        self.middle = float(x.mean())
        self.span = float(x[-1] - x[0])
        self.pixel = float(np.median(width))
        self.level, self.slope = self._continuum()
        rest = flux - self.level - self.slope * (x - self.middle)
        # Smoothed over three pixels: a single wild one is not where a line is looked for.
        smooth = np.convolve(rest, np.ones(3) / 3, mode="same")
        self.peak = int(np.abs(smooth).argmax())
        self.height = float(rest[self.peak]) or float(sigma[self.peak])
        self.scale = max(abs(self.height), float(np.median(sigma)))

    def _continuum(self) -> tuple[float, float]:
        edge = max(3, round(self.x.size * MARGIN / 2))
        outer = np.r_[0:edge, self.x.size - edge : self.x.size]
        slope, level = np.polyfit(self.x[outer] - self.middle, self.flux[outer], 1)
        return float(level), float(slope)

    def model(
        self, terms: NDArray[np.float64], x: NDArray[np.float64], width: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return continuum and line; terms are area, centre, log of sigma, level, slope."""
        area, centre, log_sigma, level, slope = self.physical(terms)
        root = np.sqrt(2.0) * np.exp(log_sigma)
        inside = erf((x + width / 2 - centre) / root) - erf((x - width / 2 - centre) / root)
        return np.asarray(level + slope * (x - self.middle) + 0.5 * area * inside / width)

    def physical(self, terms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scaled terms in units of the spectrum."""
        return terms * self.units + self.zero

    @property
    def units(self) -> NDArray[np.float64]:
        """What one of each term is worth."""
        pixel = self.pixel
        return np.array([self.scale * pixel, pixel, 1.0, self.scale, self.scale / self.span])

    @property
    def zero(self) -> NDArray[np.float64]:
        """Where the terms begin."""
        at = float(self.x[self.peak])
        return np.array([0.0, at, np.log(self.pixel), self.level, self.slope])

    def solve(self, start: float) -> Any:
        """Return the solution that begins with this width in pixels."""
        area = self.height * start * self.pixel * np.sqrt(2.0 * np.pi)
        first = np.array([area / self.units[0], 0.0, np.log(start), 0.0, 0.0])
        reach = [
            (self.x[0] - self.x[self.peak]) / self.pixel - 1e-6,
            (self.x[-1] - self.x[self.peak]) / self.pixel + 1e-6,
        ]
        widest = np.log(max(self.span / self.pixel / 2.0, 2 * STARTS[-1]))
        lower = [-np.inf, reach[0], np.log(NARROWEST), -np.inf, -np.inf]
        upper = [np.inf, reach[1], widest, np.inf, np.inf]

        def residuals(terms: NDArray[np.float64]) -> NDArray[np.float64]:
            return (self.model(terms, self.x, self.width) - self.flux) / self.sigma

        return least_squares(residuals, first, bounds=(lower, upper), x_scale="jac")


def _result(
    problem: _Problem, found: Any, x: NDArray[np.float64], width: NDArray[np.float64]
) -> LineFit:
    area, centre, log_sigma, level, slope = problem.physical(found.x).tolist()
    free = max(problem.x.size - found.x.size, 1)
    chi2 = 2.0 * float(found.cost) / free
    with np.errstate(all="ignore"):
        inverse = np.linalg.pinv(found.jac.T @ found.jac)
    covariance = inverse * np.outer(problem.units, problem.units) * max(1.0, chi2)
    fwhm = FWHM * float(np.exp(log_sigma))
    under = level + slope * (centre - problem.middle)
    # Derivatives by area, centre, log of sigma, level and slope.
    by_under = np.array([0.0, slope, 0.0, 1.0, centre - problem.middle])
    width_equivalent = -area / under if under > 0 else np.nan
    by_width = np.array([-1.0, 0.0, 0.0, 0.0, 0.0]) / under + area / under**2 * by_under

    def error(gradient: NDArray[np.float64]) -> float:
        return float(np.sqrt(max(gradient @ covariance @ gradient, 0.0)))

    flux_error = error(np.array([1.0, 0.0, 0.0, 0.0, 0.0]))
    if not np.isfinite(flux_error) or flux_error == 0.0:
        raise LineFitError(
            "The fit of the line does not converge.", remedy="Choose another range.", field="low"
        )
    return LineFit(
        centre=centre,
        centre_error=error(np.array([0.0, 1.0, 0.0, 0.0, 0.0])),
        fwhm=fwhm,
        fwhm_error=fwhm * error(np.array([0.0, 0.0, 1.0, 0.0, 0.0])),
        flux=area,
        flux_error=flux_error,
        equivalent_width=width_equivalent,
        equivalent_width_error=error(by_width) if under > 0 else np.nan,
        continuum=under,
        continuum_error=error(by_under),
        chi2=chi2,
        significance=abs(area) / flux_error,
        x=x,
        model=problem.model(found.x, x, width),
    )
