"""The raw frames of a master: read, compared, and those that do not belong named with the reason.

One bad file never costs the others: each failure is kept beside the name of its file. Pixels are
held in memory as far as `HELD_BYTES` go; those of further frames stay in their files.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.blocks.progress import step
from goodman_live.pipeline.core.choose import bias_key, flat_key
from goodman_live.pipeline.core.combine import Layer
from goodman_live.pipeline.core.errors import GoodmanError, MissingCalibrationError
from goodman_live.pipeline.core.frame import Flag
from goodman_live.pipeline.core.info import Kind
from goodman_live.pipeline.core.instrument import clip_adu
from goodman_live.pipeline.core.outliers import thumbnail
from goodman_live.pipeline.core.overscan import measure_overscan
from goodman_live.pipeline.core.zerolevel import zero_columns
from goodman_live.pipeline.products.atomic import sha256_of
from goodman_live.pipeline.products.fits import read_raw
from goodman_live.pipeline.products.rawrows import RawRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from goodman_live.pipeline.core.frame import Frame
    from goodman_live.pipeline.core.info import FrameInfo

HELD_BYTES = 2**28
"""Pixels of a set that are held in memory: seventeen unbinned frames, or sixty-eight at 2x2."""
_READERS = 2
"""Frames that are read and measured at the same time."""


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One raw frame of a set."""

    path: Path
    sha256: str
    info: FrameInfo
    header: Header
    layer: Layer
    """Raw counts with the level of each row."""
    thumb: NDArray[np.float32]
    """Medians of blocks of the layer less the level, ADU."""
    level: float
    """Raw bias level, ADU: of the overscan, or of the frame where it has none."""
    level_error: NDArray[np.float32]
    """Uncertainty of each row's level, ADU, shape (ny,)."""
    noise: float | None
    """Read noise shown by the overscan, ADU."""
    saturated: float
    """Per cent of its pixels that are saturated."""


@dataclass(slots=True, eq=False)
class Members:
    """The frames of a set that belong together, and those that do not."""

    kept: list[Member]
    rejected: dict[str, str] = field(default_factory=dict)
    """Reason by file name."""

    def reject(self, member: Member, reason: str) -> None:
        """Leave a frame out."""
        self.kept.remove(member)
        self.rejected[member.path.name] = f"{member.path.name} is left out: {reason}."

    def need(self, number: int, what: str) -> None:
        """Raise unless `number` frames are left.

        Raises
        ------
        MissingCalibrationError
            With the reason of every frame that was left out.
        """
        if len(self.kept) >= number:
            return
        reasons = " ".join(self.rejected.values())
        raise MissingCalibrationError(
            f"{len(self.kept)} of {len(self.kept) + len(self.rejected)} frames are fit for a "
            f"{what}, {number} are needed. {reasons}".strip(),
            remedy="Add frames of the same set-up, or mend what is said of these.",
        )

    def read_noise(self) -> float | None:
        """Return the median of the noises that the overscans show, ADU."""
        seen = [member.noise for member in self.kept if member.noise is not None]
        return float(np.median(seen)) if seen else None


def read_members(
    raws: Sequence[Path], kind: Kind, *, overlay: Mapping[str, Any] | None = None
) -> Members:
    """Read the frames of a set; leave out what cannot be read or is of another set-up.

    The set-up of the set is the one that most frames have.

    Parameters
    ----------
    raws : sequence of Path
        Raw frames.
    kind : Kind
        What they must be: bias or flat.
    overlay : mapping, optional
        Header values that stand in for those of the files; a value that is itself a mapping
        holds for the file of that name alone.
    """
    members = Members([])
    held = 0
    paths = list(dict.fromkeys(raws))
    with ThreadPoolExecutor(_READERS) as pool:
        for start in range(0, len(paths), _READERS):  # no more in memory than are worked on
            some = paths[start : start + _READERS]
            step(0.6 * start / len(paths), f"{start} of {len(paths)} frames are read.")
            for path, member in zip(
                some, pool.map(lambda path: _read_member(path, kind, overlay), some), strict=True
            ):
                if isinstance(member, str):
                    members.rejected[path.name] = member
                    continue
                size = getattr(member.layer.data, "nbytes", 0)
                if held + size > HELD_BYTES:
                    rows = RawRows(path, member.info.window.shape)
                    members.kept.append(replace(member, layer=replace(member.layer, data=rows)))
                else:
                    held += size
                    members.kept.append(member)
    key = bias_key if kind is Kind.BIAS else flat_key
    _keep_one_setup(members, key)
    return members


