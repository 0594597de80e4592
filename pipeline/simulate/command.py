"""``goodman-live simulate``: write a raw night with known truth."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from goodman_live.pipeline.simulate.night import write_night
from goodman_live.pipeline.simulate.plan import PRESETS, bench_night


@click.command()
@click.argument("out_dir", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--preset",
    type=click.Choice(sorted(PRESETS)),
    default="full",
    show_default=True,
    help="full: both cameras, 1x1 and 2x2, spectra and images, legacy and AEON headers (2 GB). "
    "demo: Red 2x2, two proposals. bench: 10 bias, 10 flats, 4 science, 6 arcs.",
)
@click.option("--seed", default=1, show_default=True, help="Another seed is another night.")
@click.option(
    "--binning",
    type=click.Choice(["1x1", "2x2", "3x3", "1x2"]),
    default="2x2",
    show_default=True,
    help="Binning of the bench preset (serial x parallel).",
)
def simulate(out_dir: Path, preset: str, seed: int, binning: str) -> None:
    """Simulate a raw night into OUT_DIR/RAW, and its truth into OUT_DIR/TRUTH."""
    if preset == "bench":
        xbin, ybin = (int(x) for x in binning.split("x"))
        shots = bench_night(seed, binning=(xbin, ybin))
    else:
        shots = PRESETS[preset](seed)
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("simulating", total=len(shots))
        try:
            write_night(out_dir, shots, progress=lambda _: progress.advance(task))
        except FileExistsError as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"{len(shots)} raw frames in {out_dir / 'RAW'}, their truth in {out_dir / 'TRUTH'}")
