"""The reduce block: one raw frame in, one calibrated 2-D frame with uncertainty and flags out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.blocks.calibration import Master, load_master
from goodman_live.pipeline.blocks.flats import normalised_product
from goodman_live.pipeline.blocks.members import overlay_for
from goodman_live.pipeline.blocks.progress import step
from goodman_live.pipeline.blocks.recording import edges_of, put_edges, put_settings
from goodman_live.pipeline.blocks.result import BlockResult, Product, QualityValue
from goodman_live.pipeline.core.cosmic import KEYWORD, choose_method, clean_cosmics
from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.info import Kind, Technique
from goodman_live.pipeline.core.instrument import light_window, overscan_columns, section
from goodman_live.pipeline.core.noise import header_noise_adu, trusted_noise_adu
from goodman_live.pipeline.core.overscan import measure_overscan
from goodman_live.pipeline.core.reduction import Level, darkest_part, divide, subtract
from goodman_live.pipeline.core.zerolevel import zero_strip
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.pipeline.products.fits import read_raw, write_frame, write_mask
from goodman_live.pipeline.products.names import cosmic_mask_name, reduced_name
from goodman_live.pipeline.products.record import name_card, put
from goodman_live.pipeline.recipes import NOT_REDUCED, Step, steps_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.cosmic import Cleaned
    from goodman_live.pipeline.core.frame import Frame, Window
    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.settings import ReductionSettings

_ALL = 0.99
"""Share of saturated pixels at which nothing is left to reduce."""


@dataclass(slots=True, eq=False)
class _Work:
    """A frame on its way through the block."""

    raw: Path
    info: FrameInfo
    kind: Kind
    settings: ReductionSettings
    steps: tuple[Step, ...]
    frame: Frame
    letters: set[str] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)
    quality: dict[str, QualityValue] = field(default_factory=dict)

    def record(self, key: str, value: object, comment: str = "") -> None:
        put(self.frame.header, key, value, comment)


def reduce(
    raw: Path,
    *,
    bias: Path | None,
    flat: Path | None,
    out_dir: Path,
    settings: ReductionSettings,
    overlay: Mapping[str, Any] | None = None,
    suffix: str = "",
) -> BlockResult:
    """Reduce one raw frame.

    Overscan, image trim, slit trim (spectra), bias, flat, cosmic rays; an arc passes the last
    untouched. What cannot be done for want of a master is said and recorded, and the rest done.

    Parameters
    ----------
    raw : Path
        Raw spectrum, arc or image.
    bias : Path or None
        Master bias; without it the overscan alone serves.
    flat : Path or None
        Master flat, normalised or in counts; without it the slit is not trimmed either.
    out_dir : Path
        Where the products go.
    settings : ReductionSettings
        What is left out, and how cosmic rays are found.
    overlay : mapping, optional
        Header values that stand in for those of the file.
    suffix : str
        What makes a further version's names unique.

    Returns
    -------
    BlockResult
        The reduced frame, and the mask of its cosmic rays (role ``mask``) where they were
        looked for.

    Raises
    ------
    BadFrameError
        If the file is damaged, of a kind that is not reduced, without light, or all saturated.
    MissingCalibrationError
        If a master that was given does not fit.
    """
    started = time.perf_counter()
    work = _begin(raw, settings, overlay)
    outer = work.frame.window
    spectrum = work.info.technique is not Technique.IMAGING and work.kind is not Kind.IMAGE
    window = _light(work, spectrum=spectrum)
    zero = _load_bias(work, bias, window)
    level = _level(work, zero, window)
    divisor = _load_flat(work, flat, window)
    if divisor is not None and spectrum and Step.SLIT_TRIM in work.steps:
        window = _slit_window(work, divisor, window)
    _check_light(work, window)
    rows, _ = window.slices_in(outer)
    cut_level = replace(level, rows=level.rows[rows], uncertainty=level.uncertainty[rows])
    work.frame = subtract(
        work.frame.cut(window),
        cut_level,
        gain=work.info.gain,
        bias=zero.frame.cut(window) if zero else None,
    )
    if divisor is not None:
        work.frame = divide(work.frame, divisor.frame.cut(window))
    parents = [raw, *(master.path for master in (zero, divisor) if master)]
    del zero, divisor  # their pixels are not needed for what takes the most memory
    step(0.4, "Cosmic rays are looked for.")
    cleaned = _clean(work, spectrum=spectrum)
    _say(work)
    step(0.85, "The product is written.")
    products = _save(work, cleaned, parents, out_dir=out_dir, suffix=suffix)
    return BlockResult("reduce", products, tuple(work.messages), time.perf_counter() - started)


def _begin(raw: Path, settings: ReductionSettings, overlay: Mapping[str, Any] | None) -> _Work:
    frame, info = read_raw(raw, overlay=overlay_for(raw, overlay))
    kind = info.kind
    if kind in {Kind.ACQUISITION, Kind.UNKNOWN} and info.technique is not Technique.UNKNOWN:
        # asked for by hand: taken for what the light path says
        imaging = kind is Kind.ACQUISITION or info.technique is Technique.IMAGING
        kind = Kind.IMAGE if imaging else Kind.SPECTRUM
    if kind not in {Kind.SPECTRUM, Kind.ARC, Kind.IMAGE}:
        why = NOT_REDUCED.get(kind, f"not reduced: a {kind} frame goes into a master")
        raise BadFrameError(
            f"{raw.name} is {why} (OBSTYPE {info.obstype!r}).",
            remedy="Mend OBSTYPE in the catalogue if that is wrong.",
            field="OBSTYPE",
        )
    work = _Work(raw, info, kind, settings, steps_for(kind, settings), frame)
    if info.technique != settings.technique:
        work.messages.append(
            f"{raw.name} is {info.technique}, the settings name {settings.technique}; "
            "it was reduced as what it is."
        )
    put_settings(frame.header, settings)
    work.record("GSP_RSHA", sha256_of(raw))
    return work


def _light(work: _Work, *, spectrum: bool) -> Window:
    outer = work.frame.window
    try:
        window = light_window(outer, spectrum=spectrum)
    except ValueError as error:
        raise BadFrameError(
            f"{work.raw.name}: {error}.", remedy="Mend ROI in the catalogue.", field="ROI"
        ) from error
    work.record("GSP_TRIM", section(window, outer), "trim section")
    work.letters.add(Step.TRIM)
    return window


def _load_bias(work: _Work, bias: Path | None, window: Window) -> Master | None:
    if Step.BIAS not in work.steps:
        work.messages.append("The bias is ignored, as the settings say.")
        return None
    if bias is None:
        return None
    master = load_master(bias, work.info, window, Kind.BIAS)
    work.record("GSP_BIAS", name_card(bias.name), "master bias")
    work.record("GSP_BSHA", master.sha256)
    work.letters.add(Step.BIAS)
    return master


def _level(work: _Work, zero: Master | None, window: Window) -> Level:
    """Return the zero level of every row of the raw frame, and the read noise."""
    info, frame = work.info, work.frame
    ny = frame.window.ny
    columns = overscan_columns(info.camera, frame.window)
    held = 0.0
    if zero is not None and zero.frame.header.get("GSP_OVER", "none") == "none":
        held = float(zero.frame.header.get("GSP_BLEV", 0.0))
    strip = zero_strip(frame, info.camera)
    if columns is None or strip is None:
        return _level_without_overscan(work, zero, held, window)
    try:
        over = measure_overscan(strip)
    except ValueError as error:
        raise BadFrameError(
            f"{work.raw.name}: the overscan cannot be measured: {error}.",
            remedy="The frame is damaged there; take it again.",
        ) from error
    work.record("GSP_OVER", section(frame.window.sub(columns, slice(None)), frame.window))
    if zero is None:
        work.letters.add(Step.OVERSCAN)
        work.messages.append("Without a master bias, the overscan alone was subtracted.")
    noise = trusted_noise_adu(over.noise, info.rdnoise, info.gain)
    if over.noise is not None and noise != over.noise:
        work.messages.append(
            f"The overscan scatters by {over.noise * info.gain:.1f} e, RDNOISE is "
            f"{info.rdnoise:.2f} e; the header is used."
        )
    work.quality |= {
        "bias_level_adu": over.typical,
        "read_noise_e": noise * info.gain,
        "spoilt_overscan_rows": over.spoilt_rows,
        "overscan_columns": strip.shape[1],
    }
    work.record("GSP_BLEV", over.typical, "bias level, ADU")
    work.record("GSP_RNOI", noise * info.gain, "read noise used, electrons")
    return Level(over.level - np.float32(held), over.uncertainty.reshape(ny), noise)


def _level_without_overscan(
    work: _Work, zero: Master | None, held: float, window: Window
) -> Level:
    """Return the level of a window that starts past the prescan."""
    info, ny = work.info, work.frame.window.ny
    noise = header_noise_adu(info.rdnoise, info.gain)
    if zero is not None:
        known = float(zero.frame.header.get("GSP_BLEV", 0.0))
        error = float(zero.frame.header.get("GSP_BLSD", 1.0))
        level = 0.0 if held else known
        measured = zero.frame.header.get("GSP_RNOI")
        if isinstance(measured, int | float):
            noise = trusted_noise_adu(float(measured) / info.gain, info.rdnoise, info.gain)
    else:
        rows, columns = window.slices_in(work.frame.window)
        darkest = darkest_part(work.frame.data[rows, columns])
        level = known = darkest.level
        error, noise = darkest.uncertainty, max(noise, darkest.noise)
        work.messages.append(
            f"{work.raw.name} has neither overscan nor master bias: its level of "
            f"{known:.0f} ADU is that of its darkest part."
        )
    work.quality |= {"bias_level_adu": known, "read_noise_e": noise * info.gain}
    work.record("GSP_BLEV", known, "bias level, ADU")
    work.record("GSP_RNOI", noise * info.gain, "read noise used, electrons")
    return Level(np.full(ny, level, np.float32), np.full(ny, error, np.float32), noise)


def _load_flat(work: _Work, flat: Path | None, window: Window) -> Master | None:
    if Step.FLAT not in work.steps:
        work.messages.append("The flats are ignored, as the settings say.")
        return None
    if flat is None:
        work.messages.append("No master flat: not flat-fielded, the slit not trimmed.")
        return None
    master = load_master(flat, work.info, window, Kind.FLAT)
    if master.frame.header.get("GSP_NORM", "none") == "none":
        pair = normalised_product(master.frame, work.info, work.settings)
        master = replace(master, frame=pair.normalised)
    header = master.frame.header
    work.record("GSP_FLAT", name_card(flat.name), "master flat")
    work.record("GSP_FSHA", master.sha256)
    work.record("GSP_NORM", header.get("GSP_NORM"), "normalisation of the flat")
    level = header.get("GSP_FLEV")
    work.quality["flat_level_adu"] = float(level) if level is not None else None
    work.letters.add(Step.FLAT)
    return master


def _slit_window(work: _Work, divisor: Master, window: Window) -> Window:
    """Return the part of the light that the slit spans, and record it."""
    edges = edges_of(divisor.frame.header)
    if edges.lower is None and edges.upper is None:
        work.messages.append("The flat shows no edge of the slit: the slit was not trimmed.")
        return window
    slit = window.sub(slice(None), edges.bounds(window))
    work.record("GSP_SLIT", section(slit, window), "slit trim section")
    put_edges(work.frame.header, edges)
    work.letters.add(Step.SLIT_TRIM)
    return slit


def _check_light(work: _Work, window: Window) -> None:
    """Count what is saturated or missing in the light; refuse a frame without anything else."""
    cut = work.frame.cut(window)
    flags = cut.flags
    saturated = float(np.mean((flags & np.uint8(Flag.SATURATED)) != 0))
    missing = float(np.mean((flags & np.uint8(Flag.NO_DATA)) != 0))
    work.quality |= {"saturated_percent": 100 * saturated, "missing_percent": 100 * missing}
    work.record("GSP_NSAT", 100 * saturated, "saturated pixels, per cent")
    if saturated > _ALL:
        raise BadFrameError(
            f"{work.raw.name} is saturated in {100 * saturated:.1f} per cent of its pixels.",
            remedy="Take it again with a shorter exposure.",
        )
    if not flags.any() and cut.data.min() == cut.data.max():
        raise BadFrameError(
            f"{work.raw.name}: all its pixels are {cut.data.flat[0]:g}; the detector was not "
            "read out.",
            remedy="Take it again, or copy it again from the archive.",
        )
    if missing > _ALL:
        raise BadFrameError(
            f"{work.raw.name} has no number in {100 * missing:.1f} per cent of its pixels.",
            remedy="Take it again, or copy it again from the archive.",
        )


def _clean(work: _Work, *, spectrum: bool) -> Cleaned | None:
    """Remove cosmic rays; return None where they are not looked for."""
    if Step.COSMIC not in work.steps:
        return None
    work.letters.add(Step.COSMIC)
    if work.kind is Kind.ARC:
        return None
    info = work.info
    method = choose_method(work.settings.cosmic_method, info.camera, info.window.xbin)
    cleaned = clean_cosmics(work.frame, method, camera=info.camera, spectrum=spectrum)
    work.frame = cleaned.frame
    pixels = int(cleaned.mask.sum())
    work.record("GSP_COSM", KEYWORD[method], "cosmic-ray rejection")
    work.record("GSP_NCR", cleaned.events, "cosmic rays found")
    work.record("GSP_CRPX", pixels, "pixels hit by cosmic rays")
    work.quality |= {
        "cosmic_rays": cleaned.events,
        "cosmic_pixels": pixels,
        "cosmic_method": method,
    }
    return cleaned


def _say(work: _Work) -> None:
    """Add numbers of the finished frame to its quality."""
    good = work.frame.flags == 0
    sample: NDArray[np.float32] = work.frame.uncertainty[good][::11]
    work.quality["noise_adu"] = float(np.median(sample)) if sample.size else None
    work.quality["flagged_percent"] = 100 * float(1 - good.mean())
    work.quality["exptime_s"] = work.info.exptime_s


def _save(
    work: _Work,
    cleaned: Cleaned | None,
    parents: list[Path],
    *,
    out_dir: Path,
    suffix: str,
) -> tuple[Product, ...]:
    """Write the mask and the frame: both or none."""
    name = reduced_name(work.raw.name, work.letters, suffix=suffix)
    path, mask_path = out_dir / name, out_dir / cosmic_mask_name(name)
    products = []
    if cleaned is not None:
        write_mask(mask_path, cleaned.mask, work.frame, parent=name)
    try:
        write_frame(path, work.frame, data_type=2)
    except BaseException:
        if cleaned is not None:
            mask_path.unlink(missing_ok=True)
        raise
    products.append(Product.of(path, data_type=2, parents=parents, quality=work.quality))
    if cleaned is not None:
        products.append(Product.of(mask_path, data_type=2, parents=[path], role="mask"))
    return tuple(products)
