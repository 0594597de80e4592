"""Who works on a proposal: added by e-mail, removed after a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from goodman_live.widgets.client.errors import ClientError
from goodman_live.widgets.components.blocks import Rows
from goodman_live.widgets.pages import forms
from goodman_live.widgets.pages.listing import column
from goodman_live.widgets.pages.proposal_words import may_lead
from goodman_live.widgets.pages.reader import full_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.pages.shell import Shell


class Collaborators:
    """The collaborators of the proposal shown.

    Parameters
    ----------
    shell : Shell
        Of the page.
    client : AsyncClient
        To the service.
    on_change : callable
        Called with the proposal when its people changed.
    """

    def __init__(
        self,
        shell: Shell,
        client: AsyncClient,
        on_change: Callable[[dict[str, Any]], None],
    ) -> None:
        self._shell = shell
        self._client = client
        self._on_change = on_change
        self._proposal: dict[str, Any] = {}
        self._me: dict[str, Any] = {}
        field = forms.text(
            "email", "E-mail of the new collaborator", required=True, most=254, wide=True,
            hint="name@institute.edu",
            help="Somebody without an account gets one, and a letter with a link to set a"
            " password. Whoever has one is told of the proposal.",
        )  # fmt: skip
        self.form = forms.BoundForm(
            shell,
            self._add,
            groups=[{"label": "", "fields": [field | {"kind": "email"}]}],
            buttons=[forms.button("add", "Add collaborator", main=True)],
        )
        self.table = Rows(
            columns=[
                column("full", "Name", kind="text"),
                column("email", "E-mail", kind="text"),
                column("state", "Account", tone="tone_of"),
                column("actions", ""),
            ]
        )
        self.table.when("act", self._act)
        # First what is done here: lists of people grow long.
        self.widget = w.VBox([self.form.widget, self.table])

    def show(self, proposal: dict[str, Any], me: dict[str, Any]) -> None:
        """Show the people of a proposal."""
        if self._proposal.get("id") != proposal["id"]:
            self.form.fill(email="")
            self.form.say("")
        self._proposal, self._me = proposal, me
        leads = may_lead(proposal, me)
        rows = [self._row(one, leads=leads) for one in proposal["collaborators"]]
        with self.table.hold_sync():
            self.table.title = f"Collaborators of {proposal['soar_id']}"
            self.table.rows, self.table.count = rows, len(rows)
            pi = full_name(proposal.get("user")) or "nobody"
            self.table.message = "" if rows else f"Nobody besides the PI, {pi}, sees these data."
            self.table.state = "ready" if rows else "empty"
        with self.form.widget.hold_sync():
            self.form.widget.editable = leads
            self.form.widget.title = "Add a collaborator" if leads else ""
            self.form.widget.intro = (
                "" if leads else f"Only the PI, {pi}, and staff add and remove collaborators."
            )
            self.form.widget.buttons = (
                [forms.button("add", "Add collaborator", main=True)] if leads else []
            )

    def _row(self, one: dict[str, Any], *, leads: bool) -> dict[str, Any]:
        name = full_name(one)
        remove = {
            "key": "remove",
            "label": "Remove",
            "danger": True,
            "confirm": f"Remove {name} ({one['email']}) from {self._proposal['soar_id']}? Its"
            " frames and products are no longer theirs to see, at once.",
        }
        active = bool(one.get("last_login"))
        state = "active" if active else "has not signed in yet"
        if not one.get("is_active", True):
            state, active = "switched off", False
        return {
            "key": one["id"],
            "name": name,
            "full": name,
            "email": one["email"],
            "state": state,
            "tone_of": "good" if active else "warn",
            "actions": [remove] if leads else [],
        }

    async def _add(self, _: str, values: dict[str, Any]) -> str:
        email = str(values.get("email") or "").strip()
        asked = self._proposal
        before = {one["id"] for one in asked["collaborators"]}
        proposal = await self._client.collaborate(asked["id"], email)
        if self._show_again(proposal):
            self.form.fill(email="")
        added = [one for one in proposal["collaborators"] if one["id"] not in before]
        if not added:
            return f"{email} belongs to the proposal already."
        return f"{full_name(added[0])} now sees the data of {proposal['soar_id']}."

    def _act(self, what: Any) -> None:
        if isinstance(what, dict) and what.get("key") == "remove":
            row = next((one for one in self.table.rows if one["key"] == what.get("row")), None)
            if row is not None:
                self._shell.tasks.also("remove", self._remove(self._proposal["id"], row))

    async def _remove(self, number: int, row: dict[str, Any]) -> None:
        try:
            proposal = await self._client.collaborate(number, row["email"], "remove")
        except ClientError as error:
            self.form.say(str(error), "bad")
            return
        self._show_again(proposal)
        self.form.say(f"{row['full']} was removed.", "good")

    def _show_again(self, proposal: dict[str, Any]) -> bool:
        """Show a proposal's people anew, unless the reader has gone on to another one's."""
        if proposal["id"] != self._proposal["id"]:
            return False
        self.show(proposal, self._me)
        self._on_change(proposal)
        return True
