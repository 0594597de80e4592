"""The wavelength solution of an arc: which line is which, the axis, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.errors import UntrustedSolutionError
from goodman_live.pipeline.core.grating import known_gratings
from goodman_live.pipeline.core.identify import Identified, identify
from goodman_live.pipeline.core.lines import lines_for
from goodman_live.pipeline.core.match import Candidate, Observed, find_candidates
from goodman_live.pipeline.core.observed import LineRecord, Seen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from goodman_live.pipeline.core.departure import Departure
    from goodman_live.pipeline.core.grating import Dispersion
    from goodman_live.pipeline.core.peaks import Peaks

SPEED_OF_LIGHT_KMS = 299792.458
"""Speed of light, km/s."""
LIGHT = (50.0, 4110.0)
"""First and last unbinned column that sees light (Red; Blue begins at 16)."""
_REACH_NAMED, _REACH_WIDE = 110.0, 700.0
_CLEAR_GAP = 6.0
"""Log odds by which the best identification must beat the next one."""
_MEASURED_GAP = 12.0
"""The same where the lines are measured: what is right then beats the next by 80 and more."""
_FEW_GAP = 9.0
"""The same where fewer than five lines are left to tell."""
_FEWEST = 3
_WEAK, _SAMPLES = 0.1, 50
"""Typical uncertainty beyond which a solution calls itself weak, binned pixels; places where it
is looked at."""
_PARTED = 2.0
"""Lines of a list that are nearer than this many unbinned columns cannot both be lines: the
sharpest image is 2.6 columns wide."""
_LAMPS_DIFFER = 0.1
"""Rms displacement of one lamp from another, unbinned columns; 0.3 in a real arc."""


@dataclass(frozen=True, slots=True, eq=False)
class WavelengthSolution:
    """Air wavelength of every column of the detector, with its uncertainty."""

    dispersion: Dispersion
    """The grating equation that was fitted."""
    departure: Departure
    """How light departs from it."""
    lines: tuple[LineRecord, ...]
    """Every observed line: what it is, its residual, used or why not."""
    lamps: tuple[str, ...]
    """Lamps that were on."""
    binning: int
    """Serial binning of the arc."""
    n_used: int
    """Number of lines that the fit rests on."""
    coverage: tuple[float, float]
    """First and last unbinned column between which lines were used."""
    rms_px: float
    """Rms of the used lines against laboratory wavelengths, unbinned columns."""
    rms_aa: float
    """The same in Angstrom."""
    loo_rms_px: float
    """Rms error of each used line predicted from all others, unbinned columns."""
    loo_worst_px: float
    """The largest of these, unbinned columns."""
    gap: float
    """Log odds of this identification against the next best one."""
    score: float
    """Log of how much better it explains the lines than chance does."""
    strangers: int
    """Bright lines that are none which the lamps may be expected to show."""
    reasons: tuple[str, ...] = field(default=())
    """Why the solution is not to be trusted; empty if it is."""
    unnamed: tuple[str, ...] = field(default=())
    """Those of `lamps` that the header does not name, but the lines show."""
    moved: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    """Unbinned columns, and how far right of the fitted axis light falls there; None where the
    axis is that of the rows which were fitted."""

    @property
    def trusted(self) -> bool:
        """True if all checks are passed."""
        return not self.reasons

    @property
    def lamp_offsets(self) -> dict[str, tuple[float, float]]:
        """Displacement of each lamp from the axis and its error, unbinned columns."""
        return self.departure.offsets

    @property
    def lamp_differences(self) -> dict[str, tuple[float, float]]:
        """Displacement of each lamp from the first and its error, unbinned columns."""
        return self.departure.differences

    def along(self, column: NDArray[np.float64], shift: NDArray[np.float64]) -> WavelengthSolution:
        """Return the axis of other rows, where light falls `shift` columns further right.

        Parameters
        ----------
        column, shift : ndarray of float64
            Unbinned columns of those rows and the displacement there, shape (n,); it replaces
            what the solution was moved by before.
        """
        old = np.array([line.column for line in self.lines])
        old = old - (np.interp(old, *self.moved) if self.moved else 0.0)
        new = old + np.interp(old, column, shift)
        lines = tuple(
            replace(line, column=float(place)) for line, place in zip(self.lines, new, strict=True)
        )
        used = [line.column for line in lines if line.used]
        return replace(self, lines=lines, coverage=(min(used), max(used)), moved=(column, shift))

    def _undisplaced(self, column: ArrayLike) -> NDArray[np.float64]:
        """Return where the grating equation would put what falls at `column`."""
        x = np.asarray(column, dtype=float)
        if self.moved is not None:
            x = x - np.interp(x, *self.moved)
        place = x - self.departure.at(x)
        for _ in range(3):
            place = x - self.departure.at(place)
        return place

    def wavelength(self, column: ArrayLike) -> NDArray[np.float64]:
        """Return the air wavelength in Angstrom at unbinned readout columns."""
        return self.dispersion.wavelength(self._undisplaced(column))

    def column(self, wavelength: ArrayLike) -> NDArray[np.float64]:
        """Return the unbinned readout column of air wavelengths in Angstrom."""
        place = self.dispersion.column(wavelength)
        place = place + self.departure.at(place)
        return place if self.moved is None else place + np.interp(place, *self.moved)

    def scale(self, column: ArrayLike) -> NDArray[np.float64]:
        """Return the dispersion in Angstrom per unbinned column."""
        x = np.asarray(column, dtype=float)
        return (self.wavelength(x + 0.5) - self.wavelength(x - 0.5)) / 1.0

    @property
    def offset_known(self) -> bool:
        """False if all lines are one lamp's, so that its displacement cannot be seen."""
        return bool(self.departure.offsets)

    def uncertainty_px(self, column: ArrayLike) -> NDArray[np.float64]:
        """Return one standard deviation of the axis in unbinned columns.

        The displacement of a lamp that burns alone is not in it; where several burn but lines of
        only one were used, what lamps differ by as a rule is.
        """
        sigma = self.departure.sigma(self._undisplaced(column))
        if len(self.lamps) > 1 and not self.offset_known:
            return np.hypot(sigma, _LAMPS_DIFFER)
        return sigma

    def uncertainty(self, column: ArrayLike) -> NDArray[np.float64]:
        """Return one standard deviation of the wavelength in Angstrom.

        It holds the noise of the lines, the doubt about the shape of the axis and about which
        lamp falls true; it grows where lines are missing.
        """
        return self.uncertainty_px(column) * np.abs(self.scale(column))

    def uncertainty_kms(self, column: ArrayLike) -> NDArray[np.float64]:
        """Return one standard deviation of the wavelength as a velocity in km/s."""
        return self.uncertainty(column) / self.wavelength(column) * SPEED_OF_LIGHT_KMS

    @property
    def typical_uncertainty_px(self) -> float:
        """Rms standard deviation of the axis between the lines used, unbinned columns."""
        return _rms(self.uncertainty_px(np.linspace(*self.coverage, _SAMPLES)))

    @property
    def weak(self) -> bool:
        """True where lines are too few or lamps too far apart for a tenth of a pixel."""
        return self.typical_uncertainty_px > _WEAK * max(self.binning, 1)

    def covers(self, column: ArrayLike) -> NDArray[np.bool_]:
        """Say which unbinned columns lie between the outermost lines used."""
        x = np.asarray(column, dtype=float)
        return (x >= self.coverage[0]) & (x <= self.coverage[1])

    def require_trust(self, name: str = "The arc") -> WavelengthSolution:
        """Return this solution, or say why it cannot be trusted.

        Raises
        ------
        UntrustedSolutionError
            If a check failed.
        """
        if self.reasons:
            raise UntrustedSolutionError(
                f"{name} gives no wavelengths to trust: {'; '.join(self.reasons)}.",
                remedy="Use another arc of this setting, or longer exposed.",
                field="arcs",
            )
        return self


