"""``goodman-live arc FILE``: solve the wavelengths of one arc from its header and lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodman_live.pipeline.arc_report import as_dict, as_text
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.core.lines import GASES
from goodman_live.pipeline.products.atomic import whole_file
from goodman_live.pipeline.products.fits import read_info
from goodman_live.pipeline.raw_arc import solve_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EVERY = 200
NOT_TRUSTED = 3
"""Exit code where a solution was found that its own checks do not support."""


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the arc to this PNG."
)
@click.option(
    "--pixels", is_flag=True, help="Print the wavelength of every pixel, not one in 200."
)
@click.option(
    "--lamps",
    help="Lamps that were on, such as HGA,NE, where the header does not tell or is wrong.",
)
def arc(file: Path, plot: Path | None, lamps: str | None, *, as_json: bool, pixels: bool) -> None:
    """Solve the wavelengths of one arc frame, raw or reduced.

    Prints the lines (pixel, laboratory wavelength, element, residual, used or why not) and the
    wavelength of each pixel with its uncertainty. Pixels count from 0. The exit code is 0 for a
    solution to trust, 3 for one in doubt, 1 where there is none.
    """
    try:
        solution, info = solve_file(file, lamps=_lamps(lamps))
        window = read_info(file).window
    except GoodmanError as error:
        raise click.ClickException(str(error)) from error
    report = as_dict(solution, info, float(window.columns_unbinned()[0]))
    click.echo(json.dumps(report) if as_json else as_text(report, every=1 if pixels else _EVERY))
    if plot is not None:
        try:
            _draw(report, solution.flux, plot)
        except (GoodmanError, OSError) as error:
            raise click.ClickException(f"{plot} cannot be written: {error}") from error
    if not solution.axis.trusted:
        click.echo("The solution is not to be trusted; see above.", err=True)
        raise SystemExit(NOT_TRUSTED)


def _draw(report: dict[str, Any], flux: NDArray[np.float64], path: Path) -> None:
    from goodman_live.pipeline.draw.arc import arc_png  # noqa: PLC0415 (only drawing needs Pillow)

    with whole_file(path) as stream:
        stream.write(arc_png(report, flux))


def _lamps(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    names = frozenset(name.strip().upper() for name in text.replace("+", ",").split(",") if name)
    if not names or not names <= GASES.keys():
        raise click.BadParameter(f"choose from {', '.join(GASES)}", param_hint="--lamps")
    return names
