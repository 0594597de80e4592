"""What is done to each kind of frame, as data: the blocks, and the ordered steps of `reduce`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.info import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goodman_live.pipeline.settings import ReductionSettings


class Step(StrEnum):
    """A step of the reduce block, in the letter that it adds to the file name."""

    OVERSCAN = "o"
    """Overscan; always removed, the letter is written only where it stands in for a bias."""
    TRIM = "t"
    SLIT_TRIM = "s"
    BIAS = "z"
    FLAT = "f"
    COSMIC = "c"


_SPECTRUM = (Step.OVERSCAN, Step.TRIM, Step.SLIT_TRIM, Step.BIAS, Step.FLAT, Step.COSMIC)
_IMAGE = (Step.OVERSCAN, Step.TRIM, Step.BIAS, Step.FLAT, Step.COSMIC)

STEPS: Mapping[Kind, tuple[Step, ...]] = {
    Kind.SPECTRUM: _SPECTRUM,
    Kind.ARC: _SPECTRUM,
    Kind.IMAGE: _IMAGE,
}
"""Steps of the reduce block in their order. An arc passes the cosmic-ray step untouched."""

BLOCKS: Mapping[Kind, tuple[str, ...]] = {
    Kind.SPECTRUM: ("reduce", "extract", "calibrate_wavelength"),
    Kind.ARC: ("reduce",),
    Kind.IMAGE: ("reduce",),
    Kind.BIAS: ("build_master_bias",),
    Kind.FLAT: ("build_master_flat",),
    Kind.FOCUS: ("measure_focus",),
    Kind.ACQUISITION: ("reduce", "measure_acquisition"),
}
"""Blocks that a raw frame of each kind goes through."""

NOT_REDUCED: Mapping[Kind, str] = {
    Kind.FOCUS: "not reduced: focus",
    Kind.ACQUISITION: "not reduced: acquisition image",
    Kind.DARK: "not reduced: dark",
    Kind.UNKNOWN: "not reduced: the header does not tell what it is",
}
"""Why the reduce block refuses the other kinds, and a night lists those without blocks."""


def steps_for(kind: Kind, settings: ReductionSettings) -> tuple[Step, ...]:
    """Return the steps of the reduce block for a kind of frame under these settings.

    Raises
    ------
    KeyError
        If frames of this kind are not reduced.
    """
    left_out = set()
    if settings.ignore_bias:
        left_out.add(Step.BIAS)
    if settings.ignore_flats:
        left_out.add(Step.FLAT)
    if settings.cosmic_method == "none":
        left_out.add(Step.COSMIC)
    return tuple(step for step in STEPS[kind] if step not in left_out)
