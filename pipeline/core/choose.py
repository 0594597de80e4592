"""Which master and which arcs serve a frame: pure choice, graded, with its reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from math import cos, hypot, isnan, radians
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.info import FrameInfo, Kind, Technique
from goodman_live.pipeline.core.instrument import ANGLE_TOLERANCE_DEG, light_window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GRADES = "ABCD"
"""A: same set-up, same night (arc: same block or pointing). D: usable for want of better."""

POSITION_DEG = 0.01
"""Pointings closer than this are the same."""

_HOUR = 3600.0

_Check = tuple[str, "Callable[[FrameInfo, FrameInfo], bool]"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for a frame and why, or why nothing was."""

    chosen: FrameInfo | None
    """The candidate, None if none is suitable."""
    index: int | None
    """Its place in the sequence of candidates."""
    grade: str
    """One of `GRADES`, empty if none is suitable."""
    reasons: tuple[str, ...]
    """How the choice was graded, or what every candidate lacks; for people."""
    provisional: bool = False
    """It is of another night: choose again when one of this night arrives."""

    @property
    def reason(self) -> str:
        """Return the reasons in one line."""
        return "; ".join(self.reasons)


def bias_key(info: FrameInfo) -> tuple[object, ...]:
    """Return what must be equal among frames that make one master bias (night apart)."""
    return (info.camera, info.window, round(info.gain, 2), round(info.rdnoise, 2))


def flat_key(info: FrameInfo) -> tuple[object, ...]:
    """Return what must be equal among frames that make one master flat (night apart)."""
    optics = (info.grating, info.filter.upper(), info.filter2.upper(), _slit_key(info))
    angles = (
        ()
        if info.technique is Technique.IMAGING
        else (_angle(info.cam_targ), _angle(info.grt_targ))
    )
    return (*bias_key(info), info.technique, *optics, *angles)


def flux_key(info: FrameInfo) -> tuple[object, ...]:
    """Return what must be equal among standards that make one sensitivity function."""
    angles = (_angle(info.cam_targ), _angle(info.grt_targ))
    return (info.camera, info.grating, info.filter.upper(), info.filter2.upper(), *angles)


def stack_key(info: FrameInfo) -> tuple[object, ...]:
    """Return what must be equal among repeated exposures of one target in one set-up and night."""
    words = "".join(info.object_name.casefold().split())
    return (*flux_key(info), _slit_key(info), _binning(info), words, info.night)


def _angle(degrees: float) -> float | None:
    return None if isnan(degrees) else round(degrees, 2)


def _slit_key(info: FrameInfo) -> object:
    return info.slit if info.slit_arcsec is None else info.slit_arcsec


def _same_window(frame: FrameInfo, other: FrameInfo) -> bool:
    """Return whether the light of `frame` lies on the pixels of `other`."""
    try:
        inner = light_window(frame.window, spectrum=frame.technique is not Technique.IMAGING)
        inner.slices_in(other.window)
    except ValueError:
        return False
    return True


def _binning(info: FrameInfo) -> tuple[int, int]:
    return info.window.xbin, info.window.ybin


def _near_angles(frame: FrameInfo, other: FrameInfo) -> bool:
    if frame.technique is Technique.IMAGING:
        return True
    pairs = ((frame.cam_targ, other.cam_targ), (frame.grt_targ, other.grt_targ))
    # NaN, an angle that nothing tells, is near nothing
    return all(abs(mine - its) <= ANGLE_TOLERANCE_DEG for mine, its in pairs)


_PLACE: tuple[_Check, ...] = (
    ("another camera", lambda frame, other: frame.camera == other.camera),
    ("another binning", lambda frame, other: _binning(frame) == _binning(other)),
)
_READOUT: tuple[_Check, ...] = (
    ("another gain", lambda frame, other: abs(frame.gain - other.gain) < 0.005),
    ("another read noise", lambda frame, other: abs(frame.rdnoise - other.rdnoise) < 0.005),
)
_WINDOW: tuple[_Check, ...] = (("another window", _same_window),)
_OPTICS: tuple[_Check, ...] = (
    ("another technique", lambda frame, other: frame.technique == other.technique),
    ("another grating", lambda frame, other: frame.grating == other.grating),
    ("other angles", _near_angles),
    (
        "other filters",
        lambda frame, other: (
            (frame.filter.upper(), frame.filter2.upper())
            == (other.filter.upper(), other.filter2.upper())
        ),
    ),
)
_SLIT: tuple[_Check, ...] = (
    ("another slit", lambda frame, other: _slit_key(frame) == _slit_key(other)),
)
_CHECKS = {
    Kind.BIAS: (*_PLACE, *_READOUT, *_WINDOW),
    Kind.FLAT: (*_PLACE, *_READOUT, *_OPTICS, *_SLIT, *_WINDOW),
    Kind.ARC: (*_PLACE, *_OPTICS, *_WINDOW),
}


