"""The command line of the demonstration: ``python -m goodman_live.hub.demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from goodman_live.hub.demo.runner import Demo, Options
from goodman_live.pipeline.core.errors import GoodmanError
from goodman_live.pipeline.simulate.plan import PRESETS


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", default="live", show_default=True, help="Folder of the data; kept.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65435),
              help="Port to begin with; the next free one is used.")  # fmt: skip
@click.option("--interval", default=3.0, show_default=True, type=click.FloatRange(min=0),
              help="Pause between two frames, seconds.")  # fmt: skip
@click.option("--night", default="demo", show_default=True, type=click.Choice(sorted(PRESETS)),
              help="Which simulated night.")  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Seed of the night.")
def main(data: str, port: int, interval: float, night: str, seed: int) -> None:
    """Simulate a raw night and watch it being reduced in a browser."""
    options = Options(Path(data).resolve(), port, interval, night, seed)

    def say(line: str) -> None:
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except OSError:
            # The terminal is gone; what is left to do is to stop, and that goes on.
            sys.stdout = open("/dev/null", "w")  # noqa: PTH123, SIM115

    try:
        sys.exit(Demo(options, say).run())
    except GoodmanError as error:
        sys.exit(f"\n{error}")


if __name__ == "__main__":
    main()
