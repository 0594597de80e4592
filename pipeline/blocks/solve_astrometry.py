"""The astrometry block: a reduced image in, celestial coordinates and magnitudes out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from goodman_live.pipeline.blocks.result import BlockResult, Product, QualityValue
from goodman_live.pipeline.core.astrometry import PIXEL_ARCSEC, solve
from goodman_live.pipeline.core.errors import (
    BadFrameError,
    GoodmanError,
    MissingCalibrationError,
    UntrustedSolutionError,
)
from goodman_live.pipeline.core.info import Technique
from goodman_live.pipeline.core.photometry import Photometry, measure
from goodman_live.pipeline.core.sources import find_sources
from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.fits import read_frame, read_info, write_frame
from goodman_live.pipeline.products.names import solved_name, with_suffix
from goodman_live.pipeline.products.photometry import write_photometry, write_photometry_text
from goodman_live.pipeline.products.starcat import read_field
from goodman_live.pipeline.products.starservice import fetch_field
from goodman_live.pipeline.settings import STAR_CATALOGUE, STAR_SERVICE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astropy.io.fits import Header

    from goodman_live.pipeline.core.astrometry import Solution, StarList
    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.core.sources import Sources
    from goodman_live.pipeline.settings import ReductionSettings

    Overlay = Mapping[str, str | float | int]

_FIELD_RADIUS_DEG = 0.12
"""Half the diagonal of the field and two arcmin, for a pointing that is wrong by as much."""
_REACH = f"{60 * _FIELD_RADIUS_DEG:.0f} arcmin"
_FEWEST_STARS = 5
"""Fewer catalogue stars than these cannot be matched to anything."""


def solve_astrometry(
    reduced: Path,
    *,
    out_dir: Path,
    settings: ReductionSettings,
    catalogue: Path | None = None,
    overlay: Overlay | None = None,
    suffix: str = "",
) -> BlockResult:
    """Give a reduced image its celestial coordinates, and its stars their magnitudes.

    Parameters
    ----------
    reduced : Path
        Product of the reduce block, a direct image.
    out_dir : Path
        Folder of the products.
    settings : ReductionSettings
        None of them matters here.
    catalogue : Path, optional
        Index made by `build_catalogue`; by default that which ``GOODMAN_STARS`` names. Where it
        has no stars, the service of ``GOODMAN_STARS_URL`` is asked, if there is one.
    overlay : Mapping, optional
        Header values that the catalogue of frames has mended by hand.
    suffix : str
        Added to the names of products to make a further version unique.

    Returns
    -------
    BlockResult
        The image with a WCS (data type 2) and a table of its stars, as FITS with role
        ``photometry`` and as ECSV with role ``photometry text``.

    Raises
    ------
    MissingCalibrationError
        If there is no star catalogue.
    BadFrameError
        If it is no direct image or its pointing is not known.
    UntrustedSolutionError
        If the stars do not match, or the catalogue does not cover the field.
    """
    del settings
    began = perf_counter()
    frame, info = read_frame(reduced), read_info(reduced, overlay=overlay)
    pointing = _pointing(reduced, info)
    stars, origin = _stars(catalogue, pointing)
    sources = find_sources(frame)
    solution = solve(
        sources,
        stars,
        shape=(frame.data.shape[0], frame.data.shape[1]),
        binning=(frame.window.xbin, frame.window.ybin),
        pointing=pointing,
        when=info.mid,
    )
    magnitudes = measure(
        frame,
        sources,
        solution=solution,
        stars=stars,
        filter_name=info.filter if info.filter != "NO_FILTER" else info.filter2,
        exptime_s=info.exptime_s,
        gain=info.gain,
        pixel_arcsec2=PIXEL_ARCSEC**2 * frame.window.xbin * frame.window.ybin,
    )
    numbers = _numbers(solution, sources, magnitudes, frame)
    header = _header(frame.header, solution, magnitudes, origin, pointing, info)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / solved_name(reduced.name, suffix=suffix)
    write_frame(path, replace(frame, header=header), data_type=2, parent=reduced.name)
    table = path.with_name(with_suffix(path.name, "stars"))
    write_photometry(table, sources, magnitudes, solution, header)
    text = table.with_suffix(".ecsv")
    write_photometry_text(text, table)
    return BlockResult(
        block="solve_astrometry",
        products=(
            Product.of(path, data_type=2, parents=(reduced,), quality=numbers),
            Product.of(
                table, data_type=2, parents=(path, reduced), quality=numbers, role="photometry"
            ),
            Product.of(
                text, data_type=2, parents=(path, reduced), quality=numbers, role="photometry text"
            ),
        ),
        messages=tuple(_messages(solution, magnitudes, pointing)),
        seconds=perf_counter() - began,
    )


def _stars(given: Path | None, pointing: tuple[float, float]) -> tuple[StarList, str]:
    """Return the stars about a pointing and where they are from.

    The local index comes first; a service is asked where it has no stars, if one is named.
    """
    named, address = given or os.environ.get(STAR_CATALOGUE), os.environ.get(STAR_SERVICE)
    if not named and not address:
        raise MissingCalibrationError(
            "No star catalogue is configured.",
            remedy=f"Make one with `goodman-live stars` and name it in {STAR_CATALOGUE}.",
            field="catalogue",
        )
    why = ""
    if named:
        stars = read_field(Path(named), *pointing, _FIELD_RADIUS_DEG)
        if len(stars) >= _FEWEST_STARS:
            return stars, Path(named).name
        why = f"{Path(named).name} has {len(stars)} stars within {_REACH} of the pointing. "
    if address:
        host = urlsplit(address).hostname or ""
        try:
            stars = fetch_field(address, *pointing, _FIELD_RADIUS_DEG)
        except GoodmanError as error:
            why += str(error)
        else:
            if len(stars) >= _FEWEST_STARS:
                return stars, host
            why += f"{host} has {len(stars)}."
    raise UntrustedSolutionError(
        f"The star catalogue does not cover this field: {why.strip()}",
        remedy="Check OBSRA and OBSDEC, or index a table of stars about the field.",
    )


def _pointing(path: Path, info: FrameInfo) -> tuple[float, float]:
    if info.technique is not Technique.IMAGING:
        raise BadFrameError(
            f"{path.name} is no direct image: there are no stars to match.",
            remedy="Set its technique by reclassifying it, if it is one.",
            field="GSP_TECH",
        )
    if info.ra_deg is None or info.dec_deg is None:
        raise BadFrameError(
            f"The pointing of {path.name} is not known.",
            remedy="Mend OBSRA and OBSDEC.",
            field="OBSRA",
        )
    return info.ra_deg, info.dec_deg


def _messages(
    solution: Solution, magnitudes: Photometry, pointing: tuple[float, float]
) -> list[str]:
    turned = f"{solution.angle_deg:.2f} deg{', mirrored' if solution.mirrored else ''}"
    matched = f"{len(solution.star)} stars match to {solution.rms_arcsec:.3f} arcsec"
    scale = f"the scale is {solution.scale_arcsec:.4f} arcsec per pixel"
    said = [f"{matched}; {scale}, rows point to position angle {turned}."]
    away = _offset(solution, pointing)
    if away > 10:
        said.append(f"The telescope pointed {away:.0f} arcsec from where its header says.")
    if magnitudes.zero_point is None:
        said.append("Too few catalogue stars for a zero point: magnitudes are instrumental.")
    elif magnitudes.system == "G":
        said.append("There is no relation for this filter: magnitudes are tied to Gaia G.")
    return said


def _offset(solution: Solution, pointing: tuple[float, float]) -> float:
    across = (solution.crval[0] - pointing[0] + 180) % 360 - 180
    across *= np.cos(np.radians(pointing[1]))
    return float(np.hypot(across, solution.crval[1] - pointing[1]) * 3600)


def _numbers(
    solution: Solution, sources: Sources, magnitudes: Photometry, frame: Frame
) -> dict[str, QualityValue]:
    seeing = magnitudes.fwhm_px * PIXEL_ARCSEC * np.sqrt(frame.window.xbin * frame.window.ybin)
    return {
        "rms_arcsec": solution.rms_arcsec,
        "zero_error_arcsec": solution.zero_error_arcsec,
        "stars_matched": len(solution.star),
        "sources": len(sources),
        "scale_arcsec": solution.scale_arcsec,
        "angle_deg": solution.angle_deg,
        "mirrored": solution.mirrored,
        "distortion_order": solution.order,
        "seeing_arcsec": float(seeing),
        "zero_point_mag": magnitudes.zero_point,
        "zero_point_error_mag": magnitudes.zero_error,
        "zero_point_stars": magnitudes.zero_stars,
        "colour_term": magnitudes.colour_term,
        "limit_mag": magnitudes.limit,
        "sky_mag_arcsec2": magnitudes.sky,
        "magnitude_system": magnitudes.system,
    }


def _header(
    header: Header,
    solution: Solution,
    magnitudes: Photometry,
    catalogue: str,
    pointing: tuple[float, float],
    info: FrameInfo,
) -> Header:
    out = header.copy()
    sip = "-SIP" if solution.order > 1 else ""
    cards: list[tuple[str, Any, str]] = [
        ("WCSAXES", 2, ""),
        ("CTYPE1", f"RA---TAN{sip}", ""),
        ("CTYPE2", f"DEC--TAN{sip}", ""),
        ("CUNIT1", "deg", ""),
        ("CUNIT2", "deg", ""),
        ("RADESYS", "ICRS", ""),
        ("CRVAL1", solution.crval[0], "deg"),
        ("CRVAL2", solution.crval[1], "deg"),
        ("CRPIX1", solution.crpix[0], "1-based"),
        ("CRPIX2", solution.crpix[1], "1-based"),
        ("CD1_1", solution.cd[0, 0], "deg/px"),
        ("CD1_2", solution.cd[0, 1], "deg/px"),
        ("CD2_1", solution.cd[1, 0], "deg/px"),
        ("CD2_2", solution.cd[1, 1], "deg/px"),
    ]
    if sip:
        cards += [("A_ORDER", solution.order, ""), ("B_ORDER", solution.order, "")]
        for letter, terms in (("A", solution.sip_a), ("B", solution.sip_b)):
            cards += [
                (f"{letter}_{p}_{q}", float(value), "")
                for (p, q), value in np.ndenumerate(terms)
                if value
            ]
    cards += [
        ("GSP_ACAT", catalogue[-60:], "star catalogue"),
        ("GSP_ARMS", solution.rms_arcsec, "rms of matched stars, arcsec"),
        ("GSP_ANST", len(solution.star), "stars matched"),
        ("GSP_AEPO", info.mid.date().isoformat(), "stars moved to this date"),
        ("GSP_AOFF", _offset(solution, pointing), "solved less header pointing, arcsec"),
        ("GSP_PSYS", magnitudes.system, "system of the magnitudes"),
        ("GSP_PZPT", magnitudes.zero_point, "magnitude of 1 e/s"),
        ("GSP_PZER", magnitudes.zero_error, "its error, mag"),
        ("GSP_PLIM", magnitudes.limit, "5 sigma point source, mag"),
        ("GSP_PSKY", magnitudes.sky, "sky, mag/arcsec2"),
        ("GSP_PFWH", magnitudes.fwhm_px, "FWHM of stars, px"),
    ]
    for key, value, comment in cards:
        record.put(out, key, value, comment)
    return out
