"""The examination of an installation: every check, none of which may end the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goodman_live.hub.operate import environment, host, parts
from goodman_live.hub.operate.findings import Finding, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHECKS = (
    host.accounts,
    host.permissions,
    environment.program,
    host.proxy,
    parts.database,
    parts.dask,
    parts.mail,
    host.disk,
    host.clock,
)
"""In the order in which they are told."""


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what every check finds.

    Parameters
    ----------
    environ : mapping
        Environment, as the Hub's.
    """
    for check in CHECKS:
        try:
            yield from check(environ)
        except Exception as error:  # noqa: BLE001 (a check that fails is itself a finding)
            what = f"This could not be examined: {type(error).__name__}: {error}."
            yield wrong(check.__name__, what, "Run as the Hub's account, with its environment.")
