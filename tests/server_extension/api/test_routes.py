"""What is served at all, and that the document says the same."""

import re

import httpx
import pytest
from jsonschema import Draft202012Validator

from goodman_live.server_extension import service as service_module
from goodman_live.server_extension.openapi import make_document
from goodman_live.server_extension.routes import ROUTES

PREFIX = "/services/goodman"
ENVIRONMENT = {
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:1",
    "JUPYTERHUB_SERVICE_PREFIX": f"{PREFIX}/",
}
JUPYTER = [
    "api/contents", "api/kernels", "api/kernelspecs", "api/sessions", "api/terminals",
    "api/shutdown", "api/spec.yaml", "api/me", "api/events/subscribe", "api/config/x",
    "api/nbconvert", "metrics",
    "files/etc/passwd", "files/", "view/x", "nbconvert/html/x", "tree", "lab", "terminals/1",
    "terminals/websocket/1", "login", "static/base/images/logo.png", "custom/custom.css",
    "kernelspecs/python3/logo-64x64.png", "nbextensions/x.js", "proxy/8787/status",
]  # fmt: skip


@pytest.fixture(scope="module")
def document():
    return make_document(ROUTES, PREFIX)


@pytest.mark.parametrize("path", JUPYTER)
def test_nothing_of_jupyter_is_served_not_even_to_superusers(as_, path):
    answer = as_("super").get(path)
    assert answer.status_code == 404, answer.text


def walk(router):
    """Yield (pattern, handler) of every rule below a tornado router."""
    for rule in router.rules:
        if hasattr(rule.target, "rules"):
            yield from walk(rule.target)
        else:
            regex = getattr(rule.matcher, "regex", None)
            yield regex.pattern if regex else "*", rule.target


def test_the_route_table_holds_what_is_allowed_and_nothing_else(tmp_path, monkeypatch):
    for name, value in {
        **ENVIRONMENT,
        "GOODMAN_DATA": str(tmp_path),
        "JUPYTERHUB_API_TOKEN": "t",
        "JUPYTERHUB_CLIENT_ID": "service-goodman",
        "HOME": str(tmp_path),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
    }.items():
        monkeypatch.setenv(name, value)
    settings = service_module.server_settings({**ENVIRONMENT, "GOODMAN_DATA": str(tmp_path)})
    server = service_module.GoodmanServer(**settings)
    extension = service_module.GoodmanService(serverapp=server)
    server.init_ioloop()
    server.init_logging()
    server.init_event_logger()
    server.init_server_extensions()
    server.init_configurables()
    server.init_webapp()
    extension.initialize()
    served = {
        (pattern.removesuffix("$"), target)
        for pattern, target in walk(server.web_app.default_router)
    }
    ours = {(PREFIX + route.pattern, route.handler) for route in ROUTES}
    rest = {pattern for pattern, _ in served - ours}
    assert ours <= served
    assert rest == {
        f"{PREFIX}/oauth_callback",
        f"{PREFIX}/logout",
        f"{PREFIX}/api/docs/static/(?P<name>[a-z-]+\\.(?:js|css))",
        f"{PREFIX}/api/dask/(?P<path>[a-z-]{{1,80}}/ws)",
        f"{PREFIX}/api/dask/(?P<path>[A-Za-z0-9._/-]{{0,300}})",
        f"{PREFIX}/api(?:/.*)?",
    }


def test_document_and_routes_agree_both_ways(document):
    served = {
        (route.path, method.lower(), contract.id)
        for route in ROUTES
        for method, contract in route.operations()
        if contract.documented
    }
    written = {
        (path, method, entry["operationId"])
        for path, entries in document["paths"].items()
        for method, entry in entries.items()
    }
    assert written == served
    identifiers = [identifier for _, _, identifier in served]
    assert len(set(identifiers)) == len(identifiers)


def test_a_get_that_changes_things_is_not_in_the_document(document):
    assert set(document["paths"]["/api/proposals/collaborators/{id}/"]) == {"post"}


def test_every_reference_leads_somewhere_and_every_schema_is_one(document):
    text = str(document)
    for name in set(re.findall(r"#/components/schemas/([\w.]+)", text)):
        assert name in document["components"]["schemas"]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for entries in document["paths"].values():
        for entry in entries.values():
            for parameter in entry["parameters"]:
                Draft202012Validator.check_schema(parameter["schema"])


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("api/", "/api/"),
        ("api/files/", "/api/files/"),
        ("api/files/facets/", "/api/files/facets/"),
        ("api/files/{ours}/", "/api/files/{id}/"),
        ("api/files/{ours}/related/", "/api/files/{id}/related/"),
        ("api/files/header/?id={ours}", "/api/files/header/"),
        ("api/files/comments/?id={ours}", "/api/files/comments/"),
        ("api/jobs/", "/api/jobs/"),
        ("api/jobs/{job}/", "/api/jobs/{id}/"),
        ("api/events/?since=-1", "/api/events/"),
        ("api/proposals/", "/api/proposals/"),
        ("api/users/", "/api/users/"),
        ("api/users/me/", "/api/users/me/"),
        ("api/logs/", "/api/logs/"),
        ("api/night/", "/api/night/"),
        ("api/health", "/api/health"),
    ],
)
def test_answers_are_as_documented(as_, world, document, path, template):
    answer = as_("staff").get(path.format(**world.files, job=world.job))
    content = document["paths"][template]["get"]["responses"]["200"]["content"]
    schema = content["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    problems = [error.message for error in validator.iter_errors(answer.json())]
    assert not problems


def test_the_page_asks_nothing_of_anybody_else(as_):
    page = as_("pi").get("api/docs/")
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.text
    for asset in re.findall(r'(?:src|href)="(static/[^"]+)"', page.text):
        answer = as_("pi").get(f"api/docs/{asset}")
        assert answer.status_code == 200
        assert len(answer.content) > 500
    start = as_("pi").get("api/docs/static/start.js").text
    assert "validatorUrl: null" in start


@pytest.mark.parametrize("name", ["../app.py", "swagger-ui-es-bundle.js", "%2e%2e/app.py"])
def test_the_pages_files_are_a_fixed_list(service, name):
    assert httpx.get(f"{service.url}api/docs/static/{name}").status_code == 404
