"""The one module that opens FITS files: raw frames and products, read and written.

Raw files are only ever read. Products appear whole or not at all.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyError

from goodman_live.pipeline.core.errors import BadFrameError
from goodman_live.pipeline.core.frame import Flag, Frame
from goodman_live.pipeline.core.header import describe
from goodman_live.pipeline.core.instrument import clip_adu
from goodman_live.pipeline.products import record
from goodman_live.pipeline.products.atomic import whole_file
from goodman_live.pipeline.products.rawbytes import (
    check_whole,
    find_image,
    legal_header,
    read_cards,
    read_pixels,
)
from goodman_live.pipeline.products.table import spectrum_hdus, spectrum_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from goodman_live.pipeline.core.info import FrameInfo
    from goodman_live.pipeline.core.spectrum import Spectrum

    Overlay = Mapping[str, str | float | int]

_MOST_UNWRITTEN = 0.01
"""Share of the rows of a raw frame that may hold zero bytes alone: a camera may lose one."""
_MOST_PIXELS = 2**25
"""Of an image: twice the detector. A small compressed file may claim to hold gigabytes."""
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, IndexError, VerifyError)


def read_info(path: Path, *, overlay: Overlay | None = None) -> FrameInfo:
    """Read the facts of a raw frame or product from its header alone.

    Parameters
    ----------
    path : Path
        File, plain or tile-compressed (``.fits.fz``).
    overlay : Mapping, optional
        Header values, mended by hand, that stand in for those of the file.

    Returns
    -------
    FrameInfo
        The window is what the controller read out.

    Raises
    ------
    BadFrameError
        If the file is empty, truncated, not FITS or without an image.
    BadHeaderError
        If camera, gain, read noise or date cannot be inferred.
    """
    header, shape, _ = _read(path, pixels=False)
    return describe(_overlaid(header, overlay), file_name=path.name, shape=shape)


def read_header(path: Path) -> fits.Header:
    """Read the primary header of a frame as it is, bytes that FITS forbids replaced by ``?``.

    Of a product that is a table, such as the stars of an image, that of the file.

    Raises
    ------
    BadFrameError
        As `read_info`.
    """
    return _table_header(path) or _read(path, pixels=False)[0]


def read_header_text(path: Path) -> str:
    """Return the cards of the first header of one of our products, END and padding included.

    It is as `read_header` gives it and costs a thirtieth: we wrote it, so nothing needs mending.

    Raises
    ------
    BadFrameError
        If the file is empty, not FITS, or ends inside its header.
    """
    with path.open("rb") as stream:
        cards, size = read_cards(path, stream)
    return "".join([*cards, "END"]).ljust(size)


def read_described(path: Path, *, overlay: Overlay | None = None) -> tuple[fits.Header, FrameInfo]:
    """Read a header as `read_header`, and the facts of it as `read_info`, in one go.

    Raises
    ------
    BadFrameError, BadHeaderError
        As `read_info`.
    """
    header, shape, _ = _read(path, pixels=False)
    _check_depth(path, header)
    return header, describe(_overlaid(header, overlay), file_name=path.name, shape=shape)


def read_raw(path: Path, *, overlay: Overlay | None = None) -> tuple[Frame, FrameInfo]:
    """Read a raw frame.

    Parameters
    ----------
    path : Path
        File, plain or tile-compressed (``.fits.fz``).
    overlay : Mapping, optional
        Header values, mended by hand, that stand in for those of the file.

    Returns
    -------
    frame : Frame
        Data in ADU as in the file, bias level included. Pixels that are not a number are 0 with
        `Flag.NO_DATA`; those at or above the lesser of 65535 and half of the full well carry
        `Flag.SATURATED`. The uncertainty is zero: the reduce block, which knows the bias level,
        sets it. The header has the ``GSP_*`` record begun.
    info : FrameInfo
        What the header doctor found.

    Raises
    ------
    BadFrameError
        As `read_info`; also if the array does not have the size of the window that was read
        out, was not wholly written, has pixels of 8 bits, or holds no number at all.
    BadHeaderError
        As `read_info`.
    """
    header, shape, data = _read(path, pixels=True)
    _check_depth(path, header)
    header = _overlaid(header, overlay)
    info = describe(header, file_name=path.name, shape=shape)
    if data is None or data.shape != info.window.shape:
        raise BadFrameError(
            f"{path.name} holds {shape[-1]} x {shape[-2]} pixels, but its header says that "
            f"{info.window.nx} x {info.window.ny} were read out ({info.roi}).",
            remedy="It is not a whole raw frame; copy it again, or mend ROI and CCDSUM.",
            field="NAXIS1",
        )
    _check_written(path, header, data)
    return _frame_of(path, header, data, info), info


def _check_depth(path: Path, header: fits.Header) -> None:
    """Refuse pictures of 256 levels: the converters have 16 bits; our masks alone have eight."""
    if header.get("BITPIX") == 8 and "GSP_FNAM" not in header:
        raise BadFrameError(
            f"{path.name} has pixels of 8 bits; the cameras write 16.",
            remedy="It is a picture or a mask; give the raw frame itself.",
            field="BITPIX",
        )


def _check_written(path: Path, header: fits.Header, data: NDArray[np.float32]) -> None:
    """Refuse a file whose space was set aside before its pixels came, and some never did."""
    zero = header.get("BZERO") if header.get("BITPIX", 0) > 0 else 0
    zero = zero if isinstance(zero, int | float) else 0
    rows = (data[:, 0] == zero) & (data[:, -1] == zero)
    rows[rows] = (data[rows] == zero).all(axis=1)
    number, ny = int(rows.sum()), len(data)
    if _MOST_UNWRITTEN * ny < number < ny:
        raise BadFrameError(
            f"{path.name} was not wholly written: {number} of its {ny} rows are zero bytes.",
            remedy="It may still be arriving; if not, copy it again.",
        )


def _frame_of(
    path: Path, header: fits.Header, data: NDArray[np.float32], info: FrameInfo
) -> Frame:
    flags = np.zeros(data.shape, np.uint8)
    finite = np.isfinite(data)
    if not finite.all():
        if not finite.any():
            raise BadFrameError(f"{path.name} holds no number at all.", remedy="Take it again.")
        flags[~finite] = np.uint8(Flag.NO_DATA)
        data[~finite] = 0.0
    flags[data >= clip_adu(info.saturation)] |= np.uint8(Flag.SATURATED)
    return Frame(
        data=data,
        uncertainty=np.zeros(data.shape, np.float32),
        flags=flags,
        header=record.begin(header, path, info),
        window=info.window,
    )


def _table_header(path: Path) -> fits.Header | None:
    """Return the header of one of our tables, None for any other file."""
    try:
        with path.open("rb") as stream:
            header = legal_header(read_cards(path, stream)[0])
    except OSError:
        return None  # what is wrong is said by who reads the frame
    if header.get("NAXIS") != 0 or "GSP_FNAM" not in header:
        return None
    check_whole(path)
    return header


def _overlaid(header: fits.Header, overlay: Overlay | None) -> fits.Header:
    if not overlay:
        return header
    mended = header.copy()
    for key, value in overlay.items():
        record.put(mended, key, value)
    return mended


def _read(
    path: Path, *, pixels: bool
) -> tuple[fits.Header, tuple[int, ...], NDArray[np.float32] | None]:
    """Return header, shape (rows before columns, leading axes of one dropped) and pixels."""
    try:
        with path.open("rb") as stream:
            cards, size = read_cards(path, stream)
        header = legal_header(cards)
        if header.get("NAXIS") == 0:
            return _read_extension(path, pixels=pixels)
        extent = find_image(path, header, size)
        data = read_pixels(path, extent, header) if pixels else None
    except OSError as error:
        message = f"{path.name} cannot be read: {error.strerror or error}."
        raise BadFrameError(message, remedy="Check that it is there and readable.") from error
    shape = _flat(path, extent.shape)
    return header, shape, data.reshape(shape) if data is not None else None


def _flat(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drop leading axes of length one; refuse what is then no image."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) not in {1, 2} or 0 in shape:
        raise BadFrameError(f"{path.name}: axes {shape[::-1]} are no image.", field="NAXIS")
    if math.prod(shape) > _MOST_PIXELS:
        raise BadFrameError(
            f"{path.name}: axes {shape[::-1]} are more than a detector has.", field="NAXIS"
        )
    return shape


def _read_extension(
    path: Path, *, pixels: bool
) -> tuple[fits.Header, tuple[int, ...], NDArray[np.float32] | None]:
    """Read the first image after an empty primary HDU: archive copies, tile-compressed."""
    check_whole(path)
    try:
        with fits.open(path, memmap=False) as hdus:
            for hdu in hdus[1:]:
                if hdu.is_image and len(hdu.shape) >= 2:
                    header, shape = hdu.header.copy(), _flat(path, hdu.shape)
                    data = hdu.data.astype(np.float32).reshape(shape) if pixels else None
                    return record.strip(header), shape, data
    except _UNREADABLE as error:
        message = f"{path.name} is damaged: {error}."
        raise BadFrameError(message, remedy="Copy it again from the archive.") from error
    raise BadFrameError(f"{path.name} holds no image.", remedy="Give a frame of the instrument.")


def write_frame(path: Path, frame: Frame, *, data_type: int, parent: str | None = None) -> None:
    """Write a 2-D product with HDUs ``PRIMARY``, ``UNCERT`` and ``FLAGS``, whole or not at all.

    Parameters
    ----------
    path : Path
        Where; an older file of that name is replaced at the last moment.
    frame : Frame
        Its header is not changed.
    data_type : int
        1 master calibration, 2 reduced.
    parent : str, optional
        Name of the parent file, ``combined`` for a master; by default the file from which the
        header was read.

    Raises
    ------
    DiskFullError
        If there is no space; nothing is left behind.
    """
    header = frame.header.copy()
    header["BUNIT"] = (frame.unit, "unit of the pixels")
    record.place(header, frame.window)
    record.name(header, path, data_type, parent)
    unit = fits.Header([("BUNIT", frame.unit, "unit of the pixels")])
    _write(
        path,
        [
            fits.PrimaryHDU(_stored(frame.data, ">f4"), record.strip(header)),
            fits.ImageHDU(_stored(frame.uncertainty, ">f4"), unit, name="UNCERT"),
            fits.ImageHDU(_stored(frame.flags, "u1"), name="FLAGS"),
        ],
    )


def write_mask(path: Path, mask: NDArray[np.bool_], frame: Frame, *, parent: str) -> None:
    """Write a mask as one image of zeros and ones, whole or not at all.

    Parameters
    ----------
    path : Path
        Where.
    mask : ndarray of bool, shape (ny, nx)
        True where something is marked.
    frame : Frame
        What it belongs to: its header and window are written too.
    parent : str
        Name of the raw file.

    Raises
    ------
    DiskFullError
        If there is no space; nothing is left behind.
    """
    header = frame.header.copy()
    header["BUNIT"] = ("", "1 marked, 0 not")
    record.place(header, frame.window)
    record.name(header, path, 2, parent)
    _write(path, [fits.PrimaryHDU(_stored(mask, "u1"), record.strip(header))])


def read_mask(path: Path) -> Frame:
    """Read what `write_mask` wrote: data of ones and zeros, without uncertainty and flags.

    Raises
    ------
    BadFrameError
        If the file is not a mask of this software, or damaged.
    """
    with _product(path) as hdus:
        try:
            header, marked = record.strip(hdus[0].header), hdus[0].data
            info = describe(hdus[0].header, file_name=path.name, shape=hdus[0].shape)
            return Frame(
                data=marked.astype(np.float32),
                uncertainty=np.zeros(marked.shape, np.float32),
                flags=np.zeros(marked.shape, np.uint8),
                header=header,
                window=info.window,
                unit="",
            )
        except _PRODUCT_FAULTS as error:
            raise _not_a(path, "mask", error) from error


def _stored(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return an array as FITS stores it; a gap in it would be written pixel by pixel."""
    return np.ascontiguousarray(array, dtype=dtype)


