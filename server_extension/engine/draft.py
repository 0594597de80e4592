"""A job before it is queued: a block, its inputs and settings, and the key of equal work."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import goodman_live
from goodman_live.server_extension.engine.blocks import FLAT, SHAPING
from goodman_live.server_extension.engine.minimums import COUNTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from goodman_live.pipeline.settings import ReductionSettings
    from goodman_live.server_extension.catalogue.models import Frame
    from goodman_live.server_extension.engine.blocks import Block

CODE_VERSION = goodman_live.__version__
"""Version of the code that new products are made with."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a job would do."""

    block: Block
    frame: Frame
    """Frame that the block runs on; for a master the first of its raw frames."""
    inputs: Mapping[str, Sequence[Frame]]
    """Frames by role, the main one included."""
    settings: ReductionSettings
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Settings that the user asked for, beside those of the proposal."""
    apertures: Sequence[Mapping[str, Any]] | None = None
    overlay: Mapping[str, Any] = field(default_factory=dict)
    """Header values mended by hand."""
    provisional: bool = False
    grade: str = ""
    reasons: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Why each calibration was chosen, by role."""
    group: str = ""
    """For a master: what its frames have in common."""

    def key(self, code_version: str = CODE_VERSION, owner_id: int | None = None) -> str:
        """Return the key of equal work, 64 hexadecimal digits."""
        settings = self.settings.model_dump(mode="json")
        shaping = SHAPING.get(self.block.name, frozenset(settings))
        if any(flat.role == COUNTS for flat in self.inputs.get("flat", ())):
            shaping |= SHAPING[FLAT.name]  # the flat is normalised on the way
        what = {
            "block": self.block.name,
            "inputs": {
                role: [[frame.id, frame.checksum] for frame in frames]
                for role, frames in sorted(self.inputs.items())
            },
            "settings": {name: settings[name] for name in sorted(shaping)},
            "apertures": None if self.apertures is None else [dict(a) for a in self.apertures],
            "overlay": dict(self.overlay),
            "code": code_version,
            "owner": owner_id,
        }
        text = json.dumps(what, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def spec(self) -> dict[str, Any]:
        """Return what the job's row keeps."""
        return {
            "inputs": {role: [frame.id for frame in f] for role, f in self.inputs.items()},
            "settings": self.settings.model_dump(mode="json"),
            "overrides": dict(self.overrides),
            "apertures": None if self.apertures is None else [dict(a) for a in self.apertures],
            "overlay": dict(self.overlay),
            "provisional": self.provisional,
            "grade": self.grade,
            "reasons": {role: list(reasons) for role, reasons in self.reasons.items()},
        }
