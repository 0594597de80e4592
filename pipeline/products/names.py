"""File names of products: they begin as the public service writes them, and never collide.

The public service leaves camera, window, readout or night out of the names of masters, so that
different sets overwrite each other. Here each master name ends in what those names lack.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from goodman_live.pipeline.core.choose import bias_key, flat_key
from goodman_live.pipeline.core.info import Technique

if TYPE_CHECKING:
    from collections.abc import Iterable

    from goodman_live.pipeline.core.info import FrameInfo

STEPS = "otszfcew"
"""Prefix letters in the order in which their steps are applied: overscan, trim, slit trim, bias
(z), flat, cosmic rays, extraction, wavelength."""

_TWO_D = "otszfc"
_UNSAFE = re.compile(r"[^A-Za-z0-9._+\-]+")
_LONGEST = 180


def base_name(name: str) -> str:
    """Return a raw file name as ``.fits``, without the compression of the archive."""
    stem = re.sub(r"\.fits?(\.fz|\.gz)?$", "", name, flags=re.IGNORECASE)
    return f"{stem}.fits"


def with_suffix(name: str, suffix: str) -> str:
    """Return a name with ``_suffix`` before its extension; unchanged for an empty suffix."""
    return f"{base_name(name)[:-5]}_{suffix}.fits" if suffix else base_name(name)


def reduced_name(raw_name: str, steps: Iterable[str], *, suffix: str = "") -> str:
    """Return the name of a reduced frame.

    Parameters
    ----------
    raw_name : str
        Name of the raw file.
    steps : iterable of str
        Letters of the steps that were applied, in any order.
    suffix : str, optional
        What makes a further version unique.

    Examples
    --------
    >>> reduced_name("0317_x.fits", "tszfc")
    'cfzst_0317_x.fits'

    Raises
    ------
    ValueError
        If a letter is no step of the reduce block.
    """
    letters = set(steps)
    if not letters <= set(_TWO_D):
        message = f"{sorted(letters - set(_TWO_D))} are not steps, use {_TWO_D}"
        raise ValueError(message)
    prefix = "".join(letter for letter in reversed(_TWO_D) if letter in letters)
    return with_suffix(f"{prefix}_{raw_name}" if prefix else raw_name, suffix)


def extracted_name(reduced: str, *, target: int | None = None, suffix: str = "") -> str:
    """Return the name of an extracted spectrum; `target` counts from 1 if there are several."""
    number = f"target_{target}" if target is not None else ""
    return with_suffix(with_suffix(f"e{reduced}", number), suffix)


def calibrated_name(extracted: str, *, lamp: int | None = None, suffix: str = "") -> str:
    """Return the name of a wavelength-calibrated spectrum; `lamp` counts its solutions from 1."""
    number = f"ws_{lamp}" if lamp is not None else ""
    return with_suffix(with_suffix(f"w{extracted}", number), suffix)


def flux_name(calibrated: str, *, suffix: str = "") -> str:
    """Return the name of a flux-calibrated spectrum.

    The public service has no letter for this step (``f`` is the flat's); it ends in ``_flux``.
    """
    return with_suffix(with_suffix(calibrated, "flux"), suffix)


def stack_name(calibrated: str, count: int, *, suffix: str = "") -> str:
    """Return the name of a stack of `count` spectra that begins with this one."""
    return with_suffix(with_suffix(calibrated, f"stack_{count}"), suffix)


def sensitivity_name(info: FrameInfo, *, suffix: str = "") -> str:
    """Return the name of the sensitivity function of standards in the set-up of `info`."""
    filters = [_safe(name) for name in (info.filter2, info.filter) if name != "NO_FILTER"]
    slit = f"S{info.slit_arcsec}" if info.slit_arcsec is not None else _safe(info.slit)
    words = ["sensitivity", _mode(info), *filters, slit, _binning(info), info.night]
    words.append(info.camera.upper())
    angles = (f"{info.cam_targ:.2f}", f"{info.grt_targ:.2f}")
    return _join(words, _digest((info.grating, *angles), base_name(info.file_name)), suffix)


def solved_name(reduced: str, *, suffix: str = "") -> str:
    """Return the name of an image with celestial coordinates, ``_wcs`` as the public service."""
    return with_suffix(with_suffix(reduced, "wcs"), suffix)


def focus_name(raw: str, *, suffix: str = "") -> str:
    """Return the name of the focus run that ends with the frame `raw`."""
    return with_suffix(with_suffix(base_name(raw), "focus"), suffix)


def acquisition_name(reduced: str, *, suffix: str = "") -> str:
    """Return the name of what an acquisition image shows of slit and target."""
    return with_suffix(with_suffix(reduced, "acq"), suffix)


def cosmic_mask_name(reduced: str) -> str:
    """Return the name of the cosmic-ray mask of a reduced frame."""
    return f"crmask_{reduced}"


def master_bias_name(info: FrameInfo, *, settings: str = "", suffix: str = "") -> str:
    """Return the name of the master bias made of frames like `info`.

    Parameters
    ----------
    info : FrameInfo
        One of its frames.
    settings : str, optional
        Text of the settings that shape it; others give another name.
    suffix : str, optional
        What makes a further version unique.

    Returns
    -------
    str
        Such as ``master_bias_RED_SP_2x2_R03.89_G01.48_20220704_0-1100_2071x948.fits``.
    """
    technique = "IM" if info.technique is Technique.IMAGING else "SP"
    words = ["master_bias", info.camera.upper(), technique, _binning(info)]
    words += [_readout(info), info.night, _place(info)]
    return _join(words, _digest(bias_key(info), settings), suffix)


def master_flat_name(info: FrameInfo, *, settings: str = "", suffix: str = "") -> str:
    """Return the name of the master flat made of frames like `info`.

    Parameters
    ----------
    info, settings, suffix
        As in `master_bias_name`.

    Returns
    -------
    str
        Such as ``master_flat_400_M2_GG455_S1.0_2x2_20220704_RED_R03.89_G01.48_0-1100_2071x948_``
        and eight digits that stand for everything that must be equal, settings included.
    """
    filters = [_safe(name) for name in (info.filter2, info.filter) if name != "NO_FILTER"]
    if info.technique is Technique.IMAGING:
        words = ["master_flat", *(filters or ["NO_FILTER"])]
    else:
        slit = f"S{info.slit_arcsec}" if info.slit_arcsec is not None else _safe(info.slit)
        words = ["master_flat", _mode(info), *filters, slit]
    words += [_binning(info), info.night, info.camera.upper(), _readout(info), _place(info)]
    return _join(words, _digest(flat_key(info), settings or "default"), suffix)


def normalised_name(master_flat: str) -> str:
    """Return the name of the normalised form of a master flat."""
    return f"norm_{master_flat}"


def _mode(info: FrameInfo) -> str:
    if info.wavmode == "CUSTOM":
        return f"{info.lines_mm}_CUSTOM_{info.cam_targ:.2f}_{info.grt_targ:.2f}"
    return _safe(info.wavmode)


def _binning(info: FrameInfo) -> str:
    return f"{info.window.xbin}x{info.window.ybin}"


def _readout(info: FrameInfo) -> str:
    return f"R{info.rdnoise:05.2f}_G{info.gain:05.2f}"


def _place(info: FrameInfo) -> str:
    return f"{info.window.x0}-{info.window.y0}_{info.window.nx}x{info.window.ny}"


def _digest(key: tuple[object, ...], settings: str) -> str:
    """Return eight digits that stand for a key; empty where the readable name holds it all."""
    if not settings:
        return ""
    return hashlib.sha256(repr((key, settings)).encode()).hexdigest()[:8]


def _safe(text: str) -> str:
    return _UNSAFE.sub("-", text).strip("-.")


def _join(words: list[str], digest: str, suffix: str) -> str:
    name = "_".join(word for word in (*words, digest) if word)
    return with_suffix(f"{name[:_LONGEST]}.fits", suffix)
