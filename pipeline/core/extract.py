"""From a reduced frame to spectra: find, trace, model, subtract the background, measure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from goodman_live.pipeline.core.assemble import Extracted, assemble
from goodman_live.pipeline.core.blocks import make_blocks
from goodman_live.pipeline.core.errors import NoTargetError
from goodman_live.pipeline.core.follow import scaled
from goodman_live.pipeline.core.profile import Shape
from goodman_live.pipeline.core.refine import line_series, resampled
from goodman_live.pipeline.core.score import SEEING_ROWS
from goodman_live.pipeline.core.series import Series
from goodman_live.pipeline.core.solve import Solved, lent_path, no_points, solve_all
from goodman_live.pipeline.core.source import Source, columns_scaled
from goodman_live.pipeline.core.targets import find_targets
from goodman_live.pipeline.core.working import Working, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.aperture import Aperture
    from goodman_live.pipeline.core.blocks import Blocks
    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.core.profile import ShapeName
    from goodman_live.pipeline.core.stacked import Search
    from goodman_live.pipeline.core.trace import Trace

Method = Literal["optimal", "fractional"]


@dataclass(frozen=True, slots=True, eq=False)
class Extraction:
    """Everything that came out of one frame."""

    targets: tuple[Extracted, ...]
    """One per target, brightest first (or in the order of the apertures)."""
    search: Search
    """What the search saw."""
    blocks_rows: NDArray[np.float64]
    """Unbinned row of each point of the search's profile."""
    neighbours: int
    """Sources that were found but not extracted."""


def extract_targets(
    frame: Frame,
    *,
    method: Method = "optimal",
    shape: ShapeName = "moffat",
    max_targets: int = 3,
    apertures: Sequence[Aperture] | None = None,
    lend: Trace | None = None,
) -> Extraction:
    """Extract the targets of a reduced frame.

    Parameters
    ----------
    frame : Frame
        A reduced 2-D spectrum, dispersion along columns, sky not subtracted.
    method : {"optimal", "fractional"}
        Optimal weights, or the sum of pixels and their fractions within one FWHM of the trace.
    shape : {"moffat", "gaussian"}
        Profile along the slit.
    max_targets : int
        At most this many of the brightest targets; ignored for apertures placed by hand.
    apertures : sequence of Aperture, optional
        Apertures placed by hand; they replace the search for targets, which then only finds
        neighbours to keep out of the background.
    lend : Trace, optional
        A trace to borrow by sources too faint for their own, such as a standard star's.

    Returns
    -------
    Extraction
        The spectra with what they were made from.

    Raises
    ------
    NoTargetError
        If nothing stands above the noise, or an aperture lies outside the frame.
    """
    work = prepare(frame)
    ybin = work.window.ybin
    blocks = make_blocks(work)
    aspect = work.window.xbin / (ybin * blocks.fold)
    seeing = SEEING_ROWS / (ybin * blocks.fold)
    search = find_targets(
        blocks, shape=shape, seeing=seeing, aspect=aspect, most=max(max_targets + 6, 9)
    )
    if not search.found and not apertures:
        raise NoTargetError(
            "No target stands above the noise of this frame, in its whole spectrum, in parts of "
            "it, or in single lines.",
            remedy="If you know where it is, place an aperture by hand.",
        )
    solved = [
        _start(found.path, found.fwhm, found.shape, found.snr, blocks, work)
        for found in search.found
    ]
    wanted = [_place(aperture, solved, work, shape, lend) for aperture in apertures or ()]
    solve_all(work, solved, lend)
    if apertures:
        targets = tuple(assemble(frame, work, solved, k, method=method) for k in wanted)
    else:
        targets = _brightest(frame, work, solved, method, max_targets)
    rows = work.window.rows_unbinned()
    folded = np.interp(
        np.arange(search.profile.size) * blocks.fold + (blocks.fold - 1) / 2,
        np.arange(rows.size),
        rows,
    )
    return Extraction(targets, search, folded, max(len(solved) - len(targets), 0))


