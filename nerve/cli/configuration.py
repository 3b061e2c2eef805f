"""`nerve schema` and `nerve config show`: the grammar of nerve.yaml, and what a file comes to."""

import json

import click
import yaml

from nerve.cli.output import emit, emit_json, json_option
from nerve.cli.settings import Settings, config_options
from nerve.config.schema import json_schema


@click.command(
    epilog="\b\nExample:\n  nerve schema > nerve.schema.json         then tell your editor"
)
def schema() -> None:
    """Print the JSON Schema of nerve.yaml."""
    emit(json.dumps(json_schema(), indent=2))


@click.group()
def config() -> None:
    """Show the configuration as it takes effect."""


@config.command(
    short_help="Print it: defaults and --set applied, secrets masked.",
    epilog="\b\nExamples:\n"
    "  nerve config show                        what `nerve run` would use\n"
    "  nerve config show --json | jq .senses    for another program",
)
@json_option
@config_options
@click.pass_obj
def show(settings: Settings, as_json: bool) -> None:
    """Print the effective configuration: defaults and --set applied, secrets masked."""
    shown = settings.load().shown
    if as_json:
        emit_json(shown)
    else:
        # Never wide characters as escapes, but control characters are: so says YAML itself.
        emit(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True).rstrip())
