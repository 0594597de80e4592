"""Semesters and partners, for staff; a whole semester from a CSV file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from goodman_live.widgets.client.errors import ClientError
from goodman_live.widgets.components.blocks import Rows
from goodman_live.widgets.pages import forms, words
from goodman_live.widgets.pages.listing import column

if TYPE_CHECKING:
    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.pages.shell import Shell


class _Entries(ABC):
    """A short list with a form to add to it and to change what is there."""

    name = ""
    """Of the list in the API."""
    kind = ""
    """What one entry is called."""

    def __init__(self, shell: Shell, client: AsyncClient) -> None:
        self._shell = shell
        self._client = client
        self._seen: dict[int, dict[str, Any]] = {}
        self._changed: dict[str, Any] = {}
        self.table = Rows(title=self.name.capitalize(), columns=self.columns())
        self.table.when("act", self._act)
        self.form = forms.BoundForm(
            shell, self._press, groups=[{"label": "", "fields": self.fields()}]
        )
        self._ask_for(None)
        self.widget = w.VBox([self.table, self.form.widget])

    @abstractmethod
    def columns(self) -> list[dict[str, Any]]:
        """Return the columns of the table."""

    @abstractmethod
    def fields(self) -> list[dict[str, Any]]:
        """Return the fields of the form."""

    @abstractmethod
    def row(self, one: dict[str, Any]) -> dict[str, Any]:
        """Return an entry as a row."""

    @abstractmethod
    def given(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return what is sent for a new entry."""

    def open(self) -> None:
        """Read the list."""
        self._shell.tasks.start(self.name, self._read())

    def _ask_for(self, one: dict[str, Any] | None) -> None:
        """Make the form one for a new entry, or for the one that is to be changed."""
        self._changed = one or {}
        names = [field["key"] for field in self.fields()]
        add = forms.button("add", f"Add {self.kind}", main=True)
        save = forms.button("save", "Apply changes", main=True)
        leave = forms.button("leave", "Leave as it is", free=True)
        with self.form.widget.hold_sync():
            self.form.widget.title = f"Change {one['name']}" if one else f"Add a {self.kind}"
            self.form.widget.buttons = [leave, save] if one else [add]
            self.form.widget.faults = {}
            # With the title: what is typed from then on must not be written over.
            self.form.fill(**{name: str(self._changed.get(name) or "") for name in names})

    async def _read(self) -> None:
        found = await self._client.listed(self.name)
        self._seen = {one["id"]: one for one in found}
        rows = [self.row(one) for one in found]
        with self.table.hold_sync():
            self.table.rows, self.table.count = rows, len(rows)
            self.table.message = "" if rows else "The list is empty. Add the first below."
            self.table.state = "ready" if rows else "empty"

    def _actions(self, one: dict[str, Any], used: int, what: str) -> list[dict[str, Any]]:
        verb = "belongs" if used == 1 else "belong"
        reason = f"{words.several(used, what)} {verb} to it." if used else ""
        confirm = f"Take {one['name']} off the list?"
        drop = {
            "key": "drop",
            "label": "Remove",
            "danger": True,
            "reason": reason,
            "confirm": confirm,
        }
        return [{"key": "edit", "label": "Edit"}, drop]

    def _act(self, what: Any) -> None:
        one = self._seen.get(what.get("row", 0)) if isinstance(what, dict) else None
        if one is None:
            return
        if what.get("key") == "edit":
            self.form.say("")
            self._ask_for(one)
            self.form.summon()
        elif what.get("key") == "drop":
            self._shell.tasks.also(f"drop {self.name}", self._take_off(int(one["id"])))

    async def _take_off(self, number: int) -> None:
        try:
            gone = await self._client.take_off(self.name, number)
            self.form.say(f"{gone['name']} was removed.", "good")
        except ClientError as error:
            self.form.say(str(error), "bad")
        await self._read()

    async def _press(self, key: str, values: dict[str, Any]) -> str:
        said = ""
        if key == "save" and self._changed:
            given, old = self.given(values), self._changed["name"]
            await self._client.change_in(self.name, self._changed["id"], **given)
            said = f"{old} is now {given['name']}." if given["name"] != old else f"{old} changed."
        elif key == "add":
            given = self.given(values)
            await self._client.add_to(self.name, **given)
            said = f"{given['name']} was added."
        self._ask_for(None)
        await self._read()
        return said


