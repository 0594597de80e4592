"""The client itself, asynchronous: one method per thing that the service offers."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

from goodman_live.widgets.client import events, science
from goodman_live.widgets.client.errors import ClientError, JobFailedError
from goodman_live.widgets.client.people import PeopleMethods
from goodman_live.widgets.client.records import JOB_RUNNING
from goodman_live.widgets.client.transport import Transport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from astropy.nddata import CCDData
    from astropy.table import Table
    from specutils import Spectrum

    from goodman_live.widgets.client.address import Address
    from goodman_live.widgets.client.records import Comment, File, HeaderCard, Job, Page

T = TypeVar("T")

UPLOAD_PATIENCE_S = 180.0
"""The service answers an upload when the file is in the catalogue."""
PROPOSALS_AT_ONCE = 500
"""Proposals of one answer, the most that the service gives."""
WATCH_S = 0.5
"""Between two looks at a job."""
DIAGNOSTICS_PATIENCE_S = 120.0
"""A step is done once more for them."""
BLOCKS = {
    "reduce": "api/files/reduce/",
    "extract": "api/files/spectrum/extract/",
    "wavelength": "api/files/spectrum/calibrate/wavelength/",
    "flux": "api/files/spectrum/calibrate/flux/",
    "astrometry": "api/files/image/astrometry/",
    "stack": "api/files/spectrum/stack/",
    "acquisition": "api/files/image/acquisition/",
    "focus": "api/files/focus/",
}
"""Address of each block that a reader can run on a file."""


class AsyncClient(PeopleMethods):
    """Everything that a page or a script may ask of the service.

    Parameters
    ----------
    address : Address
        Service and identity.

    Notes
    -----
    Every method raises a child of `ClientError` with what went wrong and what helps.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.transport = Transport(address)

    async def __aenter__(self) -> Self:
        """Return the client; its connections close at the end of the block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.transport.close()

    # what is there

    async def status(self) -> dict[str, Any]:
        """Return version and state of the service."""
        return cast("dict[str, Any]", await self.transport.json("GET", "api/"))

    async def me(self) -> dict[str, Any]:
        """Return the user whose token this is."""
        return cast("dict[str, Any]", await self.transport.json("GET", "api/users/me/"))

    async def save_options(self, name: str, options: dict[str, Any]) -> None:
        """Keep choices of this user under a name; other names stay as they are."""
        kept = {**(await self.me()).get("options", {}), name: options}
        await self.transport.json("PATCH", "api/users/me/", body={"options": kept})

    async def files(self, **filters: Any) -> Page:
        """Return one page of the files that fit every filter, newest first.

        Parameters
        ----------
        **filters
            As in the public API: ``data_type obstype object filter grating date date_min
            proposal_id search ordering page page_size`` and the others.
        """
        return cast("Page", await self.transport.json("GET", "api/files/", params=filters))

    async def facets(self, **filters: Any) -> dict[str, list[dict[str, Any]]]:
        """Return the values that each filter may take under these filters, with counts."""
        answer = await self.transport.json("GET", "api/files/facets/", params=filters)
        return cast("dict[str, list[dict[str, Any]]]", answer["facets"])

    async def all_files(self, **filters: Any) -> AsyncIterator[File]:
        """Yield every file that fits, page after page."""
        asked = {"page_size": 100, **filters, "page": 1}
        while True:
            answer = await self.files(**asked)
            for file in answer["results"]:
                yield file
            if not answer["next"]:
                return
            asked["page"] += 1
            # What arrives meanwhile must not push a file from one page onto the next.
            newest = parse_qs(urlsplit(answer["next"]).query).get("max_id")
            if newest:
                asked["max_id"] = newest[0]

    async def file(self, file_id: int) -> File:
        """Return one file."""
        return cast("File", await self.transport.json("GET", f"api/files/{file_id}/"))

    async def related(self, file: File) -> list[File]:
        """Return everything made from the same raw frame, the raw one included, oldest first."""
        root = int(file.get("original_file_id") or file["id"])
        return await self._family(root, await self._descendants(root))

    async def file_and_related(self, file_id: int) -> tuple[File, list[File]]:
        """Return one file and its `related`, asked for at once."""
        file, family = await asyncio.gather(self.file(file_id), self.family(file_id))
        return file, family

    async def family(self, file_id: int) -> list[File]:
        """Return `related` of a file of which only the id is known; a raw frame asks once."""
        answer = await self._descendants(file_id)
        file = next((row for row in answer["results"] if row["id"] == file_id), None)
        if file is None:
            file = await self.file(file_id)
        root = int(file.get("original_file_id") or file["id"])
        if root != file_id:
            answer = await self._descendants(root)
        return await self._family(root, answer)

    async def _descendants(self, root: int) -> Page:
        return await self.files(original_file_id=root, page_size=100)

    async def _family(self, root: int, answer: Page) -> list[File]:
        rows = {row["id"]: row for row in answer["results"]}
        if root not in rows:
            rows[root] = await self.file(root)
        # Diagnostics are files of numbers, not of pixels: nothing shows them as a product.
        shown = (row for row in rows.values() if row.get("role") != "diagnostics")
        return sorted(shown, key=lambda row: (row["data_type"], row["id"]))

    async def header(self, file_id: int) -> list[HeaderCard]:
        """Return the header cards of a file, mended ones marked."""
        answer = await self.transport.json("GET", "api/files/header/", params={"id": file_id})
        return cast("list[HeaderCard]", answer["cards"])

    async def picture(
        self,
        file_id: int,
        *,
        region: tuple[int, int, int, int] | None = None,
        levels: tuple[float, float] | None = None,
        axes: bool = False,
        **choices: Any,
    ) -> bytes:
        """Return a PNG of an image or spectrum.

        Parameters
        ----------
        file_id : int
            The file.
        region : tuple of int, optional
            Pixels x0, y0, x1, y1 of an image, the last excluded; default: all.
        levels : tuple of float, optional
            Values drawn darkest and brightest; default: what ``limits`` finds.
        axes : bool
            With axes, names and colour bar; default: the bare pixels.
        **choices
            ``colormap stretch limits saturated title width height theme`` and the others of
            the service.
        """
        params: dict[str, Any] = {"id": file_id, "format": "png", "axes": axes, **choices}
        if region is not None:
            params |= dict(zip(("x0", "y0", "x1", "y1"), region, strict=True))
        if levels is not None:
            params |= {"vmin": levels[0], "vmax": levels[1]}
        return await self.transport.bytes("api/files/visualize/", params=params)

    async def image(self, file_id: int, *, limits: str = "zscale") -> dict[str, Any]:
        """Return what an image needs to be drawn: ``shape limits x y title unit``."""
        params = {"id": file_id, "format": "json", "limits": limits}
        answer = await self.transport.json("GET", "api/files/visualize/", params=params)
        return cast("dict[str, Any]", answer)

    async def pixels(
        self,
        file_id: int,
        region: tuple[int, int, int, int] | None = None,
        **choices: Any,
    ) -> dict[str, Any]:
        """Return what `image` does and the pixels of a region, with their flags.

        Parameters
        ----------
        file_id : int
            The file.
        region : tuple of int, optional
            Pixels x0, y0, x1, y1, the last excluded; default: all.
        **choices
            ``max_pixels`` (larger regions are shrunk), ``limits``, ``apertures`` and the others.
        """
        params: dict[str, Any] = {"id": file_id, "format": "json", "pixels": True, **choices}
        if region is not None:
            params |= dict(zip(("x0", "y0", "x1", "y1"), region, strict=True))
        answer = await self.transport.json("GET", "api/files/visualize/", params=params)
        return cast("dict[str, Any]", answer)

    async def line(self, file_id: int, low: float, high: float) -> dict[str, Any]:
        """Return the strongest line of a spectrum between two wavelengths, fitted with errors."""
        params = {"id": file_id, "low": low, "high": high}
        answer = await self.transport.json("GET", "api/files/spectrum/line/", params=params)
        return cast("dict[str, Any]", answer)

    async def diagnostics(self, file_id: int) -> dict[str, Any]:
        """Return what the step saw that made a product: ``kind target data``."""
        params = {"id": file_id}
        answer = await self.transport.json(
            "GET", "api/files/diagnostics/", params=params, patience=DIAGNOSTICS_PATIENCE_S
        )
        return cast("dict[str, Any]", answer)

    async def spectrum(self, file_id: int) -> dict[str, Any]:
        """Return the numbers of a spectrum: ``x y uncertainty sky flags title``."""
        params = {"id": file_id, "format": "json"}
        answer = await self.transport.json("GET", "api/files/visualize/", params=params)
        return cast("dict[str, Any]", answer)

    async def download(
        self,
        file: File | int,
        target: str | Path = ".",
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Write a FITS file to `target` (a folder or a file name), whole or not at all."""
        row = await self.file(file) if isinstance(file, int) else file
        path = Path(target)
        if path.is_dir():  # noqa: ASYNC240 (one quick look at a local disk)
            # The last part alone: a name from outside must not choose the folder.
            path /= Path(row["file_name"]).name
        return await self.transport.save(
            "api/files/download/",
            path,
            params={"id": row["id"]},
            sha256=str(row.get("sha256") or ""),
            progress=progress,
        )

    def download_url(self, file_id: int) -> str:
        """Return the address under which a browser downloads a file."""
        return f"{self.address.browser}api/files/download/?id={file_id}"

    async def upload(self, path: str | Path, *, file_name: str | None = None) -> File:
        """Send a raw FITS file; return it as the catalogue has it. For staff and instruments.

        The same file twice is one row, so that it may be sent again at any time.
        """
        source = Path(path)
        content = await asyncio.to_thread(source.read_bytes)
        answer = await self.transport.json(
            "POST",
            "api/files/",
            params={"file_name": file_name or source.name},
            content=content,
            patience=UPLOAD_PATIENCE_S,
        )
        return cast("File", answer)

    async def ccd(self, file: File | int) -> CCDData:
        """Return an image as `CCDData` with uncertainty, mask and WCS; see `science.read_ccd`."""
        return await self._read(file, science.read_ccd)

    async def spectrum1d(self, file: File | int) -> Spectrum:
        """Return a spectrum as `specutils.Spectrum`; see `science.read_spectrum`."""
        return await self._read(file, science.read_spectrum)

    async def table(self, **filters: Any) -> Table:
        """Return every file that fits as an `astropy.table.Table`, newest first."""
        rows = [file async for file in self.all_files(**filters)]
        return await asyncio.to_thread(science.table_of, rows)

    async def _read(self, file: File | int, read: Callable[[Path], T]) -> T:
        with tempfile.TemporaryDirectory(prefix="goodman-") as folder:
            path = await self.download(file, folder)
            return await asyncio.to_thread(read, path)

    # what can be done

    async def run(self, block: str, file_id: int, **options: Any) -> Job:
        """Start a block on a file; return its job at once.

        Parameters
        ----------
        block : str
            One of `BLOCKS`.
        file_id : int
            The file to work on.
        **options
            Settings that differ from the proposal's, an aperture, and so on.
        """
        if block not in BLOCKS:
            raise ClientError(f"There is no block {block!r}.", remedy=f"Use one of {[*BLOCKS]}.")
        answer = await self.transport.json("POST", BLOCKS[block], body={"id": file_id, **options})
        return cast("Job", answer.get("job", answer))

    async def delete(self, file_id: int) -> None:
        """Delete a product; raw files are refused by the service."""
        await self.transport.json("DELETE", "api/files/", params={"id": file_id})

    async def reclassify(self, file_id: int, **options: Any) -> File:
        """Identify the technique of a file again, or set it."""
        body = {"id": file_id, **options}
        return cast("File", await self.transport.json("POST", "api/files/reclassify/", body=body))

    # jobs

    async def job(self, job_id: int) -> Job:
        """Return one job."""
        return cast("Job", await self.transport.json("GET", f"api/jobs/{job_id}/"))

    async def jobs(self, **filters: Any) -> list[Job]:
        """Return the newest jobs that fit."""
        answer = await self.transport.json("GET", "api/jobs/", params=filters)
        return cast("list[Job]", answer["results"] if isinstance(answer, dict) else answer)

    async def cancel(self, job_id: int) -> Job:
        """Cancel a job that has not ended."""
        body = {"action": "cancel"}
        return cast("Job", await self.transport.json("POST", f"api/jobs/{job_id}/", body=body))

    async def watch(self, job: Job) -> AsyncIterator[Job]:
        """Yield a job now and as it goes on, until it has ended."""
        yield job
        while job["status"] in JOB_RUNNING:
            await asyncio.sleep(WATCH_S)
            job = await self.job(job["id"])
            yield job

    async def wait(
        self,
        job: Job,
        *,
        patience: float = 600.0,
        progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """Return a job when it has ended well.

        Raises
        ------
        JobFailedError
            If it failed or was cancelled; with its own message.
        TimeoutError
            If it has not ended after `patience` seconds; it runs on.
        """
        pause = 0.2
        async with asyncio.timeout(patience):
            while job["status"] in JOB_RUNNING:
                if progress is not None:
                    progress(job)
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 2.0)
                job = await self.job(job["id"])
        if progress is not None:
            progress(job)
        if job["status"] not in {"done", "succeeded", "finished"}:
            message = job.get("message") or f"The job ended as {job['status']}."
            raise JobFailedError(str(message), code=str(job.get("code") or ""))
        return job

    # people

    async def comments(self, file_id: int) -> list[Comment]:
        """Return the comments on a file, oldest first."""
        answer = await self.transport.json("GET", "api/files/comments/", params={"id": file_id})
        return cast("list[Comment]", answer["results"] if isinstance(answer, dict) else answer)

    async def comment(self, file_id: int, text: str) -> Comment:
        """Add a comment to a file."""
        body = {"id": file_id, "text": text}
        return cast("Comment", await self.transport.json("POST", "api/files/comments/", body=body))

    async def uncomment(self, comment_id: int) -> None:
        """Delete one's own comment."""
        params = {"comment_id": comment_id}
        await self.transport.json("DELETE", "api/files/comments/", params=params)

    async def proposals(self) -> list[dict[str, Any]]:
        """Return the proposals that this user belongs to, all of them, newest first."""
        found: list[dict[str, Any]] = []
        while True:
            page = len(found) // PROPOSALS_AT_ONCE + 1
            answer = await self.proposal_page(page=page, page_size=PROPOSALS_AT_ONCE)
            found += answer["results"]
            if len(answer["results"]) < PROPOSALS_AT_ONCE:
                return found

    async def settings(self, proposal: int) -> dict[str, Any]:
        """Return the data-reduction settings of a proposal (by its number)."""
        path = f"api/proposals/settings/{proposal}/"
        return cast("dict[str, Any]", await self.transport.json("GET", path))

    async def save_settings(self, proposal: int, **changes: Any) -> dict[str, Any]:
        """Change data-reduction settings of a proposal; return all of them."""
        path = f"api/proposals/settings/{proposal}/"
        merged = {**await self.settings(proposal), **changes}
        return cast("dict[str, Any]", await self.transport.json("PUT", path, body=merged))

    async def collaborate(self, proposal: int, email: str, action: str = "add") -> dict[str, Any]:
        """Add or remove a collaborator by e-mail address; return the proposal."""
        path = f"api/proposals/collaborators/{proposal}/"
        body = {"email": email, "action": action}
        return cast("dict[str, Any]", await self.transport.json("POST", path, body=body))

    async def logs(self, **filters: Any) -> list[dict[str, Any]]:
        """Return the newest log entries about this user's proposals."""
        answer = await self.transport.json("GET", "api/logs/", params=filters)
        rows = answer["results"] if isinstance(answer, dict) else answer
        return cast("list[dict[str, Any]]", rows)

    async def night(self, **filters: Any) -> dict[str, Any]:
        """Return tonight's state and what is still missing."""
        return cast(
            "dict[str, Any]", await self.transport.json("GET", "api/night/", params=filters)
        )

    # what happens

    def follow(
        self,
        since: int | None = None,
        *,
        on_state: Callable[[str, str], None] | None = None,
    ) -> AsyncIterator[events.Event]:
        """Yield what happens, for ever; see `events.follow`."""
        return events.follow(self.transport, since, on_state=on_state)

    async def run_all(self, jobs: Sequence[Job]) -> list[Job]:
        """Wait for several jobs at once."""
        return list(await asyncio.gather(*(self.wait(job) for job in jobs)))
