"""Solve all sources of a frame: path, width, profile and flux of each, the others taken out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from goodman_live.pipeline.core.background import Background, automatic_zones, fit_background
from goodman_live.pipeline.core.refine import (
    MOST_ORDER,
    Light,
    Points,
    correct_table,
    line_series,
    measure_light,
    step_beta,
    step_path,
    step_width,
    total_snr,
)
from goodman_live.pipeline.core.series import Series, fit_series
from goodman_live.pipeline.core.source import CORE, Source, columns_scaled, core_offsets, cut_strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.aperture import Aperture
    from goodman_live.pipeline.core.background import Zones
    from goodman_live.pipeline.core.source import Strip
    from goodman_live.pipeline.core.trace import Trace
    from goodman_live.pipeline.core.working import Working

TRACEABLE = 25.0
"""Significance from which a source is traced on its own, free of a brighter one's shape."""
TOUCHING = 0.003
"""Share of a source's peak from which another's wings call for a second look at it."""
OWN_WIDTH = 100.0
"""Significance from which a source's width is its own even where it looks like the brightest's."""


@dataclass(slots=True, eq=False)
class Solved:
    """The state of one source while all are being solved."""

    source: Source
    points: Points
    flux: NDArray[np.float64]
    borrowed: bool = False
    aperture: Aperture | None = None
    background: Background | None = None
    zones: Zones = ()
    path_fixed: bool = False
    found: Series | None = None
    notes: list[str] = field(default_factory=list)


def no_points() -> Points:
    """Return the centroids of a source that has not been traced."""
    nothing = np.zeros(0)
    return Points(nothing, nothing, nothing, np.zeros(0, dtype=bool))


def lent_path(lend: Trace, work: Working) -> Series:
    """Return a trace from elsewhere as a path in the rows and columns of this frame."""
    window = work.window
    rows = (lend.at(window.columns_unbinned()) - window.y0 - (window.ybin - 1) / 2) / window.ybin
    u = columns_scaled(window.nx)
    pick = np.linspace(0, window.nx - 1, 65).astype(int)
    return fit_series(u[pick], rows[pick], np.ones(pick.size), most=lend.order, lowest=lend.order)


def solve_all(work: Working, solved: list[Solved], lend: Trace | None) -> None:
    """Refine all sources, brightest first, each with the others' light taken out."""
    u = columns_scaled(work.shape[1])
    order = sorted(range(len(solved)), key=lambda k: -_brightness(solved[k]))
    _first_fluxes(work, [solved[k] for k in order], u)
    for turn in range(2):
        for rank, k in enumerate(order):
            leader = solved[order[0]] if rank else None
            others = [s for i, s in enumerate(solved) if i != k and s.flux.any()]
            if turn and not any(_touches(solved[k], other) for other in others):
                continue
            _refine(work, solved[k], leader, others, lend, u)


def _touches(state: Solved, other: Solved) -> bool:
    """Whether another source's light matters where this one's flux is measured."""
    u = np.linspace(-1, 1, 9)
    apart = np.abs(other.source.path(u) - state.source.path(u))
    own, light = state.source.shape, other.source.shape
    nearest = float(np.clip(apart.min() - CORE * own.fwhm / 2, 0, None))
    wing = float(np.median(other.flux)) * float(light(np.array([nearest]))[0])
    core = float(np.median(state.flux)) * float(own(np.zeros(1))[0])
    return apart.min() < 2 * CORE * max(own.fwhm, light.fwhm) or wing > TOUCHING * abs(core)


def _first_fluxes(work: Working, states: Sequence[Solved], u: NDArray[np.float64]) -> None:
    """Give every source a first flux, so that blended ones know of each other from the start."""
    for turn in range(2):
        for state in states:
            others = [(s.source, s.flux) for s in states if s is not state and s.flux.any()]
            if turn and not others:
                return
            strip = cut_strip(
                work, state.source.path(u), core_offsets(state.source, work.shape[0])
            )
            level = np.zeros_like(state.flux)
            nothing = Background(level, level, level, level, ())
            value = _alone(strip, nothing, others, u)
            state.flux = measure_light(work, strip, value, state.source, u, 0.5).flux


