"""`nerve metrics`: for Prometheus, in a process of its own, with the optional package.

It reads logs.db as any reader does and asks the nerve that runs for what no file has, so the parent
pays one bounded answer for a scrape and serves nobody.
"""

import ipaddress
from importlib.util import find_spec

import click

from nerve.cli.numbers import number_option
from nerve.cli.output import say
from nerve.cli.settings import Settings, config_options
from nerve.errors import PackageMissing

PACKAGE = "prometheus_client"
DEFAULT_PORT = 9108
HIGHEST_PORT = 65_535


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve metrics                      at http://127.0.0.1:9108/metrics\n"
    "  nerve metrics --once > nerve.prom  for a collector of text files"
)
@number_option(
    "--port",
    0,
    HIGHEST_PORT,
    default=DEFAULT_PORT,
    show_default=True,
    help="Where to listen; 0 takes any that is free.",
)
@click.option(
    "--address", default="127.0.0.1", show_default=True, help="Where to listen; an IP address."
)
@click.option("--once", is_flag=True, help="Print the metrics to stdout and end.")
@config_options
@click.pass_obj
def metrics(settings: Settings, port: int, address: str, once: bool) -> None:
    """Serve metrics of this nerve for Prometheus, or print them once.

    Lateness and durations, outcomes, groups, what waits for reflexes, quarantines and the sizes of
    databases. It works beside a running nerve and without one; nerve_up says which. It needs a
    package: pip install 'nerve[metrics]'
    """
    if find_spec(PACKAGE) is None:
        raise PackageMissing("nerve metrics needs a package", hint="pip install 'nerve[metrics]'")
    from nerve.cli import exporter  # it imports the package, which --help must do without

    scrapes = exporter.Scrapes(exporter.Source(settings).families)
    if once:
        click.echo(exporter.text_of(scrapes), nl=False)
        return
    _warn_of(address)
    exporter.serve(scrapes, address, port)


def _warn_of(address: str) -> None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        raise click.BadParameter(f"{address!r} is no IP address", param_hint="--address") from None
    if not found.is_loopback:
        warning = click.style("warning: ", fg="yellow")
        say(
            f"{warning}whoever reaches {address} can read the names of senses and how they do; "
            "there is no password and no TLS"
        )