def _read_member(path: Path, kind: Kind, overlay: Mapping[str, Any] | None) -> Member | str:
    """Read one frame and measure it, or say why it is left out."""
    try:
        frame, info = read_raw(path, overlay=overlay_for(path, overlay))
    except GoodmanError as error:
        return str(error)
    if info.kind is not kind:
        return (
            f"{path.name} is left out: it is of kind {info.kind}, not {kind} "
            f"(OBSTYPE {info.obstype!r})."
        )
    try:
        return _member(path, frame, info)
    except ValueError as error:
        return f"{path.name} is left out: {error}."


def overlay_for(path: Path, overlay: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the header values that stand in for those of one file."""
    if not overlay:
        return None
    shared = {k: v for k, v in overlay.items() if not hasattr(v, "items")}
    own: Any = overlay.get(path.name)
    return {**shared, **own} if hasattr(own, "items") else shared


def compact(data: NDArray[np.float32]) -> NDArray[Any]:
    """Return counts as 16-bit whole numbers if that is what they are: half the memory."""
    small = data.astype(np.uint16)
    return small if np.array_equal(small, data) else data


def _member(path: Path, frame: Frame, info: FrameInfo) -> Member:
    """Measure what is needed of a frame; a ValueError says why it serves for nothing."""
    if frame.data.min() == frame.data.max():
        constant = float(frame.data.flat[0])
        message = f"all its pixels are {constant:g}: saturated throughout, or never read out"
        raise ValueError(message)
    missing = (frame.flags & np.uint8(Flag.NO_DATA)) != 0
    lost = bool(missing.any())
    ceiling = clip_adu(info.saturation)
    saturated = 100 * float(np.mean(frame.data >= ceiling))
    ny = frame.window.ny
    strip = zero_columns(frame.data, missing if lost else None, info.camera, frame.window)
    if strip is not None:
        overscan = measure_overscan(strip)
        offset, error = overscan.level, overscan.uncertainty
        level, noise = overscan.typical, overscan.noise
    else:
        offset = error = np.zeros(ny, np.float32)
        level, noise = float(np.median(frame.data[~missing])), None
    layer = Layer(compact(frame.data), offset, ceiling=ceiling, missing=missing if lost else None)
    return Member(
        path, sha256_of(path), info, frame.header, layer, thumbnail(layer), level, error, noise,
        saturated,
    )  # fmt: skip


def _keep_one_setup(members: Members, key: Any) -> None:
    """Leave out the frames whose set-up is not that of the most."""
    if not members.kept:
        return
    counts = Counter(key(member.info) for member in members.kept)
    common = counts.most_common(1)[0][0]
    model = next(member.info for member in members.kept if key(member.info) == common)
    for member in list(members.kept):
        if key(member.info) != common:
            members.reject(member, _difference(member.info, model))


def _difference(info: FrameInfo, model: FrameInfo) -> str:
    """Say in what a frame differs from the others."""
    words = []
    for name, mine, theirs in _facts(info, model):
        if mine != theirs:
            words.append(f"its {name} is {mine}, that of the others {theirs}")
    return "; ".join(words) or "its set-up is not that of the others"


def _facts(info: FrameInfo, model: FrameInfo) -> list[tuple[str, str, str]]:
    return [
        (name, _describe(info, name), _describe(model, name))
        for name in (
            *("camera", "binning", "window", "gain", "read noise"),
            *("technique", "grating", "slit", "filters", "angles"),
        )
    ]


def _describe(info: FrameInfo, name: str) -> str:
    window = info.window
    texts = {
        "camera": info.camera,
        "binning": f"{window.xbin}x{window.ybin}",
        "window": f"{window.nx} x {window.ny} at {window.x0}, {window.y0}",
        "gain": f"{info.gain:.2f} e/ADU",
        "read noise": f"{info.rdnoise:.2f} e",
        "technique": str(info.technique),
        "grating": info.grating,
        "slit": info.slit,
        "filters": f"{info.filter}, {info.filter2}",
        "angles": f"{info.cam_targ:.2f}, {info.grt_targ:.2f}",
    }
    return texts[name]
