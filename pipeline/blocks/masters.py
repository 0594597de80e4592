"""The blocks that build masters: ten raw frames in, one calibration out, bad frames named."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.blocks.calibration import load_master
from goodman_live.pipeline.blocks.flats import normalised_product, save_flat
from goodman_live.pipeline.blocks.members import Members, read_members
from goodman_live.pipeline.blocks.recording import put_members, put_settings
from goodman_live.pipeline.blocks.result import BlockResult, Product
from goodman_live.pipeline.core.bias import level_frames, make_master_bias
from goodman_live.pipeline.core.errors import MissingCalibrationError
from goodman_live.pipeline.core.flat import combine_flats, judge_lamp, measure_brightness
from goodman_live.pipeline.core.frame import Flag, Frame
from goodman_live.pipeline.core.info import Kind, Technique
from goodman_live.pipeline.core.instrument import light_window, overscan_columns, section
from goodman_live.pipeline.core.noise import trusted_noise_adu
from goodman_live.pipeline.core.outliers import (
    SHAPE_FLOOR,
    STRUCTURE_FLOOR_ADU,
    Verdict,
    judge_levels,
    judge_structure,
    keep_majority,
)
from goodman_live.pipeline.products.fits import write_frame
from goodman_live.pipeline.products.names import master_bias_name
from goodman_live.pipeline.products.record import name_card, put

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from goodman_live.pipeline.blocks.calibration import Master
    from goodman_live.pipeline.core.combine import Combined
    from goodman_live.pipeline.core.flat import Brightness
    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.settings import ReductionSettings

LEAST_FRAMES = 2
"""Frames without which nothing can be clipped; how many are waited for is a setting."""


def build_master_bias(
    raws: Sequence[Path],
    *,
    out_dir: Path,
    settings: ReductionSettings,
    overlay: Mapping[str, Any] | None = None,
    suffix: str = "",
) -> BlockResult:
    """Build the master bias of a set of raw frames.

    Parameters
    ----------
    raws : sequence of Path
        Raw bias frames of one set-up.
    out_dir : Path
        Where the product goes.
    settings : ReductionSettings
        Recorded; a number of frames below its minimum is said.
    overlay : mapping, optional
        Header values that stand in for those of the files; by file name where the value is
        itself a mapping.
    suffix : str
        What makes a further version's name unique.

    Returns
    -------
    BlockResult
        One master; frames that were left out are in `rejected` with the reason.

    Raises
    ------
    MissingCalibrationError
        If fewer than two frames are fit.
    """
    started = time.perf_counter()
    members = read_members(raws, Kind.BIAS, overlay=overlay)
    members.need(LEAST_FRAMES, "master bias")
    info = members.kept[0].info
    with_overscan = overscan_columns(info.camera, info.window) is not None
    _leave_out(members, judge_levels(np.array([member.level for member in members.kept])))
    layers = [member.layer for member in members.kept]
    thumbs = [member.thumb for member in members.kept]
    if not with_overscan:
        own = [member.level for member in members.kept]
        layers = level_frames(layers, own)
        thumbs = [thumb - np.float32(level) for thumb, level in zip(thumbs, own, strict=True)]
    wild = _leave_out(members, judge_structure(thumbs, STRUCTURE_FLOOR_ADU))
    layers = [layer for i, layer in enumerate(layers) if i not in wild]
    members.need(LEAST_FRAMES, "master bias")
    info = members.kept[0].info
    noise = trusted_noise_adu(members.read_noise(), info.rdnoise, info.gain)
    errors = [member.level_error for member in members.kept]
    master = make_master_bias(layers, errors, rdnoise_adu=noise)

    levels = np.array([member.level for member in members.kept])
    header = members.kept[0].header.copy()
    _record_overscan(header, info)
    put(header, "GSP_BLEV", float(np.median(levels)), "bias level, ADU")
    put(header, "GSP_BLSD", float(levels.std(ddof=1)), "scatter of the level, ADU")
    put(header, "GSP_RNOI", master.rdnoise_adu * info.gain, "read noise measured, electrons")
    _record_inputs(header, members, settings)
    frame = Frame(master.data, master.uncertainty, master.flags, header, info.window)
    path = out_dir / master_bias_name(info, suffix=suffix)
    write_frame(path, frame, data_type=1, parent="combined")
    bad = master.flags != 0
    quality = {
        "frames": len(members.kept),
        "rejected": len(members.rejected),
        "bias_level_adu": float(np.median(levels)),
        "bias_level_scatter_adu": float(levels.std(ddof=1)),
        "read_noise_e": master.rdnoise_adu * info.gain,
        "noise_adu": float(np.median(master.uncertainty)),
        "bad_pixels": int(bad.sum()),
        "bad_columns": int((bad.mean(axis=0) > 0.5).sum()),
        "overscan": with_overscan,
    }
    product = Product.of(
        path, data_type=1, parents=[member.path for member in members.kept], quality=quality
    )
    return _result("build_master_bias", (product,), members, settings.minimum_bias, started)


def build_master_flat(
    raws: Sequence[Path],
    *,
    bias: Path | None,
    out_dir: Path,
    settings: ReductionSettings,
    overlay: Mapping[str, Any] | None = None,
    suffix: str = "",
) -> BlockResult:
    """Build the master flat of a set of raw frames, and its normalised form.

    Parameters
    ----------
    raws : sequence of Path
        Raw flats of one set-up.
    bias : Path or None
        Master bias; without it (or with ``ignore_bias``) the overscan alone serves.
    out_dir, settings, overlay, suffix
        As in `build_master_bias`.

    Returns
    -------
    BlockResult
        The normalised master (what `reduce` divides by) and the master in counts (role
        ``counts``); frames that were left out are in `rejected` with the reason.

    Raises
    ------
    MissingCalibrationError
        If fewer than two frames are fit, or neither overscan nor bias gives the zero level.
    """
    started = time.perf_counter()
    members = read_members(raws, Kind.FLAT, overlay=overlay)
    members.need(LEAST_FRAMES, "master flat")
    _leave_out_saturated(members, settings.saturation_threshold)
    members.need(LEAST_FRAMES, "master flat")
    info = members.kept[0].info
    master = None
    if bias is not None and not settings.ignore_bias:
        master = load_master(bias, info, info.window, Kind.BIAS)
    elif overscan_columns(info.camera, info.window) is None:
        raise MissingCalibrationError(
            f"The flats ({info.roi}) have no overscan, so their zero level needs a master bias.",
            remedy="Take bias frames with this window, or do not ignore the bias.",
        )
    combined = _combine_flats(members, master)
    info = members.kept[0].info
    window = light_window(info.window, spectrum=info.technique is not Technique.IMAGING)
    header = members.kept[0].header.copy()
    _record_overscan(header, info)
    put(header, "GSP_TRIM", section(window, info.window), "trim section")
    put(header, "GSP_BIAS", name_card(master.path.name) if master else "none", "master bias")
    if master:
        put(header, "GSP_BSHA", master.sha256)
    _record_inputs(header, members, settings)
    flags = np.where(np.isfinite(combined.data), 0, int(Flag.SATURATED)).astype(np.uint8)
    data = np.where(flags == 0, combined.data, np.float32(0))
    error = np.where(flags == 0, combined.uncertainty, np.float32(0))
    if master:
        error = np.hypot(error, master.frame.uncertainty)
        flags |= master.frame.flags
    whole = Frame(data, error.astype(np.float32), flags, header, info.window)
    parents = [*(member.path for member in members.kept), *([master.path] if master else [])]
    normalised = normalised_product(whole.cut(window), info, settings)
    products = save_flat(
        normalised, info, settings, out_dir=out_dir, parents=parents, suffix=suffix,
        quality={
            "frames": len(members.kept),
            "rejected": len(members.rejected),
            "saturated_percent": float(max(member.saturated for member in members.kept)),
            "bias": master is not None,
        },
    )  # fmt: skip
    return _result("build_master_flat", products, members, settings.minimum_flats, started)


def _combine_flats(members: Members, master: Master | None) -> Combined:
    pattern = master.frame.data if master else None
    bright = _brightness(members, pattern)
    usual = np.median(bright.level)
    dark = [
        Verdict(i, reason)
        for i, level in enumerate(bright.level)
        if (reason := judge_lamp(float(level), float(usual)))
    ]
    _leave_out(members, dark, all_if_needed=True)
    members.need(LEAST_FRAMES, "master flat")
    layers = [member.layer for member in members.kept]
    bright = _brightness(members, pattern)
    relative = [
        blocks / ratio / np.nanmedian(bright.blocks[0] / bright.ratio[0])
        for blocks, ratio in zip(bright.blocks, bright.ratio, strict=True)
    ]
    wild = _leave_out(members, judge_structure(relative, SHAPE_FLOOR, unit="of the lamp"))
    keep = [i for i in range(len(layers)) if i not in wild]
    members.need(LEAST_FRAMES, "master flat")
    info = members.kept[0].info
    return combine_flats(
        [layers[i] for i in keep],
        bright.ratio[keep],
        bias=pattern,
        gain=info.gain,
        rdnoise_adu=trusted_noise_adu(members.read_noise(), info.rdnoise, info.gain),
    )


def _brightness(members: Members, pattern: NDArray[np.float32] | None) -> Brightness:
    ceiling = min(member.layer.ceiling for member in members.kept)
    return measure_brightness([member.thumb for member in members.kept], ceiling, pattern)


def _leave_out_saturated(members: Members, threshold: float) -> None:
    for member in list(members.kept):
        if member.saturated > threshold or member.saturated >= 99.0:
            ceiling = member.layer.ceiling
            members.reject(
                member,
                f"{member.saturated:.2f} per cent of its pixels are saturated (at or above "
                f"{ceiling:.0f} ADU), the setting allows {threshold:g}",
            )


def _leave_out(
    members: Members, verdicts: Sequence[Verdict], *, all_if_needed: bool = False
) -> set[int]:
    """Reject frames by verdict; unless it is of each alone, never half of the set or more."""
    if not all_if_needed:
        verdicts = keep_majority(len(members.kept), verdicts)
    kept = list(members.kept)
    reasons: dict[int, str] = {}
    for verdict in verdicts:
        reasons.setdefault(verdict.index, verdict.reason)
    for index, reason in reasons.items():
        members.reject(kept[index], reason)
    return set(reasons)


def _record_overscan(header: Header, info: FrameInfo) -> None:
    columns = overscan_columns(info.camera, info.window)
    if columns is not None:
        over = info.window.sub(columns, slice(None))
        put(header, "GSP_OVER", section(over, info.window), "overscan section")


def _record_inputs(header: Header, members: Members, settings: ReductionSettings) -> None:
    kind = members.kept[0].info.kind.value.upper()
    inputs = [(member.path.name, member.sha256) for member in members.kept]
    put_members(header, kind, inputs, members.rejected)
    put_settings(header, settings)


def _result(
    block: str,
    products: tuple[Product, ...],
    members: Members,
    minimum: int,
    started: float,
) -> BlockResult:
    messages = list(members.rejected.values())
    if len(members.kept) < minimum:
        messages.append(
            f"Made of {len(members.kept)} frames; the settings ask for {minimum} or more."
        )
    return BlockResult(
        block, products, tuple(messages), time.perf_counter() - started, dict(members.rejected)
    )
