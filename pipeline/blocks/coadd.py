"""The block that stacks frames: reduced exposures of one field or slit in, one frame out."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.blocks.recording import put_inputs
from goodman_live.pipeline.blocks.result import BlockResult, Product, QualityValue
from goodman_live.pipeline.blocks.stack import ROLE
from goodman_live.pipeline.core.coadd import coadd
from goodman_live.pipeline.core.errors import MissingCalibrationError
from goodman_live.pipeline.core.info import Technique
from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.pipeline.products.fits import read_frame, read_info, write_frame
from goodman_live.pipeline.products.names import stack_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from goodman_live.pipeline.core.coadd import Coadd
    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.settings import ReductionSettings


def stack_frames(
    exposures: Sequence[Path],
    *,
    out_dir: Path,
    settings: ReductionSettings,
    overlay: Mapping[str, str | float | int] | None = None,
    suffix: str = "",
) -> BlockResult:
    """Combine reduced exposures of one field, or of one slit, in two dimensions.

    Parameters
    ----------
    exposures : sequence of Path
        Reduced frames of one window and binning, the newest first: its pixels and its level are
        those of the stack.
    out_dir : Path
        Folder of the product.
    settings : ReductionSettings
        None of them matters here.
    overlay : Mapping, optional
        Header values mended by hand; none matters here.
    suffix : str
        Added to the name of the product to make a further version unique.

    Returns
    -------
    BlockResult
        One frame of data type 2 with role ``stack``.

    Raises
    ------
    MissingCalibrationError
        If there are fewer than two exposures.
    BadFrameError
        If they cannot be combined.
    """
    del settings, overlay
    began = perf_counter()
    if len(exposures) < 2:
        raise MissingCalibrationError(
            f"{len(exposures)} exposure is no stack.",
            remedy="Take another exposure in the same set-up.",
            field="exposures",
        )
    spectra = read_info(exposures[0]).technique is Technique.SPECTROSCOPY
    frames = [read_frame(path) for path in exposures]
    done = coadd(frames, spectra=spectra)
    numbers = _numbers(frames, done)
    header = done.frame.header.copy()
    put_inputs(header, [(path.name, sha256_of(path)) for path in exposures])
    for key, name, comment in (
        ("GSP_SKTM", "exptime_total_s", "exposure time of all, s"),
        ("GSP_SKMV", "largest_shift_px", "largest shift, binned px"),
        ("GSP_SKRJ", "rejected_pixels", "pixels left out as outliers"),
    ):
        record.put(header, key, numbers[name], comment)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / stack_name(exposures[0].name, len(exposures), suffix=suffix)
    write_frame(path, replace(done.frame, header=header), data_type=2, parent=exposures[0].name)
    product = Product.of(path, data_type=2, parents=exposures, quality=numbers, role=ROLE)
    return BlockResult(
        block="stack_frames",
        products=(product,),
        messages=tuple(_messages(exposures, done, numbers)),
        seconds=perf_counter() - began,
    )


def _numbers(frames: Sequence[Frame], done: Coadd) -> dict[str, QualityValue]:
    used = [one for k, one in enumerate(frames) if k not in done.left_out]
    good = (done.frame.flags == 0) & (frames[0].flags == 0)
    ratio = frames[0].uncertainty[good] / done.frame.uncertainty[good]
    return {
        "exposures": len(used),
        "exptime_total_s": float(sum(float(one.header.get("EXPTIME") or 0) for one in used)),
        "largest_shift_px": max(max(abs(dx), abs(dy)) for dx, dy in done.shifts),
        "shifts_measured": done.measured,
        "least_weight": min(done.weights),
        "rejected_pixels": sum(done.rejected),
        "noise_gain": float(np.median(ratio)) if ratio.size else None,
    }


def _messages(
    exposures: Sequence[Path], done: Coadd, numbers: Mapping[str, QualityValue]
) -> list[str]:
    sentence = (
        f"{len(done.weights)} exposures, {numbers['exptime_total_s']:g} s in all; the noise is "
        f"{numbers['noise_gain'] or 1.0:.2f} times less than in the newest."
    )
    said = [sentence]
    if done.left_out:
        names = ", ".join(exposures[k].name for k in done.left_out)
        said.append(
            f"Left out, for too little in common with the newest tells the shift: {names}."
        )
    if not done.measured:
        said.append("Nothing is bright enough to tell shifts: none were applied.")
    return said
