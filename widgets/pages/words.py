"""What a file is called on a page: rows, tabs, facts and actions from the catalogue's fields."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.records import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from goodman_live.widgets.client.records import File, HeaderCard, Job

_STATES = {
    "new": ("new", "info"),
    "waiting": ("waiting", "warn"),
    "working": ("working", "info"),
    "done": ("done", "good"),
    "failed": ("failed", "bad"),
}
STACK = "stack"
"""Role of what combines several exposures: a result of its own, after the single one."""
FOCUS = "focus"
"""Role of what a run of focus frames tells."""
ACQUISITION = "acquisition"
"""Role of what an acquisition image tells of slit and target."""
RESULTS = frozenset({"", STACK, FOCUS, ACQUISITION})
"""Roles of products that are results and not beside one."""
_GRADES = {"A": "good", "B": "good", "C": "warn", "D": "bad"}
_STAGES = {
    "shutter": "shutter closed",
    "whole": "file whole",
    "catalogued": "in the catalogue",
    "reduce": "reduced",
    "extract": "extracted",
    "combine": "combined",
    "calibrate_wavelength": "wavelength calibrated",
    "wavelength": "wavelength calibrated",
    "calibrate_flux": "flux calibrated",
    "measure_focus": "focus measured",
    "measure_acquisition": "offset measured",
    "solve_astrometry": "coordinates solved",
    "stack": "stacked",
    "stack_flux": "stacked",
    "stack_frames": "stacked",
}
_BLOCKS = {
    "reduce": "Reduce",
    "extract": "Extract target",
    "wavelength": "Calibrate wavelength",
    "calibrate_wavelength": "Calibrate wavelength",
    "flux": "Calibrate flux",
    "calibrate_flux": "Calibrate flux",
    "build_sensitivity": "Sensitivity function",
    "solve_astrometry": "Solve astrometry",
    "measure_focus": "Measure focus",
    "focus": "Measure focus",
    "measure_acquisition": "Measure acquisition",
    "acquisition": "Measure acquisition",
    "stack": "Stack exposures",
    "stack_flux": "Stack exposures",
    "stack_frames": "Stack exposures",
    "master_bias": "Master bias",
    "master_flat": "Master flat",
    "build_master_bias": "Master bias",
    "build_master_flat": "Master flat",
}


RECLASSIFY = [
    *(
        {"value": f"OBSTYPE={obstype}", "label": label}
        for obstype, label in (
            ("SPECTRUM", "Spectrum of a target"),
            ("COMP", "Arc lamp"),
            ("LAMPFLAT", "Flat, lamp"),
            ("BIAS", "Bias"),
            ("DARK", "Dark"),
            ("FOCUS", "Focus"),
        )
    ),
    {"value": "technique=Imaging", "label": "Direct image"},
    {"value": "technique=Spectroscopy", "label": "Spectroscopy, whatever the header says"},
    {"value": "reset", "label": "As its header says"},
]
"""What a reader can say that a raw frame is."""


def reclassified(value: str) -> dict[str, Any] | None:
    """Return what the service is asked for by one of `RECLASSIFY`, None for anything else."""
    if value not in {one["value"] for one in RECLASSIFY}:
        return None
    name, _, what = value.partition("=")
    if name == "reset":
        return {"reset": True}
    return {"technique": what} if name == "technique" else {"header": {name: what}}


def row(file: File) -> dict[str, Any]:
    """Return a file as a row of the index."""
    state, tone = _STATES.get(file.get("state", ""), ("", "plain"))
    return {
        "id": file["id"],
        "name": file["file_name"],
        "obstype": file.get("obstype", ""),
        "object": file.get("object", ""),
        "state": state,
        "tone": tone,
    }


def is_aside(file: File) -> bool:
    """Tell whether a product lies beside a step (a map of cosmic rays) and is not its result."""
    return file.get("role", "") not in RESULTS or file["file_name"].startswith("crmask_")


def is_main(file: File) -> bool:
    """Tell whether a file is the current result of a step, and so a tab."""
    return bool(file.get("is_current", True)) and not is_aside(file)


def tab_order(file: File) -> tuple[bool, bool, int, bool, int, int]:
    """Return the key by which tabs are sorted: current first, newest step first."""
    return (
        not file.get("is_current", True),
        is_aside(file),
        -int(file["data_type"]),
        file.get("role") == STACK,
        file.get("target") or 0,
        -file["id"],
    )


def tab(file: File, siblings: Sequence[File]) -> dict[str, Any]:
    """Return a related product as a tab; targets are named where there are several.

    ``step`` and ``target`` are the two parts of its ``label``: the page puts the targets of a
    step together. ``target`` is None where there is one alone.
    """
    label = DataType(file["data_type"]).label
    if is_aside(file):
        role = file.get("role") or "mask"
        label = "Cosmic rays" if role == "mask" else f"{label} · {role}"
    if file.get("role") in {FOCUS, ACQUISITION}:
        label = str(file["role"]).capitalize()
    if file.get("role") == STACK:
        label = f"Stack of {(file.get('quality') or {}).get('exposures', 'several')}"
        if file["data_type"] == DataType.FLUX:
            label += " · flux"
    several = any((one.get("target") or 1) > 1 for one in siblings)
    target = (file.get("target") or None) if several else None
    note = ""
    if not file.get("is_current", True):
        note = f"v{file.get('version', 1)}, replaced"
    return {
        "id": file["id"],
        "label": f"{label} · target {target}" if target else label,
        "step": label,
        "target": target,
        "note": note,
        "name": file["file_name"],
    }


def title(file: File) -> str:
    """Return the title of a view, as the public service writes it."""
    first = " ".join(part for part in (file.get("obstype"), file.get("object")) if part)
    return " · ".join(part for part in (first, file.get("proposal_id")) if part)


def facts(file: File, latency: dict[str, str]) -> list[dict[str, Any]]:
    """Return the facts under the tabs: name, value, more on hovering, tone."""
    setup = " ".join(
        str(part)
        for part in (file.get("grating"), file.get("wavmode"), file.get("slit"))
        if part and part not in {"NO_GRATING", "NO_MASK", "IMAGING"}
    )
    found = [
        _fact("Type", file.get("obstype")),
        _fact("Object", file.get("object")),
        _fact("Proposal", file.get("proposal_id")),
        _fact("Exposure", _exposure(file)),
        _fact("Setup", setup or file.get("technique")),
        _fact("Binning", file.get("binning")),
        calibrations(file),
        quality(file),
        speed(latency),
        _fact("Last modified", stamp(file.get("last_modified", ""))),
    ]
    return [fact for fact in found if fact is not None]


def calibrations(file: File) -> dict[str, Any] | None:
    """Return how close the calibrations match that a product was made with, and why."""
    grade = str(file.get("grade") or "")
    if not grade and not file.get("provisional"):
        return None
    more = [
        f"{one.get('role', '')}: {one.get('file_name', '')}"
        + "".join(f"\n   {reason}" for reason in one.get("reasons") or ())
        for one in file.get("inputs") or ()
    ]
    value, tone = f"grade {grade}" if grade else "", _GRADES.get(grade, "plain")
    if file.get("provisional"):
        value, tone = ", ".join(part for part in (value, "provisional") if part), "warn"
    return {"name": "Calibrations", "value": value, "more": "\n".join(more), "tone": tone}


def quality(file: File) -> dict[str, Any] | None:
    """Return the number that says most of a product's quality; the others on hovering."""
    numbers: dict[str, Any] = file.get("quality") or {}
    if not numbers:
        return None
    more = "\n".join(f"{name}: {_number(value)}" for name, value in numbers.items())
    value, tone = "measured", "plain"
    if "rms_aa" in numbers:
        value = f"rms {numbers['rms_aa']:.3f} Å, {numbers.get('n_used', 0)} lines"
        tone = "good" if numbers.get("trusted") else "bad"
    elif "snr_median" in numbers:
        value = f"S/N {numbers['snr_median']:.3g}"
        tone = "good" if numbers["snr_median"] >= 3 else "warn"
    elif "snr_resolution" in numbers:
        value = f"S/N {numbers['snr_resolution']:.3g} per resolution element"
        more_needed = numbers.get("exposures_to_goal")
        if more_needed:
            value += f"; {more_needed} more for {numbers.get('snr_goal', 0):g}"
        tone = "good" if more_needed == 0 else "plain"
    elif "focus_card" in numbers:
        value, tone = _focus_words(numbers)
    elif "slit_column" in numbers:
        value, tone = _offset_words(numbers)
    elif "noise_gain" in numbers:
        value = (
            f"{numbers['exptime_total_s']:g} s in all, noise 1/{numbers['noise_gain'] or 1:.2f}"
        )
    elif "cosmic_rays" in numbers:
        value = f"{numbers['cosmic_rays']} cosmic rays"
    return {"name": "Quality", "value": value, "more": more, "tone": tone}


