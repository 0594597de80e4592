"""Account: who one is, how pages look, which letters come, API tokens, the password's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from goodman_live.widgets.client.address import find_address
from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.client.hub import find_tokens, hub_page
from goodman_live.widgets.components.colours import STOPS
from goodman_live.widgets.pages import forms
from goodman_live.widgets.pages.shell import Shell
from goodman_live.widgets.pages.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from goodman_live.widgets.client.events import Event

LOOK = {"colours": "gray", "saturated": True, "title": True, "theme": ""}
"""Visual options and what they are without a choice."""
LETTERS = {
    "new_product": ("New products", "One letter gathers what was made for your proposals."),
    "failed_job": ("Failed jobs", "When a step failed on a frame of your proposals, gathered."),
    "added_to_proposal": ("Added to a proposal", "When somebody gives you access to data."),
}
"""Letters by their name in the API: label and help."""


class AccountPage:
    """The page as one object: `widget` is what is shown."""

    def __init__(self, client: AsyncClient, environ: Mapping[str, str] | None = None) -> None:
        self._client = client
        self.shell = Shell(client, on_event=_ignore, on_live=self._again)
        password = hub_page("change-password", environ)
        buttons = [forms.button("save", "Apply changes", main=True)]
        if password:
            buttons.insert(0, forms.button("password", "Change password", href=password))
        self.person = forms.BoundForm(
            self.shell, self._save_person, title="Your account", buttons=buttons
        )
        self.look = forms.BoundForm(
            self.shell,
            self._save_look,
            title="Visual options",
            intro="How images are shown on every page, on every computer you sign in from.",
            groups=[{"label": "", "fields": _look_fields()}],
            buttons=[forms.button("save", "Apply options", main=True)],
        )
        self.letters = forms.BoundForm(
            self.shell,
            self._save_letters,
            title="Notifications",
            intro="Letters to your e-mail address. Those about your password always come.",
            groups=[
                {
                    "label": "",
                    "fields": [
                        forms.check(key, label, help=text)
                        for key, (label, text) in LETTERS.items()
                    ],
                }
            ],
            buttons=[forms.button("save", "Apply notifications", main=True)],
        )
        self.tokens = Tokens(self.shell, find_tokens(environ))
        both = w.HBox([self.look.widget, self.letters.widget]).add_class("gl-two")
        self.shell.place(self.person.widget, both, self.tokens.widget)
        self.widget = self.shell.widget
        self._filled = False

    def begin(self) -> None:
        """Read the account."""
        self.shell.begin()
        self.shell.tasks.start("account", self._load())
        self.tokens.begin()

    def _again(self) -> None:
        if not self._filled:
            self.shell.tasks.start("account", self._load())

    async def _load(self) -> None:
        me = await self._client.me()
        partners = [str(one["name"]) for one in await self._client.listed("partners")]
        self._show(me, partners)
        self._filled = True

    def _show(self, me: dict[str, Any], partners: list[str]) -> None:
        own = str(me.get("partner") or "")
        names = [*partners, *([own] if own and own not in partners else [])]
        self.person.widget.groups = [
            {
                "label": "",
                "fields": [
                    forms.text("first_name", "First name", most=150, autocomplete="given-name"),
                    forms.text("last_name", "Last name", most=150, autocomplete="family-name"),
                    forms.shown(
                        "email",
                        "E-mail",
                        help="Staff change it: links to set a password go there.",
                    ),
                    forms.choice(
                        "partner",
                        "Partner",
                        [("", "None"), *((name, name) for name in names)],
                        help="The institution whose time you observe with.",
                    ),
                    forms.shown("username", "User name"),
                    forms.shown("proposals", "Proposals"),
                ],
            }
        ]
        ids = me.get("proposals") or []
        said = ", ".join(ids) or ("all, as staff" if me.get("is_staff") else "none yet")
        person = {
            key: me.get(key) or "" for key in ("first_name", "last_name", "email", "partner")
        }
        options = me.get("options") or {}
        shown = {**LOOK, **_dict(options.get("data")), **_dict(options.get("look"))}
        self.look.fill(**{key: shown[key] for key in LOOK})
        self.letters.fill(**_dict(me.get("notifications")))
        # Last: who sees a name there finds all forms filled.
        self.person.fill(**person, username=me["username"], proposals=said)

    async def _save_person(self, _: str, values: dict[str, Any]) -> str:
        names = ("first_name", "last_name", "partner")
        me = await self._client.change_me(**{key: values[key] for key in names})
        self.shell.reader.show(me)
        return "Your account was changed."

    async def _save_look(self, _: str, values: dict[str, Any]) -> str:
        options = (await self._client.me()).get("options") or {}
        seen = {key: values[key] for key in ("colours", "saturated", "title")}
        options["data"] = {**_dict(options.get("data")), **seen}
        options["look"] = {**_dict(options.get("look")), "theme": values["theme"]}
        self.shell.reader.show(await self._client.change_me(options=options))
        return "Every page shows images like this from now on."

    async def _save_letters(self, _: str, values: dict[str, Any]) -> str:
        wanted = {key: bool(values.get(key)) for key in LETTERS}
        await self._client.change_me(notifications=wanted)
        return "You get the letters that are ticked."


def _look_fields() -> list[dict[str, Any]]:
    themes = [("", "As the system prefers"), ("dark", "Dark"), ("light", "Light")]
    maps = [(name, name) for name in STOPS]
    return [
        forms.choice("colours", "Colour map", maps),
        forms.choice("theme", "Theme", themes),
        forms.check("saturated", "Show saturated pixels", help="Drawn over the image."),
        forms.check("title", "Show title", help="Type, object and proposal above it."),
    ]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _ignore(_: Event) -> None:
    """Nothing that happens to frames changes this page."""


def show() -> w.Widget:
    """Return the page for a notebook's cell, alive."""
    page = AccountPage(AsyncClient(find_address()))
    page.shell.when_seen(page.begin)
    return page.widget
