"""``/api/proposals/``: proposals for their members, made and changed by staff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, Field
from sqlalchemy import func, or_, select

from goodman_live.hub.accounts.lists import check_semester
from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.hub.accounts.proposals import (
    NO_ABSTRACT,
    NO_TITLE,
    SHARED,
    check_soar_id,
    find_proposal,
    new_proposal,
)
from goodman_live.hub.accounts.users import find_by_email
from goodman_live.hub.mail.letters import Kind
from goodman_live.hub.mail.queue import ask_for
from goodman_live.pipeline.settings import ReductionSettings
from goodman_live.server_extension.catalogue.errors import ConflictError, ForbiddenError
from goodman_live.server_extension.catalogue.filters import LARGEST
from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.inputs import RequestError, Strict
from goodman_live.server_extension.operation import Access, operation
from goodman_live.server_extension.people import (
    NAMES,
    acting_user,
    get_proposal,
    proposals_seen_by,
    text_in,
)
from goodman_live.server_extension.schemas import Page, ProposalModel
from goodman_live.server_extension.settings_preview import raws_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from goodman_live.server_extension.catalogue.viewer import Viewer


class ProposalQuery(Strict):
    """One page of proposals."""

    search: str = Field("", max_length=200, description="Text in SOAR id, title or PI.")
    semester: str = Field("", max_length=16)
    page: int = Field(1, ge=1, le=10**9)
    page_size: int = Field(50, ge=1, le=500)


class ProposalPage(Page[ProposalModel]):
    """One page of proposals, newest first."""


class ProposalChange(Strict):
    """What to change of a proposal; what is left out stays."""

    soar_id: str | None = Field(None, min_length=1, max_length=80)
    semester: str | None = Field(None, max_length=16)
    title: str | None = Field(None, max_length=500)
    abstract: str | None = Field(None, max_length=20_000)
    user: int | None = Field(
        None, ge=0, le=LARGEST, description="Id of the principal investigator."
    )
    email: str | None = Field(None, max_length=254, description="Or their e-mail.")
    public_date: AwareDatetime | None = Field(
        None, description="When its frames become public; null for the frames' own dates."
    )


class SettingsQuery(Strict):
    """What to do with what is made already."""

    redo: bool = Field(
        default=False, description="Look at the proposal's frames again and redo what changes."
    )


class NewProposal(ProposalChange):
    """A proposal to make."""

    soar_id: str = Field(min_length=1, max_length=80)


class ProposalsHandler(ApiHandler):
    """All proposals of the reader."""

    @operation(
        id="api_proposals_list",
        summary="Proposals",
        tag="proposals",
        query=ProposalQuery,
        answer=ProposalPage,
    )
    async def get(self, query: ProposalQuery) -> ProposalPage:
        """Return the reader's proposals; all of them to staff."""
        page: ProposalPage = self.linked(
            await self.backend.read(page_of_proposals, self.viewer, query), query
        )
        return page

    @operation(
        id="api_proposals_create",
        summary="Make a proposal",
        tag="proposals",
        access=Access.STAFF,
        body=NewProposal,
        answer=ProposalModel,
        status=201,
        errors=(409,),
    )
    async def post(self, body: NewProposal) -> ProposalModel:
        """Make a proposal; frames that carry its id already belong to it."""
        return await self.backend.write_stepwise(make_proposal, self.viewer, body)


class ProposalHandler(ApiHandler):
    """One proposal."""

    @operation(
        id="api_proposals_read", summary="One proposal", tag="proposals", answer=ProposalModel
    )
    async def get(self, id: int) -> ProposalModel:  # noqa: A002 (the path's own name)
        """Return a proposal of the reader."""
        return await self.backend.read(read_proposal, self.viewer, id)

    @operation(
        id="api_proposals_partial_update",
        summary="Change a proposal",
        tag="proposals",
        access=Access.STAFF,
        body=ProposalChange,
        answer=ProposalModel,
        errors=(409,),
    )
    async def patch(self, id: int, body: ProposalChange) -> ProposalModel:  # noqa: A002
        """Change what is given."""
        return await self.backend.write(change_proposal, self.viewer, id, body)


class SettingsHandler(ApiHandler):
    """Data-reduction settings of one proposal."""

    @operation(
        id="api_proposals_settings_read",
        summary="Data-reduction settings",
        tag="proposals",
        answer=ReductionSettings,
    )
    async def get(self, id: int) -> ReductionSettings:  # noqa: A002
        """Return the settings that new frames of the proposal are reduced with."""
        return await self.backend.read(read_settings, self.viewer, id)

    @operation(
        id="api_proposals_settings_update",
        summary="Replace the data-reduction settings",
        tag="proposals",
        query=SettingsQuery,
        body=ReductionSettings,
        answer=ReductionSettings,
        description="For new frames and new runs. PI and staff. `preview/` says what a change"
        " would redo.",
    )
    async def put(
        self,
        id: int,  # noqa: A002
        query: SettingsQuery,
        body: ReductionSettings,
    ) -> ReductionSettings:
        """Replace the settings; what is left out takes its default."""
        frames = await self.backend.write(change_settings, self.viewer, id, body)
        if query.redo:
            for frame_id in frames:
                await self.backend.engine.replan(frame_id)
        return body


