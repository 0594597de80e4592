"""The instrument's health: numbers of its frames over time, with a band that is usual."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any, cast

from goodman_live.widgets.pages import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from goodman_live.widgets.client.records import File

SOURCES: tuple[dict[str, Any], ...] = (
    {"data_type": "1"},
    {"data_type": "2"},
    {"data_type": "3"},
    {"data_type": "4"},
)
"""What is asked of the service: masters, reduced, extracted and calibrated files."""
MOST_POINTS = 120
ENOUGH = 8
"""Values from which one can be told to be unusual."""
ODD_SIGMA = 5.0
"""Robust deviations from the median beyond which a point is marked."""
KEPT = (
    *("file_name", "start", "role", "data_type", "kind"),
    *("camera", "binning", "rdnoise", "quality"),
)
"""What of a file is looked at."""
OVERSCAN = "From the overscan of each reduced frame."


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that tells how the instrument does."""

    key: str
    title: str
    unit: str
    field: str
    """Name among the numbers of quality."""
    data_type: str
    span: float
    """Least height of the axis, in units: what is usual must not look like an event."""
    digits: int = 1
    note: str = ""
    kinds: tuple[str, ...] = ()
    """Kinds of frames that it is taken of; empty for all."""


MEASURES = (
    Measure("bias", "Bias level", "ADU", "bias_level_adu", "2", 20.0, note=OVERSCAN),
    Measure("noise", "Read noise", "electrons", "read_noise_e", "2", 0.5, 2, OVERSCAN),
    Measure(
        "lamp",
        "Lamp flux of flats",
        "ADU",
        "flat_level_adu",
        "1",
        2000.0,
        0,
        "Level of each master flat.",
        ("flat",),
    ),
    Measure(
        "shift",
        "Shift of arcs against the sky",
        "pixels",
        "flexure_px",
        "4",
        1.0,
        3,
        "Sky lines of each spectrum against its arc.",
    ),
    Measure(
        "fwhm",
        "FWHM along the slit",
        "arcsec",
        "fwhm_arcsec",
        "3",
        0.5,
        2,
        "Of each extracted target: seeing and focus.",
    ),
    Measure(
        "arc",
        "Scatter of arc lines",
        "Å",
        "rms_aa",
        "4",
        0.05,
        3,
        "Of each wavelength solution.",
    ),
)


def kept(file: File) -> File:
    """Return a file with nothing but what `trends` looks at."""
    return cast("File", {name: file.get(name) for name in KEPT})


def trends(files: Iterable[File]) -> list[dict[str, Any]]:
    """Return a figure for each measure, its points over the time of the exposures.

    Set-ups differ in level and noise: the points are those of the camera, binning and readout
    that was used last.
    """
    every = [file for file in files if file.get("start") and not file.get("role")]
    return [_trend(measure, every) for measure in MEASURES]


def _trend(measure: Measure, files: Sequence[File]) -> dict[str, Any]:
    found = [file for file in files if _value(measure, file) is not None]
    found.sort(key=lambda file: str(file["start"]))
    if found:
        found = [file for file in found if _setup(file) == _setup(found[-1])][-MOST_POINTS:]
    values = [float(_value(measure, file) or 0.0) for file in found]
    odd = odd_ones(values)
    points = [
        {
            "x": datetime.fromisoformat(str(file["start"])).timestamp(),
            "y": value,
            "tone": "bad" if bad else "",
            "label": f"{file['file_name']}, {words.stamp(str(file['start']))}:"
            f" {value:.{measure.digits}f} {measure.unit}",
        }
        for file, value, bad in zip(found, values, odd, strict=True)
    ]
    latest = f"{values[-1]:,.{measure.digits}f} {measure.unit}" if values else ""
    said = (
        f"{measure.title}: newest {latest}, {len(values)} frames, {sum(odd)} unusual"
        if values
        else f"{measure.title}: not measured yet"
    )
    return {
        "key": measure.key,
        "title": measure.title,
        "value": latest,
        "tone": "bad" if odd and odd[-1] else "plain",
        "points": points,
        "said": said,
        "unit": measure.unit,
        "span": measure.span,
        "note": measure.note + (f" Set-up: {_setup(found[-1])}." if found else ""),
    }


def odd_ones(values: Sequence[float]) -> list[bool]:
    """Tell which values lie far from the others, by the median absolute deviation.

    With few values nothing is known to be usual.
    """
    if len(values) < ENOUGH:
        return [False] * len(values)
    middle = median(values)
    spread = 1.4826 * median(abs(value - middle) for value in values)
    floor = max(spread, 1e-3 * abs(middle), 1e-9)
    return [abs(value - middle) > ODD_SIGMA * floor for value in values]


def _value(measure: Measure, file: File) -> float | None:
    if file["data_type"] != measure.data_type:
        return None
    if measure.kinds and file.get("kind") not in measure.kinds:
        return None
    value = (file.get("quality") or {}).get(measure.field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _setup(file: File) -> str:
    parts = (file.get("camera"), file.get("binning"), file.get("rdnoise"))
    return " ".join(str(part) for part in parts if part)
