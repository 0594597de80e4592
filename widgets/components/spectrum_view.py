"""A spectrum that pans and zooms: flux, its uncertainty as a band, the sky."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bqplot
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

MARGIN = {"top": 14, "bottom": 46, "left": 86, "right": 20}


class SpectrumView:
    """Lines on a pair of axes.

    Attributes
    ----------
    widget : ipywidgets.Widget
        The figure, to put on a page.
    """

    def __init__(self) -> None:
        self._range: tuple[float, float, float, float] | None = None
        self.x = bqplot.LinearScale(allow_padding=False)
        self.y = bqplot.LinearScale()
        scales = {"x": self.x, "y": self.y}
        empty: dict[str, Any] = {"x": np.zeros(1), "y": np.zeros(1), "scales": scales}
        self.band = bqplot.Lines(
            x=np.zeros(1),
            y=np.zeros((2, 1)),
            scales=scales,
            colors=["#26a69a", "#26a69a"],
            fill="between",
            fill_colors=["#26a69a"],
            fill_opacities=[0.3],
            stroke_width=0,
            visible=False,
        )
        self.sky = bqplot.Lines(**empty, colors=["#e0913a"], stroke_width=1, visible=False)
        self.flux = bqplot.Lines(**empty, colors=["#26a69a"], stroke_width=1.2)
        self.x_axis = bqplot.Axis(
            scale=self.x, label="Wavelength (Angstrom)", label_offset="36px", grid_lines="none"
        )
        self.y_axis = bqplot.Axis(
            scale=self.y,
            label="Intensity (ADU)",
            side="left",
            label_offset="72px",
            tick_format="~s",
            grid_lines="none",
        )
        self.widget = bqplot.Figure(
            marks=[self.band, self.sky, self.flux],
            axes=[self.x_axis, self.y_axis],
            interaction=bqplot.PanZoom(scales={"x": [self.x], "y": [self.y]}),
            fig_margin=MARGIN,
            animation_duration=0,
            padding_x=0,
            padding_y=0,
        )
        self.widget.layout.width = "100%"
        self.widget.layout.height = "440px"

    def show(self, spectrum: Mapping[str, Any], *, keep: bool) -> None:
        """Show a spectrum.

        Parameters
        ----------
        spectrum : mapping
            As the service gives it: ``x`` and ``y`` with ``name`` and ``values``,
            ``uncertainty``, ``sky``; null where there is no number.
        keep : bool
            Stay where the reader has zoomed to.
        """
        x = _array(spectrum["x"]["values"])
        flux = _array(spectrum["y"]["values"])
        spread = _array(spectrum.get("uncertainty"), like=flux)
        self.x_axis.label = spectrum["x"]["name"]
        self.y_axis.label = spectrum["y"]["name"]
        largest = np.nanmax(np.abs(flux), initial=0.0)
        # Prefixes of units would be riddles beside a unit that is spelt out.
        self.y_axis.tick_format = "~s" if largest == 0 or 0.1 <= largest < 1e6 else "~e"
        with self.flux.hold_sync():
            self.flux.x, self.flux.y = x, flux
        with self.band.hold_sync():
            self.band.x, self.band.y = x, np.stack([flux - spread, flux + spread])
        with self.sky.hold_sync():
            self.sky.x, self.sky.y = x, _array(spectrum.get("sky"), like=flux)
        self._range = _limits(x, flux)
        if not keep:
            self.reset()

    def reset(self) -> None:
        """Show the whole spectrum."""
        if self._range is None:
            return
        with self.x.hold_sync(), self.y.hold_sync():
            self.x.min, self.x.max, self.y.min, self.y.max = self._range


def _array(values: Any, *, like: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
    if values is None:
        return np.full_like(like, np.nan) if like is not None else np.zeros(0)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _limits(
    x: np.ndarray[Any, Any], flux: np.ndarray[Any, Any]
) -> tuple[float, float, float, float]:
    """Return x and y limits that a single wild pixel cannot spoil."""
    good = flux[np.isfinite(flux)]
    along = x[np.isfinite(x)]
    if not good.size or not along.size:
        return 0.0, 1.0, 0.0, 1.0
    low, high = np.percentile(good, [0.2, 99.9])
    room = 0.06 * (high - low) or 1.0
    return float(along.min()), float(along.max()), float(low - room), float(high + room)
