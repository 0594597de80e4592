"""``/api/files/comments/``: what people wrote on a file. Text, never HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field
from sqlalchemy import select

from goodman_live.hub.accounts.models import User
from goodman_live.server_extension.catalogue.activity import Comment
from goodman_live.server_extension.catalogue.errors import ForbiddenError, NotFoundError
from goodman_live.server_extension.catalogue.filters import LARGEST
from goodman_live.server_extension.catalogue.frames import Frame
from goodman_live.server_extension.catalogue.permission import visible_to
from goodman_live.server_extension.engine.events import append_event
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import Answer, CommentModel
from goodman_live.server_extension.selection import FileChoice, chosen

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer


class NewComment(FileChoice):
    """A comment to add."""

    text: str = Field(min_length=1, max_length=5000)


class CommentChoice(Strict):
    """A comment to remove."""

    comment_id: int = Field(ge=0, le=LARGEST)


class Comments(Answer):
    """The comments on one file."""

    results: list[CommentModel] = Field(description="The oldest first.")


class Removed(Answer):
    """What was removed."""

    removed: int


class CommentsHandler(ApiHandler):
    """Comments on a file."""

    @operation(
        id="api_files_comments_list",
        summary="Comments on a file",
        tag="comments",
        query=FileChoice,
        answer=Comments,
        errors=(404, 409),
    )
    async def get(self, query: FileChoice) -> Comments:
        """Return the comments, the oldest first."""
        return await self.backend.read(comments_on, self.viewer, query)

    @operation(
        id="api_files_comments_create",
        summary="Add a comment",
        tag="comments",
        body=NewComment,
        answer=CommentModel,
        status=201,
        errors=(404, 409),
    )
    async def post(self, body: NewComment) -> CommentModel:
        """Add a comment to a file that the caller may see."""
        comment = await self.backend.write(add_comment, self.viewer, body)
        self.backend.wake_events()
        return comment

    @operation(
        id="api_files_comments_delete",
        summary="Remove a comment",
        tag="comments",
        query=CommentChoice,
        answer=Removed,
        errors=(404,),
    )
    async def delete(self, query: CommentChoice) -> Removed:
        """Remove a comment: one's own, or any as staff."""
        removed = await self.backend.write(remove_comment, self.viewer, query.comment_id)
        self.backend.wake_events()
        return removed


def comments_on(session: Session, viewer: Viewer, choice: FileChoice) -> Comments:
    """Return the comments on a file that `viewer` may see."""
    frame = chosen(session, viewer, choice)
    rows = session.scalars(
        select(Comment).where(Comment.frame_id == frame.id).order_by(Comment.id)
    )
    return Comments(results=[CommentModel.of(row, viewer.user_id) for row in rows])


def add_comment(session: Session, viewer: Viewer, new: NewComment) -> CommentModel:
    """Add a comment and tell everybody who may see the file."""
    frame = chosen(session, viewer, new)
    user = session.get(User, viewer.user_id)
    name = " ".join(part for part in (user.first_name, user.last_name) if part) if user else ""
    comment = Comment(
        frame_id=frame.id,
        user_id=user.id if user else None,
        author=name or viewer.username,
        text=new.text,
    )
    session.add(comment)
    session.flush()
    append_event(session, "comment.added", about=frame, comment_id=comment.id)
    return CommentModel.of(comment, viewer.user_id)


def remove_comment(session: Session, viewer: Viewer, comment_id: int) -> Removed:
    """Remove a comment.

    Raises
    ------
    NotFoundError
        If there is none on a file that `viewer` may see.
    ForbiddenError
        If somebody else wrote it, and `viewer` is not staff.
    """
    row = session.execute(
        select(Comment, Frame)
        .join(Frame, Frame.id == Comment.frame_id)
        .where(Comment.id == comment_id, visible_to(viewer))
    ).first()
    if row is None:
        raise NotFoundError(f"There is no comment {comment_id}.", field="comment_id")
    comment, frame = row
    if comment.user_id != viewer.user_id and not viewer.sees_all:
        raise ForbiddenError("Only who wrote a comment, and staff, may remove it.")
    session.delete(comment)
    append_event(session, "comment.removed", about=frame, comment_id=comment_id)
    return Removed(removed=comment_id)