def _focus_words(numbers: Mapping[str, Any]) -> tuple[str, str]:
    """Return the best setting of a focus run, or that it is not known."""
    if numbers.get("focus_best") is None:
        newest = numbers.get("fwhm_newest_px")
        width = f"; newest {newest:.2f} px" if newest is not None else ""
        return f"best focus not bracketed yet{width}", "warn"
    card, error = numbers.get("focus_card") or "Focus", numbers.get("focus_error")
    said = f"{card} {numbers['focus_best']:.0f}" + ("" if error is None else f" ± {error:.0f}")
    fwhm = numbers.get("fwhm_best_px")
    return said + ("" if fwhm is None else f", FWHM {fwhm:.2f} px"), "good"


def _offset_words(numbers: Mapping[str, Any]) -> tuple[str, str]:
    """Return how far the target is from the slit, or that none is seen."""
    if numbers.get("offset_arcsec") is None:
        return "no target seen", "warn"
    error = numbers.get("offset_error_arcsec")
    width = "" if error is None else f" ± {error:.2f}"
    return f"target {numbers['offset_arcsec']:+.2f}{width} arcsec from the slit", "plain"


def _exposure(file: Mapping[str, Any]) -> str:
    """Return how long a file was exposed: a stack as long as all of its exposures."""
    total = (file.get("quality") or {}).get("exptime_total_s")
    seconds = total if total is not None else file.get("exptime")
    return "" if seconds is None else f"{seconds:g} s"


