"""What is observed in a simulated night, as data: the shots, in order, with their headers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.simulate.air import Air, air_for
from goodman_live.pipeline.simulate.headers import Log
from goodman_live.pipeline.simulate.instrument import SLIT_CENTRE_ROW, Setup, setup
from goodman_live.pipeline.simulate.law import WavelengthLaw, random_law
from goodman_live.pipeline.simulate.scene import NEBULA, SUPERNOVA, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OBSERVER_PROPOSAL = "SOAR2026B-001"
"""Proposal of the supernova, the main one of the simulated nights."""
OTHER_PROPOSAL = "SOAR2026B-002"
"""Proposal of somebody else, observed on the same night."""
READOUT_S = 6.0
"""Seconds between the end of an exposure and the start of the next."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure to be simulated."""

    kind: str
    """Function of `frames` that makes it: bias, flat, arc, spectrum, image."""
    setup: Setup
    log: Log
    seed: int
    options: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of that function."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something pointed at."""

    name: str
    ra: str
    dec: str
    proposal: str
    block: int
    sources: tuple[Source, ...] = ()
    exptime_s: float = 900.0


STANDARD = Target(
    "LTT7379", "18:36:25.950", "-44:18:36.90", "calibrate", 401790100,
    (Source(SLIT_CENTRE_ROW + 12, 10.2, name="LTT7379", star="LTT 7379"),),
    exptime_s=60.0,
)  # fmt: skip
"""A spectrophotometric standard with its published spectrum."""

SUPERNOVA_TARGET = Target(
    "SN2026abc", "14:03:38.560", "-27:18:42.10", OBSERVER_PROPOSAL, 401790163,
    (Source(SLIT_CENTRE_ROW - 40, 17.2, colour=0.12, features=SUPERNOVA, name="SN2026abc"),),
)  # fmt: skip
"""One bright target."""

CROWDED = Target(
    "GRB260815", "16:12:04.110", "-00:25:23.20", OBSERVER_PROPOSAL, 401790170,
    (
        Source(SLIT_CENTRE_ROW + 5, 17.8, name="afterglow", features=(), colour=0.2),
        Source(SLIT_CENTRE_ROW + 190, 19.3, name="companion", colour=-0.3),
        Source(SLIT_CENTRE_ROW - 260, np.inf, lines=NEBULA, fwhm_arcsec=1.4, name="HII region"),
    ),
)  # fmt: skip
"""Three targets, one of them in emission lines alone; a declination of minus zero degrees."""

FAINT = Target(
    "AT2026xyz", "19:45:12.900", "-62:30:11.00", OTHER_PROPOSAL, 401790181,
    (Source(SLIT_CENTRE_ROW - 20, 20.6, features=SUPERNOVA, name="AT2026xyz"),),
)  # fmt: skip
"""One faint target, of another proposal."""


class Clock:
    """Hands out exposure numbers and times in order."""

    def __init__(self, start: datetime, number: int = 1) -> None:
        self._time = start
        self._number = number

    def log(self, **facts: Any) -> Log:
        """Return the log of the next exposure."""
        log = Log(start=self._time, number=self._number, **facts)
        self._time += timedelta(seconds=log.exptime_s + READOUT_S)
        self._number += 1
        return log

    def wait_until(self, moment: datetime) -> None:
        """Let time pass, never backwards."""
        self._time = max(self._time, moment)


def _named(log: Log, name: str, *, aeon: bool) -> Log:
    date = log.start.strftime("%d-%m-%Y")
    stem, comp, suffix = name.partition("_comp")
    text = f"{log.number:04d}_{stem}_{date}{comp}{suffix}" if aeon else f"{log.number:04d}_{name}"
    return replace(log, file_name=f"{text}.fits")


def calibrations(
    setup_: Setup, clock: Clock, rng: np.random.Generator, law: WavelengthLaw, *, count: int = 10
) -> Iterable[Shot]:
    """Yield the afternoon's bias frames and flats of one set-up."""
    proposal = "calibrate" if setup_.aeon else "SOAR Engineering"
    binning = f"{setup_.xbin}x{setup_.ybin}"
    common = {"proposal": proposal, "block": None, "airmass": 1.66}
    for _ in range(count):
        log = clock.log(obstype="BIAS", object_name="ZERO", **common)
        name = "BIAS" if setup_.aeon else "bias"
        yield Shot("bias", setup_, _named(log, name, aeon=setup_.aeon), _seed(rng))
    mode = setup_.mode.name.replace("_", "").lower() if setup_.mode else setup_.filter1
    for _ in range(count):
        log = clock.log(obstype="LAMPFLAT", object_name="DFLAT", exptime_s=5.0, **common)
        name = f"GHTS_{setup_.camera.name[0]}_{mode}_{binning}" if setup_.aeon else "dflat"
        options = {} if setup_.mode is None else {"law": law}
        shot_log = _named(log, name, aeon=setup_.aeon)
        yield Shot("flat", setup_, shot_log, _seed(rng), options)


