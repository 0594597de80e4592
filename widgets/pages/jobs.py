"""The table of jobs: what runs, ran and failed; cancelled and retried from its rows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.errors import ClientError
from goodman_live.widgets.pages import words
from goodman_live.widgets.pages.listing import Found, Listing, Plan, choice, column

if TYPE_CHECKING:
    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.components.blocks import Rows
    from goodman_live.widgets.pages.shell import Shell

STATES = ("queued", "running", "done", "failed", "cancelled")
TONES = {"failed": "bad", "cancelled": "warn", "running": "info", "queued": "info", "done": "good"}


class JobTable:
    """The jobs that the reader may see; `widget` is what is shown."""

    def __init__(self, shell: Shell, client: AsyncClient, *, title: str = "Jobs") -> None:
        self._shell = shell
        self._client = client
        plan = Plan(
            title=title,
            columns=[
                column("key", "Job", kind="mono"),
                column("block", "Step"),
                column("status", "State", tone="tone_of"),
                column("proposal", "Proposal", kind="mono"),
                column("user", "Asked by"),
                column("created", "Asked at", kind="mono"),
                column("took", "Took"),
                column("message", "What it said", kind="text"),
                column("actions", ""),
            ],
            read=self._read,
            empty="No job yet: each frame that comes makes its own.",
            unfit="No job is in this state. Choose “any” to see all.",
            fields=[choice("status", "State", [(one, one) for one in STATES])],
            page_size=15,
        )
        self.table = Listing(shell, plan, self._act)

    @property
    def widget(self) -> Rows:
        """The table."""
        return self.table.widget

    def begin(self) -> None:
        """Read now, and whenever asked to."""
        self.table.begin()

    def ask(self) -> None:
        """Read again, soon."""
        self.table.ask()

    async def _read(self, asked: dict[str, Any]) -> Found:
        answer = await self._client.job_page(**asked)
        return Found([job_row(one) for one in answer["results"]], answer["count"])

    def _act(self, key: str, row: dict[str, Any]) -> None:
        if key in {"cancel", "retry"}:
            self._shell.tasks.also("steer", self._steer(int(row["key"]), key))

    async def _steer(self, number: int, action: str) -> None:
        try:
            await self._client.steer(number, action)
        except ClientError as error:
            self._shell.say(str(error), "bad")
        self.ask()


def job_row(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job as a row with what can be done with it."""
    status = str(job["status"])
    actions: list[dict[str, Any]] = []
    if job.get("file_id"):
        actions.append(
            {"key": "file", "label": "Frame", "href": f"data.ipynb?file={job['file_id']}"}
        )
    actions.append({"key": "log", "label": "Log", "href": f"logs.ipynb?job_id={job['id']}"})
    if status in {"queued", "running"}:
        actions.append({"key": "cancel", "label": "Cancel"})
    elif status in {"failed", "cancelled"}:
        actions.append({"key": "retry", "label": "Retry"})
    progress = f" {100 * float(job.get('progress') or 0):.0f} %" if status == "running" else ""
    return {
        "key": job["id"],
        "name": f"of job {job['id']}",
        "block": words.block(str(job["block"])),
        "status": status + progress,
        "tone_of": TONES.get(status, ""),
        "proposal": job["proposal_id"],
        "user": job.get("user") or "pipeline",
        "created": words.stamp(str(job.get("created") or "")),
        "took": _took(job),
        "message": job.get("message") or "",
        "actions": actions,
    }


def _took(job: dict[str, Any]) -> str:
    if not job.get("started") or not job.get("finished"):
        return ""
    begin, end = (datetime.fromisoformat(str(job[name])) for name in ("started", "finished"))
    return f"{(end - begin).total_seconds():.1f} s"
