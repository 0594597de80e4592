"""Queries and bodies into validated models; every complaint names the parameter at fault."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, ValidationError

from goodman_live.pipeline.core.errors import GoodmanError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Model = TypeVar("Model", bound=BaseModel)

_NO_TEXT = re.compile("[\x00\ud800-\udfff]")

MOST_BYTES = 8 * 2**20
"""Of a body that is not a file: it is read while others wait."""
TRANSPORT = frozenset({"_xsrf"})
"""Parameters that belong to the transport: accepted everywhere, part of no model."""


class RequestError(GoodmanError):
    """A request that cannot be understood or is not accepted."""

    status = 400
    code = "bad_request"


class TooLargeError(GoodmanError):
    """A body above the limit."""

    status = 413
    code = "too_large"


class Strict(BaseModel):
    """Base of queries and bodies: an unknown name is an error, not a shrug."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


def parse_query(model: type[Model] | None, found: Mapping[str, Sequence[bytes]]) -> Model | None:
    """Return the query as `model`.

    Parameters
    ----------
    model : type of BaseModel or None
        None accepts no parameter at all.
    found : mapping of str to sequence of bytes
        Values of each parameter, as sent.

    Raises
    ------
    RequestError
        Naming the first parameter that is unknown, repeated or out of range.
    """
    names = [name for name in found if name not in TRANSPORT]
    if model is None:
        if names:
            raise RequestError(
                f"Unknown parameter '{names[0]}'.", remedy="None is accepted here.", field=names[0]
            )
        return None
    values: dict[str, Any] = {}
    for name in names:
        texts = [_text(name, value) for value in found[name]]
        if _takes_many(model, name):
            values[name] = [text for text in texts if text]
        elif len(texts) == 1:
            values[name] = texts[0]
        else:
            raise RequestError(
                f"Parameter '{name}' was given {len(texts)} times.",
                remedy="It is accepted once.",
                field=name,
            )
    # An empty parameter is what a form sends for a field left alone.
    return validate(
        model, {name: value for name, value in values.items() if value not in ("", [])}
    )


def parse_body(model: type[Model], body: bytes) -> Model:
    """Return the body as `model`; JSON, else a form.

    The public service's own example sends a form under a JSON content type, so the content
    decides and not the header.

    Raises
    ------
    RequestError
        If it is neither, or does not fit the model.
    TooLargeError
        If it has more than `MOST_BYTES` bytes.
    """
    if len(body) > MOST_BYTES:
        raise TooLargeError(f"The body has {len(body)} bytes; {MOST_BYTES} are accepted.")
    text = _text("body", body).strip()
    if not text:
        return validate(model, {})
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = _form(text)
    if not isinstance(values, dict):
        raise RequestError(
            "The body must be a JSON object.", remedy=_accepted(model), field="body"
        )
    _check_texts(values)
    return validate(model, values)


def _check_texts(values: dict[str, Any]) -> None:
    r"""Refuse what JSON can write (``\u0000``, half a surrogate pair) and no database keeps."""
    for name, value in values.items():
        waiting: list[Any] = [name, value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, dict):
                waiting += [*one, *one.values()]
            elif isinstance(one, list):
                waiting += one
            elif isinstance(one, str) and _NO_TEXT.search(one):
                field = "" if _NO_TEXT.search(name) else name
                raise RequestError(
                    f"'{field}' contains a null byte or half a character.", field=field
                )


def validate(model: type[Model], values: dict[str, Any]) -> Model:
    """Return `values` as `model`, or raise a `RequestError` that names the first fault."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise _complaint(model, faults[0]) from None


def _complaint(model: type[BaseModel], fault: Mapping[str, Any]) -> RequestError:
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return RequestError(f"Unknown parameter '{field}'.", remedy=_accepted(model), field=field)
    if fault["type"] == "missing":
        return RequestError(
            f"Parameter '{field}' is missing.", remedy=_accepted(model), field=field
        )
    return RequestError(
        f"Parameter '{field}' is not accepted: {fault['msg']}." if field else f"{fault['msg']}.",
        field=field,
    )


def _accepted(model: type[BaseModel]) -> str:
    return f"Accepted: {', '.join(model.model_fields)}."


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError(f"'{name}' is not UTF-8 text.", field=name) from None
    if "\x00" in text:
        raise RequestError(f"'{name}' contains a null byte.", field=name)
    return text


def _form(text: str) -> dict[str, str]:
    try:
        pairs = parse_qs(text, strict_parsing=True, max_num_fields=100)
    except ValueError:
        raise RequestError("The body is neither JSON nor a form.", field="body") from None
    return {name: values[-1] for name, values in pairs.items()}


def _takes_many(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields.get(name)
    if field is None:
        return False
    kinds = (field.annotation, *get_args(field.annotation))
    return any(get_origin(kind) in {list, tuple} for kind in kinds)
