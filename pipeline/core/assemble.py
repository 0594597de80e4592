"""Put one target's spectrum together: measured flux, its flags, and the record in its header."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from goodman_live.pipeline.core.background import Background, fit_background
from goodman_live.pipeline.core.errors import NoTargetError
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.instrument import PIXEL_ARCSEC
from goodman_live.pipeline.core.optimal import Measured, extract_optimal
from goodman_live.pipeline.core.source import columns_scaled, core_offsets, cut_strip
from goodman_live.pipeline.core.spectrum import Spectrum
from goodman_live.pipeline.core.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.aperture import Aperture
    from goodman_live.pipeline.core.background import Zones
    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.core.refine import Points
    from goodman_live.pipeline.core.source import Source, Strip
    from goodman_live.pipeline.core.working import Working

LEAST_KEPT = 0.15
"""A column with less of the profile left than this has no flux."""
FLAG_KEPT = 0.6
"""A column with less of the profile left than this is flagged with what was lost."""
CORE_SHARE = 0.02
"""A saturated pixel that holds this share of the light flags its column."""


class State(Protocol):
    """What must be known of a source (see `solve.Solved`)."""

    source: Source
    points: Points
    flux: NDArray[np.float64]
    borrowed: bool
    aperture: Aperture | None
    zones: Zones
    notes: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class Extracted:
    """One target's spectrum with what it was made from."""

    spectrum: Spectrum
    """The spectrum on the native columns."""
    trace: Trace
    """Where it runs."""
    lower: float
    """Lower edge of the aperture relative to the trace, unbinned rows."""
    upper: float
    """Upper edge."""
    zones: Zones
    """Background zones relative to the trace, unbinned rows."""
    quality: dict[str, float | int | str | bool | None]
    """Numbers of quality, units in the names."""
    notes: tuple[str, ...]
    """What the reader should know."""
    source: Source
    """The model of the source, in binned pixels of the frame."""