def speed(latency: dict[str, str]) -> dict[str, Any] | None:
    """Return how soon after the file was whole the last stage was reached."""
    times = {
        stage: datetime.fromisoformat(text)
        for stage, text in latency.items()
        if not stage.endswith(".event")
    }
    if "whole" not in times or len(times) == 1:
        return None
    begin = times["whole"]
    steps = sorted(times.items(), key=lambda item: item[1])
    last, end = steps[-1]
    more = "\n".join(
        f"{(at - begin).total_seconds():+.2f} s {_STAGES.get(name, name)}" for name, at in steps
    )
    value = f"{_STAGES.get(last, last)} after {(end - begin).total_seconds():.1f} s"
    return {"name": "Latency", "value": value, "more": more, "tone": "plain"}


def waits(file: File, shown: File) -> list[dict[str, str]]:
    """Return what the frame waits for, or why it failed."""
    lines = []
    for one in (file, shown) if file["id"] != shown["id"] else (file,):
        text, state = one.get("waits_for"), one.get("state")
        if text:
            lines.append({"text": str(text), "tone": "bad" if state == "failed" else "warn"})
    lines += [{"text": str(text), "tone": "info"} for text in shown.get("messages") or []]
    return lines


def actions(file: File, download: str) -> list[dict[str, Any]]:
    """Return the actions that fit a file; one that is not possible says why in ``reason``.

    Each names its ``file``, so that what a reader does concerns what the reader has seen.
    """
    found = [
        {"key": "download", "label": "Download", "href": download, "reason": ""},
        *_main_action(file),
        {
            "key": "advanced",
            "label": "Advanced visualization",
            "href": f"advanced.ipynb?file={file['id']}",
            "reason": "",
        },
        {"key": "notebook", "label": "Open in notebook", "reason": ""},
    ]
    if file["data_type"] == DataType.RAW:
        found.append(
            {
                "key": "reclassify",
                "label": "Reclassify",
                "reason": "" if file.get("may_change") else "Only its proposal may reclassify it.",
                "confirm": f"What is {file['file_name']}? What follows from it is done again;"
                " the file itself stays as it is.",
                "options": RECLASSIFY,
            }
        )
    else:
        reason = "" if file.get("may_change") else "Only staff may delete what is shared."
        found.append(
            {
                "key": "delete",
                "label": "Delete product",
                "reason": reason,
                "confirm": f"Delete {file['file_name']}? The raw frame stays.",
            }
        )
    return [{**one, "file": file["id"]} for one in found]


def _main_action(file: File) -> Iterable[dict[str, Any]]:
    if file["data_type"] == DataType.REDUCED and file.get("role") == STACK:
        return
    if file["data_type"] == DataType.RAW and file.get("kind") == "focus":
        yield {"key": "focus", "label": "Measure focus", "main": True, "reason": ""}
    elif file.get("role") not in {FOCUS, ACQUISITION}:
        yield from _block_action(file)
        if file["data_type"] == DataType.REDUCED and file.get("kind") in {"spectrum", "image"}:
            yield {"key": "stack", "label": "Stack exposures", "reason": ""}


