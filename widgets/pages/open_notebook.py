"""A notebook that makes a product again: the same inputs, block and settings, and a comparison.

It is written into the reader's own folder and runs in the reader's own server: it fetches the
inputs through the client and runs the pipeline's block on them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goodman_live.widgets.client.records import DataType

if TYPE_CHECKING:
    from goodman_live.widgets.client.core import AsyncClient
    from goodman_live.widgets.client.records import File, HeaderCard

FOLDER = "notebooks"
"""Folder of the notebooks in the reader's own."""
BLOCKS = {
    "build_master_bias": ("masters", "raws"),
    "build_master_flat": ("masters", "raws"),
    "reduce": ("reduce", "raw"),
    "extract": ("extract", "reduced"),
    "calibrate_wavelength": ("calibrate_wavelength", "extracted"),
    "calibrate_flux": ("calibrate_flux", "calibrated"),
    "build_sensitivity": ("calibrate_flux", "spectra"),
    "solve_astrometry": ("solve_astrometry", "reduced"),
    "measure_focus": ("measure_focus", "raws"),
    "stack_frames": ("coadd", "exposures"),
    "measure_acquisition": ("measure_acquisition", "reduced"),
}
"""Block to its module in ``pipeline.blocks`` and the role of its first argument."""
MANY = frozenset({"raws", "arcs", "spectra", "exposures"})
"""Roles that are sequences."""
KEYWORDS = {
    "build_master_flat": ("bias",),
    "reduce": ("bias", "flat"),
    "calibrate_wavelength": ("arcs",),
    "calibrate_flux": ("sensitivity",),
    "measure_acquisition": ("slit",),
}
"""Roles that a block takes by keyword, given whether there is a file or none."""


@dataclass(frozen=True, slots=True)
class Written:
    """A notebook that was written."""

    name: str
    path: Path
    href: str
    """Address relative to a page's."""