def _brightest(
    frame: Frame, work: Working, solved: Sequence[Solved], method: Method, most: int
) -> tuple[Extracted, ...]:
    """Measure the brightest sources that lie in the slit.

    One beyond its end, of which only a wing shows, stays a neighbour of the others.

    Raises
    ------
    NoTargetError
        If all of them are there.
    """
    targets: list[Extracted] = []
    beyond: NoTargetError | None = None
    for k in range(len(solved)):
        if len(targets) == most:
            break
        try:
            targets.append(assemble(frame, work, solved, k, method=method))
        except NoTargetError as error:
            beyond = error
    if not targets:
        raise NoTargetError(
            "All light that stands above the noise of this frame comes from beyond the end of "
            "its slit, or falls on bad pixels.",
            remedy="Look where the target lies, and place an aperture by hand if it is lit.",
        ) from beyond
    return tuple(targets)


def _start(
    path: Series, fwhm: float, shape: Shape, snr: float, blocks: Blocks, work: Working
) -> Solved:
    """Bring a source from the rows of the blocks to those of the frame."""
    nx = work.shape[1]
    columns = np.linspace(0, nx - 1, 33)
    series = resampled(path, columns_scaled(33), scaled(blocks, columns))
    coefficients = series.coefficients * blocks.fold
    coefficients[0] += (blocks.fold - 1) / 2
    width = float(np.clip(fwhm * blocks.fold, 1.0, work.shape[0] / 3))
    source = Source(
        path=Series(coefficients, path.keep, path.loo),
        width=line_series(0.0),
        shape=Shape(shape.name, width, shape.beta),
        own_width=False,
        snr=snr,
    )
    return Solved(source, no_points(), np.zeros(nx))


def _place(
    aperture: Aperture, solved: list[Solved], work: Working, shape: ShapeName, lend: Trace | None
) -> int:
    """Add the source of an aperture placed by hand, or take the one found there.

    Returns its place in `solved`.
    """
    window = work.window
    row = (aperture.row - window.y0 - (window.ybin - 1) / 2) / window.ybin
    if not -0.5 <= row <= window.ny - 0.5:
        last = window.rows_unbinned()[-1]
        raise NoTargetError(
            f"The aperture at row {aperture.row:g} lies outside the frame, whose unbinned rows "
            f"run from {window.y0} to {last:g}.",
            remedy="Place it inside.",
            field="aperture",
        )
    at = (window.nx - 1) / 2
    if aperture.column is not None:
        at = (aperture.column - window.x0 - (window.xbin - 1) / 2) / window.xbin
    u = np.array([2 * at / max(window.nx - 1, 1) - 1])
    for k, known in enumerate(solved):
        near = abs(float(known.source.path(u)[0]) - row)
        if near < 0.75 * known.source.shape.fwhm and known.aperture is None:
            known.aperture = aperture
            known.source = replace(known.source, manual=True)
            _pin(known, solved, aperture, row, u, lend, work)
            return k
    fwhm = SEEING_ROWS / window.ybin
    if solved:
        fwhm = solved[0].source.shape.fwhm
    elif aperture.lower is not None and aperture.upper is not None:
        fwhm = max((aperture.upper - aperture.lower) / window.ybin / 2, 1.2)
    source = Source(
        line_series(row),
        line_series(0.0),
        Shape(shape, fwhm),
        own_width=False,
        snr=0.0,
        manual=True,
    )
    placed = Solved(source, no_points(), np.zeros(window.nx), aperture=aperture)
    _pin(placed, solved, aperture, row, u, lend, work)
    solved.append(placed)
    return len(solved) - 1


def _pin(
    placed: Solved,
    solved: Sequence[Solved],
    aperture: Aperture,
    row: float,
    u: NDArray[np.float64],
    lend: Trace | None,
    work: Working,
) -> None:
    """Give an aperture the path that the user asked for, through the row that was given."""
    if aperture.follow == "own":
        return
    if aperture.follow == "straight":
        placed.source = placed.source.moved(line_series(row))
        placed.path_fixed = True
        return
    shape = lent_path(lend, work) if lend is not None else None
    if shape is None:
        brighter = [s for s in solved if s is not placed and s.aperture is None]
        shape = brighter[0].source.path if brighter else None
    if shape is not None and (aperture.follow == "borrow" or placed.source.snr == 0):
        coefficients = shape.coefficients.copy()
        coefficients[0] += row - float(shape(u)[0])
        placed.source = placed.source.moved(Series(coefficients, shape.keep, shape.loo))
        placed.borrowed = True
    elif aperture.follow == "borrow":
        placed.notes.append("There is no trace to borrow: the aperture follows a straight row.")
        placed.source = placed.source.moved(line_series(row))
        placed.path_fixed = True
