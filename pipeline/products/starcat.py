"""The operator's catalogue of reference stars: one file, indexed by declination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goodman_live.pipeline.core.astrometry import StarList
from goodman_live.pipeline.core.errors import BadFrameError, MissingCalibrationError
from goodman_live.pipeline.products.atomic import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = "goodman-live stars 1"
_ROW = np.dtype(
    [
        ("ra", "<f8"), ("dec", "<f8"), ("pm_ra", "<f4"), ("pm_dec", "<f4"), ("g", "<f4"),
        ("bp_rp", "<f4"),
    ]
)  # fmt: skip
_NAMES = {
    "ra": ("ra", "ra_icrs", "raj2000"),
    "dec": ("dec", "de_icrs", "dej2000"),
    "pm_ra": ("pmra", "pm_ra"),
    "pm_dec": ("pmdec", "pm_dec", "pmde"),
    "g": ("phot_g_mean_mag", "gmag", "g"),
    "bp": ("phot_bp_mean_mag", "bpmag", "bp"),
    "rp": ("phot_rp_mean_mag", "rpmag", "rp"),
    "bp_rp": ("bp_rp", "bp-rp"),
}
_HEADER = 64


def build_catalogue(source: Path, target: Path, *, epoch: float = 2016.0) -> int:
    """Index a table of stars so that a field is read in milliseconds.

    Parameters
    ----------
    source : Path
        Any table that astropy reads (CSV, ECSV, FITS, VOTable), with the columns of Gaia:
        ``ra dec pmra pmdec phot_g_mean_mag phot_bp_mean_mag phot_rp_mean_mag`` or ``bp_rp``.
    target : Path
        The index, written whole.
    epoch : float
        Julian year of the positions; Gaia DR3 is 2016.

    Returns
    -------
    int
        Number of stars.

    Raises
    ------
    BadFrameError
        If the table cannot be read or has no positions or magnitudes.
    """
    from astropy.table import Table  # noqa: PLC0415 (half a second, for this command alone)

    try:
        table = Table.read(source)
    except Exception as error:
        raise BadFrameError(
            f"{source.name} is not a table that can be read: {error}.",
            remedy="Give a CSV, ECSV, FITS or VOTable file.",
        ) from error
    rows = _rows(table, source.name)
    if not len(rows):
        raise BadFrameError(
            f"{source.name} holds no star with position and magnitude.",
            remedy="Give a table with Gaia's columns.",
        )
    rows = rows[np.argsort(rows["dec"], kind="stable")]
    head = f"{MAGIC} {epoch:.3f} {len(rows)}".ljust(_HEADER - 1) + "\n"
    with whole_file(target) as stream:
        stream.write(head.encode("ascii"))
        stream.write(rows.tobytes())
    return len(rows)


def stars_of(table: Any, name: str, *, epoch: float) -> StarList:
    """Return the stars of a table with the columns of Gaia, the brightest first.

    Raises
    ------
    BadFrameError
        As `build_catalogue`.
    """
    return _star_list(_rows(table, name), epoch)


def _rows(table: Any, name: str) -> NDArray[np.void]:
    """Return the stars of a table that have position and magnitude."""
    columns = {column.lower(): column for column in table.colnames}
    rows = np.zeros(len(table), dtype=_ROW)
    for field in ("ra", "dec", "g"):
        rows[field] = _column(table, columns, field, name)
    for field in ("pm_ra", "pm_dec"):
        rows[field] = _column(table, columns, field, name, default=0.0)
    rows["bp_rp"] = _column(table, columns, "bp_rp", name, default=np.nan)
    if np.isnan(rows["bp_rp"]).all():
        blue = _column(table, columns, "bp", name, default=np.nan)
        rows["bp_rp"] = blue - _column(table, columns, "rp", name, default=np.nan)
    return rows[np.isfinite(rows["ra"]) & np.isfinite(rows["dec"]) & np.isfinite(rows["g"])]


def _star_list(rows: NDArray[np.void], epoch: float) -> StarList:
    rows = rows[np.argsort(rows["g"], kind="stable")]
    names = ("ra", "dec", "pm_ra", "pm_dec", "g", "bp_rp")
    arrays = {name: np.asarray(rows[name], dtype=float) for name in names}
    return StarList(**arrays, epoch=epoch)


def read_field(path: Path, ra_deg: float, dec_deg: float, radius_deg: float) -> StarList:
    """Return the stars within a radius of a position, the brightest first.

    Parameters
    ----------
    path : Path
        Index that `build_catalogue` made.
    ra_deg, dec_deg : float
        ICRS, degrees.
    radius_deg : float
        Degrees.

    Raises
    ------
    MissingCalibrationError
        If there is no such file.
    BadFrameError
        If it is not an index, or damaged.
    """
    epoch, rows = _mapped(path)
    first, last = np.searchsorted(rows["dec"], (dec_deg - radius_deg, dec_deg + radius_deg))
    near = np.array(rows[first:last])
    a, d, d0 = np.radians(near["ra"] - ra_deg), np.radians(near["dec"]), np.radians(dec_deg)
    half = np.sin((d - d0) / 2) ** 2 + np.cos(d) * np.cos(d0) * np.sin(a / 2) ** 2
    near = near[np.degrees(2 * np.arcsin(np.sqrt(half))) <= radius_deg]
    return _star_list(near, epoch)


def _mapped(path: Path) -> tuple[float, NDArray[np.void]]:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEADER).decode("ascii")
    except FileNotFoundError:
        raise MissingCalibrationError(
            f"There is no star catalogue {path.name}.",
            remedy="Make one with `goodman-live stars TABLE INDEX`.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _bad(path, str(error)) from error
    if not head.startswith(MAGIC):
        raise _bad(path, "it does not begin as one")
    epoch, count = head.removeprefix(MAGIC).split()
    if path.stat().st_size != _HEADER + int(count) * _ROW.itemsize:
        raise _bad(path, "its size is not what its head says")
    rows: NDArray[np.void] = np.memmap(
        path, dtype=_ROW, mode="r", offset=_HEADER, shape=int(count)
    )
    return float(epoch), rows


def _bad(path: Path, why: str) -> BadFrameError:
    return BadFrameError(
        f"{path.name} is not a star catalogue: {why}.",
        remedy="Make it again with `goodman-live stars`.",
    )


def _column(
    table: Any,
    columns: dict[str, str],
    field: str,
    source: str,
    default: float | None = None,
) -> NDArray[np.float64]:
    name = next((columns[known] for known in _NAMES[field] if known in columns), None)
    if name is None:
        if default is None:
            raise BadFrameError(
                f"{source} has no column {' or '.join(_NAMES[field])}.",
                remedy="Give a table with Gaia's columns.",
            )
        return np.full(len(table), default)
    try:
        values: NDArray[np.float64] = np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan)
    except (TypeError, ValueError):
        raise BadFrameError(
            f"{source}: its column {name} does not hold numbers.",
            remedy="Positions are in degrees, magnitudes and motions are numbers.",
        ) from None
    if field in {"pm_ra", "pm_dec"}:
        return np.nan_to_num(values)
    return np.asarray(values, dtype=float)
