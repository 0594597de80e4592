"""Intake: watches the raw roots, waits for files to be whole, and puts them into the catalogue."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog
from sqlalchemy.exc import DataError, IntegrityError
from watchfiles import Change, awatch

from goodman_live.pipeline.core.errors import BadFrameError, GoodmanError
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.server_extension.intake import arrivals
from goodman_live.server_extension.intake.examine import NotYetError, Seen, examine
from goodman_live.server_extension.intake.places import (
    check_place,
    is_candidate,
    listed,
    look,
    needs_polling,
    shown,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from goodman_live.server_extension.catalogue.database import Catalogue
    from goodman_live.server_extension.catalogue.models import Frame
    from goodman_live.server_extension.disk import DiskGuard
    from goodman_live.server_extension.engine.desk import Desk
    from goodman_live.server_extension.intake.places import Stat

log = structlog.get_logger(__name__)

THREADS = 2
"""Files that are read at once."""
BACKLOG = 30
"""More files than this at once are a backlog: headers first, checksums after."""
BATCH = 50
"""Files of a backlog in one transaction."""
RESCAN_S = 30.0
"""How often the folders are walked, for what a watch can miss."""
RESCAN_SHARE = 20.0
"""So many times as long as a walk took is waited at least until the next."""
POLL_MS = 300
"""How often a network file system is looked at."""
UNRECORDABLE = (DataError, IntegrityError, ValueError, OverflowError)
"""What a database says of values that it cannot hold; that it is away is another thing."""


class Places(Protocol):
    """The part of the engine's settings that intake reads."""

    @property
    def raw_roots(self) -> tuple[Path, ...]:
        """Watched folders."""

    @property
    def product_root(self) -> Path:
        """Folder that is never looked at."""

    @property
    def polling(self) -> bool | None:
        """Whether to poll; None finds out."""


class OnTaken(Protocol):
    """What is called for each new raw frame."""

    async def __call__(self, frame: Frame, *, backlog: bool) -> None:
        """Take note of a frame."""


