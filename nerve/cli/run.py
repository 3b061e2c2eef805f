"""`nerve run`: this process becomes the parent.

What happens goes to stdout, worded for whoever is there; a header, once something does
happen, and a last line go to stderr (`announcing`). It runs in the foreground until SIGTERM
or Ctrl-C; a supervisor such as systemd may put it where it wants it.
"""

import os
import select
import shutil
import sys
import time
from zoneinfo import ZoneInfo

import click

from nerve.app import run as run_app
from nerve.cli import terminal
from nerve.cli.announcing import Announcer, for_journal, leads_to_journal, with_priority
from nerve.cli.boundary import as_ours, discard_stdout, traceback_wanted
from nerve.cli.outlet import Outlet
from nerve.cli.output import is_terminal, json_option
from nerve.cli.settings import config_options
from nerve.cli.wording import counted
from nerve.clock import MS_PER_S
from nerve.config import Loaded
from nerve.config.durations import format_duration
from nerve.errors import Exit, NerveError, PackageMissing
from nerve.supervisor.filewatch import is_installed
from nerve.supervisor.ledger import Tally
from nerve.version import VERSION


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve run                                until Ctrl-C\n"
    "  nerve run --once                         every sense once; 1 if one failed\n"
    "  nerve run --json | jq .payload           for another program\n"
    "  nerve run --set senses.disk.timeout=20s  with one key changed\n"
    "  nerve run --watch                        while a sense is being written"
)
@click.option(
    "--once", is_flag=True, help="Run each sense once and what follows from it, then end."
)
@click.option("--watch", is_flag=True, help="Reload as soon as nerve.yaml or a sense changes.")
@json_option
@config_options
@click.pass_context
def run(context: click.Context, once: bool, watch: bool, as_json: bool) -> Exit:
    """Start the senses and keep them running.

    A first Ctrl-C or SIGTERM lets running computes end; a second one ends at once. SIGHUP reads
    nerve.yaml again, as `nerve reload` does, and so does a change of it with --watch.
    """
    announce = Announcer(as_json=as_json, environ=os.environ)
    try:
        if watch:
            _require_watchable(once=once)
        return _run(context, announce, once=once, watch=watch, as_json=as_json)
    except NerveError as error:
        announce.explain(error)
        return error.exit_code
    except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
        raise  # of a command line that is wrong, click tells
    except Exception as error:
        if not as_json:
            raise
        found = as_ours(error)
        announce.explain(found, traceback=traceback_wanted(error))
        return found.exit_code


def _run(
    context: click.Context, announce: Announcer, *, once: bool, watch: bool, as_json: bool
) -> Exit:
    loaded = context.obj.load()
    for warning in loaded.warnings:
        announce(str(warning), "warning")
    outlet = Outlet(
        _wording(context, loaded, as_json=as_json),
        _write_out,
        # Not before: a start that is refused would have said that Ctrl-C stops it.
        begin=lambda: _say_header(announce, loaded),
        complain=lambda error: _say_unwritable(announce, error),
    )
    started = time.monotonic()
    try:
        code, tally = run_app(loaded, once=once, observe=outlet.observe, watch=watch)
    except KeyboardInterrupt:  # before the app had its signal handlers
        return Exit.OK
    finally:
        if not outlet.close():
            discard_stdout()
    _say_end(announce, tally, time.monotonic() - started)
    return Exit.INPUT_OUTPUT if outlet.unwritten and code is Exit.OK else code


def _require_watchable(*, once: bool) -> None:
    if once:
        raise click.UsageError("--once ends before anything could be reloaded; leave out --watch.")
    if not is_installed():
        raise PackageMissing("--watch needs a package", hint="pip install 'nerve[watch]'")


def _wording(context: click.Context, loaded: Loaded, *, as_json: bool) -> terminal.Word:
    if leads_to_journal(sys.stdout.fileno(), os.environ):
        return with_priority(terminal.for_json if as_json else for_journal)
    if as_json:
        return terminal.for_json
    if not is_terminal():
        return terminal.for_pipe
    return terminal.ForPerson(
        zone=ZoneInfo(loaded.config.timezone),
        width=lambda: shutil.get_terminal_size().columns,
        source_cells=terminal.source_cells(loaded),
        colour=context.color is not False,
    )


def _write_out(text: str) -> None:
    # Past sys.stdout: a thread blocked inside its lock would keep the process from ending.
    rest = text.encode(errors="backslashreplace")
    descriptor = sys.stdout.fileno()
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # a program that shares the terminal may have made it so
            select.select([], [descriptor], [])


def _say_unwritable(announce: Announcer, error: OSError) -> None:
    goes_on = "it goes on, and `nerve logs` has all of it"
    announce(f"nerve: standard output: {error.strerror}; {goes_on}", "error")


def _say_header(announce: Announcer, loaded: Loaded) -> None:
    groups = {sense.group for sense in loaded.config.senses.values()}
    senses = counted(len(loaded.config.senses), "sense")
    announce(f"nerve {VERSION}: {senses} in {counted(len(groups), 'group')}, from {loaded.path}")
    announce(f"state in {loaded.state_dir}; Ctrl-C stops")


def _say_end(announce: Announcer, tally: Tally, duration_s: float) -> None:
    # Whole seconds: nobody asks for the milliseconds of a day.
    duration = format_duration(int(duration_s) * MS_PER_S)
    signals, failures = counted(tally.signals, "signal"), counted(tally.failures, "failure")
    missing = (
        f", not available: {', '.join(sorted(tally.unavailable))}" if tally.unavailable else ""
    )
    announce(f"stopped after {duration}: {signals}, {failures}{missing}")
    if tally.unrecorded:
        announce(
            f"{counted(tally.unrecorded, 'entry')} could not be written to logs.db; signals among "
            "them are safe in their senses' databases and are told again at the next start",
            "error",
        )
