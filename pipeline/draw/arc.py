"""A solved arc as a picture: its lines above, their residuals below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.draw.canvas import Box, Canvas, Colour
from goodman_live.pipeline.draw.panel import Panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAMP_COLOURS: tuple[Colour, ...] = (
    (31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (140, 86, 75),
)  # fmt: skip
"""Colours of lamps, in the order of their names; five lamps exist."""
UNUSED: Colour = (150, 150, 150)
"""Colour of lines that the solution does not rest on."""


def arc_png(report: dict[str, Any], flux: NDArray[np.float64]) -> bytes:
    """Return a solved arc as PNG.

    Parameters
    ----------
    report : dict
        What `arc_report.as_dict` tells of the arc.
    flux : ndarray of float, shape (n,)
        The arc's spectrum, ADU, on the report's pixels.
    """
    canvas = Canvas(1400, 760, "light")
    wave = np.array(report["pixels"]["wavelength_aa"])
    limits = (float(wave[0]), float(wave[-1]))
    height = np.log10(np.clip(flux, 1.0, None))
    tall = (float(height.min()), float(height.max()) + 0.35 * float(np.ptp(height)) + 0.1)
    lamps = sorted(report["lamps"])
    colours = dict(zip(lamps, LAMP_COLOURS, strict=False))
    above = Panel(canvas, Box(92, 50, 1380, 440), limits, tall)
    above.curve(wave, height)
    _marks(above, report["lines"], colours)
    above.axes("", "log Intensity (ADU)")
    canvas.title(_title(report), above.box)
    _residuals(canvas, report, limits, colours)
    return canvas.png()


def _title(report: dict[str, Any]) -> tuple[str, str]:
    q = report["quality"]
    setting = f"{report['camera']} {report['grating']} {report['mode']}"
    verdict = "" if q["trusted"] else "   NOT TO BE TRUSTED"
    return (
        f"{report['file']}   {setting}   {'+'.join(report['lamps'])}",
        (
            f"rms {q['rms_px']:.3f} px = {q['rms_aa']:.3f} A over {q['n_used']} lines, "
            f"leave-one-out {q['leave_one_out_rms_px']:.3f} px{verdict}"
        ),
    )


def _marks(panel: Panel, lines: list[dict[str, Any]], colours: dict[str, Colour]) -> None:
    taken = -np.inf
    for line in sorted(lines, key=lambda x: x["fitted_aa"]):
        colour = colours.get(line["lamp"], UNUSED) if line["used"] else UNUSED
        text = f"{line['wavelength_aa']:.1f} {line['element']}" if line["used"] else ""
        taken = panel.mark(line["fitted_aa"], text, colour, taken=taken)


def _residuals(
    canvas: Canvas,
    report: dict[str, Any],
    limits: tuple[float, float],
    colours: dict[str, Colour],
) -> None:
    used = [line for line in report["lines"] if line["used"]]
    largest = max([abs(line["residual_px"]) for line in used] + [0.05]) * 1.3
    panel = Panel(canvas, Box(92, 470, 1380, 700), limits, (-largest, largest))
    panel.level(0.0)
    for line in used:
        error = line["pixel_uncertainty"] or 0.0
        panel.dot(line["fitted_aa"], line["residual_px"], error, colours[line["lamp"]])
    panel.axes("Wavelength in air (Angstrom)", "Residual (pixels)")
    panel.legend(colours)