def solve_lines(
    columns: ArrayLike,
    *,
    lamps: Iterable[str],
    prior: Dispersion,
    sigma: ArrayLike | float = 0.1,
    strength: ArrayLike | None = None,
    limits: tuple[float, float] = LIGHT,
    binning: int = 1,
) -> WavelengthSolution:
    """Solve a bare list of line positions.

    Parameters
    ----------
    columns : array_like of float
        Centres in unbinned readout columns (column 0 is the first one clocked).
    lamps : iterable of str
        Lamps that are on: of ``HGA NE AR CU FE``.
    prior : Dispersion
        Prediction from `grating.predict`.
    sigma : float or array_like
        Standard deviation of the centres, unbinned columns.
    strength : array_like, optional
        Flux of the lines; helps to tell them apart.
    limits : tuple of float
        Columns between which lines could have been seen.
    binning : int
        Serial binning, recorded only.

    Raises
    ------
    UntrustedSolutionError
        If the lines cannot be identified at all; a doubtful solution is returned with
        ``trusted`` False.
    """
    x = np.asarray(columns, dtype=float)
    order = np.argsort(x, kind="stable")
    errors = np.broadcast_to(np.asarray(sigma, dtype=float), x.shape)[order]
    flux = None if strength is None else np.asarray(strength, dtype=float)[order]
    seen = Seen(
        column=x[order],
        sigma=errors,
        flux=flux,
        fwhm=np.zeros(len(x)),
        snr=np.full(len(x), np.nan),
        trouble=_crowded(x[order]),
        binning=binning,
    )
    return _solve(seen, tuple(sorted(set(lamps))), prior, limits)


