"""The data-reduction settings of a proposal as a form, made from the API's own schema."""

from __future__ import annotations

from typing import Any

GROUPS: dict[str, tuple[str, ...]] = {
    "General settings": ("saturation_threshold", "cosmic_method", "technique"),
    "Calibrations": ("ignore_bias", "ignore_flats", "minimum_bias", "minimum_flats"),
    "Flat normalization": ("flat_normalisation", "flat_order"),
    "Spectroscopic target": ("extraction", "target_model", "max_targets"),
}
"""The public service's groups; what the schema has besides follows in a group of its own."""
OTHERS = "Wavelengths and output"

LABELS = {
    "saturation_threshold": "Saturation threshold (% of pixels)",
    "cosmic_method": "Cosmic-ray rejection",
    "technique": "Technique",
    "ignore_bias": "Ignore bias",
    "ignore_flats": "Ignore flats",
    "minimum_bias": "Minimum number of bias",
    "minimum_flats": "Minimum number of flats",
    "flat_normalisation": "Flat normalization",
    "flat_order": "Order of the normalization",
    "extraction": "Extraction",
    "target_model": "Model of the target",
    "max_targets": "Maximum number of targets",
    "linear_output": "Linear wavelength axis",
    "telluric_correction": "Telluric correction",
    "apply_flexure": "Correct flexure",
    "signal_to_noise_goal": "Signal to noise of a stack",
}
CHOICES = {
    "default": "Default: by camera and binning",
    "dcr": "DCR (histograms of small fields)",
    "lacosmic": "L.A.Cosmic (Laplacian edges)",
    "none": "None",
    "mean": "Mean",
    "simple": "Simple fit",
    "full": "Full fit, line by line",
    "optimal": "Optimal weights",
    "fractional": "Sum with pixel fractions",
    "moffat": "Moffat",
    "gaussian": "Gaussian",
}
HELP = {
    "saturation_threshold": "A flat with more saturated pixels than this is left out of the"
    " master.",
    "cosmic_method": "How hits are found in a single frame. The default is the method that did"
    " best in our benchmarks for the camera and binning in use.",
    "technique": "What the proposal mainly observes. A frame whose header says otherwise is still"
    " treated as what it is.",
    "ignore_bias": "Subtract the overscan of each frame and no master bias.",
    "ignore_flats": "Do not divide by a flat.",
    "minimum_bias": "A master bias is made when this many frames of one set-up are there.",
    "minimum_flats": "A master flat is made when this many frames of one set-up are there.",
    "flat_normalisation": "Mean divides by one number and keeps the lamp's own spectrum. Simple"
    " divides a smooth fit along the dispersion out. Full fits each row by itself: slow, and only"
    " for lamps whose light changes along the slit.",
    "flat_order": "Order of the fit to the lamp's spectrum. Too high follows the pixels that the"
    " flat shall correct.",
    "extraction": "Optimal weights give faint targets a better signal to noise; the sum needs no"
    " model of the profile.",
    "target_model": "The profile fitted along the slit to find and trace targets. Moffat has the"
    " wings that seeing makes.",
    "max_targets": "Of the targets found in a frame, the brightest are extracted, at most"
    " this many.",
    "linear_output": "Also write each spectrum with equal steps of wavelength.",
}


def groups_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the groups of a form from the schema of the settings.

    Parameters
    ----------
    schema : dict
        ``properties`` with ``type enum default minimum maximum description``.
    """
    fields = schema["properties"]
    listed = [name for names in GROUPS.values() for name in names]
    others = tuple(name for name in fields if name not in listed)
    every = {**GROUPS, **({OTHERS: others} if others else {})}
    return [
        {
            "label": label,
            "fields": [_field(name, fields[name]) for name in names if name in fields],
        }
        for label, names in every.items()
    ]


def _field(name: str, about: dict[str, Any]) -> dict[str, Any]:
    field: dict[str, Any] = {
        "key": name,
        "label": LABELS.get(name, name.replace("_", " ").capitalize()),
        "help": HELP.get(name) or str(about.get("description") or ""),
        "default": about.get("default"),
    }
    if "enum" in about:
        options = [{"value": one, "label": CHOICES.get(one, str(one))} for one in about["enum"]]
        return field | {"kind": "choice", "options": options}
    if about.get("type") == "boolean":
        return field | {"kind": "check"}
    if about.get("type") in {"integer", "number"}:
        whole = about["type"] == "integer"
        limits = {"min": about.get("minimum"), "max": about.get("maximum")}
        return field | {
            "kind": "number",
            "required": True,
            "step": "1" if whole else "any",
            **limits,
        }
    return field | {"kind": "text"}


def changes_in_words(preview: dict[str, Any], groups: list[dict[str, Any]]) -> str:
    """Return what a change does: each setting before and after, then what follows."""
    fields = {field["key"]: field for group in groups for field in group["fields"]}

    def value(name: str, what: Any) -> str:
        if isinstance(what, bool):
            return "on" if what else "off"
        options = fields.get(name, {}).get("options", ())
        return next((str(one["label"]) for one in options if one["value"] == what), f"{what}")

    said = [
        f"{fields.get(one['name'], {}).get('label', one['name'])}: "
        f"{value(one['name'], one['before'])} → {value(one['name'], one['after'])}."
        for one in preview["changed"]
    ]
    return " ".join([*said, str(preview["message"])])