def read_frame(path: Path) -> Frame:
    """Read a 2-D product.

    Raises
    ------
    BadFrameError
        If the file is not a 2-D product of this software, or damaged.
    """
    with _product(path) as hdus:
        try:
            header = record.strip(hdus[0].header)
            info = describe(hdus[0].header, file_name=path.name, shape=hdus[0].shape)
            return Frame(
                data=hdus[0].data.astype(np.float32),
                uncertainty=hdus["UNCERT"].data.astype(np.float32),
                flags=hdus["FLAGS"].data.astype(np.uint8),
                header=header,
                window=info.window,
                unit=header.get("BUNIT", "adu"),
            )
        except _PRODUCT_FAULTS as error:
            raise _not_a(path, "2-D", error) from error


def write_spectrum(
    path: Path, spectrum: Spectrum, *, data_type: int, parent: str | None = None
) -> None:
    """Write a 1-D product: flux in the primary HDU and everything in the table ``SPECTRUM``.

    On a linear wavelength axis the primary HDU has the linear WCS that IRAF and others read.

    Parameters
    ----------
    path : Path
        Where; an older file of that name is replaced at the last moment.
    spectrum : Spectrum
        Its header is not changed.
    data_type : int
        3 extracted, 4 wavelength calibrated, 5 flux calibrated.
    parent : str, optional
        As in `write_frame`.

    Raises
    ------
    DiskFullError
        If there is no space; nothing is left behind.
    """
    header = record.strip(spectrum.header)
    record.name(header, path, data_type, parent)
    _write(path, spectrum_hdus(spectrum, header))


def read_spectrum(path: Path) -> Spectrum:
    """Read a 1-D product.

    Raises
    ------
    BadFrameError
        If the file is not a 1-D product of this software, or damaged.
    """
    with _product(path) as hdus:
        try:
            return spectrum_of(hdus["SPECTRUM"].data, record.strip(hdus[0].header))
        except _PRODUCT_FAULTS as error:
            raise _not_a(path, "1-D", error) from error


_PRODUCT_FAULTS = (*_UNREADABLE, AttributeError, BadFrameError)


def _product(path: Path) -> Any:
    try:
        check_whole(path)
        return fits.open(path, memmap=False)
    except _UNREADABLE as error:
        raise _not_a(path, "whole", error) from error


def _not_a(path: Path, kind: str, error: Exception) -> BadFrameError:
    return BadFrameError(
        f"{path.name} is not a {kind} product of this software: {error}.",
        remedy="Make it again from its parent.",
    )


def _write(path: Path, hdus: list[Any]) -> None:
    record.fit_comments(hdus[0].header)
    with whole_file(path) as stream:
        fits.HDUList(hdus).writeto(stream, output_verify="exception")