def _crowded(column: NDArray[np.float64]) -> NDArray[np.str_]:
    """Return what is wrong with lines nearer to one another than the instrument can part."""
    near = np.diff(column) < _PARTED
    either = np.concatenate([near, [False]]) | np.concatenate([[False], near])
    return np.where(either[: len(column)], "too near another line to be told from it", "")


def solve_peaks(
    peaks: Peaks,
    centres: NDArray[np.float64],
    *,
    lamps: Iterable[str],
    prior: Dispersion,
    binning: int,
    limits: tuple[float, float] = LIGHT,
) -> WavelengthSolution:
    """Solve the lines that `peaks.find_peaks` found.

    Parameters
    ----------
    peaks : Peaks
        Lines by pixel index.
    centres : ndarray of float64
        Unbinned readout column of each pixel's centre, as `Window.columns_unbinned` gives.
    lamps : iterable of str
        Lamps that are on.
    prior : Dispersion
        Prediction from `grating.predict`.
    binning : int
        Serial binning.
    limits : tuple of float
        Unbinned columns that see light.

    Raises
    ------
    UntrustedSolutionError
        If the lines cannot be identified at all.
    """
    seen = Seen(
        column=centres[0] + peaks.pixel * binning,
        sigma=peaks.sigma * binning,
        flux=peaks.height,
        fwhm=peaks.fwhm * binning,
        snr=peaks.snr,
        trouble=peaks.trouble,
        binning=binning,
    )
    edge = (max(limits[0], float(centres[0])), min(limits[1], float(centres[-1])))
    return _solve(seen, tuple(sorted(set(lamps))), prior, edge)


