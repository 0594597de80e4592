"""The flux blocks: standards in, a sensitivity function out; a spectrum and one in, flux out."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.blocks.recording import put_shared
from goodman_live.pipeline.blocks.result import BlockResult, Product, QualityValue
from goodman_live.pipeline.core.atmosphere import mean_airmass
from goodman_live.pipeline.core.errors import (
    BadFrameError,
    MissingCalibrationError,
    UntrustedSolutionError,
)
from goodman_live.pipeline.core.fluxcal import calibrate, limits
from goodman_live.pipeline.core.resample import linear_grid, pixel_edges, resample
from goodman_live.pipeline.core.sensitivity import Observed, fit_sensitivity
from goodman_live.pipeline.core.standards import name_against_pointing, recognise
from goodman_live.pipeline.core.telluric import Correction, correct, measure_absorption
from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.fits import read_info, read_spectrum, write_spectrum
from goodman_live.pipeline.products.names import flux_name, sensitivity_name, with_suffix
from goodman_live.pipeline.products.response import Response, read_response, write_response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.core.sensitivity import Sensitivity
    from goodman_live.pipeline.core.spectrum import Spectrum
    from goodman_live.pipeline.settings import ReductionSettings

    Overlay = Mapping[str, str | float | int]

DIM_MAG = 0.15
"""A standard this much below the best one lost light to slit or clouds, which is said."""


def build_sensitivity(
    spectra: Sequence[Path],
    *,
    out_dir: Path,
    settings: ReductionSettings,
    overlay: Overlay | None = None,
    suffix: str = "",
) -> BlockResult:
    """Fit the sensitivity function of a set-up to its standard stars.

    Parameters
    ----------
    spectra : sequence of Path
        Wavelength-calibrated spectra of standards on native pixels, of one set-up. Where a frame
        holds several targets, give the brightest.
    out_dir : Path
        Folder of the product.
    settings : ReductionSettings
        Kept in the record.
    overlay : Mapping, optional
        Header values mended by hand, for all of them.
    suffix : str
        Added to the name of the product to make a further version unique.

    Returns
    -------
    BlockResult
        The sensitivity function (data type 1). Spectra that are of no use are in ``rejected``.

    Raises
    ------
    MissingCalibrationError
        If none of the spectra is of a standard star.
    UntrustedSolutionError
        If what was observed does not tell the sensitivity.
    """
    began = perf_counter()
    exposures, rejected, messages = _observed(spectra, overlay)
    if not exposures:
        raise MissingCalibrationError(
            f"None of {len(spectra)} spectra is of a standard star. {' '.join(rejected.values())}",
            remedy="Observe a standard of the library in this set-up.",
            field="standards",
        )
    sensitivity = fit_sensitivity([observed for _, observed, _ in exposures])
    brightest = min(
        zip(sensitivity.bands, exposures, strict=False), key=lambda pair: pair[0].grey
    )[1]
    absorption = measure_absorption(brightest[1], sensitivity)
    messages += _notes(sensitivity)
    path, observed, info = exposures[0]
    header = observed.spectrum.header.copy()
    put_shared(header)
    for number, (_, one, _) in enumerate(exposures[:99], start=1):
        record.put(header, f"GSP_ST{number:02d}", one.standard.name, one.name)
    for key, value in sorted(settings.model_dump(mode="json").items()):
        header.add_history(f"GSP setting {key} = {value}")
    out_dir.mkdir(parents=True, exist_ok=True)
    name = sensitivity_name(info, suffix=suffix)
    write_response(out_dir / name, Response(sensitivity, absorption, header))
    numbers: dict[str, QualityValue] = {
        "standards": ", ".join(dict.fromkeys(one.standard.name for _, one, _ in exposures)),
        "exposures": len(exposures),
        "rms_mag": sensitivity.rms,
        "grey_error_mag": sensitivity.grey_error,
        "airmass": sensitivity.airmass,
        "low_aa": sensitivity.low,
        "high_aa": sensitivity.high,
        "zero_point_5500_mag": _at_5500(sensitivity),
    }
    product = Product.of(
        out_dir / name,
        data_type=1,
        parents=(path, *(other for other, _, _ in exposures[1:])),
        quality=numbers,
        role="sensitivity",
    )
    return BlockResult(
        block="build_sensitivity",
        products=(product,),
        messages=tuple(messages),
        seconds=perf_counter() - began,
        rejected=rejected,
    )


def calibrate_flux(
    calibrated: Path,
    *,
    sensitivity: Path | None,
    out_dir: Path,
    settings: ReductionSettings,
    overlay: Overlay | None = None,
    suffix: str = "",
) -> BlockResult:
    """Give a wavelength-calibrated spectrum its flux, erg/s/cm2/A above the atmosphere.

    Parameters
    ----------
    calibrated : Path
        Wavelength-calibrated spectrum on native pixels.
    sensitivity : Path or None
        Product of `build_sensitivity` for this set-up.
    out_dir : Path
        Folder of the products.
    settings : ReductionSettings
        ``linear_output`` and ``telluric_correction`` matter here.
    overlay : Mapping, optional
        Header values of the science frame that the catalogue has mended by hand.
    suffix : str
        Added to the names of products to make a further version unique.

    Returns
    -------
    BlockResult
        The spectrum on its native pixels (data type 5) and, with role ``linear``, on a linear
        axis.

    Raises
    ------
    MissingCalibrationError
        If there is no sensitivity function.
    BadFrameError
        If the spectrum has no wavelengths or the exposure took no time.
    """
    began = perf_counter()
    if sensitivity is None:
        raise MissingCalibrationError(
            f"There is no sensitivity function for {calibrated.name}.",
            remedy="Observe a standard star in this set-up.",
            field="sensitivity",
        )
    response = read_response(sensitivity)
    spectrum, info = _readable(calibrated, overlay)
    airmass, messages = _airmass(info, calibrated)
    done = calibrate(
        spectrum,
        response.sensitivity,
        airmass=airmass,
        exptime_s=info.exptime_s,
        gain=info.gain,
    )
    correction = None
    if settings.telluric_correction:
        done, correction = correct(done, response.absorption, airmass=airmass)
        messages.append(_said(correction))
    bounds = limits((info.filter, info.filter2), info.slit_arcsec, response.sensitivity.grey_error)
    messages.append(bounds.slit_loss)
    wave = np.asarray(done.wavelength)
    if wave[-1] > bounds.second_order_from:
        messages.append(
            f"Light of the second order may be mixed in beyond {bounds.second_order_from:.0f} "
            "Angstrom."
        )
    outside = float(np.mean(~response.sensitivity.covers(wave)))
    if outside > 0:
        messages.append(f"{outside:.0%} of the pixels lie outside the standard's range: flagged.")
    header = _header(
        spectrum.header, sensitivity, response, airmass, bounds.second_order_from, correction
    )
    done = replace(done, header=header)
    numbers = _numbers(done, response, airmass, correction)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / flux_name(calibrated.name, suffix=suffix)
    write_spectrum(path, done, data_type=5, parent=calibrated.name)
    parents = (calibrated, sensitivity)
    products = [Product.of(path, data_type=5, parents=parents, quality=numbers)]
    if settings.linear_output:
        products.append(_linear(done, path, parents, numbers))
    return BlockResult(
        block="calibrate_flux",
        products=tuple(products),
        messages=tuple(messages),
        seconds=perf_counter() - began,
    )


def _observed(
    spectra: Sequence[Path], overlay: Overlay | None
) -> tuple[list[tuple[Path, Observed, FrameInfo]], dict[str, str], list[str]]:
    """Return the exposures of standards, what is none with its reason, and how each is known."""
    exposures, rejected, messages = [], {}, []
    for path in spectra:
        try:
            spectrum, info = _readable(path, overlay)
        except BadFrameError as error:
            rejected[path.name] = str(error)
            continue
        star = recognise(info.object_name, info.ra_deg, info.dec_deg, info.mid)
        if star is None:
            pointing = (info.object_name, info.ra_deg, info.dec_deg, info.mid)
            why = name_against_pointing(*pointing) or "it is of no standard of the library."
            rejected[path.name] = f"{path.name}: {why}"
            continue
        try:
            airmass, told = _airmass(info, path)
        except BadFrameError as error:
            rejected[path.name] = str(error)
            continue
        one = Observed(path.name, spectrum, star.standard, airmass, info.exptime_s, info.gain)
        try:
            fit_sensitivity([one])
        except UntrustedSolutionError as error:
            rejected[path.name] = f"{path.name}: {error}"
            continue
        exposures.append((path, one, info))
        messages += [star.reason, *told]
    return exposures, rejected, messages


def _readable(path: Path, overlay: Overlay | None) -> tuple[Spectrum, FrameInfo]:
    spectrum, info = read_spectrum(path), read_info(path, overlay=overlay)
    if spectrum.wavelength is None:
        raise BadFrameError(
            f"{path.name} has no wavelengths.", remedy="Calibrate its wavelengths first."
        )
    if not info.exptime_s > 0:
        raise BadFrameError(
            f"{path.name} has an exposure time of {info.exptime_s} s.",
            remedy="Mend EXPTIME.",
            field="EXPTIME",
        )
    return spectrum, info


def _airmass(info: FrameInfo, path: Path) -> tuple[float, list[str]]:
    """Return the mean airmass, from position and time where they are known."""
    computed = None
    if info.ra_deg is not None and info.dec_deg is not None:
        computed = mean_airmass(info.ra_deg, info.dec_deg, info.mid, info.exptime_s)
    if computed is not None:
        if info.airmass is not None and abs(info.airmass - computed) > 0.1 * computed:
            said = f"The header of {path.name} says airmass {info.airmass:.2f}"
            return computed, [f"{said}; position and time give {computed:.2f}, which was used."]
        return computed, []
    if info.airmass is not None:
        return info.airmass, [
            f"The airmass of {path.name} is the header's: position and time do not tell it."
        ]
    raise BadFrameError(
        f"The airmass of {path.name} is not known.",
        remedy="Mend OBSRA and OBSDEC, or AIRMASS.",
        field="AIRMASS",
    )


def _notes(sensitivity: Sensitivity) -> list[str]:
    notes = [
        f"{bands.name} lies {bands.grey:.2f} mag below the best exposure: light lost to slit or "
        "clouds. The level is that of the best."
        for bands in sensitivity.bands
        if bands.grey > DIM_MAG
    ]
    if len(sensitivity.bands) == 1:
        notes.append(
            f"One exposure alone: the level is taken to be good to {sensitivity.grey_error} mag."
        )
    return notes


def _said(correction: Correction) -> str:
    how = "fitted to the A band" if correction.fitted else "scaled by airmass alone"
    return (
        f"Telluric absorption divided out, {how}: moved by {correction.shift_aa:+.2f} Angstrom, "
        f"raised to the power {correction.strength:.2f}."
    )


def _at_5500(sensitivity: Sensitivity) -> float | None:
    """Return the AB magnitude that gives 1 e/s/A at 5500 Angstrom, None if not covered."""
    wave = np.array([5500.0])
    if not sensitivity.covers(wave)[0]:
        return None
    return float(
        sensitivity.magnitude(wave)[0] - 2.5 * np.log10(wave[0] ** 2 / 2.99792458e18) - 48.6
    )


def _header(
    header: Header,
    path: Path,
    response: Response,
    airmass: float,
    second_order: float,
    correction: Correction | None,
) -> Header:
    out = header.copy()
    cards: list[tuple[str, Any, str]] = [
        ("GSP_SENS", path.name, "sensitivity function"),
        ("GSP_FAIR", airmass, "mean airmass of the exposure"),
        ("GSP_FEXT", "CTIO curve, at 2738 m", "extinction"),
        ("GSP_FGRY", response.sensitivity.grey_error, "error of the level, mag, not in UNCERT"),
        ("GSP_F2ND", second_order, "second order possible beyond, Angstrom"),
        ("GSP_FTEL", correction is not None, "telluric absorption divided out"),
    ]
    if correction is not None:
        cards += [
            ("GSP_FTSH", correction.shift_aa, "its shift, Angstrom"),
            ("GSP_FTST", correction.strength, "its power"),
        ]
    for key, value, comment in cards:
        record.put(out, key, value, comment)
    return out


def _numbers(
    done: Spectrum, response: Response, airmass: float, correction: Correction | None
) -> dict[str, Any]:
    good = ~done.mask & np.isfinite(done.flux)
    return {
        "airmass": airmass,
        "grey_error_mag": response.sensitivity.grey_error,
        "sensitivity_rms_mag": response.sensitivity.rms,
        "median_flux": float(np.median(done.flux[good])) if good.any() else None,
        "telluric_corrected": correction is not None,
    }


def _linear(
    native: Spectrum, beside: Path, parents: tuple[Path, ...], numbers: dict[str, Any]
) -> Product:
    """Write the spectrum on a linear axis: flux density is averaged, not summed."""
    grid = linear_grid(np.asarray(native.wavelength))
    path = beside.with_name(with_suffix(beside.name, "linear"))
    write_spectrum(path, _density(native, grid), data_type=5, parent=beside.name)
    return Product.of(
        path, data_type=5, parents=(beside, *parents), quality=numbers, role="linear"
    )


def _density(native: Spectrum, grid: NDArray[np.float64]) -> Spectrum:
    from_step = np.diff(pixel_edges(np.asarray(native.wavelength)))
    amount = replace(
        native,
        flux=native.flux * from_step,
        uncertainty=native.uncertainty * from_step,
        sky=native.sky * from_step,
    )
    done = resample(amount, grid)
    step = np.diff(pixel_edges(grid))
    return replace(
        done, flux=done.flux / step, uncertainty=done.uncertainty / step, sky=done.sky / step
    )
