"""How many frames there are of each kind: what counts and facets are read from.

The database keeps the table itself, by triggers on ``frames`` that the migration makes: whoever
writes, in whatever way, the numbers agree with the rows. Each frame counts twice: in the row of
its day, and in the row of all days.
"""

from __future__ import annotations

from datetime import date  # noqa: TC003 (SQLAlchemy reads it at run time)

from sqlalchemy import BigInteger, Date, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from goodman_live.hub.accounts.models import Base
from goodman_live.server_extension.catalogue.audience import Audience


class FrameTally(Audience, Base):
    """The number of frames that are equal in everything named here.

    It has the columns of `Audience`, so that `visible_to` holds for it as for the frames.
    """

    __tablename__ = "frame_tallies"
    __table_args__ = (
        # Everything that is asked for: the rows themselves, with their long keys, are not read.
        Index(
            "ix_frame_tallies_all",
            *("day", "proposal_id", "data_type", "owner_id", "public_date", "obstype", "filter"),
            *("filter_2", "grating", "wavmode", "slit", "roi", "technique", "kind", "camera"),
            *("grade", "is_current", "n"),
        ),
    )

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    """All of the values, joined."""
    day: Mapped[date | None] = mapped_column(Date)
    """UT date of the exposures; null in the rows of all days."""
    obstype: Mapped[str] = mapped_column(String(32))
    filter: Mapped[str] = mapped_column(String(64))
    filter_2: Mapped[str] = mapped_column(String(64))
    grating: Mapped[str] = mapped_column(String(64))
    wavmode: Mapped[str] = mapped_column(String(64))
    slit: Mapped[str] = mapped_column(String(64))
    roi: Mapped[str] = mapped_column(String(80))
    technique: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    camera: Mapped[str] = mapped_column(String(8))
    grade: Mapped[str] = mapped_column(String(16))
    is_current: Mapped[bool]
    n: Mapped[int] = mapped_column(BigInteger)
    """Frames."""
