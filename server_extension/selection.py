"""Which file is meant: by id, or by a name that is unique among what the caller may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from goodman_live.server_extension.catalogue.filters import LARGEST
from goodman_live.server_extension.catalogue.queries import get_frame, get_frame_by_name
from goodman_live.server_extension.inputs import Strict

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.frames import Frame
    from goodman_live.server_extension.catalogue.viewer import Viewer


class FileChoice(Strict):
    """One file."""

    id: int | None = Field(None, ge=0, le=LARGEST, description="Id of the file.")
    file_name: str | None = Field(
        None, max_length=255, description="Or its name, if only one file that you see has it."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.id is None) == (self.file_name is None):
            msg = "give either id or file_name"
            raise ValueError(msg)
        return self


def chosen(session: Session, viewer: Viewer, choice: FileChoice) -> Frame:
    """Return the file that `choice` means.

    Raises
    ------
    NotFoundError
        If there is none that `viewer` may see.
    ConflictError
        If the name is not unique.
    """
    if choice.id is not None:
        return get_frame(session, viewer, choice.id)
    return get_frame_by_name(session, viewer, choice.file_name or "")
