"""The document and its page: Swagger UI from the wheel ``swagger-ui-py``, nothing from outside.

The wheel is the one Python package that carries a current Swagger UI (5.x, which reads OpenAPI
3.1); it needs no Node at build time. Only its static files are used: its code is never imported.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodman_live.server_extension.handler import ApiHandler
from goodman_live.server_extension.openapi import make_document
from goodman_live.server_extension.operation import Access, operation

if TYPE_CHECKING:
    from tornado.web import RequestHandler

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui-standalone-preset.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
"""Files of Swagger UI that the page needs."""

OWN_ASSETS = {"start.js": "text/javascript"}
"""Files of ours beside them."""

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Goodman Live API</title>
<link rel="stylesheet" href="static/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui"></div>
<script src="static/swagger-ui-bundle.js"></script>
<script src="static/swagger-ui-standalone-preset.js"></script>
<script src="static/start.js"></script>
</body>
</html>
"""

START = """\
"use strict";
// The cookie proves who the reader is; this proves that the request comes from this page.
function xsrfToken() {
  const found = document.cookie.split("; ").find((part) => part.startsWith("_xsrf="));
  return found ? found.slice("_xsrf=".length) : "";
}
window.ui = SwaggerUIBundle({
  url: "../openapi.json",
  requestInterceptor: (request) => {
    request.headers["X-XSRFToken"] = xsrfToken();
    return request;
  },
  dom_id: "#swagger-ui",
  deepLinking: true,
  filter: true,
  displayOperationId: true,
  tryItOutEnabled: true,
  persistAuthorization: false,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
});
"""


def asset_folder() -> Path:
    """Return the folder of Swagger UI's files, without importing the wheel's code.

    Raises
    ------
    FileNotFoundError
        If ``swagger-ui-py`` is not installed.
    """
    spec = importlib.util.find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        msg = "swagger-ui-py is not installed; it carries the files of the API's page"
        raise FileNotFoundError(msg)
    return Path(spec.submodule_search_locations[0]) / "static"


class DocumentHandler(ApiHandler):
    """The OpenAPI document."""

    @operation(id="api_openapi_read", summary="This document", tag="service")
    async def get(self) -> dict[str, Any]:
        """Return the document."""
        server = self.request.path.removesuffix("/api/openapi.json") or "/"
        return make_document(self.settings["goodman_routes"], server)


class DocsHandler(ApiHandler):
    """The page to read and try the API."""

    @operation(
        id="api_docs_read",
        summary="This page",
        tag="service",
        page=True,
        media=("text/html",),
    )
    async def get(self) -> None:
        """Answer with the page."""
        if not self.request.path.endswith("/"):
            # The page's own addresses are relative to the slash.
            self.redirect(f"{self.request.path}/")
            return
        # Reading the token sets its cookie, which the page needs to try a change.
        _ = self.xsrf_token
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(PAGE)

    @property
    def content_security_policy(self) -> str:
        """Own scripts, own data, nothing from outside, framed by nobody else."""
        return (
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
            " img-src 'self' data:; font-src 'self' data:; connect-src 'self';"
            " base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
        )


class AssetHandler(ApiHandler):
    """The scripts and styles of the page: public files, from a fixed list."""

    def arguments_for(self, contract: Any, path: dict[str, Any]) -> dict[str, Any]:
        """Take the name as it is; `get` looks it up in a fixed list."""
        del contract
        return path

    @operation(
        id="api_docs_static",
        summary="Scripts and styles of the page",
        tag="service",
        access=Access.ANYONE,
        documented=False,
    )
    async def get(self: RequestHandler, name: str) -> None:
        """Answer with one file."""
        if name in OWN_ASSETS:
            self.set_header("Content-Type", OWN_ASSETS[name])
            self.finish(START)
            return
        if name not in ASSETS:
            self.send_error(404)
            return
        self.set_header("Content-Type", ASSETS[name])
        self.set_header("Cache-Control", "public, max-age=86400")
        self.finish((asset_folder() / name).read_bytes())
