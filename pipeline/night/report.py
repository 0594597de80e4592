"""What became of a night, file by file: as values, as JSON and as a table in a terminal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from goodman_live.pipeline.core.errors import (
    GoodmanError,
    MissingCalibrationError,
    NoTargetError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from goodman_live.pipeline.blocks.result import Product
    from goodman_live.pipeline.core.choose import Choice

INCOMPLETE = (MissingCalibrationError, NoTargetError)
"""What is a state of the night and no failure of the reduction."""

SHOWN_QUALITY = (
    *("rms_aa", "rms_px", "n_lines", "lines", "snr", "signal_to_noise", "noise_adu"),
    *("focus_best", "fwhm_best_px", "offset_arcsec"),
)
"""Numbers of quality that the table shows, if a product has them."""

_COLOURS = {
    "failed": "red",
    "not reduced": "dim",
    "calibrated": "green",
    "solved": "green",
    "measured": "green",
    "in a master": "cyan",
    "left out": "yellow",
}


@dataclass(slots=True)
class FileReport:
    """What became of one raw file."""

    file_name: str
    kind: str = ""
    object_name: str = ""
    state: str = "waiting"
    """``in a master``, ``left out`` (of a master), ``reduced``, ``extracted``, ``calibrated``,
    ``solved``, ``measured``, ``not reduced`` or ``failed``."""
    reasons: list[str] = field(default_factory=list)
    """Why it did not get further, and what the blocks had to say."""
    choices: list[str] = field(default_factory=list)
    """Which calibrations were chosen, with grade and reason."""
    products: list[Product] = field(default_factory=list)
    failed: bool = False
    """Something that could have been done was not."""

    def fail(self, error: GoodmanError) -> None:
        """Note an error; what is a state of the night is no failure."""
        self.reasons.append(str(error))
        if not isinstance(error, INCOMPLETE):
            self.failed = True
            self.state = "failed"

    def chose(self, what: str, choice: Choice) -> None:
        """Note a choice of calibration, among the reasons if there was nothing to choose."""
        if choice.chosen is None:
            self.reasons.append(choice.reason)
        else:
            text = f"{what} {choice.grade}: {choice.chosen.file_name} ({choice.reason})"
            self.choices.append(text)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "file_name": self.file_name,
            "kind": self.kind,
            "object": self.object_name,
            "state": self.state,
            "failed": self.failed,
            "reasons": self.reasons,
            "choices": self.choices,
            "products": [product_dict(product) for product in self.products],
        }


@dataclass(slots=True)
class NightReport:
    """What became of a night."""

    raw_dir: Path
    out_dir: Path
    files: dict[Path, FileReport] = field(default_factory=dict)
    """By path of the raw file, in the order of exposure."""
    masters: list[Product] = field(default_factory=list)
    seconds: float = 0.0
    """Wall time."""

    @property
    def ok(self) -> bool:
        """Return whether all that could be reduced was."""
        return not any(report.failed for report in self.files.values())

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "raw_dir": str(self.raw_dir),
            "out_dir": str(self.out_dir),
            "seconds": round(self.seconds, 3),
            "ok": self.ok,
            "files": [report.as_dict() for report in self.files.values()],
            "masters": [product_dict(product) for product in self.masters],
        }


def product_dict(product: Product) -> dict[str, Any]:
    """Return a product as plain values for JSON."""
    return {
        "file_name": product.path.name,
        "path": str(product.path),
        "data_type": product.data_type,
        "sha256": product.sha256,
        "role": product.role,
        "parents": [parent.name for parent in product.parents],
        "quality": dict(product.quality),
    }


def summary(report: NightReport) -> Table:
    """Return the summary of a night as a table for a terminal.

    Text of headers is shown as it is, never as markup.
    """
    from rich.table import Table  # noqa: PLC0415  (0.1 s that a caller of Python never needs)
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=f"{report.raw_dir} → {report.out_dir}", title_justify="left")
    for heading in ("file", "kind", "object", "state", "products"):
        table.add_column(heading, no_wrap=True)
    table.add_column("quality", overflow="fold")
    for row in report.files.values():
        table.add_row(
            Text(row.file_name),
            row.kind,
            Text(row.object_name),
            Text(row.state, style=_COLOURS.get(row.state, "")),
            Text(_prefixes(row)),
            Text("\n".join(filter(None, map(_quality, row.products)))),
        )
    return table


def notes(report: NightReport) -> list[tuple[str, list[str]]]:
    """Return what is to be said of each file: reasons, and choices that are not of grade A.

    Files of which the same is to be said stand together.
    """
    said: dict[tuple[str, ...], list[str]] = {}
    for row in report.files.values():
        texts = (*row.reasons, *(text for text in row.choices if " A: " not in text))
        if texts:
            said.setdefault(texts, []).append(row.file_name)
    return [(_together(names), list(texts)) for texts, names in said.items()]


def _together(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _prefixes(row: FileReport) -> str:
    """Return the steps of the main products, such as ``cfzst ecfzst x2 wecfzst x2``."""
    main = [product for product in row.products if not product.role]
    counts = Counter(
        product.path.name.partition("_")[0] + ("+flux" if product.data_type == 5 else "")
        for product in main
    )
    return " ".join(f"{name} x{count}" if count > 1 else name for name, count in counts.items())


def _quality(product: Product) -> str:
    shown = [
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name in SHOWN_QUALITY
        if (value := product.quality.get(name)) is not None
    ]
    return ", ".join(shown)