def choose_master(
    frame: FrameInfo, candidates: Sequence[FrameInfo], *, kind: Kind | None = None
) -> Choice:
    """Choose the master bias or master flat for a frame.

    Parameters
    ----------
    frame : FrameInfo
        The frame to reduce.
    candidates : Sequence of FrameInfo
        Masters, or raw frames that stand for one.
    kind : {Kind.BIAS, Kind.FLAT}, optional
        What is sought; by default the kind of the first candidate.

    Returns
    -------
    Choice
        The candidate with equal camera, binning, gain, read noise and window (a flat: also
        grating, angles, filters and slit) that is nearest in time. A larger window or another
        night lowers the grade.
    """
    kind = kind or next((candidate.kind for candidate in candidates), Kind.BIAS)
    suitable = _suitable(frame, candidates, kind)
    if not suitable:
        return _nothing(frame, candidates, kind)
    graded = [
        (*_grade_master(frame, candidates[index]), _seconds(frame, candidates[index]), index)
        for index in suitable
    ]
    points, reasons, _, index = min(graded, key=lambda row: (row[0], row[2], row[3]))
    return _choice(frame, candidates, index, points, reasons)


def choose_arcs(science: FrameInfo, candidates: Sequence[FrameInfo]) -> tuple[Choice, ...]:
    """Choose the arcs for a spectrum.

    Parameters
    ----------
    science : FrameInfo
        The frame whose wavelengths are sought.
    candidates : Sequence of FrameInfo
        Arcs, raw or reduced.

    Returns
    -------
    tuple of Choice
        Never empty. Arcs of equal camera, binning, grating, angles and filters; those of the
        same block come first, then those of the same pointing, then of the same night; another
        slit costs a grade. Of the best ones the nearest in time is returned for each set of
        lamps that adds a lamp, and the nearest of these lamps on the other side of the exposure,
        so that what drifts between them can be interpolated. A single choice without
        `Choice.chosen` if none is suitable.
    """
    suitable = _suitable(science, candidates, Kind.ARC)
    if not suitable:
        return (_nothing(science, candidates, Kind.ARC),)
    graded = [(*_grade_arc(science, candidates[index]), index) for index in suitable]
    best = min(points for points, _, _ in graded)
    ranked = sorted(
        (row for row in graded if row[0] == best),
        key=lambda row: (_seconds(science, candidates[row[2]]), row[2]),
    )
    choices: list[Choice] = []
    lamps: set[str] = set()
    sides: set[tuple[frozenset[str], bool]] = set()
    for points, reasons, index in ranked:
        arc = candidates[index]
        own, after = arc.lamps, arc.mid > science.mid
        opposite = (own, not after) in sides and (own, after) not in sides
        if choices and not (own - lamps or opposite):
            continue
        lamps |= own
        sides.add((own, after))
        choices.append(_choice(science, candidates, index, points, reasons))
    return tuple(choices)


def choose_sensitivity(frame: FrameInfo, candidates: Sequence[FrameInfo]) -> Choice:
    """Choose the sensitivity function for a spectrum.

    Parameters
    ----------
    frame : FrameInfo
        The spectrum whose flux is sought.
    candidates : Sequence of FrameInfo
        Sensitivity functions, or the frames of standards that stand for them.

    Returns
    -------
    Choice
        The candidate of equal camera, grating, angles and filters that is nearest in time. Binning
        and readout do not matter, for it counts electrons per Angstrom; another slit or another
        night lowers the grade.
    """
    checks = (_PLACE[0], *_OPTICS)
    suitable = [
        index
        for index, candidate in enumerate(candidates)
        if all(check(frame, candidate) for _, check in checks)
    ]
    if not suitable:
        faults = Counter(
            next(fault for fault, check in checks if not check(frame, candidate))
            for candidate in candidates
        )
        there = ", ".join(f"{count} with {fault}" for fault, count in faults.most_common())
        wanted = f"no standard star for {_wanted(frame, Kind.ARC)}"
        return Choice(
            None, None, "", (f"{wanted}: {f'there are {there}' if there else 'none yet'}",)
        )
    graded = []
    for index in suitable:
        nights = _nights_apart(frame, candidates[index])
        points = sum(nights > limit for limit in (0, 7, 30))
        reasons = ["same night" if nights == 0 else f"from another night, {nights} d apart"]
        if _slit_key(frame) != _slit_key(candidates[index]):
            points += 1
            reasons.append("through another slit: the level is less certain")
        graded.append((points, _seconds(frame, candidates[index]), index, tuple(reasons)))
    points, _, index, why = min(graded)
    return _choice(frame, candidates, index, points, why)


