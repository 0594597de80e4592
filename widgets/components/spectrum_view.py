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
        # What a run through focus shows instead of flux.
        self.curve = bqplot.Lines(**empty, colors=["#26a69a"], stroke_width=1.5, visible=False)
        self.best = bqplot.Lines(
            **empty, colors=["#e0913a"], line_style="dashed", stroke_width=1.5, visible=False
        )
        self.used = bqplot.Scatter(**empty, colors=["#26a69a"], default_size=60, visible=False)
        self.left_out = bqplot.Scatter(
            **empty, colors=["#e0913a"], marker="cross", default_size=60, visible=False
        )
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
            marks=[
                *(self.curve, self.best, self.used, self.left_out),
                *(self.band, self.sky, self.flux),
            ],
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
        self.y_axis.tick_format = "~s" if largest == 0 or 0.1 <= largest < 1e6 else "~g"
        with self.flux.hold_sync():
            self.flux.x, self.flux.y = x, flux
        with self.band.hold_sync():
            self.band.x, self.band.y = x, np.stack([flux - spread, flux + spread])
        with self.sky.hold_sync():
            self.sky.x, self.sky.y = x, _array(spectrum.get("sky"), like=flux)
        self.flux.visible = True
        for mark in (self.curve, self.best, self.used, self.left_out):
            mark.visible = False
        self._range = _limits(x, flux)
        if not keep:
            self.reset()

    def show_run(self, run: Mapping[str, Any]) -> None:
        """Show a run through focus: its frames as points, the curve through them, the best.

        Parameters
        ----------
        run : mapping
            ``points curve best bracketed`` as the service's diagnostics give them.
        """
        self.flux.visible = False
        seen = [one for one in run["points"] if one["setting"] is not None and one["fwhm_px"]]
        for mark, used in ((self.used, True), (self.left_out, False)):
            some = [one for one in seen if one["used"] is used]
            with mark.hold_sync():
                mark.x = np.array([one["setting"] for one in some], dtype=float)
                mark.y = np.array([one["fwhm_px"] for one in some], dtype=float)
                mark.visible = bool(some)
        x = _array(run["curve"]["setting"] if run["bracketed"] else [])
        y = _array(run["curve"]["fwhm_px"] if run["bracketed"] else [])
        points = np.array([(one["setting"], one["fwhm_px"]) for one in seen]).reshape(-1, 2)
        across, up = np.concatenate([x, points[:, 0]]), np.concatenate([y, points[:, 1]])
        if not across.size:
            return
        low, high = float(np.nanmin(up)), float(np.nanmax(up))
        room, side = 0.08 * (high - low) or 0.5, 0.03 * float(np.ptp(across)) or 1.0
        self._range = (across.min() - side, across.max() + side, low - room, high + room)
        with self.curve.hold_sync():
            self.curve.x, self.curve.y, self.curve.visible = x, y, bool(x.size)
        if run["best"] is not None:
            with self.best.hold_sync():
                self.best.x, self.best.y = np.full(2, run["best"]), np.array(self._range[2:])
        self.best.visible = run["best"] is not None
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
