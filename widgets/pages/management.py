"""Management, for staff: accounts, proposals, semesters, partners, letters, jobs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

import ipywidgets as w

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.components.blocks import Place, Sections, Tiles
from goodman_live.widgets.pages.jobs import JobTable
from goodman_live.widgets.pages.manage_lists import Partners, Semesters
from goodman_live.widgets.pages.manage_mail import Letters
from goodman_live.widgets.pages.manage_proposals import ManageProposals, ProposalForm, Unclaimed
from goodman_live.widgets.pages.manage_users import ManageUsers, UserForm
from goodman_live.widgets.pages.shell import Shell

if TYPE_CHECKING:
    from goodman_live.widgets.client.events import Event

SECTIONS = {
    "users": "Manage users",
    "add-user": "Add user",
    "proposals": "Manage proposals",
    "add-proposal": "Add proposal",
    "semesters": "Semesters",
    "partners": "Partners",
    "unclaimed": "Frames without a proposal",
    "letters": "Letters",
    "jobs": "Jobs",
}


class ManagementPage:
    """The page as one object: `widget` is what is shown. Who is no staff is told so.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    query : str
        Of the address: ``show``, one of `SECTIONS`.
    """

    def __init__(self, client: AsyncClient, query: str = "") -> None:
        self._client = client
        self.shell = Shell(client, on_event=self._heard, on_live=self._again)
        self.place = Place()
        self.sections = Sections(label="Management")
        self.sections.when("section", self.go)
        self.head = Tiles(title="Management")
        self.body = w.VBox([])
        self.shell.place(self.place, self.head)
        self.widget = self.shell.widget
        self._staff = False
        self._start = parse_qs(query).get("show", ["users"])[0]
        self._me: dict[str, Any] = {}
        # All made now: what is made while the browser takes the models over may be missed.
        self.parts: dict[str, Any] = self._build()

    def begin(self) -> None:
        """Ask who reads; staff see the rest."""
        self.shell.begin()
        self.shell.tasks.start("management", self._load())

    async def _load(self) -> None:
        self._me.update(await self._client.me())
        if not self._me.get("is_staff"):
            self.head.lines = [
                {
                    "text": "This page is for staff. Ask them for what you need done.",
                    "tone": "warn",
                }
            ]
            return
        self._staff = True
        self.shell.place(self.place, self.sections, self.body)
        self.go(self._start if self._start in SECTIONS else "users")

    def _build(self) -> dict[str, Any]:
        client, shell, me = self._client, self.shell, self._me
        proposal_form = ProposalForm(shell, client, self._changed)
        self.sections.sections = [{"key": key, "label": label} for key, label in SECTIONS.items()]
        return {
            "users": ManageUsers(shell, client, me, add=lambda: self.go("add-user")),
            "add-user": UserForm(shell, client, me, self._user_made),
            "proposals": ManageProposals(shell, client, add=lambda: self.go("add-proposal")),
            "add-proposal": proposal_form,
            "semesters": Semesters(shell, client),
            "partners": Partners(shell, client),
            "unclaimed": Unclaimed(shell, client),
            "letters": Letters(shell, client),
            "jobs": _Jobs(shell, client),
        }

    def go(self, part: Any) -> None:
        """Show one part."""
        if self._staff and part in self.parts:
            self.sections.section = str(part)
            self.body.children = (self.parts[part].widget,)
            self.parts[part].open()
            self.place.query = urlencode({"show": part})

    def _user_made(self, user: dict[str, Any]) -> None:
        """Go on to the proposal form, as the public service does."""
        self.go("add-proposal")
        self.parts["add-proposal"].for_user(user)

    def _changed(self) -> None:
        self.go("proposals")

    def _heard(self, event: Event) -> None:
        if event.kind.startswith("job.") and self.sections.section == "jobs":
            self.parts["jobs"].open()

    def _again(self) -> None:
        if self.sections.section in {"users", "proposals", "jobs", "unclaimed"}:
            self.parts[self.sections.section].open()


class _Jobs:
    """The jobs of everybody, and the way to Dask's own dashboard."""

    def __init__(self, shell: Shell, client: AsyncClient) -> None:
        self._shell = shell
        self._client = client
        self.jobs = JobTable(shell, client)
        self.widget = self.jobs.widget
        self._begun = False

    def open(self) -> None:
        """Read the jobs."""
        if self._begun:
            self.jobs.ask()
            return
        self._begun = True
        self.jobs.begin()
        self._shell.tasks.start("dashboard", self._look_for_dashboard())

    async def _look_for_dashboard(self) -> None:
        """Offer the dashboard where the service says that it serves one."""
        path = (await self._client.status()).get("dashboard")
        if path:
            href = f"{self._client.address.browser}{str(path).lstrip('/')}"
            self.widget.tools = [
                {"key": "dask", "label": "Dask dashboard", "href": href, "tab": True}
            ]


def show() -> w.Widget:
    """Return the page for a notebook's cell, alive."""
    page = ManagementPage(AsyncClient(find_address()), os.environ.get("QUERY_STRING", ""))
    page.shell.when_seen(page.begin)
    return page.widget
