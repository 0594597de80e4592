"""``goodman-live reduce``: a folder of raw frames to calibrated spectra, without a server.

The pipeline is imported only when the command runs, once the workers' imports are on their way:
both take as long, and go side by side.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.crew import warm_up

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from goodman_live.pipeline.night.report import NightReport
    from goodman_live.pipeline.settings import ReductionSettings

UNTIL = {"reduce": "reduce", "extract": "extract", "wavelength": "calibrate_wavelength"}
"""Blocks after which to stop, by the word for them."""


@click.command()
@click.argument("raw_dir", type=click.Path(path_type=Path))
@click.argument("out_dir", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON instead.")
@click.option(
    "--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Processes."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting, such as extraction=fractional or ignore_flats=true; may be repeated.",
)
@click.option(
    "--until",
    default="wavelength",
    show_default=True,
    type=click.Choice(list(UNTIL)),
    help="Last block: reduce makes masters and 2-D frames alone.",
)
@click.option(
    "--stars",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Star catalogue for images, made by goodman-live stars; default: GOODMAN_STARS.",
)
def reduce(
    raw_dir: Path,
    out_dir: Path,
    *,
    as_json: bool,
    workers: int,
    changes: tuple[str, ...],
    until: str,
    stars: Path | None,
) -> None:
    """Reduce the raw frames in RAW_DIR; products go to OUT_DIR.

    Raw frames are only read. Bad files are listed with the reason, and the rest goes on. The exit
    code is 0 only if everything that could be reduced was. With --remote the service reduces
    files of its own: see goodman-live reduce --remote --help.
    """
    warm_up()
    from goodman_live.pipeline.night.run import reduce_night  # noqa: PLC0415

    try:
        settings = parse_settings(changes)
        with _progress(silent=as_json) as progress:
            report = reduce_night(
                raw_dir, out_dir, settings=settings, workers=workers, progress=progress,
                until=UNTIL[until], stars=stars,
            )  # fmt: skip
    except GoodmanError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=1))
    else:
        _print(report)
    if not report.ok:
        raise SystemExit(1)


def parse_settings(changes: tuple[str, ...]) -> ReductionSettings:
    """Return the settings of an offline reduction with changes of the form ``NAME=VALUE``.

    Raises
    ------
    click.BadParameter
        If a name or value is not accepted; the message says what is.
    """
    from goodman_live.pipeline.night.run import OFFLINE  # noqa: PLC0415
    from goodman_live.pipeline.settings import ReductionSettings  # noqa: PLC0415

    values: dict[str, Any] = OFFLINE.model_dump()
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or name not in values:
            accepted = ", ".join(sorted(values))
            message = f"{change!r} is not NAME=VALUE with a NAME of: {accepted}."
            raise click.BadParameter(message, param_hint="--set")
        values[name] = value
    try:
        return ReductionSettings.model_validate(values)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--set") from error


class _Progress:
    """A bar on the error stream, so that the table or JSON can be piped."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  (not needed with --json)
        from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn  # noqa: PLC0415

        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("reading headers", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        from rich.markup import escape  # noqa: PLC0415

        self._bar.update(self._task, description=escape(name[:60]), completed=done, total=total)


def _progress(*, silent: bool) -> AbstractContextManager[_Progress | None]:
    return nullcontext() if silent else _Progress()


def _print(report: NightReport) -> None:
    from rich.console import Console  # noqa: PLC0415

    from goodman_live.pipeline.night.report import notes, summary  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(summary(report))
    for name, texts in notes(report):
        console.print(f"{name}:", style="bold", markup=False, highlight=False)
        for text in texts:
            console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)
    states = [row.state for row in report.files.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    console.print(f"{len(states)} files in {report.seconds:.1f} s: {counts}", markup=False)
