"""The truth on disk: a readable JSON beside an array file, for every simulated frame."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from goodman_live.pipeline.simulate.frames import SourceTruth, Truth


def write_truth(truth: Truth, stem: Path) -> None:
    """Write ``stem.json`` (laws, sources) and ``stem.npz`` (arrays).

    The array file holds, as far as the frame has them: ``cosmic_index`` (flat indices) and
    ``cosmic_electrons``; ``electrons_N``, ``trace_N``, ``wavelength_N`` and ``flux_N`` of
    source N; ``sky_electrons``; ``line_wavelength`` and ``line_offset`` of an arc; ``stars``.
    """
    stem.with_name(stem.name + ".json").write_text(json.dumps(_summary(truth), indent=1) + "\n")
    np.savez_compressed(stem.with_name(stem.name + ".npz"), **_arrays(truth))


def _summary(truth: Truth) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": truth.kind}
    if truth.law is not None:
        out["law"] = {
            "coefficients": [float(c) for c in truth.law.coefficients],
            "variable": "u = (unbinned column - tilt*dy - bow*dy**2 - shift - 2079.5) / 2029.5, "
            "dy = unbinned row - 2095; air wavelength in Angstrom",
            "tilt": truth.law.tilt,
            "bow": truth.law.bow,
            "shift": truth.law.shift,
        }
    if truth.lines is not None:
        pairs = zip(truth.lines.lamp, truth.lines.offset, strict=True)
        out["lamp_offsets_columns"] = {str(lamp): float(offset) for lamp, offset in pairs}
    out["sources"] = [_source(s) for s in truth.sources]
    out["cosmic_pixels"] = int(np.count_nonzero(truth.exposure.cosmic))
    return out


def _source(truth: SourceTruth) -> dict[str, Any]:
    source = truth.source
    magnitude = source.magnitude if np.isfinite(source.magnitude) else None
    return {
        "name": source.name,
        "row_unbinned": source.row,
        "ab_magnitude_5500": magnitude,
        "fwhm_arcsec": source.fwhm_arcsec,
        "emission_lines": [list(line) for line in source.lines],
        "electrons_total": float(truth.electrons.sum()),
    }


def _arrays(truth: Truth) -> dict[str, Any]:
    index = np.flatnonzero(truth.exposure.cosmic)
    out: dict[str, Any] = {
        "cosmic_index": index.astype(np.int32),
        "cosmic_electrons": truth.exposure.cosmic.ravel()[index],
    }
    for i, source in enumerate(truth.sources, start=1):
        out[f"electrons_{i}"] = source.electrons
        out[f"trace_{i}"] = source.trace
        out[f"wavelength_{i}"] = source.wavelength
        out[f"flux_{i}"] = source.flux
    if truth.sky_electrons is not None:
        out["sky_electrons"] = truth.sky_electrons
    if truth.lines is not None:
        out["line_wavelength"] = truth.lines.wavelength
        out["line_offset"] = truth.lines.offset
    if truth.stars is not None:
        out["stars"] = truth.stars
    return out
