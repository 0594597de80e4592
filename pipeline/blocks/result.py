"""What a block hands back: its products with provenance, messages and timing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from goodman_live.pipeline.products.atomic import sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

QualityValue = float | int | str | bool | None
"""A number (or word) of quality; plain, so that it travels as JSON."""


@dataclass(frozen=True, slots=True)
class Product:
    """One file that a block wrote."""

    path: Path
    """Where it is."""
    data_type: int
    """1 master, 2 reduced, 3 extracted, 4 wavelength calibrated, 5 flux calibrated."""
    sha256: str
    """Checksum of the file, 64 hexadecimal digits."""
    parents: tuple[Path, ...] = ()
    """The files it was made from, the main one first."""
    quality: Mapping[str, QualityValue] = field(default_factory=dict)
    """Numbers of quality by name, units in the name (``rms_aa``)."""
    role: str = ""
    """What it is beside the main product, such as ``mask``; empty for the main one."""

    @classmethod
    def of(
        cls,
        path: Path,
        *,
        data_type: int,
        parents: Sequence[Path] = (),
        quality: Mapping[str, QualityValue] | None = None,
        role: str = "",
    ) -> Product:
        """Describe a file that has just been written, with its checksum."""
        return cls(
            path=path,
            data_type=data_type,
            sha256=sha256_of(path),
            parents=tuple(parents),
            quality=dict(quality or {}),
            role=role,
        )


@dataclass(frozen=True, slots=True)
class BlockResult:
    """The outcome of one block on one input."""

    block: str
    """Name of the block, such as ``reduce``."""
    products: tuple[Product, ...]
    """What it wrote, main products first."""
    messages: tuple[str, ...] = ()
    """What the reader should know, one sentence each."""
    seconds: float = 0.0
    """Wall time of the block."""
    rejected: Mapping[str, str] = field(default_factory=dict)
    """Inputs that were left out: file name and the reason, for a message on that very frame."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        record = asdict(self)
        for product in record["products"]:
            product["path"] = str(product["path"])
            product["parents"] = [str(parent) for parent in product["parents"]]
        return record
