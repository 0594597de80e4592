"""Between `FrameInfo`, the pipeline's value, and the rows of the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from goodman_live.pipeline.core.frame import Window
from goodman_live.pipeline.core.info import FrameInfo, Kind, Technique
from goodman_live.server_extension.catalogue.frames import Frame, HeaderRepair

if TYPE_CHECKING:
    from collections.abc import Iterable

    from goodman_live.pipeline.core.info import Repair

_SAME = (
    *("camera", "obstype", "object_name", "start", "mid", "exptime_s", "night", "roi", "gain"),
    *("rdnoise", "grating", "lines_mm", "wavmode", "filter", "slit", "slit_arcsec", "cam_ang"),
    *("grt_ang", "cam_targ", "grt_targ", "ra_deg", "dec_deg", "obsra", "obsdec", "airmass"),
    *("posangle", "rotator", "proposal_id", "observation_id", "configuration_id", "block_id"),
    *("image_id", "public_date"),
)
"""Fields of one name on both sides."""

COPIED = (
    *_SAME,
    *("kind", "technique", "filter_2", "saturation_value", "lamps", "date"),
    *("xbin", "ybin", "x0", "y0", "nx", "ny"),
)
"""Columns that a product takes from the raw frame it descends from."""

_LENGTHS = {
    column.name: int(getattr(column.type, "length"))  # noqa: B009 (only texts have one)
    for column in Frame.__table__.columns
    if getattr(column.type, "length", None)
}


def facts_of(info: FrameInfo) -> dict[str, Any]:
    """Return the columns of a frame that `info` fills; texts are cut to what columns hold."""
    values: dict[str, Any] = {name: getattr(info, name) for name in _SAME}
    window = info.window
    values |= {
        "kind": info.kind.value,
        "technique": info.technique.value,
        "filter_2": info.filter2,
        "saturation_value": info.saturation,
        "lamps": ",".join(sorted(info.lamps)),
        "date": info.start.astimezone(UTC).date(),
        "public_date": _next_midnight(info.public_date),
        "xbin": window.xbin,
        "ybin": window.ybin,
        "x0": window.x0,
        "y0": window.y0,
        "nx": window.nx,
        "ny": window.ny,
    }
    return {name: _fit(name, value) for name, value in values.items()}


def _next_midnight(moment: datetime | None) -> datetime | None:
    """Return the first midnight UTC not before `moment`.

    Headers give public dates to the microsecond; frames that are public with a day can be counted
    together.
    """
    if moment is None:
        return None
    midnight = datetime.combine(moment.astimezone(UTC).date(), time(), UTC)
    return midnight if midnight == moment else midnight + timedelta(days=1)


def _fit(name: str, value: Any) -> Any:
    if isinstance(value, str):
        # A null byte is text that PostgreSQL cannot hold.
        column = "object" if name == "object_name" else name
        return value.replace("\x00", "")[: _LENGTHS.get(column)]
    if isinstance(value, float) and value != value:  # noqa: PLR0124 (not a number)
        return None if name in _OPTIONAL else 0.0
    return value


_OPTIONAL = frozenset(
    {"slit_arcsec", "saturation_value", "ra_deg", "dec_deg", "airmass", "posangle", "rotator"}
    | {"cam_ang", "grt_ang", "cam_targ", "grt_targ"}
)


def repairs_of(repairs: Iterable[Repair]) -> list[HeaderRepair]:
    """Return rows of what the header doctor mended."""
    return [
        HeaderRepair(
            keyword=repair.keyword[:80],
            found=str(repair.found).replace("\x00", ""),
            used=str(repair.used).replace("\x00", ""),
            reason=repair.reason,
        )
        for repair in repairs
    ]


def info_of(frame: Frame) -> FrameInfo:
    """Return the value that choices are made on, from a row of the catalogue.

    Raises
    ------
    ValueError
        If the row is of no Goodman frame (no date).
    """
    if frame.start is None or frame.mid is None:
        msg = f"{frame.file_name} has no date"
        raise ValueError(msg)
    values = {name: getattr(frame, name) for name in _SAME}
    for name in ("cam_ang", "grt_ang", "cam_targ", "grt_targ"):
        values[name] = float("nan") if values[name] is None else values[name]
    return FrameInfo(
        **values,
        file_name=frame.file_name,
        kind=Kind(frame.kind),
        technique=Technique(frame.technique),
        filter2=frame.filter_2,
        saturation=frame.saturation_value or float("inf"),
        lamps=frozenset(frame.lamps.split(",")) - {""},
        window=Window(frame.x0, frame.y0, frame.nx, frame.ny, frame.xbin, frame.ybin),
    )


def copy_facts(source: Frame, target: Frame) -> None:
    """Give a product the facts of the raw frame it descends from."""
    for name in COPIED:
        setattr(target, name, getattr(source, name))
