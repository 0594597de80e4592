"""The command ``goodman-live``: a group whose subcommands are imported only when they are called.

``goodman-live --help`` must answer at once, and the pipeline must work where the server parts are
not installed; so the group knows its subcommands by the name of their module.
"""

from __future__ import annotations

import importlib

import click

from goodman_live import __version__

COMMANDS = {
    "reduce": (
        "goodman_live.pipeline.reduce_command",
        "Reduce a folder of raw frames to calibrated spectra.",
    ),
    "arc": (
        "goodman_live.pipeline.arc_command",
        "Solve the wavelengths of one arc frame.",
    ),
    "simulate": (
        "goodman_live.pipeline.simulate.command",
        "Write a raw night with known truth.",
    ),
    "stars": (
        "goodman_live.pipeline.stars_command",
        "Index a table of reference stars for astrometry.",
    ),
    "intake": (
        "goodman_live.server_extension.intake_command",
        "Take a whole archive of raw frames into the catalogue.",
    ),
    "replay": (
        "goodman_live.server_extension.replay_command",
        "Send a night through a watch folder, faster than it was.",
    ),
    "backup": (
        "goodman_live.hub.operate.commands",
        "Back up catalogue, accounts, frames and the Hub into a folder.",
    ),
    "restore": (
        "goodman_live.hub.operate.commands",
        "Restore a backup into an empty place, and bring it up to date.",
    ),
    "doctor": (
        "goodman_live.hub.operate.commands",
        "Examine an installation, and say how to mend what is wrong.",
    ),
    "files": ("goodman_live.widgets.client.commands", "List files of the service."),
    "get": ("goodman_live.widgets.client.commands", "Download files of the service."),
    "follow": ("goodman_live.widgets.client.commands", "Print what happens at the service."),
}
"""Module and one-line help of each subcommand; the click command has the subcommand's name."""
REMOTE = "--remote"
"""With this option ``reduce`` runs on the service: another command, with other arguments."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take ``reduce --remote`` as the client's command."""
        if args and args[0] == "reduce" and REMOTE in args:
            module = importlib.import_module("goodman_live.widgets.client.commands")
            return f"reduce {REMOTE}", module.reduce_remote, args[1:]
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a subcommand, None for an unknown name."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = getattr(module, cmd_name.replace("-", "_"))
        if not isinstance(command, click.Command):
            message = f"{module.__name__} holds no click command {cmd_name}"
            raise TypeError(message)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        rows = [(name, COMMANDS[name][1]) for name in self.list_commands(ctx) if name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="goodman-live")
def main() -> None:
    """Reduce spectra and images of the Goodman spectrograph at SOAR."""
