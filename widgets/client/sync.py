"""The same client for notebooks and scripts: plain calls, no ``await``."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from goodman_live.widgets.client.core import AsyncClient
from goodman_live.widgets.client.errors import NotFoundError
from goodman_live.widgets.client.records import JOB_RUNNING, DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from pathlib import Path

    from astropy.nddata import CCDData
    from astropy.table import Table
    from specutils import Spectrum

    from goodman_live.widgets.client.address import Address
    from goodman_live.widgets.client.events import Event
    from goodman_live.widgets.client.records import Comment, File, HeaderCard, Job, Page

    Teller = Callable[[str, str], None]
    """Takes the state of the connection, and a sentence about it."""

T = TypeVar("T")


class Client:
    """Goodman Live from a notebook or a script.

    The work is done by `AsyncClient` on a loop in a thread of its own, because a notebook's own
    loop is busy while a cell runs. Each method waits for its answer.

    Examples
    --------
    >>> import goodman_live
    >>> goodman = goodman_live.connect()  # doctest: +SKIP
    >>> newest = goodman.files(data_type=0)["results"][0]  # doctest: +SKIP
    >>> goodman.reduce(newest["id"])  # doctest: +SKIP
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="goodman-client", daemon=True
        )
        self._thread.start()
        self._client = self._run(_open(address))

    def __repr__(self) -> str:
        """Say where it is connected, never the token."""
        return f"<goodman_live client of {self.address.url}>"

    def __enter__(self) -> Self:
        """Return the client; it closes at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread; closing twice does no harm."""
        if self._loop.is_closed():
            return
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            # An interrupted cell must not leave its request running.
            future.cancel()
            raise

    def status(self) -> dict[str, Any]:
        """Return version and state of the service."""
        return self._run(self._client.status())

    def me(self) -> dict[str, Any]:
        """Return the user whose token this is."""
        return self._run(self._client.me())

    def files(self, **filters: Any) -> Page:
        """Return one page of files, newest first; see `AsyncClient.files`."""
        return self._run(self._client.files(**filters))

    def file(self, file_id: int) -> File:
        """Return one file."""
        return self._run(self._client.file(file_id))

    def related(self, file_id: int) -> list[File]:
        """Return everything made from the same raw frame."""
        return self._run(self._client.family(file_id))

    def header(self, file_id: int) -> list[HeaderCard]:
        """Return the header cards of a file."""
        return self._run(self._client.header(file_id))

    def picture(self, file_id: int, **choices: Any) -> bytes:
        """Return a PNG of a file."""
        return self._run(self._client.picture(file_id, **choices))

    def plot(self, file_id: int) -> dict[str, Any]:
        """Return a spectrum as plain numbers, for drawing."""
        return self._run(self._client.spectrum(file_id))

    def line(self, file_id: int, low: float, high: float) -> dict[str, Any]:
        """Return the strongest line of a spectrum between two wavelengths, fitted with errors."""
        return self._run(self._client.line(file_id, low, high))

    def diagnostics(self, file_id: int) -> dict[str, Any]:
        """Return what the step saw that made a product: ``kind target data``."""
        return self._run(self._client.diagnostics(file_id))

    def download(
        self,
        file_id: int,
        target: str | Path = ".",
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Write a FITS file, whole or not at all; return its path."""
        return self._run(self._client.download(file_id, target, progress=progress))

    def upload(self, path: str | Path, *, file_name: str | None = None) -> File:
        """Send a raw FITS file; return it as the catalogue has it."""
        return self._run(self._client.upload(path, file_name=file_name))

    def table(self, **filters: Any) -> Table:
        """Return every file that fits as an `astropy.table.Table`, newest first."""
        return self._run(self._client.table(**filters))

    def spectrum(self, file_id: int) -> Spectrum:
        """Return a spectrum with uncertainty and mask as `specutils.Spectrum`.

        Raises
        ------
        WrongKindError
            If the file is no spectrum.
        ImportError
            If specutils is not installed.
        """
        return self._run(self._client.spectrum1d(file_id))

    def ccd(self, file_id: int) -> CCDData:
        """Return an image with uncertainty, mask and WCS as `CCDData`.

        Raises
        ------
        WrongKindError
            If the file is no image.
        """
        return self._run(self._client.ccd(file_id))

    def reduce(self, file_id: int, **options: Any) -> Job:
        """Run the reduce block; see `run_block`."""
        return self.run_block("reduce", file_id, **options)

    def extract(self, file_id: int, **options: Any) -> Job:
        """Run the extract block, ``apertures`` by hand if given; see `run_block`."""
        return self.run_block("extract", file_id, **options)

    def calibrate(self, file_id: int, *, flux: bool = False, **options: Any) -> Job:
        """Run the wavelength calibration, or with `flux` the flux calibration; see `run_block`."""
        return self.run_block("flux" if flux else "wavelength", file_id, **options)

    def stack(self, file_id: int, **options: Any) -> Job:
        """Combine a spectrum with the exposures of its target before it; see `run_block`."""
        return self.run_block("stack", file_id, **options)

    def run_block(
        self,
        block: str,
        file_id: int,
        *,
        wait: bool = True,
        progress: bool | Callable[[Job], None] = False,
        patience: float = 600.0,
        **settings: Any,
    ) -> Job:
        """Run a block on a file; by default wait for its end.

        Parameters
        ----------
        block : str
            One of `core.BLOCKS`.
        file_id : int
            The file to work on, or one of its family.
        wait : bool
            False returns the job as soon as it is queued.
        progress : bool or callable
            True writes a line to the standard error; a callable is called with the job.
        patience : float
            Seconds to wait at most; the job itself runs on.
        **settings
            Settings that differ from the proposal's.

        Returns
        -------
        Job
            ``products`` are the ids of the files that it made.

        Raises
        ------
        JobFailedError
            If the job failed or was cancelled; with its own message.
        TimeoutError
            If it has not ended after `patience` seconds.
        """
        job = self._run(self._client.run(block, file_id, **settings))
        if not wait:
            return job
        told = show_progress if progress is True else progress or None
        return self._run(self._client.wait(job, patience=patience, progress=told))

    def delete(self, file_id: int) -> None:
        """Delete a product."""
        self._run(self._client.delete(file_id))

    def job(self, job_id: int) -> Job:
        """Return one job."""
        return self._run(self._client.job(job_id))

    def wait(self, job: Job, **options: Any) -> Job:
        """Return a job when it has ended well; see `AsyncClient.wait`."""
        return self._run(self._client.wait(job, **options))

    def cancel(self, job_id: int) -> Job:
        """Cancel a job."""
        return self._run(self._client.cancel(job_id))

    def comments(self, file_id: int) -> list[Comment]:
        """Return the comments on a file."""
        return self._run(self._client.comments(file_id))

    def comment(self, file_id: int, text: str) -> Comment:
        """Add a comment to a file."""
        return self._run(self._client.comment(file_id, text))

    def proposals(self) -> list[dict[str, Any]]:
        """Return this user's proposals."""
        return self._run(self._client.proposals())

    def settings(self, proposal: int, **changes: Any) -> dict[str, Any]:
        """Return the settings of a proposal, after changing those that are given."""
        if changes:
            return self._run(self._client.save_settings(proposal, **changes))
        return self._run(self._client.settings(proposal))

    def night(self, **filters: Any) -> dict[str, Any]:
        """Return tonight's state and what is still missing."""
        return self._run(self._client.night(**filters))

    def logs(self, **filters: Any) -> list[dict[str, Any]]:
        """Return the newest log entries about this user's proposals."""
        return self._run(self._client.logs(**filters))

    @overload
    def follow(
        self, what: int | None = None, *, since: int | None = None, on_state: Teller | None = None
    ) -> Generator[Event, None, None]: ...

    @overload
    def follow(
        self, what: str, *, since: int | None = None, on_state: Teller | None = None
    ) -> Generator[Spectrum, None, None]: ...

    def follow(
        self,
        what: str | int | None = None,
        *,
        since: int | None = None,
        on_state: Teller | None = None,
    ) -> Generator[Event, None, None] | Generator[Spectrum, None, None]:
        """Yield what happens, or the spectra of a proposal as they are made, until the loop ends.

        Parameters
        ----------
        what : str or int, optional
            SOAR id of a proposal: then its spectra come, each as soon as it has wavelengths, and
            again when a better version is made. A number is taken for `since`.
        since : int, optional
            Event after which to begin; default: now.
        on_state : callable, optional
            Told when the connection is lost and found again.

        Examples
        --------
        >>> for spectrum in goodman.follow("SOAR2026B-001"):  # doctest: +SKIP
        ...     print(spectrum.meta["header"]["OBJECT"], spectrum.flux.mean())
        """
        if isinstance(what, str):
            return self._spectra(what, self._events(since, on_state))
        return self._events(since if what is None else what, on_state)

    def _spectra(
        self, proposal: str, stream: Generator[Event, None, None]
    ) -> Generator[Spectrum, None, None]:
        with closing(stream):
            for event in stream:
                told = event.data
                new = event.kind == "product.made" and told.get("proposal_id") == proposal
                if not new or told.get("data_type") != DataType.WAVELENGTH:
                    continue
                try:
                    file = self.file(int(told["frame_id"]))
                    if not file.get("role"):
                        yield self.spectrum(file["id"])
                except NotFoundError:
                    continue  # deleted since

    def _events(self, since: int | None, on_state: Teller | None) -> Generator[Event, None, None]:
        stream = self._client.follow(since, on_state=on_state)

        async def following() -> Event:
            return await anext(stream)

        try:
            while True:
                yield self._run(following())
        finally:
            self._run(_shut(stream))


def show_progress(job: Job) -> None:
    """Write a job's progress over the last line of the standard error."""
    over = job["status"] not in JOB_RUNNING
    line = f"\r{job['block']} {job['id']}: {job['status']} {100 * job['progress']:3.0f} %"
    sys.stderr.write(f"{line:<48}" + ("\n" if over else ""))
    sys.stderr.flush()


async def _open(address: Address) -> AsyncClient:
    return AsyncClient(address)


async def _shut(stream: Any) -> None:
    await stream.aclose()
