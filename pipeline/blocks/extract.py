"""The extract block: a reduced spectrum in, one extracted spectrum per target out."""

from __future__ import annotations

import json
from time import perf_counter
from typing import TYPE_CHECKING

from goodman_live.pipeline.blocks.progress import step
from goodman_live.pipeline.blocks.result import BlockResult, Product
from goodman_live.pipeline.core.diagnostics import diagnostics as drawable
from goodman_live.pipeline.core.errors import BadFrameError, GoodmanError, NoTargetError
from goodman_live.pipeline.core.extract import extract_targets
from goodman_live.pipeline.core.trace import trace_of
from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.atomic import whole_file
from goodman_live.pipeline.products.fits import read_frame, read_spectrum, write_spectrum
from goodman_live.pipeline.products.names import extracted_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from goodman_live.pipeline.core.aperture import Aperture
    from goodman_live.pipeline.core.assemble import Extracted
    from goodman_live.pipeline.core.extract import Extraction
    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.settings import ReductionSettings


def extract(
    reduced: Path,
    *,
    out_dir: Path,
    settings: ReductionSettings,
    apertures: Sequence[Aperture] | None = None,
    overlay: Mapping[str, str | float | int] | None = None,
    suffix: str = "",
    lend: Path | None = None,
    diagnostics: bool = False,
) -> BlockResult:
    """Find the targets of a reduced spectrum, trace and extract them.

    Parameters
    ----------
    reduced : Path
        A reduced 2-D spectrum.
    out_dir : Path
        Folder of the products; it is made if it is missing.
    settings : ReductionSettings
        ``extraction``, ``target_model`` and ``max_targets`` matter here.
    apertures : sequence of Aperture, optional
        Apertures placed by hand, which replace the search for targets.
    overlay : Mapping, optional
        Header values that the catalogue has mended by hand.
    suffix : str
        Added to the names of products to make a further version unique.
    lend : Path, optional
        An extracted spectrum whose trace faint targets may borrow, such as a standard's.
    diagnostics : bool
        Also write ``<name>_extract.json`` with the fits, for pages to draw, and the same as
        pictures: ``<name>_profile.png``, ``<name>_trace.png`` and ``<name>_sky.png``.

    Returns
    -------
    BlockResult
        One product of data type 3 per target, brightest first or in the order of `apertures`.

    Raises
    ------
    NoTargetError
        If nothing stands above the noise; one may be placed by hand.
    BadFrameError
        If the file is not a reduced spectrum.
    """
    began = perf_counter()
    frame = read_frame(reduced)
    for key, value in (overlay or {}).items():
        record.put(frame.header, key, value)
    _must_be_spectrum(reduced, frame)
    step(0.2, "Targets are looked for, traced and extracted.")
    try:
        extraction = extract_targets(
            frame,
            method=settings.extraction,
            shape=settings.target_model,
            max_targets=settings.max_targets,
            apertures=apertures,
            lend=trace_of(read_spectrum(lend)) if lend is not None else None,
        )
    except NoTargetError as error:
        raise _named(error, reduced) from error
    out_dir.mkdir(parents=True, exist_ok=True)
    parents = (reduced,) if lend is None else (reduced, lend)
    several = len(extraction.targets) > 1
    step(0.8, f"Spectra are written: {len(extraction.targets)}.")
    products = [
        _write(target, reduced, out_dir, number if several else None, suffix, parents)
        for number, target in enumerate(extraction.targets, 1)
    ]
    if diagnostics:
        products += _write_diagnostics(extraction, [p.path for p in products])
    return BlockResult(
        block="extract",
        products=tuple(products),
        messages=_messages(extraction, settings, apertures),
        seconds=perf_counter() - began,
    )


def _must_be_spectrum(path: Path, frame: Frame) -> None:
    technique = str(frame.header.get("GSP_TECH", "Spectroscopy")).strip()
    if technique == "Imaging":
        raise BadFrameError(
            f"{path.name} is a direct image (GSP_TECH is Imaging): there is no spectrum in it.",
            remedy="If it is a spectrum, set its technique by reclassifying it.",
            field="GSP_TECH",
        )


def _named(error: GoodmanError, path: Path) -> NoTargetError:
    return NoTargetError(f"{path.name}: {error.message}", remedy=error.remedy, field=error.field)


def _write(
    target: Extracted,
    reduced: Path,
    out_dir: Path,
    number: int | None,
    suffix: str,
    parents: tuple[Path, ...],
) -> Product:
    path = out_dir / extracted_name(reduced.name, target=number, suffix=suffix)
    write_spectrum(path, target.spectrum, data_type=3, parent=reduced.name)
    return Product.of(path, data_type=3, parents=parents, quality=target.quality)


def _write_diagnostics(extraction: Extraction, spectra: Sequence[Path]) -> list[Product]:
    """Write the fits as data and as pictures beside the spectra that came of them."""
    from goodman_live.pipeline.draw.extraction import (  # noqa: PLC0415 (only drawing needs Pillow)
        profile_png,
        sky_png,
        trace_png,
    )

    data = drawable(extraction)
    first = spectra[0]
    out = [
        _beside(first, "extract.json", json.dumps(data, allow_nan=False).encode(), "diagnostics"),
        _beside(first, "profile.png", profile_png(data), "profile"),
    ]
    for number, path in enumerate(spectra):
        out.append(_beside(path, "trace.png", trace_png(data, number), "trace"))
        out.append(_beside(path, "sky.png", sky_png(data, number), "sky"))
    return out


def _beside(spectrum: Path, ending: str, content: bytes, role: str) -> Product:
    path = spectrum.with_name(f"{spectrum.stem}_{ending}")
    with whole_file(path) as stream:
        stream.write(content)
    return Product.of(path, data_type=3, parents=(spectrum,), role=role)


def _messages(
    extraction: Extraction,
    settings: ReductionSettings,
    apertures: Sequence[Aperture] | None,
) -> tuple[str, ...]:
    """Say what the reader should know of the targets."""
    messages = []
    for number, target in enumerate(extraction.targets, 1):
        messages += [f"Target {number}: {note}" for note in target.notes]
        saturated = target.quality["saturated_columns"]
        if saturated:
            messages.append(f"Target {number} is saturated in {saturated} columns.")
        if target.trace.borrowed:
            messages.append(f"Target {number} is too faint to trace: its trace is borrowed.")
    if extraction.neighbours and not apertures:
        messages.append(
            f"{extraction.neighbours} more source(s) stand above the noise than the "
            f"{settings.max_targets} that the settings allow."
        )
    return tuple(messages)
