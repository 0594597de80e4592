"""Proposals, for staff: found, made, changed; and frames whose id belongs to none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as w

from goodman_live.widgets.components.blocks import Rows
from goodman_live.widgets.pages import forms, proposal_words, words
from goodman_live.widgets.pages.listing import Found, Listing, Plan, column, text_filter
from goodman_live.widgets.pages.reader import full_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.pages.shell import Shell

MOST_SUGGESTED = 300
"""Accounts that the field of the PI suggests."""


class ManageProposals:
    """The table of proposals, and a form for the one that is changed."""

    def __init__(self, shell: Shell, client: AsyncClient, *, add: Callable[[], None]) -> None:
        self._client = client
        self._begun = False
        self._seen: dict[int, dict[str, Any]] = {}
        plan = Plan(
            title="Proposals",
            columns=[
                column("soar_id", "SOAR ID", link="link", kind="mono"),
                column("semester", "Semester"),
                column("pi", "PI", kind="text"),
                column("title", "Title", kind="text"),
                column("people", "Collaborators"),
                column("actions", ""),
            ],
            read=self._read,
            empty="There is no proposal yet. Make the first with Add new.",
            unfit=proposal_words.NONE_FITS,
            fields=[text_filter("Find", "SOAR id, title or PI")],
            page_size=20,
        )
        self.table = Listing(shell, plan, self._act)
        self.table.widget.tools = [{"key": "add", "label": "Add new", "main": True}]
        self.table.widget.when("tool", lambda _: add())
        self.edit = ProposalForm(shell, client, self.table.ask, editing=True)
        self.widget = w.VBox([self.table.widget])

    def open(self) -> None:
        """Read the proposals."""
        if not self._begun:
            self._begun = True
            self.table.begin()
        self.table.ask()

    async def _read(self, asked: dict[str, Any]) -> Found:
        answer = await self._client.proposal_page(**asked)
        self._seen = {one["id"]: one for one in answer["results"]}
        rows = []
        for one in answer["results"]:
            row = proposal_words.row(one, {"is_staff": True})
            row["actions"] = [{"key": "edit", "label": "Edit"}, *row["actions"][1:]]
            rows.append(row)
        return Found(rows, answer["count"])

    def _act(self, key: str, row: dict[str, Any]) -> None:
        if key == "edit" and (one := self._seen.get(int(row["key"]))):
            self.edit.for_proposal(one)
            self.widget.children = (self.table.widget, self.edit.widget)
            self.edit.form.summon()


class ProposalForm:
    """The form of a proposal; it says what is known of the SOAR id while it is typed."""

    def __init__(
        self,
        shell: Shell,
        client: AsyncClient,
        on_done: Callable[[], None],
        *,
        editing: bool = False,
    ) -> None:
        self._shell = shell
        self._client = client
        self._on_done = on_done
        self._editing = editing
        self._proposal: dict[str, Any] = {}
        self._pi = ""
        self._proposed = ""
        self.form = forms.BoundForm(
            shell,
            self._press,
            self._look,
            title="Change proposal" if editing else "Add new proposal",
            intro="Frames belong to a proposal by the SOAR id in their header, letter by letter.",
            buttons=[
                forms.button("save", "Apply changes" if editing else "Create proposal", main=True)
            ],
        )
        self.widget = self.form.widget

    def open(self) -> None:
        """Show an empty form with the next SOAR id."""
        self._pi = ""
        self.form.say("")
        self._shell.tasks.start("proposal form", self._prepare({}))

    def for_user(self, user: dict[str, Any]) -> None:
        """Show the form for a PI who was just made."""
        self._pi = str(user["email"])
        self.form.say(
            f"The account {user['username']} was made, and a letter goes to {user['email']}."
            " Now the proposal.",
            "good",
        )
        self._shell.tasks.start("proposal form", self._prepare({}))

    def for_proposal(self, proposal: dict[str, Any]) -> None:
        """Show the form of a proposal."""
        self.form.say("")
        self._shell.tasks.start("proposal form", self._prepare(proposal))

    async def _prepare(self, one: dict[str, Any]) -> None:
        semesters = await self._client.listed("semesters")
        people = (await self._client.user_page(page_size=MOST_SUGGESTED, is_active=True))[
            "results"
        ]
        current = next((str(s["name"]) for s in semesters if s["is_current"]), "")
        known = one.get("semester") or current
        names = [str(s["name"]) for s in semesters]
        options = [
            (name, name) for name in [*names, *([known] if known and known not in names else [])]
        ]
        suggestions = [
            {"value": user["email"], "label": full_name(user)} for user in people if user["email"]
        ]
        groups = [
            {
                "label": "",
                "fields": [
                    forms.text(
                        "email",
                        "PI (e-mail)",
                        suggestions=suggestions,
                        most=254,
                        help="Of an account; make it first if there is none.",
                    ),
                    forms.choice(
                        "semester", "Semester", [("", "Please choose a semester"), *options]
                    ),
                    forms.text(
                        "soar_id",
                        "SOAR ID",
                        required=True,
                        most=80,
                        help="Must be what the headers carry in PROPID.",
                    ),
                    {
                        "key": "public_date",
                        "label": "Public from",
                        "kind": "date",
                        "help": "Everybody with an account sees its frames from this day (UTC) on."
                        " Empty: the dates in the frames' own headers count.",
                    },
                    forms.text("title", "Title", most=500, wide=True),
                    forms.area("abstract", "Abstract", most=20000, rows=6),
                ],
            }
        ]
        soar_id = str(one.get("soar_id") or "")
        if not soar_id:
            soar_id = self._proposed = str(
                (await self._client.soar_id(semester=known))["proposed"]
            )
        email = str((one.get("user") or {}).get("email") or "") if one else self._pi
        # In one piece: what is applied goes to the proposal that is shown, and what is typed as
        # soon as there are fields is not written over.
        self._proposal = one
        with self.widget.hold_sync():
            if self._editing:
                self.widget.title = f"Change proposal {soar_id}"
            self.widget.groups = groups
            self.form.fill(
                email=email,
                semester=known,
                soar_id=soar_id,
                public_date=str(one.get("public_date") or "")[:10],
                title=str(one.get("title") or ""),
                abstract=str(one.get("abstract") or ""),
            )

    async def _look(self, key: str, values: dict[str, Any]) -> None:
        self.widget.faults = {}
        if key == "semester" and not self._editing and values.get("soar_id") == self._proposed:
            # The id was ours: it follows the semester. One that was typed stays.
            self._proposed = str(
                (await self._client.soar_id(semester=values["semester"]))["proposed"]
            )
            self.form.fill(soar_id=self._proposed)
        elif key == "soar_id" and values.get("soar_id") not in {"", self._proposal.get("soar_id")}:
            known = await self._client.soar_id(soar_id=values["soar_id"])
            frames = known["frames"]
            there = (
                f" {words.several(frames, 'raw frame')} with it came,"
                f" {words.night(known['first_night'])} to {words.night(known['last_night'])}."
                if frames
                else " No frame carries it yet."
            )
            self.form.say(
                f"{known['warning']}{there}".strip(), "warn" if known["warning"] else "info"
            )

    async def _press(self, _: str, values: dict[str, Any]) -> str:
        given = {
            name: values.get(name) or "" for name in ("soar_id", "semester", "title", "abstract")
        }
        email = str(values.get("email") or "").strip()
        day = str(values.get("public_date") or "")
        public = {"public_date": f"{day}T00:00:00Z" if day else None}
        if self._editing:
            before = str((self._proposal.get("user") or {}).get("email") or "")
            changed = {
                name: value
                for name, value in given.items()
                if value != (self._proposal.get(name) or "")
            }
            if email and email != before:
                changed["email"] = email
            if day != str(self._proposal.get("public_date") or "")[:10]:
                changed |= public
            self._proposal = await self._client.change_proposal(self._proposal["id"], **changed)
            self._on_done()
            return f"{self._proposal['soar_id']} was changed."
        named = {"email": email} if email else {}
        made = await self._client.make_proposal(**given, **named, **(public if day else {}))
        self._shell.say(f"The proposal {made['soar_id']} was made.")
        self._on_done()
        return f"The proposal {made['soar_id']} was made."


class Unclaimed:
    """SOAR ids that frames carry and no proposal has, and the way to mend a wrong one."""

    def __init__(self, shell: Shell, client: AsyncClient) -> None:
        self._shell = shell
        self._client = client
        self.table = Rows(
            title="Frames without a proposal",
            columns=[
                column("soar_id", "Id in the header", kind="mono"),
                column("frames", "Raw frames"),
                column("first", "First night", kind="mono"),
                column("last", "Last night", kind="mono"),
                column("similar", "Looks like", kind="text"),
            ],
        )
        fields = [
            forms.text("old", "Id in the headers", required=True, most=80),
            forms.text("new", "Proposal they belong to", required=True, most=80),
        ]
        self.form = forms.BoundForm(
            shell,
            self._press,
            title="Give frames to another proposal",
            intro="For ids with a typing error. Only in the catalogue: files keep their headers.",
            groups=[{"label": "", "fields": fields}],
            buttons=[
                forms.button("try", "Say what it would do", main=True),
                forms.button(
                    "apply",
                    "Give them",
                    confirm="Give these frames, and all made of them, to the other proposal?",
                ),
            ],
        )
        self.widget = w.VBox([self.table, self.form.widget])

    def open(self) -> None:
        """Read the ids."""
        self._shell.tasks.start("unclaimed", self._read())

    async def _read(self) -> None:
        found = await self._client.unclaimed()
        rows = [
            {
                "key": one["soar_id"],
                "name": one["soar_id"],
                "soar_id": one["soar_id"],
                "frames": one["frames"],
                "first": words.night(one["first_night"]),
                "last": words.night(one["last_night"]),
                "similar": ", ".join(one["similar"]),
            }
            for one in found
        ]
        with self.table.hold_sync():
            self.table.rows, self.table.count = rows, len(rows)
            self.table.message = "" if rows else "Every frame belongs to a proposal."
            self.table.state = "ready" if rows else "empty"

    async def _press(self, key: str, values: dict[str, Any]) -> str:
        old, new = (str(values.get(name) or "").strip() for name in ("old", "new"))
        done = await self._client.reassign(old, new, apply=key == "apply")
        frames, products = done["frames"], done["products"]
        what = f"{words.several(frames, 'raw frame')} and {words.several(products, 'product')}"
        if not done["applied"]:
            return f"{what} of {old} would belong to {new}. {done['warning']}".strip()
        await self._read()
        return f"{what} belong to {new} now."