def _brightness(state: Solved) -> float:
    return state.source.snr


def _refine(
    work: Working,
    state: Solved,
    leader: Solved | None,
    others: Sequence[Solved],
    lend: Trace | None,
    u: NDArray[np.float64],
) -> None:
    """Sharpen one source: background, then path, width and profile in turn."""
    lights = [(o.source, o.flux) for o in others]
    zones = zones_of(state, work, [o.source for o in others])
    first = state.background is None
    background = fit_background(work, state.source, state.flux, lights, zones, u)
    reference = lent_path(lend, work) if lend is not None else None
    if reference is None and leader is not None and not leader.borrowed:
        reference = leader.source.path
    snr = 0.0
    for turn in range(4 if first else 2):
        strip = cut_strip(work, state.source.path(u), core_offsets(state.source, work.shape[0]))
        value = _alone(strip, background, lights, u)
        light = measure_light(
            work, strip, value, state.source, u, 0.4 if turn == 0 and first else 0.1
        )
        snr = total_snr(light)
        _step(state, leader, strip, light, reference, snr, u, turn)
    strip = cut_strip(work, state.source.path(u), core_offsets(state.source, work.shape[0]))
    value = _alone(strip, background, lights, u)
    light = measure_light(work, strip, value, state.source, u, 0.1)
    if not state.source.manual or snr > TRACEABLE:
        state.source = correct_table(strip, light, state.source, u)
    state.flux = light.flux
    state.background = background
    state.zones = zones
    state.source = replace(state.source, snr=max(snr, 1e-3))


def _step(
    state: Solved,
    leader: Solved | None,
    strip: Strip,
    light: Light,
    reference: Series | None,
    snr: float,
    u: NDArray[np.float64],
    turn: int,
) -> None:
    """Move path, width and shape by one step each, as far as the source can tell."""
    follow = state.aperture.follow if state.aperture else "auto"
    if not state.path_fixed and snr > 4 and follow != "borrow":
        borrow, most = _freedom(state, reference, snr)
        state.source, state.points = step_path(strip, light, state.source, borrow, u, most=most)
        state.borrowed = reference is not None and borrow is reference
    like = leader.source if leader is not None else None
    alike = like is not None and abs(np.log(state.source.shape.fwhm / like.shape.fwhm)) < 0.4
    if like is not None and alike and snr < OWN_WIDTH:
        if turn == 0:
            state.source = replace(
                state.source, shape=like.shape, width=like.width, correction=like.correction
            )
        return
    if snr < 5:
        return
    prior = line_series(0.0) if snr < OWN_WIDTH else None
    bare = replace(state.source, correction=None)
    state.source = step_width(strip, light, bare, prior, u)
    if snr > OWN_WIDTH and turn:
        state.source = step_beta(strip, light, state.source, u)
    state.source = replace(state.source, own_width=True)


def _freedom(state: Solved, reference: Series | None, snr: float) -> tuple[Series | None, int]:
    """Return the shape that a path keeps, and the order of what its points may add.

    A faint source keeps the shape of a brighter one's trace, or else the line it was found on.
    """
    if snr > TRACEABLE:
        return (reference if state.borrowed else None), MOST_ORDER
    most = 0 if snr < TRACEABLE / 2 or reference is not None else 1
    if reference is not None:
        return reference, most
    if state.found is None:
        state.found = state.source.path
    return state.found, most


def _alone(
    strip: Strip,
    background: Background,
    others: Sequence[tuple[Source, NDArray[np.float64]]],
    u: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the light of one source: background and the others' light subtracted."""
    value = strip.data - background.level - background.slope * strip.offset
    for source, flux in others:
        distance = strip.rows - source.path(u)
        if np.abs(distance).min() < source.reach:
            value = value - flux * source.profile(distance, u)
    return value


def zones_of(state: Solved, work: Working, others: Sequence[Source]) -> Zones:
    """Return the zones that the user gave, or automatic ones."""
    if state.aperture is not None and state.aperture.zones:
        ybin = work.window.ybin
        return tuple((a / ybin, b / ybin) for a, b in state.aperture.zones)
    return automatic_zones(state.source, work, others)