class Intake:
    """Takes files, one at a time as they come or a whole backlog.

    Parameters
    ----------
    on_taken : callable
        Awaited for each raw frame that is new and complete in the catalogue.
    disk : DiskGuard
        Says whether there is room for what more frames would call for.
    """

    def __init__(
        self,
        desk: Desk,
        catalogue: Catalogue,
        places: Places,
        on_taken: OnTaken,
        disk: DiskGuard,
    ) -> None:
        self._disk = disk
        self._desk = desk
        self._catalogue = catalogue
        self._roots = tuple(Path(root).absolute() for root in places.raw_roots)
        self._excluded = Path(places.product_root).absolute()
        self._polling = places.polling
        self._on_taken = on_taken
        self._pool = ThreadPoolExecutor(THREADS, "goodman-intake")
        self._busy: dict[Path, asyncio.Task[Frame]] = {}
        self._again: set[Path] = set()
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    # --- start and stop ---

    async def start(self) -> None:
        """Begin to watch; the first walk finds what came while nobody looked."""
        for root in self._roots:
            root.mkdir(parents=True, exist_ok=True)
        self._tasks = [
            asyncio.create_task(self._watch(), name="goodman-watch"),
            asyncio.create_task(self._rescan(), name="goodman-rescan"),
        ]

    async def stop(self) -> None:
        """Stop; a file in the middle of its intake is taken at the next start."""
        self._stop.set()
        for task in [*self._tasks, *self._busy.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._busy.values(), return_exceptions=True)
        self._pool.shutdown(wait=True, cancel_futures=True)

    # --- one file ---

    async def take(self, path: Path) -> Frame:
        """Take a file, waiting until it is whole; the same file at once is taken once.

        Returns
        -------
        Frame
            New, or the frame that has this content already.

        Raises
        ------
        BadFrameError
            If it is outside the raw roots, not a raw frame, or gone.
        DiskFullError
            While there is no room for what it would call for.
        """
        path = path.absolute()  # noqa: ASYNC240 (no I/O but asking for the working folder)
        check_place(path, self._roots)
        self._disk.must_have_room()
        task = self._busy.get(path)
        if task is None:
            task = asyncio.create_task(self._take(path), name=f"goodman-take-{path.name}")
            self._busy[path] = task
            task.add_done_callback(lambda _: self._busy.pop(path, None))
        return await asyncio.shield(task)

    async def _take(self, path: Path) -> Frame:
        pause = 0.02
        while True:
            self._again.discard(path)
            before = look(path)
            try:
                seen = await self._in_pool(examine, path, self._roots)
            except NotYetError:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.5)
                continue
            except FileNotFoundError:
                raise BadFrameError(f"{path.name} is gone or no regular file.") from None
            except GoodmanError as error:
                if path in self._again or look(path) != before:
                    continue  # it changed while it was judged
                await self._reject(path, error, before)
                raise
            try:
                frame, new = await self._desk.write(arrivals.record_frame, seen)
            except UNRECORDABLE as error:
                unfit = BadFrameError(
                    f"{path.name} has values that the catalogue cannot hold"
                    f" ({type(error).__name__}).",
                    remedy="Look at its header, and tell staff.",
                )
                await self._reject(path, unfit, before)
                raise unfit from error
            if new or frame.state == "new":
                log.info("frame.taken", frame=frame.id, file=path.name, kind=frame.kind)
                await self._on_taken(frame, backlog=False)
            if path not in self._again:
                return frame

    async def _reject(self, path: Path, error: GoodmanError, found: Stat | None) -> None:
        if found is not None:
            log.warning("frame.rejected", file=shown(path.name), reason=str(error))
            await self._desk.write(arrivals.record_rejection, path, found, str(error))

    async def _in_pool(self, work: object, *args: object, **named: object) -> Seen:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **named))  # type: ignore[operator]

    # --- many files ---

    async def scan(self, folder: Path | None = None) -> int:
        """Walk a folder, or all roots, and take what is new or changed; return how many.

        The frames are in the catalogue when this returns; their work goes on.
        """
        if not self._disk.has_room():
            return 0  # what came is found when there is room
        found = await asyncio.to_thread(self._unknown, folder)
        if len(found) > BACKLOG:
            await self._take_backlog(found)
        else:
            await asyncio.gather(*(self._try(path) for path, _ in found))
        return len(found)

    def _unknown(self, folder: Path | None) -> list[tuple[Path, Stat]]:
        with self._catalogue.read() as session:
            known = arrivals.known_paths(session)
        folders = [folder.absolute()] if folder else self._roots
        return [
            (path, stat)
            for place in folders
            for path, stat in walk(place, self._roots, self._excluded)
            if known.get(listed(path)) != (stat.size, stat.mtime_ns) and path not in self._busy
        ]

    async def list_all(self, folder: Path, tell: Callable[[int, int], None]) -> int:
        """Put what is new or changed below a folder into the catalogue; return how many.

        Checksums follow, from whoever watches. `tell` hears how many are done, of how many.
        """
        found = await asyncio.to_thread(self._unknown, folder)
        await self._list(found, tell)
        return len(found)

    async def _take_backlog(self, found: list[tuple[Path, Stat]]) -> None:
        log.info("backlog.begun", files=len(found))
        await self._list(found)
        await self._add_checksums()

    async def _list(
        self,
        found: list[tuple[Path, Stat]],
        tell: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        odd: list[Path] = []
        for start in range(0, len(found), BATCH):
            if not self._disk.has_room():
                break
            paths = [path for path, _ in found[start : start + BATCH]]
            looks = await asyncio.gather(
                *(self._in_pool(examine, path, self._roots, checksum=False) for path in paths),
                return_exceptions=True,
            )
            good = [seen for seen in looks if isinstance(seen, Seen)]
            odd += [p for p, seen in zip(paths, looks, strict=True) if not isinstance(seen, Seen)]
            try:
                await self._desk.write(arrivals.record_batch, good)
            except UNRECORDABLE:
                odd += [seen.path for seen in good]  # one by one, so that one does not stop all
            tell(start + len(paths), len(found))
        # What is not whole or not a frame gets the patience and the reasons of single files.
        await asyncio.gather(*(self._try(path) for path in odd))

    async def _add_checksums(self) -> None:
        waiting = await self._desk.write(arrivals.without_checksum)
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            found = await asyncio.gather(*(self._checksum(key, path) for key, path in batch))
            read = [item for item in found if item is not None]
            for frame in await self._desk.write(arrivals.confirm_checksums, read):
                await self._on_taken(frame, backlog=True)

    async def _checksum(self, frame_id: int, path: Path) -> tuple[int, Stat, str] | None:
        before = look(path)
        loop = asyncio.get_running_loop()
        try:
            digest = await loop.run_in_executor(self._pool, sha256_of, path)
        except OSError as error:
            log.warning("checksum.failed", file=path.name, error=str(error))
            return None
        if before is None or look(path) != before:
            return None  # it changed: the watch takes it anew
        return frame_id, before, digest

    async def _try(self, path: Path) -> None:
        """Take a file of our own accord: what is wrong with it is listed, not raised."""
        try:
            check_place(path, self._roots)
        except GoodmanError as error:
            await self._reject(path, error, look(path))
            return
        try:
            await self.take(path)
        except GoodmanError as error:
            log.info("frame.refused", file=shown(path.name), reason=str(error))
        except Exception:
            log.exception("intake.failed", file=path.name)

    # --- the watch ---

    async def _watch(self) -> None:
        polling = self._polling
        if polling is None:
            polling = any(needs_polling(root) for root in self._roots)
        tasks: set[asyncio.Task[None]] = set()
        async for changes in awatch(
            *self._roots,
            watch_filter=None,
            step=10,
            debounce=100,
            stop_event=self._stop,
            force_polling=polling,
            poll_delay_ms=POLL_MS,
        ):
            for path in self._of_interest(changes):
                task = asyncio.create_task(self._arrived(path))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    def _of_interest(self, changes: Iterable[tuple[Change, str]]) -> list[Path]:
        paths = {Path(text) for change, text in changes if change is not Change.deleted}
        return sorted(
            path
            for path in paths
            if is_candidate(path, self._roots, self._excluded) or path.is_dir()
        )

    async def _arrived(self, path: Path) -> None:
        if await asyncio.to_thread(path.is_dir):
            await self.scan(path)  # files may have come before the watch reached a new folder
            return
        if path in self._busy:
            self._again.add(path)
        if not await asyncio.to_thread(self._is_known, path):
            await self._try(path)

    def _is_known(self, path: Path) -> bool:
        found = look(path)
        with self._catalogue.read() as session:
            return found is None or arrivals.is_known(session, path, found)

    async def _rescan(self) -> None:
        told = ""
        while True:
            began = time.monotonic()
            try:
                await self.scan()
                if bool(self._disk.reason) != bool(told):
                    told = self._disk.reason
                    await self._desk.write(arrivals.record_disk, told)
                await self._add_checksums()
            except Exception:
                log.exception("rescan.failed")
            # A large archive is not walked all the time.
            pause = max(RESCAN_S, RESCAN_SHARE * (time.monotonic() - began))
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()
                return
