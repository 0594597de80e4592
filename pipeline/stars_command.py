"""``goodman-live stars``: a table of stars becomes the index that images are solved with."""

from __future__ import annotations

from pathlib import Path

import click

from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.products.starcat import build_catalogue


@click.command(short_help="Index a table of reference stars for astrometry.")
@click.argument("table", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.argument("index", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--epoch", default=2016.0, show_default=True, help="Julian year of the positions.")
def stars(table: Path, index: Path, epoch: float) -> None:
    """Index TABLE (CSV, ECSV, FITS or VOTable with Gaia's columns) as INDEX.

    Name INDEX in the variable GOODMAN_STARS of the service, and images can be solved.
    """
    try:
        count = build_catalogue(table, index, epoch=epoch)
    except GoodmanError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{count} stars in {index}")
