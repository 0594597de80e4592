"""A small real HTTP server that speaks as DESIGN 5 documents: what the client is tested against.

It runs tornado on a thread of its own, keeps its files in memory, and can be told to fail.
The browser tests use the real service.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import threading
from typing import Any, Self

import tornado.web
from PIL import Image
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

TOKEN = "correct-token"
FITS = b"SIMPLE  =                    T" + b" " * 50 + b"\x00" * 2800
DIGEST = hashlib.sha256(FITS).hexdigest()


IMAGE = {
    "kind": "image",
    "shape": [3, 4],
    "limits": {"low": 500.0, "high": 2000.0, "method": "zscale"},
    "x": {"name": "Dispersion Axis (pixels)", "unit": "pixels"},
    "y": {"name": "Spatial Axis (pixels)", "unit": "pixels"},
}
SPECTRUM = {
    "kind": "spectrum",
    "x": {"name": "Wavelength (Angstrom)", "unit": "Angstrom", "values": [4000.0, 4001.0, 4002.0]},
    "y": {"name": "Intensity (ADU)", "unit": "adu", "values": [10.0, None, 30.0]},
    "uncertainty": [1.0, None, 2.0],
    "sky": [5.0, 5.0, 5.0],
}


def make_file(number: int, **changes: Any) -> dict[str, Any]:
    """Return one file as the service shows it."""
    return {
        "id": number,
        "created": "2026-11-21T03:04:05+00:00",
        "last_modified": "2026-11-21T03:04:06+00:00",
        "file_name": f"{number:04d}_target.fits",
        "original_file": f"{number:04d}_target.fits",
        "original_file_id": number,
        "parent_file_id": number,
        "obstype": "SPECTRUM",
        "object": "EG21",
        "grating": "400_SYZY",
        "wavmode": "400_M1",
        "slit": "1.0_LONG_SLIT",
        "proposal_id": "SOAR2026B-001",
        "data_type": "0",
        "technique": "Spectroscopy",
        "kind": "spectrum",
        "binning": "2x2",
        "exptime": 300.0,
        "state": "done",
        "waits_for": "",
        "version": 1,
        "is_current": True,
        "target": None,
        "provisional": False,
        "grade": "",
        "quality": {},
        "latency": {},
        "messages": [],
        "may_change": True,
        "sha256": DIGEST,
        **changes,
    }


class State:
    """What the service knows, what it was asked, and how it is told to fail."""

    def __init__(self) -> None:
        self.files = {number: make_file(number) for number in (1, 2, 3)}
        self.events: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.keys: list[str | None] = []
        self.bodies: list[dict[str, Any]] = []
        self.failures: list[int] = []
        self.draws = True
        """Whether pictures can be drawn just now."""
        self.held: set[int] = set()
        """Numbers of files whose record is not given yet."""
        self.streams = True
        self.cut_streams_after = 0
        self.cut_download = False
        self.news = asyncio.Event()
        self.jobs: dict[int, dict[str, Any]] = {}
        self.comments: list[dict[str, Any]] = []
        self.options: dict[str, Any] = {}
        self.settings: dict[int, dict[str, Any]] = {}
        self.proposals: list[dict[str, Any]] = []

    def emit(self, kind: str, **data: Any) -> None:
        """Add an event (on the server's own loop)."""
        self.events.append({"id": len(self.events) + 1, "kind": kind, **data})
        self.news.set()


class Handler(tornado.web.RequestHandler):
    state: State

    def initialize(self, state: State) -> None:
        self.state = state

    def prepare(self) -> None:
        self.state.asked.append((self.request.method or "", self.request.path))
        self.state.keys.append(self.request.headers.get("Idempotency-Key"))
        if self.state.failures:
            self.problem(self.state.failures.pop(0), "told_to", "The service was told to fail.")
        elif self.request.headers.get("Authorization") != f"Token {TOKEN}":
            self.problem(401, "not_signed_in", "Sign in first.")

    def problem(self, status: int, code: str, message: str, field: str = "") -> None:
        self.set_status(status)
        self.finish({"status": status, "code": code, "message": message, "field": field})

    def body(self) -> dict[str, Any]:
        return json.loads(self.request.body)  # type: ignore[no-any-return]


class Status(Handler):
    def get(self) -> None:
        self.write({"version": "0", "queue": 0})


class Files(Handler):
    def get(self) -> None:
        rows = sorted(self.state.files.values(), key=lambda row: -row["id"])
        for name in ("data_type", "object", "original_file_id", "proposal_id"):
            wanted = self.get_query_argument(name, "")
            rows = [row for row in rows if not wanted or str(row[name]) == wanted]
        page = int(self.get_query_argument("page", "1"))
        size = int(self.get_query_argument("page_size", "20"))
        more = len(rows) > page * size
        answer = {"count": len(rows), "next": "more" if more else None, "previous": None}
        self.write({**answer, "results": rows[(page - 1) * size : page * size]})

    def post(self) -> None:
        number = len(self.state.files) + 1
        name = self.get_query_argument("file_name")
        digest = hashlib.sha256(self.request.body).hexdigest()
        self.state.files[number] = make_file(number, file_name=name, sha256=digest)
        self.set_status(201)
        self.write(self.state.files[number])

    def delete(self) -> None:
        number = int(self.get_query_argument("id"))
        if self.state.files[number]["data_type"] == "0":
            self.problem(403, "raw_is_kept", "Raw files are never deleted.", "id")
            return
        del self.state.files[number]
        self.set_status(204)


class OneFile(Handler):
    async def get(self, number: str) -> None:
        while int(number) in self.state.held:  # noqa: ASYNC110 (let go by another thread)
            await asyncio.sleep(0.01)
        row = self.state.files.get(int(number))
        if row is None:
            self.problem(404, "not_found", f"There is no file {number}.", "id")
        else:
            self.write(row)


class Download(Handler):
    async def get(self) -> None:
        self.set_header("Content-Length", str(len(FITS)))
        if not self.state.cut_download:
            self.write(FITS)
            return
        self.write(FITS[:100])
        await self.flush()
        assert self.request.connection is not None
        self.request.connection.stream.close()  # type: ignore[attr-defined]


class Picture(Handler):
    def get(self) -> None:
        row = self.state.files[int(self.get_query_argument("id"))]
        if not self.state.draws:
            self.problem(503, "told_to", "The service was told to fail.")
        elif row["object"] == "BROKEN":
            self.problem(422, "bad_frame", f"{row['file_name']} is truncated.")
        elif self.get_query_argument("format") == "json":
            self.write(SPECTRUM if row["data_type"] in "345" else IMAGE)
        else:
            out = io.BytesIO()
            Image.new("L", (4, 3), 128).save(out, "PNG")
            self.set_header("Content-Type", "image/png")
            self.write(out.getvalue())


class Header(Handler):
    def get(self) -> None:
        card = {"keyword": "OBJECT", "comment": "target", "mended": None, "reason": ""}
        number = int(self.get_query_argument("id"))
        self.write({"cards": [{**card, "value": self.state.files[number]["object"]}]})


class Comments(Handler):
    def get(self) -> None:
        self.write({"results": self.state.comments})

    def post(self) -> None:
        text = self.body()["text"]
        if text == "refuse me":
            self.problem(400, "bad_request", "This text is refused.", "text")
            return
        one = {"id": len(self.state.comments) + 1, "author": "Ada Observer", "text": text}
        self.state.comments.append({**one, "created": "2026-11-21T08:00:00Z", "mine": True})
        self.write(self.state.comments[-1])

    def delete(self) -> None:
        number = int(self.get_query_argument("comment_id"))
        self.state.comments = [one for one in self.state.comments if one["id"] != number]
        self.write({"removed": number})


class Me(Handler):
    def get(self) -> None:
        self.write({"id": 1, "username": "ada", "options": self.state.options})

    def patch(self) -> None:
        self.state.options = self.body()["options"]
        self.get()


class Reduce(Handler):
    def post(self) -> None:
        self.state.bodies.append(self.body())
        number = len(self.state.jobs) + 1
        job = {"id": number, "block": "reduce", "status": "queued", "progress": 0.0, "message": ""}
        self.state.jobs[number] = {**job, "file_id": self.body()["id"], "products": []}
        self.set_status(202)
        self.write(self.state.jobs[number])


class Reclassify(Handler):
    def post(self) -> None:
        said = self.body()
        self.state.bodies.append(said)
        row = self.state.files[said["id"]]
        for keyword, value in (said.get("header") or {}).items():
            row[keyword.lower()] = value
        row.update({"technique": said["technique"]} if said.get("technique") else {})
        self.write(row)


class Proposals(Handler):
    def get(self) -> None:
        page, size = (int(self.get_query_argument(name)) for name in ("page", "page_size"))
        if size > 500:
            self.problem(422, "invalid_request", "At most 500.", "page_size")
            return
        rows = self.state.proposals
        self.write({"count": len(rows), "results": rows[(page - 1) * size : page * size]})


class Schema(Handler):
    def get(self) -> None:
        number = {"type": "integer", "title": "Max targets", "default": 3}
        schema = {"properties": {"max_targets": number}}
        self.write({"components": {"schemas": {"ReductionSettings": schema}}})


class Settings(Handler):
    async def get(self, number: str) -> None:
        while int(number) in self.state.held:  # noqa: ASYNC110 (let go by another thread)
            await asyncio.sleep(0.01)
        self.write(self.state.settings[int(number)])

    def put(self, number: str) -> None:
        self.state.settings[int(number)] = self.body()
        self.write(self.body())


class Job(Handler):
    def get(self, number: str) -> None:
        job = self.state.jobs[int(number)]
        if job["status"] == "queued":
            job.update(status="running", progress=0.5)
        elif job["status"] == "running":
            failed = job["file_id"] == 3
            job.update(status="failed" if failed else "done", progress=1.0)
            job["message"] = "No suitable flat." if failed else ""
        self.write(job)


class Events(Handler):
    async def get(self) -> None:
        since = self.get_query_argument("since", "")
        if since:
            known = len(self.state.events)
            begin = known if int(since) < 0 else int(since)
            self.write({"results": self.state.events[begin:], "last": known})
            return
        if not self.state.streams:
            self.write({"results": []})
            return
        await self.stream()

    async def stream(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.write(": welcome\n\n")
        await self.flush()
        last = self.request.headers.get("Last-Event-ID")
        position = len(self.state.events) if last is None else int(last)
        sent = 0
        while True:
            for event in self.state.events[position:]:
                self.write(
                    f"id: {event['id']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
                )
                position, sent = event["id"], sent + 1
                await self.flush()
                if self.state.cut_streams_after and sent >= self.state.cut_streams_after:
                    self.request.connection.stream.close()  # type: ignore[union-attr,attr-defined]
                    return
            self.state.news.clear()
            await self.state.news.wait()
            # Waiting goes on until the test ends, and the connection with it.


class Service:
    """The server, running; use as a context."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/goodman/"

    def emit(self, kind: str, **data: Any) -> None:
        """Let something happen."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (self.state.emit(kind, **data), done.set()))
        assert done.wait(5)

    async def _start(self) -> None:
        self.state = State()
        routes = [
            (r"", Status), (r"files/", Files), (r"files/(\d+)/", OneFile),
            (r"files/download/", Download), (r"files/visualize/", Picture),
            (r"files/header/", Header), (r"files/comments/", Comments),
            (r"files/reduce/", Reduce), (r"files/reclassify/", Reclassify),
            (r"openapi.json", Schema), (r"proposals/settings/(\d+)/", Settings),
            (r"proposals/", Proposals), (r"jobs/(\d+)/", Job),
            (r"users/me/", Me), (r"events/", Events),
        ]  # fmt: skip
        app = tornado.web.Application(
            [
                ("/services/goodman/api/" + path, kind, {"state": self.state})
                for path, kind in routes
            ]
        )
        sockets = bind_sockets(0, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        self._server = HTTPServer(app)
        self._server.add_sockets(sockets)

    async def _stop(self) -> None:
        self._server.stop()
        await self._server.close_all_connections()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