class Partners(_Entries):
    """The institutions that hold observing time."""

    name = "partners"
    kind = "partner"

    def columns(self) -> list[dict[str, Any]]:
        """Return the columns of the table."""
        return [
            column("label", "Partner", kind="text"),
            column("users", "Accounts"),
            column("actions", ""),
        ]

    def fields(self) -> list[dict[str, Any]]:
        """Return the fields of the form."""
        return [forms.text("name", "Name", required=True, most=80)]

    def row(self, one: dict[str, Any]) -> dict[str, Any]:
        """Return a partner as a row."""
        same = {"key": one["id"], "name": one["name"], "label": one["name"], "users": one["users"]}
        return same | {"actions": self._actions(one, one["users"], "account")}

    def given(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return what is sent for a new partner."""
        return {"name": str(values["name"]).strip()}


class Semesters(_Entries):
    """The observing semesters, and the import of a whole one."""

    name = "semesters"
    kind = "semester"

    def __init__(self, shell: Shell, client: AsyncClient) -> None:
        super().__init__(shell, client)
        self.importer = forms.BoundForm(
            shell,
            self._import,
            title="Import a semester",
            intro="One line is one proposal. The first line names the columns: soar_id, pi_email"
            " and, as far as known, semester, title, abstract, public_date, pi_first_name,"
            " pi_last_name, partner, collaborators. Nothing is taken away, and the same file twice"
            " changes nothing.",
            groups=[{"label": "", "fields": [forms.area("csv", "CSV", rows=8, required=True)]}],
            buttons=[
                forms.button("try", "Say what it would do", main=True),
                forms.button(
                    "apply",
                    "Import",
                    confirm="Make these proposals and accounts, and send the letters?",
                ),
            ],
        )
        self.report = Rows(
            title="What the file does",
            columns=[
                column("line", "Line"),
                column("soar_id", "SOAR ID"),
                column("text", "What", tone="tone_of", kind="text"),
            ],
            message="",
        )
        self.widget.children = (self.table, self.form.widget, self.importer.widget)

    def columns(self) -> list[dict[str, Any]]:
        """Return the columns of the table."""
        return [
            column("label", "Semester"),
            column("first", "First night", kind="mono"),
            column("last", "Last night", kind="mono"),
            column("proposals", "Proposals"),
            column("now", "State", tone="tone_of"),
            column("actions", ""),
        ]

    def fields(self) -> list[dict[str, Any]]:
        """Return the fields of the form."""
        usual = "Empty for the usual one."
        return [
            forms.text("name", "Name", required=True, most=16, hint="2028A"),
            {"key": "first_night", "label": "First night", "kind": "date", "help": usual},
            {"key": "last_night", "label": "Last night", "kind": "date", "help": usual},
        ]

    def row(self, one: dict[str, Any]) -> dict[str, Any]:
        """Return a semester as a row."""
        return {
            "key": one["id"],
            "name": one["name"],
            "label": one["name"],
            "first": one["first_night"],
            "last": one["last_night"],
            "proposals": one["proposals"],
            "now": "present" if one["is_current"] else "",
            "tone_of": "good" if one["is_current"] else "",
            "actions": self._actions(one, one["proposals"], "proposal"),
        }

    def given(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return what is sent for a new semester."""
        nights = {name: values[name] for name in ("first_night", "last_night") if values.get(name)}
        return {"name": str(values["name"]).strip(), **nights}

    async def _import(self, key: str, values: dict[str, Any]) -> str:
        found = await self._client.import_semester(str(values["csv"]), apply=key == "apply")
        rows = []
        for one in found["rows"]:
            tone = "bad" if one["errors"] else "warn" if one["warnings"] else "good"
            text = (
                " ".join([*one["errors"], *one["warnings"], *one["changes"]])
                or "All is there already."
            )
            rows.append(
                {
                    "key": one["line"],
                    "name": one["soar_id"],
                    "line": one["line"],
                    "soar_id": one["soar_id"],
                    "text": text,
                    "tone_of": tone,
                }
            )
        with self.report.hold_sync():
            self.report.rows, self.report.count, self.report.state = rows, len(rows), "ready"
        self.widget.children = (self.table, self.form.widget, self.importer.widget, self.report)
        what = ", ".join(
            words.several(found[name], noun)
            for name, noun in (
                ("new_proposals", "proposal"),
                ("new_users", "account"),
                ("letters", "letter"),
            )
        )
        await self._read()
        if found["errors"]:
            wrong = words.several(found["errors"], "line")
            return f"Nothing was applied. Mend {wrong} as said below, and try again."
        return f"Imported: {what}." if found["applied"] else f"It would make {what}."
