"""Proposals, people and lists: the part of the client that the pages of management stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from goodman_live.widgets.client.transport import Transport

Row = dict[str, Any]


class PeopleMethods:
    """Methods of `AsyncClient` on proposals, accounts, semesters and partners."""

    transport: Transport

    async def _get(self, path: str, **params: Any) -> Row:
        return cast("Row", await self.transport.json("GET", path, params=params))

    async def _send(self, method: str, path: str, body: Row | None = None, **params: Any) -> Row:
        return cast("Row", await self.transport.json(method, path, params=params, body=body))

    # proposals

    async def proposal_page(self, **filters: Any) -> Row:
        """Return one page of proposals, newest first: ``search semester page page_size``."""
        return await self._get("api/proposals/", **filters)

    async def proposal(self, number: int) -> Row:
        """Return one proposal."""
        return await self._get(f"api/proposals/{number}/")

    async def make_proposal(self, **fields: Any) -> Row:
        """Make a proposal: ``soar_id email semester title abstract``."""
        return await self._send("POST", "api/proposals/", fields)

    async def change_proposal(self, number: int, **fields: Any) -> Row:
        """Change what is given of a proposal."""
        return await self._send("PATCH", f"api/proposals/{number}/", fields)

    async def soar_id(self, **asked: Any) -> Row:
        """Return the next SOAR id, or what is known of one: ``soar_id semester``."""
        return await self._get("api/proposals/soar-id/", **asked)

    async def unclaimed(self) -> list[Row]:
        """Return the SOAR ids that frames carry and no proposal has."""
        return cast("list[Row]", (await self._get("api/proposals/unclaimed/"))["results"])

    async def reassign(self, old: str, new: str, *, apply: bool = False) -> Row:
        """Give the frames of one id to a proposal, or say what that would do."""
        body = {"from_soar_id": old, "to_soar_id": new, "apply": apply}
        return await self._send("POST", "api/proposals/reassign/", body)

    async def preview_settings(self, number: int, settings: Row) -> Row:
        """Return what applying these settings would redo; changes nothing."""
        return await self._send("POST", f"api/proposals/settings/{number}/preview/", settings)

    async def replace_settings(self, number: int, settings: Row, *, redo: bool = False) -> Row:
        """Replace the settings of a proposal, and redo what is made already if asked to."""
        path = f"api/proposals/settings/{number}/"
        return await self._send("PUT", path, settings, **({"redo": True} if redo else {}))

    async def schema(self, name: str) -> Row:
        """Return the schema of a model of the API: fields with defaults and limits."""
        document = await self._get("api/openapi.json")
        return cast("Row", document["components"]["schemas"][name])

    # oneself

    async def change_me(self, **fields: Any) -> Row:
        """Change ``first_name last_name partner options notifications`` of oneself."""
        return await self._send("PATCH", "api/users/me/", fields)

    # accounts, by staff

    async def user_page(self, **filters: Any) -> Row:
        """Return one page of accounts: ``search is_staff is_active page page_size``."""
        return await self._get("api/users/", **filters)

    async def make_user(self, **fields: Any) -> Row:
        """Make an account; its owner is sent a link to set a password."""
        return await self._send("POST", "api/users/", fields)

    async def change_user(self, number: int, **fields: Any) -> Row:
        """Change what is given of an account; switching off acts at once."""
        return await self._send("PATCH", f"api/users/{number}/", fields)

    async def send_link(self, number: int) -> Row:
        """Send the owner of an account a link to set a password."""
        return await self._send("POST", f"api/users/{number}/link/")

    async def email(self, to: list[str], subject: str, message: str) -> Row:
        """Write to people who have an account."""
        body = {"to": to, "subject": subject, "message": message}
        return await self._send("POST", "api/email/", body)

    # lists

    async def listed(self, name: str) -> list[Row]:
        """Return the ``partners`` or ``semesters``."""
        return cast("list[Row]", (await self._get(f"api/{name}/"))["results"])

    async def add_to(self, name: str, /, **fields: Any) -> Row:
        """Add to the ``partners`` or ``semesters``."""
        return await self._send("POST", f"api/{name}/", fields)

    async def change_in(self, name: str, number: int, /, **fields: Any) -> Row:
        """Change an entry of the ``partners`` or ``semesters``."""
        return await self._send("PATCH", f"api/{name}/{number}/", fields)

    async def take_off(self, name: str, number: int) -> Row:
        """Take an entry off the ``partners`` or ``semesters``."""
        return await self._send("DELETE", f"api/{name}/{number}/")

    async def import_semester(self, text: str, *, apply: bool = False) -> Row:
        """Import proposals and people from CSV, or say what that would do."""
        body = {"csv": text, "apply": apply}
        return await self._send("POST", "api/semesters/import/", body)

    # work

    async def job_page(self, **filters: Any) -> Row:
        """Return one page of jobs: ``status block file_id proposal_id page page_size``."""
        return await self._get("api/jobs/", **filters)

    async def steer(self, number: int, action: str) -> Row:
        """``cancel`` or ``retry`` a job."""
        return await self._send("POST", f"api/jobs/{number}/", {"action": action})

    async def log_page(self, **filters: Any) -> Row:
        """Return one page of the log, newest first."""
        return await self._get("api/logs/", **filters)
