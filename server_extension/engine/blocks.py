"""The blocks that the engine can run: their functions, what they take and what they make."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

_PACKAGE = "goodman_live.pipeline.blocks"


@dataclass(frozen=True, slots=True)
class Block:
    """One block by name."""

    name: str
    """Name in jobs and on products."""
    module: str
    """Module of the function; imported by workers alone."""
    function: str
    """Name of the function."""
    takes: int
    """Data type of the frame that it runs on."""
    makes: int
    """Data type of its products."""
    main: str
    """Role of the frame that it runs on, the first argument."""
    roles: tuple[str, ...] = ()
    """Keyword arguments that are frames."""


BIAS = Block("build_master_bias", f"{_PACKAGE}.masters", "build_master_bias", 0, 1, "raws")
FLAT = Block(
    "build_master_flat", f"{_PACKAGE}.masters", "build_master_flat", 0, 1, "raws", ("bias",)
)
REDUCE = Block("reduce", f"{_PACKAGE}.reduce", "reduce", 0, 2, "raw", ("bias", "flat"))
EXTRACT = Block("extract", f"{_PACKAGE}.extract", "extract", 2, 3, "reduced")
WAVELENGTH = Block(
    "calibrate_wavelength",
    f"{_PACKAGE}.calibrate_wavelength",
    "calibrate_wavelength",
    3,
    4,
    "extracted",
    ("arcs",),
)
SENSITIVITY = Block(
    "build_sensitivity", f"{_PACKAGE}.calibrate_flux", "build_sensitivity", 4, 1, "spectra"
)
FLUX = Block(
    "calibrate_flux",
    f"{_PACKAGE}.calibrate_flux",
    "calibrate_flux",
    4,
    5,
    "calibrated",
    ("sensitivity",),
)
ASTROMETRY = Block(
    "solve_astrometry", f"{_PACKAGE}.solve_astrometry", "solve_astrometry", 2, 2, "reduced"
)
FOCUS = Block("measure_focus", f"{_PACKAGE}.measure_focus", "measure_focus", 0, 2, "raws")
ACQUISITION = Block(
    "measure_acquisition",
    f"{_PACKAGE}.measure_acquisition",
    "measure_acquisition",
    2,
    2,
    "reduced",
    ("slit",),
)
STACK = Block("stack", f"{_PACKAGE}.stack", "stack", 4, 4, "exposures")
FLUX_STACK = Block("stack_flux", f"{_PACKAGE}.stack", "stack", 5, 5, "exposures")
STACKS = (STACK, FLUX_STACK)
"""Blocks that combine spectra of several exposures."""
FRAME_STACK = Block("stack_frames", f"{_PACKAGE}.coadd", "stack_frames", 2, 2, "exposures")

BLOCKS = {
    block.name: block
    for block in (
        *(BIAS, FLAT, REDUCE, EXTRACT, WAVELENGTH, SENSITIVITY, FLUX, ASTROMETRY),
        *(FOCUS, ACQUISITION, FRAME_STACK),
        *STACKS,
    )
}
"""Every block by name."""

MANY = frozenset({"raws", "arcs", "spectra", "exposures"})
"""Roles that take a sequence of paths; the others take one, or None."""

SHAPING: dict[str, frozenset[str]] = {
    BIAS.name: frozenset(),
    FLAT.name: frozenset({"flat_normalisation", "flat_order", "saturation_threshold"}),
    REDUCE.name: frozenset({"cosmic_method", "ignore_bias", "ignore_flats"}),
    EXTRACT.name: frozenset({"extraction", "target_model", "max_targets"}),
    WAVELENGTH.name: frozenset({"linear_output", "apply_flexure"}),
    SENSITIVITY.name: frozenset(),
    FLUX.name: frozenset({"linear_output", "telluric_correction"}),
    ASTROMETRY.name: frozenset(),
    FOCUS.name: frozenset(),
    ACQUISITION.name: frozenset(),
    FRAME_STACK.name: frozenset(),
    STACK.name: frozenset({"signal_to_noise_goal"}),
    FLUX_STACK.name: frozenset({"signal_to_noise_goal"}),
}
"""Settings that change what a block makes; a change of others makes no new version."""

STACK_ROLE = "stack"
"""Role of what these make: it stands beside the spectrum of its newest exposure."""

ROLES = {
    STACK.name: STACK_ROLE,
    FLUX_STACK.name: STACK_ROLE,
    FRAME_STACK.name: STACK_ROLE,
    FOCUS.name: "focus",
    ACQUISITION.name: "acquisition",
}
"""Role of the main product of blocks whose products stand beside those of the other steps."""
GROWING = frozenset({STACK.name, FLUX_STACK.name, FRAME_STACK.name, FOCUS.name})
"""Blocks of whose products there is one for a sequence of frames, and it grows."""

SUMMARIES = frozenset({SENSITIVITY.name, FLUX.name, FRAME_STACK.name, STACK.name, FLUX_STACK.name})
"""Blocks that are run again for whatever comes later: the fewer times, the later they run."""

MASTERS = frozenset({BIAS.name, FLAT.name})
"""Blocks that combine many raw frames."""


def is_available(block: Block) -> bool:
    """Tell whether the block is part of this installation."""
    return importlib.util.find_spec(block.module) is not None
