"""``/api/files/spectrum/line/``: one line of a spectrum, fitted, with errors."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field, model_validator

from goodman_live.pipeline.core.linefit import LineFit, fit_line
from goodman_live.server_extension.catalogue.errors import ConflictError
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import Answer
from goodman_live.server_extension.selection import FileChoice, chosen
from goodman_live.server_extension.visualize import curve_at

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer

EXTRACTED = 3
EXTRAPOLATED = 64
"""Bit of what lies beyond the lamp's lines: its flux is good."""


class LineQuery(FileChoice):
    """A spectrum and the range in which a line is looked for."""

    low: float = Field(allow_inf_nan=False, description="First wavelength or column.")
    high: float = Field(allow_inf_nan=False, description="Last one.")

    @model_validator(mode="after")
    def _in_order(self) -> LineQuery:
        if self.low >= self.high:
            msg = "low must be less than high"
            raise ValueError(msg)
        return self


class LineModel(Answer):
    """A fitted line; errors are one standard deviation."""

    id: int
    centre: float
    centre_error: float
    fwhm: float = Field(description="Without the width of the pixel.")
    fwhm_error: float
    flux: float = Field(description="Above the continuum; negative in absorption.")
    flux_error: float
    equivalent_width: float | None = Field(
        description="Positive in absorption; null where the continuum is not above zero."
    )
    equivalent_width_error: float | None
    continuum: float
    continuum_error: float
    chi2: float = Field(description="Per degree of freedom.")
    significance: float
    unit: str = Field(description="Of the axis.")
    flux_unit: str
    x: list[float]
    model: list[float] = Field(description="Continuum and line at x.")

    @classmethod
    def of(cls, number: int, fit: LineFit, unit: str, flux_unit: str) -> LineModel:
        """Return `fit` as it travels."""
        values = {one.name: getattr(fit, one.name) for one in fields(fit)}
        values |= {"x": fit.x.tolist(), "model": fit.model.tolist()}
        for name in ("equivalent_width", "equivalent_width_error"):
            values[name] = values[name] if np.isfinite(values[name]) else None
        return cls(id=number, unit=unit, flux_unit=flux_unit, **values)


class LineHandler(ApiHandler):
    """A line."""

    @operation(
        id="api_files_spectrum_line_read",
        summary="Centre, width, flux and equivalent width of a line",
        tag="files",
        query=LineQuery,
        answer=LineModel,
        errors=(404, 409, 422),
        description="A Gaussian, averaged over each pixel, on a straight continuum.",
    )
    async def get(self, query: LineQuery) -> LineModel:
        """Fit the strongest line of the range."""
        number, path = await self.backend.read(spectrum_path, self.viewer, query)
        return await self.backend.compute(measure, number, path, query.low, query.high)


def spectrum_path(session: Session, viewer: Viewer, choice: LineQuery) -> tuple[int, Path]:
    """Return id and path of a spectrum that `viewer` may see.

    Raises
    ------
    ConflictError
        If it is no spectrum.
    """
    frame = chosen(session, viewer, choice)
    if frame.data_type < EXTRACTED:
        raise ConflictError(
            f"{frame.file_name} is no spectrum.", remedy="Extract it first.", field="id"
        )
    return frame.id, frame.path


def measure(number: int, path: Path, low: float, high: float) -> LineModel:
    """Return the strongest line of a spectrum between `low` and `high`."""
    curve = curve_at(path)
    bad = (curve.flags & ~np.uint8(EXTRAPOLATED)) != 0
    fit = fit_line(curve.x, np.where(bad, np.nan, curve.y), curve.uncertainty, low, high)
    return LineModel.of(number, fit, curve.x_unit, curve.y_unit)
