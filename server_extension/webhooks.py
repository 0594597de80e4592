"""``/api/webhooks/``: addresses of one's own that are told of what happens in a proposal."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 (pydantic reads it)
import secrets
from typing import TYPE_CHECKING

from pydantic import Field
from sqlalchemy import func, select

from goodman_live.server_extension.catalogue.errors import ConflictError, NotFoundError
from goodman_live.server_extension.catalogue.hooks import Webhook
from goodman_live.server_extension.catalogue.permission import is_member
from goodman_live.server_extension.engine.courier import LONGEST_URL, check_url
from goodman_live.server_extension.engine.events import last_event_id
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.schemas import Answer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer
    from goodman_live.server_extension.engine.courier import CourierRules

MOST = 10
"""Webhooks of one person."""


class NewWebhook(Strict):
    """A webhook to add."""

    url: str = Field(max_length=LONGEST_URL, description="https address of an allowed host.")
    proposal_id: str = Field(min_length=1, max_length=80, description="SOAR id.")


class WebhookModel(Answer):
    """A webhook, as its owner and staff see it."""

    id: int
    url: str
    proposal_id: str
    created: dt.datetime
    is_active: bool = Field(description="False after too many failures, or when it has ended.")
    tries: int = Field(description="Failures since the last delivery.")
    problem: str = Field(description="What went wrong last.")


class MadeWebhook(WebhookModel):
    """A webhook just made."""

    secret: str = Field(description="Key of the signature; it is not shown again.")


class Webhooks(Answer):
    """One's own webhooks."""

    results: list[WebhookModel]


class WebhooksHandler(ApiHandler):
    """One's own webhooks."""

    @operation(id="api_webhooks_list", summary="Webhooks", tag="events", answer=Webhooks)
    async def get(self) -> Webhooks:
        """Return one's own webhooks."""
        return await self.backend.read(own_webhooks, self.viewer)

    @operation(
        id="api_webhooks_create",
        summary="Be told of a proposal's events",
        tag="events",
        body=NewWebhook,
        answer=MadeWebhook,
        status=201,
        errors=(409,),
        description="Messages are POSTed as `{webhook, events}` and signed: the header"
        " `Goodman-Signature` is `t=<seconds>,v1=<hex>` with HMAC-SHA256 over `<seconds>.<body>`."
        " What is not answered by 2xx is sent again.",
    )
    async def post(self, body: NewWebhook) -> MadeWebhook:
        """Add a webhook; its secret is in this answer alone."""
        rules = self.backend.settings.courier
        return await self.backend.write(add_webhook, self.viewer, body, rules)


class WebhookHandler(ApiHandler):
    """One webhook."""

    @operation(
        id="api_webhooks_delete", summary="Remove a webhook", tag="events", answer=WebhookModel
    )
    async def delete(self, id: int) -> WebhookModel:  # noqa: A002 (the path's own name)
        """Remove a webhook of one's own."""
        return await self.backend.write(drop_webhook, self.viewer, id)


def own_webhooks(session: Session, viewer: Viewer) -> Webhooks:
    """Return the webhooks of `viewer`, oldest first."""
    rows = session.scalars(
        select(Webhook).where(Webhook.user_id == viewer.user_id).order_by(Webhook.id)
    )
    return Webhooks(results=[_model(row) for row in rows])


def add_webhook(
    session: Session, viewer: Viewer, new: NewWebhook, rules: CourierRules
) -> MadeWebhook:
    """Add a webhook that begins with what happens next.

    Raises
    ------
    RefusedAddressError
        If the operator does not allow the address.
    NotFoundError
        If the viewer does not belong to the proposal.
    ConflictError
        If there are too many, or no accounts.
    """
    check_url(new.url, rules)
    if viewer.user_id <= 0:
        raise ConflictError("Webhooks belong to accounts, and this server has none.")
    if not is_member(session, viewer, new.proposal_id):
        raise NotFoundError(f"There is no proposal {new.proposal_id}.", field="proposal_id")
    held = select(func.count()).where(Webhook.user_id == viewer.user_id)
    if (session.scalar(held) or 0) >= MOST:
        raise ConflictError(f"One has at most {MOST} webhooks.", remedy="Remove one first.")
    hook = Webhook(
        user_id=viewer.user_id,
        proposal_id=new.proposal_id,
        url=new.url,
        secret=secrets.token_hex(32),
        last_event=last_event_id(session),
        tries=0,
        is_active=True,
        problem="",
    )
    session.add(hook)
    session.flush()
    return MadeWebhook(**_model(hook).model_dump(), secret=hook.secret)


def drop_webhook(session: Session, viewer: Viewer, hook_id: int) -> WebhookModel:
    """Remove a webhook.

    Raises
    ------
    NotFoundError
        If the viewer has no such webhook; staff may remove anybody's.
    """
    where = [Webhook.id == hook_id]
    if not viewer.sees_all:
        where.append(Webhook.user_id == viewer.user_id)
    hook = session.scalar(select(Webhook).where(*where)) if hook_id < 2**31 else None
    if hook is None:
        raise NotFoundError(f"There is no webhook {hook_id}.", field="id")
    gone = _model(hook)
    session.delete(hook)
    return gone


def _model(hook: Webhook) -> WebhookModel:
    return WebhookModel(
        id=hook.id,
        url=hook.url,
        proposal_id=hook.proposal_id,
        created=hook.created,
        is_active=hook.is_active,
        tries=hook.tries,
        problem=hook.problem,
    )
