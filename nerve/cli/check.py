"""`nerve check`: everything that can be known to be wrong before a start.

First the configuration, all its faults at once; then every sense is loaded in a
short-lived worker, as under `nerve run`, and what that finds is reported at the
sense's line. Nothing of the installation is touched.
"""

from dataclasses import asdict

import click

from nerve.cli.boundary import explain_fault
from nerve.cli.output import emit, emit_json, json_option, say_hanging
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import counted, visible, visible_lines
from nerve.config import ConfigFaults, Fault, Loaded
from nerve.config.faults import by_place
from nerve.errors import Exit
from nerve.process.launch import shut_down
from nerve.supervisor.shortlived import describe_senses
from nerve.supervisor.survey import problems_of
from nerve.wire.messages import DescribedMessage


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve check                              before a start or a reload\n"
    "  nerve check --no-load                    the file alone, in a moment\n"
    "  nerve check --json                       for an editor or a pipeline\n"
    "\nExit codes: 0 all is well, 1 a sense cannot be loaded, 78 the configuration is at fault."
)
@click.option("--no-load", is_flag=True, help="Do not load the senses.")
@json_option
@config_options
@click.pass_obj
def check(settings: Settings, no_load: bool, as_json: bool) -> Exit:
    """Check the configuration and load every sense."""
    try:
        loaded = settings.load()
    except ConfigFaults as error:
        if not as_json:
            raise
        for fault in error.faults:
            _emit_finding(fault, "error")
        return Exit.CONFIGURATION
    for warning in loaded.warnings:
        _tell(warning, "warning", as_json=as_json)
    code = Exit.OK if no_load else _check_senses(loaded, as_json=as_json)
    if code is Exit.OK and not as_json:
        emit(f"{summary(loaded)}: ok")
    return code


def describe_each(loaded: Loaded, names: list[str]) -> list[DescribedMessage]:
    """Load senses in short-lived workers, and leave no process behind."""
    try:
        return describe_senses(loaded, names)
    finally:
        shut_down()


def _check_senses(loaded: Loaded, *, as_json: bool) -> Exit:
    failed = [d for d in describe_each(loaded, list(loaded.config.senses)) if d.fault]
    for described in failed:
        _tell_failed(loaded, described, as_json=as_json)
    if not failed:
        return Exit.OK
    if not as_json:
        say_hanging("nerve: ", f"{counted(len(failed), 'sense')} cannot run", "red")
    of_the_file = any(described.fault.problems for described in failed if described.fault)
    return Exit.CONFIGURATION if of_the_file else Exit.FOUND


def _tell_failed(loaded: Loaded, described: DescribedMessage, *, as_json: bool) -> None:
    fault = described.fault
    assert fault is not None  # noqa: S101  only the failed come here
    for located in by_place(map(loaded.fault, problems_of(described.sense, fault))):
        _tell(located, "error", as_json=as_json)
    # Settings that do not fit are no fault of the code, whose frames would only be in the way.
    if fault.traceback and not fault.problems and not as_json:
        for line in visible_lines(fault.traceback):
            say_hanging("    ", line)


def _tell(fault: Fault, severity: str, *, as_json: bool) -> None:
    if as_json:
        _emit_finding(fault, severity)
    elif severity == "warning":
        say_hanging("warning: ", visible(str(fault)), "yellow")
    else:
        explain_fault(fault)


def _emit_finding(fault: Fault, severity: str) -> None:
    emit_json({"severity": severity, **asdict(fault)})


def summary(loaded: Loaded) -> str:
    """Return what a configuration comes to, in a few words."""
    config = loaded.config
    groups = {sense.group for sense in config.senses.values()}
    senses = f"{counted(len(config.senses), 'sense')} in {counted(len(groups), 'group')}"
    return f"{loaded.path.name}: {senses}, {counted(len(config.reflexes), 'reflex')}"
