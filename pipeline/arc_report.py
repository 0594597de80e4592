"""What to tell of a solved arc: as plain values and as a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.core.arc import known_lamps

if TYPE_CHECKING:
    from goodman_live.pipeline.core.arc import ArcSolution
    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.core.observed import LineRecord
    from goodman_live.pipeline.core.wavelength import WavelengthSolution


def quality(axis: WavelengthSolution) -> dict[str, float | int | str | bool | None]:
    """Return the numbers of quality of a solution; ``px`` are pixels of the file."""
    b = axis.binning
    used = np.array([line.column for line in axis.lines if line.used])
    middle = float(np.median(used)) if len(used) else math.nan
    pairs = axis.lamp_differences.items()
    first = axis.lamps[0] if not axis.lamp_offsets else min(axis.lamp_offsets)
    offsets = ", ".join(
        f"{lamp} {value / b:+.3f} +- {error / b:.3f} px from {first}"
        for lamp, (value, error) in pairs
    )
    return {
        "trusted": axis.trusted,
        "doubts": "; ".join(axis.reasons),
        "n_used": axis.n_used,
        "n_seen": len(axis.lines),
        "rms_px": axis.rms_px / b,
        "rms_aa": axis.rms_aa,
        "rms_kms": axis.rms_aa / float(axis.wavelength(middle)) * 299792.458,
        "leave_one_out_rms_px": axis.loo_rms_px / b,
        "leave_one_out_worst_px": axis.loo_worst_px / b,
        "coverage_blue_aa": float(axis.wavelength(axis.coverage[0])),
        "coverage_red_aa": float(axis.wavelength(axis.coverage[1])),
        "weak": axis.weak,
        "typical_uncertainty_px": axis.typical_uncertainty_px / b,
        "uncertainty_aa": float(axis.uncertainty(middle)),
        "uncertainty_kms": float(axis.uncertainty_kms(middle)),
        "dispersion_aa_px": float(axis.scale(middle)) * b,
        "lamp_offsets": offsets,
        "lamp_offset_known": axis.offset_known,
        "log_odds": axis.gap,
        "focal_length_mm": axis.dispersion.f_mm,
        "camera_angle_error_deg": axis.dispersion.dbeta_deg,
    }


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def line_row(line: LineRecord, axis: WavelengthSolution, first: float) -> dict[str, Any]:
    """Return one line as plain values; pixels are those of the file, counted from 0."""
    b = axis.binning
    scale = float(axis.scale(line.column))
    residual = _plain(line.residual_px)
    return {
        "pixel": (line.column - first) / b,
        "pixel_uncertainty": _plain(line.sigma / b),
        "column_unbinned": line.column,
        "wavelength_aa": _plain(line.wavelength),
        "fitted_aa": float(axis.wavelength(line.column)),
        "element": line.element,
        "lamp": line.lamp,
        "residual_px": None if residual is None else residual / b,
        "residual_aa": None if residual is None else residual * scale,
        "leave_one_out_px": None if line.left_out_px is None else line.left_out_px / b,
        "fwhm_px": _plain(line.fwhm_px / b),
        "snr": _plain(line.snr),
        "used": line.used,
        "status": line.status,
    }


def as_dict(solution: ArcSolution, info: FrameInfo, origin: float) -> dict[str, Any]:
    """Return everything about a solved arc as plain values for JSON.

    Parameters
    ----------
    solution : ArcSolution
        The arc.
    info : FrameInfo
        Its header.
    origin : float
        Unbinned column of the centre of pixel 0 of the file.
    """
    axis = solution.axis
    column = solution.column
    return {
        "file": info.file_name,
        "camera": info.camera,
        "grating": info.grating,
        "mode": info.wavmode,
        "lamps": list(axis.lamps),
        "lamps_known": bool(known_lamps(info)),
        "lamps_unnamed": list(axis.unnamed),
        "binning": axis.binning,
        "medium": "air",
        "quality": quality(axis),
        "lamp_offsets_px": {
            lamp: {"offset": value / axis.binning, "uncertainty": error / axis.binning}
            for lamp, (value, error) in axis.lamp_offsets.items()
        },
        "lamp_differences_px": {
            lamp: {"offset": value / axis.binning, "uncertainty": error / axis.binning}
            for lamp, (value, error) in axis.lamp_differences.items()
        },
        "tilt_px_per_px": solution.tilt.slope,
        "bow_px_per_px2": solution.tilt.bow,
        "reference_row_unbinned": solution.tilt.row,
        "lines": [line_row(line, axis, origin) for line in axis.lines],
        "pixels": {
            "pixel": ((column - origin) / axis.binning).tolist(),
            "wavelength_aa": axis.wavelength(column).tolist(),
            "uncertainty_aa": axis.uncertainty(column).tolist(),
            "uncertainty_kms": axis.uncertainty_kms(column).tolist(),
            "inside_coverage": axis.covers(column).tolist(),
        },
    }


def as_text(report: dict[str, Any], *, every: int) -> str:
    """Return a report as tables of text, with one pixel in `every` of the axis."""
    parts = [_summary(report), "", _line_table(report["lines"]), "", _pixel_table(report, every)]
    return "\n".join(parts)


def _summary(report: dict[str, Any]) -> str:
    q = report["quality"]
    setting = f"{report['camera']}, {report['grating']} {report['mode']}"
    lamps = "+".join(report["lamps"])
    if not report["lamps_known"]:
        lamps += " by their lines (the header names none)"
    elif report["lamps_unnamed"]:
        lamps += f" (of these {'+'.join(report['lamps_unnamed'])} by the lines alone)"
    span = f"{q['coverage_blue_aa']:.1f} to {q['coverage_red_aa']:.1f} A in air"
    rms = f"{q['rms_px']:.3f} px = {q['rms_aa']:.4f} A = {q['rms_kms']:.1f} km/s"
    worst = f"worst {q['leave_one_out_worst_px']:.3f} px"
    bow = f"bow {report['bow_px_per_px2']:+.2e} px/px^2"
    rows = [
        f"{report['file']}: {setting}, lamps {lamps}, binning {report['binning']}",
        f"{q['n_used']} of {q['n_seen']} lines used, {span}, {q['dispersion_aa_px']:.4f} A/px",
        f"rms against laboratory wavelengths {rms}",
        f"leave-one-out rms {q['leave_one_out_rms_px']:.3f} px, {worst}",
        f"slit tilt {report['tilt_px_per_px']:+.2e} px/px, {bow}",
    ]
    if q["lamp_offsets"]:
        rows.append(
            f"lamps do not fall alike: {q['lamp_offsets']}. Each is fitted with its own offset; "
            "the axis lies midway, and its uncertainty says so."
        )
    else:
        rows.append(
            "all lines are one lamp's: how far it falls from where the target's light does cannot "
            "be known from it (0.3 columns were seen between lamps), and is not in the uncertainty"
        )
    if q["weak"]:
        rows.append(
            f"weak: uncertain by {q['typical_uncertainty_px']:.2f} px between the lines used"
        )
    rows.append("trusted" if q["trusted"] else f"NOT TO BE TRUSTED: {q['doubts']}")
    return "\n".join(rows)


def _number(value: float | None, form: str) -> str:
    return format(value, form) if value is not None else " " * int(form.lstrip("+").split(".")[0])


def _line_table(lines: list[dict[str, Any]]) -> str:
    rows = ["   pixel  wavelength  element  residual  residual      FWHM  status",
            "                   A                  px         A        px"]  # fmt: skip
    rows += [_line_text(line) for line in lines]
    return "\n".join(rows)


def _line_text(line: dict[str, Any]) -> str:
    return (
        f"{line['pixel']:8.2f}  {_number(line['wavelength_aa'], '10.4f')}  "
        f"{line['element']:7s}  {_number(line['residual_px'], '+8.3f')}  "
        f"{_number(line['residual_aa'], '+8.3f')}  {_number(line['fwhm_px'], '8.2f')}  "
        f"{line['status']}"
    )


def _pixel_table(report: dict[str, Any], every: int) -> str:
    pixels = report["pixels"]
    rows = ["   pixel  wavelength  uncertainty  uncertainty",
            "                   A            A         km/s"]  # fmt: skip
    for k in range(0, len(pixels["pixel"]), every):
        beyond = "" if pixels["inside_coverage"][k] else "  beyond the lines"
        rows.append(
            f"{pixels['pixel'][k]:8.0f}  {pixels['wavelength_aa'][k]:10.4f}  "
            f"{pixels['uncertainty_aa'][k]:11.4f}  {pixels['uncertainty_kms'][k]:11.2f}{beyond}"
        )
    return "\n".join(rows)
