"""The JSON schema of the Dask profiles, made from the model that reads them."""

from __future__ import annotations

from typing import Any

from goodman_live.server_extension.engine.profile import DaskProfile


def profile_schema() -> dict[str, Any]:
    """Return the schema that ``dask_config/profile.schema.json`` holds."""
    schema = DaskProfile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Where Goodman Live runs its blocks"
    schema["allOf"] = [
        {
            "if": {"properties": {"kind": {"const": "local"}}},
            "else": {"required": ["address"], "properties": {"address": {"minLength": 1}}},
        }
    ]
    return schema
