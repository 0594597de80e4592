"""The stack block: spectra of one target from repeated exposures in, one spectrum out."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.blocks.result import BlockResult, Product, QualityValue
from goodman_live.pipeline.core.errors import BadFrameError, MissingCalibrationError
from goodman_live.pipeline.core.stack import exposures_to_reach, signal_to_noise, stack_spectra
from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.fits import read_spectrum, write_spectrum
from goodman_live.pipeline.products.names import stack_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.io.fits import Header

    from goodman_live.pipeline.core.spectrum import Spectrum
    from goodman_live.pipeline.core.stack import Stack
    from goodman_live.pipeline.settings import ReductionSettings

ROLE = "stack"
"""Role of the product, beside the single spectrum of its newest exposure."""
_DEFAULT_RESOLUTION_PX = 3.0
"""Pixels of a resolution element where no arc tells."""
_CLOSE_AXES = 0.1
"""Spectra whose pixels differ by more than this share in width are of different set-ups."""


def stack(
    spectra: Sequence[Path],
    *,
    out_dir: Path,
    settings: ReductionSettings,
    overlay: Mapping[str, str | float | int] | None = None,
    suffix: str = "",
) -> BlockResult:
    """Combine repeated exposures of one target.

    Parameters
    ----------
    spectra : sequence of Path
        Spectra with wavelengths on native pixels, all in one unit, the newest exposure first: its
        axis is that of the stack.
    out_dir : Path
        Folder of the product.
    settings : ReductionSettings
        ``signal_to_noise_goal`` matters here.
    overlay : Mapping, optional
        Header values mended by hand; none matters here.
    suffix : str
        Added to the name of the product to make a further version unique.

    Returns
    -------
    BlockResult
        One spectrum of the data type of its exposures, with role ``stack``; its numbers say what
        was reached and how many more exposures like these reach the goal.

    Raises
    ------
    MissingCalibrationError
        If there are fewer than two exposures.
    BadFrameError
        If they cannot be combined.
    """
    del overlay
    began = perf_counter()
    if len(spectra) < 2:
        raise MissingCalibrationError(
            f"{len(spectra)} exposure of this target is no stack.",
            remedy="Take another exposure in the same set-up.",
            field="spectra",
        )
    exposures = [read_spectrum(path) for path in spectra]
    _refuse_unlike(spectra, exposures)
    done = stack_spectra(exposures)
    width = _resolution(done.spectrum.header)
    numbers = _numbers(exposures, done, width, settings)
    data_type = 5 if "erg" in done.spectrum.unit else 4
    header = done.spectrum.header.copy()
    _note(header, spectra, done, numbers)
    combined = replace(done.spectrum, header=header)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / stack_name(spectra[0].name, len(spectra), suffix=suffix)
    write_spectrum(path, combined, data_type=data_type, parent=spectra[0].name)
    product = Product.of(path, data_type=data_type, parents=spectra, quality=numbers, role=ROLE)
    return BlockResult(
        block="stack",
        products=(product,),
        messages=tuple(_messages(spectra, done, numbers)),
        seconds=perf_counter() - began,
    )


def _refuse_unlike(paths: Sequence[Path], spectra: Sequence[Spectrum]) -> None:
    first = spectra[0]
    for path, spectrum in zip(paths, spectra, strict=True):
        if spectrum.wavelength is None or first.wavelength is None:
            raise BadFrameError(
                f"{path.name} has no wavelengths.", remedy="Calibrate its wavelengths first."
            )
        if spectrum.unit != first.unit:
            raise BadFrameError(
                f"{path.name} is in {spectrum.unit}, {paths[0].name} in {first.unit}.",
                remedy="Stack spectra of one kind.",
            )
        steps = [
            abs(float(np.median(np.diff(w)))) for w in (spectrum.wavelength, first.wavelength)
        ]
        low = max(spectrum.wavelength.min(), first.wavelength.min())
        high = min(spectrum.wavelength.max(), first.wavelength.max())
        if high <= low or abs(steps[0] / steps[1] - 1) > _CLOSE_AXES:
            raise BadFrameError(
                f"{path.name} is of another set-up than {paths[0].name}.",
                remedy="Stack exposures of one grating, angle and binning.",
            )


def _resolution(header: Header) -> float:
    value = header.get("GSP_LFWH")
    return float(value) if isinstance(value, int | float) else _DEFAULT_RESOLUTION_PX


def _numbers(
    exposures: Sequence[Spectrum], done: Stack, width: float, settings: ReductionSettings
) -> dict[str, QualityValue]:
    reached = signal_to_noise(done.spectrum, width)
    goal = settings.signal_to_noise_goal
    return {
        "exposures": len(exposures),
        "exptime_total_s": float(sum(float(one.header.get("EXPTIME") or 0) for one in exposures)),
        "snr_resolution": reached,
        "snr_newest": signal_to_noise(exposures[0], width),
        "snr_goal": goal,
        "exposures_to_goal": exposures_to_reach(goal, reached, len(exposures)),
        "resolution_px": width,
        "rejected_pixels": int(done.rejected.sum()),
        "lowest_level": float(done.scale.min() / done.scale.max()),
    }


def _note(
    header: Header, paths: Sequence[Path], done: Stack, numbers: Mapping[str, QualityValue]
) -> None:
    cards: list[tuple[str, Any, str]] = [
        ("GSP_STKN", len(paths), "exposures in the stack"),
        ("GSP_STKT", numbers["exptime_total_s"], "sum of their exposure times, s"),
        ("GSP_STKS", numbers["snr_resolution"], "S/N per resolution element"),
        ("GSP_STKX", numbers["rejected_pixels"], "pixels left out as outliers"),
    ]
    for number, (path, level) in enumerate(zip(paths[:99], done.scale[:99], strict=True), start=1):
        cards.append((f"GSP_SK{number:02d}", path.name, "exposure"))
        cards.append((f"GSP_SL{number:02d}", float(level), "its level, mean 1"))
    for key, value, comment in cards:
        record.put(header, key, value, comment)


def _messages(
    paths: Sequence[Path], done: Stack, numbers: Mapping[str, QualityValue]
) -> list[str]:
    more = numbers["exposures_to_goal"]
    said = (
        f"{len(paths)} exposures reach a signal to noise of {numbers['snr_resolution']:.1f} per "
        f"resolution element of {numbers['resolution_px']:.1f} px"
    )
    goal = f"{numbers['snr_goal']:g}"
    if more is None:
        notes = [f"{said}; nothing is seen, so more of them will not reach {goal}."]
    elif more == 0:
        notes = [f"{said}: the goal of {goal} is reached."]
    else:
        notes = [f"{said}; {more} more like these reach {goal}."]
    weak = [
        f"{path.name} at {level / done.scale.max():.0%}"
        for path, level in zip(paths, done.scale, strict=True)
        if level < done.scale.max() / 2
    ]
    if weak:
        notes.append(f"Much fainter than the best exposure: {', '.join(weak)}.")
    return notes