def visit(
    setup_: Setup,
    clock: Clock,
    rng: np.random.Generator,
    law: WavelengthLaw,
    target: Target,
    *,
    lamps: tuple[str, ...] = ("HGA", "NE"),
    exposures: int = 1,
    arc_first: bool = False,
) -> Iterable[Shot]:
    """Yield the exposures of a target and its arc at the same pointing.

    Each exposure is displaced by its own flexure; the lamps fill the pupil differently.
    """
    offsets = dict(zip(lamps, rng.normal(0, 0.2, len(lamps)), strict=True))
    flexure = float(rng.normal(0, 0.3))
    facts = {
        "ra": target.ra, "dec": target.dec, "proposal": target.proposal, "block": target.block,
        "object_name": target.name,
    }  # fmt: skip
    off = float(rng.normal(1, 0.05))

    def air(log: Log) -> Air:
        mid = log.start + timedelta(seconds=log.exptime_s / 2)
        return air_for(target.ra, target.dec, mid, off=off, grey=float(rng.uniform(0.7, 1.0)))

    def arc() -> Shot:
        log = clock.log(obstype="ARC", exptime_s=30.0, lamps=lamps, **facts)
        log = _named(log, f"{target.name}_comp", aeon=setup_.aeon)
        options = {"law": law.shifted(flexure), "offsets": offsets, "lamps": lamps}
        return Shot("arc", setup_, log, _seed(rng), options)

    if arc_first:
        yield arc()
    for _ in range(exposures):
        log = clock.log(obstype="SPECTRUM", exptime_s=target.exptime_s, **facts)
        log = _named(log, target.name, aeon=setup_.aeon)
        moved = law.shifted(flexure + float(rng.normal(0, 0.05)))
        through = air(log)
        log = replace(log, airmass=round(through.airmass, 3))
        options = {
            "sources": target.sources,
            "law": moved,
            "exptime_s": target.exptime_s,
            "air": through,
        }
        yield Shot("spectrum", setup_, log, _seed(rng), options)
    if not arc_first:
        yield arc()


def images(setup_: Setup, clock: Clock, rng: np.random.Generator) -> Iterable[Shot]:
    """Yield two direct images of a field."""
    for name in ("Field1", "Field2"):
        log = clock.log(
            obstype="EXPOSE", object_name=name, exptime_s=30.0, proposal=OBSERVER_PROPOSAL,
            ra="13:20:29.828", dec="04:26:20.70",
        )  # fmt: skip
        yield Shot("image", setup_, _named(log, name, aeon=setup_.aeon), _seed(rng))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _night(
    set_ups: Sequence[Setup], seed: int, visits: Sequence[Target], *, count: int = 10
) -> list[Shot]:
    """Return the shots of a night in several spectroscopic or imaging set-ups."""
    rng = np.random.default_rng(seed)
    clock = Clock(datetime(2026, 8, 15, 20, 30, tzinfo=UTC))
    laws = [_law(x, rng) for x in set_ups]
    shots: list[Shot] = []
    for set_up, law in zip(set_ups, laws, strict=True):
        shots += calibrations(set_up, clock, rng, law, count=count)
    clock.wait_until(datetime(2026, 8, 16, 0, 10, tzinfo=UTC))
    for set_up, law in zip(set_ups, laws, strict=True):
        if set_up.mode is None:
            shots += images(set_up, clock, rng)
            continue
        for i, target in enumerate(visits):
            shots += visit(set_up, clock, rng, law, target, arc_first=bool(i % 2))
    return shots


def _law(set_up: Setup, rng: np.random.Generator) -> WavelengthLaw:
    if set_up.mode is None:
        return WavelengthLaw((0.0, 1.0))
    return random_law(set_up.mode, rng)


def demo_night(seed: int = 1) -> list[Shot]:
    """Return the night of the demonstration: Red 2x2, two proposals, one standard."""
    set_up = setup("Red", "400_M1")
    return _night([set_up], seed, [STANDARD, SUPERNOVA_TARGET, FAINT, CROWDED])


def full_night(seed: int = 1) -> list[Shot]:
    """Return a night with both cameras, both binnings, spectra and images, both spellings."""
    set_ups = [
        setup("Red", "400_M1"),
        setup("Red", "930_M2", binning=(1, 1)),
        setup("Blue", "600_BLUE", aeon=False),
        setup("Blue", "400_M1", binning=(1, 1), aeon=False),
        setup("Red", None, filter1="g-SDSS"),
        setup("Blue", None, binning=(1, 1), filter1="V-Bessel", aeon=False),
    ]
    return _night(set_ups, seed, [STANDARD, SUPERNOVA_TARGET, CROWDED, FAINT])


def bench_night(seed: int = 1, *, binning: tuple[int, int] = (2, 2)) -> list[Shot]:
    """Return 10 bias, 10 flats, 4 science frames and 6 arcs in one set-up."""
    rng = np.random.default_rng(seed)
    clock = Clock(datetime(2026, 8, 15, 20, 30, tzinfo=UTC))
    set_up = setup("Red", "400_M1", binning=binning)
    law = random_law(set_up.mode, rng)  # type: ignore[arg-type]
    shots = list(calibrations(set_up, clock, rng, law))
    clock.wait_until(datetime(2026, 8, 16, 0, 10, tzinfo=UTC))
    for target in (STANDARD, SUPERNOVA_TARGET, CROWDED, FAINT):
        shots += visit(set_up, clock, rng, law, target)
    for target in (SUPERNOVA_TARGET, CROWDED):
        shots += list(visit(set_up, clock, rng, law, target, exposures=0))
    return shots


PRESETS = {"demo": demo_night, "full": full_night, "bench": bench_night}
"""Nights by name."""
