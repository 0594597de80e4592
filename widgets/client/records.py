"""What the service speaks of: the fields that the pages rely on, as they travel in JSON."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypedDict

CURVES = frozenset({"sensitivity", "focus"})
"""Roles of products with one axis, whatever their data type."""


class DataType(StrEnum):
    """How far a file has come, in the numbers of the public API."""

    RAW = "0"
    MASTER = "1"
    REDUCED = "2"
    EXTRACTED = "3"
    WAVELENGTH = "4"
    FLUX = "5"

    @property
    def label(self) -> str:
        """Words for a reader."""
        return _LABELS[self]


_LABELS = {
    DataType.RAW: "Raw",
    DataType.MASTER: "Master",
    DataType.REDUCED: "Reduced",
    DataType.EXTRACTED: "Extracted",
    DataType.WAVELENGTH: "Wavelength calibrated",
    DataType.FLUX: "Flux calibrated",
}


class File(TypedDict, total=False):
    """One file of the catalogue: the public fields, then ours."""

    id: int
    created: str
    last_modified: str
    original_file: str | None
    original_file_id: int | None
    parent_file: str | None
    parent_file_id: int | None
    file_name: str
    obstype: str
    object: str
    filter: str
    filter_2: str
    grating: str
    slit: str
    obsra: str
    obsdec: str
    roi: str
    wavmode: str
    proposal_id: str
    date: str
    start: str
    night: str
    data_type: str
    technique: str
    saturation_value: float | None
    camera: str
    kind: str
    exptime: float
    binning: str
    nx: int
    ny: int
    sha256: str | None
    state: str
    waits_for: str
    version: int
    is_current: bool
    target: int | None
    job_id: int | None
    provisional: bool
    grade: str
    role: str
    inputs: list[dict[str, Any]]
    quality: dict[str, Any]
    latency: dict[str, str]
    messages: list[str]
    may_change: bool


class Page(TypedDict):
    """One page of a list."""

    count: int
    next: str | None
    previous: str | None
    results: list[File]


class HeaderCard(TypedDict, total=False):
    """One FITS header card, and what the catalogue mended of it."""

    keyword: str
    value: Any
    comment: str
    mended: str | None
    reason: str
    by_hand: bool


class Comment(TypedDict, total=False):
    """What somebody wrote beside a file."""

    id: int
    file_id: int
    author: str
    created: str
    text: str


class Job(TypedDict, total=False):
    """One run of a block."""

    id: int
    block: str
    status: str
    progress: float
    message: str
    file_id: int
    products: list[int]


JOB_RUNNING = frozenset({"queued", "waiting", "running"})
"""States of a job that will change by themselves."""
