"""Accounts, for staff: found, changed, switched off; and the form that makes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from goodman_live.widgets.client.errors import ClientError
from goodman_live.widgets.pages import forms, words
from goodman_live.widgets.pages.listing import Found, Listing, Plan, choice, column, text_filter
from goodman_live.widgets.pages.reader import full_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.pages.shell import Shell

YES_NO = [("true", "yes"), ("false", "no")]


class ManageUsers:
    """The table of accounts, and a form for the one that is changed."""

    def __init__(
        self, shell: Shell, client: AsyncClient, me: dict[str, Any], *, add: Callable[[], None]
    ) -> None:
        self._shell = shell
        self._client = client
        self._me = me
        self._begun = False
        self._users: dict[int, dict[str, Any]] = {}
        plan = Plan(
            title="Users",
            columns=[
                column("full", "Name", kind="text"),
                column("username", "User name", kind="mono"),
                column("email", "E-mail", kind="text"),
                column("partner", "Partner"),
                column("rights", "Rights"),
                column("state", "Account", tone="tone_of"),
                column("seen", "Last sign-in", kind="mono"),
                column("actions", ""),
            ],
            read=self._read,
            empty="There is no account yet. Make the first with Add new.",
            unfit="Nobody fits. Clear the filters to see everybody.",
            fields=[
                text_filter("Find", "name or e-mail"),
                choice("is_active", "Active", YES_NO),
                choice("is_staff", "Staff", YES_NO),
            ],
            page_size=20,
        )
        self.table = Listing(shell, plan, self._act)
        self.table.widget.tools = [{"key": "add", "label": "Add new", "main": True}]
        self.table.widget.when("tool", lambda _: add())
        self.edit = UserForm(shell, client, me, lambda _: self._done(), editing=True)
        self.widget = w.VBox([self.table.widget])

    def open(self) -> None:
        """Read the accounts."""
        if not self._begun:
            self._begun = True
            self.table.begin()
        self.table.ask()

    async def _read(self, asked: dict[str, Any]) -> Found:
        answer = await self._client.user_page(**asked)
        self._users = {one["id"]: one for one in answer["results"]}
        return Found([self._row(one) for one in answer["results"]], answer["count"])

    def _row(self, user: dict[str, Any]) -> dict[str, Any]:
        state, tone = "active", "good"
        if not user["is_active"]:
            state, tone = "switched off", "bad"
        elif not user.get("has_password", True):
            state, tone = "no password yet", "warn"
        rights = "superuser" if user.get("is_superuser") else "staff" if user["is_staff"] else ""
        return {
            "key": user["id"],
            "name": user["username"],
            "full": full_name(user),
            "username": user["username"],
            "email": user["email"],
            "partner": user.get("partner") or "",
            "rights": rights,
            "state": state,
            "tone_of": tone,
            "seen": words.stamp(str(user.get("last_login") or "")) or "never",
            "actions": self._actions(user),
        }

    def _actions(self, user: dict[str, Any]) -> list[dict[str, Any]]:
        above = self._me.get("is_superuser") or not user["is_staff"]
        reason = "" if above else "Staff accounts are changed by superusers."
        if user["id"] == self._me.get("id"):
            reason = "Your own account cannot be switched off by yourself."
        name = full_name(user)
        switch = (
            {
                "key": "off",
                "label": "Switch off",
                "danger": True,
                "reason": reason,
                "confirm": f"Switch off the account of {name}? Sessions, tokens and servers end at"
                " once. Nothing is deleted, and it can be switched on again.",
            }
            if user["is_active"]
            else {"key": "on", "label": "Switch on", "reason": reason}
        )
        link_reason = "" if user["is_active"] else "The account is switched off."
        return [
            {
                "key": "edit",
                "label": "Edit",
                "reason": "" if above or user["id"] == self._me.get("id") else reason,
            },
            {
                "key": "link",
                "label": "Send link",
                "reason": link_reason,
                "confirm": f"Send {name} a letter with a link to set the password?",
            },
            switch,
        ]

    def _act(self, key: str, row: dict[str, Any]) -> None:
        user = self._users.get(int(row["key"]))
        if user is None:
            return
        if key == "edit":
            self.edit.for_user(user)
            self.widget.children = (self.table.widget, self.edit.widget)
            self.edit.form.summon()
        elif key in {"off", "on", "link"}:
            self._shell.tasks.also("account", self._do(key, user))

    async def _do(self, key: str, user: dict[str, Any]) -> None:
        try:
            if key == "link":
                sent = (await self._client.send_link(user["id"]))["sent"]
                name = user["username"]
                self._shell.say(
                    f"A letter goes to {name}."
                    if sent
                    else f"A letter went to {name} a moment ago."
                )
            else:
                await self._client.change_user(user["id"], is_active=key == "on")
                self._shell.say(f"{user['username']} was switched {key}.")
        except ClientError as error:
            self._shell.say(str(error), "bad")
        self.table.ask()

    def _done(self) -> None:
        self.table.ask()


class UserForm:
    """The form of an account: a new one, or one that is changed."""

    def __init__(
        self,
        shell: Shell,
        client: AsyncClient,
        me: dict[str, Any],
        on_done: Callable[[dict[str, Any]], None],
        *,
        editing: bool = False,
    ) -> None:
        self._shell = shell
        self._client = client
        self._me = me
        self._on_done = on_done
        self._editing = editing
        self._user: dict[str, Any] = {}
        self.form = forms.BoundForm(
            shell,
            self._press,
            title="Change user" if editing else "Add new user",
            intro="" if editing else "A letter with a link to set a password goes to the e-mail.",
            buttons=[
                forms.button("save", "Apply changes" if editing else "Create user", main=True)
            ],
        )
        self.widget = self.form.widget

    def open(self) -> None:
        """Show an empty form."""
        self.form.say("")
        self._shell.tasks.start("user form", self._prepare({}))

    def for_user(self, user: dict[str, Any]) -> None:
        """Show the form of an account."""
        self.form.say("")
        self._shell.tasks.start("user form", self._prepare(user))

    async def _prepare(self, user: dict[str, Any]) -> None:
        partners = [
            (str(one["name"]), str(one["name"])) for one in await self._client.listed("partners")
        ]
        own = str(user.get("partner") or "")
        if own and own not in dict(partners):
            partners.append((own, own))
        staff_help = (
            "" if self._me.get("is_superuser") else "Only superusers make or unmake staff."
        )
        fields = [
            forms.text("first_name", "First name", most=150),
            forms.text("last_name", "Last name", most=150),
            forms.text(
                "username",
                "User name",
                most=32,
                help="Empty: made from the e-mail; its owner may choose another.",
            )
            if not self._editing
            else forms.shown("username", "User name"),
            forms.text("email", "E-mail", required=True, most=254) | {"kind": "email"},
            forms.choice("partner", "Partner", [("", "Please choose a partner"), *partners]),
        ]
        if self._me.get("is_superuser"):
            fields.append(
                forms.check("is_staff", "Staff", help="Sees every proposal and this page.")
            )
        else:
            fields.append(forms.shown("is_staff", "Staff", help=staff_help))
        names = ("first_name", "last_name", "username", "email", "partner")
        staff: Any = bool(user.get("is_staff"))
        if not self._me.get("is_superuser"):
            staff = "yes" if staff else "no"
        # In one piece: what is applied goes to the account that is shown, and what is typed as
        # soon as there are fields is not written over.
        self._user = user
        with self.widget.hold_sync():
            if self._editing:
                self.widget.title = f"Change user {user['username']}"
            self.widget.groups = [{"label": "", "fields": fields}]
            self.form.fill(**{name: user.get(name) or "" for name in names}, is_staff=staff)

    async def _press(self, _: str, values: dict[str, Any]) -> str:
        names = ["first_name", "last_name", "email", "partner"]
        if self._me.get("is_superuser"):
            names.append("is_staff")
        given = {name: values[name] for name in names if name in values}
        if self._editing:
            # Only what differs: changing one's own e-mail, or another's rights, is refused.
            given = {
                name: value
                for name, value in given.items()
                if value != (self._user.get(name) or "")
            }
            given.pop("is_staff", None) if given.get("is_staff") == bool(
                self._user.get("is_staff")
            ) else None
            self._user = await self._client.change_user(self._user["id"], **given)
            self._on_done(self._user)
            return f"{self._user['username']} was changed."
        username = str(values.get("username") or "").strip()
        user = await self._client.make_user(
            **given, **({"username": username} if username else {})
        )
        self._on_done(user)
        return f"The account {user['username']} was made."
