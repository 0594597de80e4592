"""``/api/proposals/collaborators/<id>/``: people added and removed by the PI or staff.

The public service documents a GET that changes things. It is taken, with an Authorization header
only: a cookie is sent by any page that makes a browser load an address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from goodman_live.hub.accounts.proposals import join, remove_collaborator
from goodman_live.hub.mail.letters import Kind
from goodman_live.hub.mail.queue import ask_for
from goodman_live.server_extension.handler import ApiHandler, TooManyRequestsError
from goodman_live.server_extension.identity import NotAdmittedError
from goodman_live.server_extension.inputs import Strict
from goodman_live.server_extension.operation import operation
from goodman_live.server_extension.people import acting_user, get_proposal, invite
from goodman_live.server_extension.schemas import ProposalModel

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer
    from goodman_live.server_extension.operation import Operation


class CollaboratorChange(Strict):
    """Whom to add or remove."""

    email: str = Field(min_length=3, max_length=254)
    action: Literal["add", "remove"]

    @property
    def adds(self) -> bool:
        """True where somebody is to be added."""
        return self.action == "add"


class CollaboratorsHandler(ApiHandler):
    """Collaborators of one proposal."""

    @operation(
        id="api_proposals_collaborators_create",
        summary="Add or remove a collaborator",
        tag="proposals",
        body=CollaboratorChange,
        answer=ProposalModel,
        description="An unknown e-mail becomes a new user, who is sent a link to set a password.",
    )
    async def post(self, id: int, body: CollaboratorChange) -> ProposalModel:  # noqa: A002
        """Add or remove a collaborator; return the proposal."""
        return await self._change(id, body)

    @operation(
        id="api_proposals_collaborators_by_get",
        summary="Add or remove a collaborator, as the public service documents it",
        tag="proposals",
        body=CollaboratorChange,
        answer=ProposalModel,
        documented=False,
        changes=True,
    )
    async def get(self, id: int, body: CollaboratorChange) -> ProposalModel:  # noqa: A002
        """Do the same, for scripts written against the public service."""
        return await self._change(id, body)

    def arguments_for(self, contract: Operation, path: dict[str, str]) -> dict[str, Any]:
        """Refuse the GET that changes things to anything but a token in a header."""
        if self.request.method == "GET" and not self.by_token:
            raise NotAdmittedError(
                "A GET changes something here with an Authorization header only.",
                remedy="Use POST.",
            )
        return super().arguments_for(contract, path)

    async def _change(self, proposal_id: int, change: CollaboratorChange) -> ProposalModel:
        # Whoever is added gets a letter, at whatever address was given.
        wait_s = self.backend.mail_limiter.wait(self.viewer.username) if change.adds else 0
        if wait_s:
            raise TooManyRequestsError(wait_s)
        return await self.backend.write_stepwise(
            change_collaborators, self.viewer, proposal_id, change
        )


def change_collaborators(
    session: Session, viewer: Viewer, proposal_id: int, change: CollaboratorChange
) -> ProposalModel:
    """Add or remove a collaborator, and queue the letter, in one transaction."""
    proposal = get_proposal(session, viewer, proposal_id)
    actor = acting_user(session, viewer)
    if change.action == "remove":
        remove_collaborator(session, proposal, change.email, by=actor)
        return ProposalModel.of(proposal)
    before = {proposal.pi_id, *(user.id for user in proposal.collaborators)}
    user, is_new = join(session, proposal, change.email, by=actor)
    if is_new:
        invite(session, user, proposal.soar_id)
    elif user.id not in before:
        ask_for(session, user, Kind.ADDED, proposal=proposal.soar_id)
    session.commit()
    return ProposalModel.of(proposal)
