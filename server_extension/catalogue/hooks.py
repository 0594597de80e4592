"""Table of webhooks: who wants to be told of what, where."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (SQLAlchemy reads it at run time)

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from goodman_live.hub.accounts.models import Base, utc_now


class Webhook(Base):
    """An address that is told of the events of a proposal, as far as its owner may see them."""

    __tablename__ = "webhooks"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    proposal_id: Mapped[str] = mapped_column(String(80))
    """SOAR id."""
    url: Mapped[str] = mapped_column(String(1000))
    secret: Mapped[str] = mapped_column(String(64))
    """Key of the signature; told once, when the webhook is made."""
    created: Mapped[datetime] = mapped_column(default=utc_now)
    last_event: Mapped[int] = mapped_column(BigInteger)
    """Id of the last event that was delivered."""
    tries: Mapped[int] = mapped_column(default=0)
    """Failures since the last delivery."""
    is_active: Mapped[bool] = mapped_column(default=True)
    problem: Mapped[str] = mapped_column(Text, default="")
    """What went wrong last, a sentence."""
