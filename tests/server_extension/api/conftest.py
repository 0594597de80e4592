"""Fixtures for the API: the real service in its own process, at the border a Hub would occupy.

==============  ========  =====================================================================
fixture         scope     gives
==============  ========  =====================================================================
``border``      session   what the service asks of a Hub: whose token is this? (`Border`)
``raw_frames``  session   folder with simulated raw frames: ``bias.fits``, ``star.fits``
``service``     session   the running service (`Service`), its catalogue filled by `fill`
``world``       session   ids of what `fill` made (`World`)
``wire``        session   connections to the service
``as_``         function  ``as_("pi")`` is an HTTP client with that person's token
==============  ========  =====================================================================

The border is the one thing that is not real here: a server that answers as the Hub's
``/hub/api/user`` does. `test_hub.py` runs the service under a real Hub.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from goodman_live.hub.accounts.models import Proposal, User
from goodman_live.pipeline.products.fits import read_info
from goodman_live.pipeline.simulate import frames
from goodman_live.pipeline.simulate.instrument import setup
from goodman_live.server_extension.catalogue.activity import Comment, LogEntry
from goodman_live.server_extension.catalogue.database import Catalogue
from goodman_live.server_extension.catalogue.frames import Frame, HeaderCards, HeaderRepair
from goodman_live.server_extension.catalogue.work import Job

if TYPE_CHECKING:
    from pathlib import Path

ACCESS = "access:services!service=goodman"
PREFIX = "/services/goodman/"
OURS, THEIRS = "SOAR2026A-001", "SOAR2026A-002"
PEOPLE = {
    "pi": {},
    "mate": {},
    "stranger": {},
    "rival": {},
    "gone": {"is_active": False},
    "removed": {},
    "staff": {"is_staff": True},
    "super": {"is_staff": True, "is_superuser": True},
}


@dataclass
class Border:
    """Tokens that the Hub would know, and what it would say of each."""

    url: str = ""
    tokens: dict[str, dict] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    silent: bool = False

    def user(self, name, *, token=None, scopes=(ACCESS,), kind="user"):
        self.tokens[token or f"token-of-{name}"] = {
            "kind": kind,
            "name": name,
            "admin": False,
            "groups": [],
            "scopes": list(scopes),
            "session_id": None,
        }


def answerer(border):
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            token = self.headers.get("Authorization", "").removeprefix("token ")
            border.asked.append(token)
            known = border.tokens.get(token)
            status = 503 if border.silent else 200 if known else 403
            body = json.dumps(known or {"status": status, "message": "Forbidden"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Answer


@pytest.fixture(scope="session")
def border():
    border = Border()
    server = ThreadingHTTPServer(("127.0.0.1", 0), answerer(border))
    border.url = f"http://127.0.0.1:{server.server_address[1]}/hub/api"
    for name in PEOPLE:
        border.user(name)
    border.user("pi", token="too-small", scopes=["read:users!user=pi"])
    border.user("unknown")
    border.user("prometheus", kind="service")
    border.user("instrument", kind="service")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield border
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def raw_frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    frames.bias(setup(), seed=1).write(folder / "bias.fits")
    star = frames.spectrum(setup(), [], seed=2, exptime_s=60)
    # As in the rows below: a frame that is identified again keeps its name.
    star.header["OBJECT"] = "STAR-1"
    star.write(folder / "star.fits")
    return folder


@dataclass
class Service:
    """The running service."""

    url: str
    root: Path
    database: str
    process: subprocess.Popen
    log: Path
    border: Border

    def catalogue(self):
        return Catalogue(self.database)


def start_service(root, border, port, *, database=None, args=()):
    """Start ``python -m goodman_live.server_extension.service`` as a Hub would."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "GOODMAN_DATA": str(root),
        "GOODMAN_DATABASE": database or f"sqlite:///{root}/goodman.sqlite",
        "JUPYTERHUB_SERVICE_NAME": "goodman",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
        "JUPYTERHUB_API_URL": border.url,
        "JUPYTERHUB_API_TOKEN": "token-of-the-service",
        "JUPYTERHUB_CLIENT_ID": "service-goodman",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps([ACCESS]),
        "JUPYTERHUB_BASE_URL": "/",
        "PYTHONWARNINGS": "error::ResourceWarning",
    }
    log = root / "service.log"
    profile = root / "dask.yaml"
    profile.write_text("kind: local\nworkers: 1\n")
    args = [f"--GoodmanExtension.dask={profile}", *args]
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "goodman_live.server_extension.service", *args],
            env=env,
            cwd=root,
            stdout=sink,
            stderr=sink,
        )
    url = f"http://127.0.0.1:{port}{PREFIX}"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}api/", timeout=5).json()["status"] == "ok":
                return Service(url, root, env["GOODMAN_DATABASE"], process, log, border)
        except (httpx.TransportError, ValueError, KeyError):
            pass
        time.sleep(0.1)
    stop_service(process)
    pytest.fail(f"the service did not start:\n{log.read_text()}")