def _solve(
    seen: Seen,
    lamps: tuple[str, ...],
    prior: Dispersion,
    limits: tuple[float, float],
) -> WavelengthSolution:
    if len(seen.column) < _FEWEST:
        raise UntrustedSolutionError(
            f"Only {len(seen.column)} lines stand out, and at least {_FEWEST} are needed.",
            remedy="Use another arc of this setting, or longer exposed.",
            field="arcs",
        )
    lines = lines_for(lamps, _grating(prior) if seen.flux is None else None)
    observed = Observed(seen.column, np.maximum(seen.sigma, 1e-3), seen.brightness(), limits)
    best: WavelengthSolution | None = None
    reaches = [max(_REACH_NAMED, 5 * prior.scatter_px)]
    if reaches[0] < _REACH_WIDE:
        reaches.append(_REACH_WIDE)
    for reach in reaches:
        candidates = find_candidates(observed, lines, prior, reach=reach)
        if not candidates or len(candidates[0].pairs) < _FEWEST:
            continue
        gap = candidates[0].score - max((c.score for c in candidates[1:]), default=0.0)
        gap = min(gap, candidates[0].score)
        found = identify(seen, lines, prior, candidates[0], limits)
        if found is None:
            continue
        solution = _state(seen, found, candidates[0], lamps, gap)
        if best is None or len(solution.reasons) < len(best.reasons):
            best = solution
        if best.trusted:
            return best
    if best is None:
        raise UntrustedSolutionError(
            f"None of {len(seen.column)} lines can be identified with lamps {'+'.join(lamps)}.",
            remedy="Check LAMP_* cards, GRATING and angles, or use another arc.",
            field="arcs",
        )
    return best


def _grating(prior: Dispersion) -> int:
    """Return the ruling of the grating that an effective value of lines per mm stands for."""
    return min(known_gratings(), key=lambda lines_mm: abs(lines_mm - prior.lines_mm))


def _state(
    seen: Seen,
    found: Identified,
    candidate: Candidate,
    lamps: tuple[str, ...],
    gap: float,
) -> WavelengthSolution:
    used = found.used
    residual = found.departure.residual
    left_out = found.departure.left_out
    columns = seen.column[used]
    scale = found.dispersion.scale(columns)
    count = int(used.sum())
    rms = _rms(residual)
    reasons = _doubts(seen, found, candidate, gap)
    bright = seen.brightness() == 2
    return WavelengthSolution(
        dispersion=found.dispersion,
        departure=found.departure,
        lines=found.records,
        lamps=lamps,
        binning=seen.binning,
        n_used=count,
        coverage=(float(columns.min()), float(columns.max())),
        rms_px=rms,
        rms_aa=_rms(residual * scale),
        loo_rms_px=_rms(left_out),
        loo_worst_px=float(np.max(np.abs(left_out))),
        gap=float(gap),
        score=float(candidate.score),
        strangers=int(np.sum(bright & ~found.named)),
        reasons=reasons,
    )


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _doubts(
    seen: Seen,
    found: Identified,
    candidate: Candidate,
    gap: float,
) -> tuple[str, ...]:
    reasons = []
    count = int(found.used.sum())
    needed = _CLEAR_GAP if count >= 5 else _FEW_GAP
    if seen.flux is not None:
        needed = _MEASURED_GAP
    if count < _FEWEST:
        reasons.append(f"only {count} lines could be used")
    if gap < needed:
        reasons.append(
            f"another identification of the lines is nearly as likely (log odds {gap:.1f})"
        )
    departure = found.departure
    # faint lines scatter more and weigh less
    weight = 1 / departure.left_out_sigma**2
    rms = float(np.sqrt(np.sum(weight * departure.residual**2) / weight.sum()))
    if rms > 0.35 * max(seen.binning, 1):
        reasons.append(f"the lines scatter by {rms:.2f} columns")
    left_out = _rms(departure.left_out)
    surprise = _rms(departure.left_out / departure.left_out_sigma)
    if left_out > 1.0 * max(seen.binning, 1) and surprise > 3:
        reasons.append(f"lines left out are missed by {left_out:.2f} columns")
    bright = seen.brightness() == 2
    if seen.flux is not None and bright.sum() >= 4:
        explained = float(np.mean(found.explained[bright]))
        if explained < 0.5:
            reasons.append(f"only {explained:.0%} of the bright lines are the lamp's")
    share = float(np.mean(found.explained))
    if share < (0.5 if seen.flux is None else 0.2):
        reasons.append(f"only {share:.0%} of the lines are the lamp's")
    if abs(candidate.stretch) > 0.024:
        reasons.append(f"the scale is {candidate.stretch:+.1%} off the prediction")
    return tuple(reasons)
