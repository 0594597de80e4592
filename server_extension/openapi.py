"""The OpenAPI 3.1 document, made from the routes and the models that validate with them."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from goodman_live import __version__
from goodman_live.server_extension.operation import Access
from goodman_live.server_extension.repeats import HEADER
from goodman_live.server_extension.schemas import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from goodman_live.server_extension.operation import Operation
    from goodman_live.server_extension.routes import Route

REFERENCE = "#/components/schemas/{model}"

DESCRIPTION = """\
Frames of the Goodman spectrograph, what was made of them, and what can be done with them.

Send `Authorization: Token <key>`; a key is made on the Hub's token page with the scope
`access:services!service=goodman`. What you may not see answers 404, as if it were absent.
Changes answer with the job that makes them; `?wait=seconds` holds the answer until it is done.
"""

COMMON_ERRORS: dict[Access, tuple[int, ...]] = {
    Access.ANYONE: (400, 429),
    Access.SIGNED_IN: (400, 401, 403, 429, 503),
    Access.STAFF: (400, 401, 403, 429, 503),
    Access.INSTRUMENT: (400, 401, 403, 429, 503),
    Access.OPERATOR: (400, 401, 403, 429, 503),
}
"""Errors that every operation of an access may answer with."""


IDEMPOTENCY: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A key of your own for this request: sent again with the same key, it acts"
    " once and gets the same answer. Kept for 24 hours.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}


def make_document(routes: Sequence[Route], server: str) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    routes : sequence of Route
        What is served.
    server : str
        Address of the prefix, absolute or a path.
    """
    modes = _models(routes)
    references, definitions = models_json_schema(modes, ref_template=REFERENCE)
    schemas = {key: value["$ref"] for key, value in references.items()}
    paths: dict[str, Any] = {}
    for route in routes:
        for method, contract in route.operations():
            if contract.documented:
                entry = _operation(route, method, contract, schemas)
                paths.setdefault(route.path, {})[method.lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {"title": "Goodman Live", "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`Token <key>`",
                }
            },
        },
        # Both ways in: a token, or the cookie of a browser that is signed in.
        "security": [{"token": []}, {}],
    }


def _models(routes: Sequence[Route]) -> list[tuple[type[BaseModel], Any]]:
    found: dict[tuple[type[BaseModel], Any], None] = {(Problem, "serialization"): None}
    for route in routes:
        for _, contract in route.operations():
            if contract.documented:
                if contract.body is not None:
                    found[contract.body, "validation"] = None
                if contract.answer is not None:
                    found[contract.answer, "serialization"] = None
    return list(found)


def _operation(
    route: Route, method: str, contract: Operation, schemas: dict[Any, str]
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "operationId": contract.id,
        "summary": contract.summary,
        "description": f"{contract.description}\n\nFor: {contract.access}.".strip(),
        "tags": [contract.tag],
        "parameters": [*_path_parameters(route.path), *_query_parameters(contract.query)],
        "responses": _responses(route, method, contract, schemas),
    }
    if method == "POST" and contract.access is not Access.ANYONE:
        entry["parameters"].append(IDEMPOTENCY)
    if contract.access is Access.ANYONE:
        entry["security"] = []
    body = _body(contract, schemas)
    if body is not None and method != "GET":
        entry["requestBody"] = body
    return entry


def _path_parameters(path: str) -> list[dict[str, Any]]:
    schema = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
    return [
        {"name": name, "in": "path", "required": True, "schema": schema}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameters(model: type[BaseModel] | None) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    required = set(schema.get("required", ()))
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": part.pop("description", ""),
            "schema": _without_null(_inline(part, definitions)),
        }
        for name, part in schema.get("properties", {}).items()
    ]


def _inline(part: Any, definitions: dict[str, Any]) -> Any:
    """Put definitions in place: a parameter's schema stands alone."""
    if isinstance(part, dict):
        if "$ref" in part:
            return _inline(definitions[part["$ref"].rsplit("/", 1)[1]], definitions)
        return {key: _inline(value, definitions) for key, value in part.items()}
    if isinstance(part, list):
        return [_inline(value, definitions) for value in part]
    return part


def _without_null(part: dict[str, Any]) -> dict[str, Any]:
    """Leave null out: a query says it by leaving the parameter out."""
    options = [option for option in part.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        rest = {key: value for key, value in part.items() if key not in {"anyOf", "default"}}
        return {**rest, **options[0]}
    if part.get("default", "") is None:
        part = {key: value for key, value in part.items() if key != "default"}
    return part


def _body(contract: Operation, schemas: dict[Any, str]) -> dict[str, Any] | None:
    if contract.body is None:
        if contract.body_media == ("application/json",):
            return None
        return {"required": True, "content": {m: _file(m) for m in contract.body_media}}
    content: dict[str, Any] = {
        "application/json": {"schema": {"$ref": schemas[contract.body, "validation"]}}
    }
    for media in contract.body_media:
        content.setdefault(media, _file(media))
    return {
        "required": any(f.is_required() for f in contract.body.model_fields.values()),
        "content": content,
    }


def _file(media: str) -> dict[str, Any]:
    if media == "multipart/form-data":
        part = {"type": "string", "contentMediaType": "application/fits"}
        return {"schema": {"type": "object", "properties": {"file": part}, "required": ["file"]}}
    return {"schema": {"type": "string", "contentMediaType": media}}


def _responses(
    route: Route, method: str, contract: Operation, schemas: dict[Any, str]
) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status in (contract.status, *contract.also):
        answers[str(status)] = {"description": HTTPStatus(status).phrase}
        content = {}
        if status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            for media in contract.media:
                schema: dict[str, Any] = {"type": "string"}
                if media == "application/json":
                    model = contract.answer
                    schema = (
                        {"$ref": schemas[model, "serialization"]} if model else {"type": "object"}
                    )
                content[media] = {"schema": schema}
            answers[str(status)]["content"] = content
    problems = {*COMMON_ERRORS[contract.access], *contract.errors}
    if "{" in route.path:
        problems.add(404)
    if method == "POST":
        problems |= {409, 422}
    if contract.body is not None:
        problems.add(413)
    for status in sorted(problems):
        answers[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {
                "application/json": {"schema": {"$ref": schemas[Problem, "serialization"]}}
            },
        }
    return answers
