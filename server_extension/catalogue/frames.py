"""Tables of frames: one row for each FITS file, raw or made, and what belongs to it."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003 (SQLAlchemy reads it at run time)
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Date,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from goodman_live.hub.accounts.models import Base, utc_now
from goodman_live.server_extension.catalogue.audience import Audience

UNFINISHED = text("(provisional OR state IN ('waiting', 'failed'))")
"""What better calibrations may change, in the words of the index `ix_frames_unfinished`."""


def _where_there(column: str) -> Index:
    """Return an index of the rows that have a value.

    SQLite's statistics of a catalogue of raw frames alone would say of an index of all rows that
    one value, null, has them all: it would not be used any more for the first products.
    """
    there = text(f"{column} IS NOT NULL")
    return Index(f"ix_frames_{column}", column, sqlite_where=there, postgresql_where=there)


class Frame(Audience, Base):
    """One FITS file: a raw frame, a master or a product.

    The names follow the public API where it has one. A raw frame is its own parent and original:
    the columns are null and `parent_file_id`, `original_file_id` answer with its own id.
    """

    __tablename__ = "frames"
    __table_args__ = (
        # What permission looks at comes along, so that what one may see is gathered from them.
        Index(
            "ix_frames_list",
            *("proposal_id", "data_type", "obstype", "id", "owner_id", "public_date", "start"),
        ),
        Index("ix_frames_type", "data_type", "id", "proposal_id", "owner_id"),
        Index("ix_frames_public", "public_date", "id"),
        # One for each order of a list, and the commonest filters with them.
        Index("ix_frames_obstype", "data_type", "obstype", "id"),
        Index("ix_frames_type_start", "data_type", "obstype", "start", "id"),
        Index("ix_frames_start", "start", "id"),
        Index("ix_frames_created", "created", "id"),
        Index("ix_frames_last_modified", "last_modified", "id"),
        Index("ix_frames_exptime", "exptime_s", "id"),
        Index("ix_frames_airmass", "airmass", "id"),
        Index("ix_frames_name", "file_name", "id"),
        Index("ix_frames_object_name", "object", "id"),
        Index("ix_frames_obstype_id", "obstype", "id"),
        Index("ix_frames_date_id", "date", "id"),
        Index("ix_frames_filter", "filter", "id"),
        Index("ix_frames_filter_2", "filter_2", "id"),
        Index("ix_frames_grating", "grating", "id"),
        Index("ix_frames_wavmode", "wavmode", "id"),
        Index("ix_frames_slit", "slit", "id"),
        Index("ix_frames_roi", "roi", "id"),
        Index("ix_frames_proposal", "proposal_id", "id"),
        Index("ix_frames_grade_id", "grade", "id"),
        Index("ix_frames_technique", "technique", "id"),
        Index("ix_frames_state", "state", "id"),
        Index("ix_frames_ra", "ra_deg", "id"),
        Index("ix_frames_dec", "dec_deg", "id"),
        Index("ix_frames_camera", "camera", "id"),
        Index("ix_frames_binning", "xbin", "ybin", "id"),
        Index("ix_frames_version", "version", "id"),
        # All that a search for text looks at, in the order of the newest: rows with their long
        # texts are read only where it was found.
        Index(
            "ix_frames_text",
            *("id", "object", "file_name", "proposal_id", "data_type", "owner_id", "public_date"),
            *("is_current", "grade"),
        ),
        # Calibrations of a camera and binning in the order of time: the nearest are looked for.
        Index("ix_frames_nearest", "kind", "data_type", "camera", "xbin", "ybin", "mid"),
        # As many columns as questions about a night name: SQLite, which keeps no statistics unless
        # told to, takes the index of which it can use the most.
        Index("ix_frames_night", "night", "data_type", "camera", "xbin", "ybin", "kind"),
        Index("ix_frames_path", "directory_name", "file_name"),
        # Few of an archive; looked for among all of a set-up by every new master and arc.
        Index(
            "ix_frames_unfinished",
            *("kind", "data_type", "camera", "xbin", "ybin", "is_current"),
            sqlite_where=UNFINISHED,
            postgresql_where=UNFINISHED,
        ),
        *(_where_there(name) for name in ("original_id", "parent_id", "job_id")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    created: Mapped[datetime] = mapped_column(default=utc_now)
    last_modified: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)

    file_name: Mapped[str] = mapped_column(String(255))
    directory_name: Mapped[str] = mapped_column(String(1000))
    size: Mapped[int] = mapped_column(BigInteger, default=0)
    """Bytes."""
    checksum: Mapped[str | None] = mapped_column(String(64), index=True)
    """SHA-256 of the file, hexadecimal; null only while a backlog is being read."""

    original_id: Mapped[int | None] = mapped_column(ForeignKey("frames.id", ondelete="SET NULL"))
    """The raw frame a product descends from; null for a raw frame and for masters."""
    original_name: Mapped[str] = mapped_column(String(255), default="")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("frames.id", ondelete="SET NULL"))
    """The frame that the block ran on; null for a raw frame and for masters."""
    parent_name: Mapped[str] = mapped_column(String(255), default="")

    camera: Mapped[str] = mapped_column(String(8), default="")
    kind: Mapped[str] = mapped_column(String(16), default="unknown")
    """`goodman_live.pipeline.core.info.Kind` of the raw frame it descends from."""
    technique: Mapped[str] = mapped_column(String(16), default="Unknown")
    obstype: Mapped[str] = mapped_column(String(32), default="")
    object_name: Mapped[str] = mapped_column("object", String(255), default="")
    filter: Mapped[str] = mapped_column(String(64), default="")
    filter_2: Mapped[str] = mapped_column(String(64), default="")
    grating: Mapped[str] = mapped_column(String(64), default="")
    lines_mm: Mapped[int] = mapped_column(default=0)
    wavmode: Mapped[str] = mapped_column(String(64), default="")
    slit: Mapped[str] = mapped_column(String(64), default="")
    slit_arcsec: Mapped[float | None]
    roi: Mapped[str] = mapped_column(String(80), default="")
    xbin: Mapped[int] = mapped_column(default=1)
    ybin: Mapped[int] = mapped_column(default=1)
    x0: Mapped[int] = mapped_column(default=0)
    y0: Mapped[int] = mapped_column(default=0)
    nx: Mapped[int] = mapped_column(default=0)
    ny: Mapped[int] = mapped_column(default=0)
    gain: Mapped[float] = mapped_column(default=0.0)
    rdnoise: Mapped[float] = mapped_column(default=0.0)
    saturation_value: Mapped[float | None]
    cam_ang: Mapped[float | None]
    grt_ang: Mapped[float | None]
    cam_targ: Mapped[float | None]
    grt_targ: Mapped[float | None]
    lamps: Mapped[str] = mapped_column(String(32), default="")
    """Lamps that are on, sorted and joined by commas."""
    exptime_s: Mapped[float] = mapped_column(default=0.0)
    start: Mapped[datetime | None]
    mid: Mapped[datetime | None]
    date: Mapped[date | None] = mapped_column(Date)
    """UT date of the exposure."""
    night: Mapped[str] = mapped_column(String(8), default="")
    """Local-evening date, YYYYMMDD."""
    ra_deg: Mapped[float | None]
    dec_deg: Mapped[float | None]
    obsra: Mapped[str] = mapped_column(String(32), default="")
    obsdec: Mapped[str] = mapped_column(String(32), default="")
    airmass: Mapped[float | None]
    posangle: Mapped[float | None]
    rotator: Mapped[float | None]
    observation_id: Mapped[int | None] = mapped_column(BigInteger)
    configuration_id: Mapped[int | None] = mapped_column(BigInteger)
    block_id: Mapped[int | None] = mapped_column(BigInteger)
    image_id: Mapped[int | None] = mapped_column(BigInteger)

    normalized: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(String(16), default="new")
    """``new``, ``waiting``, ``working``, ``done``, ``failed``, ``kept`` or ``replaced``."""
    waits_for: Mapped[str] = mapped_column(Text, default="")
    """What it waits for or what went wrong, a sentence for the page."""
    version: Mapped[int] = mapped_column(default=1)
    is_current: Mapped[bool] = mapped_column(default=True)
    target: Mapped[int | None]
    """Number of the target along the slit, from 1, for spectra."""
    role: Mapped[str] = mapped_column(String(16), default="")
    """What a product is beside the main one, such as ``mask``; empty for the main one."""
    provisional: Mapped[bool] = mapped_column(default=False)
    """Made with calibrations that better ones may replace."""
    grade: Mapped[str] = mapped_column(String(16), default="")
    """How close the chosen calibrations match, in one word."""
    quality: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Numbers of quality as the block gave them."""
    block: Mapped[str] = mapped_column(String(40), default="")
    """Block that made it; empty for a raw frame."""
    job_id: Mapped[int | None] = mapped_column(
        ForeignKey("jobs.id", ondelete="SET NULL", use_alter=True, name="fk_frames_job")
    )
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Settings that it was made with."""
    versions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Versions of the software that made it."""
    timing: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Seconds that each step took."""
    messages: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """What the block said, sentences."""

    repairs: Mapped[list[HeaderRepair]] = relationship(
        cascade="all, delete-orphan", order_by="HeaderRepair.id", passive_deletes=True
    )
    inputs: Mapped[list[ProductInput]] = relationship(
        cascade="all, delete-orphan",
        foreign_keys="ProductInput.frame_id",
        order_by="ProductInput.id",
        passive_deletes=True,
    )
    stamps: Mapped[list[LatencyStamp]] = relationship(
        cascade="all, delete-orphan", order_by="LatencyStamp.at", passive_deletes=True
    )

    @property
    def path(self) -> Path:
        """Where the file is."""
        return Path(self.directory_name) / self.file_name

    @property
    def full_path(self) -> str:
        """Where the file is, as text."""
        return str(self.path)

    @property
    def original_file_id(self) -> int:
        """Id of the raw frame it descends from, its own for a raw frame or a master."""
        return self.original_id or self.id

    @property
    def original_file(self) -> str:
        """Name of the raw frame it descends from."""
        return self.original_name or self.file_name

    @property
    def parent_file_id(self) -> int:
        """Id of the frame that the block ran on, its own for a raw frame or a master."""
        return self.parent_id or self.id

    @property
    def parent_file(self) -> str:
        """Name of the frame that the block ran on."""
        return self.parent_name or self.file_name


class HeaderCards(Base):
    """The header as the file has it; apart from the frame so that lists stay fast."""

    __tablename__ = "headers"

    frame_id: Mapped[int] = mapped_column(
        ForeignKey("frames.id", ondelete="CASCADE"), primary_key=True
    )
    text: Mapped[str] = mapped_column(Text, default="")
    """Cards of 80 characters one after the other, as in the file; read by `header_of`."""


class HeaderRepair(Base):
    """One card of the overlay: what is used instead of what the raw file says."""

    __tablename__ = "header_repairs"

    id: Mapped[int] = mapped_column(primary_key=True)
    frame_id: Mapped[int] = mapped_column(ForeignKey("frames.id", ondelete="CASCADE"), index=True)
    keyword: Mapped[str] = mapped_column(String(80))
    found: Mapped[str] = mapped_column(Text, default="")
    used: Mapped[str] = mapped_column(Text, default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    by_hand: Mapped[bool] = mapped_column(default=False)
    """True where a person mended it: then it travels to the block as `overlay`."""
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created: Mapped[datetime] = mapped_column(default=utc_now)


class ProductInput(Base):
    """One input of a product, with the checksum it had."""

    __tablename__ = "product_inputs"

    id: Mapped[int] = mapped_column(primary_key=True)
    frame_id: Mapped[int] = mapped_column(ForeignKey("frames.id", ondelete="CASCADE"), index=True)
    input_id: Mapped[int | None] = mapped_column(
        ForeignKey("frames.id", ondelete="SET NULL"), index=True
    )
    role: Mapped[str] = mapped_column(String(16))
    """``raw``, ``bias``, ``flat``, ``reduced``, ``extracted`` or ``arc``."""
    file_name: Mapped[str] = mapped_column(String(255))
    checksum: Mapped[str] = mapped_column(String(64), default="")
    grade: Mapped[str] = mapped_column(String(16), default="")
    reasons: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """Why it was chosen, sentences."""


class LatencyStamp(Base):
    """When a raw frame reached a stage, for the first time."""

    __tablename__ = "latency"
    __table_args__ = (UniqueConstraint("frame_id", "stage"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    frame_id: Mapped[int] = mapped_column(ForeignKey("frames.id", ondelete="CASCADE"))
    stage: Mapped[str] = mapped_column(String(40))
    """``shutter``, ``whole``, ``catalogued``, then block names; ``<stage>.event`` when told."""
    at: Mapped[datetime]
