"""What a step saw, as figures: the API's diagnostics put into panels."""

from __future__ import annotations

import math
from typing import Any

MANY_LABELS = 24
"""Lines of an arc that are named; the strongest fit."""


def panels(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the figures of a product's diagnostics, as `Panels` draws them."""
    data = answer["data"]
    if answer["kind"] == "extract":
        return [_profile(data), *_traces(data, answer.get("target"))]
    if answer["kind"] == "wavelength":
        return [_arc(data), _residuals(data), *_sky(data)]
    if answer["kind"] == "focus":
        return [_focus(data)]
    if answer["kind"] == "acquisition":
        return [_slit(data)]
    return [_rays(data)]


def _panel(key: str, title: str, words: str, names: tuple[str, str], **more: Any) -> Any:
    return {
        "key": key,
        "title": title,
        "words": words,
        "x_name": names[0],
        "y_name": names[1],
        **more,
    }


def _series(kind: str, x: list[Any], y: list[Any]) -> dict[str, Any]:
    return {"kind": kind, "x": x, "y": y}


def _profile(data: dict[str, Any]) -> dict[str, Any]:
    profile = data["profile"]
    series = [_series("line", profile["row"], profile["value"])]
    if profile["fit"]:
        series.append(_series("fit", profile["row"], profile["fit"]))
    sources = profile["sources"]
    words = f"{len(sources)} source{'s' if len(sources) != 1 else ''} fitted together"
    return _panel(
        "profile",
        "Profile along the slit",
        words,
        ("Readout row (unbinned pixels)", "Stacked along the trace"),
        series=series,
        marks=[{"x": one["row"], "text": ""} for one in sources],
    )


def _traces(data: dict[str, Any], target: int | None) -> list[dict[str, Any]]:
    targets = data["targets"]
    chosen = targets[(target or 1) - 1 : (target or 1)] or targets[:1]
    found = []
    for one in chosen:
        trace, points = one["trace"], one["points"]
        rms = trace["rms_px"]
        words = f"order {trace['order']}" + (", borrowed" if trace["borrowed"] else "")
        if rms is not None:
            words += f", rms {rms:.3f} px"
        found.append(
            _panel(
                "trace",
                "Trace",
                words,
                ("Readout column (unbinned pixels)", "Readout row"),
                series=[
                    *_kept(points, "row"),
                    _series("fit", trace["column"], trace["row"]),
                ],
            )
        )
        found.append(
            _panel(
                "trace-residuals",
                "Trace less its points",
                f"{sum(points['used'])} of {len(points['used'])} points used",
                ("Readout column (unbinned pixels)", "Residual (pixels)"),
                series=[
                    _series("level", trace["column"], [0.0] * len(trace["column"])),
                    *_kept(points, "residual"),
                ],
            )
        )
    return found


def _kept(points: dict[str, Any], name: str) -> list[dict[str, Any]]:
    def part(kind: str, used: bool) -> dict[str, Any]:  # noqa: FBT001 (two halves of one list)
        some = [k for k, flag in enumerate(points["used"]) if flag is used]
        return _series(kind, [points["column"][k] for k in some], [points[name][k] for k in some])

    return [part("dropped", used=False), part("points", used=True)]


def _residuals(data: dict[str, Any]) -> dict[str, Any]:
    lines = [one for one in data["lines"] if one.get("residual_aa") is not None]
    used = [one for one in lines if one["used"]]
    rest = [one for one in lines if not one["used"]]
    spread = [abs(one["residual_aa"]) for one in used] or [1.0]
    top = max(3.2 * math.sqrt(sum(v * v for v in spread) / len(spread)), max(spread) * 1.15)
    span = [one["wavelength_aa"] for one in lines] or [0.0, 1.0]
    quality = data["quality"]
    words = f"{len(used)} lines used, {len(rest)} seen and not used"
    if quality.get("rms_aa") is not None:
        words += f", rms {quality['rms_aa']:.3f} Å"
    return _panel(
        "residuals",
        "Arc lines: residuals",
        words,
        ("Wavelength (Angstrom)", "Residual (Angstrom)"),
        series=[
            _series("level", [min(span), max(span)], [0.0, 0.0]),
            *(
                _series(
                    kind,
                    [one["wavelength_aa"] for one in part],
                    [one["residual_aa"] for one in part],
                )
                for kind, part in (("dropped", rest), ("points", used))
            ),
        ],
        y_range=[-top, top],
    )


def _arc(data: dict[str, Any]) -> dict[str, Any]:
    arc = data["arc"]
    flux = [None if v is None else math.sqrt(max(v, 0.0)) for v in arc["flux"]]
    lines = [one for one in data["lines"] if one["used"] and one["wavelength_aa"] is not None]
    named = sorted(lines, key=lambda one: -(one["snr"] or 0.0))[:MANY_LABELS]
    return _panel(
        "arc",
        "Arc with identified lines",
        f"square root of the lamp's flux; the {len(named)} strongest of {len(lines)} lines named",
        ("Wavelength (Angstrom)", "√ flux"),
        series=[_series("line", arc["wavelength_aa"], flux)],
        marks=[
            {"x": one["wavelength_aa"], "text": f"{one['element']} {one['wavelength_aa']:.1f}"}
            for one in named
        ],
    )


def _sky(data: dict[str, Any]) -> list[dict[str, Any]]:
    sky = data["sky"]
    if not sky:
        return []
    lines = sky["lines"]
    span = [one["wavelength"] for one in lines] or [3200.0, 10500.0]

    def part(kind: str, *, used: bool) -> dict[str, Any]:
        some = [one for one in lines if one["used"] is used]
        return _series(
            kind, [one["wavelength"] for one in some], [one["shift_px"] for one in some]
        )

    return [
        _panel(
            "sky",
            "Sky lines less arc",
            f"{sky['shift_px']:+.2f} ± {sky['sigma_px']:.2f} px"
            f" from {sum(one['used'] for one in lines)} lines",
            ("Wavelength (Angstrom)", "Shift (pixels)"),
            series=[
                _series("level", [min(span), max(span)], [sky["shift_px"]] * 2),
                part("dropped", used=False),
                part("points", used=True),
            ],
        )
    ]


def _focus(data: dict[str, Any]) -> dict[str, Any]:
    def part(kind: str, *, used: bool) -> dict[str, Any]:
        some = [one for one in data["points"] if one["used"] is used and one["fwhm_px"]]
        return _series(kind, [one["setting"] for one in some], [one["fwhm_px"] for one in some])

    series = [part("dropped", used=False), part("points", used=True)]
    if data["bracketed"]:
        series.insert(0, _series("fit", data["curve"]["setting"], data["curve"]["fwhm_px"]))
    marks = [] if data["best"] is None else [{"x": data["best"], "text": "best"}]
    return _panel(
        "focus",
        "Width against focus",
        data["reason"],
        (f"Focus setting ({data['card']})", "FWHM (unbinned pixels)"),
        series=series,
        marks=marks,
    )


def _slit(data: dict[str, Any]) -> dict[str, Any]:
    series = [_series("fit", data["slit"]["column"], data["slit"]["row"])]
    target, words = data["target"], "no target seen"
    if target is not None:
        series.append(_series("points", [target["column"]], [target["row"]]))
        words = (
            f"target {data['offset_arcsec']:+.2f} ± {data['offset_error_arcsec']:.2f} arcsec"
            f" across the slit, {data['along_arcsec']:+.1f} along it"
        )
    return _panel(
        "acquisition",
        "Slit and target",
        words,
        ("Readout column (unbinned pixels)", "Readout row (unbinned pixels)"),
        series=series,
        x_range=data["columns"],
        y_range=data["rows"],
    )


def _rays(data: dict[str, Any]) -> dict[str, Any]:
    rows, columns = data["shape"]
    return _panel(
        "cosmic",
        "Cosmic rays",
        f"{data['rays']:,} found, {data['pixels']:,} pixels,"
        f" {100 * data['fraction']:.3f} % of the frame",
        ("Column (pixels)", "Row (pixels)"),
        series=[
            _series(
                "points",
                [one["x"] for one in data["largest"]],
                [one["y"] for one in data["largest"]],
            )
        ],
        x_range=[0, columns],
        y_range=[0, rows],
    )
