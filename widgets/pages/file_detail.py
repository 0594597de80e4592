"""One frame and all that was made of it: tabs, view, header, actions, comments."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import ipywidgets as w

from goodman_live.widgets.client.core import BLOCKS
from goodman_live.widgets.client.errors import ClientError, NotFoundError, NotSignedInError
from goodman_live.widgets.client.records import JOB_RUNNING
from goodman_live.widgets.components.parts import Actions, Comments, Head, HeaderTable
from goodman_live.widgets.components.viewer import Viewer
from goodman_live.widgets.pages import words
from goodman_live.widgets.pages.tasks import RETRY, Soon

if TYPE_CHECKING:
    from collections.abc import Callable

    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.client.events import Event
    from goodman_live.widgets.client.records import File, Job
    from goodman_live.widgets.pages.tasks import Tasks


class FileDetail:
    """Feeds the right-hand side of the Data page.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    tasks : Tasks
        Where background work runs.
    on_shown : callable
        Called with (number of the raw frame or master, number of the file shown).
    """

    def __init__(
        self, client: AsyncClient, tasks: Tasks, on_shown: Callable[[int, int], None]
    ) -> None:
        self._client = client
        self._tasks = tasks
        self._on_shown = on_shown
        self._root = 0
        self._family: list[File] = []
        self._shown: File | None = None
        self._by_hand = False
        self._opening: asyncio.Task[None] | None = None
        self._jobs: dict[int, Job] = {}
        self._written: dict[int, dict[str, Any]] = {}
        self.head, self.cards = Head(), HeaderTable()
        self.actions, self.comments = Actions(), Comments()
        self.viewer = Viewer(client, tasks.start)
        parts = [self.head, self.cards, self.viewer.widget, self.actions, self.comments]
        self.widget = w.VBox(parts).add_class("gl-detail")
        self._soon = Soon(self.refresh, self._failed)
        self._listen()
        self.empty("Choose a frame on the left.")

    @property
    def root(self) -> int:
        """Number of the raw frame or master whose family is shown, 0 for none."""
        return self._root

    @property
    def _is_opening(self) -> bool:
        return self._opening is not None and not self._opening.done()

    def begin(self) -> None:
        """Serve requests to read the family again."""
        self._tasks.start("family", self._soon.run())

    def empty(self, text: str) -> None:
        """Show no file, and why."""
        self._root, self._family, self._shown = 0, [], None
        self._tasks.stop("view")
        with self.head.hold_sync():
            self.head.title, self.head.tabs, self.head.more = text, [], []
            self.head.facts, self.head.waits = [], []
            self.head.opening = False
        self.comments.file = 0
        self.widget.children = (self.head,)

    def open(self, file_id: int) -> None:
        """Show a file; for a raw frame its newest product, as it comes."""
        # Nothing more is said about what is about to go, nor chosen from it.
        self.comments.file, self.head.opening = 0, True
        self._opening = self._tasks.start("open", self._try_to_open(file_id))

    async def _try_to_open(self, file_id: int) -> None:
        try:
            await self._open(file_id)
        except NotSignedInError:
            raise
        except ClientError as error:
            self._failed(error)
            await asyncio.sleep(RETRY)
            self.open(file_id)

    def _failed(self, error: ClientError) -> None:
        """Say what the service answered, where the waiting is shown; it is tried again."""
        self.head.waits = [{"text": f"{error} Trying again …", "tone": "bad"}]

    def again(self) -> None:
        """Read again what is shown, soon."""
        self._soon.ask()

    def heard(self, event: Event) -> None:
        """Take notice of an event that may concern the family shown."""
        data = event.data
        if data.get("job_id") in self._jobs:
            self._tasks.start(f"job {data['job_id']}", self._read_job(int(data["job_id"])))
        if self._root and event.kind != "frame.added":
            self._soon.ask()

    async def refresh(self) -> None:
        """Read the family again; go on to the newest step if the reader has chosen none."""
        # What is about to go must not be drawn again: the reader would see the choice leap back,
        # and press the next key from there.
        while self._is_opening and self._opening is not None:
            await asyncio.wait([self._opening])
        asked = self._root
        if not asked:
            return
        try:
            family = await self._client.family(asked)
        except NotFoundError:
            if asked == self._root and not self._is_opening:
                self.empty("This file no longer exists, or you may no longer see it.")
            return
        if self._is_opening:
            self._soon.ask()
        elif asked == self._root:  # another may have been opened while we read
            self._family = family
            await self._settle()

    async def _open(self, file_id: int) -> None:
        try:
            family = await self._client.family(file_id)
        except NotFoundError:
            self.empty(f"There is no file {file_id}, or you may not see it.")
            return
        self._family = family
        self._root = int(family[0].get("original_file_id") or family[0]["id"])
        self._by_hand = file_id != self._root
        asked = (one for one in family if one["id"] == file_id)
        self._shown = next(asked, None) if self._by_hand else None
        self.widget.children = (
            self.head,
            self.cards,
            self.viewer.widget,
            self.actions,
            self.comments,
        )
        await self._settle()

    async def _settle(self) -> None:
        """Choose the tab, and draw what has changed."""
        ordered = sorted(self._family, key=words.tab_order)
        chosen = next(
            (one for one in ordered if self._shown and one["id"] == self._shown["id"]), None
        )
        if chosen is None or not self._by_hand:
            chosen = ordered[0]
        changed = (
            self._shown is None
            or chosen["id"] != self._shown["id"]
            or chosen.get("last_modified") != self._shown.get("last_modified")
            or self.viewer.shows != chosen["id"]
        )
        root = next(one for one in ordered if one["id"] == self._root)
        self._shown = chosen
        with self.head.hold_sync():
            self.head.title = root["file_name"]
            self.head.tabs = [words.tab(one, ordered) for one in ordered if words.is_main(one)]
            self.head.more = [words.tab(one, ordered) for one in ordered if not words.is_main(one)]
            self.head.selected, self.head.opening = chosen["id"], False
        self._on_shown(self._root, chosen["id"])
        with self.comments.hold_sync():
            if self.comments.file != chosen["id"]:
                self.comments.comments = []
            self.comments.root, self.comments.file = self._root, chosen["id"]
        # Each by itself: what cuts one of them short must not leave the others out.
        if changed:
            self.viewer.show(chosen, words.title(chosen))
            self._tasks.start("comments", self._read_comments())
            self._tasks.start("header", self._read_header())
        await self._describe(root["id"], chosen["id"])

    async def _describe(self, root_id: int, shown_id: int) -> None:
        """Draw facts and actions from the full record of the file."""
        shown, *others = await asyncio.gather(
            *(self._client.file(number) for number in dict.fromkeys((shown_id, root_id)))
        )
        root = others[0] if others else shown
        if self._shown is None or self._shown["id"] != shown_id:
            return
        latency = cast("dict[str, str]", root.get("latency") or {})
        replaced = await self._replaced(shown)
        if self._shown["id"] != shown_id:
            return
        with self.head.hold_sync():
            self.head.facts = words.facts(shown, latency) + replaced
            self.head.waits = words.waits(root, shown)
        # The link to a notebook stays until another file is shown.
        self._written = {key: one for key, one in self._written.items() if key == shown_id}
        found = words.actions(shown, self._client.download_url(shown_id))
        self.actions.actions = [*found, *self._written.values()]

    async def _replaced(self, shown: File) -> list[dict[str, Any]]:
        """Return what took the place of an old version, and how it differs."""
        if shown.get("is_current", True):
            return []
        same = ("data_type", "target", "role")
        current = next(
            (
                one
                for one in self._family
                if one.get("is_current") and all(one.get(key) == shown.get(key) for key in same)
            ),
            None,
        )
        if current is None:
            return []
        return [words.version(shown, await self._client.file(current["id"]))]

    # what the reader does

    def _listen(self) -> None:
        self.head.when("tab", self._choose_tab)
        self.actions.when("act", self._act)
        self.actions.when("cancel", self._cancel)
        self.actions.when("dismiss", self._dismiss)
        self.comments.when("comment", self._comment)
        self.comments.when("uncomment", self._uncomment)
        self.cards.observe(lambda _: self._tasks.start("header", self._read_header()), "unfolded")

    def _choose_tab(self, file_id: Any) -> None:
        if self.head.opening:
            return  # pressed as its frame was about to go
        chosen = next((one for one in self._family if one["id"] == file_id), None)
        if chosen is not None:
            self._by_hand, self._shown = True, chosen
            self._tasks.start("open", self._try_to_settle())

    async def _try_to_settle(self) -> None:
        try:
            await self._settle()
        except NotSignedInError:
            raise
        except ClientError as error:
            self._failed(error)
            self.again()

    def _act(self, what: Any) -> None:
        if not isinstance(what, dict):
            return
        key, file_id = what.get("key"), what.get("file")
        # One that the page no longer shows was meant all the same; another family's was not.
        if file_id not in {one["id"] for one in self._family}:
            return
        if key == "delete":
            self._tasks.also("delete", self._delete(int(file_id)))
        elif key == "notebook":
            self._tasks.also("notebook", self._write_notebook(int(file_id)))
        elif key == "reclassify":
            wish = words.reclassified(str(what.get("choice", "")))
            if wish is not None:
                self._tasks.also("reclassify", self._reclassify(int(file_id), wish))
        elif key in BLOCKS:
            self._tasks.also(str(key), self._run(str(key), int(file_id)))

    async def _run(self, block: str, file_id: int) -> None:
        try:
            job = await self._client.run(block, file_id)
        except ClientError as error:
            failed = {"id": 0, "block": block, "status": "failed", "message": str(error)}
            self._keep_job(cast("Job", failed))
            return
        self._go_on(file_id)  # what comes out is what the reader waits for
        while job["status"] in JOB_RUNNING:
            self._keep_job(job)
            await asyncio.sleep(0.5)
            job = await self._client.job(job["id"])
        self._keep_job(job)
        self._soon.ask()

    def _go_on(self, file_id: int) -> None:
        """Follow the newest step again, unless the reader has turned to something else."""
        if self._shown is not None and self._shown["id"] == file_id and not self.head.opening:
            self._by_hand = False

    async def _reclassify(self, file_id: int, wish: dict[str, Any]) -> None:
        await self._client.reclassify(file_id, **wish)
        self._go_on(file_id)
        self._soon.ask()

    async def _write_notebook(self, file_id: int) -> None:
        # Light, but only wanted now.
        from goodman_live.widgets.pages.open_notebook import write_notebook  # noqa: PLC0415

        file = next((one for one in self._family if one["id"] == file_id), None)
        if file is None:
            return
        written = await write_notebook(self._client, file)
        if self._shown is None or self._shown["id"] != file_id:
            return  # it is in the reader's folder all the same
        self._written = {file_id: words.written(written.name, written.href, file_id)}
        others = (one for one in self.actions.actions if one["key"] != "written")
        self.actions.actions = [*others, *self._written.values()]

    async def _read_job(self, job_id: int) -> None:
        self._keep_job(await self._client.job(job_id))

    def _keep_job(self, job: Job) -> None:
        self._jobs[job["id"]] = job
        self.actions.jobs = [words.job(one) for one in self._jobs.values()]

    def _cancel(self, job_id: Any) -> None:
        if job_id in self._jobs:
            self._tasks.also("cancel", self._client.cancel(int(job_id)))

    def _dismiss(self, job_id: Any) -> None:
        self._jobs.pop(job_id, None)
        self.actions.jobs = [words.job(one) for one in self._jobs.values()]

    async def _delete(self, file_id: int) -> None:
        await self._client.delete(file_id)
        self._go_on(file_id)
        self._soon.ask()

    def _comment(self, what: Any) -> None:
        if not isinstance(what, dict) or not isinstance(what.get("file"), int):
            return
        if self._shown is None or self._shown["id"] != what["file"]:
            self._choose_tab(what["file"])  # the page has gone on: back to what is commented on
        self._by_hand = True
        self._tasks.also("comment", self._add_comment(what["file"], str(what.get("text", ""))))

    def _uncomment(self, comment_id: Any) -> None:
        self._tasks.also("comment", self._drop_comment(int(comment_id)))

    async def _add_comment(self, file_id: int, text: str) -> None:
        try:
            await self._client.comment(file_id, text)
        except ClientError as error:
            self.comments.message = f"The comment was not kept: {error}"
            return
        self.comments.message = ""
        self.comments.kept += 1
        await self._read_comments()

    async def _drop_comment(self, comment_id: int) -> None:
        await self._client.uncomment(comment_id)
        await self._read_comments()

    async def _read_comments(self) -> None:
        file_id = self.comments.file
        if not file_id:
            return
        rows = await self._client.comments(file_id)
        if file_id == self.comments.file:  # the reader may have moved on
            self.comments.comments = [dict(one) for one in rows]

    async def _read_header(self) -> None:
        if self._shown is None:
            return
        self.cards.name = self._shown["file_name"]
        if not self.cards.unfolded:
            self.cards.cards = []
            return
        self.cards.message = "Loading…"
        file_id = self._shown["id"]
        cards = words.cards(await self._client.header(file_id))
        if self._shown is None or self._shown["id"] != file_id:
            return
        self.cards.cards = cards
        self.cards.message = ""
