"""Examination of the parts that the service needs: database, Dask, mail."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from dask.utils import parse_bytes
from distributed import Client
from distributed.security import Security
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from goodman_live.hub.accounts.database import database_url, make_engine
from goodman_live.hub.accounts.models import OutgoingMail, User
from goodman_live.hub.mail import settings as mail_module
from goodman_live.hub.operate.findings import Finding, doubtful, fine, wrong
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.server_extension.catalogue.migrate import current_revision, revisions
from goodman_live.server_extension.engine.profile import DaskProfile, load_profile
from goodman_live.server_extension.intake.places import needs_polling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

PATIENCE_S = 10.0
"""How long a part may take to answer."""
LATE = timedelta(hours=1)
"""A letter that waits longer means a mail server that does not take it."""
SKEW_S = 2.0
"""Clocks of database and service may differ by this much."""


def database(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Connect, and look at revision, damage, clock and the people in it."""
    area, url = "database", database_url(environ)
    engine = make_engine(url)
    try:
        if engine.dialect.name == "sqlite":
            path = Path(engine.url.database or "")
            if not path.is_file():
                yield wrong(area, f"There is no catalogue at {path}.", "Start the Hub once.")
                return
        with engine.connect() as connection:
            yield from _schema(connection)
            yield from _soundness(connection)
            if current_revision(connection) in revisions():
                yield from _people(connection)
    except SQLAlchemyError as error:
        yield wrong(
            area,
            f"{engine.url!r} cannot be used: {getattr(error, 'orig', error)}.",
            "Check GOODMAN_DATABASE, and that the server runs and admits this account.",
        )
    finally:
        engine.dispose()


def _schema(connection: Connection) -> Iterator[Finding]:
    area, known = "database", revisions()
    found = current_revision(connection)
    if found == known[-1]:
        yield fine(area, f"{connection.dialect.name}, revision {found}")
    elif found in known:
        yield doubtful(
            area,
            f"The catalogue is at revision {found}, the code at {known[-1]}.",
            "Back up, then start the service: it brings the catalogue up to date.",
        )
    else:
        yield wrong(
            area,
            f"The catalogue's revision {found or '(none)'} is unknown to this version.",
            "Install the version that wrote it, or a newer one.",
        )


def _soundness(connection: Connection) -> Iterator[Finding]:
    area = "database"
    if connection.dialect.name == "sqlite":
        verdict = connection.execute(text("PRAGMA quick_check(1)")).scalar_one()
        if verdict != "ok":
            yield wrong(area, f"The database is damaged: {verdict}.", "Restore the last backup.")
        if needs_polling(Path(connection.engine.url.database or "").resolve().parent):
            yield wrong(
                area,
                "The SQLite file is on a network file system, where its locks do not hold.",
                "Move it to a local disk, or use PostgreSQL.",
            )
        return
    there = connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    skew = abs(float(there) - datetime.now(UTC).timestamp())
    if skew > SKEW_S:
        yield wrong(
            "clock", f"The database's clock differs by {skew:.1f} s.", "Run NTP on both hosts."
        )


def _people(connection: Connection) -> Iterator[Finding]:
    where = (User.is_active.is_(True), User.is_superuser.is_(True))
    count = connection.execute(select(func.count()).select_from(User).where(*where)).scalar_one()
    if count:
        yield fine("accounts", f"{count} active superuser{'s' if count > 1 else ''}")
    else:
        yield wrong(
            "accounts",
            "There is no active superuser.",
            "python -m goodman_live.hub.manage create-user NAME E-MAIL --superuser",
        )
    late = OutgoingMail.created < datetime.now(UTC) - LATE
    waiting = connection.execute(
        select(func.count()).select_from(OutgoingMail).where(OutgoingMail.state == "waiting", late)
    ).scalar_one()
    if waiting:
        yield doubtful(
            "mail", f"{waiting} letters wait for more than an hour.", "See the page of logs."
        )


def dask(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Read the profile; ask a scheduler elsewhere, and compare a local one with the machine."""
    area = "dask"
    try:
        profile = load_profile(environ.get("GOODMAN_DASK", ""))
    except GoodmanError as error:
        yield wrong(area, str(error), "Correct GOODMAN_DASK.")
        return
    if profile.kind == "local":
        want, have = profile.workers * parse_bytes(profile.memory_limit), memory_bytes()
        told = f"{profile.workers} workers of {profile.memory_limit} on this machine"
        if want > have:
            yield doubtful(area, f"{told}, which has {have / 2**30:.1f} GiB.", "Lower either.")
        else:
            yield fine(area, told)
    elif profile.kind == "scheduler":
        yield _ask_scheduler(profile)
    else:
        yield doubtful(area, f"{profile.address} (dask-gateway) was not asked.", "Ask it by hand.")


def memory_bytes() -> int:
    """Return the memory that this machine, or the container we are in, has."""
    return int(psutil.virtual_memory().total)


def _ask_scheduler(profile: DaskProfile) -> Finding:
    area, tls = "dask", profile.tls
    try:
        security = tls and Security(
            tls_ca_file=str(tls.ca_file),
            tls_client_cert=str(tls.cert),
            tls_client_key=str(tls.key),
            require_encryption=True,
        )
        with Client(profile.address, security=security, timeout=PATIENCE_S) as client:
            slots = sum(client.nthreads().values())
    except (OSError, TimeoutError, ValueError) as error:
        return wrong(
            area,
            f"{profile.address} does not answer: {error}.",
            "Start the scheduler; check certificates and the firewall.",
        )
    if not slots:
        return wrong(area, f"{profile.address} has no workers.", "Start workers.")
    return fine(area, f"{slots} workers at {profile.address}, by TLS")


def mail(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Open a session with the mail server, as a letter would, and send none."""
    area = "mail"
    try:
        settings = mail_module.mail_settings(environ)
    except GoodmanError as error:
        yield wrong(area, str(error), f"Correct {error.field}.")
        return
    if not settings.host:
        yield doubtful(
            area,
            f"Letters are written to {settings.folder}.",
            "Set GOODMAN_SMTP_HOST to send them.",
        )
        return
    try:
        with closing(_open_session(settings)) as session:
            session.noop()
    except (OSError, smtplib.SMTPException) as error:
        yield wrong(
            area,
            f"{settings.host}:{settings.port} does not take letters: {error}.",
            "Check GOODMAN_SMTP_*; `openssl s_client` shows the certificate.",
        )
    else:
        yield fine(area, f"{settings.host}:{settings.port} ({settings.security}) answers")


def _open_session(settings: mail_module.MailSettings) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if settings.ca_file:
        context.load_verify_locations(settings.ca_file)
    if settings.security is mail_module.Security.TLS:
        session: smtplib.SMTP = smtplib.SMTP_SSL(
            settings.host, settings.port, timeout=PATIENCE_S, context=context
        )
    else:
        session = smtplib.SMTP(settings.host, settings.port, timeout=PATIENCE_S)
        if settings.security is mail_module.Security.STARTTLS:
            session.starttls(context=context)
    if settings.user and settings.password_file:
        session.login(settings.user, settings.password_file.read_text("utf-8").strip())
    return session
