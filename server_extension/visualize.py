"""``/api/files/visualize/``: a picture of any image or spectrum, or the data to plot it.

A picture depends on the file's bytes, the choices and the words in its title, and on nothing
else: its ETag is a hash of these, and it is drawn once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from goodman_live import __version__
from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.frame import Frame as FrameData
from goodman_live.pipeline.products.fits import read_frame, read_mask, read_raw, read_spectrum
from goodman_live.pipeline.products.focus import read_focus
from goodman_live.pipeline.products.response import read_response
from goodman_live.server_extension.apertures import extracted_from, overlays_of
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.render.choices import Choices
from goodman_live.server_extension.render.image import Picture, image_json, image_png
from goodman_live.server_extension.render.spectrum import Curve, spectrum_json, spectrum_png
from goodman_live.server_extension.selection import FileChoice, chosen

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer

RAW, EXTRACTED = 0, 3
IMAGING = "Imaging"
SENSITIVITY = "sensitivity"
"""Role of a sensitivity function, a master with one axis."""
FOCUS = "focus"
"""Role of a run of focus frames, widths against a setting."""
MASK = "mask"
"""Role of the marked pixels of a frame."""
SENSITIVITY_STEP_AA = 10.0
"""Of its curve, which is smooth, Angstrom."""


class VisualizeQuery(FileChoice, Choices):
    """A file and how to show it."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a picture is made of, apart from the choices."""

    path: Path
    checksum: str
    data_type: int
    title: tuple[str, str]
    technique: str
    overlay: tuple[tuple[str, str], ...]
    """Header values mended by hand."""
    spectra: tuple[tuple[str, Path, str], ...] = ()
    """What was extracted from it: name, path and checksum, if apertures are to be drawn."""
    role: str = ""
    """What it is beside its data type, such as a sensitivity function."""
    normalized: bool = False
    """True for a flat whose values are relative."""
    modified: datetime | None = None
    """When anything of it changed last; told to the reader, and no part of the picture."""

    @property
    def is_curve(self) -> bool:
        """True where it has one axis."""
        return self.data_type >= EXTRACTED or self.role in {SENSITIVITY, FOCUS}


class VisualizeHandler(ApiHandler):
    """The picture."""

    @operation(
        id="api_files_visualize_read",
        summary="Picture or plot data of a file",
        tag="files",
        query=VisualizeQuery,
        media=("image/png", "application/json"),
        also=(304,),
        errors=(404, 409, 422),
    )
    async def get(self, query: VisualizeQuery) -> None:
        """Answer with PNG or JSON."""
        source = await self.backend.read(source_of, self.viewer, query)
        choices = Choices.model_validate(query.model_dump(include=set(Choices.model_fields)))
        key = key_of(source, choices)
        self.set_header("Etag", f'"{key}"')
        if source.modified is not None:
            self.set_header("Last-Modified", source.modified)
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
            return
        body = self.backend.pictures.get(key)
        if body is None:
            body = await self.backend.compute(draw, source, choices)
            self.backend.pictures.put(key, body)
        png = choices.format == "png"
        self.set_header("Content-Type", "image/png" if png else "application/json")
        self.finish(body)

    def compute_etag(self) -> None:
        """Leave the ETag alone: it is made from the inputs, before anything is drawn."""
        return


def source_of(session: Session, viewer: Viewer, choice: VisualizeQuery) -> Source:
    """Return what the picture of a file that `viewer` may see is made of."""
    frame = chosen(session, viewer, choice)
    wanted = choice.apertures and frame.data_type < EXTRACTED
    spectra = extracted_from(session, viewer, frame) if wanted else []
    kind = " ".join(part for part in (frame.obstype, frame.object_name) if part)
    by_hand = ((repair.keyword, repair.used) for repair in frame.repairs if repair.by_hand)
    return Source(
        path=frame.path,
        checksum=frame.checksum or f"{frame.size}-{frame.last_modified.isoformat()}",
        data_type=frame.data_type,
        title=(kind or frame.file_name, frame.proposal_id),
        technique=frame.technique,
        overlay=tuple(by_hand),
        spectra=tuple(
            (str(one.target or number), one.path, one.checksum or str(one.id))
            for number, one in enumerate(spectra, start=1)
        ),
        role=frame.role,
        normalized=bool(frame.normalized),
        modified=frame.last_modified,
    )


