"""Every route of the API, once: the server, the OpenAPI document and the tests read this table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goodman_live.server_extension import (
    actions,
    collaborators,
    comments,
    dask_pages,
    diagnostics,
    docs,
    download,
    events,
    files,
    header,
    health,
    jobs,
    lists,
    logs,
    night,
    notices,
    proposals,
    reclassify,
    semester_import,
    settings_preview,
    soar_ids,
    spectrum_line,
    status,
    users,
    visualize,
    webhooks,
)
from goodman_live.server_extension.handler import UnknownRouteHandler
from goodman_live.server_extension.operation import Operation, operation_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from goodman_live.server_extension.handler import ApiHandler


@dataclass(frozen=True, slots=True)
class Route:
    """One path and what serves it."""

    path: str
    """Below the prefix, with a leading slash; ``{id}`` stands for a number."""
    handler: type[ApiHandler]

    @property
    def pattern(self) -> str:
        """Regular expression of the path; the slash at the end may be left out."""
        pieces = re.split(r"\{(\w+)\}", self.path)
        parts = [
            f"(?P<{piece}>[0-9]{{1,18}})" if index % 2 else re.escape(piece)
            for index, piece in enumerate(pieces)
        ]
        text = "".join(parts)
        return f"{text}?" if text.endswith("/") else text

    def operations(self) -> Iterator[tuple[str, Operation]]:
        """Yield each method with its contract."""
        for method in self.handler.allowed_methods():
            contract = operation_of(self.handler, method)
            if contract is not None:
                yield method, contract


ROUTES: tuple[Route, ...] = (
    Route("/api/", status.StatusHandler),
    Route("/api/files/", files.FilesHandler),
    Route("/api/files/facets/", files.FacetsHandler),
    Route("/api/files/{id}/", files.FileHandler),
    Route("/api/files/{id}/related/", files.FamilyHandler),
    Route("/api/files/header/", header.HeaderHandler),
    Route("/api/files/visualize/", visualize.VisualizeHandler),
    Route("/api/files/spectrum/line/", spectrum_line.LineHandler),
    Route("/api/files/diagnostics/", diagnostics.DiagnosticsHandler),
    Route("/api/files/download/", download.DownloadHandler),
    Route("/api/files/comments/", comments.CommentsHandler),
    Route("/api/files/reclassify/", reclassify.ReclassifyHandler),
    Route("/api/files/calibrations/", actions.CalibrationsHandler),
    Route("/api/files/spectrum/stack/", actions.StackHandler),
    *(Route(path, handler) for path, handler in actions.HANDLERS.items()),
    Route("/api/jobs/", jobs.JobsHandler),
    Route("/api/jobs/{id}/", jobs.JobHandler),
    Route("/api/events/", events.EventsHandler),
    Route("/api/webhooks/", webhooks.WebhooksHandler),
    Route("/api/webhooks/{id}/", webhooks.WebhookHandler),
    Route("/api/proposals/", proposals.ProposalsHandler),
    Route("/api/proposals/{id}/", proposals.ProposalHandler),
    Route("/api/proposals/collaborators/{id}/", collaborators.CollaboratorsHandler),
    Route("/api/proposals/settings/{id}/", proposals.SettingsHandler),
    Route("/api/proposals/settings/{id}/preview/", settings_preview.SettingsPreviewHandler),
    Route("/api/proposals/soar-id/", soar_ids.SoarIdHandler),
    Route("/api/proposals/unclaimed/", soar_ids.UnclaimedHandler),
    Route("/api/proposals/reassign/", soar_ids.ReassignHandler),
    Route("/api/semesters/", lists.SemestersHandler),
    Route("/api/semesters/{id}/", lists.SemesterHandler),
    Route("/api/semesters/import/", semester_import.SemesterImportHandler),
    Route("/api/partners/", lists.PartnersHandler),
    Route("/api/partners/{id}/", lists.PartnerHandler),
    Route("/api/users/", users.UsersHandler),
    Route("/api/users/me/", users.MeHandler),
    Route("/api/users/{id}/", users.UserHandler),
    Route("/api/users/{id}/link/", users.UserLinkHandler),
    Route("/api/email/", notices.EmailHandler),
    Route("/api/logs/", logs.LogsHandler),
    Route("/api/night/", night.NightHandler),
    Route("/api/metrics", health.MetricsHandler),
    Route("/api/health", health.HealthHandler),
    Route("/api/docs/", docs.DocsHandler),
    Route("/api/openapi.json", docs.DocumentHandler),
)
"""The API, in the order of the document."""


def tornado_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes below `prefix` as tornado takes them, with an end to what is unknown."""
    table: list[tuple[Any, ...]] = [(prefix + route.pattern, route.handler) for route in ROUTES]
    table.append((prefix + r"/api/docs/static/(?P<name>[a-z-]+\.(?:js|css))", docs.AssetHandler))
    stream = r"(?P<path>[a-z-]{1,80}/ws)"
    table.append((prefix + dask_pages.PATH + stream, dask_pages.DaskSocketHandler))
    page = r"(?P<path>[A-Za-z0-9._/-]{0,300})"
    table.append((prefix + dask_pages.PATH + page, dask_pages.DaskHandler))
    table.append((prefix + r"/api(?:/.*)?", UnknownRouteHandler))
    return table
