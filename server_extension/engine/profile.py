"""Profiles of where the blocks run, from ``dask_config/*.yaml`` or a scheduler's address."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from goodman_live.hub.places import SHARE, source_tree
from goodman_live.pipeline.core.errors import SettingsError

DEFAULT = "local"
"""Profile of one machine."""


class Tls(BaseModel):
    """Files of a certificate chain, PEM."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ca_file: Path = Field(description="Certificate of the authority that signed both sides.")
    cert: Path = Field(description="Certificate of this side.")
    key: Path = Field(description="Private key of this side.")


class DaskProfile(BaseModel):
    """Where and how blocks run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["local", "scheduler", "gateway"] = Field(
        description="Processes on this machine, a scheduler that runs elsewhere, or dask-gateway."
    )
    workers: int = Field(2, ge=1, le=256, description="Processes (local, gateway).")
    memory_limit: str = Field("3GiB", description="Of each worker; above it the worker restarts.")
    address: str = Field("", description="Of the scheduler (tls://) or the gateway (https://).")
    tls: Tls | None = Field(None, description="Certificates for a scheduler elsewhere.")
    dashboard: str = Field(
        "",
        description="Of a scheduler's dashboard for staff (https://), as served by the preload"
        " goodman_live.server_extension.engine.dashboard; one machine needs none.",
    )
    gateway_auth: Literal["jupyterhub", "kerberos", "basic"] = Field(
        "jupyterhub", description="How dask-gateway is asked."
    )
    job_timeout_s: float = Field(
        900.0, gt=0, description="A job that runs longer is ended with its worker."
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> DaskProfile:
        if self.kind != "local" and not self.address:
            raise ValueError(f"a profile of kind {self.kind} needs an address")
        if self.kind == "scheduler" and self.tls is None and not is_private(self.address):
            raise ValueError("a scheduler elsewhere needs tls (ca_file, cert, key)")
        if self.dashboard and (self.tls is None or not self.dashboard.startswith("https://")):
            raise ValueError("a dashboard is asked with the certificate of tls, over https://")
        return self


def is_private(address: str) -> bool:
    """Tell whether nobody outside this process can reach an address."""
    return address.startswith("inproc://")


def config_folder() -> Path:
    """Return the folder of the profiles."""
    return (source_tree() or SHARE) / "dask_config"


def load_profile(name: str = "") -> DaskProfile:
    """Return the profile of this name, or of this path to a YAML file.

    Raises
    ------
    SettingsError
        If there is no such profile or it does not follow the schema.
    """
    name = name or DEFAULT
    path = Path(name) if name.endswith((".yaml", ".yml")) else config_folder() / f"{name}.yaml"
    if not path.is_file():
        known = sorted(item.stem for item in config_folder().glob("*.yaml"))
        raise SettingsError(
            f"There is no Dask profile '{name}'.",
            remedy=f"Known: {', '.join(known)}; or give the path of a YAML file.",
            field="dask",
        )
    try:
        return DaskProfile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise SettingsError(f"{path.name}: {error}", field="dask") from error
