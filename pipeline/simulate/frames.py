"""One simulated raw frame at a time: bias, flat, arc, spectrum, image, each with its truth."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from scipy.ndimage import gaussian_filter1d

from goodman_live.pipeline.simulate.cosmics import cosmic_rays
from goodman_live.pipeline.simulate.detector import Exposure, expose
from goodman_live.pipeline.simulate.headers import Log, raw_header
from goodman_live.pipeline.simulate.instrument import (
    ARCSEC_PER_PIXEL,
    OPTICAL_AXIS_COLUMN,
)
from goodman_live.pipeline.simulate.lamps import ArcLines, arc_lines
from goodman_live.pipeline.simulate.law import HALF_WIDTH, WavelengthLaw, nominal_law
from goodman_live.pipeline.simulate.optics import (
    Optics,
    SlitPlace,
    slit_columns,
    slit_illumination,
    slit_stop,
    vignetting,
)
from goodman_live.pipeline.simulate.render import (
    OVERSAMPLING,
    bin_rows,
    column_centres,
    column_edges,
    cumulative_continuum,
    cumulative_lines,
    fine_columns,
    moffat_fraction,
    spread_rows,
)
from goodman_live.pipeline.simulate.scene import (
    Sky,
    Source,
    filter_transmission,
    lamp_continuum,
    source_flux,
    source_photons,
    throughput,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from goodman_live.pipeline.simulate.air import Air
    from goodman_live.pipeline.simulate.instrument import Mode, Setup


@dataclass(frozen=True, slots=True, eq=False)
class SourceTruth:
    """What one source put on the detector."""

    source: Source
    trace: NDArray[np.float64]
    """Centre in unbinned readout rows at each binned column, shape (nx,)."""
    electrons: NDArray[np.float64]
    """All electrons of the source in each binned column, before pixel response, shape (nx,)."""
    wavelength: NDArray[np.float64]
    """Air wavelength at the trace of each binned column, Angstrom, shape (nx,)."""
    flux: NDArray[np.float64]
    """Continuum above the atmosphere there, erg/s/cm2/A, shape (nx,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Everything that the reduction should find."""

    kind: str
    exposure: Exposure
    law: WavelengthLaw | None = None
    lines: ArcLines | None = None
    sources: tuple[SourceTruth, ...] = ()
    sky_electrons: NDArray[np.float64] | None = None
    """Electrons of the sky per unbinned row at mid slit in each binned column, shape (nx,)."""
    stars: NDArray[np.float64] | None = None
    """Stars of an image: column and row (binned, 0-based), electrons; shape (n, 3)."""
    notes: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class SimFrame:
    """A raw frame and its truth."""

    header: fits.Header
    data: NDArray[np.uint16]
    truth: Truth

    def write(self, path: Path) -> None:
        """Write the raw frame as the camera would: 16 bits with BZERO 32768."""
        fits.PrimaryHDU(self.data, self.header).writeto(path)


def _finish(
    setup: Setup,
    log: Log,
    electrons: NDArray[np.float64] | None,
    rng: np.random.Generator,
    *,
    truth: Callable[[Exposure], Truth],
    cosmic: NDArray[np.float32] | None = None,
) -> SimFrame:
    exposure = expose(setup, electrons, rng, cosmic)
    return SimFrame(raw_header(setup, log), exposure.data, truth(exposure))


def _typed(log: Log, obstype: str) -> Log:
    """Return a log with the type of its frame, unless it is one to find the focus by."""
    return log if log.obstype == "FOCUS" else replace(log, obstype=obstype)


def bias(setup: Setup, *, seed: int, log: Log | None = None) -> SimFrame:
    """Return a bias frame."""
    log = replace(log or Log(), obstype="BIAS", exptime_s=0.0)
    rng = np.random.default_rng(seed)
    return _finish(setup, log, None, rng, truth=lambda exposure: Truth("bias", exposure))


def flat(
    setup: Setup,
    *,
    seed: int,
    law: WavelengthLaw | None = None,
    peak_adu: float = 25000.0,
    scattered: float = 0.004,
    log: Log | None = None,
) -> SimFrame:
    """Return a lamp flat: quartz light through slit and grating, or an evenly lit image.

    Parameters
    ----------
    setup : Setup
        Configuration.
    seed : int
        Seed of all noise; lamp brightness drifts by a per cent with it.
    law : WavelengthLaw, optional
        Wavelengths; the mode's nominal law by default.
    peak_adu : float
        Brightest level, ADU above bias.
    scattered : float
        Diffuse light everywhere, as a share of the brightest level.
    log : Log, optional
        Header facts.
    """
    log = replace(log or Log(exptime_s=5.0), obstype="LAMPFLAT", quartz=True)
    rng = np.random.default_rng(seed)
    peak = peak_adu * setup.readout.gain * rng.normal(1, 0.01)
    if setup.mode is None:
        image = vignetting(setup) * peak
    else:
        law = law or nominal_law(setup.mode)
        blocker = setup.mode.filter2
        cumulative = cumulative_continuum(
            law, lambda w: lamp_continuum(w) * filter_transmission(blocker, w)
        )
        image = bin_rows(setup, spread_rows(setup, law, cumulative) * slit_illumination(setup))
        image *= peak / image.max()
        image += scattered * peak
    return _finish(setup, log, image, rng, truth=lambda exposure: Truth("flat", exposure, law=law))


def arc(
    setup: Setup,
    lamps: tuple[str, ...] = ("HGA", "NE"),
    *,
    seed: int,
    law: WavelengthLaw | None = None,
    offsets: Mapping[str, float] | None = None,
    optics: Optics | None = None,
    peak_adu: float = 40000.0,
    log: Log | None = None,
) -> SimFrame:
    """Return a comparison-lamp frame.

    Parameters
    ----------
    setup : Setup
        Configuration with a grating.
    lamps : tuple of str
        Lamps that are on, of ``HGA NE AR CU FE``.
    seed : int
        Seed of all noise.
    law : WavelengthLaw, optional
        Wavelengths; the mode's nominal law by default.
    offsets : mapping, optional
        Unbinned columns by which each lamp's light falls off the law.
    optics : Optics, optional
        Focus along the dispersion.
    peak_adu : float
        Brightest pixel of the strongest line, ADU above bias; above the converter's range the
        line saturates.
    log : Log, optional
        Header facts.

    Raises
    ------
    ValueError
        If the set-up has no grating.
    """
    law = law or nominal_law(_grating_mode(setup))
    log = replace(_typed(log or Log(exptime_s=30.0), "ARC"), lamps=lamps)
    rng = np.random.default_rng(seed)
    lines = arc_lines(lamps, offsets)
    blocker = _grating_mode(setup).filter2
    seen = throughput(lines.wavelength) / throughput(np.array(5500.0))
    flux = lines.strength * seen * filter_transmission(blocker, lines.wavelength)
    centre = law.column(lines.wavelength) + lines.offset
    cumulative = cumulative_lines(centre, flux, slit_columns(setup), (optics or Optics()).sigma)
    image = bin_rows(setup, spread_rows(setup, law, cumulative) * slit_illumination(setup))
    if image.max() > 0:
        image *= peak_adu * setup.readout.gain / image.max()
    image += 4.0 * slit_illumination(setup)[:: setup.ybin] * setup.xbin * setup.ybin
    return _finish(
        setup,
        log,
        image,
        rng,
        truth=lambda exposure: Truth("arc", exposure, law=law, lines=lines),
    )


def spectrum(
    setup: Setup,
    sources: Sequence[Source],
    *,
    seed: int,
    exptime_s: float = 900.0,
    law: WavelengthLaw | None = None,
    sky: Sky | None = None,
    optics: Optics | None = None,
    cosmic_rate: float = 1.0,
    air: Air | None = None,
    log: Log | None = None,
) -> SimFrame:
    """Return a long-slit science frame.

    Parameters
    ----------
    setup : Setup
        Configuration with a grating.
    sources : sequence of Source
        Objects in the slit; none for blank sky.
    seed : int
        Seed of all noise.
    exptime_s : float
        Exposure time, seconds.
    law : WavelengthLaw, optional
        Wavelengths, flexure included; the mode's nominal law by default.
    sky : Sky, optional
        Night sky.
    optics : Optics, optional
        Focus along the dispersion.
    cosmic_rate : float
        Cosmic rays relative to the usual number.
    air : Air, optional
        What the light of the sources passes; by default the usual air without its bands.
    log : Log, optional
        Header facts.

    Raises
    ------
    ValueError
        If the set-up has no grating.
    """
    mode = _grating_mode(setup)
    law, sky, optics = law or nominal_law(mode), sky or Sky(), optics or Optics()
    log = replace(log or Log(), obstype="SPECTRUM", exptime_s=exptime_s)
    rng = np.random.default_rng(seed)
    sky_cumulative = _sky_cumulative(setup, law, sky, optics) * exptime_s
    image = spread_rows(setup, law, sky_cumulative)
    truths = []
    for source in sources:
        placed = _source_truth(setup, law, source, optics, exptime_s, air)
        _add_source(setup, image, placed)
        truths.append(placed)
    image = bin_rows(setup, image * slit_illumination(setup))
    cosmic = cosmic_rays(setup, exptime_s, rng, rate=cosmic_rate)
    sky_row = np.diff(np.interp(column_edges(setup), fine_columns(), sky_cumulative))

    def truth(exposure: Exposure) -> Truth:
        return Truth("spectrum", exposure, law=law, sources=tuple(truths), sky_electrons=sky_row)

    return _finish(setup, log, image, rng, truth=truth, cosmic=cosmic)


def _grating_mode(setup: Setup) -> Mode:
    if setup.mode is None:
        msg = "a spectrum needs a grating: give setup() a mode"
        raise ValueError(msg)
    return setup.mode


def _sky_cumulative(
    setup: Setup, law: WavelengthLaw, sky: Sky, optics: Optics
) -> NDArray[np.float64]:
    """Return cumulative electrons of the sky per second and unbinned row."""
    slit = setup.slit_arcsec or 0.45
    blocker = _grating_mode(setup).filter2
    continuum = cumulative_continuum(
        law,
        lambda w: sky.photons(w, slit * ARCSEC_PER_PIXEL) * filter_transmission(blocker, w),
    )
    wave, rate = sky.lines.T
    flux = rate * sky.line_rate * slit * filter_transmission(blocker, wave)
    return continuum + cumulative_lines(law.column(wave), flux, slit_columns(setup), optics.sigma)


def _source_truth(
    setup: Setup,
    law: WavelengthLaw,
    source: Source,
    optics: Optics,
    exptime_s: float,
    air: Air | None,
) -> SourceTruth:
    blocker = _grating_mode(setup).filter2

    def passed(wave: NDArray[np.float64]) -> NDArray[np.float64]:
        clear = filter_transmission(blocker, wave)
        return clear if air is None else clear * air.transmission(wave)

    cumulative = cumulative_continuum(law, lambda w: source_photons(source, w) * passed(w))
    blur = float(optics.sigma(np.array([OPTICAL_AXIS_COLUMN]))[0])
    sigma = np.hypot(blur, min(slit_columns(setup), 8.0) / 3.46)
    cumulative = gaussian_filter1d(cumulative, sigma * OVERSAMPLING, mode="nearest")
    if source.lines:
        wave, rate = np.array(source.lines).T
        flux = rate * passed(wave)
        cumulative += cumulative_lines(law.column(wave), flux, slit_columns(setup), optics.sigma)
    centres = column_centres(setup)
    u = (centres - OPTICAL_AXIS_COLUMN) / HALF_WIDTH
    trace = source.row + source.slope * (centres - OPTICAL_AXIS_COLUMN) + source.curve * u**2
    edges = column_edges(setup)
    shift = law.displacement(np.interp(edges, centres, trace))
    electrons = np.diff(np.interp(edges - shift, fine_columns(), cumulative * exptime_s))
    wavelength = law.wavelength(centres, trace)
    return SourceTruth(source, trace, electrons, wavelength, source_flux(source, wavelength))


def _add_source(setup: Setup, image: NDArray[np.float64], truth: SourceTruth) -> None:
    """Add a source to an image of unbinned rows and binned columns, in place."""
    fwhm = truth.source.fwhm_arcsec / ARCSEC_PER_PIXEL
    reach = int(np.ceil(12 * fwhm)) + 4
    first = np.floor(truth.trace).astype(int) - setup.region.y0
    offsets = np.arange(-reach, reach + 1)
    rows = first[None, :] + offsets[:, None]
    distance = rows + setup.region.y0 - truth.trace
    light = truth.electrons * moffat_fraction(distance, fwhm, truth.source.beta)
    columns = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    inside = (rows >= 0) & (rows < image.shape[0])
    image[rows[inside], columns[inside]] += light[inside]


def image(
    setup: Setup,
    *,
    seed: int,
    stars: int = 120,
    exptime_s: float = 30.0,
    fwhm_arcsec: float = 0.9,
    placed: NDArray[np.float64] | None = None,
    slit: SlitPlace | None = None,
    log: Log | None = None,
) -> SimFrame:
    """Return a direct image of a random field of stars.

    Parameters
    ----------
    setup : Setup
        Configuration without a grating.
    seed : int
        Seed of field and noise.
    stars : int
        Number of stars.
    exptime_s : float
        Exposure time, seconds.
    fwhm_arcsec : float
        Seeing.
    placed : ndarray, optional
        Stars to draw in place of random ones: column, row (binned, 0-based, of the readout) and
        e/s, shape (n, 3).
    slit : SlitPlace, optional
        Slit that is in the light: nothing passes beside it.
    log : Log, optional
        Header facts.
    """
    if slit is not None:
        setup = replace(setup, slit_arcsec=slit.arcsec)
    log = replace(_typed(log or Log(), "EXPOSE"), exptime_s=exptime_s)
    rng = np.random.default_rng(seed)
    ny, nx = setup.shape
    x, y = rng.uniform(20, nx - 20, stars), rng.uniform(20, ny - 20, stars)
    electrons = exptime_s * 10 ** rng.uniform(1.2, 4.2, stars)
    if placed is not None:
        x, y, electrons = placed[:, 0], placed[:, 1], placed[:, 2] * exptime_s
    pixels = setup.xbin * setup.ybin
    light = np.full((ny, nx), 6.0 * exptime_s * pixels)
    a = fwhm_arcsec / ARCSEC_PER_PIXEL / (2 * np.sqrt(2 ** (1 / 3.0) - 1))
    reach = int(15 * fwhm_arcsec / ARCSEC_PER_PIXEL / min(setup.xbin, setup.ybin)) + 1
    for xi, yi, amount in zip(x, y, electrons, strict=True):
        xs = np.arange(max(int(xi) - reach, 0), min(int(xi) + reach + 1, nx))
        ys = np.arange(max(int(yi) - reach, 0), min(int(yi) + reach + 1, ny))
        if not (len(xs) and len(ys)):
            continue
        r2 = ((xs - xi) * setup.xbin) ** 2 + ((ys[:, None] - yi) * setup.ybin) ** 2
        # the two-dimensional Moffat of exponent 3 integrates to pi a^2 / 2
        profile = (1 + r2 / a**2) ** -3 * 2 / (np.pi * a**2) * pixels
        light[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] += amount * profile
    light *= vignetting(setup)
    if slit is not None:
        light *= slit_stop(setup, slit)
    cosmic = cosmic_rays(setup, exptime_s, rng)
    truth_stars = np.column_stack([x, y, electrons])
    return _finish(
        setup, log, light, rng,
        truth=lambda exposure: Truth("image", exposure, stars=truth_stars), cosmic=cosmic,
    )  # fmt: skip
