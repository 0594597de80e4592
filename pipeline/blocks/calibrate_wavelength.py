"""The wavelength block: an extracted spectrum and its arcs in, calibrated spectra out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.arc_report import line_row, quality
from goodman_live.pipeline.blocks.progress import step
from goodman_live.pipeline.blocks.result import BlockResult, Product
from goodman_live.pipeline.blocks.solved_arc import solved_arc
from goodman_live.pipeline.core.along import interpolate_trace
from goodman_live.pipeline.core.errors import (
    BadFrameError,
    GoodmanError,
    MissingCalibrationError,
    UntrustedSolutionError,
)
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.pooled import pool
from goodman_live.pipeline.core.resample import linear_grid, resample
from goodman_live.pipeline.core.skylines import Flexure, measure_flexure
from goodman_live.pipeline.core.velocity import barycentric_kms
from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.atomic import whole_file
from goodman_live.pipeline.products.fits import (
    read_info,
    read_spectrum,
    write_spectrum,
)
from goodman_live.pipeline.products.names import calibrated_name, with_suffix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.io.fits import Header

    from goodman_live.pipeline.core.arc import ArcSolution
    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.core.spectrum import Spectrum
    from goodman_live.pipeline.core.wavelength import WavelengthSolution
    from goodman_live.pipeline.settings import ReductionSettings

    Overlay = Mapping[str, str | float | int]

_SERIES_ORDER = 5
"""Order of the series written for tools that know GSP_C000 and on."""


@dataclass(frozen=True, slots=True, eq=False)
class _Arc:
    """One solved arc."""

    path: Path
    info: FrameInfo
    solution: ArcSolution


def calibrate_wavelength(
    extracted: Path,
    *,
    arcs: Sequence[Path],
    out_dir: Path,
    settings: ReductionSettings,
    overlay: Overlay | None = None,
    suffix: str = "",
    diagnostics: bool = False,
) -> BlockResult:
    """Give an extracted spectrum its wavelengths.

    Each arc is solved on its own in two dimensions, and read along the target's own trace; what
    cannot be trusted is left out, and the rest is interpolated in time and fitted as one.

    Parameters
    ----------
    extracted : Path
        Product of the extract block.
    arcs : sequence of Path
        Reduced 2-D arcs.
    out_dir : Path
        Folder of the products.
    settings : ReductionSettings
        ``linear_output`` and ``apply_flexure`` matter here.
    overlay : Mapping, optional
        Header values of the science frame that the catalogue has mended by hand.
    suffix : str
        Added to the names of products to make a further version unique.
    diagnostics : bool
        Also write ``<name>_wavelength.json`` with lines, residuals and the sky check.

    Returns
    -------
    BlockResult
        The spectrum on its native pixels (data type 4) and, with role ``linear``, on a linear
        axis.

    Raises
    ------
    MissingCalibrationError
        If there is no arc.
    UntrustedSolutionError
        If no arc gives wavelengths to trust.
    BadFrameError
        If the spectrum is not an extracted one.
    """
    began = perf_counter()
    if not arcs:
        raise MissingCalibrationError(
            f"There is no arc for {extracted.name}.",
            remedy="Take one with this grating, angles and binning.",
            field="arcs",
        )
    spectrum = read_spectrum(extracted)
    info = read_info(extracted, overlay=overlay)
    solved, messages = _solve_all(arcs, spectrum)
    if not solved:
        raise UntrustedSolutionError(
            f"No arc gives {extracted.name} wavelengths to trust. {' '.join(messages)}",
            remedy="Take another arc of this setting, or a longer one.",
            field="arcs",
        )
    times = [(arc.info.mid - info.mid).total_seconds() for arc in solved]
    axis = pool([arc.solution.axis for arc in solved], times)
    native = _with_axis(spectrum, axis)
    flexure = measure_flexure(native, fwhm_px=_width(solved))
    if flexure is not None and settings.apply_flexure:
        native = _shifted(native, flexure)
    messages += _notes(axis, flexure, settings)
    velocity = _velocity(info, messages)
    header = _record(
        native.header, axis, solved, flexure, velocity=velocity, applied=settings.apply_flexure
    )
    native = replace(native, header=header)
    numbers = _numbers(axis, solved, flexure, velocity, settings)
    parents = (extracted, *(arc.path for arc in solved))
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / calibrated_name(extracted.name, lamp=1, suffix=suffix)
    write_spectrum(path, native, data_type=4, parent=extracted.name)
    products = [Product.of(path, data_type=4, parents=parents, quality=numbers)]
    if settings.linear_output:
        products.append(_write_linear(native, path, parents, numbers))
    if diagnostics:
        products.append(_write_diagnostics(path, axis, solved, flexure))
    return BlockResult(
        block="calibrate_wavelength",
        products=tuple(products),
        messages=tuple(messages),
        seconds=perf_counter() - began,
    )


def _solve_all(arcs: Sequence[Path], spectrum: Spectrum) -> tuple[list[_Arc], list[str]]:
    """Solve every arc along the trace; return those to trust, and what is wrong with others."""
    solved, messages = [], []
    for number, path in enumerate(arcs):
        step(0.1 + 0.7 * number / len(arcs), f"The lines of {path.name} are matched.")
        try:
            arc = _solve(path, spectrum)
            arc.solution.axis.require_trust(path.name)
        except (UntrustedSolutionError, MissingCalibrationError, BadFrameError) as error:
            messages.append(_naming(path, error))
        else:
            solved.append(arc)
    return solved, messages


def _naming(path: Path, error: GoodmanError) -> str:
    return error.message if path.name in error.message else f"{path.name}: {error.message}"


def _solve(path: Path, spectrum: Spectrum) -> _Arc:
    solution, info = solved_arc(path)
    step = abs(spectrum.column[1] - spectrum.column[0]) if len(spectrum.column) > 1 else 1
    if solution.axis.binning != round(step):
        raise BadFrameError(
            f"{path.name} is binned by {solution.axis.binning} along the dispersion, the "
            f"spectrum by {round(step)}.",
            remedy="Use an arc of the same binning.",
            field="CCDSUM",
        )
    along = interpolate_trace(spectrum.column, spectrum.trace, solution.column)
    return _Arc(path, info, solution.along_trace(along))


def _with_axis(spectrum: Spectrum, axis: WavelengthSolution) -> Spectrum:
    flags = spectrum.flags.copy()
    flags[~axis.covers(spectrum.column)] |= np.uint8(Flag.EXTRAPOLATED)
    return replace(
        spectrum,
        flags=flags,
        wavelength=axis.wavelength(spectrum.column),
        wavelength_uncertainty=axis.uncertainty(spectrum.column),
    )


def _shifted(spectrum: Spectrum, flexure: Flexure) -> Spectrum:
    """Return the spectrum with its axis moved so that the sky lines fall right."""
    wavelength = spectrum.wavelength
    error = spectrum.wavelength_uncertainty
    assert wavelength is not None  # noqa: S101 (just set)
    assert error is not None  # noqa: S101
    scale = np.gradient(wavelength)
    return replace(
        spectrum,
        wavelength=wavelength - flexure.shift_px * scale,
        wavelength_uncertainty=np.hypot(error, flexure.sigma_px * np.abs(scale)),
    )


def _width(solved: Sequence[_Arc]) -> float:
    peaks = solved[0].solution.peaks
    return float(np.median(peaks.fwhm[peaks.good])) if peaks.good.any() else 3.0


def _notes(
    axis: WavelengthSolution, flexure: Flexure | None, settings: ReductionSettings
) -> list[str]:
    notes = []
    numbers = quality(axis)
    if numbers["lamp_offsets"]:
        notes.append(f"The lamps do not fall alike: {numbers['lamp_offsets']}.")
    else:
        notes.append(
            "All lines are one lamp's: its own displacement, some tenths of a pixel, cannot be "
            "known and is not in the stated uncertainty."
        )
    if axis.unnamed:
        notes.append(
            f"The lines show that {'+'.join(axis.unnamed)} burned too, which the header of the "
            "arc does not name."
        )
    if numbers["weak"]:
        notes.append(
            "The lines leave the axis uncertain by "
            f"{numbers['typical_uncertainty_px']:.2f} px between them, more than a tenth."
        )
    if flexure is not None:
        done = "applied" if settings.apply_flexure else "not applied"
        notes.append(
            f"Sky lines fall {flexure.shift_px:+.2f} +- {flexure.sigma_px:.2f} px from the arc "
            f"({flexure.n_used} lines); {done}."
        )
    return notes


def _velocity(info: FrameInfo, messages: list[str]) -> float | None:
    if info.ra_deg is None or info.dec_deg is None:
        messages.append("No barycentric correction: the position of the target is not known.")
        return None
    return barycentric_kms(info.ra_deg, info.dec_deg, info.mid)


def _numbers(
    axis: WavelengthSolution,
    solved: Sequence[_Arc],
    flexure: Flexure | None,
    velocity: float | None,
    settings: ReductionSettings,
) -> dict[str, float | int | str | bool | None]:
    numbers = quality(axis)
    numbers["arcs"] = len(solved)
    numbers["line_fwhm_px"] = _width(solved)
    numbers["tilt_px_per_px"] = solved[0].solution.tilt.slope
    numbers["bow_px_per_px2"] = solved[0].solution.tilt.bow
    numbers["flexure_px"] = None if flexure is None else flexure.shift_px
    numbers["flexure_uncertainty_px"] = None if flexure is None else flexure.sigma_px
    numbers["flexure_applied"] = bool(flexure is not None and settings.apply_flexure)
    numbers["barycentric_kms"] = velocity
    numbers["medium"] = "air"
    return numbers


def _record(
    header: Header,
    axis: WavelengthSolution,
    solved: Sequence[_Arc],
    flexure: Flexure | None,
    *,
    velocity: float | None,
    applied: bool,
) -> Header:
    out = header.copy()
    b = axis.binning
    used = axis.n_used
    cards: list[tuple[str, Any, str]] = [
        ("GSP_WRMS", axis.rms_aa, "rms against laboratory wavelengths, Angstrom"),
        ("GSP_WPOI", used, "lines used by the wavelength solution"),
        ("GSP_WREJ", len(axis.lines) - used, "lines seen but not used"),
        ("GSP_WRPX", axis.rms_px / b, "the same rms, pixels"),
        ("GSP_WLOO", axis.loo_rms_px / b, "leave-one-out rms, pixels"),
        ("GSP_WLOW", axis.loo_worst_px / b, "worst leave-one-out error, pixels"),
        ("GSP_WBLU", float(axis.wavelength(axis.coverage[0])), "bluest line used, Angstrom"),
        ("GSP_WRED", float(axis.wavelength(axis.coverage[1])), "reddest line used, Angstrom"),
        ("GSP_WAIR", True, "wavelengths are in air"),
        ("GSP_WFOC", axis.dispersion.f_mm, "fitted camera focal length, mm"),
        ("GSP_WDBE", axis.dispersion.dbeta_deg, "fitted error of the camera angle, deg"),
        ("GSP_WTLT", solved[0].solution.tilt.slope, "tilt of the lines, px/px"),
        ("GSP_WBOW", solved[0].solution.tilt.bow, "bow of the lines, px/px^2"),
        ("GSP_LFWH", _width(solved), "FWHM of the arc lines, px"),
        ("GSP_LAMP", solved[0].path.name, "calibrated lamp"),
        ("GSP_LMPS", "+".join(axis.lamps), "lamps of the solution"),
        ("GSP_VFRM", "topocentric", "frame of the wavelengths"),
    ]
    cards += [
        (f"GSP_LA{k:02d}", arc.path.name, "arc") for k, arc in enumerate(solved[:99], start=1)
    ]
    for lamp, (value, error) in axis.lamp_offsets.items():
        short = lamp.replace("+", "")[:4]
        cards.append((f"GSP_{short}", value / b, f"offset of {lamp} from the axis, px"))
        cards.append((f"GSP_{short[:3]}E", error / b, f"its error ({lamp}), px"))
    if flexure is not None:
        cards += [
            ("GSP_FLEX", flexure.shift_px, "sky lines less arc, px"),
            ("GSP_FLXE", flexure.sigma_px, "its error, px"),
            ("GSP_FLXN", flexure.n_used, "sky lines used"),
        ]
    cards.append(("GSP_FLXA", flexure is not None and applied, "flexure applied"))
    if velocity is not None:
        cards.append(("GSP_BARY", velocity, "barycentric correction, km/s, not applied"))
    for key, value, comment in [*cards, *_series(axis, solved[0].solution)]:
        record.put(out, key, value, comment)
    return out


def _series(axis: WavelengthSolution, arc: ArcSolution) -> list[tuple[str, Any, str]]:
    """Return the Chebyshev series in the raw 0-based pixel that older tools read."""
    pixel = np.arange(len(arc.column), dtype=float)
    fitted = np.polynomial.Polynomial.fit(pixel, axis.wavelength(arc.column), _SERIES_ORDER)
    terms = np.polynomial.chebyshev.poly2cheb(fitted.convert().coef)
    cards: list[tuple[str, Any, str]] = [
        ("GSP_FUNC", "Chebyshev1D", "series in the raw 0-based pixel"),
        ("GSP_ORDR", _SERIES_ORDER, "its order"),
        ("GSP_NPIX", len(pixel), "its number of pixels"),
    ]
    cards += [(f"GSP_C{k:03d}", float(term), "its coefficient") for k, term in enumerate(terms)]
    return cards


def _write_linear(
    native: Spectrum, beside: Path, parents: tuple[Path, ...], numbers: dict[str, Any]
) -> Product:
    assert native.wavelength is not None  # noqa: S101 (just set)
    linear = resample(native, linear_grid(native.wavelength))
    path = beside.with_name(with_suffix(beside.name, "linear"))
    write_spectrum(path, linear, data_type=4, parent=beside.name)
    return Product.of(
        path, data_type=4, parents=(beside, *parents), quality=numbers, role="linear"
    )


def _write_diagnostics(
    beside: Path, axis: WavelengthSolution, solved: Sequence[_Arc], flexure: Flexure | None
) -> Product:
    """Write lines with residuals, the arc itself and the sky check, for pages to draw."""
    arc = solved[0].solution
    first = float(arc.column[0])
    told = {
        "lines": [line_row(line, axis, first) for line in axis.lines],
        "arc": {
            "wavelength_aa": axis.wavelength(arc.column).tolist(),
            "flux": [None if not np.isfinite(v) else float(v) for v in arc.flux],
        },
        "sky": None
        if flexure is None
        else {
            "shift_px": flexure.shift_px,
            "sigma_px": flexure.sigma_px,
            "lines": [asdict(line) for line in flexure.lines],
        },
        "quality": quality(axis),
    }
    path = beside.with_name(f"{beside.stem}_wavelength.json")
    with whole_file(path) as stream:
        stream.write(json.dumps(told, allow_nan=False).encode())
    return Product.of(path, data_type=4, parents=(beside,), role="diagnostics")
