"""Letters of the staff to people who have an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goodman_live.widgets.pages import forms, words

if TYPE_CHECKING:
    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.pages.shell import Shell


class Letters:
    """A form for one letter; each reader gets their own and sees no other."""

    def __init__(self, shell: Shell, client: AsyncClient) -> None:
        self._client = client
        fields = [
            forms.text(
                "to",
                "To",
                required=True,
                wide=True,
                help="User names or e-mails, with commas between them.",
            ),
            forms.text("subject", "Subject", required=True, most=200, wide=True),
            forms.area(
                "message",
                "Message",
                required=True,
                most=20000,
                rows=8,
                help="Plain text; it is sent as it is.",
            ),
        ]
        self.form = forms.BoundForm(
            shell,
            self._send,
            title="Write to users",
            groups=[{"label": "", "fields": fields}],
            buttons=[forms.button("send", "Send", main=True, confirm="Send this letter?")],
        )
        self.widget = self.form.widget

    def open(self) -> None:
        """Nothing is read."""

    async def _send(self, _: str, values: dict[str, Any]) -> str:
        names = [name.strip() for name in str(values["to"]).split(",") if name.strip()]
        taken = await self._client.email(names, str(values["subject"]), str(values["message"]))
        self.form.fill(to="", subject="", message="")
        waiting = words.several(taken["queued"], "letter")
        return f"On their way, {waiting}: {', '.join(taken['to'])}."
