"""How the data of a proposal are reduced: settings, their defaults, and what a change does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goodman_live.widgets.pages import forms
from goodman_live.widgets.pages.proposal_words import may_lead
from goodman_live.widgets.pages.settings_form import changes_in_words, groups_of

if TYPE_CHECKING:
    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.pages.shell import Shell

SCHEMA = "ReductionSettings"
"""Name of the settings in the API's document."""
INTRO = (
    "For every new frame of this proposal and every step that is started by hand. What is made"
    " already stays as it is unless you ask to redo it; old versions are never lost."
)


class Settings:
    """The settings of the proposal shown; `widget` is the form."""

    def __init__(self, shell: Shell, client: AsyncClient) -> None:
        self._client = client
        self._proposal: dict[str, Any] = {}
        self._groups: list[dict[str, Any]] = []
        self.form = forms.BoundForm(shell, self._apply, self._look)
        self.widget = self.form.widget

    async def show(self, proposal: dict[str, Any], me: dict[str, Any]) -> None:
        """Show the settings of a proposal; who may not change them reads them."""
        if self._proposal.get("id") != proposal["id"]:
            # Until its own values are there, nothing of another one's can be applied to it.
            self._proposal = {}
            self._offer(leads=False, redo=False)
            self.form.say("Loading …")
        groups = self._groups or groups_of(await self._client.schema(SCHEMA))
        values = await self._client.settings(proposal["id"])
        leads = may_lead(proposal, me)
        self._proposal, self._groups = proposal, groups
        # In one piece: what is typed as soon as there are fields must not be written over.
        with self.widget.hold_sync():
            self.widget.title = f"Data-reduction settings of {proposal['soar_id']}"
            self.widget.intro = INTRO if leads else "The PI and staff change these settings."
            self.widget.editable = leads
            self.widget.groups = self._groups
            self.widget.faults = {}
            self.form.fill(**values)
            self._offer(leads=leads, redo=False)
            self.form.say("")

    def _offer(self, *, leads: bool, redo: bool) -> None:
        if not leads:
            self.widget.buttons = []
            return
        buttons = [
            forms.button("defaults", "All defaults", free=True),
            forms.button("apply", "Apply to new frames", main=True),
        ]
        if redo:
            confirm = (
                "Redo what is there with these settings? New versions are made; the old ones stay."
            )
            buttons.insert(
                1, forms.button("redo", "Apply and redo what is there", confirm=confirm)
            )
        self.widget.buttons = buttons

    async def _look(self, _: str, values: dict[str, Any]) -> None:
        if not self._proposal:
            return
        number = self._proposal["id"]
        self.widget.faults = {}
        preview = await self._client.preview_settings(number, values)
        if self._proposal.get("id") != number:
            return
        self._offer(leads=True, redo=bool(preview["steps"]))
        self.form.say(changes_in_words(preview, self._groups), "info")

    async def _apply(self, key: str, values: dict[str, Any]) -> str:
        if not self._proposal:
            return "Nothing was applied: the settings are not there yet."
        number = self._proposal["id"]
        if key == "defaults":
            fields = [field for group in self._groups for field in group["fields"]]
            values = {field["key"]: field["default"] for field in fields}
            self.form.fill(**values)
            preview = await self._client.preview_settings(number, values)
            self._offer(leads=True, redo=bool(preview["steps"]))
            return f"{changes_in_words(preview, self._groups)} Nothing is applied yet."
        kept = await self._client.replace_settings(number, values, redo=key == "redo")
        if self._proposal.get("id") == number:
            self.form.fill(**kept)
            self._offer(leads=True, redo=False)
        if key == "redo":
            return "Applied. What is there is being redone; new versions appear by themselves."
        return "Applied to new frames and new runs."
