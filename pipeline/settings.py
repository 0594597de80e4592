"""Data-reduction settings of a proposal, as in the public service."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

STAR_SERVICE = "GOODMAN_STARS_URL"
"""Variable with the address of a star service, asked where the index has no stars."""
STAR_CATALOGUE = "GOODMAN_STARS"
"""In the environment of the service and of its workers: where the star catalogue is."""


class ReductionSettings(BaseModel):
    """Every setting that shapes a product; the defaults are those of the public service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    saturation_threshold: float = Field(
        1.0, ge=0, le=100, description="Percent of saturated pixels that rejects a flat."
    )
    cosmic_method: Literal["default", "dcr", "lacosmic", "none"] = Field(
        "default", description="Cosmic-ray rejection; default chooses by camera and binning."
    )
    technique: Literal["Spectroscopy", "Imaging"] = Field(
        "Spectroscopy", description="What the proposal mainly observes."
    )
    ignore_bias: bool = Field(default=False, description="Use the overscan alone, no master bias.")
    ignore_flats: bool = Field(default=False, description="Do not flat-field.")
    minimum_bias: int = Field(10, ge=2, le=200, description="Bias frames needed for a master.")
    minimum_flats: int = Field(10, ge=2, le=200, description="Flats needed for a master.")
    flat_normalisation: Literal["mean", "simple", "full"] = Field(
        "simple", description="How the lamp's own spectrum is divided out of the master flat."
    )
    flat_order: int = Field(15, ge=1, le=60, description="Order of the fit to the lamp spectrum.")
    extraction: Literal["optimal", "fractional"] = Field(
        "optimal", description="Optimal weights (Horne 1986), or the sum with pixel fractions."
    )
    target_model: Literal["moffat", "gaussian"] = Field(
        "moffat", description="Profile fitted to each target along the slit."
    )
    max_targets: int = Field(3, ge=1, le=20, description="At most this many targets per frame.")
    linear_output: bool = Field(
        default=True, description="Also write the spectrum on a linear wavelength axis."
    )
    telluric_correction: bool = Field(
        default=False,
        description="Divide out absorption by oxygen and water, as a standard star shows it.",
    )
    apply_flexure: bool = Field(
        default=False, description="Shift the wavelengths by what the sky lines measure."
    )
    signal_to_noise_goal: float = Field(
        50.0,
        gt=0,
        le=10_000,
        description="Signal to noise per resolution element that repeated exposures should reach.",
    )