def _block_action(file: File) -> Iterable[dict[str, Any]]:
    kind, step = file.get("kind", ""), file["data_type"]
    imaging = file.get("technique") == "Imaging"
    if step == DataType.RAW:
        reason = ""
        if kind in {"bias", "flat", "dark"}:
            reason = f"A {kind} frame is combined with others into a master."
        yield {"key": "reduce", "label": "Reduce raw file", "main": True, "reason": reason}
    elif step == DataType.REDUCED and not imaging:
        reason = ""
        if kind in {"arc", "focus"}:
            reason = "An arc is extracted along the trace of each target that it calibrates."
        yield {"key": "extract", "label": "Extract target", "main": True, "reason": reason}
    elif step == DataType.REDUCED:
        yield {"key": "astrometry", "label": "Solve astrometry", "main": True, "reason": ""}
        yield {"key": "acquisition", "label": "Measure acquisition", "reason": ""}
    elif step == DataType.EXTRACTED:
        yield {"key": "wavelength", "label": "Calibrate wavelength", "main": True, "reason": ""}
    elif step in {DataType.WAVELENGTH, DataType.FLUX} and not file.get("role"):
        if step == DataType.WAVELENGTH:
            yield {"key": "flux", "label": "Calibrate flux", "main": True, "reason": ""}
        yield {"key": "stack", "label": "Stack exposures", "reason": ""}


def written(name: str, href: str, file_id: int) -> dict[str, Any]:
    """Return the link to a notebook that was written, as an action."""
    return {"key": "written", "label": name, "href": href, "reason": "", "file": file_id}


def version(file: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Return which version of a product this is, and on hovering how the current one differs."""
    differ = []
    for title, name in (("settings", "settings"), ("software", "versions")):
        old, new = file.get(name) or {}, current.get(name) or {}
        differ += [
            f"{title}: {key} {old.get(key)} → {new.get(key)}"
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key)
        ]
    old_inputs, new_inputs = (
        {(one.get("role"), one.get("file_name")) for one in of.get("inputs") or ()}
        for of in (file, current)
    )
    differ += [f"was made with {role} {name}" for role, name in sorted(old_inputs - new_inputs)]
    differ += [f"now made with {role} {name}" for role, name in sorted(new_inputs - old_inputs)]
    return {
        "name": "Version",
        "value": f"{file.get('version', 1)}, replaced by {current.get('version', 1)}",
        "more": "\n".join(differ) or "Settings, software and inputs are the same.",
        "tone": "warn",
    }


def cards(header: Sequence[HeaderCard]) -> list[dict[str, str]]:
    """Return header cards as text, with what the catalogue uses instead and why."""
    return [
        {
            "keyword": str(card.get("keyword", "")),
            "value": _text(card["value"] if card.get("mended") is None else card["mended"]),
            "comment": str(card.get("comment") or ""),
            "found": _text(card.get("value")),
            "reason": str(card.get("reason") or ""),
        }
        for card in header
    ]


def job(one: Job) -> dict[str, Any]:
    """Return a job as the actions show it."""
    status = one.get("status", "")
    running = status in {"queued", "running"}
    tone = {"failed": "bad", "done": "good"}.get(status, "info")
    return {
        "id": one["id"],
        "label": _BLOCKS.get(one.get("block", ""), one.get("block", "Job")),
        "message": one.get("message") or status,
        "progress": float(one.get("progress") or 0.0),
        "running": running,
        "tone": tone,
    }


def several(number: int, what: str) -> str:
    """Return ``1 frame`` or ``1,234 frames``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def stamp(text: str) -> str:
    """Return an ISO time as ``2026-11-21 03:04:05 UTC``."""
    return text.replace("T", " ")[:19] + " UTC" if text else ""


def block(name: str) -> str:
    """Return what a block is called on a page."""
    return _BLOCKS.get(name, name.replace("_", " ").capitalize())


def night(text: str) -> str:
    """Return the date of a night, YYYYMMDD, as ``2026-08-15``."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdecimal() else text


def _fact(name: str, value: Any) -> dict[str, Any] | None:
    return {"name": name, "value": str(value), "tone": "plain"} if value else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    # As FITS writes them.
    return {True: "T", False: "F"}[value] if isinstance(value, bool) else str(value)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)} values"
    return str(value)
