"""The acquisition block: an image before a spectrum in, slit, target and offset out."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from goodman_live.pipeline.blocks.result import BlockResult, Product, QualityValue
from goodman_live.pipeline.core.acquisition import REACH_ARCSEC, locate
from goodman_live.pipeline.core.errors import BadFrameError, MissingCalibrationError
from goodman_live.pipeline.core.info import Technique
from goodman_live.pipeline.core.slitimage import PIXEL_ARCSEC, find_slit
from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.fits import read_frame, read_info, write_frame
from goodman_live.pipeline.products.names import acquisition_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from goodman_live.pipeline.core.acquisition import Acquisition
    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.core.slitimage import SlitImage
    from goodman_live.pipeline.settings import ReductionSettings

    Overlay = Mapping[str, str | float | int]

ROLE = "acquisition"
"""Role of the product."""
_USUAL_SLIT_ARCSEC = 1.0


def measure_acquisition(
    reduced: Path,
    *,
    out_dir: Path,
    settings: ReductionSettings,
    slit: Path | None = None,
    overlay: Overlay | None = None,
    suffix: str = "",
) -> BlockResult:
    """Tell where the slit and the target are in an acquisition image.

    Parameters
    ----------
    reduced : Path
        Product of the reduce block, a direct image, with or without the slit in the light.
    out_dir : Path
        Folder of the product.
    settings : ReductionSettings
        None of them matters here.
    slit : Path, optional
        A reduced direct image of the same camera with the slit in the light, for an image that
        does not show it.
    overlay : Mapping, optional
        Header values mended by hand.
    suffix : str
        Added to the name of the product to make a further version unique.

    Returns
    -------
    BlockResult
        The image about the slit, with role ``acquisition``; its numbers have the slit's place,
        the target's and the offset of one from the other.

    Raises
    ------
    BadFrameError
        If it is no direct image.
    MissingCalibrationError
        If neither image shows the slit.
    """
    del settings
    began = perf_counter()
    frame, info = read_frame(reduced), read_info(reduced, overlay=overlay)
    if info.technique is not Technique.IMAGING:
        raise BadFrameError(
            f"{reduced.name} is no direct image: it shows no slit.",
            remedy="Set its technique by reclassifying it, if it is one.",
            field="GSP_TECH",
        )
    remarks = []
    place = find_slit(frame, info.slit_arcsec)
    wide = info.slit_arcsec or _USUAL_SLIT_ARCSEC
    through = place is not None
    if place is None:
        if info.slit_arcsec is not None:
            remarks.append(
                f"The header names the slit {info.slit}, but the image does not show it."
            )
        place, wide = _slit_of(slit, reduced.name, wide)
    found = locate(frame, place, through=through, slit_arcsec=wide)
    numbers = _numbers(found)
    header = frame.header.copy()
    _note(header, numbers, reduced if through else slit)
    row = found.target.row if found.target is not None else place.row
    shown = _about(replace(frame, header=header), place, row)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / acquisition_name(reduced.name, suffix=suffix)
    write_frame(path, shown, data_type=2, parent=reduced.name)
    parents = (reduced,) if through or slit is None else (reduced, slit)
    product = Product.of(path, data_type=2, parents=parents, quality=numbers, role=ROLE)
    return BlockResult(
        block="measure_acquisition",
        products=(product,),
        messages=(*_messages(found), *remarks, *found.remarks),
        seconds=perf_counter() - began,
    )


def _slit_of(slit: Path | None, name: str, wide: float) -> tuple[SlitImage, float]:
    """Return the slit that another image shows, and its width."""
    found = None
    if slit is not None:
        info = read_info(slit)
        wide = info.slit_arcsec or wide
        found = find_slit(read_frame(slit), info.slit_arcsec)
    if found is None:
        raise MissingCalibrationError(
            f"{name} does not show the slit, and no other image of this camera and night does.",
            remedy="Take a direct image with the slit in the light.",
            field="slit",
        )
    return found, wide


def _about(frame: Frame, slit: SlitImage, row: float) -> Frame:
    """Return what a reader wants to see: the slit and what is beside it, about a row of it."""
    reach = 1.5 * REACH_ARCSEC / PIXEL_ARCSEC
    near = (
        abs(frame.window.rows_unbinned() - row) <= reach,
        abs(frame.window.columns_unbinned() - slit.at(row)) <= reach,
    )
    if not all(one.any() for one in near):
        return frame
    rows, columns = (slice(int(one.argmax()), int(one.argmax()) + int(one.sum())) for one in near)
    return frame.cut(frame.window.sub(columns, rows))


def _numbers(found: Acquisition) -> dict[str, QualityValue]:
    slit, target = found.slit, found.target
    numbers: dict[str, QualityValue] = {
        "slit_seen": found.through,
        "slit_column": slit.column,
        "slit_row": slit.row,
        "slit_lean": slit.lean,
        "slit_error_px": float(slit.error_px),
        "slit_width_arcsec": slit.fwhm_px * PIXEL_ARCSEC,
        "target_seen": target is not None,
        "others": len(found.others),
    }
    if target is not None:
        numbers |= {
            "target_column": target.column,
            "target_row": target.row,
            "offset_px": target.across_px,
            "offset_arcsec": target.across_px * PIXEL_ARCSEC,
            "offset_error_arcsec": target.error_px * PIXEL_ARCSEC,
            "along_px": target.along_px,
            "along_arcsec": target.along_px * PIXEL_ARCSEC,
            "target_fwhm_arcsec": target.fwhm_px * PIXEL_ARCSEC,
        }
    return numbers


def _note(header: Any, numbers: Mapping[str, QualityValue], slit: Path | None) -> None:
    for key, name, comment in (
        ("GSP_QSLX", "slit_column", "slit: unbinned column of its middle"),
        ("GSP_QSLY", "slit_row", "slit: unbinned row of its middle"),
        ("GSP_QSLL", "slit_lean", "slit: columns by row"),
        ("GSP_QSLW", "slit_width_arcsec", "slit: width seen, arcsec"),
        ("GSP_QTGX", "target_column", "target: unbinned column"),
        ("GSP_QTGY", "target_row", "target: unbinned row"),
        ("GSP_QOFF", "offset_arcsec", "target less slit across it, arcsec"),
        ("GSP_QERR", "offset_error_arcsec", "its error, arcsec"),
        ("GSP_QALO", "along_arcsec", "target less mid slit along it, arcsec"),
    ):
        if name in numbers:
            record.put(header, key, numbers[name], comment)
    if slit is not None:
        record.put(header, "GSP_QSRC", record.name_card(slit.name), "image that shows the slit")


def _messages(found: Acquisition) -> list[str]:
    if found.target is None:
        return []
    target = found.target
    across, error = target.across_px * PIXEL_ARCSEC, target.error_px * PIXEL_ARCSEC
    along = target.along_px * PIXEL_ARCSEC
    said = (
        f"The target is {across:+.2f} ± {error:.2f} arcsec ({target.across_px:+.1f} px) from the "
        f"middle of the slit towards higher columns, and {along:+.1f} arcsec "
        f"({target.along_px:+.0f} px) along it."
    )
    return [said]
