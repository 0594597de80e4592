"""The focus block: frames through focus in, the sharpest setting out."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.blocks.members import overlay_for
from goodman_live.pipeline.blocks.result import BlockResult, Product, QualityValue
from goodman_live.pipeline.core.errors import BadFrameError, MissingCalibrationError
from goodman_live.pipeline.core.focus import CARDS, best_focus, measure_width, moved_card
from goodman_live.pipeline.core.info import Technique
from goodman_live.pipeline.core.instrument import light_window
from goodman_live.pipeline.core.noise import header_noise_adu, trusted_noise_adu
from goodman_live.pipeline.core.overscan import measure_overscan
from goodman_live.pipeline.core.reduction import Level, darkest_part, subtract
from goodman_live.pipeline.core.slitimage import PIXEL_ARCSEC
from goodman_live.pipeline.core.zerolevel import zero_strip
from goodman_live.pipeline.products.fits import read_raw
from goodman_live.pipeline.products.focus import FocusRun, write_focus
from goodman_live.pipeline.products.names import focus_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from goodman_live.pipeline.core.focus import Width
    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.settings import ReductionSettings

ROLE = "focus"
"""Role of the product."""


def measure_focus(
    raws: Sequence[Path],
    *,
    out_dir: Path,
    settings: ReductionSettings,
    overlay: Mapping[str, Any] | None = None,
    suffix: str = "",
) -> BlockResult:
    """Measure how sharp each frame of a focus run is, and find the best setting.

    Parameters
    ----------
    raws : sequence of Path
        Raw frames of one set-up, the newest first: stars, the slit, or arc lines.
    out_dir : Path
        Folder of the product.
    settings : ReductionSettings
        None of them matters here.
    overlay : Mapping, optional
        Header values mended by hand.
    suffix : str
        Added to the name of the product to make a further version unique.

    Returns
    -------
    BlockResult
        A table of settings and widths with role ``focus``; its numbers have the best setting,
        or none where the run does not bracket it.

    Raises
    ------
    MissingCalibrationError
        If there is no frame.
    BadFrameError
        If none of them can be read.
    """
    del settings
    began = perf_counter()
    if not raws:
        raise MissingCalibrationError("There is no focus frame.", field="raws")
    widths: list[Width] = []
    places: list[dict[str, float]] = []
    kept: list[Path] = []
    rejected: dict[str, str] = {}
    header = info = None
    for raw in raws:
        try:
            frame, info_here = lit_frame(raw, overlay=overlay_for(raw, overlay))
        except BadFrameError as fault:
            rejected[raw.name] = fault.message
            continue
        if header is None:
            header, info = frame.header, info_here
        widths.append(measure_width(frame, info_here))
        places.append(_settings(frame))
        kept.append(raw)
    if header is None or info is None:
        raise BadFrameError(
            f"No frame of this focus run can be measured: {next(iter(rejected.values()))}",
            remedy="Take the run again.",
        )
    card = moved_card(places)
    setting = np.array([place.get(card, np.nan) for place in places])
    fwhm = np.array([width.fwhm_px for width in widths])
    error = np.array([width.error_px for width in widths])
    found = best_focus(setting, fwhm, error, step=CARDS[card])
    run = FocusRun(card, tuple(path.name for path in kept), setting, tuple(widths), found)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / focus_name(raws[0].name, suffix=suffix)
    write_focus(path, run, header)
    product = Product.of(path, data_type=2, parents=tuple(kept), quality=_numbers(run), role=ROLE)
    return BlockResult(
        block="measure_focus",
        products=(product,),
        messages=tuple(_messages(run)),
        seconds=perf_counter() - began,
        rejected=rejected,
    )


def lit_frame(raw: Path, *, overlay: Mapping[str, Any] | None = None) -> tuple[Frame, FrameInfo]:
    """Return the lit part of a raw frame without its overscan level, with uncertainty.

    Raises
    ------
    BadFrameError
        If the file is damaged, or no light falls on its window.
    """
    frame, info = read_raw(raw, overlay=overlay)
    try:
        window = light_window(frame.window, spectrum=info.technique is Technique.SPECTROSCOPY)
    except ValueError as error:
        raise BadFrameError(f"{raw.name}: {error}.", field="ROI") from error
    rows, columns = window.slices_in(frame.window)
    strip = zero_strip(frame, info.camera)
    if strip is None:
        dark = darkest_part(frame.data[rows, columns])
        ones = np.ones(window.ny, np.float32)
        noise = max(header_noise_adu(info.rdnoise, info.gain), dark.noise)
        level = Level(ones * dark.level, ones * dark.uncertainty, noise)
    else:
        try:
            over = measure_overscan(strip)
        except ValueError as error:
            raise BadFrameError(f"{raw.name}: its overscan is damaged: {error}.") from error
        noise = trusted_noise_adu(over.noise, info.rdnoise, info.gain)
        sigma = over.uncertainty.reshape(frame.window.ny)
        level = Level(over.level[rows], sigma[rows], noise)
    return subtract(frame.cut(window), level, gain=info.gain, bias=None), info


def _settings(frame: Frame) -> dict[str, float]:
    found = {}
    for name in CARDS:
        value = frame.header.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = float(value)
    return found


def _numbers(run: FocusRun) -> dict[str, QualityValue]:
    found = run.focus
    seen = [one for one in run.widths if one.count]
    newest = run.widths[0]
    return {
        "frames": len(run.files),
        "focus_card": run.card,
        "focus_best": _plain(found.best),
        "focus_error": _plain(found.error),
        "focus_bracketed": found.bracketed,
        "fwhm_best_px": _plain(found.fwhm_px),
        "fwhm_best_arcsec": _plain(found.fwhm_px * PIXEL_ARCSEC),
        "fwhm_newest_px": _plain(newest.fwhm_px),
        "focus_newest": _plain(float(run.setting[0])),
        "measured_on": seen[0].what if seen else "",
    }


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _messages(run: FocusRun) -> list[str]:
    said = [f"{run.card}: {run.focus.reason}"]
    blind = [name for name, one in zip(run.files, run.widths, strict=True) if not one.count]
    if blind:
        said.append(f"Nothing to measure on {', '.join(blind[:5])}.")
    if run.focus.curve is not None:
        odd = [
            name
            for name, used, one in zip(run.files, run.focus.used, run.widths, strict=True)
            if one.count and not used
        ]
        if odd:
            said.append(f"Off the curve, and left out: {', '.join(odd[:5])}.")
    return said