def assemble(
    frame: Frame, work: Working, states: Sequence[State], index: int, *, method: str
) -> Extracted:
    """Measure one solved source.

    Parameters
    ----------
    frame : Frame
        The reduced frame.
    work : Working
        The same, made ready.
    states : sequence of State
        All sources of the frame, solved.
    index : int
        Which to measure.
    method : {"optimal", "fractional"}
        How.

    Returns
    -------
    Extracted
        The spectrum with its record.

    Raises
    ------
    NoTargetError
        If the aperture has no usable pixel in any column.
    """
    state = states[index]
    source, u = state.source, columns_scaled(work.shape[1])
    others = [(s.source, s.flux) for i, s in enumerate(states) if i != index and s.flux.any()]
    lower, upper = _edges(state, work)
    zones = _fractional_zones(lower, upper, state) if method == "fractional" else state.zones
    background = fit_background(work, source, state.flux, others, zones, u)
    strip = cut_strip(work, source.path(u), core_offsets(source, work.shape[0]))
    job = _Job(work, strip, background, source, others, u)
    flags = work.flags.ravel()[_flat(strip, work)]
    own_edges = state.aperture is not None and state.aperture.lower is not None
    if method == "fractional":
        strip = _taller(work, source, u, lower, upper)
        job = _Job(work, strip, background, source, others, u)
        flags = work.flags.ravel()[_flat(strip, work)]
        measured, cover = job.fractional(flags, lower, upper)
    else:
        limits = (lower, upper) if own_edges else None
        measured, cover = job.optimal(flags, limits)
    flux, sigma, bits = _finish(measured, flags, cover, strip)
    if not np.isfinite(flux).any():
        raise NoTargetError(
            f"The aperture at row {_row(work, source):.0f} has no usable pixel in any column.",
            remedy="Place it where the slit is lit, on pixels that are not masked.",
            field="aperture",
        )
    trace = _trace(state, work)
    level = strip.sky[strip.offset.shape[0] // 2] + background.level
    spectrum = Spectrum(
        flux=flux,
        uncertainty=sigma,
        flags=bits,
        sky=level * (upper - lower),
        column=work.window.columns_unbinned(),
        trace=trace.at(work.window.columns_unbinned()),
        header=frame.header.copy(),
        unit=frame.unit,
    )
    quality = _quality(spectrum, state, trace, background, work, measured)
    _record(spectrum.header, state, trace, work, (lower, upper), zones, method, quality)
    ybin = work.window.ybin
    return Extracted(
        spectrum=spectrum,
        trace=trace,
        lower=lower * ybin,
        upper=upper * ybin,
        zones=tuple((a * ybin, b * ybin) for a, b in zones),
        quality=quality,
        notes=tuple(state.notes),
        source=source,
    )


def _flat(strip: Strip, work: Working) -> NDArray[np.intp]:
    ny, nx = work.shape
    return np.asarray(np.clip(strip.rows, 0, ny - 1) * nx + np.arange(nx))


def _edges(state: State, work: Working) -> tuple[float, float]:
    """Return the aperture's edges in binned rows from the trace: by default one FWHM each way."""
    aperture = state.aperture
    if aperture is not None and aperture.lower is not None and aperture.upper is not None:
        return aperture.lower / work.window.ybin, aperture.upper / work.window.ybin
    fwhm = float(np.median(state.source.fwhm(np.linspace(-1, 1, 33))))
    return -fwhm, fwhm


def _fractional_zones(lower: float, upper: float, state: State) -> Zones:
    """Return two zones as wide as the aperture, three FWHM beyond its edges."""
    if state.aperture is not None and state.aperture.zones:
        return state.zones
    width = upper - lower
    gap = 1.5 * width
    return (lower - gap - width, lower - gap), (upper + gap, upper + gap + width)


def _taller(
    work: Working, source: Source, u: NDArray[np.float64], lower: float, upper: float
) -> Strip:
    offsets = core_offsets(source, work.shape[0])
    low = min(int(np.floor(lower)) - 2, int(offsets[0]))
    high = max(int(np.ceil(upper)) + 2, int(offsets[-1]))
    return cut_strip(work, source.path(u), np.arange(low, high + 1))


class _Job:
    """One target's pixels with the models of all sources in them."""

    def __init__(
        self,
        work: Working,
        strip: Strip,
        background: Background,
        source: Source,
        others: Sequence[tuple[Source, NDArray[np.float64]]],
        u: NDArray[np.float64],
    ) -> None:
        self.work, self.background = work, background
        self.own = source.profile(strip.offset, u)
        self.blends: list[NDArray[np.float64]] = []
        self.wings = np.zeros_like(self.own)
        reach = np.abs(strip.offset).max()
        for other, flux in others:
            distance = strip.rows - other.path(u)
            if np.abs(distance).min() > other.reach:
                continue
            model = other.profile(distance, u)
            apart = float(np.median(np.abs(other.path(u) - source.path(u))))
            if apart < reach + 1.5 * float(other.fwhm(u).max()):
                self.blends.append(model)
            else:
                self.wings += flux * model
        self.strip = strip

    def usable(self, flags: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return good pixels, saturated ones only where too little else is left."""
        good = self.strip.good
        clean = good & ((flags & Flag.SATURATED.value) == 0)
        left = (self.own * clean).sum(axis=0) / np.maximum(self.own.sum(axis=0), 1e-12)
        return np.where(left < 0.3, good, clean)

    def without_wings(self) -> Strip:
        """Return the strip less the light of sources that do not overlap the target."""
        strip = self.strip
        return replace(strip, data=strip.data - self.wings, sky=strip.sky + self.wings)

    def optimal(
        self, flags: NDArray[np.uint8], limits: tuple[float, float] | None
    ) -> tuple[Measured, NDArray[np.float64]]:
        usable = self.usable(flags)
        cover = self.own
        if limits is not None:
            inside = (self.strip.offset >= limits[0] - 0.5) & (
                self.strip.offset <= limits[1] + 0.5
            )
            usable = usable & inside
            cover = np.where(inside, self.own, 0.0)
        measured = extract_optimal(
            self.work, self.without_wings(), self.background, [self.own, *self.blends], usable
        )
        return measured, cover

    def fractional(
        self, flags: NDArray[np.uint8], lower: float, upper: float
    ) -> tuple[Measured, NDArray[np.float64]]:
        """Sum pixels and their fractions; lost pixels are made up for by the profile."""
        strip = self.without_wings()
        seen = extract_optimal(
            self.work, strip, self.background, [self.own, *self.blends], self.usable(flags)
        )
        rejected = seen.rejected
        use = strip.good & ~rejected
        top = np.minimum(strip.offset + 0.5, upper)
        share = np.clip(top - np.maximum(strip.offset - 0.5, lower), 0.0, 1.0)
        under = self.background.level + self.background.slope * strip.offset
        value = strip.data - under
        if self.blends:
            value = value - (seen.model - np.nan_to_num(seen.flux) * self.own)
        whole = (share * self.own).sum(axis=0)
        kept = (share * self.own * use).sum(axis=0) / np.maximum(whole, 1e-12)
        safe = np.maximum(kept, 1e-6)
        flux = (share * use * value).sum(axis=0) / safe
        variance = (share**2 * use * seen.noise).sum(axis=0) / safe**2
        variance += (upper - lower) ** 2 * self.background.variance
        return (
            Measured(flux, variance, kept, rejected, use, seen.model, seen.noise),
            share * self.own,
        )


def _finish(
    measured: Measured, flags: NDArray[np.uint8], cover: NDArray[np.float64], strip: Strip
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint8]]:
    """Return flux, uncertainty and flags; columns that hold too little are NaN."""
    total = np.maximum(cover.sum(axis=0), 1e-12)
    kept = (cover * measured.used).sum(axis=0) / total
    lost = (cover > CORE_SHARE * total) & ~measured.used
    bits = np.zeros(kept.size, dtype=np.uint8)
    causes = np.bitwise_or.reduce(np.where(lost, flags, np.uint8(0)), axis=0)
    own = (lost & measured.rejected).any(axis=0)
    causes |= np.where(own, Flag.COSMIC.value, 0).astype(np.uint8)
    outside = (lost & ~strip.good & (flags == 0)).any(axis=0)
    causes |= np.where(outside, Flag.NO_DATA.value, 0).astype(np.uint8)
    bits |= np.where(kept < FLAG_KEPT, causes, 0).astype(np.uint8)
    core = cover > CORE_SHARE * total
    saturated = (core & ((flags & Flag.SATURATED.value) != 0)).any(axis=0)
    bits |= np.where(saturated, Flag.SATURATED.value, 0).astype(np.uint8)
    unflat = (cover * ((flags & Flag.LOW_FLAT.value) != 0)).sum(axis=0) / total > 0.5
    bits |= np.where(unflat, Flag.LOW_FLAT.value, 0).astype(np.uint8)
    nothing = (kept < LEAST_KEPT) | ~np.isfinite(measured.variance) | (measured.variance <= 0)
    bits |= np.where(nothing, Flag.NO_DATA.value, 0).astype(np.uint8)
    flux = np.where(nothing, np.nan, measured.flux)
    sigma = np.where(nothing, np.nan, np.sqrt(np.where(nothing, 1.0, measured.variance)))
    return flux, sigma, bits


def _row(work: Working, source: Source) -> float:
    window = work.window
    return float(source.path(np.zeros(1))[0]) * window.ybin + window.y0 + (window.ybin - 1) / 2


def _trace(state: State, work: Working) -> Trace:
    """Return the path in unbinned readout coordinates."""
    window = work.window
    columns = window.columns_unbinned()
    offset = window.y0 + (window.ybin - 1) / 2
    coefficients = state.source.path.coefficients * window.ybin
    coefficients[0] += offset
    points = state.points
    nx = window.nx
    place = 2 * points.column / max(nx - 1, 1) - 1
    residual = (points.row - state.source.path(place))[points.keep]
    rms = float(np.sqrt(np.mean(residual**2))) if residual.size else float("nan")
    high = float(columns[-1]) if nx > 1 else float(columns[0]) + 1.0
    return Trace(
        coefficients=coefficients,
        domain=(float(columns[0]), high),
        rms=rms,
        columns=window.x0 + (window.xbin - 1) / 2 + window.xbin * points.column,
        rows=points.row * window.ybin + offset,
        sigma=points.sigma * window.ybin,
        keep=points.keep,
        borrowed=state.borrowed,
    )


def _quality(
    spectrum: Spectrum,
    state: State,
    trace: Trace,
    background: Background,
    work: Working,
    measured: Measured,
) -> dict[str, float | int | str | bool | None]:
    good = (spectrum.flags == 0) & np.isfinite(spectrum.flux)
    fwhm = float(np.median(state.source.fwhm(np.linspace(-1, 1, 33))))
    snr = (spectrum.flux[good] / spectrum.uncertainty[good]) if good.any() else np.zeros(1)
    level = np.median(work.sky_image[work.shape[0] // 2] + background.level)
    return {
        "snr_median": _number(np.median(snr)),
        "snr_total": _number(np.sqrt(np.sum(np.clip(snr, 0, None) ** 2))),
        "detection_sigma": _number(state.source.snr),
        "fwhm_px": _number(fwhm),
        "fwhm_arcsec": _number(fwhm * work.window.ybin * PIXEL_ARCSEC),
        "trace_rms_px": _number(trace.rms),
        "trace_order": trace.order,
        "trace_points": int(trace.keep.sum()),
        "trace_borrowed": trace.borrowed,
        "background_level": _number(level),
        "row_unbinned": _number(float(trace.at(np.mean(trace.domain)))),
        "rejected_pixels": int(measured.rejected.sum()),
        "flagged_columns": int((spectrum.flags != 0).sum()),
        "saturated_columns": int(((spectrum.flags & Flag.SATURATED.value) != 0).sum()),
    }


def _number(value: float | np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None


def _record(
    header: Header,
    state: State,
    trace: Trace,
    work: Working,
    edges: tuple[float, float],
    zones: Zones,
    method: str,
    quality: dict[str, float | int | str | bool | None],
) -> None:
    """Write what was done into the header, as the public service does, and what it lacks."""
    start = float(state.source.path(np.array([-1.0]))[0])
    low, high = start + edges[0], start + edges[1]
    header["GSP_TMOD"] = ("Polynomial1D", "model of the trace")
    header["GSP_TORD"] = (trace.order, "order of the trace")
    for k, value in enumerate(trace.power_series(work.window)):
        header[f"GSP_TC{k:02d}"] = (float(value), "trace coefficient, 0-based pixels")
    if np.isfinite(trace.rms):
        header["GSP_TERR"] = (trace.rms, "rms of the trace, pixels")
    header["GSP_TBOR"] = (trace.borrowed, "trace borrowed from another source")
    header["GSP_EXTR"] = (f"{low:.2f}:{high:.2f}", "extraction zone, first column, 0-based")
    header["GSP_XMET"] = (method, "extraction method")
    header["GSP_APLO"] = (edges[0] * work.window.ybin, "lower edge from trace, unbinned rows")
    header["GSP_APHI"] = (edges[1] * work.window.ybin, "upper edge from trace, unbinned rows")
    for k in (0, 1):
        text = "none"
        if k < len(zones):
            text = f"{start + zones[k][0]:.2f}:{start + zones[k][1]:.2f} column 1"
        header[f"GSP_BKG{k + 1}"] = (text, "background zone")
    header["APNUM1"] = f"1 1 {low:.2f} {high:.2f}"
    for key, name, comment in (
        ("GSP_SNR", "snr_median", "median S/N per column"),
        ("GSP_FWHM", "fwhm_px", "FWHM along the slit, pixels"),
        ("GSP_SEEI", "fwhm_arcsec", "FWHM along the slit, arcsec"),
        ("GSP_DETS", "detection_sigma", "significance of the target"),
    ):
        value = quality[name]
        if value is not None:
            header[key] = (value, comment)
