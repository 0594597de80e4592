"""API tokens: made for one purpose, shown once, revoked at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from goodman_live.widgets.client.errors import ClientError
from goodman_live.widgets.components.blocks import Rows, Secret
from goodman_live.widgets.pages import forms, words
from goodman_live.widgets.pages.listing import column

if TYPE_CHECKING:
    from goodman_live.widgets.client.hub import HubTokens
    from goodman_live.widgets.pages.shell import Shell

LIVES = [("30", "30 days"), ("90", "90 days"), ("365", "A year"), ("0", "Until revoked")]


class Tokens:
    """The reader's tokens; `widget` is what is shown. Without a Hub there are none."""

    def __init__(self, shell: Shell, tokens: HubTokens | None) -> None:
        self._shell = shell
        self._tokens = tokens
        self.secret = Secret()
        self.secret.when("forget", lambda _: self.secret.set_trait("token", ""))
        self.table = Rows(
            title="API tokens",
            columns=[
                column("note", "For", kind="text"),
                column("created", "Made", kind="mono"),
                column("used", "Last used", kind="mono"),
                column("expires", "Valid until", kind="mono"),
                column("actions", ""),
            ],
        )
        self.table.when("act", self._act)
        self.form = forms.BoundForm(
            shell,
            self._make,
            title="Make a token",
            intro="For scripts. It may do through the API what you may do, and nothing else.",
            groups=[
                {
                    "label": "",
                    "fields": [
                        forms.text(
                            "note",
                            "What it is for",
                            required=True,
                            most=100,
                            hint="laptop, nightly script",
                        ),
                        forms.choice("days", "Valid for", LIVES),
                    ],
                }
            ],
            values={"note": "", "days": "90"},
            buttons=[forms.button("make", "Make token", main=True)],
        )
        self.widget = w.VBox([self.table, self.secret, self.form.widget])

    def begin(self) -> None:
        """Read the tokens."""
        if self._tokens is None:
            self.table.message = "This server has no Hub: its own token is in its address."
            self.table.state = "empty"
            self.form.widget.layout.display = "none"
            return
        self._shell.tasks.start("tokens", self._read())

    async def _read(self) -> None:
        if self._tokens is None:
            return
        try:
            rows = [self._row(one) for one in await self._tokens.list()]
        except ClientError as error:
            self.table.message, self.table.state = f"Tokens cannot be read: {error}", "failed"
            return
        with self.table.hold_sync():
            self.table.rows, self.table.count = rows, len(rows)
            self.table.message = "" if rows else "You have no token. Make one below."
            self.table.state = "ready" if rows else "empty"

    def _row(self, one: dict[str, Any]) -> dict[str, Any]:
        note = str(one.get("note") or "without a note")
        confirm = f"Revoke the token “{note}”? What uses it stops working at once."
        revoke = {"key": "revoke", "label": "Revoke", "danger": True, "confirm": confirm}
        return {
            "key": str(one["id"]),
            "name": note,
            "note": note,
            "created": words.stamp(str(one.get("created") or "")),
            "used": words.stamp(str(one.get("last_activity") or "")) or "never",
            "expires": words.stamp(str(one.get("expires_at") or "")) or "it is revoked",
            "actions": [revoke],
        }

    async def _make(self, _: str, values: dict[str, Any]) -> str:
        if self._tokens is None:
            return ""
        days = str(values.get("days") or "0")
        self.secret.token = await self._tokens.make(
            str(values["note"]).strip(), int(days) if days.isdecimal() else None
        )
        self.form.fill(note="")
        await self._read()
        return "The token is above."

    def _act(self, what: Any) -> None:
        if isinstance(what, dict) and what.get("key") == "revoke":
            self._shell.tasks.also("revoke", self._revoke(str(what.get("row"))))

    async def _revoke(self, token_id: str) -> None:
        if self._tokens is None:
            return
        try:
            await self._tokens.revoke(token_id)
            self.form.say("The token was revoked.", "good")
        except ClientError as error:
            self.form.say(str(error), "bad")
        await self._read()