def stop_service(process, number=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail("the service did not stop")


@pytest.fixture(scope="session")
def service(border, tmp_path_factory, free_port):
    running = start_service(
        tmp_path_factory.mktemp("service"),
        border,
        free_port(),
        args=["--GoodmanExtension.rate_limit=0", "--GoodmanExtension.watch=False"],
    )
    yield running
    stop_service(running.process)


@dataclass
class World:
    """Ids of what is in the catalogue."""

    users: dict[str, int] = field(default_factory=dict)
    proposals: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    comment: int = 0
    job: int = 0
    their_job: int = 0


def frame_row(path, info, **changes):
    """Return the row of a raw frame as intake would make it, for tests that need only rows."""
    values = {
        "file_name": path.name,
        "directory_name": str(path.parent),
        "size": path.stat().st_size,
        "checksum": "0" * 64,
        "camera": info.camera,
        "kind": info.kind.value,
        "technique": info.technique.value,
        "obstype": info.obstype,
        "object_name": info.object_name,
        "filter": info.filter,
        "filter_2": info.filter2,
        "grating": info.grating,
        "wavmode": info.wavmode,
        "slit": info.slit,
        "roi": info.roi,
        "xbin": info.window.xbin,
        "ybin": info.window.ybin,
        "nx": info.window.nx,
        "ny": info.window.ny,
        "gain": info.gain,
        "rdnoise": info.rdnoise,
        "saturation_value": info.saturation,
        "cam_targ": info.cam_targ,
        "grt_targ": info.grt_targ,
        "exptime_s": info.exptime_s,
        "start": info.start,
        "mid": info.mid,
        "date": info.start.date(),
        "night": info.night,
        "obsra": info.obsra,
        "obsdec": info.obsdec,
        "data_type": 0,
        "proposal_id": info.proposal_id,
    }
    return Frame(**(values | changes))


def fill(catalogue, raw_frames, root):
    """Put people, proposals, frames, a comment, jobs and log entries into the catalogue."""
    world = World()
    bias, star = raw_frames / "bias.fits", raw_frames / "star.fits"
    with catalogue.write() as session:
        users = {
            name: User(username=name, email=f"{name}@example.org", **rights)
            for name, rights in PEOPLE.items()
        }
        session.add_all(users.values())
        ours = Proposal(
            soar_id=OURS,
            semester="2026A",
            title="Ours",
            pi=users["pi"],
            collaborators=[users["mate"], users["gone"]],
        )
        theirs = Proposal(soar_id=THEIRS, semester="2026A", title="Theirs", pi=users["rival"])
        session.add_all([ours, theirs])
        made = {
            "calibrate": frame_row(bias, read_info(bias), proposal_id="calibrate"),
            "ours": frame_row(star, read_info(star), proposal_id=OURS, object_name="STAR-1"),
            "theirs": frame_row(
                star,
                read_info(star),
                proposal_id=THEIRS,
                file_name="theirs.fits",
                object_name="SECRET",
            ),
        }
        session.add_all(made.values())
        session.flush()
        names = {user.username: user.id for user in users.values()}
        world.users = names
        world.proposals = {"ours": ours.id, "theirs": theirs.id}
        world.files = {name: frame.id for name, frame in made.items()}
        cards = [
            "SIMPLE  =                    T / conforms",
            "OBJECT  = 'STAR-1  '",
            "SLIT    = '1.0     '",
        ]
        session.add(
            HeaderCards(frame_id=made["ours"].id, text="".join(card.ljust(80) for card in cards))
        )
        session.add(
            HeaderRepair(
                frame_id=made["ours"].id,
                keyword="SLIT",
                found="1.0",
                used="1.0_LONG_SLIT",
                reason="old spelling",
            )
        )
        comment = Comment(
            frame_id=made["theirs"].id, user_id=names["rival"], author="rival", text="mine"
        )
        jobs = [
            Job(
                key="a" * 64,
                block="reduce",
                frame_id=made[name].id,
                proposal_id=proposal,
                state="failed",
                error={"message": "No.", "code": "no"},
            )
            for name, proposal in (("ours", OURS), ("theirs", THEIRS))
        ]
        session.add_all([comment, *jobs])
        session.add_all(
            LogEntry(source="test", message=f"about {soar_id}", proposal_id=soar_id)
            for soar_id in (OURS, THEIRS)
        )
        session.flush()
        world.comment, world.job, world.their_job = comment.id, jobs[0].id, jobs[1].id
    return world


@pytest.fixture(scope="session")
def world(service, raw_frames):
    # Where the service may read; the frames lie below its data root as raw frames do.
    folder = service.root / "raw"
    folder.mkdir(exist_ok=True)
    for path in raw_frames.iterdir():
        shutil.copy(path, folder)
    shutil.copy(folder / "star.fits", folder / "theirs.fits")
    catalogue = service.catalogue()
    yield fill(catalogue, folder, service.root)
    catalogue.close()


@pytest.fixture(scope="session")
def wire():
    """One pool of connections: making a client anew costs more than the requests."""
    transport = httpx.HTTPTransport()
    yield transport
    transport.close()


@pytest.fixture
def as_(service, world, wire):
    def client(name=None, *, token=None, **headers):
        token = token or (f"token-of-{name}" if name else None)
        if token:
            headers["Authorization"] = f"Token {token}"
        return httpx.Client(base_url=service.url, headers=headers, timeout=180, transport=wire)

    return client
