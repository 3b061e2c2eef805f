"""The configuration, and the senses that it names, as `nerve check` looks at them."""

import time
from collections.abc import Iterator

from nerve.cli.check import summary
from nerve.cli.doctor.finding import Finding, LookedInVain, error, note, sound
from nerve.cli.doctor.patient import Patient
from nerve.cli.wording import counted
from nerve.config import ConfigFaults, Fault, Loaded
from nerve.config.faults import by_place
from nerve.process.launch import shut_down
from nerve.supervisor.shortlived import describe_sense
from nerve.supervisor.survey import problems_of
from nerve.wire.messages import DescribedMessage

SENSE_TIMEOUT_S = 10.0
"""For the import of one sense, a trial of its migrations, and the first fork server's start."""
SENSES_BUDGET_S = 20.0
"""For all of them; begun ones are finished."""
SENSES_TIMEOUT_S = SENSES_BUDGET_S + SENSE_TIMEOUT_S + 5.0


def look_at_configuration(patient: Patient) -> Iterator[Finding]:
    """Read nerve.yaml, all its faults and warnings."""
    try:
        loaded = patient.loaded
    except ConfigFaults as found:
        for fault in found.faults:
            yield error(_without_hint(fault), hint=fault.hint)
        if found.omitted:
            yield error(f"and {counted(found.omitted, 'more fault')}")
        raise LookedInVain from found
    for fault in loaded.warnings:
        yield note(_without_hint(fault), hint=fault.hint)
    if not loaded.warnings:
        yield sound(summary(loaded))


def look_at_senses(patient: Patient) -> Iterator[Finding]:
    """Load each sense in a worker of its own."""
    loaded = patient.loaded
    names, began, failed = list(loaded.config.senses), time.monotonic(), 0
    try:
        for name in names:
            described = describe_sense(loaded, name, SENSE_TIMEOUT_S)
            patient.described[name] = described
            failed += described.fault is not None
            yield from sense_findings(loaded, described)
            if time.monotonic() - began > SENSES_BUDGET_S:
                break
    finally:
        shut_down()
    if left := len(names) - len(patient.described):
        yield note(
            f"{counted(left, 'sense')} of {len(names):,} were not loaded: the "
            f"others took {SENSES_BUDGET_S:.0f} s",
            hint="`nerve check` loads them all",
        )
    elif not failed:
        yield sound(f"{counted(len(names), 'sense')} can be loaded")


def sense_findings(loaded: Loaded, described: DescribedMessage) -> Iterator[Finding]:
    """Say why a sense cannot be loaded, each reason with its place in nerve.yaml."""
    fault = described.fault
    if fault is None:
        return
    for located in by_place(map(loaded.fault, problems_of(described.sense, fault))):
        yield error(_without_hint(located), hint=located.hint)


def _without_hint(fault: Fault) -> str:
    return str(Fault(fault.source, fault.line, fault.column, fault.field, fault.message))
