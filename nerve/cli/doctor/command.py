"""The command: examine, then show what was found, the worst first."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict

import click

from nerve.cli.doctor.examination import Step, examine
from nerve.cli.doctor.finding import NEEDS_DOING, WORST_FIRST, Finding, Severity
from nerve.cli.doctor.patient import Patient
from nerve.cli.doctor.steps import CONFIGURATION, DIRECTORY, STEPS
from nerve.cli.output import emit, emit_json, json_option, say, say_hanging, terminal_width
from nerve.cli.settings import Settings, config_options
from nerve.cli.wording import counted, hanging, padded, visible
from nerve.errors import Exit

MAX_SHOWN = 10
"""Findings of one step and severity; `--json` has all."""
_SEVERITY_CELLS = max(map(len, Severity))
_NAME_CELLS = max(len(step.name) for step in STEPS)
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}

Found = tuple[Step, Finding]


@click.command(
    epilog="\b\nExamples:\n"
    "  nerve doctor                             with nerve running or not\n"
    "  nerve doctor --json                      for a monitor: an object a thing\n"
    "\nExit codes: 0 all is sound, 1 something is to be done, 78 the configuration is at fault."
)
@json_option
@config_options
@click.pass_obj
def doctor(settings: Settings, as_json: bool) -> Exit:
    """Look for what is wrong: machine, configuration, senses, state. Changes nothing."""
    found = _without_silence(examine(STEPS, _patient(settings), waiting=_tell_waiting))
    if as_json:
        for step, finding in _sorted(found):
            emit_json(_as_object(step, finding))
    else:
        _show(_sorted(found))
    severities = [finding.severity for _, finding in found]
    if any(
        step.name == CONFIGURATION and finding.severity is Severity.ERROR for step, finding in found
    ):
        return Exit.CONFIGURATION
    return Exit.OK if NEEDS_DOING.isdisjoint(severities) else Exit.FOUND


def _patient(settings: Settings) -> Callable[[Collection[str]], Patient]:
    return lambda vain: Patient(settings, is_reached=DIRECTORY not in vain)


def _without_silence(found: Iterable[Found]) -> list[Found]:
    """Leave out what was not looked at because there is nothing yet, which is no fault."""
    kept = list(found)
    failed = {step.name for step, finding in kept if finding.severity is Severity.ERROR}
    return [
        (step, finding)
        for step, finding in kept
        if finding.severity is not Severity.SKIPPED or finding.message in failed
    ]


def _tell_waiting(step: Step) -> None:
    say(f"waiting for {step.what or 'the state directory'} ...")


def _sorted(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=lambda one: WORST_FIRST.index(one[1].severity))


def _as_object(step: Step, finding: Finding) -> dict[str, str]:
    is_skipped = finding.severity is Severity.SKIPPED
    because = f"not looked at, because of {finding.message}"
    told = {"message": because} if is_skipped else {}
    return {"check": step.name, **asdict(finding), **told}


def _show(found: list[Found]) -> None:
    shown = Counter[tuple[str, Severity]]()
    skipped: dict[str, list[str]] = {}
    for step, finding in found:
        if finding.severity is Severity.SKIPPED:
            skipped.setdefault(finding.message, []).append(step.name)
    for step, finding in found:
        shown[step.name, finding.severity] += 1
        if finding.severity is not Severity.SKIPPED:
            if shown[step.name, finding.severity] <= MAX_SHOWN:
                _show_one(step.name, finding)
        elif names := skipped.pop(finding.message, None):
            told = f"{', '.join(names)}: because of {finding.message}"
            _show_one("", Finding(Severity.SKIPPED, told))
    for (name, _), number in shown.items():
        if number > MAX_SHOWN:
            say(f"{name}: {counted(number - MAX_SHOWN, 'more finding')}; `--json` shows all")
    _sum_up([finding.severity for _, finding in found])


def _show_one(name: str, finding: Finding) -> None:
    severity = padded(finding.severity, _SEVERITY_CELLS)
    head = f"{severity}  {padded(name, _NAME_CELLS)}  "
    width = terminal_width()
    if finding.severity is Severity.OK:
        for line in hanging(head, visible(finding.message), width):
            emit(click.style(line.rstrip(), dim=True))
        return
    text = visible("; ".join(filter(None, (finding.message, finding.why))))
    colour = _COLOURS.get(finding.severity)
    first, *rest = hanging(head, text, width)
    if colour and first.startswith(severity):
        first = click.style(severity, fg=colour, bold=True) + first.removeprefix(severity)
    for line in (first, *rest):
        emit(line.rstrip())
    if finding.hint:
        indent = " " * len(head)
        for line in hanging(f"{indent}hint: ", visible(finding.hint), width):
            emit(line.rstrip())


def _sum_up(severities: list[Severity]) -> None:
    number = {severity: severities.count(severity) for severity in Severity}
    doing = sum(number[severity] for severity in NEEDS_DOING)
    told = [counted(number[Severity.NOTE], "note"), f"{number[Severity.OK]:,} sound"]
    if doing:
        thing = "thing needs" if doing == 1 else "things need"
        say_hanging("nerve: ", ", ".join([f"{doing:,} {thing} doing", *told]), "red")
    else:
        say(", ".join(["nothing is to be done", *told]))
