"""An extraction as a picture: profile along the slit, each trace, each spectrum and its sky."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.draw.canvas import Box, Canvas, Colour
from goodman_live.pipeline.draw.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FIT: Colour = (214, 39, 40)
USED: Colour = (31, 119, 180)
UNUSED: Colour = (150, 150, 150)
SKY: Colour = (44, 160, 44)
WIDTH, HEIGHT = 1400, 760


def profile_png(data: dict[str, Any]) -> bytes:
    """Return the profile along the slit with the joint fit, and what is left of it, as PNG.

    Parameters
    ----------
    data : dict
        From `core.diagnostics.diagnostics`.
    """
    seen = data["profile"]
    row, value, sigma = (_array(seen[name]) for name in ("row", "value", "sigma"))
    value = np.where(np.isfinite(sigma), value, np.nan)
    model = _array(seen["fit"]) if seen["fit"] is not None else np.zeros_like(value)
    limits = (float(row[0]), float(row[-1]))
    canvas = Canvas(WIDTH, HEIGHT, "light")
    above = Panel(canvas, Box(92, 50, 1380, 470), limits, _span(value, model))
    above.curve(row, value)
    if seen["fit"] is not None:
        above.curve(row, model, FIT)
    for number, source in enumerate(seen["sources"], 1):
        above.mark(source["row"], f"source {number}", FIT)
    above.axes("", "Mean signal (ADU)")
    above.legend({"profile": canvas.palette.line, "joint fit": FIT})
    count = len(seen["sources"])
    canvas.title(
        ("Profile along the slit, stacked along the trace", f"{count} source(s) fitted together"),
        above.box,
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        pull = (value - model) / sigma
    below = Panel(canvas, Box(92, 500, 1380, 700), limits, (-8.0, 8.0))
    below.level(0.0)
    below.curve(row, pull)
    below.axes("Row (unbinned)", "Residual (sigma)")
    return canvas.png()


def trace_png(data: dict[str, Any], target: int = 0) -> bytes:
    """Return the trace of one target with its centroids, and their residuals, as PNG.

    Parameters
    ----------
    data : dict
        From `core.diagnostics.diagnostics`.
    target : int
        Which target, from 0.
    """
    one = data["targets"][target]
    trace, points = one["trace"], one["points"]
    column, row = _array(trace["column"]), _array(trace["row"])
    limits = (float(column[0]), float(column[-1]))
    canvas = Canvas(WIDTH, HEIGHT, "light")
    kept = np.array(points["used"], dtype=bool)
    at, rows, errors, off = (
        _array(points[name]) for name in ("column", "row", "sigma", "residual")
    )
    above = Panel(canvas, Box(92, 50, 1380, 470), limits, _span(row, rows[kept]))
    above.curve(column, row, FIT)
    _dots(above, at, rows, errors, kept)
    above.axes("", "Row (unbinned)")
    borrowed = "   borrowed" if trace["borrowed"] else ""
    rms = "without points" if trace["rms_px"] is None else f"rms {trace['rms_px']:.3f} px"
    canvas.title(
        (f"Trace of target {target + 1}{borrowed}", f"order {trace['order']}, {rms}"), above.box
    )
    scale = off[kept] if kept.any() else np.zeros(1)
    largest = max(float(np.nanmax(np.abs(scale))) * 1.3, 0.05)
    below = Panel(canvas, Box(92, 500, 1380, 700), limits, (-largest, largest))
    below.level(0.0)
    _dots(below, at, off, errors, kept)
    below.axes("Column (unbinned)", "Residual (rows)")
    return canvas.png()


def sky_png(data: dict[str, Any], target: int = 0) -> bytes:
    """Return the extracted spectrum of one target above the sky under it, as PNG.

    Parameters
    ----------
    data : dict
        From `core.diagnostics.diagnostics`.
    target : int
        Which target, from 0.
    """
    one = data["targets"][target]
    spectrum = one["spectrum"]
    column, flux, sky = (_array(spectrum[name]) for name in ("column", "flux", "sky"))
    limits = (float(column[0]), float(column[-1]))
    canvas = Canvas(WIDTH, HEIGHT, "light")
    above = Panel(canvas, Box(92, 50, 1380, 360), limits, _span(flux))
    above.curve(column, flux)
    above.axes("", "Target (ADU)")
    zones = ", ".join(f"{a:.0f} to {b:.0f}" for a, b in one["zones"]) or "none"
    canvas.title(
        (f"Target {target + 1} and the sky under it", f"zones {zones} rows from the trace"),
        above.box,
    )
    below = Panel(canvas, Box(92, 390, 1380, 700), limits, _span(sky))
    below.curve(column, sky, SKY)
    below.axes("Column (unbinned)", "Sky in the aperture (ADU)")
    return canvas.png()


def _dots(
    panel: Panel,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    errors: NDArray[np.float64],
    kept: NDArray[np.bool_],
) -> None:
    for place, value, error, used in zip(x, y, errors, kept, strict=True):
        if np.isfinite(value):
            panel.dot(place, value, error if np.isfinite(error) else 0.0, USED if used else UNUSED)


def _array(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def _span(*curves: NDArray[np.float64]) -> tuple[float, float]:
    """Return limits that hold curves with some air, not stretched by a few spikes."""
    values = np.concatenate([c[np.isfinite(c)] for c in curves])
    if values.size == 0:
        return (0.0, 1.0)
    low, high = (float(v) for v in np.quantile(values, (0.002, 0.998)))
    air = max(0.08 * (high - low), 1e-6 * max(abs(high), 1.0))
    return low - air, high + air