def page_of_proposals(session: Session, viewer: Viewer, query: ProposalQuery) -> ProposalPage:
    """Return one page of the proposals that `viewer` may read."""
    wanted = proposals_seen_by(viewer)
    if query.search:
        pi = Proposal.pi.has(text_in(NAMES, query.search))
        columns = (Proposal.soar_id, Proposal.title)
        wanted = wanted.where(or_(text_in(columns, query.search), pi))
    if query.semester:
        wanted = wanted.where(Proposal.semester == query.semester)
    count = session.scalar(select(func.count()).select_from(wanted.subquery())) or 0
    rows = session.scalars(
        wanted.order_by(Proposal.id.desc())
        .offset((query.page - 1) * query.page_size)
        .limit(query.page_size)
    )
    results = [ProposalModel.of(row) for row in rows]
    return ProposalPage(count=count, next=None, previous=None, results=results)


def read_proposal(session: Session, viewer: Viewer, proposal_id: int) -> ProposalModel:
    """Return one proposal."""
    return ProposalModel.of(get_proposal(session, viewer, proposal_id))


def make_proposal(session: Session, viewer: Viewer, new: NewProposal) -> ProposalModel:
    """Make a proposal and send its PI word of it."""
    pi = _investigator(session, new)
    proposal = new_proposal(
        session,
        soar_id=new.soar_id,
        pi=pi,
        semester=new.semester or "",
        title=new.title or "",
        abstract=new.abstract or "",
        public_date=new.public_date,
        by=acting_user(session, viewer),
    )
    if pi is not None:
        ask_for(session, pi, Kind.ADDED, proposal=proposal.soar_id, role="pi")
    session.commit()
    return ProposalModel.of(proposal)


def change_proposal(
    session: Session, viewer: Viewer, proposal_id: int, change: ProposalChange
) -> ProposalModel:
    """Change what `change` gives of a proposal.

    Raises
    ------
    ConflictError
        If another proposal has the SOAR id.
    """
    proposal = get_proposal(session, viewer, proposal_id)
    given = change.model_dump(exclude_unset=True, exclude={"user", "email", "soar_id"})
    for name, value in given.items():
        setattr(proposal, name, _as_kept(session, name, value))
    if change.soar_id is not None:
        soar_id = check_soar_id(change.soar_id)
        other = find_proposal(session, soar_id)
        if other is not None and other.id != proposal.id:
            raise ConflictError(f"The proposal {soar_id!r} exists.", field="soar_id")
        if proposal.soar_id in SHARED and soar_id != proposal.soar_id:
            # By this id alone everybody sees calibrations; another would let in only its members.
            raise ConflictError(f"{proposal.soar_id} is shared and keeps its id.", field="soar_id")
        proposal.soar_id = soar_id
    if change.model_fields_set & {"user", "email"}:
        pi = _investigator(session, change)
        if pi is not None and pi.id != proposal.pi_id:
            ask_for(session, pi, Kind.ADDED, proposal=proposal.soar_id, role="pi")
        proposal.pi = pi
    session.flush()
    return ProposalModel.of(proposal)


def _as_kept(session: Session, name: str, value: Any) -> Any:
    if name == "public_date":
        return value
    text = (value or "").strip()
    if name == "semester":
        return check_semester(session, text)
    return text or {"title": NO_TITLE, "abstract": NO_ABSTRACT}[name]


def _investigator(session: Session, change: ProposalChange) -> User | None:
    if change.user is not None:
        user, field = session.get(User, change.user), "user"
    elif change.email:
        user, field = find_by_email(session, change.email), "email"
    else:
        return None
    if user is None:
        raise RequestError("There is no such user.", remedy="Make the account first.", field=field)
    return user


def read_settings(session: Session, viewer: Viewer, proposal_id: int) -> ReductionSettings:
    """Return the settings of a proposal, defaults where it has none."""
    return ReductionSettings(**get_proposal(session, viewer, proposal_id).settings or {})


def change_settings(
    session: Session, viewer: Viewer, proposal_id: int, settings: ReductionSettings
) -> list[int]:
    """Replace the settings of a proposal; return its raw frames, newest first.

    Raises
    ------
    ForbiddenError
        If `viewer` is neither its PI nor staff.
    """
    proposal = get_proposal(session, viewer, proposal_id)
    if not viewer.sees_all and proposal.pi_id != viewer.user_id:
        raise ForbiddenError(f"Only the PI of {proposal.soar_id} and staff change its settings.")
    proposal.settings = settings.model_dump(mode="json")
    return raws_of(session, proposal)
