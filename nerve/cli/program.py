"""The program: its commands, each imported only when it is used.

The help texts stand here, because showing the list must not import the commands.
"""

import gc
import importlib
import os
import sys
from typing import Any

import click

from nerve.cli.boundary import guarded
from nerve.cli.settings import config_options
from nerve.version import VERSION

COMMANDS = {
    "run": ("nerve.cli.run:run", "Start the senses and keep them running."),
    "status": ("nerve.cli.status.command:status", "Show how everything is, what needs you first."),
    "top": ("nerve.cli.top.command:top", "Show what costs most, live."),
    "check": ("nerve.cli.check:check", "Check the configuration and load every sense."),
    "doctor": ("nerve.cli.doctor.command:doctor", "Look for what is wrong, and what to do."),
    "test": ("nerve.cli.trial:test", "Run one sense on a scratch database."),
    "signals": ("nerve.cli.records:signals", "Show signals, or follow them."),
    "logs": ("nerve.cli.records:logs", "Show what happened, or follow it."),
    "list": ("nerve.cli.listing:list_", "List the senses or the reflexes."),
    "graph": ("nerve.cli.graph:graph", "Draw what makes what run."),
    "describe": ("nerve.cli.describe:describe", "Tell all about one sense."),
    "why": ("nerve.cli.why.command:why", "Say why a sense ran, or did not, and what comes next."),
    "reload": ("nerve.cli.reload:reload", "Have a running nerve read its configuration again."),
    "trigger": ("nerve.cli.trigger:trigger", "Run a sense now, and tell what comes of it."),
    "pause": ("nerve.cli.pause:pause", "Let senses not run until they are resumed."),
    "resume": ("nerve.cli.resume:resume", "End the pause or the quarantine of senses."),
    "restart": ("nerve.cli.restart:restart", "Replace a group's worker; load changed senses."),
    "stop": ("nerve.cli.stop:stop", "Stop the nerve that runs."),
    "cursor": ("nerve.cli.cursor:cursor", "Show how far each reflex has got, or move that."),
    "archive": ("nerve.cli.archive:archive", "Move what is old to the archive now."),
    "query": ("nerve.cli.query:query", "Ask a sense's database in SQL, read-only."),
    "init": ("nerve.cli.scaffold:init", "Write a first nerve.yaml."),
    "new": ("nerve.cli.scaffold:new", "Write a new sense to begin from."),
    "config": ("nerve.cli.configuration:config", "Show the configuration as it takes effect."),
    "schema": ("nerve.cli.configuration:schema", "Print the JSON Schema of nerve.yaml."),
    "metrics": ("nerve.cli.metrics:metrics", "Serve metrics for Prometheus, or print them."),
    "systemd-unit": ("nerve.cli.systemd:systemd_unit", "Print a systemd unit for this nerve."),
    "completion": (
        "nerve.cli.completion:completion",
        "Make a shell complete commands, options and names.",
    ),
    "db": ("nerve.cli.database:db", "Migrate a sense's database, or look at its revisions."),
}

EPILOG = """\b
Begin with:
  nerve init            write a nerve.yaml that watches this machine
  nerve check           see whether all is well with it
  nerve run             start; Ctrl-C stops
  nerve status          from a second terminal: how it is, and what needs you
  nerve new sense NAME  write a sense of your own
"""


class Program(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        if not gc.isenabled():  # `main` has put that off until now
            gc.freeze()  # what is imported by now stays, and is never looked through
            gc.enable()
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command a command line names, or one that it may have meant."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            # Here, because only a slip of the pen needs it.
            from difflib import get_close_matches

            guess = get_close_matches(args[0], COMMANDS, 1)
            meant = f' Did you mean "{guess[0]}"?' if guess else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command inside the boundary, and end with its exit code."""
        run = super().invoke
        ctx.exit(guarded(lambda: run(ctx)))


@click.group(
    cls=Program,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, message="nerve %(version)s")
@config_options
@click.pass_context
def program(context: click.Context) -> None:
    """Watch the world with small Python senses, and answer what they tell."""
    if os.environ.get("NO_COLOR"):
        context.color = False
    # A name that this terminal's encoding lacks is no reason to end with an error.
    for stream in (sys.stdout, sys.stderr):
        getattr(stream, "reconfigure", lambda **_: None)(errors="backslashreplace")
