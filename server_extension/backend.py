"""What the handlers ask: catalogue, engine and arithmetic, each on its own threads.

Handlers run on the event loop; the database and numpy do not. Start and stop are here too:
migrations before anything reads, then the engine with its intake.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import IntegrityError

from goodman_live.hub.accounts.proposals import ensure_shared
from goodman_live.hub.mail.settings import MailSettings  # noqa: TC001 (a field's type)
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.errors import ConflictError
from goodman_live.server_extension.catalogue.migrate import migrate
from goodman_live.server_extension.engine.courier import Courier, CourierRules
from goodman_live.server_extension.engine.engine import Engine, EngineSettings
from goodman_live.server_extension.engine.webhooks import Webhooks
from goodman_live.server_extension.jobs import count_live_jobs
from goodman_live.server_extension.limits import RateLimiter, UnderWay
from goodman_live.server_extension.people import welcome_superuser
from goodman_live.server_extension.pictures import PictureCache
from goodman_live.server_extension.postroom import PostRoom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.orm import Session

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Given = ParamSpec("Given")

DATABASE_THREADS = 8
"""Requests that may speak to the database at once."""
MAILS_PER_HOUR = 200
"""Letters that one of the staff may send in an hour."""
MOST_UNDER_WAY = 32
"""Requests of one user that may be unanswered; beyond it they are refused at once."""
COMPUTE_THREADS = 2
"""Previews that may be drawn at once; more would only wait for each other's processor."""


class StartingError(GoodmanError):
    """The service is starting or stopping."""

    status = 503
    code = "not_ready"


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """What an operator decides."""

    data_root: Path
    raw_roots: tuple[Path, ...]
    product_root: Path
    database: str
    dask: str
    watch: bool
    has_accounts: bool
    """False for the one person of a plain server."""
    rate_limit: float
    rate_burst: int
    max_upload_bytes: int
    max_streams: int = 0
    """Streams of events that one user may have open; 0 for any number."""
    least_free_bytes: int = 0
    """Below this much free space nothing new is taken."""
    superuser_email: str = ""
    """Who is made the first superuser, at a start without any."""
    mail: MailSettings | None = None
    """Where mail goes; None sends none, as in a plain server."""
    courier: CourierRules = field(default_factory=CourierRules)
    """Where webhooks may lead; nowhere by default."""


