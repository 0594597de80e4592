"""A master flat in counts made into the flat that frames are divided by, and both saved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.blocks.recording import put_edges
from goodman_live.pipeline.blocks.result import Product
from goodman_live.pipeline.core.badpix import bad_in_flat
from goodman_live.pipeline.core.errors import MissingCalibrationError
from goodman_live.pipeline.core.flatnorm import LEAST_SNR, normalise
from goodman_live.pipeline.core.frame import Flag, Frame
from goodman_live.pipeline.core.info import Technique
from goodman_live.pipeline.core.instrument import section
from goodman_live.pipeline.core.scattered import measure_scattered
from goodman_live.pipeline.core.slit import SlitEdges, trace_edges
from goodman_live.pipeline.core.smooth import along_columns
from goodman_live.pipeline.products.fits import write_frame
from goodman_live.pipeline.products.names import master_flat_name, normalised_name
from goodman_live.pipeline.products.record import put
from goodman_live.pipeline.settings import ReductionSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.info import FrameInfo

_MOST_SCATTERED = 0.2
"""Scattered light over the bright level beyond which the rows beyond the slit are not dark."""
_FIELD_SHARE = 0.2
"""Light, over the bright level, that marks the field of a direct image."""


@dataclass(frozen=True, slots=True, eq=False)
class FlatPair:
    """A master flat in counts and normalised."""

    counts: Frame
    normalised: Frame
    edges: SlitEdges | None
    """Traced edges of the slit; None for images."""
    level: float
    """Bright level of the lamp, ADU."""
    scattered: float | None = None
    """Light that was taken off for not having come through the slit, ADU; None where no dark
    rows show any."""


def normalised_product(counts: Frame, info: FrameInfo, settings: ReductionSettings) -> FlatPair:
    """Normalise a master flat, flag what it cannot tell, and trace the slit.

    Scattered light is taken off first; the master in counts keeps it.

    Parameters
    ----------
    counts : Frame
        Master flat in counts, cut to the light.
    info : FrameInfo
        One of its frames.
    settings : ReductionSettings
        Normalisation and its order.

    Raises
    ------
    MissingCalibrationError
        If no pixel has signal.
    """
    imaging = info.technique is Technique.IMAGING
    valid = np.isfinite(counts.data) & ((counts.flags & np.uint8(Flag.SATURATED)) == 0)
    values = np.where(valid, counts.data, np.float32(np.nan))
    edges = None if imaging else trace_edges(values, counts.uncertainty, counts.window)
    lit = _field(values) if edges is None else edges.lit(counts.window)
    level = float(np.nanpercentile(np.where(lit, values, np.nan), 90)) if lit.any() else 0.0
    uncertainty = counts.uncertainty
    scattered = None if edges is None else measure_scattered(values, edges, counts.window)
    if scattered is not None and abs(scattered.typical) < _MOST_SCATTERED * level:
        values = values - scattered.surface
        uncertainty = np.hypot(uncertainty, np.float32(scattered.uncertainty))
    else:
        scattered = None
    method = "mean" if imaging else settings.flat_normalisation
    try:
        result = normalise(
            values, uncertainty, lit, method=method, order=settings.flat_order,
            xbin=counts.window.xbin,
        )  # fmt: skip
    except ValueError as error:
        raise MissingCalibrationError(
            f"The flats of {info.file_name} cannot be normalised: {error}.",
            remedy="Take flats with the lamp on.",
        ) from error
    with np.errstate(invalid="ignore", divide="ignore"):
        response = values / result.lamp
    # where even the neighbours have no signal, a pixel without any says nothing
    fair = lit & (result.lamp >= LEAST_SNR * _typical(uncertainty, result.low))
    fair &= along_columns(result.low.astype(np.float32)) < 0.5
    bad = bad_in_flat(np.nan_to_num(response), fair)
    flags = counts.flags & np.uint8(Flag.BAD | Flag.NO_DATA)
    flags = np.where(bad, flags | np.uint8(Flag.BAD), flags)
    flags = np.where(result.low, flags | np.uint8(Flag.LOW_FLAT), flags)
    flags = np.where(lit, flags, flags | np.uint8(Flag.UNEXPOSED)).astype(np.uint8)
    header = counts.header.copy()
    if edges is not None:
        put_edges(header, edges)
        rows = counts.window.sub(slice(None), edges.bounds(counts.window))
        put(header, "GSP_SLIT", section(rows, counts.window), "slit trim section")
    counts = replace(counts, header=header.copy())
    put(header, "GSP_NORM", method, "normalisation of the flat")
    put(header, "GSP_NORD", result.order, "order of the fit to the lamp")
    put(header, "GSP_FLEV", level, "bright level of the flat, ADU")
    taken = scattered.typical if scattered else None
    put(header, "GSP_SCAT", "none" if taken is None else taken, "scattered light taken off, ADU")
    normalised = Frame(result.data, result.uncertainty, flags, header, counts.window)
    return FlatPair(counts, normalised, edges, level, taken)


def save_flat(
    pair: FlatPair,
    info: FrameInfo,
    settings: ReductionSettings,
    *,
    out_dir: Path,
    parents: Sequence[Path],
    suffix: str,
    quality: Mapping[str, Any],
) -> tuple[Product, Product]:
    """Write both forms of a master flat; both or none."""
    name = master_flat_name(info, settings=settings_text(settings, quality), suffix=suffix)
    counts_path, path = out_dir / name, out_dir / normalised_name(name)
    write_frame(counts_path, pair.counts, data_type=1, parent="combined")
    try:
        write_frame(path, pair.normalised, data_type=1, parent=name)
    except BaseException:
        counts_path.unlink(missing_ok=True)
        raise
    flags = pair.normalised.flags
    lit = (flags & np.uint8(Flag.UNEXPOSED)) == 0
    numbers = {
        **quality,
        "flat_level_adu": pair.level,
        "scattered_adu": pair.scattered,
        "low_signal_percent": _percent(flags, Flag.LOW_FLAT, lit),
        "bad_pixels": int(((flags & np.uint8(Flag.BAD)) != 0).sum()),
        "response_scatter": float(np.std(pair.normalised.data[lit & (flags == 0)])),
        "slit_edge_rms_px": pair.edges.scatter if pair.edges else None,
        "slit_edges": sum(e is not None for e in (pair.edges.lower, pair.edges.upper))
        if pair.edges
        else None,
    }
    return (
        Product.of(path, data_type=1, parents=[counts_path, *parents], quality=numbers),
        Product.of(counts_path, data_type=1, parents=parents, quality=numbers, role="counts"),
    )


def settings_text(settings: ReductionSettings, quality: Mapping[str, Any]) -> str:
    """Return the settings that shape a flat as text; empty for the defaults."""
    default = ReductionSettings()
    names = ("saturation_threshold", "flat_normalisation", "flat_order")
    changed = [
        f"{name}={getattr(settings, name)}"
        for name in names
        if getattr(settings, name) != getattr(default, name)
    ]
    if not quality.get("bias", True):
        changed.append("no bias")
    return ",".join(changed)


def _field(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the lit field of a direct image."""
    bright = float(np.nanpercentile(values, 75))
    return np.asarray(np.nan_to_num(values) > _FIELD_SHARE * bright)


def _typical(uncertainty: NDArray[np.float32], low: NDArray[np.bool_]) -> float:
    """Return the noise of the faintest usable pixels, ADU."""
    chosen = uncertainty[low] if low.any() else uncertainty
    return float(np.median(chosen))


def _percent(flags: NDArray[np.uint8], flag: Flag, lit: NDArray[np.bool_]) -> float:
    number = int(((flags & np.uint8(flag)) != 0)[lit].sum())
    return 100 * number / max(int(lit.sum()), 1)
