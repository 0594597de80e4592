"""What the pages draw of an extraction: profile and fits, trace and residuals, as plain lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.assemble import Extracted
    from goodman_live.pipeline.core.extract import Extraction

POINTS = 200
"""Points in which a trace is drawn."""


def diagnostics(extraction: Extraction) -> dict[str, Any]:
    """Return the fits of an extraction as plain values that travel as JSON.

    Parameters
    ----------
    extraction : Extraction
        From `extract_targets`.

    Returns
    -------
    dict
        ``profile`` (unbinned rows, profile and its sigma stacked along the trace, the joint fit
        and its background, the sources' centres) and ``targets`` (trace points, polynomial and
        residuals in unbinned rows, spectrum with its sky, aperture, zones, quality). Undefined
        numbers are None.
    """
    search = extraction.search
    fit = search.fit
    centres: list[dict[str, Any]] = []
    if fit is not None:
        rows = np.interp(fit.centre, np.arange(search.profile.size), extraction.blocks_rows)
        centres = [
            {"row": float(row), "flux": float(flux), "sigma": float(error), "shape": shape.name}
            for row, flux, error, shape in zip(
                rows, fit.flux, fit.flux_sigma, fit.shapes, strict=True
            )
        ]
    return {
        "profile": {
            "row": plain(extraction.blocks_rows),
            "value": plain(search.profile),
            "sigma": plain(search.sigma),
            "fit": plain(fit.model) if fit is not None else None,
            "background": plain(fit.background) if fit is not None else None,
            "sources": centres,
        },
        "targets": [_target(target) for target in extraction.targets],
        "neighbours": extraction.neighbours,
    }


def _target(target: Extracted) -> dict[str, Any]:
    trace = target.trace
    columns = np.linspace(*trace.domain, POINTS)
    return {
        "trace": {
            "column": plain(columns),
            "row": plain(trace.at(columns)),
            "order": trace.order,
            "rms_px": trace.rms if np.isfinite(trace.rms) else None,
            "borrowed": trace.borrowed,
        },
        "points": {
            "column": plain(trace.columns),
            "row": plain(trace.rows),
            "sigma": plain(trace.sigma),
            "residual": plain(trace.rows - trace.at(trace.columns)),
            "used": [bool(v) for v in trace.keep],
        },
        "spectrum": {
            "column": plain(target.spectrum.column),
            "flux": plain(target.spectrum.flux),
            "uncertainty": plain(target.spectrum.uncertainty),
            "sky": plain(target.spectrum.sky),
        },
        "aperture": {"lower": target.lower, "upper": target.upper},
        "zones": [list(zone) for zone in target.zones],
        "quality": dict(target.quality),
    }


def plain(values: NDArray[np.float64]) -> list[float | None]:
    """Return an array as a list, with None for what is not a number."""
    return [float(v) if np.isfinite(v) else None for v in values]
