"""``/api/files/header/``: the cards of a file, and what the overlay mended of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from goodman_live.server_extension.catalogue.queries import header_of
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import Answer
from goodman_live.server_extension.selection import FileChoice, chosen

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.frames import HeaderRepair
    from goodman_live.server_extension.catalogue.viewer import Viewer


class Card(Answer):
    """One card of a FITS header."""

    keyword: str
    value: Any = Field(description="As the file has it.")
    comment: str
    mended: str | None = Field(description="What is used instead, where the overlay mends it.")
    reason: str = Field(description="Why it was mended, or empty.")
    by_hand: bool = Field(description="Mended by a person and not by rule.")


class Header(Answer):
    """The header of one file."""

    id: int
    file_name: str
    cards: list[Card] = Field(description="In the order of the file; cards it lacks follow.")


class HeaderHandler(ApiHandler):
    """The header."""

    @operation(
        id="api_files_header_read",
        summary="Header cards of a file",
        tag="files",
        query=FileChoice,
        answer=Header,
        errors=(404, 409),
    )
    async def get(self, query: FileChoice) -> Header:
        """Return every card, mended ones marked."""
        return await self.backend.read(header_cards, self.viewer, query)


def header_cards(session: Session, viewer: Viewer, choice: FileChoice) -> Header:
    """Return the header of a file that `viewer` may see."""
    frame = chosen(session, viewer, choice)
    found, repairs = header_of(session, frame)
    by_keyword = {repair.keyword: repair for repair in repairs}
    cards = [
        _card(keyword, value, comment, by_keyword.pop(keyword, None))
        for keyword, value, comment in found
    ]
    cards += [_card(keyword, None, "", repair) for keyword, repair in by_keyword.items()]
    return Header(id=frame.id, file_name=frame.file_name, cards=cards)


def _card(keyword: str, value: Any, comment: str, repair: HeaderRepair | None) -> Card:
    return Card(
        keyword=keyword,
        value=value,
        comment=comment,
        mended=repair.used if repair else None,
        reason=repair.reason if repair else "",
        by_hand=repair.by_hand if repair else False,
    )
