"""The command line over the client: ``files``, ``get``, ``follow`` and ``reduce --remote``.

The address and the token come from the environment or the configuration file (`find_address`); a
token is never an argument, because others on the machine see a process's arguments.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodman_live.widgets.client import connect
from goodman_live.widgets.client.core import BLOCKS
from goodman_live.widgets.client.errors import ClientError
from goodman_live.widgets.client.records import DataType
from goodman_live.widgets.client.sync import show_progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from goodman_live.widgets.client.sync import Client

COLUMNS = {"id": 8, "date": 10, "data_type": 21, "obstype": 8, "object": 16, "wavmode": 8}
"""Fields in a list and their widths; the file's name follows."""
FILTERS = ("object", "grating", "obstype", "night", "proposal_id", "search")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

url_option = click.option(
    "--url", help="Address of the service; default $GOODMAN_API_URL or the configuration file."
)


@contextmanager
def service(url: str | None) -> Iterator[Client]:
    """Give a client; what it raises ends the command with a message and no traceback."""
    try:
        with connect(url) as client:
            yield client
    except (ClientError, TimeoutError, OSError) as error:
        raise click.ClickException(safe(str(error) or "No answer in time.")) from error


def safe(text: Any) -> str:
    """Return outside text as a terminal may show it: without control characters."""
    return _CONTROL.sub("?", str(text))


def line_of(file: Mapping[str, Any]) -> str:
    """Return one line about a file."""
    shown = {**file, "data_type": DataType(file["data_type"]).label}
    cells = [f"{safe(shown.get(name) or '-')[:width]:<{width}}" for name, width in COLUMNS.items()]
    return "  ".join([*cells, safe(file["file_name"])])


@click.command()
@click.option(
    "--data-type",
    type=click.Choice([kind.name.lower() for kind in DataType]),
    help="How far the file has come.",
)
@click.option("--object", help="OBJECT of the header.")
@click.option("--grating")
@click.option("--obstype")
@click.option("--night", help="Local-evening date, YYYYMMDD.")
@click.option("--proposal-id")
@click.option("--search", help="Text in object, file name or proposal.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 500))
@click.option("--json", "as_json", is_flag=True, help="Print the files as JSON instead.")
@url_option
def files(
    *, url: str | None, data_type: str | None, limit: int, as_json: bool, **filters: str | None
) -> None:
    """List files, newest first."""
    kind = DataType[data_type.upper()].value if data_type else None
    with service(url) as client:
        page = client.files(data_type=kind, page_size=limit, **filters)
    if as_json:
        click.echo(json.dumps(page["results"], indent=1))
        return
    for file in page["results"]:
        click.echo(line_of(file))
    click.echo(f"{len(page['results'])} of {page['count']} files", err=True)


@click.command()
@click.argument("file_ids", metavar="ID...", type=int, nargs=-1, required=True)
@click.option(
    "-o",
    "--out",
    default=".",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder to write into.",
)
@url_option
def get(*, url: str | None, file_ids: tuple[int, ...], out: Path) -> None:
    """Download files by their number; each is written whole or not at all."""
    with service(url) as client:
        for number in file_ids:
            click.echo(client.download(number, out))


@click.command()
@click.option("--since", type=int, help="Begin after this event; default: from now on.")
@click.option("--count", type=click.IntRange(1), help="End after this many events.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line instead.")
@url_option
def follow(*, url: str | None, since: int | None, count: int | None, as_json: bool) -> None:
    """Print what happens as it happens, until interrupted; mends its connection by itself."""

    def tell(state: str, reason: str) -> None:
        if not as_json:
            click.echo(safe(f"[{state}] {reason}".rstrip()), err=True)

    with service(url) as client:
        stream = client.follow(since, on_state=tell)
        for number, event in enumerate(stream, start=1):
            if as_json:
                click.echo(json.dumps({"id": event.id, "kind": event.kind, "data": event.data}))
            else:
                words = (f"{name}={value}" for name, value in event.data.items() if value)
                click.echo(safe(f"{event.id}  {event.kind:<16}  {' '.join(words)}"))
            if number == count:
                break
        stream.close()


@click.command("reduce --remote")
@click.argument("file_ids", metavar="ID...", type=int, nargs=-1, required=True)
@click.option("--remote", is_flag=True, required=True, help="On the service, not here.")
@click.option(
    "--block", default="reduce", show_default=True, type=click.Choice(list(BLOCKS)), help="Step."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting other than the proposal's; may be repeated.",
)
@click.option("--no-wait", is_flag=True, help="Queue the jobs and return.")
@url_option
def reduce_remote(
    *,
    url: str | None,
    remote: bool,  # noqa: ARG001 (it chose this command)
    file_ids: tuple[int, ...],
    block: str,
    changes: tuple[str, ...],
    no_wait: bool,
) -> None:
    """Run a block on files of the service; print each product's number and name."""
    settings = dict(setting(text) for text in changes)
    with service(url) as client:
        for number in file_ids:
            job = client.run_block(
                block, number, wait=not no_wait, progress=show_progress, **settings
            )
            if no_wait:
                click.echo(f"job {job['id']} {job['status']}")
            for product in job["products"]:
                click.echo(f"{product}  {safe(client.file(product)['file_name'])}")


def setting(text: str) -> tuple[str, Any]:
    """Return name and value of ``NAME=VALUE``; the value is JSON, or else text."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="--set")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