async def write_notebook(client: AsyncClient, file: File, home: Path | None = None) -> Written:
    """Write the notebook of a file into the reader's folder; an older one is replaced.

    Parameters
    ----------
    client : AsyncClient
        To the service.
    file : File
        What is to be made again; of a raw frame, which nothing makes, it opens the pixels.
    home : Path, optional
        The reader's own folder; default: that of the process.
    """
    detail: dict[str, Any] = dict(await client.file(file["id"]))
    job: dict[str, Any] = {}
    if detail.get("job_id"):
        job = dict(await client.job(detail["job_id"]))
    overlay = by_hand(await client.header(detail["original_file_id"] or detail["id"]))
    stem = re.sub(r"[^\w.-]+", "_", Path(detail["file_name"]).stem).strip("._") or "file"
    name = f"{stem}.ipynb"
    folder = (home or Path.home()) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(
        json.dumps(notebook(detail, job, overlay), indent=1, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
    return Written(name, path, f"../{FOLDER}/{name}")


def by_hand(header: list[HeaderCard]) -> dict[str, str]:
    """Return the header values that people mended, which every block reads instead."""
    return {
        card["keyword"]: str(card["mended"])
        for card in header
        if card.get("by_hand") and card.get("mended") is not None
    }


def notebook(
    detail: dict[str, Any], job: dict[str, Any], overlay: dict[str, str]
) -> dict[str, Any]:
    """Return the notebook of a file as nbformat 4.5.

    Parameters
    ----------
    detail : dict
        The file as ``api/files/<id>/`` tells it.
    job : dict
        The job that made it, or empty.
    overlay : dict
        Header values mended by hand.
    """
    name = detail["file_name"].replace("`", "'")
    known = detail.get("block") in BLOCKS and detail["data_type"] != DataType.RAW
    cells = [
        ("markdown", f"# `{name}`\n\n{_words(detail, known=known)}"),
        ("code", _start(detail)),
    ]
    if known:
        cells += [
            ("code", _inputs(detail)),
            ("code", _run(detail, job, overlay)),
            ("code", _COMPARE),
        ]
    cells.append(("code", _LOOK))
    return {
        "cells": [_cell(number, kind, text) for number, (kind, text) in enumerate(cells)],
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
            "title": f"{name} · Goodman Live",
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _words(detail: dict[str, Any], *, known: bool) -> str:
    if not known:
        return "Opens the file as it is: nothing of the pipeline made it."
    versions = detail.get("versions") or {}
    made = ", ".join(f"{key} {value}" for key, value in versions.items())
    return (
        f"Makes this product again with the block `{detail['block']}`, from the same inputs with"
        f" the same settings, and compares it with the one of the service.\n\nMade with: {made}."
    )


def _start(detail: dict[str, Any]) -> str:
    return (
        "import tempfile\n"
        "from pathlib import Path\n\n"
        "import numpy as np\n\n"
        "import goodman_live\n\n"
        "live = goodman_live.connect()  # in the Hub nothing need be given\n"
        'folder = Path(tempfile.mkdtemp(prefix="goodman-"))\n'
        f"number = {int(detail['id'])}\n"
        "product = live.download(number, folder)\n"
        "product.name"
    )


def _inputs(detail: dict[str, Any]) -> str:
    takes = {*KEYWORDS.get(detail["block"], ()), BLOCKS[detail["block"]][1]}
    roles: dict[str, list[int | None]] = {}
    for one in detail.get("inputs") or ():
        # The service names each of many by the one that it is.
        role = next((name for name in takes if _single(name) == one["role"]), one["role"])
        roles.setdefault(role, []).append(one["id"])
    lines = ["# What it was made of, by role: numbers of files."]
    lines.append(f"numbers = {roles!r}")
    lines += [
        "",
        'sources = folder / "inputs"',
        "sources.mkdir(exist_ok=True)",
        "inputs = {",
        "    role: [live.download(one, sources) for one in some]",
        "    for role, some in numbers.items()",
        "}",
        "inputs",
    ]
    return "\n".join(lines)


def _run(detail: dict[str, Any], job: dict[str, Any], overlay: dict[str, str]) -> str:
    block = str(detail["block"])
    module, main = BLOCKS[block]
    apertures = job.get("apertures") if block == "extract" else None
    lines = [f"from goodman_live.pipeline.blocks.{module} import {block}"]
    if apertures:
        lines.append("from goodman_live.pipeline.core.aperture import Aperture")
    lines += [
        "from goodman_live.pipeline.settings import ReductionSettings",
        "",
        f"settings = ReductionSettings(**{detail.get('settings') or {}!r})",
    ]
    if apertures:
        lines.append(f"apertures = [Aperture(**one) for one in {apertures!r}]")
    lines += [f"result = {block}(", f"    {_argument(main)},", '    out_dir=folder / "again",']
    lines.append("    settings=settings,")
    lines += [f"    {role}={_argument(role)}," for role in KEYWORDS.get(block, ())]
    if apertures:
        lines.append("    apertures=apertures,")
    if overlay:
        lines.append(f"    overlay={overlay!r},")
    lines += [")", "[one.path.name for one in result.products], result.messages"]
    return "\n".join(lines)


def _single(role: str) -> str:
    return role[:-1] if role in {"raws", "arcs"} else role


def _argument(role: str) -> str:
    if role in MANY:
        return f"inputs[{role!r}]"
    return f"next(iter(inputs.get({role!r}, [])), None)"


_COMPARE = '''\
from astropy.io import fits


def pixels(path):
    """Return every array of a product, by its place in the file."""
    with fits.open(path, memmap=False) as hdus:
        found = {}
        for number, hdu in enumerate(hdus):
            if hdu.is_image and hdu.data is not None:
                found[number] = np.array(hdu.data)
            elif hdu.data is not None:
                names = hdu.columns.names
                found |= {(number, name): np.array(hdu.data[name]) for name in names}
        return found


def kind(path):
    """Return what a product is, its target included."""
    header = fits.getheader(path)
    keys = ("GSP_TYPE", "GSP_TARG", "GSP_EXTR")
    return {name: one.shape for name, one in pixels(path).items()}, [header.get(k) for k in keys]


wanted = kind(product)
again = next(one.path for one in result.products if kind(one.path) == wanted)
old, new = pixels(product), pixels(again)
same = all(np.array_equal(old[name], new[name], equal_nan=True) for name in old)
close = all(np.allclose(old[name], new[name], rtol=1e-5, atol=0, equal_nan=True) for name in old)
if same:
    print("The pixels are the same.")
elif close:
    print("The pixels are the same but for the rounding of this machine.")
else:
    print("The pixels differ: was it made with another version of the software?")'''

_LOOK = """\
from IPython.display import Image

Image(live.picture(number, axes=True, width=1000))"""