def key_of(source: Source, choices: Choices) -> str:
    """Return a key that differs where any byte of the picture may."""
    parts = [
        __version__,
        source.checksum,
        source.data_type,
        source.title,
        source.technique,
        source.overlay,
        source.role,
        source.normalized,
        [(name, checksum) for name, _, checksum in source.spectra],
        choices.model_dump(mode="json"),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def draw(source: Source, choices: Choices) -> bytes:
    """Return the picture, or the JSON of the plot."""
    if source.is_curve:
        curve = curve_of(source)
        if choices.format == "png":
            return spectrum_png(curve, choices)
        return json.dumps(spectrum_json(curve, choices), allow_nan=False).encode()
    picture = picture_of(source)
    if source.role == MASK and choices.vmin is None and choices.vmax is None:
        # Few pixels are marked: limits found among all would hide them.
        choices = choices.model_copy(update={"vmin": 0.0, "vmax": 1.0})
    if choices.format == "png":
        return image_png(picture, choices)
    return json.dumps(image_json(picture, choices), allow_nan=False).encode()


def picture_of(source: Source) -> Picture:
    """Read the image of `source`."""
    frame = _read(source)
    imaging = source.technique == IMAGING
    return Picture(
        data=frame.data,
        saturated=(frame.flags & Flag.SATURATED) != 0,
        title=source.title,
        unit=_values_of(source, frame.unit),
        x_name="X Axis (pixels)" if imaging else "Dispersion Axis (pixels)",
        y_name="Y Axis (pixels)" if imaging else "Spatial Axis (pixels)",
        flags=np.asarray(frame.flags, dtype=np.uint8),
        window=frame.window,
        overlays=overlays_of([(name, path) for name, path, _ in source.spectra], frame.window),
    )


def _values_of(source: Source, unit: str) -> str:
    if source.role == MASK:
        return "Marked (1) or not (0)"
    return "Intensity (relative)" if source.normalized else _intensity(unit)


def _read(source: Source) -> FrameData:
    if source.data_type == RAW:
        return read_raw(source.path, overlay=dict(source.overlay) or None)[0]
    if source.role == MASK:
        return read_mask(source.path)
    return read_frame(source.path)


def curve_of(source: Source) -> Curve:
    """Read the spectrum of `source`, its sensitivity function or its focus run."""
    if source.role == SENSITIVITY:
        return _sensitivity(source)
    if source.role == FOCUS:
        return _focus(source)
    return curve_at(source.path, source.title)


def _sensitivity(source: Source) -> Curve:
    found = read_response(source.path).sensitivity
    x = np.arange(found.low, found.high + SENSITIVITY_STEP_AA, SENSITIVITY_STEP_AA)
    x = x.clip(max=found.high)
    return Curve(
        x=x,
        y=found.magnitude(x),
        uncertainty=found.error(x),
        flags=np.zeros(x.size, np.uint8),
        sky=np.full(x.size, np.nan),
        saturated=np.zeros(x.size, np.bool_),
        title=source.title,
        x_name="Wavelength (Angstrom)",
        x_unit="Angstrom",
        y_name="Sensitivity (mag)",
        y_unit="mag",
    )


def _focus(source: Source) -> Curve:
    """Return the widths of a focus run, joined in the order of their settings."""
    run = read_focus(source.path)
    order = np.argsort(run.setting, kind="stable")
    if order.size == 1:  # a line has two ends
        order = np.repeat(order, 2)
    x = run.setting[order] + (np.array([-0.5, 0.5]) if len(run.files) == 1 else 0.0)
    return Curve(
        x=x,
        y=np.array([run.widths[k].fwhm_px for k in order]),
        uncertainty=np.array([run.widths[k].error_px for k in order]),
        flags=np.zeros(x.size, np.uint8),
        sky=run.focus.widths(x),
        saturated=np.zeros(x.size, np.bool_),
        title=source.title,
        x_name=f"Focus setting ({run.card})",
        x_unit="",
        y_name="FWHM (unbinned pixels)",
        y_unit="pix",
    )


def curve_at(path: Path, title: tuple[str, str] = ("", "")) -> Curve:
    """Read a spectrum, its axis rising."""
    spectrum = read_spectrum(path)
    if spectrum.flux.size < 2:
        raise BadFrameError(f"{path.name} has fewer than two pixels.")
    calibrated = spectrum.wavelength is not None
    x = spectrum.wavelength if spectrum.wavelength is not None else spectrum.column
    order = slice(None, None, -1 if x[0] > x[-1] else 1)
    empty = (spectrum.flags & Flag.NO_DATA) != 0
    return Curve(
        x=np.asarray(x)[order],
        y=np.where(empty, np.nan, spectrum.flux)[order],
        uncertainty=np.asarray(spectrum.uncertainty)[order],
        flags=np.asarray(spectrum.flags)[order],
        sky=np.asarray(spectrum.sky)[order],
        saturated=((spectrum.flags & Flag.SATURATED) != 0)[order],
        title=title,
        x_name="Wavelength (Angstrom)" if calibrated else "Dispersion Axis (pixels)",
        x_unit="Angstrom" if calibrated else "pixels",
        y_name=_intensity(spectrum.unit),
        y_unit=spectrum.unit,
        column=np.asarray(spectrum.column)[order],
    )


def _intensity(unit: str) -> str:
    """Return the name of the values; the manual writes ADU in capitals."""
    return f"Intensity ({'ADU' if unit.lower() == 'adu' else unit})"