class Backend:
    """The one object behind all routes.

    Parameters
    ----------
    settings : BackendSettings
        What the operator decided.
    """

    def __init__(self, settings: BackendSettings) -> None:
        self.settings = settings
        self.has_accounts = settings.has_accounts
        self.limiter = RateLimiter(settings.rate_limit, settings.rate_burst)
        self.under_way = UnderWay(MOST_UNDER_WAY if settings.rate_limit > 0 else 0)
        self.streams = UnderWay(settings.max_streams)
        self.pictures = PictureCache()
        self.engine: Engine
        """Set by the start."""
        self.mail_limiter = RateLimiter(MAILS_PER_HOUR / 3600, MAILS_PER_HOUR)
        self._catalogue: Catalogue | None = None
        self._post: PostRoom | None = None
        self._webhooks: Webhooks | None = None
        self._database = ThreadPoolExecutor(DATABASE_THREADS, "goodman-database")
        self._arithmetic = ThreadPoolExecutor(COMPUTE_THREADS, "goodman-compute")
        self._starting = asyncio.Lock()
        self._start_task: asyncio.Task[None] | None = None
        self._stopped = False

    # --- start and stop ---

    @property
    def started(self) -> bool:
        """True between a complete start and the stop."""
        return self._catalogue is not None and not self._stopped

    async def ready(self) -> None:
        """Start whatever has not been started; the first request of a plain server comes here."""
        if self.started:
            return
        async with self._starting:
            if self._stopped:
                raise StartingError("The service is stopping.")
            if self._catalogue is None:
                self._start_task = asyncio.create_task(self._start(), name="goodman-start")
                await self._start_task

    async def _start(self) -> None:
        for folder in (
            self.settings.data_root,
            self.settings.product_root,
            *self.settings.raw_roots,
        ):
            folder.mkdir(parents=True, exist_ok=True)
        catalogue = await self._off_loop(self._database, self._open_catalogue)
        self.engine = Engine(
            catalogue,
            EngineSettings(
                raw_roots=self.settings.raw_roots,
                product_root=self.settings.product_root,
                work_dir=self.settings.data_root / "work",
                dask=self.settings.dask,
                watch=self.settings.watch,
                least_free_bytes=self.settings.least_free_bytes,
            ),
        )
        try:
            await self.engine.start()
        except BaseException:
            await self.engine.stop()
            catalogue.close()
            raise
        self._catalogue = catalogue
        if self.settings.mail is not None:
            self._post = PostRoom(catalogue, self.settings.mail)
            self._post.start()
        if self.settings.courier.hosts:
            courier = Courier(self.settings.courier)
            self._webhooks = Webhooks(catalogue, self.engine.events, courier)
            self._webhooks.start()

    def _open_catalogue(self) -> Catalogue:
        revision = migrate(self.settings.database)
        log.info("Catalogue at revision %s", revision)
        catalogue = Catalogue(self.settings.database)
        with catalogue.read() as session:
            ensure_shared(session)
        if self.has_accounts:
            with catalogue.write() as session:
                welcome_superuser(session, self.settings.superuser_email)
        return catalogue

    async def stop(self) -> None:
        """Stop taking work, then let go of threads and database; a start under way ends too."""
        self._stopped = True
        if self._start_task is not None and not self._start_task.done():
            self._start_task.cancel()
        async with self._starting:
            if self._post is not None:
                await self._post.stop()
            if self._webhooks is not None:
                await self._webhooks.stop()
            if self._catalogue is not None:
                await self.engine.stop()
                await self._off_loop(self._database, self._catalogue.close)
        self._database.shutdown(wait=False, cancel_futures=True)
        self._arithmetic.shutdown(wait=False, cancel_futures=True)

    # --- what handlers do ---

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue.

        Raises
        ------
        StartingError
            Before the start and after the stop.
        """
        if self._catalogue is None or self._stopped:
            raise StartingError("The service is not ready yet.", remedy="Try again in a moment.")
        return self._catalogue

    async def read(
        self,
        work: Callable[Concatenate[Session, Given], Result],
        *arguments: Given.args,
        **named: Given.kwargs,
    ) -> Result:
        """Run ``work(session, ...)`` with a session that only reads, off the event loop."""
        catalogue = self.catalogue

        def run() -> Result:
            with catalogue.read() as session:
                return work(session, *arguments, **named)

        return await self._off_loop(self._database, run)

    async def write(
        self,
        work: Callable[Concatenate[Session, Given], Result],
        *arguments: Given.args,
        **named: Given.kwargs,
    ) -> Result:
        """Run ``work(session, ...)`` in one transaction, off the event loop."""
        catalogue = self.catalogue

        def run() -> Result:
            with _conflicts_told(), catalogue.write() as session:
                return work(session, *arguments, **named)

        return await self._off_loop(self._database, run)

    async def write_stepwise(
        self,
        work: Callable[Concatenate[Session, Given], Result],
        *arguments: Given.args,
        **named: Given.kwargs,
    ) -> Result:
        """Run ``work(session, ...)`` that commits by itself, as the functions of accounts do."""
        catalogue = self.catalogue

        def run() -> Result:
            with _conflicts_told(), catalogue.stepwise() as session:
                return work(session, *arguments, **named)

        return await self._off_loop(self._database, run)

    async def compute(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Run arithmetic off the event loop."""
        return await self._off_loop(self._arithmetic, work, *arguments)

    async def _off_loop(
        self, pool: ThreadPoolExecutor, work: Callable[..., Result], *arguments: Any
    ) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, work, *arguments)

    async def queue_depth(self) -> int:
        """Return how many jobs wait or run."""
        return await self.read(count_live_jobs)

    def wake_events(self) -> None:
        """Tell the streams to look: something was committed."""
        self.engine.events.wake()

    def free_bytes(self) -> int:
        """Return the free space of the data root."""
        return shutil.disk_usage(self.settings.data_root).free

    def activity(self) -> None:
        """Tell what a plain server must not stop for."""
        return


@contextmanager
def _conflicts_told() -> Iterator[None]:
    """Say that another request was faster, where the database found two that go not together."""
    try:
        yield
    except IntegrityError as error:
        log.warning("Two requests at the same moment: %s", error.orig)
        raise ConflictError(
            "Somebody changed the same thing at this moment.", remedy="Try again."
        ) from error