def misfit(frame: FrameInfo, master: FrameInfo, kind: Kind) -> str:
    """Return the first thing in which a master does not fit a frame; empty if it fits.

    Parameters
    ----------
    frame : FrameInfo
        The frame to reduce.
    master : FrameInfo
        What is offered for it.
    kind : {Kind.BIAS, Kind.FLAT}
        What it is offered as.
    """
    if master.kind is not kind:
        return f"is no {kind}"
    return next((fault for fault, check in _CHECKS[kind] if not check(frame, master)), "")


def _suitable(frame: FrameInfo, candidates: Sequence[FrameInfo], kind: Kind) -> list[int]:
    return [
        index
        for index, candidate in enumerate(candidates)
        if candidate.kind is kind and all(check(frame, candidate) for _, check in _CHECKS[kind])
    ]


def _choice(
    frame: FrameInfo,
    candidates: Sequence[FrameInfo],
    index: int,
    points: int,
    reasons: tuple[str, ...],
) -> Choice:
    chosen = candidates[index]
    return Choice(
        chosen=chosen,
        index=index,
        grade=GRADES[min(points, len(GRADES) - 1)],
        reasons=reasons,
        provisional=chosen.night != frame.night,
    )


def _seconds(frame: FrameInfo, other: FrameInfo) -> float:
    return abs((frame.mid - other.mid).total_seconds())


def _nights_apart(frame: FrameInfo, other: FrameInfo) -> int:
    dates = [datetime.strptime(info.night, "%Y%m%d") for info in (frame, other)]  # noqa: DTZ007
    return abs((dates[0] - dates[1]).days)


def _grade_master(frame: FrameInfo, master: FrameInfo) -> tuple[int, tuple[str, ...]]:
    nights = _nights_apart(frame, master)
    points = sum(nights > limit for limit in (0, 7, 30))
    reasons = ["same night" if nights == 0 else f"from another night, {nights} d apart"]
    if not _exact_window(frame, master):
        points += 1
        reasons.append("cut from a larger window")
    return points, tuple(reasons)


def _exact_window(frame: FrameInfo, master: FrameInfo) -> bool:
    light = light_window(frame.window, spectrum=frame.technique is not Technique.IMAGING)
    return master.window in (frame.window, light)


def _grade_arc(science: FrameInfo, arc: FrameInfo) -> tuple[int, tuple[str, ...]]:
    seconds = _seconds(science, arc)
    apart = f"{seconds / 60:.0f} min apart"
    if science.block_id and science.block_id == arc.block_id:
        points, reason = 0, f"same block, {apart}"
    elif science.night != arc.night:
        points, reason = 3, "from another night: flexure is not known"
    elif _separation(science, arc) <= POSITION_DEG:
        points, reason = 0, f"same pointing, {apart}"
    elif seconds <= _HOUR:
        points, reason = 1, f"another pointing, {apart}"
    else:
        points, reason = 2, f"another pointing, {apart}"
    if _slit_key(science) == _slit_key(arc):
        return points, (reason,)
    return points + 1, (reason, f"another slit, {arc.slit}")


def _separation(frame: FrameInfo, other: FrameInfo) -> float:
    """Return the angle between two pointings in degrees, infinite where one is not known."""
    if (
        frame.ra_deg is None
        or frame.dec_deg is None
        or other.ra_deg is None
        or other.dec_deg is None
    ):
        return float("inf")
    across = (frame.ra_deg - other.ra_deg + 180.0) % 360.0 - 180.0
    return hypot(across * cos(radians(frame.dec_deg)), frame.dec_deg - other.dec_deg)


def _nothing(frame: FrameInfo, candidates: Sequence[FrameInfo], kind: Kind) -> Choice:
    """Say what is missing, and what the candidates that there are have instead."""
    faults = Counter(
        next((fault for fault, check in _CHECKS[kind] if not check(frame, candidate)), "")
        for candidate in candidates
        if candidate.kind is kind
    )
    there = ", ".join(f"{count} with {fault}" for fault, count in faults.most_common())
    wanted = f"no {kind} for {_wanted(frame, kind)}"
    return Choice(None, None, "", (f"{wanted}: {f'there are {there}' if there else 'none yet'}",))


def _wanted(frame: FrameInfo, kind: Kind) -> str:
    window = frame.window
    words = [frame.camera, f"{window.xbin}x{window.ybin}"]
    if kind is not Kind.ARC:
        words.append(f"gain {frame.gain:g} read noise {frame.rdnoise:g}")
    if kind is not Kind.BIAS:
        words += [frame.grating, frame.wavmode]
        words += [name for name in (frame.filter, frame.filter2) if name != "NO_FILTER"]
    if kind is Kind.FLAT:
        words.append(frame.slit)
    return " ".join(words)
