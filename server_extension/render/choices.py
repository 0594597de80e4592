"""What may be chosen of a picture: one model, validated by the API and read by the drawing."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from goodman_live.pipeline.draw.canvas import Theme  # noqa: TC001 (pydantic reads it)
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.render.colormaps import Colormap  # noqa: TC001
from goodman_live.server_extension.render.scale import Method, Stretch  # noqa: TC001


class Choices(Strict):
    """How to show an image or a spectrum."""

    format: Literal["png", "json"] = Field("png", description="A picture, or data to plot.")
    colormap: Colormap = Field("gray", description="Colours of an image.")
    stretch: Stretch = Field("linear", description="Of an image.")
    limits: Method = Field("zscale", description="How the limits of an image are found.")
    percentile: float = Field(
        99.5, ge=1, le=100, description="Percent of the pixels between percentile limits."
    )
    vmin: float | None = Field(None, allow_inf_nan=False, description="Lower limit by hand.")
    vmax: float | None = Field(None, allow_inf_nan=False, description="Upper limit by hand.")
    saturated: bool = Field(default=True, description="Mark saturated pixels.")
    apertures: bool = Field(
        default=False,
        description="Over an image: apertures and background zones of what was extracted from it.",
    )
    title: bool = Field(default=True, description="Kind and object, proposal.")
    colorbar: bool = Field(default=True, description="Colour bar beside an image.")
    axes: bool = Field(
        default=True, description="False: the bare pixels of an image, without axes and names."
    )
    uncertainty: bool = Field(default=True, description="Band of one sigma around a spectrum.")
    width: int = Field(1000, ge=64, le=4200, description="Of the whole picture, pixels.")
    height: int | None = Field(
        None, ge=64, le=4200, description="Default: an image keeps its proportions."
    )
    x0: int | None = Field(None, ge=0, description="First column shown, from 0.")
    x1: int | None = Field(None, ge=1, description="Column after the last shown.")
    y0: int | None = Field(None, ge=0, description="First row shown, from 0; images.")
    y1: int | None = Field(None, ge=1, description="Row after the last shown; images.")
    wmin: float | None = Field(None, allow_inf_nan=False, description="Spectra: first x shown.")
    wmax: float | None = Field(None, allow_inf_nan=False, description="Spectra: last x shown.")
    theme: Theme = Field("dark", description="Colours of the page around.")
    pixels: bool = Field(
        default=False, description="With format=json: the pixels of an image too, base64 floats."
    )
    max_pixels: int = Field(
        2**20, ge=64, le=2**23, description="With pixels: the image is shrunk to at most so many."
    )
    max_points: int = Field(
        8192, ge=16, le=100_000, description="With format=json: at most this many of a spectrum."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for low, high in (("vmin", "vmax"), ("x0", "x1"), ("y0", "y1"), ("wmin", "wmax")):
            first, last = getattr(self, low), getattr(self, high)
            if first is not None and last is not None and first >= last:
                msg = f"{low} must be less than {high}"
                raise ValueError(msg)
        return self
